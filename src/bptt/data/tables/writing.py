"""Columns as a file, in the form that the end of its name says."""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bptt.data.tables.delimited import TABBED, Delimited
from bptt.data.tables.forms import Added, Form, Kept, Value, digits, in_text
from bptt.data.tables.jsonlines import JsonLines, JsonList
from bptt.data.tables.parquet import Parquet, of_columns

OBJECTS, COLUMNS = (".jsonl", ".ndjson", ".json"), (".parquet", ".feather")


def is_named(form: Form, suffix: str) -> bool:
    """Return whether the end of a file's name says a form, or says nothing of it.

    Examples
    --------
    >>> is_named(Delimited(";"), ".csv"), is_named(Delimited(), ".tsv"), is_named(JsonLines([]), ".txt")
    (True, False, True)
    """
    if suffix in OBJECTS:
        return type(form) is (JsonList if suffix == ".json" else JsonLines)
    if suffix in COLUMNS:
        return isinstance(form, Parquet) and form.is_feather == (suffix == ".feather")
    if suffix not in (".csv", *TABBED):
        return True
    return isinstance(form, Delimited) and (form.delimiter == "\t") == (suffix in TABBED)


def written(columns: Added, own: Form, suffix: str = "") -> bytes:
    """Return columns as a file, by the end of its name.

    JSON lines for ``.jsonl`` and ``.ndjson``, a list of objects for ``.json``, Parquet for ``.parquet``,
    Feather for ``.feather``, tabs between values for ``.tsv``; otherwise values are delimited as in the table
    that was read, whose form is `own`, or by commas.
    """
    if suffix in (*OBJECTS, *COLUMNS) and own.is_text:
        columns = {name: numbered(values) for name, values in columns.items()}
    if suffix in OBJECTS:
        form = JsonList if suffix == ".json" else JsonLines
        return form(["{}"] * len(next(iter(columns.values())))).written({}, columns)
    if suffix in COLUMNS:
        return of_columns(columns, f"*{suffix}", is_feather=suffix == ".feather").written({}, {})
    between = own.delimiter if isinstance(own, Delimited) and is_named(own, suffix) else ","
    texts = {
        name: [
            digits(value) if isinstance(value, float) and not isinstance(value, Kept) else in_text(value)
            for value in values
        ]
        for name, values in columns.items()
    }
    return Delimited("\t" if suffix in TABBED else between).written({}, texts)


_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
_BROKEN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_DIGITS = 15
"""What any float keeps."""


def numbered(values: Sequence[Value]) -> Sequence[Any]:
    """Return texts as numbers, and empty ones as None, where all others are numbers as programs write them.

    Examples
    --------
    >>> numbered(["1", "", "-20"]), numbered(["1.5", "2"]), numbered(["007", "8"]), numbered(["1", "x"])
    ([1, None, -20], [1.5, 2.0], ['007', '8'], ['1', 'x'])
    """
    if not all(isinstance(value, str) for value in values) or not any(values):
        return values
    there = [str(value) for value in values if value]
    if all(map(_WHOLE.fullmatch, there)):
        return [int(str(value)) if value else None for value in values]
    fits = all(_BROKEN.fullmatch(text) and _is_kept(text) for text in there)
    return [Kept(str(value)) if value else None for value in values] if fits else values


def _is_kept(text: str) -> bool:
    """Return whether a number is one as a float, with no other digits."""
    digits, number = re.sub(r"[eE].*|\D", "", text), float(text)
    return math.isfinite(number) and (len(digits) <= _DIGITS or Decimal(repr(number)) == Decimal(text))
