"""Parquet, and Feather as Arrow has it, by pyarrow, which is an extra."""

import io
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bptt.data.tables.forms import Added, Columns, Content, Form, expect_distinct, joined, spread
from bptt.errors import DataError

MAGIC, FEATHER = b"PAR1", b"ARROW1"
"""What such files begin with."""


@dataclass(frozen=True)
class Parquet(Form):
    """A table of columns that have types."""

    table: Any
    is_feather: bool = False
    row = "row"
    is_text = False

    def values(self, name: str) -> list[Any] | None:
        """Return a column's values; None where it is a part of one."""
        return _values(self.table.column(name)) if name in self.table.column_names else None

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the table in this form, with columns added."""
        table, out = self.table, io.BytesIO()
        for name, values in added.items():
            table = table.append_column(name, [list(values)])
        parquet = _pyarrow("written")
        if self.is_feather:
            from pyarrow import feather

            feather.write_feather(table, out)
        else:
            parquet.write_table(table, out)
        return out.getvalue()


def of_columns(columns: Added, name: str, *, is_feather: bool = False) -> Parquet:
    """Return columns as a table of this form; DataError if pyarrow is missing."""
    _pyarrow(name)
    import pyarrow as pa

    return Parquet(pa.table({key: list(values) for key, values in columns.items()}), is_feather)


def read(data: bytes, name: str) -> Content:
    """Return what a file of Parquet or Feather holds."""
    parquet = _pyarrow(name)
    kind = "Feather" if data.startswith(FEATHER) else "Parquet"
    try:
        if is_feather := kind == "Feather":
            from pyarrow import feather

            table = feather.read_table(io.BytesIO(data))
        else:
            table = parquet.read_table(io.BytesIO(data))
    except (OSError, ValueError, ArithmeticError) as error:  # pyarrow's own are of these
        reason = (str(error).splitlines() or ["it is damaged"])[0]
        raise DataError(f"{name}: cannot be read as {kind}; is it cut short? ({reason:.200})") from None
    expect_distinct(table.column_names, name)
    columns: Columns = {}
    unreadable = {}
    for column, values in zip(table.column_names, table.columns, strict=True):
        try:
            for own, each in spread(column, _values(values), table.column_names).items():
                columns[own] = [_text(value, f"{name}: row {k}, {own}") for k, value in enumerate(each, 1)]
        except (DataError, ValueError, ArithmeticError) as error:  # it matters where the column is read
            columns[column] = [""] * len(table)
            said = f"{name}, column {column}: cannot be read ({error})"
            unreadable[column] = str(error) if isinstance(error, DataError) else said
    return Content(columns, list(range(1, len(table) + 1)), Parquet(table, is_feather), unreadable)


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):  # nanoseconds would be another library's
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _text(value: Any, where: str) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return joined(value, where)
    if isinstance(value, bytes):  # as some write texts
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise DataError(f"{where}: holds bytes that are no UTF-8") from None
    if isinstance(value, dict):
        raise DataError(f"{where}: holds an object: want a text, a number, or a list of them")
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)


def _pyarrow(name: str) -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(f"{name}: Parquet is read by pyarrow, an extra: pip install 'bptt[tables]'") from None
    found: ModuleType = pyarrow.parquet
    return found
