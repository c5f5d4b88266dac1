"""Labels of which a row has several, one or none: in a column with a mark between, or a column for each."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bptt.data.tables import Table
from bptt.errors import DataError

MARKS = ("|", ";", ",")
"""What may stand between labels."""

_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


def with_sets(table: Table, label: str, separator: str) -> tuple[Table, list[str]]:
    r"""Return the table with each row's labels in a column called `label`, and all labels that there are.

    Parameters
    ----------
    table : Table
    label : str
        A column whose values are labels with `separator` between, or lists, as ["a", "b"]; or columns with
        0 or 1 in each row, as across says, which are called as the labels are.
    separator : str
        A space: any white space.

    Raises
    ------
    DataError
        A column is missing, a mark is neither 0 nor 1, there is no label, or another mark stands between.

    Examples
    --------
    >>> table, names = with_sets(Table.of({"tags": ["b|a", "", "['c d', 'a']"]}), "tags", "|")
    >>> table.columns["tags"], names
    (['a|b', '', 'a|c d'], ['a', 'b', 'c d'])
    >>> with_sets(Table.of({"a": [1, 0], "b": [True, False]}), "a,b", "|")[0].columns["a,b"]
    ['a|b', '']
    """
    if label in table.columns:
        rows = _listed(table, label) or [parts_of(text, separator) for text in table.column(label)]
        names = sorted({name for row in rows for name in row})
        if (between := mark_within(names, (*MARKS, " "))) is not None:
            odd = next(name for name in names if between in name)
            raise DataError(
                f"{table.name}, column {label}: {odd!r:.60} seems to be several labels with {between!r} "
                f"between: --separator {between!r}"
            )
    else:
        names = table.across(label)
        marks = [_marks(table, name) for name in names]
        rows = [[n for n, own in zip(names, row, strict=True) if own] for row in zip(*marks, strict=True)]
    if not any(rows):
        raise DataError(f"{table.name}, column {label}: no row has a label: nothing is to be told")
    if double := [name for name in names if len(apart(name, separator)) > 1]:
        raise DataError(
            f"{table.name}: the label {double[0]!r:.60} holds {separator!r}, which stands between labels: "
            "--separator says another mark"
        )
    texts = [together(sorted({*row}), separator) for row in rows]
    unreadable = {name: why for name, why in table.unreadable.items() if name != label}
    return replace(table, columns=table.columns | {label: texts}, unreadable=unreadable), names


def parts_of(text: str, separator: str) -> list[str]:
    r"""Return the labels that a text holds: a list, or with a mark between.

    Examples
    --------
    >>> parts_of("a; b;", ";"), parts_of("['a b', 'c']", "|"), parts_of("[1, 2]", "|")
    (['a', 'b'], ['a b', 'c'], ['1', '2'])
    """
    text = text.strip()
    if text[:1] == "[" and text[-1:] == "]":
        if quoted := _QUOTED.findall(text):
            return [re.sub(r"\\(.)", r"\1", one or other) for one, other in quoted if one or other]
        text, separator = text[1:-1], ","
    return apart(text, separator)


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


def _listed(table: Table, label: str) -> list[list[str]] | None:
    """Return the members of a column's lists, where its form has lists."""
    values = table.form.values(label)
    if values is None or not any(isinstance(value, list) for value in values):
        return None
    lists = [value if isinstance(value, list) else [value] for value in values]
    return [[text for each in row if (text := str("" if each is None else each).strip())] for row in lists]


def _marks(table: Table, name: str) -> list[bool]:
    """Return whether each row has a label; DataError where it is neither said nor denied."""
    found = []
    for k, text in enumerate(table.column(name)):
        if (own := text.strip().lower()) not in _YES + _NO:
            raise DataError(
                f"{table.place(k)}, column {name}: {text!r:.40} is none of 1, 0, true, false, yes, no"
            )
        found.append(own in _YES)
    return found
