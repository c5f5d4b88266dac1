"""Two hundred cells that nobody would write: derived, proven, run through time, read back from their text.

What is protected: the reader (against Python itself running the text), the derivation (against the complex
step, of a step and of a sequence), dtypes, and the text that a checkpoint keeps.
"""

import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bptt import unroll
from bptt.derive import EquationCell, functions, page, read
from bptt.derive.functions import HELPERS
from bptt.derive.proof import prove
from bptt.elementwise import absolute, relu, sigmoid, softplus
from bptt.types import Array
from gradcheck import complex_step, random_layer
from random_cells import random_cell

OUTSIDE = -1.5
SEEDS = (*range(200), 228, 242, 369, 672)  # and some that found a fault among later ones


@cache
def cell_of(seed: int) -> EquationCell:
    return EquationCell(read(random_cell(seed), known={"OUTSIDE": OUTSIDE}))


def draw(cell: EquationCell, seed: int = 1, dtype: Any = np.float64) -> tuple[Array, tuple[Array, ...]]:
    rng = np.random.default_rng(seed)
    N, H = 4, 3
    a = rng.normal(size=(N, len(cell.gates) * H)).astype(dtype)
    return a, tuple(rng.normal(size=(N, H)).astype(dtype) for _ in cell.states)


def by_python(text: str, cell: EquationCell, a: Array, states: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the new states as Python finds them, from the text, run."""

    def of_numbers(function: Any) -> Any:
        return lambda *given: float(function(*(np.array([g]) for g in given))[0])

    own: dict[str, Any] = {
        "sigmoid": sigmoid,
        "relu": relu,
        "softplus": softplus,
        "abs": absolute,
        "absolute": absolute,
    }
    own |= {"tanh": np.tanh, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "where": np.where}
    own |= {name: getattr(functions, name) for name in ("sin", "cos", "erf", "Phi", "sign", "floor", "stop")}
    own |= {name: getattr(functions, name) for name in ("surrogate", *HELPERS)}
    own |= {"max": np.maximum, "maximum": np.maximum, "min": np.minimum}
    names = {name: of_numbers(function) for name, function in own.items()}
    names["mod"] = np.mod
    names |= {"np": np, "math": math, "OUTSIDE": OUTSIDE}
    names["bptt"] = SimpleNamespace(cell=lambda **options: lambda function: function)
    exec(text, names)
    function = names[cell.name.replace("-", "_")]
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
    eq, H = cell.equations, states[0].shape[-1]
    at = {g: a[:, k * H : (k + 1) * H] for k, g in enumerate((*eq.gates, *eq.params))}
    at |= dict(zip(eq.states, states, strict=True))
    new = tuple(np.empty_like(s) for s in states)
    for unit in np.ndindex(states[0].shape):  # one hidden unit at a time, in plain numbers
        given = function(**{name: float(at[name][unit]) for name in wanted if name in at})
        for state, value in zip(new, given if isinstance(given, tuple) else (given,), strict=True):
            state[unit] = value
    return new


@pytest.mark.parametrize("block", range(10))
def test_derived_is_the_complex_step_and_forward_is_python(block: int) -> None:
    for seed in SEEDS[block::10]:
        cell = cell_of(seed)
        assert prove(cell.derivation).error < 1e-12, seed
        a, states = draw(cell)
        new, _ = cell.forward(a, states)
        wanted = by_python(random_cell(seed), cell, a, states)
        for name, got, value in zip(cell.states, new, wanted, strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-13, atol=1e-13, err_msg=f"{seed} {name}")

        float32 = draw(cell, dtype=np.float32)
        new, cache = cell.forward(*float32)
        da, dstates = cell.backward(tuple(np.ones_like(s) for s in new), cache)
        kept = [k for k in cache[0] if isinstance(k, np.ndarray | np.generic)]
        if cell.from_q:
            q, q_cache = cell.operand(*float32)
            dstates += cell.operand_backward(np.ones_like(q), q_cache, da)
            kept += [q, *(k for k in q_cache if isinstance(k, np.ndarray | np.generic))]
        assert {x.dtype for x in (*new, da, *dstates, *kept)} == {np.dtype(np.float32)}, seed

        again = EquationCell(read(cell.equations.text))
        assert again.equations.text == cell.equations.text
        assert (again.gates, again.states, again.from_q) == (cell.gates, cell.states, cell.from_q)
        for one, other in zip(run(cell, a, states), run(again, a, states), strict=True):
            assert one.tobytes() == other.tobytes(), seed


def run(cell: EquationCell, a: Array, states: tuple[Array, ...]) -> list[Array]:
    new, cache = cell.forward(a, states)
    da, dstates = cell.backward(tuple(np.cos(s) for s in new), cache)
    return [*new, da, *dstates]


@pytest.mark.parametrize("block", range(6))
def test_words_that_came_later(block: int) -> None:
    """The same of these, beside the others; printed, and in compiled code."""
    for seed in range(block, 60, 6):
        text = random_cell(seed, later=True)
        cell = EquationCell(read(text, known={"OUTSIDE": OUTSIDE}))
        assert prove(cell.derivation).error < 1e-12, seed
        a, states = draw(cell)
        new, _ = cell.forward(a, states)
        for got, value in zip(new, by_python(text, cell, a, states), strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-12, atol=1e-12, err_msg=str(seed))
        again = EquationCell(read(cell.equations.text))
        for one, other in zip(run(cell, a, states), run(again, a, states), strict=True):
            assert one.tobytes() == other.tobytes(), seed
        if seed % 10 == 0:
            assert page(cell)
            assert page(cell, "numpy")


@pytest.mark.parametrize("seed", range(0, 60, 10))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_words_that_came_later_are_compiled(seed: int, dtype: Any) -> None:
    cell = EquationCell(read(random_cell(seed, later=True), known={"OUTSIDE": OUTSIDE}))
    case = random_layer(np.random.default_rng(seed), cell, T=3, N=3, D=2, H=19, dtype=dtype)
    states = tuple(case.arrays[f"{s}0"] for s in cell.states)
    runs = [unroll(cell, case.params, case.arrays["x"], states, backend=b) for b in ("reference", "cpu")]
    found = [case.backward(r) for r in runs]  # type: ignore[arg-type]
    pairs = [
        (r.y, *r.states, d.inputs, *d.states, *d.params.values()) for r, d in zip(runs, found, strict=True)
    ]
    for one, other in zip(*pairs, strict=True):
        off = np.abs(one - other) / (1 + np.abs(one).max(initial=0))
        # in float32 one may be on another side of a step
        assert off.size == 0 or np.quantile(off, 0.9) < (1e-4 if dtype == np.float32 else 1e-11), seed


@pytest.mark.parametrize("seed", SEEDS[::5])
def test_through_time(seed: int) -> None:
    """The whole sequence by complex step in complex numbers, which knows nothing of a backward."""
    mask = np.array([[True, True], [True, False], [True, True]])
    reset = np.array([[False, False], [False, False], [False, True]])
    case = random_layer(
        np.random.default_rng(seed), cell_of(seed), T=3, N=2, D=2, H=2, mask=mask, reset=reset
    )
    got, wanted = case.grads(), complex_step(case.loss, case.arrays)
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        size = max(1.0, np.abs(gradient).max(initial=0))
        assert np.abs(got[name] - gradient).max(initial=0) < 1e-12 * size, name
    single = case.astype(np.float32)
    made = (*single.outputs().values(), *single.grads().values())
    assert {x.dtype for x in made} == {np.dtype(np.float32)}


def test_the_cells_are_not_all_alike() -> None:
    """The generator reaches all of the notation: otherwise the above protects less than it says."""
    texts = "".join(random_cell(seed) for seed in SEEDS)
    for piece in ("where(", "min(", "maximum(", "sqrt(", "log(", "operand=", "params=", "u_", "x_", "**"):
        assert texts.count(piece) >= 10, piece
    for piece in ("+=", "*=", ": float =", "math.pi", "OUTSIDE", "keep=", "absolute(", "softplus("):
        assert texts.count(piece) >= 10, piece
    states = [len(cell_of(seed).states) for seed in SEEDS]
    gates = [len(cell_of(seed).equations.gates) for seed in SEEDS]
    assert set(states) == {1, 2, 3, 4}
    assert set(gates) == {1, 2, 3, 4, 5}


def test_what_is_computed_again_reads_what_is_kept() -> None:
    """In the module it is the text that is run again, with names that algebra has found to be of no use."""
    text = "k = a_h * h - tanh(h) ** 0\nreturn relu(k) + sqrt(k * k + 0.1)".replace("\n", "\n    ")
    cell = EquationCell(read(f"@bptt.cell(state='h')\ndef again(a_h, h):\n    {text}"))
    assert page(cell, "numpy")
