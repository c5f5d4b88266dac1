"""Labels of which a row has several, one or none: in a column with a mark between, or a column for each."""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bptt.data.tables import Table
from bptt.data.tables.numbers import ABSENT
from bptt.errors import DataError
from bptt.types import Array

MARKS = ("|", ";", ",")
"""What may stand between labels."""

_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_CROSSES = {"x", "\u2713", "\u2714", "\u2611"}
"""What marks a yes in a sheet, where a no is left empty."""

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_BETWEEN = re.compile(r"(?:None|null|nan|[\s,])*")
_ARRAY = re.compile(r"[-+\d.\s]*")
"""Numbers as NumPy writes them, without commas."""


class Sets(NamedTuple):
    """A table with each row's labels in a column; all labels (K); which of them are not known, (R, K)."""

    table: Table
    names: list[str]
    unknown: Array


def with_sets(table: Table, label: str, separator: str, missing: Sequence[float] = ()) -> Sets:
    r"""Return the table with each row's labels in a column called `label`, and all labels that there are.

    Parameters
    ----------
    table : Table
    label : str
        A column whose values are labels with `separator` between, or lists, as ["a", "b"]; or columns with
        0 or 1 in each row, or nothing where it is not known, as across says, which are called as the labels
        are. Where crosses alone mark a yes, nothing is a no.
    separator : str
        A space: any white space.
    missing : sequence of float
        Numbers that mean that a label is not known, too.

    Raises
    ------
    DataError
        A column is missing, a mark is neither 0 nor 1, there is no label, or another mark stands between.

    Examples
    --------
    >>> table, names, _ = with_sets(Table.of({"tags": ["b|a", "", "['c d', 'a']"]}), "tags", "|")
    >>> table.columns["tags"], names
    (['a|b', '', 'a|c d'], ['a', 'b', 'c d'])
    >>> found = with_sets(Table.of({"a": [1, 0], "b": [None, False]}), "a,b", "|")
    >>> found.table.columns["a,b"], found.unknown.tolist()
    (['a', ''], [[False, True], [False, False]])
    """
    if label in table.columns:
        rows = _listed(table, label)
        if rows is None:
            rows = [parts_of(text, separator) for text in table.column(label)]
            _expect_parted(table, label, rows)
        names = sorted({name for row in rows for name in row})
        unknown = np.zeros((len(rows), len(names)), bool)
    else:
        names = table.across(label)
        marks = [_marks(table, name, missing) for name in names]
        rows = [[n for n, own in zip(names, row, strict=True) if own] for row in zip(*marks, strict=True)]
        unknown = np.array([[own is None for own in row] for row in zip(*marks, strict=True)])
    if not any(rows):
        raise DataError(f"{table.name}, column {label}: no row has a label: nothing is to be told")
    if double := [name for name in names if len(apart(name, separator)) > 1]:
        raise DataError(
            f"{table.name}: the label {double[0]!r:.60} holds {separator!r}, which stands between labels: "
            "--separator says another mark"
        )
    texts = [together(sorted({*row}), separator) for row in rows]
    unreadable = {name: why for name, why in table.unreadable.items() if name != label}
    return Sets(replace(table, columns=table.columns | {label: texts}, unreadable=unreadable), names, unknown)


def parts_of(text: str, separator: str) -> list[str]:
    r"""Return the labels that a text holds: a list, or with a mark between.

    Examples
    --------
    >>> parts_of("a; b;", ";"), parts_of("['a b', 'c']", "|"), parts_of("[1, 2]", "|"), parts_of("[1 2]", "|")
    (['a', 'b'], ['a b', 'c'], ['1', '2'], ['1', '2'])
    """
    text = text.strip()
    if len(text) < 2 or text[0] + text[-1] not in ("[]", "()", "{}"):
        return apart(text, separator)
    within = text[1:-1]
    if (quoted := _QUOTED.findall(within)) and _BETWEEN.fullmatch(_QUOTED.sub("", within)):
        return [own for each in quoted if (own := _unquoted(each).strip())]
    if text[0] != "[":
        return apart(text, separator)
    return apart(within, " " if _ARRAY.fullmatch(within) else ",")


def _unquoted(text: str) -> str:
    """Return what stands between quotes, as JSON or Python write it."""
    with suppress(ValueError):
        return str(json.loads(text))
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def apart(text: str, separator: str) -> list[str]:
    """Return what `together` put together."""
    parts = text.split() if separator.isspace() else text.split(separator)
    return [own for part in parts if (own := part.strip())]


def together(names: Iterable[str], separator: str) -> str:
    """Return labels as one text."""
    return (" " if separator.isspace() else separator).join(names)


def mark_within(names: Sequence[str], marks: Sequence[str] = MARKS) -> str | None:
    """Return the mark that stands between several labels in what are taken for names; None where none does.

    What it parts stands there again and again.

    Examples
    --------
    >>> mark_within(["a, b", "b, c", "a, c", "c, a, b"]), mark_within(["Portland, OR", "Salem, OR"])
    (',', None)
    """
    for mark in marks:
        parts = {part for name in names for part in apart(name, mark)}
        if any(mark in name for name in names) and len(parts) < len(names):
            return mark
    return None


def _expect_parted(table: Table, label: str, rows: Sequence[Sequence[str]]) -> None:
    """Raise a DataError where each row has one label and another mark seems to stand between several."""
    whole = zip(rows, map(str.strip, table.column(label)), strict=True)
    names = sorted({text for row, text in whole if row == [text]})  # a list says itself what its labels are
    if all(len(row) < 2 for row in rows) and (between := mark_within(names, (*MARKS, " "))) is not None:
        odd = next(name for name in names if between in name)
        raise DataError(
            f"{table.name}, column {label}: {odd!r:.60} seems to be several labels with {between!r} "
            f"between: --separator {between!r}"
        )


def _listed(table: Table, label: str) -> list[list[str]] | None:
    """Return the members of a column's lists, where its form has lists."""
    values = table.form.values(label)
    if values is None or not any(isinstance(value, list) for value in values):
        return None
    lists = [value if isinstance(value, list) else [value] for value in values]
    return [[text for each in row if (text := str("" if each is None else each).strip())] for row in lists]


def _marks(table: Table, name: str, missing: Sequence[float]) -> list[bool | None]:
    """Return whether each row has a label, None where it is not known; DataError where it says otherwise."""
    found = list[bool | None]()
    column = table.column(name)
    if {text.strip().lower() for text in column} - {*ABSENT} in ({cross} for cross in _CROSSES):
        return [text.strip().lower() in _CROSSES for text in column]
    for k, text in enumerate(column):
        if text.strip().lower() in ABSENT or (missing and table.number(text) in missing):
            found.append(None)
            continue
        if (own := text.strip().lower()) not in _YES + _NO:
            hint = "; --missing -1, where it means that it is not known" if own == "-1" else ""
            raise DataError(
                f"{table.place(k)}, column {name}: {text!r:.40} is none of 1, 0, true, false, yes, no{hint}"
            )
        found.append(own in _YES)
    return found
