"""Arrays of NumPy as a table: .npz, whose arrays are columns, and .npy."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.data.tables.delimited import Delimited
from bptt.data.tables.forms import Added, Columns, Content
from bptt.errors import DataError
from bptt.types import Array

MAGIC, ZIP = b"\x93NUMPY", b"PK\3\4"
"""What such files begin with; that of .npz is a zip archive's, too."""


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
        each: f"{name}, array {each}: is a pickle of objects, which is not read" for each in pickled
    }
    for each, array in arrays.items():
        if array.dtype.kind not in "biufUM" or array.ndim > 3:
            what = f"{array.ndim} axes" if array.dtype.kind in "biufUM" else f"values of type {array.dtype}"
            unreadable[each] = (
                f"{name}, array {each}: has {what}: want numbers or texts, rows x steps x columns"
            )
            continue
        if each and array.ndim < 3:
            parts = {each: array}
        else:
            apart = np.moveaxis(array if array.ndim > 1 else array[:, None], -1, 0)
            parts = {f"{each}.{k}".removeprefix("."): part for k, part in enumerate(apart, 1)}
        columns |= {own: _texts(part) for own, part in parts.items()}
        single += [own for own, part in parts.items() if part.ndim == 1]
    columns |= {each: [""] * count for each in unreadable}
    return Content(columns, list(range(1, count + 1)), Arrays(single=tuple(single)), unreadable)


def _opened(data: bytes, name: str) -> tuple[dict[str, Array], list[str]]:
    """Return the arrays by their names, that of a .npy has none; and which are pickled. Nothing is run."""
    arrays, pickled = dict[str, Array](), list[str]()
    try:
        found: Any = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"": found}, []
        for each in found.files:
            try:
                arrays[each] = found[each]
            except ValueError as error:
                if "pickle" not in str(error):
                    raise
                pickled.append(each)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{name}: cannot be read as arrays of NumPy ({error!s:.200})") from None
    return {each: array for each, array in arrays.items() if array.ndim}, pickled


def _texts(array: Array) -> list[str]:
    """Return each row as a text, of several values with spaces between."""
    if array.dtype.kind == "M":
        array = np.datetime_as_string(array)
    rows = array.astype(str) if array.dtype.kind == "f" else array
    return [" ".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows.tolist()]
