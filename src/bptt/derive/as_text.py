"""A derivation's page as text in Unicode, for a terminal."""

import textwrap

from bptt.derive.blocks import Block, Page, Words, printed
from bptt.derive.notation import TextPrinter

WIDTH = 100
_NUMBER = 6  # columns for the number of an equation
_ROW = 66  # columns for equations that share a line


def text(page: Page) -> str:
    """Return the page as text, at most 100 columns wide where that is possible."""
    printer = TextPrinter(page.whole)
    blocks = [page.title, *(textwrap.fill(p, WIDTH) for p in page.paragraphs)]
    for section in page.sections:
        parts = [_lines(p, printer) if isinstance(p, Block) else _filled(p, printer) for p in section.parts]
        blocks += [f"{section.heading}\n{'-' * len(section.heading)}\n{parts[0]}", *parts[1:]]
    return "\n\n".join(blocks) + "\n"


def words(parts: Words, printer: TextPrinter) -> str:
    """Return a paragraph on one line."""
    return "".join(p if isinstance(p, str) else printed(p, printer) for p in parts)


_TIE = "\u00a0"
_TIED = 40  # letters of an expression that is not broken over lines


def _filled(parts: Words, printer: TextPrinter) -> str:
    """Return a paragraph on lines of which none ends within a short expression."""
    shown = [words((p,), printer) for p in parts]
    tied = [
        s.replace(" ", _TIE) if not isinstance(p, str) and len(s) < _TIED else s
        for p, s in zip(parts, shown, strict=True)
    ]
    return textwrap.fill("".join(tied), WIDTH, break_long_words=False).replace(_TIE, " ")


def _lines(block: Block, printer: TextPrinter) -> str:
    """Return a block of equations; those that come from the same equation share a line while they fit."""
    rows: list[tuple[str, str, list[str]]] = []
    beside = ""
    for s in block.lines:
        number = s.label
        note = f"    {words(s.note, printer)}" if s.note else ""
        equation = printed(s, printer)
        key = number + s.beside
        if key and key == beside and sum(len(e) + 4 for e in rows[-1][2]) + len(equation) < _ROW:
            rows[-1][2].append(equation)
        else:
            rows.append((number, note, [equation]))
        beside = key
    indent = max([_NUMBER, *(len(number) + 2 for number, _, _ in rows)])
    return "\n".join(_wrapped(f"{number:{indent}}", "    ".join(e) + note) for number, note, e in rows)


def _wrapped(number: str, equation: str) -> str:
    """Return an equation after its number, broken before a sign where it is too long."""
    pieces = [""]
    for c in equation:
        depth = sum(pieces[-1].count(o) for o in "([") - sum(pieces[-1].count(o) for o in ")]")
        if c in "+-" and pieces[-1].endswith(" ") and not depth and not pieces[-1].endswith("= "):
            pieces.append("")
        pieces[-1] += c
    rows, indent = [number + pieces[0]], " " * (len(number) + equation.index("="))
    for piece in pieces[1:]:
        if len(rows[-1]) + len(piece.rstrip()) > WIDTH:
            rows[-1] = rows[-1].rstrip()
            rows.append(indent + piece)
        else:
            rows[-1] += piece
    return "\n".join(rows)
