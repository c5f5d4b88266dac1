"""Every cell of the zoo is what its paper says, and its gradients are right wherever a cell can stand.

The forward is held against plain loops written here from the papers, gate by gate; the gradients against the
complex step, element by element.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

import bptt
from bptt import Model, unroll
from bptt.cells import CELLS, Cell
from bptt.errors import ConfigError
from bptt.nets import conventions
from bptt.nets.init import Init
from bptt.training import optim
from bptt.types import Array, Params
from bptt.zoo.equations import T_MAX, ZOO
from gradcheck import Layer, assert_close, complex_step, random_layer

T, N = 5, 2
MASK = np.array([[1, 0], [1, 1], [0, 1], [1, 1], [1, 0]], bool)
RESET = np.array([[0, 1], [1, 0], [0, 0], [1, 1], [0, 1]], bool)
BOTH = {"mask": MASK, "reset": RESET}

EVERY_CELL = pytest.mark.parametrize("cell", ZOO.values(), ids=ZOO)


def layer(cell: Cell, seed: int = 3, **kwargs: Any) -> Layer:
    case = random_layer(np.random.default_rng(seed), cell, **kwargs)
    if "n" in cell.states:  # a normaliser is above zero
        case.arrays["n0"][:] = 0.5 + np.abs(case.arrays["n0"])
    return case


# ---------------------------------------------------------------------- the forward, from the papers

Affine = Callable[..., Array]
"""x W_g + h U_g + the biases of a gate g: ``A("i", x, h)``; with x or h None, the other part alone."""


def s(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def elman(A: Affine, p: Params, x: Array, h: Array) -> tuple[Array, ...]:
    return (np.tanh(A("h", x, h)),)


def rectified(A: Affine, p: Params, x: Array, h: Array) -> tuple[Array, ...]:
    return (A("h", x, h).clip(0),)


def independent(A: Affine, p: Params, x: Array, h: Array) -> tuple[Array, ...]:
    return ((A("x_h", x, None) + h * p["u"]).clip(0),)


def lstm(A: Affine, p: Params, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    c = s(A("f", x, h)) * c + s(A("i", x, h)) * np.tanh(A("g", x, h))
    return s(A("o", x, h)) * np.tanh(c), c


def peephole(A: Affine, p: Params, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    i, f = s(A("i", x, h) + p["p_i"] * c), s(A("f", x, h) + p["p_f"] * c)
    new = f * c + i * np.tanh(A("g", x, h))
    return s(A("o", x, h) + p["p_o"] * new) * np.tanh(new), new


def coupled(A: Affine, p: Params, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    i = 1 - s(A("f", x, h))
    c = c - i * c + i * np.tanh(A("g", x, h))
    return s(A("o", x, h)) * np.tanh(c), c


def no_forget(A: Affine, p: Params, x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    c = c + s(A("i", x, h)) * np.tanh(A("g", x, h))
    return s(A("o", x, h)) * np.tanh(c), c


def scalar(A: Affine, p: Params, x: Array, h: Array, c: Array, n: Array, m: Array) -> tuple[Array, ...]:
    """The sLSTM without its stabiliser, which changes nothing but the sizes of c and n."""
    c, n = c * np.exp(m), n * np.exp(m)
    i, f = np.exp(A("i", x, h)), s(A("f", x, h))
    c, n = f * c + i * np.tanh(A("z", x, h)), f * n + i
    m = np.maximum(np.log(f) + m, np.log(i))
    return s(A("o", x, h)) * c / n, c * np.exp(-m), n * np.exp(-m), m


def gru(A: Affine, p: Params, x: Array, h: Array) -> tuple[Array, ...]:
    r, z = s(A("r", x, h)), s(A("z", x, h))
    n = np.tanh(A("x_n", x, None) + r * A("u_n", None, h))
    return (n + z * (h - n),)


def cho(A: Affine, p: Params, x: Array, h: Array) -> tuple[Array, ...]:
    r, z = s(A("r", x, h)), s(A("z", x, h))
    n = np.tanh(A("n", x, r * h))
    return (n + z * (h - n),)


def minimal(A: Affine, p: Params, x: Array, h: Array) -> tuple[Array, ...]:
    f = s(A("f", x, h))
    return (h + f * (np.tanh(A("n", x, f * h)) - h),)


def update(A: Affine, p: Params, x: Array, h: Array) -> tuple[Array, ...]:
    g, c = s(A("g", x, h)), np.tanh(A("c", x, h))
    return (c + g * (h - c),)


PAPERS: dict[str, Any] = {
    "rnn": elman,
    "rnn-relu": rectified,
    "indrnn": independent,
    "lstm": lstm,
    "lstm-no-bias": lstm,
    "lstm-chrono": lstm,
    "lstm-peephole": peephole,
    "lstm-coupled": coupled,
    "lstm-no-forget": no_forget,
    "slstm": scalar,
    "gru": gru,
    "gru-cho": cho,
    "mgu": minimal,
    "ugrnn": update,
}


@EVERY_CELL
@pytest.mark.parametrize("bias", ["none", "two"])
def test_forward_is_that_of_the_paper(cell: Cell, bias: Literal["none", "two"]) -> None:
    case = layer(cell, bias=bias)
    p, H = case.arrays, case.arrays["U"].shape[0]

    def part(v: Array | None, matrix: str, biases: str, gates: tuple[str, ...], g: str) -> Any:
        if v is None or g not in gates:
            return 0.0
        at = slice(gates.index(g) * H, (gates.index(g) + 1) * H)
        return v @ p[matrix][:, at] + (p[biases][at] if biases in p else 0.0)

    def affine(g: str, x: Array | None, h: Array | None) -> Any:
        return part(x, "W", "b", cell.from_x, g) + part(h, "U", "b_h", cell.from_h + cell.from_q, g)

    states = tuple(p[f"{name}0"] for name in cell.states)
    outputs = case.outputs()
    for t in range(T):
        states = PAPERS[cell.name](affine, p, p["x"][t], *states)
        assert np.allclose(outputs["y"][t], states[0], rtol=1e-12, atol=1e-13)
    wanted = dict(zip(cell.states, states, strict=True))
    assert_close({name: outputs[name] for name in cell.states}, wanted, 1e-12)


# ---------------------------------------------------------------------- the gradients

FLAGS: dict[str, dict[str, Any]] = {
    "two biases": {"bias": "two"},
    "no biases, mask and reset": {"bias": "none"} | BOTH,
    "reverse, mask and reset": {"bias": "one", "reverse": True} | BOTH,
}


@EVERY_CELL
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_every_gradient(cell: Cell, flags: dict[str, Any]) -> None:
    """At W, U, the biases, the units' own parameters, x, and every initial state."""
    case = layer(cell, **flags)
    assert_close(case.grads(), complex_step(case.loss, case.arrays), 1e-12)


MODELS: dict[str, dict[str, Any]] = {
    "both directions, 2 layers, tied": {
        "bidirectional": True,
        "layers": 2,
        "embedding": 6,
        "tied": True,
        "bias": "two",
    },
    "2 layers from features": {"layers": 2, "features": 3, "bias": "none"},
}


@EVERY_CELL
@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_a_model_of_it(cell: Cell, options: dict[str, Any]) -> None:
    """Its training step's gradient, along a random direction of each parameter."""
    rng = np.random.default_rng(4)
    model = Model(inputs=5, outputs=5, hidden=3, cell=cell, **options)
    # under names of the zoo alone the same cell is found
    assert cell.name in CELLS or replace(model, cell=cell.name).stack.cell is cell
    params = {k: rng.normal(0, 0.6, a.shape) for k, a in model.init(rng).items()}
    inputs, targets = rng.integers(5, size=(2, T, N))
    more: dict[str, Any] = dict(BOTH)
    if model.features:
        more["features"] = rng.normal(size=(N, 3))
    grads = model.loss_and_grads(params, inputs, targets, **more).grads
    assert list(grads) == list(params) == list(model.shapes)

    def loss(params: Params) -> Any:
        return model.loss_of(model.forward(params, inputs, **more).outputs, targets, mask=MASK).value

    for k, array in params.items():
        step = 1e-30j * rng.normal(size=array.shape)
        slope = complex(loss(params | {k: array + step})).imag
        assert slope == pytest.approx((grads[k] * step.imag).sum(), rel=1e-10, abs=1e-44), k


def test_the_judge_finds_the_gradients_right() -> None:
    rng = np.random.default_rng(5)
    model = Model(inputs=4, outputs=4, hidden=2, cell="lstm-peephole")
    params = {k: rng.normal(0, 0.6, a.shape) for k, a in model.init(rng).items()}
    inputs, targets = rng.integers(4, size=(2, T, N))

    def f(params: Params) -> tuple[Any, Params]:
        run = model.forward(params, inputs)
        loss = model.loss_of(run.outputs, targets)
        return loss.value, run.backward(loss.grad).params

    bptt.assert_gradients(f, params)


@EVERY_CELL
def test_float32_is_kept(cell: Cell) -> None:
    case = layer(cell)
    small = case.astype(np.float32)
    made = small.outputs() | {f"d{k}": a for k, a in small.grads().items()}
    assert {a.dtype for a in made.values()} == {np.dtype(np.float32)}
    assert_close(small.grads(), case.grads(), 1e-4)


# ---------------------------------------------------------------------- what is particular


@pytest.mark.parametrize("a_i", [80, -80, 0])
@pytest.mark.parametrize("a_f", [80, -80, 0])
def test_the_stabiliser_keeps_the_slstm_finite(a_i: float, a_f: float) -> None:
    """exp(80) and its square are beyond float32 once they are multiplied up over 50 steps."""
    H = 2
    params = {
        "W": np.zeros((1, 4 * H), np.float32),
        "U": np.full((H, 4 * H), 0.1, np.float32),
        "b": np.repeat(np.array([a_i, a_f, 1, 1], np.float32), H),
    }
    run = unroll(ZOO["slstm"], params, np.zeros((50, 1, 1), np.float32))
    grads = run.backward(np.ones_like(run.y))
    assert all(np.isfinite(a).all() for a in (run.y, *run.states, *grads.params.values()))
    # the input is constant, so that c / n is z, near tanh(1), however c and n are weighed
    assert run.y == pytest.approx(np.full_like(run.y, s(np.array(1.1)) * np.tanh(1.1)), abs=0.05)


def test_chrono_biases_spread_over_the_time_scales() -> None:
    H = 4000
    p = Init("orthogonal", forget_bias=1.0).layer(np.random.default_rng(0), ZOO["lstm-chrono"], 1, 8)
    assert p["b"].shape == (32,)
    b = ZOO["lstm-chrono"].start(np.random.default_rng(0), H)
    assert np.array_equal(b["i"], -b["f"])
    times = np.sort(np.exp(b["f"]))  # exp(b_f) is uniform from 1 to T_MAX - 1
    uniform = 1 + (T_MAX - 2) * (np.arange(H) + 0.5) / H
    assert (
        np.abs(times - uniform).max() < 0.03 * T_MAX
    )  # Kolmogorov and Smirnov's bound at 1% is 0.026 of the range
    assert times[0] >= 1
    assert times[-1] <= T_MAX - 1


def test_where_parameters_start() -> None:
    rng = np.random.default_rng(0)

    def start(name: str, **options: Any) -> Params:
        return Init("orthogonal", forget_bias=1.0).layer(rng, ZOO[name], 3, 4, **options)

    # a gate f has the forget bias, unless the cell says otherwise; peepholes start closed
    assert start("lstm-coupled")["b"].tolist() == [1.0] * 4 + [0.0] * 8
    assert start("ugrnn")["b"].tolist() == [1.0] * 4 + [0.0] * 4
    assert start("mgu")["b"].tolist() == [0.0] * 8
    assert not any(start("lstm-peephole")[p].any() for p in ("p_i", "p_f", "p_o"))
    own = start("indrnn", bias="two")
    assert own["U"].shape == (4, 0)
    assert own["b_h"].shape == (0,)
    assert (np.abs(own["u"]) <= 1).all()
    assert own["u"].std() > 0
    for bias in ("none", "one", "two"):
        assert not {"b", "b_h"} & start("lstm-no-bias", bias=bias).keys()


def test_a_start_of_a_recurrent_part_is_in_its_own_bias() -> None:
    cell = bptt.derive.EquationCell(
        bptt.derive.read(
            '@cell(state="h")\ndef f(x_n, u_n, h):\n    h = tanh(x_n + relu(u_n))\n    return h\n'
        ),
        lambda rng, H: {"u_n": 2.0, "x_n": 3.0},
    )
    p = Init().layer(np.random.default_rng(0), cell, 1, 2, "two")
    assert (p["b"].tolist(), p["b_h"].tolist()) == ([3.0, 3.0], [2.0, 2.0])


def test_units_parameters_do_not_decay_and_are_clipped_with_the_rest() -> None:
    rng = np.random.default_rng(0)
    model = Model(inputs=4, outputs=4, hidden=3, cell="lstm-peephole")
    params = {k: a + 1 for k, a in model.init(rng).items()}
    before = {k: a.copy() for k, a in params.items()}
    grads = {k: np.zeros_like(a) for k, a in params.items()}
    adamw = optim.AdamW(weight_decay=0.5)
    adamw.update(params, grads, adamw.init(params), 0.1)
    moved = {k for k in params if not np.array_equal(params[k], before[k])}
    assert moved == {"layers.0.W", "layers.0.U", "output.W"}  # vectors are meant as they are
    grads["layers.0.p_f"] = np.full(3, 7.0, np.float32)
    optim.clip_norm(grads, 1.0)
    assert np.linalg.norm(grads["layers.0.p_f"]) == pytest.approx(1)


# ---------------------------------------------------------------------- elsewhere

TORCH = {"rnn": "RNN", "lstm": "LSTM", "lstm-no-bias": "LSTM", "lstm-chrono": "LSTM", "gru": "GRU"}


@pytest.mark.parametrize("name", TORCH)
def test_pytorch_has_the_same_gradients(name: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    cell, D, H = ZOO[name], 3, 4
    net = getattr(torch.nn, TORCH[name])(D, H, bias=cell.bias, dtype=torch.float64)

    def ours(take: Callable[[Any], Any]) -> Params:
        arrays = {k.removesuffix("_l0"): take(v).numpy().copy() for k, v in net.named_parameters()}
        return conventions.from_system(cell, arrays, "pytorch")

    x, dy = np.random.default_rng(1).normal(size=(2, T, N, H))
    x = x[..., :D]
    their_x = torch.tensor(x, requires_grad=True)
    y, _ = net(their_x)
    (y * torch.tensor(dy)).sum().backward()

    params = ours(lambda v: v.detach())
    run = unroll(cell, params, x)
    grads = run.backward(dy)
    assert_close({"y": run.y}, {"y": y.detach().numpy()}, 1e-12)
    assert grads.inputs is not None
    assert_close({"x": grads.inputs}, {"x": their_x.grad.numpy()}, 1e-12)
    theirs = {k.removesuffix("_l0"): v.grad.numpy() for k, v in net.named_parameters()}
    assert_close(conventions.grads_to_system(cell, grads.params, "pytorch"), theirs, 1e-12)


def test_a_cell_without_counterpart_is_told() -> None:
    params = Init().layer(np.random.default_rng(0), ZOO["slstm"], 3, 4)
    with pytest.raises(ConfigError, match=r"the cell slstm has no counterpart in other systems: .*lstm, gru"):
        conventions.to_system("slstm", params, "pytorch")
    # a name is not enough
    text = ZOO["lstm"].equations.text.replace("i * g", "i + g")
    other = bptt.derive.EquationCell(bptt.derive.read(text))
    assert other.name == "lstm"
    with pytest.raises(ConfigError, match="the cell lstm has no counterpart"):
        conventions.to_system(other, params, "pytorch")


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_model_of_a_cell_that_reads_x_itself(rows: int, layers: int) -> None:
    """Also where there are fewer tokens than steps: rows of E are read, not of E W."""
    rng = np.random.default_rng(5)
    model = Model(inputs=5, outputs=5, hidden=4, embedding=4, cell="intersection-rnn", layers=layers)
    params = {k: rng.normal(0, 0.6, a.shape) for k, a in model.init(rng).items()}
    tokens = rng.integers(5, size=(4, rows))
    grads = model.loss_and_grads(params, tokens[:-1], tokens[1:])[1]

    def loss(p: Params) -> Any:
        return model.loss_and_grads(p, tokens[:-1], tokens[1:])[0]

    for name, array in params.items():
        towards = rng.normal(size=array.shape)
        up, down = (loss(params | {name: array + s * 1e-5 * towards}) for s in (1, -1))
        assert (grads[name] * towards).sum() == pytest.approx((up - down) / 2e-5, abs=1e-8), name
