"""A cell's equations as a page shows them: as text, as MathML, and in pieces that name their values."""

import re
from typing import Any

from sympy import Symbol

from bptt.cells import Cell
from bptt.derive.algebra import as_written, replaced
from bptt.derive.as_html import mathml
from bptt.derive.notation import TeXPrinter, TextPrinter
from bptt.derive.whole import Whole
from bptt.zoo import equations_of


def equations(cell: Cell) -> list[dict[str, Any]]:
    """Return a cell's equations in their order; none of a cell that is written by hand without any.

    Examples
    --------
    >>> import bptt
    >>> c = equations(bptt.zoo.get("lstm"))[4]
    >>> c["text"]
    'c = f c_prev + i g'
    >>> c["terms"][4:7]
    [{'t': 'c_prev', 'value': 'c', 'before': True}, {'t': ' + '}, {'t': 'i', 'value': 'i'}]
    """
    made = equations_of(cell)
    if made is None:
        return []
    whole, eq = Whole(made.derivation), made.equations
    in_text, in_tex = TextPrinter(whole), TeXPrinter(whole)
    written = {s.name: as_written(s.expr) for s in eq.statements}
    inner = {Symbol(s.name): written[s.name] for s in eq.statements if not s.written}
    numbers = {*eq.params, *eq.constants}
    shown = {s.name for s in eq.statements if s.written} | {*eq.states}
    found = []
    for s in eq.statements:
        if not s.written:
            continue
        expr = written[s.name]
        while any(symbol in inner for symbol in expr.free_symbols):
            expr = replaced(expr, inner)
        text = in_text.doprint(expr)
        tex = f"{in_tex.doprint(Symbol(s.name))} = {in_tex.doprint(expr)}"
        terms = [{"t": s.name, "value": s.name}, {"t": " = "}, *_pieces(text, shown, eq.states, numbers)]
        found.append({"name": s.name, "text": f"{s.name} = {text}", "mathml": mathml(tex), "terms": terms})
    return found


def _pieces(text: str, values: set[str], states: tuple[str, ...], numbers: set[str]) -> list[dict[str, Any]]:
    """Return a text cut at the names of values, and of numbers that do not change."""
    found: list[dict[str, Any]] = []
    for piece in re.split(r"([^\W\d]\w*)", text):
        before = piece.removesuffix("_prev")
        if before != piece and before in states:
            found.append({"t": piece, "value": before, "before": True})
        elif piece in values:
            found.append({"t": piece, "value": piece})
        elif piece in numbers:
            found.append({"t": piece, "constant": piece})
        elif piece and found and len(found[-1]) == 1:
            found[-1]["t"] += piece
        elif piece:
            found.append({"t": piece})
    return found
