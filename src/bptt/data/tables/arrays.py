"""Arrays of NumPy as a table: .npz, whose arrays are columns, and .npy."""

import io
import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.data.tables.delimited import Delimited
from bptt.data.tables.forms import Added, Columns, Content
from bptt.data.text.files import LIMIT
from bptt.data.text.packed import ZIP, expect_short
from bptt.errors import DataError
from bptt.types import Array

MAGIC = b"\x93NUMPY"
"""What a .npy begins with, and each file of a .npz, which is a zip archive."""

KINDS = "biufUSM"
"""The kinds of numbers, texts and times."""

_DAMAGED = (
    *(OSError, EOFError, ValueError, ArithmeticError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, SyntaxError, RecursionError, tokenize.TokenError),
)
"""What NumPy raises of a file that is damaged, or says what it is not."""

SLICE = 1 << 20
"""Values that are made texts at a time: NumPy's are longer than they need be."""


@dataclass(frozen=True)
class Arrays(Delimited):
    """Rows of arrays: what is written are those with one value a row."""

    single: tuple[str, ...] = ()
    row = "row"

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the single values, with columns added, as CSV."""
        return super().written({name: columns[name] for name in self.single}, added)


def is_arrays(data: bytes, name: str) -> bool:
    """Return whether a file holds arrays."""
    return data.startswith(MAGIC) or (data.startswith(ZIP) and name.lower().endswith(".npz"))


def read(data: bytes, name: str) -> Content:
    """Return what a file holds: a column for each array, whose first axis are the rows.

    An array (R, T) is T values a row; one (R, T, D) are D columns NAME.1, NAME.2, ... of T values a row. The
    columns of a .npy are called 1, 2, ... A single value, as a rate, is passed over. DataError where a file
    is damaged, or its arrays have not as many rows.
    """
    arrays, pickled = _opened(data, name)
    counts = {len(array): [n for n, a in arrays.items() if len(a) == len(array)] for array in arrays.values()}
    if len(counts) != 1:
        rows = " and ".join(f"{count:,} rows ({', '.join(own)})" for count, own in counts.items())
        raise DataError(
            f"{name}: its arrays have {rows or 'no rows'}: save those that belong together in a file of "
            "their own, by numpy.savez"
        )
    count, single = next(iter(counts)), list[str]()
    columns: Columns = {}
    unreadable = {
        each: f"{name}, array {each}: is a pickle of objects, which is not read; of texts, save .astype(str)"
        for each in pickled
    }
    for each, array in arrays.items():
        if array.dtype.kind not in KINDS or array.ndim > 3:
            what = f"{array.ndim} axes" if array.dtype.kind in KINDS else f"values of type {array.dtype}"
            unreadable[each] = (
                f"{name}, array {each}: has {what}: want numbers or texts, rows x steps x columns"
            )
            continue
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8", "replace")
        if each and array.ndim < 3:
            parts = {each: array}
        else:
            apart = np.moveaxis(array if array.ndim > 1 else array[:, None], -1, 0)
            parts = {f"{each}.{k}".removeprefix("."): part for k, part in enumerate(apart, 1)}
        if both := [own for own in parts if own in columns or (own != each and own in arrays)]:
            raise DataError(f"{name}: {both[0]} is an array, and a column of {each}, too: rename one")
        columns |= {own: _texts(part) for own, part in parts.items()}
        single += [own for own, part in parts.items() if part.ndim == 1]
    columns |= {each: [""] * count for each in unreadable}
    return Content(columns, list(range(1, count + 1)), Arrays(single=tuple(single)), unreadable)


def _opened(data: bytes, name: str) -> tuple[dict[str, Array], list[str]]:
    """Return the arrays by their names, that of a .npy has none; and which are pickled. Nothing is run."""
    arrays, pickled = dict[str, Array](), list[str]()
    if data.startswith(ZIP):
        expect_short(data, name, LIMIT)
    try:
        found: Any = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(found, np.ndarray):
            return _apart({"": found}), []
        for each in found.files:
            try:
                if isinstance(array := found[each], np.ndarray):  # others are files of another kind
                    arrays[each] = array
            except ValueError as error:
                if "pickle" not in str(error):
                    raise
                pickled.append(each)
    except _DAMAGED as error:
        raise DataError(f"{name}: cannot be read as arrays of NumPy ({error!s:.200})") from None
    return _apart(arrays), pickled


def _apart(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return arrays that have rows; of structured ones each field."""
    found = dict[str, Array]()
    for name, array in arrays.items():
        fields = {f"{name}.{own}".removeprefix("."): array[own] for own in array.dtype.names or ()}
        found |= fields or {name: array}
    return {name: array for name, array in found.items() if array.ndim}


def _texts(array: Array) -> list[str]:
    """Return each row as a text, of several values with spaces between."""
    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] not in ("Y", "M"):
        known = array[~np.isnat(array)]  # days where all are, and never nanoseconds, which nothing else has
        units = (unit for unit in ("D", "s") if (known.astype(f"M8[{unit}]") == known).all())
        array = array.astype(f"M8[{next(units, 'us')}]")
    many, found = max(1, SLICE // max(1, math.prod(array.shape[1:]))), list[str]()
    for start in range(0, len(array), many):
        rows = array[start : start + many]
        if rows.dtype.kind == "M":
            rows = np.where(np.isnat(rows), "", np.datetime_as_string(rows))
        elif rows.dtype.kind == "f":
            rows = rows.astype(str)
        found += [" ".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows.tolist()]
    return found
