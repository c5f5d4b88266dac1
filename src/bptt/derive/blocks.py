"""What a derivation's page is made of, in any format: headings, words, and lines of mathematics."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Symbol

from bptt.derive.algebra import Expr, replaced
from bptt.derive.terms import Index
from bptt.derive.whole import Whole

_MOST = 6  # numbers beside a line


@dataclass(frozen=True)
class Shown:
    """A line of mathematics.

    Attributes
    ----------
    left, right : expression
    numbers : tuple of int
        Of the equations it is, or comes from.
    letter, gates : str, tuple of str
        A line for several gates has a letter in their place: a_k for k = i, f.
    beside : str
        What it has in common with the lines that may stand beside it.
    """

    left: Expr
    right: Expr
    numbers: tuple[int, ...] = ()
    letter: str = ""
    gates: tuple[str, ...] = ()
    beside: str = ""

    @property
    def label(self) -> str:
        """Its numbers: (6), (8, 7), or nothing; of many the first and the last."""
        shown = [*map(str, self.numbers)]
        shown = [shown[0], "...", shown[-1]] if len(shown) > _MOST else shown
        return f"({', '.join(shown)})" if shown else ""

    @property
    def note(self) -> "Words":
        """What follows it: for which gates it stands."""
        if not self.gates:
            return ()
        return ("for ", Index(f"{self.letter} ="), " ", *commas([Index(g) for g in self.gates], last=", "))

    def each(self) -> Iterator[tuple[str, Expr]]:
        """Yield a name and what it is, for each gate for which the line stands."""
        for gate in self.gates or ("",):
            names = {s.name for s in (*self.right.free_symbols, *self.left.free_symbols)}
            ends = f"_{self.letter}"
            at = {Symbol(n): Symbol(n[: -len(ends)] + f"_{gate}") for n in names if gate and n.endswith(ends)}
            yield replaced(self.left, at).name, replaced(self.right, at)


Words = tuple[str | Expr | Shown, ...]
"""A paragraph: text, and names, expressions and equations in it."""


@dataclass(frozen=True)
class Block:
    """Lines of mathematics.

    Attributes
    ----------
    role : "forward", "backward", "last", "sums" or "again"
        What they compute: a step, its gradients, those of the last step that are others there, the sums over
        time, what the backward computes again.
    lines : tuple of Shown
    """

    role: str
    lines: tuple[Shown, ...]


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    parts: tuple[Words | Block, ...]


@dataclass(frozen=True)
class Page:
    """A derivation's page.

    Attributes
    ----------
    title, doc : str
        The cell's name, and what its author says of it.
    sections : tuple of Section
    whole : Whole
        What it is made from.
    undecided : bool
        Whether float64 alone does not show that its gradients are right.
    """

    title: str
    doc: str
    sections: tuple[Section, ...]
    whole: Whole
    undecided: bool = False

    @property
    def paragraphs(self) -> list[str]:
        """What the author says, each paragraph on one line."""
        return [" ".join(p.split()) for p in self.doc.split("\n\n") if p.strip()]

    def parts(self) -> Iterator[str | Words | Block]:
        """Yield all that stands on the page, in order: headings, paragraphs and blocks."""
        for section in self.sections:
            yield section.heading
            yield from section.parts

    def lines(self, role: str) -> tuple[Shown, ...]:
        """Return the lines that have a role."""
        blocks = (part for part in self.parts() if isinstance(part, Block) and part.role == role)
        return tuple(line for block in blocks for line in block.lines)

    def remarks(self) -> tuple[Shown, ...]:
        """Return the equations that stand in the text: constants, and what functions mean."""
        paragraphs = (part for part in self.parts() if isinstance(part, tuple))
        return tuple(p for words in paragraphs for p in words if isinstance(p, Shown))


def printed(part: Expr | Shown, printer: Any) -> str:
    """Return an expression, or an equation in the text, as a printer prints it."""
    if isinstance(part, Shown):
        printer.begin(part.left, part.right)
        return f"{printer.doprint(part.left)} = {printer.doprint(part.right)}"
    printer.begin()
    return str(printer.doprint(part))


def commas(items: Sequence[Expr | Words], last: str = " and ", between: str = ", ") -> Words:
    """Return a, b and c."""
    listed: list[str | Expr] = []
    for k, item in enumerate(items):
        if k:
            listed.append(last if k == len(items) - 1 else between)
        listed.extend(item if isinstance(item, tuple) else (item,))
    return tuple(listed)


def named(names: Iterable[str]) -> str:
    """Return a, b and c, as a page's words have values: <a>."""
    *first, last = (f"<{n}>" for n in names)
    return f"{', '.join(first)} and {last}" if first else last


def are(names: Sequence[str], one: str, many: str = "") -> str:
    """Return what these are, one or several."""
    return f"{named(names)} is {one}" if len(names) == 1 else f"{named(names)} are {many or one}"
