"""What the forms of tables share: what is read of one, and how it is written again with columns added."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from bptt.data.tables.numbers import as_number
from bptt.errors import DataError

Value: TypeAlias = str | float
"""What stands in a column that is added."""


class Kept(float):
    """A number that is written with all its digits."""


Columns: TypeAlias = dict[str, list[str]]
"""Each column's values as texts, by its name; an absent value is an empty text."""

Added: TypeAlias = Mapping[str, Sequence[Value]]
"""Columns that are added, a value for each row."""


class Form(ABC):
    """The form that a table was read in."""

    row = "line"  # what a row's place counts
    is_text = True

    def at(self, columns: Columns, row: int) -> str:
        """Return where a row stands, if its place does not count lines."""
        return ""

    def values(self, name: str) -> list[Any] | None:
        """Return a column's values, lists too, where the form has other values than texts."""
        return None

    @abstractmethod
    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the table in this form, with columns added."""


@dataclass(frozen=True)
class Content:
    """What was read: columns, where each row begins, and the form; why a column cannot be read."""

    columns: Columns
    places: list[int]
    form: Form
    unreadable: dict[str, str] = field(default_factory=dict)


def expect_distinct(names: Sequence[str], name: object) -> None:
    """Raise a DataError where two columns have one name."""
    if twice := sorted(column for column, count in Counter(names).items() if count > 1):
        raise DataError(f"{name}: two columns are called {twice[0]!r:.60}: rename one")


def in_text(value: Value) -> str:
    """Return a value as it stands in a text; numbers have six digits, and what is none is empty."""
    if value != value:
        return ""
    if isinstance(value, Kept):
        return repr(float(value)).removesuffix(".0")
    return f"{value:.6g}" if isinstance(value, float) else value


def digits(value: float) -> str:
    """Return a number in seven digits, or all before the point, and never as a power of ten.

    Examples
    --------
    >>> digits(0.000123456789), digits(12345678.9), digits(float("nan"))
    ('0.0001234568', '12345679', '')
    """
    if value != value:
        return ""
    if abs(value) >= 1e7:
        return f"{value:.0f}"
    return np.format_float_positional(value, precision=7, fractional=False, trim="-")


def in_json(value: Value) -> str:
    """Return a value as JSON; numbers that are told have seven digits, and what is none is null."""
    if value != value:
        return "null"
    if isinstance(value, float) and not isinstance(value, Kept):
        value = float(digits(value))
    return json.dumps(value, ensure_ascii=False)


def encodable(text: str, where: str) -> str:
    """Return a text as it is; DataError where it is not to be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: holds half a character, a lone surrogate such as \\ud800") from None
    return text


def joined(values: Sequence[object], where: str) -> str:
    """Return a list as a text, a space between two members; DataError where one holds white space.

    Of numbers one may be None: it is nan.
    """
    texts = [str(value) for value in values if value is not None]
    if len(texts) < len(values):
        absent = "nan" if all(map(np.isfinite, map(as_number, texts))) else ""
        texts = [absent if value is None else str(value) for value in values]
    if (odd := next((text for text in texts if text.split() != [text]), None)) is not None:
        raise DataError(f"{where}: {odd!r:.40} in a list is empty or holds white space: lists hold words")
    return encodable(" ".join(texts), where)


def spread(name: str, values: Sequence[object], names: Iterable[str] = ()) -> dict[str, list[object]]:
    """Return a column; where its values are lists of steps with several values, a column for each of these.

    It stays one where `names`, of all columns, have such a name already.

    Examples
    --------
    >>> spread("x", [[[1, 2], [3, 4], [5, 6]], None]), spread("x", [[1, 2]])
    ({'x.1': [[1, 3, 5], None], 'x.2': [[2, 4, 6], None]}, {'x': [[1, 2]]})
    """
    there = [value for value in values if value is not None and value != ""]
    widths = {
        len(step) if isinstance(step, list) else -1
        for value in there
        for step in (value if isinstance(value, list) and value else [None])
    }
    if len(widths) != 1 or not (width := max(widths)) > 0 or {*names} & {*_parts(name, width)}:
        return {name: [*values]}
    lists = [value if isinstance(value, list) else None for value in values]
    return {
        part: [None if own is None else [step[k] for step in own] for own in lists]
        for k, part in enumerate(_parts(name, width))
    }


def _parts(name: str, width: int) -> list[str]:
    return [f"{name}.{k}" for k in range(1, width + 1)]
