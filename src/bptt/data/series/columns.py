"""Which columns of a table are series: one below the other, or each a column."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from bptt.data.tables import Table
from bptt.errors import ConfigError

HEADS = ("series", "value")
"""What the columns are called that say which series a value is of, where the table has a column for each."""


class Columns(NamedTuple):
    """Which columns of a table are read: the value, and the others where there are any.

    Where series stand beside each other, `value` names their columns: ``a,b,c``, or ``a:c``.
    """

    value: str
    time: str | None = None
    series: str | None = None
    covariates: tuple[str, ...] = ()
    head: bool = True
    encoding: str | None = None
    dates: str | None = None

    def expect_apart(self) -> None:
        """Raise a ConfigError where the value is read as something else, too."""
        if self.value in self.covariates:
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
        raise ConfigError("--value names several series, a column each; --series is for a row each: give one")
    others = [name for name in (columns.time, *columns.covariates) if name is not None]
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


def names_of(columns: str | None) -> Sequence[str]:
    """Return the names in a list of columns."""
    return tuple(name.strip() for name in (columns or "").split(",") if name.strip())
