"""Each system's own equations, written out here, give the same outputs and gradients as the layer here.

The steps below are the systems' published definitions, read from their documentation or source, over
arrays by the systems' own names. They know nothing of the table in bptt.conventions.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt.cells import CELLS
from bptt.errors import ConfigError, ShapeError
from bptt.nets.conventions import CONVENTIONS, SYSTEMS, from_system, grads_to_system, to_system
from bptt.types import Array, Generator, Params
from system_equations import STEPS, D, H, N, States, Step, T, dynet_lstm, tf1_lstm

PAIRS = [(system, cell) for system, cells in SYSTEMS.items() for cell in cells]


def layer(
    rng: Generator, cell: str, biases: tuple[str, ...] = ("b", "b_h"), D: int = D, H: int = H
) -> Params:
    """Return random parameters that many additions keep exact."""
    Gx, Gh = len(CELLS[cell].from_x), len(CELLS[cell].from_h + CELLS[cell].from_q)
    shapes = {"W": (D, Gx * H), "U": (H, Gh * H), "b": (Gx * H,), "b_h": (Gh * H,)}
    return {name: rng.integers(-64, 65, shapes[name]) / 64 for name in ("W", "U", *biases)}


def inputs(rng: Generator, cell: str) -> tuple[Array, States]:
    return rng.normal(size=(T, N, D)), tuple(rng.normal(size=(N, H)) for _ in CELLS[cell].states)


def run(step: Step, p: Params, x: Array, states: States) -> tuple[Array, States]:
    y = []
    for x_t in x:
        states = step(p, x_t, states)
        y.append(states[0])
    return np.stack(y), states


def assert_same(p: Params, q: Params) -> None:
    assert list(p) == list(q)
    for name, array in p.items():
        np.testing.assert_array_equal(array, q[name], err_msg=name, strict=True)


def test_every_row_has_its_equations() -> None:
    assert set(STEPS) == set(PAIRS)
    assert len(set(PAIRS)) == sum(len(row.cells) for row in CONVENTIONS)  # and none hides another
    for row in CONVENTIONS:  # what a row says of its order is so where each gate is apart, too
        assert "".join(part.gates for part in row.parts if part.holds == "W") in ("", row.gates)


@pytest.mark.parametrize("biases", [("b", "b_h"), ("b",), ("b_h",)], ids="+".join)
@pytest.mark.parametrize(("system", "cell"), PAIRS)
def test_the_systems_equations_give_the_same(system: str, cell: str, biases: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    params, (x, states) = layer(rng, cell, biases), inputs(rng, cell)
    arrays = to_system(cell, params, system)
    y, final = run(STEPS[system, cell], arrays, x, states)
    for p in (params, from_system(cell, arrays, system)):
        ours = bptt.unroll(CELLS[cell], p, x, states)
        np.testing.assert_allclose(ours.y, y, rtol=0, atol=1e-12)
        for mine, theirs in zip(ours.states, final, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("biases", [("b", "b_h"), ()], ids=["biases", "none"])
@pytest.mark.parametrize(("system", "cell"), PAIRS)
@settings(max_examples=10, deadline=None)
@given(D=st.integers(1, 5), H=st.integers(1, 5), seed=st.integers(0, 99), dtype=st.sampled_from(["f4", "f8"]))
def test_round_trips(
    system: str, cell: str, biases: tuple[str, ...], D: int, H: int, seed: int, dtype: str
) -> None:
    params = layer(np.random.default_rng(seed), cell, biases, D, H)
    params = {name: array.astype(dtype) for name, array in params.items()}
    before = {name: array.copy() for name, array in params.items()}
    arrays = to_system(cell, params, system)
    back = from_system(cell, arrays, system)
    assert_same(to_system(cell, back, system), arrays)  # with every bias in one place, nothing is lost
    assert_same(from_system(cell, to_system(cell, back, system), system), back)
    assert_same({name: back[name] for name in "WU"}, {name: params[name] for name in "WU"})
    for array in arrays.values():  # new arrays: what is done to them touches nothing else
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        array += 1
    assert_same(params, before)


@pytest.mark.parametrize(("system", "cell"), PAIRS)
def test_gradients_are_those_of_the_systems_equations(system: str, cell: str) -> None:
    # complex steps through the system's own equations, at every element of every array
    rng = np.random.default_rng(2)
    params, (x, states) = layer(rng, cell), inputs(rng, cell)
    dy, dfinal = rng.normal(size=(T, N, H)), tuple(rng.normal(size=s.shape) for s in states)
    grads = bptt.unroll(CELLS[cell], params, x, states).backward(dy, dfinal).params
    theirs = grads_to_system(cell, grads, system)
    arrays = {name: a.astype(complex) for name, a in to_system(cell, params, system).items()}
    assert list(theirs) == list(arrays)
    for name, array in arrays.items():
        assert theirs[name].shape == array.shape
        for at in np.ndindex(array.shape):
            array[at] += 1e-30j
            y, final = run(STEPS[system, cell], arrays, x, states)
            loss = (y * dy).sum() + sum((s * d).sum() for s, d in zip(final, dfinal, strict=True))
            array[at] = array[at].real
            np.testing.assert_allclose(theirs[name][at], loss.imag / 1e-30, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("biases", [("b", "b_h"), ("b",), ()], ids=["two", "one", "none"])
@pytest.mark.parametrize("cell", SYSTEMS["pytorch"])
def test_torch_itself_gives_the_same(cell: str, biases: tuple[str, ...]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    if cell == "gru" and biases:
        biases = ("b", "b_h")
    params, (x, states) = layer(rng, cell, biases), inputs(rng, cell)
    options = {"nonlinearity": "relu"} if cell == "rnn-relu" else {}
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(cell, torch.nn.RNN)
    module = kind(D, H, bias=bool(biases), dtype=torch.float64, **options)
    arrays = to_system(cell, params, "pytorch")
    module.load_state_dict({f"{name}_l0": torch.from_numpy(array) for name, array in arrays.items()})
    initial = tuple(torch.from_numpy(s[None]) for s in states)
    y, _ = module(torch.from_numpy(x), initial if cell == "lstm" else initial[0])
    ours, dy = bptt.unroll(CELLS[cell], params, x, states), rng.normal(size=(T, N, H))
    np.testing.assert_allclose(ours.y, y.detach().numpy(), rtol=0, atol=1e-12)
    y.backward(torch.from_numpy(dy))
    grads = grads_to_system(cell, ours.backward(dy).params, "pytorch")
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(grads[name.removesuffix("_l0")], parameter.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("system", ["tf1", "dynet"])
def test_forget_bias_is_what_the_system_is_told(system: str) -> None:
    rng = np.random.default_rng(4)
    params, (x, states) = layer(rng, "lstm", ()), inputs(rng, "lstm")
    step = tf1_lstm if system == "tf1" else dynet_lstm
    for value in (0.0, 1.0, 2.5):
        arrays = to_system("lstm", params, system, forget_bias=value)
        y, _ = run(partial(step, value), arrays, x, states)
        back = from_system("lstm", arrays, system, forget_bias=value)
        for p in (params, back):
            np.testing.assert_allclose(bptt.unroll(CELLS["lstm"], p, x, states).y, y, rtol=0, atol=1e-12)
    matrices = {name: array for name, array in arrays.items() if name not in ("bias", "b")}
    np.testing.assert_array_equal(
        from_system("lstm", matrices, system)["b"], np.repeat([0.0, 1.0, 0.0, 0.0], H)
    )


@pytest.mark.parametrize(
    ("cell", "system", "message"),
    [
        ("lstm", "torch", "no system is called 'torch'; there are pytorch, keras, cudnn, onnx, equinox, tf1"),
        ("gru", "tf1", "tf1 has no gru: it has lstm; gru resets after"),
        ("gru-cho", "pytorch", "pytorch has no gru-cho: it has rnn, rnn-relu, lstm, gru; gru resets after"),
        ("gru", "chung", "chung has no gru: it has gru-cho; gru resets after"),
        ("lstmm", "keras", "no cell is called 'lstmm'"),
    ],
)
def test_what_there_is_not(cell: str, system: str, message: str) -> None:
    for convert in (to_system, from_system, grads_to_system):
        with pytest.raises(ConfigError, match=message):
            convert(cell, {}, system)


@pytest.mark.parametrize(
    ("system", "cell", "name", "shape", "message"),
    [
        (
            "pytorch",
            "lstm",
            "weight_hh",
            (5, 20),
            r"pytorch lstm: weight_hh .* \(4H, H\) = \(20, 5\), got .*",
        ),
        ("pytorch", "lstm", "weight_ih", (12, 3), r"weight_ih must be floats \(4H, D\) = \(20, 3\), got "),
        (
            "pytorch",
            "gru",
            "bias_hh",
            (20,),
            r"bias_hh must be floats \(3H,\) = \(15,\), got float64 \(20,\)",
        ),
        ("onnx", "lstm", "R", (20, 5), r"R must be floats \(1, 4H, H\), got float64 \(20, 5\)"),
        ("onnx", "lstm", "B", (1, 20), r"B must be floats \(1, 8H\) = \(1, 40\)"),
        ("keras", "gru", "bias", (15,), r"bias must be floats \(2, 3H\), got"),
        ("tf1", "lstm", "kernel", (5, 20), r"kernel must be floats \(D\+H, 4H\), got float64 \(5, 20\)"),
        ("tf1", "lstm", "kernel", (8, 22), r"kernel must be floats \(D\+H, 4H\) = \(8, 20\), got"),
        ("flax", "lstm", "hg/kernel", (4, 4), r"hg/kernel must be floats \(H, H\) = \(5, 5\)"),
        ("cudnn", "lstm", "matrix.1", (5, 4), r"matrix.1 must be floats \(H, D\) = \(5, 3\)"),
    ],
)
def test_wrong_shapes(system: str, cell: str, name: str, shape: tuple[int, ...], message: str) -> None:
    arrays = to_system(cell, layer(np.random.default_rng(5), cell), system)
    with pytest.raises(ShapeError, match=message):
        from_system(cell, arrays | {name: np.zeros(shape)}, system)


def test_wrong_arrays_of_our_own() -> None:
    params = layer(np.random.default_rng(6), "lstm")
    with pytest.raises(
        ShapeError, match=r"^lstm: U must be floats \(H, 4H\) = \(5, 20\), got float64 \(20, 5\)"
    ):
        to_system("lstm", params | {"U": params["U"].T}, "keras")
    with pytest.raises(ShapeError, match=r"W must be floats .* got int64"):
        to_system("lstm", params | {"W": np.ones((D, 4 * H), np.int64)}, "keras")
    with pytest.raises(ConfigError, match="the arrays must be W, U and at most b, b_h; got W, U, b, bh"):
        to_system("lstm", {"W": params["W"], "U": params["U"], "b": params["b"], "bh": params["b"]}, "keras")
    with pytest.raises(ConfigError, match="must be kernel, recurrent_kernel and at most bias; got none"):
        from_system("lstm", {}, "keras")
    with pytest.raises(ConfigError, match="keras adds no forget bias at run time; got forget_bias=1"):
        to_system("lstm", params, "keras", forget_bias=1)


def test_gradients_at_one_bias_of_a_gru_do_not_give_the_other() -> None:
    for bias in ("b", "b_h"):
        with pytest.raises(ConfigError, match="give the layer both"):
            grads_to_system("gru", layer(np.random.default_rng(7), "gru", (bias,)), "pytorch")


def test_a_layer_without_biases_goes_without() -> None:
    params = layer(np.random.default_rng(8), "lstm", ())
    for convert in (to_system, grads_to_system):
        assert list(convert("lstm", params, "pytorch")) == ["weight_ih", "weight_hh"]
    assert list(from_system("lstm", to_system("lstm", params, "onnx"), "onnx")) == ["W", "U"]
