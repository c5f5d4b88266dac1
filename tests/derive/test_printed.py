"""What a derivation prints is what is proven: a fault in any line, of any cell, in any format, is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from sympy import Integer, Mul

from bptt.derive import FORMATS, EquationCell, page, printed, read
from bptt.derive.describe import describe
from bptt.derive.printed import prove_module, prove_page
from bptt.derive.proof import ProofError
from bptt.derive.whole import Whole
from bptt.zoo.equations import ZOO
from pages import run, text_of
from planted import planted

NAMES = list(ZOO)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("lstm-chrono", "lstm-no-bias")])  # as lstm
def test_a_fault_in_any_line_is_refused(name: str) -> None:
    missed = []
    made = describe(ZOO[name])
    for what, wrong in planted(made, every=name == "indrnn"):
        try:
            prove_page(wrong, ZOO[name])
        except ProofError:
            continue
        missed.append(what)
    assert not missed


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_refused(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the derivation itself gets wrong: planted in what all formats are made of."""
    whole = Whole(ZOO["gru-cho"].derivation)
    for part in ("backward", "products"):
        for k, line in enumerate(getattr(whole, part)):
            lines = list(getattr(whole, part))
            lines[k] = replace(line, expr=Mul(Integer(2), line.expr, evaluate=False))
            with monkeypatch.context() as patch:
                patch.setattr(Whole, part, tuple(lines))
                with pytest.raises(ProofError, match=r"gru-cho: the printed gradient at .* is off by"):
                    page(ZOO["gru-cho"], format)


def test_a_fault_in_any_line_of_the_module_is_refused() -> None:
    """In its text: a sign, a factor, another name, of the step forward and backward and the sums."""
    made = describe(ZOO["gru-cho"])
    text = page(ZOO["gru-cho"], "numpy")
    start, end = text.index("def step_forward"), text.index("def forward")
    for found in re.finditer(r"( = |\": )(?=[\w(\"])(.*?)(,?)(  #.*)?\n", text[start:end]):
        if found[2] == "kept" or found[2].startswith("{"):
            continue
        for wrong in (f"-({found[2]})", f"2 * ({found[2]})"):
            at = [start + k for k in found.span(2)]
            with pytest.raises(ProofError):
                prove_module(text[: at[0]] + wrong + text[at[1] :], made, ZOO["gru-cho"])
    for good, wrong in (("dn * (1 - n", "dn * (1 - z"), ("t = T", "t = T"), ("doutputs[::-1]", "doutputs")):
        if good != wrong:
            with pytest.raises(ProofError):
                prove_module(text.replace(good, wrong), made, ZOO["gru-cho"])


def cell(*body: str, arguments: str = "a_h, h") -> EquationCell:
    return EquationCell(read(text_of(*body, arguments=arguments)))


@pytest.mark.parametrize(
    "body",
    [
        ("y = a_h ** 12", "u = y + a_h", "h = tanh(u - y)", "return h"),
        ("y = a_h ** 64", "u = y + a_h", "h = tanh(u - y)", "return h"),
        ("y = exp(3 * a_h) ** 4", "u = y + a_h", "return tanh(u - y) * h"),
        ("y = 1e20 + a_h", "return tanh(y - 1e20) * h"),
        ("y = exp(9 * a_h)", "return (y + a_h) / (y + 1) - (y + a_h - 1) / (y + 1) + 0.5 * h"),
    ],
)
def test_a_right_derivation_is_not_refused_for_its_rounding(body: tuple[str, ...]) -> None:
    made = cell(*body, arguments="a_h, h" if "* h" in body[-1] else "a_h")
    assert page(made)
    assert page(made, "numpy")


def test_a_wrong_one_is_refused_all_the_same() -> None:
    made = cell("y = a_h ** 12", "u = y + a_h", "h = tanh(u - y)", "return h", arguments="a_h")
    for _, wrong in list(planted(describe(made), every=True))[::4]:
        with pytest.raises(ProofError):
            prove_page(wrong, made)


@pytest.mark.parametrize(
    "body", ["return log(a_h) + sqrt(h)", "return sqrt(a_h - 3.5) * h", "return a_h ** 0.5 + h ** -0.5"]
)
def test_equations_that_give_numbers_in_a_part_have_a_page(body: str) -> None:
    assert page(cell(body))
    assert run(page(cell(body), "numpy")) < 1e-12


def test_a_module_says_where_float64_cannot_tell() -> None:
    """What would read as a large error of a right cell is said to be rounding."""
    lost = cell("return tanh(a_h) + 1e16 * h - 1e16 * h + 0.1 * h")
    assert "elements float64 keeps too few digits to tell; 150 digits did" in " ".join(page(lost).split())
    module = page(lost, "numpy")
    assert "In 150 digits the gradients were right" in module
    assert 'print(f"largest error' not in module
    assert run(module) > 1e-3
    clear = cell("return tanh(a_h) * h")
    assert "too few digits" not in page(clear) + page(clear, "numpy")


def test_a_page_says_what_was_run() -> None:
    """The printers come after: what was run is what they are given."""
    assert "The expressions behind the lines above were run" in page(ZOO["rnn"])


def test_of_a_large_matrix_some_elements_are_moved_and_a_fault_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = list(printed._drawn(np.zeros((40, 40)), np.random.default_rng(0)))
    assert len(set(places)) == printed.MOST
    monkeypatch.setattr(printed, "MOST", 4)
    cell = ZOO["lstm"]
    text = page(cell, "numpy")
    said = " ".join(page(cell, "text").split())
    assert " elements of all gradients were compared" in said
    assert " and all " not in said.partition(" elements of all gradients")[0][-30:]
    fault = text.replace("x.T @ da_g", "-x.T @ da_g")
    assert fault != text
    with pytest.raises(ProofError, match="W_g is off"):
        prove_module(fault, describe(cell), cell)
