"""An adjoint of one value, of several uses, of a parameter; all of them, found by their sketches."""

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bptt.checking.adjoints.record import Seen, sketch
from bptt.checking.taps.instrument import Node
from bptt.checking.taps.values import Path, written
from bptt.types import Array

TOLERANCE = 2e-6  # how far a value may be from an adjoint that it is, next to its largest entry


@dataclass(eq=False)
class Row:
    """An adjoint: of a value, of one of its uses, of several, of a parameter as a whole."""

    kind: str  # "value" of an expression; "use", "part", "sum": one, some, all readings of an array; "total"
    size: int
    sketch: Array
    node: Node | None = None
    use: int = 0
    more: str = ""
    path: Path = ()
    number: int = -1
    parts: tuple[tuple[int, int], ...] = ()  # the uses of nodes whose adjoints it is the sum of

    @property
    def whole(self) -> bool:
        """Whether it is a gradient that somebody wants, and no part of one."""
        return self.kind in ("value", "sum", "total")

    def text(self) -> str:
        """Return it in words."""
        if self.node is None:
            return f"the gradient at {written(self.path)}"
        name = " ".join(ast.unparse(self.node.tree).split())
        name = name if len(name) < 60 else name[:57] + "..."
        return f"the gradient at `{name}` of line {self.node.tree.lineno}{self.more}"


@dataclass
class Rows:
    """Adjoints under one loss, found by their sketches."""

    rows: list[Row] = field(default_factory=list)
    by_size: dict[int, tuple[Array, list[Row]]] = field(default_factory=dict)
    known: dict[bytes, list[Row]] = field(default_factory=dict)  # most values are the same in many runs

    def freeze(self) -> "Rows":
        """Make the tables that are searched; returns itself."""
        sizes: dict[int, list[Row]] = {}
        for row in self.rows:
            sizes.setdefault(row.size, []).append(row)
        self.by_size = {n: (np.array([r.sketch for r in rows]), rows) for n, rows in sizes.items()}
        return self

    def explain(self, numbers: Array) -> list[Row]:
        """Return the adjoints that a vector is, the simplest first; an empty list: none."""
        if numbers.size not in self.by_size:
            return []
        key = numbers.tobytes() if numbers.size < 500 else b""
        if key not in self.known or not key:
            self.known[key] = self._explain(numbers)
        return self.known[key]

    def _explain(self, numbers: Array) -> list[Row]:
        largest = float(np.abs(numbers).max())
        if not 1e-9 < largest < 1e12:
            return []
        sketches, rows = self.by_size[numbers.size]
        tolerance = largest * (2e-7 if numbers.size == 1 else TOLERANCE * numbers.size**0.5) + 3e-9
        near = (np.abs(sketches - sketch(numbers)) <= tolerance).all(axis=1)
        order = {"total": 0, "value": 1, "sum": 2, "use": 3, "part": 4}
        return sorted((rows[i] for i in np.nonzero(near)[0]), key=lambda row: order[row.kind])


def sums(uses: list[tuple[Array, Seen]], node: Node, whole: str) -> Iterator[Row]:
    """Yield the adjoints of one array: of all its uses, of the first or last ones, of any few."""
    times = [seen.use for _, seen in uses]
    n, number = len(uses), uses[0][1].node

    def row(kind: str, some: Sequence[int], more: str) -> Row:
        parts = tuple((uses[i][1].node, times[i]) for i in some)
        total = np.sum([uses[i][0] for i in some], axis=0)
        size = uses[0][1].numbers.size
        return Row(kind, size, total, node, times[some[0]], more, number=number, parts=parts)

    if n > 1 or whole == "sum":
        yield row(whole, range(n), ", summed over its uses" if n > 1 else "")
    for count in range(2, n):
        yield row("part", range(n - count, n), f", over its last {count} uses")
        yield row("part", range(count), f", over its first {count} uses")
        if n <= 6:
            for some in itertools.combinations(range(n), count):
                yield row("part", some, f", over {count} of its uses")
