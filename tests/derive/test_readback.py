"""What the printers print is what they are given: each line of each page read back, in each format."""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import shaped_cells
from bptt.derive import EquationCell, as_html, as_latex, as_text, read
from bptt.derive.algebra import Expr, names_in
from bptt.derive.axes import ONES
from bptt.derive.blocks import Block, Page
from bptt.derive.describe import describe
from bptt.derive.notation import TeXPrinter, TextPrinter
from bptt.zoo.equations import ZOO
from pages import EVERYTHING
from random_cells import random_cell
from readback import of_expression, of_latex, of_mathml, of_text, unindexed

PRINTERS = ("text", "latex", "markdown", "html")
ODD = {
    "the page's own symbols": ("T * tanh(a_h) + abs(h) * t * (1 + D)", "a_h, h, T, t, D=0.5", "T t"),
    "powers": ("abs(h) ** 1.5 / sqrt(1 + h ** 2) + exp(-a_h) ** 0.5 * log(2 + h ** 2) ** -2", "a_h, h", ""),
    "signs": ("-h * -tanh(a_h) / (-k) - -h * (-2) ** 2 / (-(3 - abs(h)))", "a_h, h, k", "k"),
}
SHAPED = {f"{cell.name} with shapes": cell for cell in shaped_cells.CELLS}
CELLS = [*ZOO, "everything", *ODD, *SHAPED, *range(10)]


def pages(name: str | int) -> Page:
    if isinstance(name, int):
        return describe(EquationCell(read(random_cell(name), known={"OUTSIDE": -1.5})))
    if name in ODD:
        value, arguments, params = ODD[name]
        text = f"@bptt.cell(state='h', params={params!r})\ndef odd({arguments}):\n    return {value}\n"
        return describe(EquationCell(read(text)))
    if name in SHAPED:
        return describe(SHAPED[name])
    return describe(EquationCell(read(EVERYTHING)) if name == "everything" else ZOO[name])


def rows(printed: str, made: Page, block: Block) -> list[tuple[str, str]]:
    """Return the left and right sides of a block's lines, as they are printed."""
    printer = TeXPrinter(made.whole)
    if printed == "text":
        text = re.sub(r"\n {7,}(?=[+-] )", " ", as_text._lines(block, TextPrinter(made.whole)))
        lines = [
            e for row in text.splitlines() for e in re.split(" {4,}", re.sub(r"^(\([\d, ]+\))? *", "", row))
        ]
        return [
            (e.split(" = ")[0].strip(), e.split(" = ", 1)[1])
            for e in map(unindexed, lines)
            if " = " in e and "for" not in e[:4]
        ]
    if printed == "html":
        table = ElementTree.fromstring(as_html.lines(block, printer).split("\n", 1)[0] + "".join(
            as_html.lines(block, printer).split("\n", 1)[1:]
        ).replace("&nbsp;", " "))  # fmt: skip
        sides = [[of_mathml(m) for m in row.iter() if m.tag.endswith("}math")] for row in table.iter("tr")]
        return [(unindexed(s[0]), unindexed(s[1].removeprefix("=").strip())) for s in sides]
    show = as_latex._row if printed == "latex" else as_latex._numbered
    found = []
    for s in block.lines:
        row = re.sub(r" \\qquad .*| \\tag\{.*?\}$|^\\text\{.*?\} \\quad ", "", show(s, printer))
        left, right = row.replace("\\\\\n& ", " ").replace("&", "").split("=", 1)
        found.append((unindexed(left.strip()), unindexed(right)))
    return found


def named(printed: str, made: Page, expressions: list[Expr]) -> dict[str, str]:
    """Return names by what is printed for them."""
    from sympy import Symbol

    names = {n for e in expressions for n in names_in([e])}
    if printed == "text":
        return {TextPrinter(made.whole).doprint(Symbol(n)): n for n in names}
    printer = TeXPrinter(made.whole)
    shown = {printer.doprint(Symbol(n)): n for n in names}
    if printed == "html":
        shown = {of_mathml(ElementTree.fromstring(as_html.mathml(tex))): n for tex, n in shown.items()}
    assert len(shown) == len(names)
    return shown


def wrong(printed: str, made: Page) -> Iterator[str]:
    """Yield the lines that are not printed as they are."""
    rng = np.random.default_rng(0)
    for section in made.sections:
        for block in section.parts:
            if not isinstance(block, Block):
                continue
            expressions = [e for line in block.lines for e in (line.left, line.right)]
            shown = named(printed, made, expressions)
            found = rows(printed, made, block)
            assert len(found) == len(block.lines)
            for (left, right), line in zip(found, block.lines, strict=True):
                assert shown[left] == line.left.name
                drawn = dict(zip(shown.values(), rng.normal(size=(len(shown), 5)), strict=True))
                drawn |= {n: np.ones(5) for n in ONES}  # which are not printed
                with np.errstate(all="ignore"):
                    wanted = of_expression(line.right, drawn)
                    values = {s: drawn[n] for s, n in shown.items()}
                    got = (of_text if printed == "text" else of_latex)(right, values)
                if not np.allclose(got, wanted, 1e-9, 1e-9, equal_nan=True):
                    yield f"{left} = {right}: {got}, not {wanted} = {line.right}"


@pytest.mark.parametrize("name", CELLS)
def test_every_line_reads_back_as_it_is(name: str | int) -> None:
    made = pages(name)
    for printed in PRINTERS:
        assert not list(wrong(printed, made)), printed


def test_what_functions_mean_reads_back_as_it_is() -> None:
    for made in (describe(ZOO["slstm"]), pages("everything")):
        printer = TeXPrinter(made.whole)
        a = {"a": np.linspace(-2, 2, 9)}
        for remark in made.remarks():
            for side in (remark.left, remark.right):
                if side.is_Symbol:
                    continue
                wanted = of_expression(side, a)
                np.testing.assert_allclose(of_text(TextPrinter().doprint(side), a), wanted, 1e-12)
                np.testing.assert_allclose(of_latex(printer.doprint(side), a), wanted, 1e-12)


def edited(old: str, new: str) -> Any:
    """Return what makes of a function one whose text is wrong."""
    return lambda show: lambda *given: re.sub(old, new, show(*given))


FAULTS: dict[str, tuple[str, Any, str, Any]] = {
    "a bracket": ("text", TextPrinter, "_factors", edited(r"\((\w+ [+-] \w+)\)", r"\1")),
    "a sign": ("text", TextPrinter, "_print_Add", edited(" - ", " + ")),
    "a power": ("text", TextPrinter, "_print_Pow", edited("²", "³")),
    "a transpose": ("text", TextPrinter, "_print_Function", edited("ᵀ", "")),
    "a broken line": ("text", as_text, "_wrapped", edited(" - ", " ")),
    "a bracket of LaTeX": (
        "latex",
        TeXPrinter,
        "_brackets",
        lambda show: staticmethod(lambda inside: inside),
    ),
    "a sign of LaTeX": ("latex", TeXPrinter, "_print_Mul", edited("^- ", "")),
    "a step of time": (
        "latex",
        TeXPrinter,
        "_timed",
        lambda show: lambda _, n: (n.removesuffix("_prev"), "t"),
    ),
    "a broken sum": ("markdown", as_latex, "_right", edited("quad - ", "quad + ")),
    "a comparison": ("markdown", TeXPrinter, "doprint", edited(r"\\leq", ">")),
    "a fraction of MathML": ("html", as_html, "mathml", edited("mfrac", "mrow")),
    "a sign of MathML": ("html", as_html, "mathml", edited("&#x02212;", "+")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_printer_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed, where, name, made_wrong = FAULTS[fault]
    made = pages("everything"), describe(ZOO["slstm"]), describe(ZOO["lstm"])
    monkeypatch.setattr(where, name, made_wrong(getattr(where, name)))
    seen = 0
    for one in made:
        try:
            seen += len(list(wrong(printed, one)))
        except (AssertionError, KeyError, ElementTree.ParseError):
            seen += 1  # it does not read at all
    assert seen
