"""A quotient's gradient is a number wherever the quotient is one: its divisor is squared nowhere."""

from typing import Any

import mpmath
import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page, read
from bptt.types import Array

# each as the cell has it, and as it is computed in many digits, of f, i and g
FORMS: dict[str, Any] = {
    "f / (f + i) * c + i / (f + i) * g": lambda f, i, c, g: f / (f + i) * c + i / (f + i) * g,
    "g - (c - f / (f + i))": lambda f, i, c, g: g - c + f / (f + i),
    "tanh(f / (f + i)) * c + g": lambda f, i, c, g: mpmath.tanh(f / (f + i)) * c + g,
    "(f / (f + i)) ** 2 * c + g": lambda f, i, c, g: (f / (f + i)) ** 2 * c + g,
    "f / (f + i) * c * (i / (f + i)) + g": lambda f, i, c, g: f / (f + i) * c * i / (f + i) + g,
    "(f * c + i * g) / (f + i)": lambda f, i, c, g: (f * c + i * g) / (f + i),
    "c + f * (f + i) ** -1 * g": lambda f, i, c, g: c + f / (f + i) * g,
    "c + max(f / (f + i), 0.3) * g": lambda f, i, c, g: c + max(f / (f + i), mpmath.mpf(0.3)) * g,
}
AT = ("a_f", "a_i", "a_g", "c")


def cell_of(form: str, gate: str) -> EquationCell:
    lines = [f"f, i, g = {gate}(a_f), {gate}(a_i), tanh(a_g)", f"c = {form}", "return tanh(c), c"]
    body = "\n".join(f"    {line}" for line in lines)
    return EquationCell(read(f"@bptt.cell(state='h c')\ndef quot({', '.join(AT)}):\n{body}\n"))


def exact(form: str, gate: str, at: dict[str, float], d: tuple[float, float]) -> list[float]:
    """Return the gradients at all that the cell reads, by differences in many digits."""
    s = (lambda a: 1 / (1 + mpmath.exp(-a))) if gate == "sigmoid" else mpmath.exp

    def loss(a_f: Any, a_i: Any, a_g: Any, c: Any) -> Any:
        new = FORMS[form](s(a_f), s(a_i), c, mpmath.tanh(a_g))
        return d[0] * mpmath.tanh(new) + d[1] * new

    point, step = [mpmath.mpf(float(v)) for v in at.values()], mpmath.mpf(10) ** -25
    found = []
    for k in range(len(point)):
        up, down = ([p + (j == k) * h for j, p in enumerate(point)] for h in (step, -step))
        found.append(float((loss(*up) - loss(*down)) / (2 * step)))
    return found


def by_unroll(cell: EquationCell, at: dict[str, Array], d: tuple[float, float], backend: Any) -> list[Array]:
    dtype = at["c"].dtype
    params = {"W": np.eye(3, dtype=dtype), "U": np.zeros((1, 3), dtype), "b": np.zeros(3, dtype)}
    x = np.stack([at[n] for n in AT[:3]], -1)[None]
    c = at["c"][:, None]
    layer = bptt.unroll(cell, params, x, (np.zeros_like(c), c), backend=backend)
    grads = layer.backward(np.full_like(layer.y, d[0]), (np.zeros_like(c), np.full_like(c, d[1])))
    assert grads.inputs is not None
    return [*grads.inputs[0].T, grads.states[1][:, 0]]


def by_module(cell: EquationCell, at: dict[str, Array], d: tuple[float, float], _: str) -> list[Array]:
    dtype = at["c"].dtype
    made: dict[str, Any] = {"__name__": "module"}
    exec(page(cell, "numpy"), made)
    params = {f"W_{g}": np.eye(3, dtype=dtype)[:, [k]] for k, g in enumerate("fig")}
    params |= {f"U_{g}": np.zeros((1, 1), dtype) for g in "fig"} | {
        f"b_{g}": np.zeros(1, dtype) for g in "fig"
    }
    c = at["c"][:, None]
    x = np.stack([at[n] for n in AT[:3]], -1)[None]
    y, _states, tape = made["forward"](params, x, (np.zeros_like(c), c))
    _grads, dx, dstates = made["backward"](
        params, tape, np.full_like(y, d[0]), (np.zeros_like(c), np.full_like(c, d[1]))
    )
    return [*dx[0].T, dstates[1][:, 0]]


@pytest.mark.parametrize("gate", ["sigmoid", "exp"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gradients_are_right_as_far_as_numbers_are_normal(form: str, gate: str) -> None:
    rng = np.random.default_rng(0)
    d = (0.5, -0.75)
    cell = cell_of(form, gate)
    for dtype in (np.float32, np.float64):
        # the square is gone from half of the way on
        far = np.log(float(np.finfo(dtype).smallest_normal)) + 4
        a_f = np.linspace(far, 2, 8).astype(dtype)
        a_i = a_f + rng.choice([-1, 0, 1, 3], 8).astype(dtype)
        at = dict(zip(AT, (a_f, a_i, *rng.normal(size=(2, 8)).astype(dtype)), strict=True))
        with mpmath.workdps(60):
            rows = [dict(zip(AT, v, strict=True)) for v in zip(*at.values(), strict=True)]
            wanted = np.array([exact(form, gate, row, d) for row in rows]).T
        for how in ("reference", "cpu", "module" if gate == "exp" else "reference"):
            got = (by_module if how == "module" else by_unroll)(cell, at, d, how)
            bound = 40 * float(np.finfo(dtype).eps)
            np.testing.assert_allclose(np.array(got), wanted, 0, bound, err_msg=how)


def test_equal_quotients_have_one_value_and_numbers_none() -> None:
    equations = cell_of("f / (f + i) * c + f / (f + i) * g + c / 3 + a_i * (1 / 2) / 4", "exp").equations
    assert [s.name for s in equations.statements if s.name.startswith("ratio")] == ["ratio_1"]
    text = (
        "@bptt.cell(state='h')\ndef k(a_f, a_i, h):\n    r = a_f / a_i\n    h = a_f / a_i + h\n    return h\n"
    )
    assert [s.name for s in read(text).statements] == ["r", "h"]


def test_a_page_has_a_line_for_each() -> None:
    text = page(cell_of("f / (f + i) * c + i / (f + i) * g", "sigmoid"), "text")
    assert "ratio_1 = f / (f + i)    ratio_2 = i / (f + i)" in text
    assert "ratio_1) / (f + i)" in text
    assert "(f + i)²" not in text
