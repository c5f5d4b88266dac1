"""What a cell may have at most, and names and numbers that could break what is made from it."""

import time
import unicodedata

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, EquationError, page, read
from bptt.derive.source import DEEPEST, LONGEST_NAME, LONGEST_TEXT
from bptt.errors import RunError
from bptt.zoo import record
from gradcheck import random_layer
from pages import text_of


def cell(body: str, arguments: str = "a_h, h", options: str = "state='h'", returned: str = "h") -> str:
    return text_of(*body.splitlines(), f"return {returned}", arguments=arguments, options=options)


def chain(count: int) -> str:
    return "v = a_h\n" + "v = 0.5 * tanh(v + h)\n" * (count // 2) + "h = v"


TOO_LARGE = {
    "many marks": (cell("a" + "\u0301\u0316" * 20_000 + " = a_h\nh = a_h"), "more than 30 combining marks"),
    "a long text": (cell("h = a_h") + "#" * LONGEST_TEXT, "a text of 200,0"),
    "many operators": (cell("h = " + " + ".join(["a_h"] * 20_000)), "nested more than 60 deep"),
    "a deep sum": (cell("h = " + " + ".join(["a_h"] * (DEEPEST + 5))), "nested more than 60 deep"),
    "deep brackets": (cell("h = " + "tanh(" * 70 + "a_h" + ")" * 70), "nested more than 60 deep"),
    "many signs": (cell("h = " + "-" * 50_000 + "a_h"), "nested more than 60 deep"),
    "many parts": (cell(("h = " + " + ".join(["h * a_h"] * 40) + "\n") * 50), "at most 5,000"),
    "many values": (cell(chain(1000)), "a cell has at most 300 values"),
    "many arguments": (
        cell("h = a_h", "a_h, h, " + ", ".join(f"k{n}=1" for n in range(200))),
        "202 arguments",
    ),
    "a long integer": (cell("h = a_h * 0x" + "f" * 5000), "a number beyond 1.8e308"),
    "a longer one": (cell("h = a_h * " + "9" * 5000), "this is not Python"),
    "a power of powers": (cell("h = a_h + 9**9**9**9"), "the power"),
    "a negative power": (cell("h = a_h ** -9**9"), "the power"),
    "numbers that overflow": (cell("h = a_h + 1e200 * 1e200"), "is no number"),
    "a long name": (cell("h = a_h", options=f"state='h', name='{'n' * 101}'"), f"{LONGEST_NAME} at most"),
    "a gate's name for a parameter": (cell("h = a_h + a_p", "a_h, h, a_p", "params='a_p'"), "params= 'a_p'"),
    "a state's for a parameter": (
        cell("h = a_h + h_prev", "a_h, h_prev", "params='h_prev'"),
        "params= 'h_pr",
    ),
    "bounds upside down": (cell("h = a_h + u", "a_h, u", "params={'u': (1, -1)}"), "a pair of bounds"),
    "bounds too wide": (cell("h = a_h + u", "a_h, u", "params={'u': (-1e308, 1e308)}"), "a pair of bounds"),
    "a bound too long": (
        cell("h = a_h + u", "a_h, u", "params={'u': 0x" + "f" * 400 + "}"),
        "a number beyond",
    ),
    "a name for Python": (cell("__debug__ = a_h\nh = a_h"), "__debug__ has a meaning"),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_what_is_too_large_is_told_at_once(kind: str) -> None:
    text, says = TOO_LARGE[kind]
    start = time.perf_counter()
    with pytest.raises(EquationError) as caught:
        read(text, file="cells.py")
    assert time.perf_counter() - start < 5
    assert says in str(caught.value)
    assert str(caught.value).startswith("cells.py:")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "name", ["a\0b", "a\nb", "\x1b[31m", "", "a b", "a/b", "../x", "x" * 200, "\xad"], ids=ascii
)
def test_a_name_is_letters_and_digits(name: str) -> None:
    with pytest.raises(EquationError, match="name= must be letters, digits, - and _") as caught:
        read(cell("h = a_h", options=f"state='h', name={name!r}"))
    assert str(caught.value).isprintable()
    with pytest.raises(RunError, match="name= must be letters") as told:
        record.from_json({"name": name, "equations": cell("h = a_h")})
    assert str(told.value).isprintable()


def use(made: EquationCell) -> None:
    """Run a cell forward and back by the reference, and print its pages."""
    case = random_layer(np.random.default_rng(0), made)
    assert all(g.shape == case.arrays[name].shape for name, g in case.grads().items())
    for form in ("text", "latex", "html", "numpy", "torch"):
        assert page(made, form)


WELL = {
    "a tie by algebra": cell("h = max(h + k, h) + a_h", "a_h, h, k=0.5"),
    "a choice by algebra": cell("h = where(h + k > h, 2 * a_h, a_h)", "a_h, h, k=0.5"),
    "seven gates": cell(
        "h = " + " + ".join(f"tanh(a_{g})" for g in "kjlmnpq"), ", ".join(f"a_{g}" for g in "kjlmnpq")
    ),
    "names of Python": cell("len = tanh(a_h)\nprint = len * dict\nexec = print\nh = exec", "a_h, dict=0.3"),
    "names of NumPy": cell("numpy = tanh(a_h)\narray = numpy * dtype\nh = array", "a_h, dtype=0.3"),
    "names of algebra": cell(
        "E = tanh(a_h)\nI = E * 2\nS = I + 1\nN = S\nQ = N * E\nh = Q * pi", "a_h, pi=3"
    ),
    "names of the module": cell("params = tanh(a_h)\ntape = params * 2\nh = tape * x * p", "a_h, x=2, p=3"),
    "names made one": cell("ﬁ = tanh(a_ﬁ)\nℌ = ﬁ + 1\nh = H + fi", "a_ﬁ, h"),
    "an operand of a name made one": cell("ﬁ = h * a_r\nh = a_ℌ", "a_r, a_H, h", "operand={'a_ℌ': 'ﬁ'}"),
    "a large integer": cell("h = tanh(a_h * " + "9" * 300 + ")"),
}


@pytest.mark.parametrize("kind", WELL)
def test_what_is_odd_and_allowed_works(kind: str) -> None:
    made = EquationCell(read(WELL[kind]))
    use(made)
    again = record.from_json(record.to_json(made))
    assert isinstance(again, EquationCell)
    assert record.same(made, again)


@pytest.mark.parametrize("body", ["h = a_h * 1e308 * 10", "h = tanh(a_h / (a_h - a_h))"])
def test_a_gradient_that_is_no_number_is_told(body: str) -> None:
    with pytest.raises(EquationError, match=r"beyond 1.8e308, or divides by what is always zero"):
        page(EquationCell(read(cell(body))), "text")


@pytest.mark.parametrize("name", ["lstm", "gru-cho", "rnn", "slstm", "indrnn"])
def test_no_rows_are_rows(name: str) -> None:
    made = bptt.zoo.get(name)
    case = random_layer(np.random.default_rng(0), made, N=0)
    for backend in ("reference", "auto"):
        layer = bptt.unroll(made, case.params, case.arrays["x"], backend=backend)
        assert layer.y.shape == case.cotangents["y"].shape
        grads = layer.backward(case.cotangents["y"])
        assert grads.inputs is not None
        assert grads.inputs.shape == case.arrays["x"].shape
        assert not any(g.any() for g in grads.params.values())


def test_the_name_is_normalised() -> None:
    made = read(cell("h = a_h", options="state='h', name='ﬁne'"))
    assert made.name == unicodedata.normalize("NFKC", "ﬁne") == "fine"


def test_near_the_limits_a_cell_is_derived_in_seconds() -> None:
    """Each is as large as it may be in one way; the limits are as generous as that allows."""
    deep = "h = " + "tanh(0.5 * " * 12 + "a_h + h" + ")" * 12
    wide = "h = " + " + ".join(f"a_{k}" for k in range(50))
    for text in (cell(deep), cell(wide, ", ".join(f"a_{k}" for k in range(50))), cell(chain(60))):
        start = time.process_time()
        page(EquationCell(read(text)), "text")
        assert time.process_time() - start < 20
