"""Zoneout, and dropout of what U reads: what they are, their gradients, kernels, and a model not trained."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Model, Stack
from bptt.derive import EquationCell, read
from bptt.derive.functions import sigmoid, tanh, where
from bptt.errors import ConfigError
from bptt.nets.noise import Noise, with_noise
from bptt.nets.stepper import Stepper
from bptt.types import Array, Params
from bptt.zoo.equations import ZOO
from gradcheck import assert_close, central_differences, complex_step
from model_cases import FLAGS, MASK, RESET, Case, N, Options, T, case
from random_cells import random_cell
from sampling import some

ALL: Options = {"recurrent_dropout": 0.4, "zoneout": 0.3, "zoneout_cell": 0.5}
ENDS = np.array([[1, 1], [1, 1], [1, 0], [0, 0]], bool)


def noises(cell: str) -> Options:
    """Return all that a cell can have."""
    c = bptt.zoo.get(cell)
    takes = {
        "recurrent_dropout": bool(c.from_h or c.from_q),
        "zoneout": True,
        "zoneout_cell": len(c.states) > 1,
    }
    return {name: p for name, p in ALL.items() if takes[name]}


def noisy(cell: Any = "lstm", flags: Options | None = None, **options: Any) -> Case:
    return case(flags={"seed": 1} | (flags or {}), cell=cell, **options)


@bptt.cell(state="h zone_h", params="mask", operand={"a_new_h": "masked"})  # type: ignore[untyped-decorator]
def crowded(a_new_h: Any, x_zone: Any, zone_h: Any, mask: Any, h: Any, new_zone_h: float = 0.5) -> Any:
    """Has the names that noise would like."""
    masked = mask * h  # noqa: F841
    zone_h = zone_h * sigmoid(x_zone)
    h = tanh(a_new_h) * where(zone_h <= 0.2, 0.3, zone_h) + new_zone_h
    return h, zone_h


@pytest.mark.parametrize("cell", [*ZOO, "crowded"])
def test_every_gradient_with_noise(cell: str) -> None:
    options = noises(cell) if cell in ZOO else {"zoneout": 0.3, "zoneout_cell": 0.5}
    own: Any = cell if cell in ZOO else crowded
    c = noisy(own, {"mask": MASK, "reset": RESET}, **options, layers=2, hidden=2, bidirectional=True)
    assert not np.array_equal(c.run().outputs, replace(c, flags=c.flags | {"seed": 2}).run().outputs)
    found, wanted = c.grads(), complex_step(c.projection, c.arrays)
    assert_close(found, wanted, 1e-12 if cell != "slstm" else 1e-10)  # which divides by what may be small


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_noise_is_the_slope_of_the_loss(flags: Options) -> None:
    c = noisy(flags=flags, **ALL)
    assert_close(c.grads(), central_differences(c.projection, c.arrays), 1e-6)


RANDOM = [EquationCell(read(random_cell(seed), known={"OUTSIDE": -1.5})) for seed in range(6)]


@pytest.mark.parametrize("cell", [*ZOO.values(), crowded, *RANDOM], ids=repr)
def test_where_nothing_is_kept_the_cell_is_the_cell(cell: Any) -> None:
    noise = with_noise(cell, tuple(((state,), 0.0) for state in cell.states))
    stack, rng = Stack(cell, inputs=2, hidden=3), np.random.default_rng(0)
    params = {name: rng.normal(size=shape) for name, shape in stack.shapes().items()}
    states = {name: rng.random((2, 3)) for name in stack.state_names}
    x = rng.normal(size=(4, 2, 2))
    one, other = (replace(stack, cell=cell).forward(params, x, states) for cell in (cell, noise))
    assert_close(other.states | {"y": other.y}, one.states | {"y": one.y}, 0)


def sigmoid_of(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def by_hand(c: Case, m: Array, z_h: Array, z_c: Array) -> Array:
    """Return an LSTM's outputs, as Krueger et al. 2017 write them: h has the c that nothing is kept of."""
    W, U, b = (c.arrays[f"layers.0.{name}"] for name in "WUb")
    h, c_prev = c.arrays["state.layers.0.h"], c.arrays["state.layers.0.c"]
    assert c.tokens is not None
    y = []
    for t in range(T):
        a = W[c.tokens[t]] + (m * h) @ U + b
        i, f, o = (sigmoid_of(a[:, 3 * k : 3 * k + 3]) for k in range(3))
        new = f * c_prev + i * np.tanh(a[:, 9:])
        h = z_h[t] * h + (1 - z_h[t]) * o * np.tanh(new)
        c_prev = z_c[t] * c_prev + (1 - z_c[t]) * new
        y.append(h)
    return np.array(y) @ c.arrays["output.W"] + c.arrays["output.b"]


def test_noise_is_what_the_papers_say() -> None:
    """Draws are those of the generator, in order: a row's m, then each step's z of h, then of c."""
    c, rng = noisy(**ALL), np.random.default_rng(1)
    m = (rng.random((1, N, 3), dtype=np.float32) >= 0.4)[0] / 0.6
    z_h, z_c = (rng.random((T, N, 3), dtype=np.float32) < p for p in (0.3, 0.5))
    assert_close({"y": c.run().outputs}, {"y": by_hand(c, m, z_h, z_c)}, 1e-14)


def test_a_model_that_is_not_trained_has_the_mean_of_zoneout() -> None:
    c, one = replace(noisy(**ALL), flags={}), np.ones((T, N, 3))
    assert_close({"y": c.run().outputs}, {"y": by_hand(c, one[0], 0.3 * one, 0.5 * one)}, 1e-14)
    assert_close(c.grads(), complex_step(c.projection, c.arrays), 1e-12)


def test_nothing_is_drawn_where_there_is_no_noise() -> None:
    rng = np.random.default_rng(0)
    noise = Noise(bptt.zoo.get("lstm"))
    assert noise.draw(rng, (4, 2, 3), np.float32) == (noise.cell, {})
    assert rng.random() == np.random.default_rng(0).random()
    model, each = Model(inputs=3, outputs=3, hidden=2), [Options({name: p}) for name, p in ALL.items()]
    assert model.stack.cell is bptt.zoo.get("lstm")
    assert not model.draws
    assert all(Model(inputs=3, outputs=3, hidden=2, **options).draws for options in each)


@pytest.mark.parametrize("flags", [*FLAGS.values(), {"mask": ENDS}], ids=[*FLAGS, "ends"])
@pytest.mark.parametrize("cell", some(["lstm", "indrnn", "gru-cho", "gru", "lstm-peephole"], 3))
def test_noise_in_kernels_is_that_of_the_reference(
    cell: str, flags: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over sizes around a vector's, by any number of threads: the same bits."""
    for hidden, dtype, tolerance in ((1, "float64", 1e-12), (21, "float64", 1e-12), (5, "float32", 2e-4)):
        options: Options = {"layers": 2, "bidirectional": True, "hidden": hidden, "backend": "reference"}
        c = noisy(cell, flags, **noises(cell), **options)
        arrays, cotangents = (
            {name: a.astype(dtype) for name, a in of.items()} for of in (c.arrays, c.cotangents)
        )
        c = replace(c, arrays=arrays, cotangents=cotangents)
        fast, found = replace(c, model=replace(c.model, backend="cpu")), []
        for count in (1, 2, 3):
            monkeypatch.setattr("bptt.layer.threads.count", lambda count=count: count)
            found.append(made_by(fast))
        one, *others = found
        assert all(np.array_equal(one[name], other[name]) for other in others for name in one)
        assert_close(one, made_by(c), tolerance)


def made_by(c: Case) -> Params:
    run, (params, inputs, state, options) = c.run(), c.parts(c.arrays)
    step = c.model.loss_and_grads(params, inputs, c.targets, state, **options)
    trained = {f"d{name}": array for name, array in step.grads.items()}
    return {"y": run.outputs} | run.state | c.grads(run) | trained


def test_one_step_after_another_is_the_mean_too() -> None:
    model = Model(inputs=5, outputs=5, hidden=4, embedding=3, layers=2, zoneout=0.2, zoneout_cell=0.4)
    params = model.init(np.random.default_rng(0))
    assert all(np.array_equal(a, b) for a, b in zip(
        params.values(), replace(model, zoneout=0, zoneout_cell=0).init(np.random.default_rng(0)).values(),
        strict=True,
    ))  # fmt: skip
    tokens = np.random.default_rng(1).integers(5, size=(6, 2))
    stepper = Stepper(model, params, batch=2)
    y = np.array([stepper.read(row) for row in tokens])
    assert_close({"y": y}, {"y": model.forward(params, tokens).outputs}, 1e-5)


def test_biases_start_where_the_cell_wants_them() -> None:
    plain, noise = (Stack(cell, inputs=2, hidden=5) for cell in (
        ZOO["lstm-chrono"], with_noise(ZOO["lstm-chrono"], ((("h",), 0.5),)),
    ))  # fmt: skip
    one, other = (stack.init(np.random.default_rng(0)) for stack in (plain, noise))
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("cell", [c for c in ZOO.values() if c.from_h and not c.from_q], ids=repr)
def test_where_U_reads_all_its_columns_are_the_cells(cell: EquationCell) -> None:  # noqa: N802
    noise, rng, H = with_noise(cell, (), True), np.random.default_rng(0), 3
    shapes = Stack(cell, inputs=2, hidden=H, bias="two").shapes()
    params = {name.removeprefix("layers.0."): rng.normal(size=shape) for name, shape in shapes.items()}
    x, states = rng.normal(size=(4, 2, 2)), tuple(rng.random((2, H)) for _ in cell.states)
    one = bptt.unroll(cell, params, x, states)
    other = bptt.unroll(noise, params | {noise.given[0]: np.ones((4, 2, H))}, x, states)
    assert_close({"y": other.y}, {"y": one.y}, 1e-14)
    dy = rng.normal(size=one.y.shape)
    assert_close(other.backward(dy).params, one.backward(dy).params, 1e-12)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"zoneout": 1.0}, "zoneout must be at least 0 and below 1, got 1.0"),
        ({"zoneout_cell": -0.1}, "zoneout_cell must be at least 0 and below 1, got -0.1"),
        (
            {"cell": "gru", "zoneout_cell": 0.1},
            "zoneout_cell is for states beside the output, and gru has none",
        ),
        ({"cell": "indrnn", "recurrent_dropout": 0.1}, "drops what U reads, and indrnn has no U"),
    ],
)
def test_noise_that_means_nothing_is_told(options: Options, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Model(inputs=3, outputs=3, hidden=2, **options)


def test_layers_run_the_cell_of_their_noise() -> None:
    noise = Noise(bptt.zoo.get("gru"), zoneout=0.1)
    assert Stack(noise.expected, inputs=2, hidden=3, noise=noise).cell.name == "gru-zoneout"
    with pytest.raises(ConfigError, match="run its expected cell; got gru"):
        Stack(noise.cell, inputs=2, hidden=3, noise=noise)


def test_what_is_given_has_a_row_for_each_step() -> None:
    cell = with_noise(bptt.zoo.get("rnn"), ((("h",), None),))
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(2, 3)), "U": rng.normal(size=(3, 3)), "zone_h": np.zeros((4, 1, 3))}
    with pytest.raises(bptt.ShapeError, match=r"zone_h must be \(T, N, H\) = \(5, 1, 3\), got \(4, 1, 3\)"):
        bptt.unroll(cell, params, np.ones((5, 1, 2)))
    grads = bptt.unroll(cell, params, np.ones((4, 1, 2))).backward(np.ones((4, 1, 3)))
    assert sorted(grads.params) == ["U", "W"]
