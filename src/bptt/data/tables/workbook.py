"""The first sheet of a workbook, .xlsx, by openpyxl, which is an extra."""

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from bptt.data.tables.delimited import Delimited, content
from bptt.data.tables.forms import Content
from bptt.data.text.files import LIMIT
from bptt.data.text.packed import ZIP, expect_short
from bptt.errors import BpttWarning, DataError

ENDS = (".xlsx", ".xlsm")

MOST = 1 << 26
"""The cells that a sheet may have, empty ones among them."""


@dataclass(frozen=True)
class Sheet(Delimited):
    """Rows of a sheet: what is written are texts with commas between."""

    row = "row"


def is_workbook(data: bytes, name: str) -> bool:
    """Return whether a file is a workbook."""
    return data.startswith(ZIP) and name.lower().endswith(ENDS)


def read(data: bytes, name: str, *, head: bool) -> Content:
    """Return what the first sheet holds, without empty rows and columns around it; its first row is the head.

    Of a formula the value that was kept is read. A warning says which sheet is read, where there are several.
    DataError where openpyxl is missing, or the file is damaged or empty.
    """
    expect_short(data, name, LIMIT)
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            f"{name}: a workbook is read by openpyxl, an extra: pip install 'bptt[tables]'; or save it as CSV"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what openpyxl does not know of a workbook is no matter here
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheets = {sheet.title: sheet for sheet in book.worksheets}
            for sheet in sheets.values():
                sheet.reset_dimensions()  # which a file says, and not all that write one say right
            rows = [*next(iter(sheets.values())).iter_rows(values_only=True)] if sheets else []
    except Exception as error:  # of a damaged one openpyxl raises whatever its parts do
        raise DataError(f"{name}: cannot be read as a workbook; is it cut short? ({error!s:.200})") from None
    if len(sheets) > 1:
        first, *others = sheets
        says = f"{name}: its first sheet is read, {first!r:.60}, and not {', '.join(others)}"[:300]
        warnings.warn(says, BpttWarning, stacklevel=2)
    return content(_filled(rows, name), name, Sheet(head=head))


def _filled(rows: Sequence[Sequence[Any]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows from the first to the last that hold anything, without empty columns, as texts."""
    filled = [[k for k, value in enumerate(row) if value not in (None, "")] for row in rows]
    there = [k for k, own in enumerate(filled) if own]
    if not there:
        raise DataError(f"{name}: is empty")
    first, last = min(own[0] for own in filled if own), max(own[-1] for own in filled if own)
    wide, own = last - first + 1, rows[there[0] : there[-1] + 1]
    if wide * len(own) > MOST:
        raise DataError(
            f"{name}: its cells lie in {len(own):,} rows and {wide:,} columns, more than {MOST:,} in all: "
            "does one stand far from all others?"
        )
    padded = [[*row[first : last + 1], *[None] * (last + 1 - max(first, len(row)))] for row in own]
    columns = [_texts(column) for column in zip(*padded, strict=True)]
    for k, row in enumerate(zip(*columns, strict=True), there[0] + 1):
        yield k, [*row]


def _texts(column: Sequence[Any]) -> list[str]:
    """Return values as texts: days alone where none has a time of day, whole numbers without a point."""
    moments = [value for value in column if isinstance(value, datetime)]
    are_days = all(not (value.hour or value.minute or value.second or value.microsecond) for value in moments)

    def text(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, datetime) and are_days:
            value = value.date()
        if isinstance(value, float) and value.is_integer():
            return f"{value:.0f}"
        return value.isoformat() if isinstance(value, date) else str(value)

    return [text(value) for value in column]
