"""An edit: spans of a file's text that are replaced; all around them stays as its author wrote it."""

import ast
import warnings
from bisect import bisect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from types import CodeType
from typing import Any, TypeAlias

import numpy as np

Change: TypeAlias = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Edit:
    """Spans of a text and what is to stand there.

    Examples
    --------
    >>> Edit(((4, 5, "y"),), "`x` stands where `y` belongs", 1).applied("a = x  # why")
    'a = y  # why'
    """

    changes: tuple[Change, ...]  # of offsets into the file's text; no two overlap
    reason: str  # what is wrong, in words: "`1 - n` stands where `1 - n ** 2` belongs"
    cost: float  # the smaller, the simpler: of edits that do the same the cheapest is meant

    def applied(self, text: str, offset: int = 0) -> str:
        """Return the text, or a part of it that begins at an offset, with the changes made."""
        for start, end, new in sorted(self.changes, reverse=True):
            text = text[: start - offset] + new + text[end - offset :]
        return text


@dataclass(frozen=True)
class Text:
    """A file's text, and where the nodes of its syntax tree stand in it."""

    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(len(line) + 1 for line in self._lines)]

    def at(self, line: int, column: int) -> int:
        """Return the offset of a node's line and column (which counts bytes)."""
        text = self._lines[line - 1]
        return self._starts[line - 1] + (
            column if text.isascii() else len(text.encode()[:column].decode(errors="ignore"))
        )

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return where a node begins and ends."""
        end = self.at(node.end_lineno or node.lineno, node.end_col_offset or 0)
        return self.at(node.lineno, node.col_offset), end

    def of(self, node: ast.expr | ast.stmt) -> str:
        """Return a node's text."""
        start, end = self.span(node)
        return self.text[start:end]

    def line(self, offset: int) -> int:
        """Return the number of the line an offset is on."""
        return bisect(self._starts, offset)

    def lines(self, first: int, last: int) -> tuple[int, int]:
        """Return where whole lines begin and end, the last one's end included."""
        return self._starts[first - 1], min(self._starts[last], len(self.text))


@dataclass(frozen=True)
class Place:
    """An expression that is edited, the function in which it stands, and the file's text.

    `forward` are the values of the forward pass, as bytes: what else there is, are gradients.
    """

    value: ast.expr
    function: ast.AST
    text: Text
    forward: Collection[bytes] = ()

    def edited(self, edit: Edit) -> str:
        """Return the text of the value with an edit of it made."""
        start, end = self.text.span(self.value)
        return edit.applied(self.text.text[start:end], start)


def evaluate(edit: Edit, place: Place, names: Mapping[str, Any]) -> Any:
    """Return the value of an edited expression where its names stand for `names`; raises what it does."""
    with np.errstate(all="ignore"):
        return eval(compiled(place.edited(edit)), dict(names))


@lru_cache(maxsize=20000)
def compiled(text: str) -> CodeType:
    """Return an expression's code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(f"({text}\n)", "<edit>", "eval")
