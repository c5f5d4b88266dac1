"""Columns as a file, in the form that the end of its name says."""

import numpy as np

from bptt.data.tables.delimited import TABBED, Delimited
from bptt.data.tables.forms import Added, Form
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
    if suffix in OBJECTS:
        form = JsonList if suffix == ".json" else JsonLines
        return form(["{}"] * len(next(iter(columns.values())))).written({}, columns)
    if suffix in COLUMNS:
        return of_columns(columns, f"*{suffix}", is_feather=suffix == ".feather").written({}, {})
    between = own.delimiter if isinstance(own, Delimited) and is_named(own, suffix) else ","
    texts = {
        name: [_digits(value) if isinstance(value, float) else value for value in values]
        for name, values in columns.items()
    }
    return Delimited("\t" if suffix in TABBED else between).written({}, texts)


def _digits(value: float) -> str:
    """Return a number in seven digits, or all before the point, and never as a power of ten."""
    if value != value:
        return ""
    return np.format_float_positional(value, precision=7, fractional=False, trim="-")
