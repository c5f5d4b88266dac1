"""Columns that a caller has in Python: a dict of them, or a data frame of pandas, Polars, Arrow, others."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from bptt.data.tables.delimited import Delimited
from bptt.data.tables.forms import Columns, Content, expect_distinct, joined, spread
from bptt.errors import DataError

NAME = "the columns"
"""What errors call them."""


class Frame(Protocol):
    """A data frame: of pandas, Polars and others."""

    @property
    def columns(self) -> Any:
        """The columns' names."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the values of a column."""


Given: TypeAlias = Mapping[str, Sequence[object]] | Frame
"""Columns by their names."""


@dataclass(frozen=True)
class Rows(Delimited):
    """Rows of values; what is written are texts with commas between."""

    given: Mapping[str, list[Any]] = field(default_factory=dict)
    row = "row"

    def values(self, name: str) -> list[Any] | None:
        """Return a column's values, lists too; None where it is a part of one."""
        return self.given.get(name)


def read(columns: Given) -> Content:
    """Return what columns hold; lists, and arrays, are read as those of JSON are.

    What is None, NaN, NaT, NA or masked is absent. An index that has a name is a column. DataError where
    columns are not of one length.

    Examples
    --------
    >>> read({"x": [np.array([1.5, 2.0]), [3, 4]], "words": [["a", "b"], None]}).columns
    {'x': ['1.5 2.0', '3 4'], 'words': ['a b', '']}
    """
    columns = _by_name(columns)
    names = list(columns if isinstance(columns, Mapping) else columns.columns)
    if odd := [each for each in names if not isinstance(each, str)]:
        raise DataError(f"columns are called by texts; got {odd[0]!r:.60}")
    expect_distinct(names, NAME)
    for each in names:
        if isinstance(own := columns[each], (str, bytes, Set, Mapping)) or not isinstance(own, Iterable):
            raise DataError(
                f"columns are lists of values by their names; got a {type(own).__name__} for {each!r:.60}"
            )
    given = {each: [_plain(value) for value in columns[each]] for each in names}
    lengths = {len(values) for values in given.values()}
    if len(lengths) != 1 or not min(lengths):
        raise DataError(f"columns must be of one length, at least 1; got {sorted(lengths)}")
    texts: Columns = {}
    unreadable: dict[str, str] = {}
    spreads = (spread(each, values, given) for each, values in given.items())
    for each, values in (pair for own in spreads for pair in own.items()):
        try:
            texts[each] = [_text(value, f"{NAME}: row {k}, {each}") for k, value in enumerate(values, 1)]
        except DataError as error:  # it matters where the column is read
            texts[each], unreadable[each] = [""] * len(values), str(error)
    return Content(texts, list(range(1, max(lengths) + 1)), Rows(given=given), unreadable)


def _by_name(given: Any) -> Given:
    """Return a dict, or a frame that has names: with those of its index among its columns."""
    if isinstance(given, Mapping):
        return given
    if not hasattr(given, "columns") and hasattr(given, "to_frame"):  # a column with a name
        given = given.to_frame()
    if not hasattr(given, "columns"):
        raise DataError(f"want a path, columns by their names, or a data frame; got {given!r:.60}")
    if hasattr(given, "column_names"):  # of Arrow
        return {name: given[name] for name in given.column_names}
    index = getattr(given, "index", None)
    own = [
        name for name in getattr(index, "names", ()) if isinstance(name, str) and name not in given.columns
    ]
    if index is None or not own:
        return given  # type: ignore[no-any-return]
    return {n: index.get_level_values(n) for n in own} | {n: given[n] for n in given.columns}


def _text(value: object, where: str) -> str:
    return joined(value, where) if isinstance(value, list) else str(value)


def _plain(value: Any) -> Any:
    """Return a value, an array as a list; an empty text for what is absent."""
    value = value.as_py() if hasattr(value, "as_py") else value  # of Arrow
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return list(value.tolist() if isinstance(value, np.ndarray) else value)
    if isinstance(value, np.datetime64) and isinstance(value.item(), int):  # nanoseconds, as frames have
        value = value.astype("M8[us]").item()
    is_absent = (
        value is None
        or value is np.ma.masked
        or (str(value) in ("nan", "NaN", "NaT", "<NA>") and not isinstance(value, str))
    )
    return "" if is_absent else value
