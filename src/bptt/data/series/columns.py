"""Which columns of a table are series: one below the other, or each a column."""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from bptt.data.series.clock import read_time
from bptt.data.tables import Table
from bptt.errors import BpttWarning, ConfigError, DataError

HEADS = ("series", "value")
"""What the columns are called that say which series a value is of, where the table has a column for each."""


class Columns(NamedTuple):
    """Which columns of a table are read: the value, and the others where there are any.

    Where series stand beside each other, `value` names their columns: ``a,b,c``, or ``a:c``. With `series`
    each row is one, and these columns are its steps; in a table that `goes_on` later ones behind these, too.
    """

    value: str
    time: str | None = None
    series: str | None = None
    covariates: tuple[str, ...] = ()
    head: bool = True
    encoding: str | None = None
    dates: str | None = None
    missing: tuple[float, ...] = ()
    goes_on: bool = False
    beside: tuple[str, ...] = ()

    @property
    def ahead(self) -> tuple[str, ...]:
        """What is known ahead of time: covariates, and what the cell reads beside its input."""
        return tuple(dict.fromkeys((*self.covariates, *self.beside)))

    def expect_apart(self) -> None:
        """Raise a ConfigError where the value is read as something else, too."""
        if self.value in self.ahead:
            raise ConfigError(f"{self.value} is what is forecast: it is not known ahead of time")
        if self.value in (self.time, self.series):
            raise ConfigError(f"{self.value} is what is forecast: it cannot be --time or --series, too")
        if len({*self.covariates}) < len(self.covariates):
            raise ConfigError(f"--covariates {','.join(self.covariates)} names a column twice")


def long(table: Table, columns: Columns) -> tuple[Table, Columns]:
    """Return a table in which series stand beside each other with one below the other."""
    names = () if columns.value in table.columns else table.across(columns.value)
    if len(names) < 2:
        return table, columns
    if columns.series is not None:
        return _of_rows(table, columns, [*names, *_further(table, columns, names)])
    others = [name for name in (columns.time, *columns.ahead) if name is not None]
    if both := {*names} & {*others}:
        raise ConfigError(f"{min(both)} is what is forecast: it cannot be read as something else, too")
    for name in names:
        table.numbers(name, absent=True)  # an error names the column
    series, value = (next(name for name in (want, f"{want}_") if name not in others) for want in HEADS)
    of = {name: table.column(name) * len(names) for name in others}
    of[series] = [name for name in names for _ in range(len(table))]
    of[value] = [text for name in names for text in table.column(name)]
    long = replace(table, columns=of, lines=table.lines * len(names), unreadable={})
    return long, columns._replace(value=value, series=series)


def _further(table: Table, columns: Columns, names: Sequence[str]) -> Sequence[str]:
    """Return the columns behind the last of some steps that go on with them: numbered or dated as these are.

    So a run that read 1960:2019 reads 2020 in a table that has it.
    """
    if not columns.goes_on or ":" not in columns.value.rpartition(",")[2]:
        return ()
    behind = [*table.columns][[*table.columns].index(names[-1]) + 1 :]
    dated = _are_times(table, names, columns.dates)
    for count, name in enumerate(behind):
        is_numbered = _shape(name) == _shape(names[-1]) != name
        if not is_numbered and not (dated and _are_times(table, [*names, name], columns.dates)):
            return behind[:count]
    return behind


def _shape(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def _of_rows(table: Table, columns: Columns, names: Sequence[str]) -> tuple[Table, Columns]:
    """Return a table with a series a row as one with a row a step; of rows that end early the last are empty.

    Where the columns are called as times are, these are the steps' times.
    """
    if columns.time is not None or columns.ahead:
        raise ConfigError(
            "where each row is a series, a time and covariates have no place in it: leave them out"
        )
    assert columns.series is not None
    values = list(zip(*(table.column(name) for name in names), strict=True))
    lengths = [max((k + 1 for k, text in enumerate(row) if text.strip()), default=0) for row in values]
    series = table.column(columns.series)
    if not any(lengths):
        raise DataError(f"{table.name}: no row has a value in {names[0]} to {names[-1]}")
    if empty := lengths.count(0):
        one = series[lengths.index(0)]
        says = f"{empty:,} of {len(values):,} rows, such as {one!r:.60}, have no value and are left out"
        warnings.warn(f"{table.name}: {says}", BpttWarning, stacklevel=2)
    rows = [k for k, length in enumerate(lengths) for _ in range(length)]
    steps = [k for length in lengths for k in range(length)]
    if twice := [name for name, count in Counter(series).items() if count > 1]:
        raise DataError(
            f"{table.name}, column {columns.series}: {twice[0]!r:.60} stands twice: want a row a series"
        )
    of = {
        columns.series: [series[k] for k in rows],
        "value": [values[k][j] for k, j in zip(rows, steps, strict=True)],
    }
    columns = columns._replace(value="value")
    if _are_times(table, names, columns.dates):
        of["time"], columns = [names[j] for j in steps], columns._replace(time="time")
    return replace(table, columns=of, lines=[table.lines[k] for k in rows], unreadable={}), columns


def _are_times(table: Table, names: Sequence[str], form: str | None) -> bool:
    heads = replace(table, columns={"time": [*names]}, lines=[1] * len(names))
    dates = heads.dates("time", form, digits=True)
    try:
        kinds = {read_time(dates.iso(name))[0].kind for name in names}
    except DataError:
        return False
    return kinds != {"number"} or all(re.fullmatch(r"1[5-9]\d\d|2\d\d\d", name) for name in names)


def names_of(columns: str | None) -> Sequence[str]:
    """Return the names in a list of columns."""
    return tuple(name.strip() for name in (columns or "").split(",") if name.strip())
