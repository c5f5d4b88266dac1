"""Files with named columns: CSV, TSV, JSON lines, Parquet, CoNLL's form; any of them may be gzipped."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bptt.data.tables import delimited, given, parts
from bptt.data.tables.contents import content_of
from bptt.data.tables.dates import Dates
from bptt.data.tables.forms import Added, Columns, Form
from bptt.data.tables.numbers import ABSENT, as_number, no_number, plainly, ungrouped, unmarked
from bptt.data.tables.writing import is_named, written
from bptt.data.text.files import INPUT, named, paths, read_file, standard_input
from bptt.errors import DataError
from bptt.types import Array

BETWEEN = " ||| "
"""What stands between the texts of two columns that are read as one."""

_TIME = re.compile(
    r"(?P<moment>\d{4}-\d\d(-\d\d(?P<clock>[T ]\d\d(:\d\d){0,2}(\.\d+)?)?)?)(?P<zone>Z|[+-]\d\d:?\d\d)?"
)

_SIGNS = {"quarter": "Q", "qtr": "Q", "week": "W"}
"""What stands before a number in a column of such a name, as times are written."""

_DECIMAL = re.compile(r"^(\s*[+-]?\d+),(\d+)")


Given: TypeAlias = str | os.PathLike[str] | given.Given
"""A table as a caller has it: the path of a file, or columns."""


@dataclass(frozen=True, eq=False)
class Table:
    """A file's columns, as texts.

    Attributes
    ----------
    name : str
        The file, as errors have it.
    columns : dict of list of str
        Each column's values, by its name; an absent value is an empty text.
    lines : list of int
        The line of the file that each row begins at, as a person finds it; of Parquet the row's number.
    form : Form
        How the file is written.
    sha256 : str
        Of the file.
    unreadable : dict of str
        Why a column's values are no texts, by its name: it matters to whoever reads that column.
    """

    name: str
    columns: Columns
    lines: list[int]
    form: Form
    sha256: str
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """Return where a row stands, as a person finds it."""
        return f"{self.name}: {self.form.at(self.columns, row) or f'{self.form.row} {self.lines[row]}'}"

    def take(self, rows: Array) -> "Table":
        """Return some of the rows, which errors name as before."""
        which = rows.tolist()
        columns = {name: [values[k] for k in which] for name, values in self.columns.items()}
        return replace(self, columns=columns, lines=[self.lines[k] for k in which])

    def column(self, name: str) -> list[str]:
        """Return a column's values; DataError if there is none of that name.

        Of several, ``a,b``, the values stand behind each other, with ` ||| ` between; where all are empty it
        is, too.
        """
        several = [part.strip() for part in name.split(",")]
        if name not in self.columns and len(several) > 1 and all(part in self.columns for part in several):
            rows = zip(*map(self.column, several), strict=True)
            return [BETWEEN.join(row) if any(map(str.strip, row)) else "" for row in rows]
        if name not in self.columns:
            names = list(self.columns)
            few = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            says = f"{self.name}: has no column {name!r:.60}; it has {few}"[:1000]
            has_head = isinstance(self.form, delimited.Delimited) and self.form.head
            hint = (
                "; --no-head, if its first line has none" if has_head and re.match(r"\d+(:|$)", name) else ""
            )
            raise DataError(says + hint)
        if name in self.unreadable:
            raise DataError(self.unreadable[name])
        return self.columns[name]

    def across(self, names: str) -> list[str]:
        """Return the columns that a text names: a,b,c, or a:c, from one to another; DataError for others.

        Of x.1, x.2, ..., the parts of each step of x, x names all.

        Examples
        --------
        >>> Table.of({"t": [0], "a": [1], "b": [2], "c": [3]}).across("t,b:c")
        ['t', 'b', 'c']
        """
        own, found = list(self.columns), list[str]()
        for name in (part.strip() for part in names.split(",")):
            of_it = re.compile(rf"{re.escape(name)}\.\d+")
            if name not in own and (several := [each for each in own if of_it.fullmatch(each)]):
                found += several
                continue
            first, between, last = (name, "", "") if name in own else name.partition(":")
            for each in (first, last) if between else (first,):
                self.column(each)
            begin, end = own.index(first), own.index(last or first)
            if end < begin:
                raise DataError(f"{self.name}: {last} stands before {first}: as in {last}:{first}")
            found += own[begin : end + 1]
        if twice := [name for name, count in Counter(found).items() if count > 1]:
            raise DataError(f"{self.name}: {names!s:.60} names column {twice[0]!s:.60} twice")
        return found

    def with_joined(self, name: str) -> "Table":
        """Return a table with a column of this name: of ``a,b`` the values beside each other.

        A number in a column that is called quarter or week is not a month: it becomes Q1 or W1.
        """
        several = [part.strip() for part in name.split(",")]
        if name in self.columns or len(several) == 1:
            return self
        signs = [_SIGNS.get(part.lower(), "") for part in several]
        own = [
            " ".join(
                sign * part.strip().isdecimal() + part for sign, part in zip(signs, row, strict=True)
            ).strip()
            for row in zip(*map(self.column, several), strict=True)
        ]
        return replace(self, columns=self.columns | {name: own})

    def filled(self, name: str) -> list[str]:
        """Return a column's values; DataError where one is empty."""
        values = self.column(name)
        if (empty := next((k for k, value in enumerate(values) if not value.strip()), None)) is not None:
            raise self.empty(name, empty)
        return values

    def empty(self, name: str, row: int) -> DataError:
        """Return the error of a row that has no value in a column, with how many others there are."""
        more = sum(not text.strip() for text in self.column(name)) - 1
        others = f", as {more:,} more are" if more > 1 else ", as one more is" if more else ""
        return DataError(
            f"{self.place(row)}, column {name}: is empty{others}; give it a value, or leave the row out"
        )

    def numbers(self, name: str, *, absent: bool = False) -> Array:
        """Return a column as (R,) float64; DataError for a value that is no finite number.

        With `absent`, what stands where there is no number (nothing, NA, null, ?, -, .) is NaN.
        """
        column = ungrouped(unmarked(self.column(name)), is_continental=self.is_continental)
        values = np.empty(len(self))
        for k, text in enumerate(column):
            found = self.number(text)
            values[k] = found = found if np.isfinite(found) else self.number(plainly(text))
            if not np.isfinite(found) and not (absent and text.strip().lower() in ABSENT):
                if not text.strip():
                    raise self.empty(name, k)
                raise DataError(f"{self.place(k)}, column {name}: {no_number(text)}")
        return values

    @property
    def is_continental(self) -> bool:
        """Whether a comma may be a decimal point, as where semicolons stand between values."""
        return isinstance(self.form, delimited.Delimited) and self.form.delimiter == ";"

    def number(self, text: str) -> float:
        """Return the number that a text is in this table; NaN where it is none."""
        if self.is_continental:  # written where the decimal point is a comma
            text = _DECIMAL.sub(r"\1.\2", text)
        return as_number(text)

    def listed(self, text: str) -> list[str]:
        """Return the numbers of a list without white space, as texts: a comma may be a decimal point."""
        is_one = self.is_continental and text.count(",") == 1 and _DECIMAL.match(text)
        if is_one:
            return [text]
        return bare.split(",") if (bare := text.strip(",")) else []  # an empty one within keeps its place

    def times(self, name: str, form: str | None = None) -> Array:
        r"""Return a column of times: (R,) float64 where all are numbers, or else datetime64.

        DataError for a value that is neither.

        Examples
        --------
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "a.csv")
        >>> _ = path.write_text("day,x\n2020-02-28,1\n2020-03-01,2\n")
        >>> np.diff(read_table(path).times("day"))
        array([2], dtype='timedelta64[D]')
        """
        column, dates = self.column(name), self.dates(name, form, digits=True)
        if not dates.form:
            with suppress(DataError):
                return self.numbers(name)
        values, zones = [], dict[str, str]()
        for k, text in enumerate(column):
            found = _TIME.fullmatch(dates.iso(text))
            try:
                values.append(np.datetime64(found["moment"] if found else "NaT"))
            except ValueError:
                values.append(np.datetime64("NaT"))
            if found is None or np.isnat(values[-1]):
                raise DataError(
                    f"{self.place(k)}, column {name}: {text!r:.40} is no time: want a number, or as in "
                    "2020-01-31, 31.01.2020, 1/31/2020, 31-Jan-20, 2020-01-31T14:00 or 2020-01; "
                    "--date-format says how others are written"
                ) from None
            if found["clock"]:
                zones.setdefault("Z" if found["zone"] == "+00:00" else found["zone"] or "", text)
            if len(zones) > 1:
                raise DataError(
                    f"{self.place(k)}, column {name}: {text!r:.40} has another time zone than "
                    f"{next(iter(zones.values()))!r:.40}: write all times in one"
                ) from None
        return np.array(values)

    def dates(self, name: str, form: str | None = None, *, digits: bool = False) -> Dates:
        """Return how a column writes its times, or with which marks a form; DataError where it may be two."""
        column = self.column(name)
        try:
            if form is not None:
                return Dates.said(form, column)
            of_parts = (Dates.said(each, column) for each in parts.forms_of(name.split(",")))
            fits = (each for each in of_parts if all(each.iso(text) != text for text in {*column}))
            return next(fits, None) or Dates.of(column, digits=digits)
        except DataError as error:
            raise DataError(f"{self.name}, column {name}: {error}") from None

    def written(self, added: Added, suffix: str = "") -> bytes:
        """Return the file's bytes with columns added; DataError where it has one of such a name.

        In its own form, or that which the end of a name says.
        """
        if both := [name for name in added if name in self.columns]:
            raise DataError(f"{self.name}: has a column {both[0]!r:.60} already: rename it")
        if is_named(self.form, suffix):
            return self.form.written(self.columns, added)
        nested = {
            name: [
                json.dumps(value, ensure_ascii=False, default=str) for value in self.form.values(name) or ()
            ]
            for name in self.unreadable  # objects: their columns are no texts
        }
        return written({**self.columns, **nested, **added}, self.form, suffix)

    @classmethod
    def of(cls, columns: given.Given) -> "Table":
        """Return a table that is no file's (see `bptt.data.tables.given`); DataError for what is none."""
        found = given.read(columns)
        places, form, unreadable = found.places, found.form, found.unreadable
        return cls(given.NAME, found.columns, places, form, "", unreadable)


def read_table(
    path: str | Path, *, sentences: bool = False, head: bool = True, encoding: str | None = None
) -> Table:
    r"""Read a file with named columns.

    Parquet and gzip are known by their first bytes, JSON lines by the first character (``{``); what else is
    text has a head, which says what stands between values: commas, semicolons, tabs or bars.

    Parameters
    ----------
    path : str or path
        - is standard input.
    sentences : bool
        Whether it has a word a line and a blank line between sentences, as files of CoNLL.
    head : bool
        Whether delimited values have a head; otherwise columns are called 1, 2, ...
    encoding : str, optional
        Of a text that is not UTF-8 and has no byte order mark.

    Raises
    ------
    DataError
        If the file cannot be read, is empty or cut short, is in another encoding, has a row with too few or
        too many values, two columns of one name, or no rows; the line is named.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "names.csv")
    >>> _ = path.write_text('name;language\n"Müller";German\n', encoding="utf-8")
    >>> read_table(path).columns
    {'name': ['Müller'], 'language': ['German']}
    """
    name = named(path)
    if len(paths(path)) > 1:
        raise DataError(f"{name}: a table is read from one file: write it into one, and give its PATH")
    data = standard_input() if str(path) == INPUT else read_file(Path(path))
    found = content_of(data, name, sentences=sentences, head=head, encoding=encoding)
    if not found.places:
        raise DataError(f"{name}: has a head and no rows")
    return Table(
        name, found.columns, found.places, found.form, hashlib.sha256(data).hexdigest(), found.unreadable
    )


def table_of(table: Given) -> "str | Table":
    """Return a path, or columns as a table."""
    return os.fspath(table) if isinstance(table, (str, os.PathLike)) else Table.of(table)
