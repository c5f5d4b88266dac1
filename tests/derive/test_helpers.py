"""Helpers and the words that are helpers: written in where they are called, the same when read again."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import elementwise
from bptt.derive import EquationCell, page, read
from bptt.derive.functions import HELPERS
from bptt.derive.proof import prove
from bptt.errors import BpttError
from bptt.zoo import load, record
from gradcheck import complex_step, random_layer
from pages import text_of

FILE = '''
import bptt
RATE = 1.5

def swish(u, beta=1.0):
    """Ramachandran et al. 2017."""
    z: float = beta * u * RATE
    return u * sigmoid(z)

def twice(v):
    return swish(v, 2) + swish(v) * swish(v)

@bptt.cell(state="h c")
def mine(a_g, a_f, a_o, h, c, keep=0.9):
    """A cell with helpers of the file and of its own."""
    def cube(u):
        RATE = u * u
        return RATE * u
    def gelu(u):
        return cube(u) + twice(u - keep_not(u))
    c = sigmoid(a_f) * c + twice(a_g + c)
    h = tanh(c) * gelu(a_o) + silu(c) + cube(tanh(c) + h) + a_o % keep
    return h, c
'''.replace("twice(u - keep_not(u))", "u")


def written(text: str, folder: Path) -> Any:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    return load(f"{folder / 'mine.py'}:mine")


def parts(cell: EquationCell) -> list[Any]:
    return [(s.name, ast.unparse(s.expr), s.reads, s.number) for s in cell.equations.statements]


def test_helpers_of_the_file_and_of_the_cell(tmp_path: Path) -> None:
    cell = written(FILE, tmp_path)
    assert prove(cell.derivation).error < 1e-12
    case = random_layer(np.random.default_rng(1), cell, T=3)
    a, c = np.linspace(-2, 2, 5), np.linspace(1, -1, 5)

    def swish(u: Any, beta: float = 1.0) -> Any:
        return u * elementwise.sigmoid(beta * u * 1.5)

    def twice(v: Any) -> Any:
        return swish(v, 2) + swish(v) ** 2

    h, f, o = 0.3 * a, a[::-1] + 0.1, 0.7 - a
    (got_h, got_c), _ = cell.forward(np.concatenate([a, f, o])[None], (h[None], c[None]))
    c = elementwise.sigmoid(f) * c + twice(a + c)
    wanted = np.tanh(c) * (o**3 + o) + c * elementwise.sigmoid(c) + (np.tanh(c) + h) ** 3 + np.mod(o, 0.9)
    np.testing.assert_allclose(got_c[0], c, rtol=1e-13)
    np.testing.assert_allclose(got_h[0], wanted, rtol=1e-13)

    kept = record.to_json(cell)
    again = record.from_json(kept)  # without the file
    assert isinstance(again, EquationCell)
    assert parts(again) == parts(cell)
    assert record.to_json(again) == kept
    for form in ("text", "latex", "html", "numpy", "torch"):
        assert page(cell, form)
    got, by_step = case.grads(), complex_step(case.loss, case.arrays)
    for name, gradient in by_step.items():
        np.testing.assert_allclose(got[name], gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", HELPERS)
def test_a_word_is_what_it_says(name: str) -> None:
    function: Any = HELPERS[name]
    arguments = ", ".join(["a_h", "h", "1.5"][: function.__code__.co_argcount])
    eq = read(text_of(f"return {name}({arguments}) + h * a_h"))
    assert prove(EquationCell(eq).derivation).error < 1e-12
    a, h = np.random.default_rng(0).normal(size=(2, 1, 50))
    (got,), _ = EquationCell(eq).forward(a, (h,))
    values = (a, h, np.float64(1.5))[: function.__code__.co_argcount]
    plain: Any = {"mod": np.mod, "clip": lambda u, low, high: np.minimum(np.maximum(u, low), high)}.get(
        name, function
    )
    np.testing.assert_allclose(got - h * a, plain(*values), rtol=1e-12, atol=1e-14)


def test_equal_calls_have_one_value_and_a_number_is_one() -> None:
    eq = read(
        text_of("def twice(u):", "    return 2 * u", "return twice(h + a_h) * twice(h + a_h) + twice(3)")
    )
    assert [s.name for s in eq.statements] == ["twice_1", "h"]
    assert ast.unparse(eq.statements[-1].expr) == "twice_1 * twice_1 + 6.0"


def test_older_cells_keep_names_that_are_words_now() -> None:
    eq = read(text_of("mod = tanh(a_h) * floor", "return mod + h * Phi", arguments="a_h, h, Phi, floor=0.5",
                      options="state='h', params='Phi'"))  # fmt: skip
    for form in ("text", "numpy", "torch"):
        assert page(EquationCell(eq), form)
    with pytest.raises(BpttError, match="floor is a function in equations: call the value something else"):
        read(text_of("return silu(a_h) * floor + h", arguments="a_h, h, floor=0.5"))


WRONG = {
    "itself": (["def f(u):", "    return f(u)"], "f(a_h)", "f is not known"),
    "one below": (["def f(u):", "    return g(u)", "def g(u):", "    return u"], "f(a_h)", "g is not known"),
    "too many": (["def f(u):", "    return u"], "f(a_h, h)", "f takes 1 value, by position: def f(u); got"),
    "too few": (["def f(u, v, w=1):", "    return u"], "f(a_h)", "f takes 2 to 3 values, by position"),
    "by name": (["def f(u):", "    return u"], "f(u=a_h)", "f takes 1 value, by position"),
    "the cell's": (["def f(u):", "    return u * h"], "f(a_h)", "h is not known in f, ...: hand h over"),
    "no return": (["def f(u):", "    v = u"], "f(a_h)", "f ends without returning a value"),
    "a tuple": (["def f(u):", "    v, w = u, u", "    return v"], "f(a_h)", "f sets one name a line"),
    "an if": (["def f(u):", "    if u > 0: u = 0", "    return u"], "f(a_h)", "where(a > b, this, that)"),
    "an inner": (
        ["def f(u):", "    def g(v): return v", "    return u"],
        "f(a_h)",
        "a function inside a helper",
    ),
    "a word": (
        ["def tanh(u):", "    return u"],
        "tanh(a_h)",
        "tanh is a function in equations: call the helper",
    ),
    "a value": (["def f(u):", "    return u", "f = 2 * h"], "f(a_h)", "f is a value, too"),
    "twice": (["def f(u):", "    return u"] * 2, "f(a_h)", "a second helper is called f"),
    "no call": (["def f(u):", "    return u"], "f * a_h", "f is a function: f(...)"),
    "a star": (["def f(*u):", "    return 1"], "f(a_h)", "no * and no /"),
    "a decorator": (["@g", "def f(u):", "    return u"], "f(a_h)", "f has a decorator"),
}


@pytest.mark.parametrize("name", WRONG)
def test_helpers_that_are_none(name: str) -> None:
    lines, call, says = WRONG[name]
    with pytest.raises(BpttError) as caught:
        read(text_of(*lines, f"return {call} + h * a_h"))
    for piece in says.split("..."):
        assert piece in str(caught.value)
    assert "\n" not in str(caught.value)


def test_helpers_of_the_file_that_are_none(tmp_path: Path) -> None:
    for line, says in {
        "def twice(v): return twice(v)": "twice calls itself: a helper calls those above it",
        "twice = lambda v: v": "twice is not what its def calls it: def twice(u): return ...",
        "def twice(v): return v[0]": "twice: an index",
    }.items():
        with pytest.raises(BpttError, match=r"mine\.py:\d+: ") as caught:
            written(FILE.replace("@bptt.cell", f"{line}\n\n@bptt.cell"), tmp_path)
        assert says in str(caught.value)


def test_helpers_do_not_grow_without_bound() -> None:
    lines = ["def f0(u): return u + u"]
    lines += [f"def f{k}(u): return f{k - 1}(u) * f{k - 1}(u + {k})" for k in range(1, 30)]
    with pytest.raises(BpttError, match=r"a cell has at most (5,000|300)"):
        read(text_of(*lines, "return f29(a_h) + h"))
