"""Each cell's backward is the derivative of its forward: one step, every element, every state.

Here the pre-activations are given, so that it is the cell's own pointwise part that is judged, apart from
the loop, the products and the sums.
"""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.cells import CELLS, Cell, sigmoid
from bptt.errors import ConfigError
from bptt.types import Array, Params
from gradcheck import assert_close, complex_step, dot

N, H = 3, 4
EVERY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def step(cell: Cell, p: Params) -> tuple[Params, Any]:
    """Run the pointwise part; where it computes an operand q, q is an output like the states."""
    states = tuple(p[s] for s in cell.states)
    q: Params = {}
    q_cache = None
    if cell.from_q:
        q["q"], q_cache = cell.operand(p["a"], states)
    new, cache = cell.forward(p["a"], states)
    return q | {f"{s}'": array for s, array in zip(cell.states, new, strict=True)}, (cache, q_cache)


def step_backward(cell: Cell, cotangents: Params, caches: Any) -> Params:
    """Return the gradient at `a` and at the states, put together as the time loop does."""
    cache, q_cache = caches
    da, dprev = cell.backward(tuple(cotangents[f"{s}'"] for s in cell.states), cache)
    grads = {"a": da} | dict(zip(cell.states, dprev, strict=True))
    if cell.from_q:
        for s, d in zip(cell.states, cell.operand_backward(cotangents["q"], q_cache, da), strict=False):
            grads[s] = grads[s] + d
    return grads


def numerical(cell: Cell, inputs: Params, cotangents: Params) -> Params:
    return complex_step(lambda p: dot(step(cell, p)[0], cotangents), inputs)


def example(cell: Cell, dtype: type = np.float64) -> tuple[Params, Params]:
    """Return random inputs and cotangents of one step."""
    rng = np.random.default_rng(11)
    shapes: dict[str, tuple[int, int]] = {"a": (N, len(cell.gates) * H)} | dict.fromkeys(cell.states, (N, H))
    outputs = [f"{s}'" for s in cell.states] + (["q"] if cell.from_q else [])
    inputs: Params = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    return inputs, {name: rng.normal(size=(N, H)).astype(dtype) for name in outputs}


@EVERY_CELL
def test_backward_is_the_derivative_of_forward(cell: Cell) -> None:
    inputs, cotangents = example(cell)
    _, caches = step(cell, inputs)
    wanted = numerical(cell, inputs, cotangents)
    assert_close(step_backward(cell, cotangents, caches), wanted, 1e-12)


@EVERY_CELL
def test_each_output_alone(cell: Cell) -> None:
    """One cotangent at a time, so that no two terms can make up for one another."""
    inputs, cotangents = example(cell)
    _, caches = step(cell, inputs)
    for only in cotangents:
        alone = {name: d if name == only else np.zeros_like(d) for name, d in cotangents.items()}
        assert_close(step_backward(cell, alone, caches), numerical(cell, inputs, alone), 1e-12)


@EVERY_CELL
def test_nothing_given_is_changed_and_nothing_returned_is_given(cell: Cell) -> None:
    inputs, cotangents = example(cell)
    before = [array.copy() for array in (*inputs.values(), *cotangents.values())]
    outputs, caches = step(cell, inputs)
    first = step_backward(cell, cotangents, caches)
    second = step_backward(cell, cotangents, caches)
    after = (*inputs.values(), *cotangents.values())
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(np.array_equal(first[name], second[name]) for name in first), "the cache was changed"
    for made in (*outputs.values(), *first.values()):
        assert not any(np.shares_memory(made, array) for array in after)


@EVERY_CELL
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_dtype_is_kept(cell: Cell, dtype: type) -> None:
    inputs, cotangents = example(cell, dtype)
    outputs, caches = step(cell, inputs)
    made = outputs | step_backward(cell, cotangents, caches)
    assert {name: array.dtype for name, array in made.items()} == dict.fromkeys(made, np.dtype(dtype))


@EVERY_CELL
def test_saturated_gates_stay_finite(cell: Cell) -> None:
    inputs, cotangents = example(cell, np.float32)
    for scale in (1e4, -1e4):
        outputs, caches = step(cell, inputs | {"a": inputs["a"] * np.float32(scale)})
        made = outputs | step_backward(cell, cotangents, caches)
        assert all(np.isfinite(array).all() for array in made.values())


@EVERY_CELL
def test_every_gate_is_fed_and_the_first_state_is_the_output(cell: Cell) -> None:
    assert set(cell.from_x) | set(cell.from_h) | set(cell.from_q) == set(cell.gates)
    assert not set(cell.from_h) & set(cell.from_q)
    assert cell.states[0] == "h"
    assert bptt.zoo.get(cell.name) is cell
    assert bptt.zoo.get(cell) is cell
    assert cell.name in repr(cell)


# The equations in plain Python, unit by unit, written from the papers and not from the cells' files.


SCALARS = ("rnn", "rnn-relu", "lstm", "gru", "gru-cho")


def by_scalars(name: str, a: dict[str, float], h: float, c: float = 0.0) -> dict[str, float]:
    def s(v: float) -> float:
        return float(1 / (1 + np.exp(-v)))

    if name == "rnn":
        return {"h'": np.tanh(a["a"])}
    if name == "rnn-relu":
        return {"h'": max(a["a"], 0.0)}
    if name == "lstm":
        c = s(a["f"]) * c + s(a["i"]) * np.tanh(a["g"])
        return {"h'": s(a["o"]) * np.tanh(c), "c'": c}
    z = s(a["z"])
    if name == "gru":
        return {"h'": (1 - z) * np.tanh(a["n"] + s(a["r"]) * a["m"]) + z * h}
    assert name == "gru-cho"
    return {"h'": (1 - z) * np.tanh(a["n"]) + z * h, "q": s(a["r"]) * h}


@pytest.mark.parametrize("cell", [CELLS[name] for name in SCALARS], ids=SCALARS)
def test_forward_is_the_equations(cell: Cell) -> None:
    inputs, _ = example(cell)
    outputs, _ = step(cell, inputs)
    for n, k in np.ndindex(N, H):
        a = {gate: float(inputs["a"][n, j * H + k]) for j, gate in enumerate(cell.gates)}
        wanted = by_scalars(cell.name, a, *(float(inputs[s][n, k]) for s in cell.states))
        assert {name: array[n, k] for name, array in outputs.items()} == pytest.approx(
            wanted, rel=1e-14, abs=0
        )


def test_sigmoid() -> None:
    a: Array = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(sigmoid(a), 1 / (1 + np.exp(-a)), rtol=1e-15)  # see test_elementwise.py
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0, 1]


def test_relu_has_no_slope_at_its_kink() -> None:
    cell = CELLS["rnn-relu"]
    (h,), cache = cell.forward(np.zeros((1, 2)), (np.ones((1, 2)),))
    da, _ = cell.backward((np.ones((1, 2)),), cache)
    assert not h.any()
    assert not da.any()


def test_unknown_cell_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no cell is called 'lstn'; like it are lstm, "):
        bptt.zoo.get("lstn")


def test_a_cell_with_an_operand_must_define_it() -> None:
    class Half(bptt.cells.RNN):
        from_q = ("a",)

    a = h = np.zeros((1, 2))
    with pytest.raises(TypeError, match="must define operand"):
        Half().operand(a, (h,))
    with pytest.raises(TypeError, match="must define operand_backward"):
        Half().operand_backward(h, None, a)
