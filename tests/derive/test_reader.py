"""What is right, however unusual, and what is made of it: names, numbers, order, origin."""

import ast
import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, EquationError, Equations, cell, read
from bptt.derive.backward import Derivation
from bptt.derive.functions import FUNCTIONS, Function
from bptt.derive.proof import ProofError, prove
from bptt.types import Array
from pages import text_of


def lines(eq: Equations) -> list[str]:
    return [f"{s.name} = {ast.unparse(s.expr)}" for s in eq.statements]


def of(*body: str, arguments: str = "a_f, h", state: str = "h", more: str = "") -> Equations:
    return read(text_of(*body, arguments=arguments, options=f"state={state!r}{more}"))


def value(eq: Equations, **at: float) -> list[float]:
    """Return the states after a step of one unit; what is not given is zero."""
    made = EquationCell(eq)
    a = np.array([[float(at.get(name, 0)) for name in (*eq.gates, *eq.params)]])
    new, _ = made.forward(a, tuple(np.array([[float(at.get(s, 0))]]) for s in eq.states))
    return [float(s[0, 0]) for s in new]


RIGHT = {
    "a bare return": (of("return tanh(a_f + h)"), ["h = tanh(a_f + h_prev)"]),
    "parentheses": (of("h = (((a_f) + (h)))", "return (h)"), ["h = a_f + h_prev"]),
    "a tuple of one": (of("return (a_f * h,)"), ["h = a_f * h_prev"]),
    "a list returned": (of("return [a_f, h]", arguments="a_f, h, c", state="h c"), ["h = a_f", "c = h_prev"]),
    "chained": (of("i = f = a_f * 2", "return i * f * h"), ["i = a_f * 2", "h = i * i * h_prev"]),
    "a chained state": (
        of("h = c = a_f * 2", "return h, c", state="h c", arguments="a_f"),
        ["h = a_f * 2", "c = h"],
    ),
    "augmented": (of("h *= a_f", "h += 1", "return h"), ["h_1 = h_prev * a_f", "h = h_1 + 1"]),
    "with its type": (of("f: float = a_f * 2", "return f * h"), ["f = a_f * 2", "h = f * h_prev"]),
    "a tuple is set at once": (
        of("f, g = a_f, a_g", "f, g = g * 2, f * 3", "return f - g + h", arguments="a_f, a_g, h"),
        ["f = a_g * 2", "g = a_f * 3", "h = f - g + h_prev"],
    ),
    "an alias": (of("before = h", "h = a_f", "return h + before"), ["h_1 = a_f", "h = h_1 + h_prev"]),
    "the alias of its own": (of("h_prev = h", "h = a_f * h_prev", "return h"), ["h = a_f * h_prev"]),
    "the state by its whole name": (of("return a_f * h_prev", arguments="a_f, h_prev"), ["h = a_f * h_prev"]),
    "a dead value": (of("s = tanh(h)", "s = exp(s)", "return a_f * h"), ["h = a_f * h_prev"]),
    "a state unchanged": (
        of("return a_f * c, c", state="h c", arguments="a_f, c"),
        ["h = a_f * c_prev", "c = c_prev"],
    ),
    "a swap": (
        of("return a_f * c, h", state="h c", arguments="a_f, h, c"),
        ["h = a_f * c_prev", "c = h_prev"],
    ),
    "a swap of what is set": (
        of("h = a_f * c", "c = 2 * h", "return c, h", state="h c", arguments="a_f, c"),
        ["c = a_f * c_prev", "h = 2 * c"],
    ),
    "a state set and another returned": (
        of("h = tanh(a_f)", "return 2 * h"),
        ["h_1 = tanh(a_f)", "h = 2 * h_1"],
    ),
    "one value for two": (
        of("v = a_f * 2", "return v, v", state="h c", arguments="a_f"),
        ["v = a_f * 2", "h = v", "c = v"],
    ),
    "another name for a state": (of("new = a_f * h", "return new"), ["h = a_f * h_prev"]),
    "a gate set anew": (
        of(
            "a_f = a_f + p_f * c",
            "return sigmoid(a_f), c",
            state="h c",
            arguments="a_f, c, p_f",
            more=", params='p_f'",
        ),
        ["a_f_1 = a_f + p_f * c_prev", "h = sigmoid(a_f_1)", "c = c_prev"],
    ),
    "a name with a number taken": (
        of("h_1 = a_f", "h_1 = h_1 * 2", "h = h_1 * h", "h = h + h_1", "return h"),
        ["h_1 = a_f * 2", "h_2 = h_1 * h_prev", "h = h_2 + h_1"],
    ),
    "states named otherwise": (
        of(
            "memory = a_f * memory",
            "return tanh(memory), memory",
            state="out memory",
            arguments="a_f, memory",
        ),
        ["memory = a_f * memory_prev", "out = tanh(memory)"],
    ),
    "states with commas": (of("return a_f, c", state="h, c", arguments="a_f, c"), ["h = a_f", "c = c_prev"]),
    "Greek": (of("α = σ(a_φ)", "return α * h", arguments="a_φ, h"), ["α = sigmoid(a_φ)", "h = α * h_prev"]),
    "anybody's tanh": (
        of("return np.tanh(a_f) + math.exp(h) + torch.nn.functional.softplus(h)"),
        ["tanh_a_f = tanh(a_f)", "exp_h_prev = exp(h_prev)", "softplus_h_prev = softplus(h_prev)"],
    ),
    "functions in functions": (
        of("return tanh(2 * sigmoid(exp(a_f)))"),
        ["exp_a_f = exp(a_f)", "sigmoid_exp_a_f = sigmoid(exp_a_f)", "h = tanh(2 * sigmoid_exp_a_f)"],
    ),
    "one function twice": (
        of("s = tanh(a_f)", "return tanh(a_f) * s + tanh(a_f)"),
        ["s = tanh(a_f)", "h = s * s + s"],
    ),
    "<": (of("return where(a_f < h, 1, h)"), ["h = where(h_prev - a_f, 1, h_prev)"]),
    "<=": (of("return where(a_f <= h, 1, h)"), ["h = where(a_f - h_prev, h_prev, 1)"]),
    ">": (of("return where(a_f > 0, 1, h)"), ["h = where(a_f, 1, h_prev)"]),
    ">=": (of("return where(a_f >= 0, 1, h)"), ["h = where(0 - a_f, h_prev, 1)"]),
    "a known condition": (of("return where(2 > 1, a_f, h)"), ["h = a_f"]),
    "a function of numbers": (of("return a_f * sqrt(4)"), ["h = a_f * 2.0"]),
    "powers": (
        of("return a_f ** 0.5 + a_f ** -1 + a_f ** -2 + a_f ** 0 + a_f ** (1 + 1) + a_f ** 2.0"),
        [
            "ratio_1 = a_f ** (-1)",
            "ratio_2 = a_f ** (-2)",
            "h = a_f ** 0.5 + ratio_1 + ratio_2 + a_f ** 0 + a_f ** 2 + a_f ** 2",
        ],
    ),
    "a constant's power": (of("return a_f ** p", arguments="a_f, p=3"), ["h = a_f ** 3"]),
    "a constant by name only": (of("return a_f, 0.5", state="h c"), ["h = a_f", "c = 0.5"]),
    "remarks": (of('"""What it is."""', "h = a_f  # a gate", '"and so on"', "pass", "return h"), ["h = a_f"]),
}


@pytest.mark.parametrize("case", RIGHT)
def test_it_is_read(case: str) -> None:
    eq, wanted = RIGHT[case]
    assert lines(eq)[: len(wanted)] == [ast.unparse(ast.parse(line)) for line in wanted]
    again = read(eq.text)
    assert (lines(again), again.text) == (lines(eq), eq.text)
    prove(Derivation(eq))


def test_values() -> None:
    """What the lines mean, in numbers that anybody can check."""
    eq = of("return where(a_f <= h, 1, 2) + where(a_f >= h, 10, 20) + where(a_f < h, 100, 200)")
    assert value(eq, a_f=1, h=1) == [1 + 10 + 200]
    assert value(eq, a_f=0, h=1) == [1 + 20 + 100]
    assert value(eq, a_f=2, h=1) == [2 + 10 + 200]
    assert value(of("return -2 ** 2 * a_f"), a_f=1) == [-4]
    assert value(of("return 2 - 3 - a_f - (1 - h)"), a_f=1, h=5) == [2]
    assert value(of("return a_f / 2 / 4 * 3"), a_f=8) == [3]
    assert value(of("return max(a_f, h) + 10 * min(a_f, h) + abs(h)"), a_f=1, h=-2) == [1 - 20 + 2]
    assert value(of("h += 2 * a_f", "h *= h", "return h"), a_f=1, h=3) == [25]
    assert value(of("return c, a_f * h", state="h c", arguments="a_f, h, c"), a_f=2, h=3, c=5) == [5, 6]


# -- what a function sees

RATE = 0.25
COUNT = np.int64(3)
SMALL = np.float32(0.5)


def test_numbers_of_the_module_the_closure_and_the_defaults() -> None:
    inner = -1.5

    @cell(state="h")
    def mine(a_f, h, keep=RATE * 2, *, floor=-COUNT):  # type: ignore[no-untyped-def]
        h = keep * h + RATE * a_f + COUNT - floor + inner**2 + SMALL
        return h + np.pi + math.e

    eq = mine.equations
    assert eq.constants == {"keep": 0.5, "floor": -3.0}
    expected = 0.5 * 2 + 0.25 * 4 + 3 + 3 + 2.25 + 0.5 + math.pi + math.e
    assert value(eq, a_f=4, h=2) == [pytest.approx(expected, rel=1e-15)]
    again = read(eq.text)
    assert value(again, a_f=4, h=2) == value(eq, a_f=4, h=2)
    assert "RATE" not in eq.text
    assert "inner" not in eq.text


def test_a_local_name_is_not_the_modules() -> None:
    eq = read('@cell(state="h")\ndef mine(a_f):\n    T = a_f\n    return T\n', known={"T": 64.0})
    assert lines(eq) == ["h = a_f"]
    with pytest.raises(EquationError, match="T is not known here: it is set further down"):
        read(
            '@cell(state="h")\ndef mine(a_f):\n    h = a_f * T\n    T = h\n    return h\n', known={"T": 64.0}
        )


def test_a_functions_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module reloaded after an edit defines its cell again, and not a second one."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    text = 'import bptt\n\n@bptt.cell(state="h")\ndef one(a_f, h):\n    return a_f * h\n'
    (tmp_path / "bptt_reloaded_cells.py").write_text(text)
    module = importlib.import_module("bptt_reloaded_cells")
    (tmp_path / "bptt_reloaded_cells.py").write_text("# more\n# and more\n" + text.replace("* h", "* 2 * h"))
    importlib.invalidate_caches()
    assert lines(importlib.reload(module).one.equations) == ["h = a_f * 2 * h_prev"]


def test_in_a_class_and_in_a_function() -> None:
    class Cells:
        @cell(state="h")
        def plain(a_f, h):  # type: ignore[no-untyped-def]  # noqa: N805
            # a remark
            return a_f * h

    assert lines(Cells.plain.equations) == ["h = a_f * h_prev"]


def test_the_decorator_without_a_call_has_one_state() -> None:
    @cell
    def plain(a_h):  # type: ignore[no-untyped-def]
        """Return what it is."""
        return tanh(a_h)  # type: ignore[name-defined]  # noqa: F821

    assert plain.states == ("h",)
    assert plain.__doc__ == "Return what it is."
    assert read(plain.equations.text).states == ("h",)


def test_a_name_of_its_own_stays_with_the_text() -> None:
    made = cell(state="h", name="my-Own_2")(_mine)
    assert made.name == "my-Own_2"
    assert read(made.equations.text).name == "my-Own_2"
    assert read(made.equations.text, name="other").name == "other"
    assert cell(_mine).name == "mine"


def _mine(a_h):  # type: ignore[no-untyped-def]
    return a_h


def test_options_are_kept_in_the_text() -> None:
    more = ', bias=False, operand={"a_n": "q"}, params={"p": (-1, 1), "r": 0.5}'
    eq = of("q = a_f * h * p * r", "return a_n + q", arguments="a_f, a_n, h, p, r", more=more)
    again = read(eq.text)
    assert (again.bias, again.operand) == (False, {"a_n": "q"})
    assert again.params == eq.params == {"p": (-1.0, 1.0), "r": 0.5}


def test_an_error_in_equations_is_the_librarys() -> None:
    assert issubclass(bptt.derive.EquationError, bptt.BpttError)


# -- the proof


def test_a_fault_in_the_table_of_derivatives_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """For every function: its derivative off by a thousandth of a thousandth of a thousandth."""
    for name, function in FUNCTIONS.items():
        three = {"where": "a_f > h, a_g, h", "surrogate": "tanh(a_f), a_g * h, a_f"}
        arguments = three.get(name, ", ".join(["a_f", "h"][: function.arity]))
        body = f"return {name}({arguments}) * a_f"
        if name in ("log", "sqrt"):
            body = f"return {name}(a_f * a_f + 0.1) * a_f"
        eq = of(body, arguments="a_f, a_g, h" if name in three else "a_f, h")
        prove(Derivation(eq))
        for k, derivative in enumerate(function.derivatives):
            if derivative == "0":
                continue
            wrong = list(function.derivatives)
            wrong[k] = f"({derivative})*1.000000001"
            with monkeypatch.context() as patch:
                patch.setitem(FUNCTIONS, name, Function(function.numpy, tuple(wrong)))
                with pytest.raises(ProofError, match=r"mine: the derived gradient at .* is off by .*e-"):
                    prove(Derivation(eq))


@pytest.mark.parametrize(
    "eq",
    [
        # the gradient at a_o is not that at the whole of o's argument: tanh has it, too
        of("o = sigmoid(a_o + a_f * h)", "return o * tanh(a_o)", arguments="a_o, a_f, h"),
        # nor is the gradient at m, which comes from the step after as well
        of("m = a_f * m", "return tanh(m + a_g), m", state="h m", arguments="a_f, a_g, m"),
        # nor the one at a constant, of which there is none
        of("return tanh(k + a_f) * h", arguments="a_f, h, k=0.5"),
        # a gradient of one sign here, of the other there, and neither of them a float
        of("return max(a_f, -a_f) + max(h, h)"),
        # a value that algebra knows to be a number is none that the code can ask for its dtype
        of("w = tanh(a_f) ** 0", "return abs(-w) * h + sigmoid(w) * a_f + sqrt(a_f - a_f + 2)"),
    ],
)
def test_derivations_that_were_wrong_once(eq: Equations) -> None:
    d = Derivation(eq)
    assert prove(d).error < 1e-12
    assert not set(eq.constants) & {*d.main.kept, *d.main.gradients}


def test_a_line_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    d = Derivation(bptt.zoo.get("lstm-peephole").equations)  # type: ignore[attr-defined]
    main = d.main
    for name in list(main.gradients):
        d.__dict__["main"] = replace(
            main, gradients={argument: g for argument, g in main.gradients.items() if argument != name}
        )
        with pytest.raises(ProofError, match=f"the derived gradient at {name}"):
            prove(d)


@pytest.mark.parametrize(
    ("body", "points"),
    [
        ("return log(a_f) + sqrt(h)", 512),  # a quarter of the points has numbers
        ("return log(a_f) ** 0.5 * sqrt(h - 1)", 512),
        ("return a_f ** 0.5 + h ** -0.5", 512),
        ("return sqrt(a_f - 3.5) * h", 7),  # one in four thousand
        ("return exp(exp(exp(2 * a_f))) * h", 512),  # and some are too large
    ],
)
def test_a_domain_that_is_a_part(body: str, points: int) -> None:
    proof = prove(Derivation(of(body)))
    assert proof.error < 1e-12
    assert min(proof.points, points) == points


def test_equations_that_give_no_number() -> None:
    with pytest.raises(ProofError, match=r"mine: the equations give no number at 32,768 random points"):
        prove(Derivation(of("return log(-exp(a_f)) * h")))


def test_a_gradient_that_is_no_number_is_told_from_a_wrong_one() -> None:
    with pytest.raises(
        ProofError, match=r"mine: the gradient at a_f is no number at \d+ of 512 .* sqrt\(0\)"
    ):
        prove(Derivation(of("return sqrt(relu(a_f)) * h")))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (1, 1)])
@pytest.mark.parametrize(
    "eq",
    [
        of("return a_f, 1", state="h c"),
        of("return a_f, c", state="h c", arguments="a_f, c"),
        of("return 0.5 * p, where(a_f > 0, 1, 0)", state="h c", arguments="a_f, p", more=", params='p'"),
        of("v = a_f * 2", "return v, v", state="h c"),
        of(
            "return max(a_f, -a_f), where(a_f > 0, 2, keep) - abs(h)", state="h c", arguments="a_f, h, keep=3"
        ),
        of("return min(a_f, a_f), sigmoid(keep) * h", state="h c", arguments="a_f, h, keep=3"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_shape_and_dtype(shape: tuple[int, int], eq: Equations, dtype: type) -> None:
    """Constants as outputs, states that nobody reads, no rows: arrays of the shape and dtype asked for."""
    made = EquationCell(eq)
    prove(made.derivation)
    N, H = shape
    a: Array = np.full((N, len(made.gates) * H), 0.3, dtype)
    new, cache = made.forward(a, (np.ones(shape, dtype), np.ones(shape, dtype)))
    assert len({id(x) for x in new}) == len(new)
    da, dstates = made.backward(new, cache)
    arrays: list[Array] = [*new, *dstates]
    assert [(x.shape, x.dtype) for x in arrays] == [(shape, np.dtype(dtype))] * 4
    assert (da.shape, da.dtype) == (a.shape, np.dtype(dtype))
