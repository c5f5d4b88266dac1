"""Faults in the lines of a page."""

from collections.abc import Iterator
from dataclasses import replace

from sympy import Integer, Mul, Symbol

from bptt.derive.algebra import Expr, function, names_in, replaced
from bptt.derive.blocks import Block, Page


def faults(e: Expr, names: list[str]) -> Iterator[Expr]:
    """Yield wrong expressions: doubled, of the other sign, without a term or a factor, of another name."""
    if type(e).__name__ == "total":
        yield from (function("total")(x) for x in faults(e.args[0], names))
        return
    if e == 0:
        yield Symbol("dx")
        return
    yield Mul(Integer(2), e, evaluate=False)
    yield Mul(Integer(-1), e, evaluate=False)
    for k in range(len(e.args) if e.is_Add or e.is_Mul else 0):
        yield e.func(*e.args[:k], *e.args[k + 1 :], evaluate=False)
    for name in sorted(names_in([e])):
        other = next((n for n in names if n != name and n[:2] == name[:2]), None)
        if other is not None:
            yield replaced(e, {Symbol(name): Symbol(other)})


def planted(made: Page, *, every: bool) -> Iterator[tuple[str, Page]]:
    """Yield pages with one line wrong, in every way or one, and which it is."""
    for k, section in enumerate(made.sections):
        for m, part in enumerate(section.parts):
            if not isinstance(part, Block):
                continue
            names = sorted({n for line in part.lines for n in (*names_in([line.right]), line.left.name)})
            for j, line in enumerate(part.lines):
                ways = list(faults(line.right, names))
                for wrong in ways if every else [ways[j % len(ways)]]:
                    lines = (*part.lines[:j], replace(line, right=wrong), *part.lines[j + 1 :])
                    parts = (*section.parts[:m], Block(part.role, lines), *section.parts[m + 1 :])
                    sections = (*made.sections[:k], replace(section, parts=parts), *made.sections[k + 1 :])
                    yield f"{part.role}: {line.left} = {wrong}", replace(made, sections=sections)
