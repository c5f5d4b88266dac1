"""One convention at a kink, wherever it is met: see bptt.elementwise."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page, read
from bptt.types import Array

# the equation, and the derivative by a_h and by h where both are 0
KINKS = {
    "relu(a_h) + 0 * h": (0, 0),
    "max(a_h, 0) + 0 * h": (0, 0),
    "max(0, a_h) + 0 * h": (0, 0),
    "min(a_h, 0) + 0 * h": (0, 0),
    "min(0, a_h) + 0 * h": (0, 0),
    "max(a_h, zero) + 0 * h": (0, 0),
    "max(zero, a_h) + 0 * h": (0, 0),
    "abs(a_h) + 0 * h": (0, 0),
    "abs(-a_h) + 0 * h": (0, 0),
    "max(a_h, h)": (0, 1),
    "max(h, a_h)": (1, 0),
    "min(a_h, h)": (0, 1),
    "min(h, a_h)": (1, 0),
    "max(a_h, a_h) + 0 * h": (1, 0),
    "where(a_h > h, 2 * a_h, 3 * h)": (0, 3),
    "where(a_h < h, 2 * a_h, 3 * h)": (0, 3),
    "where(a_h >= h, 2 * a_h, 3 * h)": (2, 0),
    "where(a_h <= h, 2 * a_h, 3 * h)": (2, 0),
    "softplus(a_h) + 0 * h": (0.5, 0),
    "sigmoid(a_h) + 0 * h": (0.25, 0),
}


def cell_of(*expressions: str) -> EquationCell:
    """Return a cell that has a state for each expression of a_h and the first state, h."""
    states = ["h", *(f"s_{k}" for k in range(1, len(expressions)))]
    body = "".join(f"    y_{k} = {e} + 0 * zero\n" for k, e in enumerate(expressions))
    returned = ", ".join(f"y_{k}" for k in range(len(expressions)))
    decorator = f"@bptt.cell(state={' '.join(states)!r})"
    return EquationCell(read(f"{decorator}\ndef kink(a_h, h, zero=0.0):\n{body}    return {returned}\n"))


def at_zero(cell: Any, dtype: Any, backend: Any) -> list[tuple[float, float]]:
    """Return the derivatives of each state by a_h and h, where all that it is made of is 0."""

    def zeros(*shape: int) -> Array:
        return np.zeros(shape, dtype)

    params = {"W": zeros(2, 3), "U": zeros(3, 3), "b": zeros(3)}
    count = len(bptt.zoo.get(cell).states)
    run = bptt.unroll(cell, params, zeros(1, 1, 2), (zeros(1, 3),) * count, backend=backend)
    found = []
    for k in range(count):
        dstates = tuple(zeros(1, 3) + (j == k) for j in range(count))
        grads = run.backward(zeros(1, 1, 3), dstates)
        found.append((float(grads.params["b"][0]), float(grads.states[0][0, 0])))
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_derived_backward_has_the_convention(dtype: Any, backend: str) -> None:
    found = at_zero(cell_of(*KINKS), dtype, backend)
    assert dict(zip(KINKS, found, strict=True)) == KINKS


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_cell_by_hand_has_the_convention(backend: str) -> None:
    assert at_zero("rnn-relu", np.float32, backend) == [(0, 0)]


@pytest.mark.parametrize("expression", KINKS)
def test_a_complex_step_sees_the_convention(expression: str) -> None:
    """So does what differentiates numerically: the forward of a written module, at the tie itself."""
    module: dict[str, Any] = {"__name__": "kink"}
    exec(page(cell_of(expression), "numpy"), module)
    zero, step = np.zeros((1, 1)), np.full((1, 1), 1e-30j)
    for k, wanted in enumerate(KINKS[expression]):
        params = {"W_h": np.ones((1, 1)), "U_h": np.zeros((1, 1)), "b_h": np.zeros(1)}
        at = (step, zero + 0j) if k == 0 else (zero + 0j, step)
        (h,), _ = module["step_forward"](params, *at)
        assert h.imag[0, 0] / 1e-30 == pytest.approx(wanted, rel=1e-14)


def test_where_a_condition_is_no_number_the_other_gets_the_gradient() -> None:
    """To nan nothing compares: where(log(h) > a, v, w) is w at a negative h, in what is printed, too."""
    text = "def mine(a_h, h):\n    h = where(log(h) > a_h, a_h, 0.5 * h)\n    return h"
    cell = EquationCell(read(text, options={"state": "h"}))
    names: dict[str, Any] = {"__name__": "printed"}
    exec(page(cell, "numpy"), names)
    params, h = {"W_h": np.ones((1, 1)), "U_h": np.zeros((1, 1)), "b_h": np.zeros(1)}, -np.ones((1, 1))
    with np.errstate(invalid="ignore"):
        *_, tape = names["forward"](params, np.zeros((1, 1, 1)), (h,))
        _, _, (dh,) = names["backward"](params, tape, np.ones((1, 1, 1)), (np.zeros((1, 1)),))
    assert dh == 0.5
    for form in ("torch", "jax"):
        assert "~(" in page(cell, form)


def test_a_floor_that_is_on_its_step_is_printed() -> None:
    """The last of the sums of a softmax is 1 but for rounding, which has another order in what is printed."""
    text = """
@bptt.cell(state="h s", heads=2, sizes={"key": 17}, shapes={"s": "unit key"})
def steps(a_h, s, h):
    s = tanh(h) + floor(3 * cumsoftmax(tanh(s), key)) * a_h
    return tanh(a_h) + h / 4, s
"""
    page(EquationCell(read(text)), "text")


@pytest.mark.parametrize("form", ["numpy", "torch", "jax"])
def test_a_sign_of_what_is_zero_over_a_range_is_printed(form: str) -> None:
    """Of a number that moves by an imaginary step alone the sign is that of its real part."""
    text = """
@bptt.cell(state="h")
def spiking(a_i, h):
    on = surrogate(where(a_i > 0, 1, 0), max(0, 1 - abs(a_i)), a_i)
    return tanh(a_i) + h * sign(on) / 2
"""
    page(EquationCell(read(text)), form)
