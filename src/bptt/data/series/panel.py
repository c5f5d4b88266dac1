"""Series of a table, end to end: values in equal steps of time, and what is known ahead of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from bptt.data.series.clock import DAY, Clock, Step, no_time, of_one_hour, of_one_zone, read_time
from bptt.data.series.columns import Columns, long
from bptt.data.tables import Category, Number, Table, read_table
from bptt.data.tables.forms import Form
from bptt.data.tables.numbers import as_number
from bptt.errors import DataError
from bptt.types import Array

Gaps: TypeAlias = Literal["refuse", "mask"]
"""What is done where rows are missing."""

MOST_STEPS = 1_000_000
"""Steps that a series may have, beside `MOST_MISSING` for each row: a time that is far off is a mistake."""

MOST_MISSING = 100

Codes: TypeAlias = Mapping[str, Category | Number]
"""How each covariate becomes numbers, by its column."""


@dataclass(frozen=True, eq=False)
class Panel:
    """M series, end to end.

    Attributes
    ----------
    name : str
        The file, as errors have it.
    form : Form
        How the table is written.
    columns : Columns
    names : list of str
        Of the series.
    clock : Clock
    values : (S,) float64
        Not a number where a value is not known.
    covariates : (S, C) float32
        Coded; zeros where a row is missing.
    beside : (S, B) float32
        What the cell reads beside its input, as it stands in the table; zeros where a row is missing.
    known : (S,) bool
        Which steps have a row.
    lengths : (M,) integers
        Steps of each series, those after its last value among them.
    ends : (M,) integers
        Steps of each series until after its last value: where a forecast begins.
    last : (M,) times
        Of the last step of each.
    codes : dict
        By which the covariates are coded.
    """

    name: str
    form: Form
    columns: Columns
    names: list[str]
    clock: Clock
    values: Array
    covariates: Array
    beside: Array
    known: Array
    lengths: Array
    ends: Array
    last: Array
    codes: dict[str, Category | Number]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def starts(self) -> Array:
        """Where each series begins, (M,)."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def sha256(self) -> str:
        """The sha256 of what was read."""
        summed = hashlib.sha256(repr((self.names, self.clock)).encode())
        for array in (self.values, self.covariates, self.beside, self.known, self.lengths, self.last):
            summed.update(np.ascontiguousarray(array).tobytes())
        return summed.hexdigest()

    def take(self, which: Array) -> "Panel":
        """Return some of the series."""
        parts = [np.arange(at, at + self.lengths[k]) for k, at in enumerate(self.starts) if k in which]
        steps, some = np.concatenate(parts), np.sort(which)
        of_steps = {name: getattr(self, name)[steps] for name in ("values", "covariates", "beside", "known")}
        of_each = {name: getattr(self, name)[some] for name in ("lengths", "ends", "last")}
        return replace(self, names=[self.names[k] for k in some], **of_steps, **of_each)

    def when(self, which: int, step: int) -> float:
        """Return when a step of a series is, as times are compared; it may lie beyond the last."""
        return self.clock.after(self.last[which], step - int(self.lengths[which]) + 1)

    def time(self, which: int, step: int) -> str:
        """Return when a step of a series is, as the table writes it; it may lie beyond the last."""
        return self.clock.text(self.last[which], step - int(self.lengths[which]) + 1)

    def going_on(self, values: Array) -> "Panel":
        """Return the series with `values` (M, H) after the last ones that are known."""
        H = values.shape[1]
        lengths = np.maximum(self.lengths, self.ends + H)
        starts = np.cumsum(lengths) - lengths
        parts = np.split(np.arange(len(self.values)), self.starts[1:])
        to = np.concatenate([start + part - part[0] for start, part in zip(starts, parts, strict=True)])
        grown = []
        flat = (self.values, self.covariates, self.beside, self.known)
        for array, empty in zip(flat, (np.nan, 0, 0, False), strict=True):
            grown.append(np.full((int(lengths.sum()), *array.shape[1:]), empty, array.dtype))
            grown[-1][to] = array
        at = (starts + self.ends)[:, None] + np.arange(H)
        grown[0][at] = values
        last = np.array([self.when(k, int(length) - 1) for k, length in enumerate(lengths)])
        arrays: Any = dict(zip(("values", "covariates", "beside", "known"), grown, strict=True))
        return replace(self, **arrays, lengths=lengths, ends=self.ends + H, last=last)

    def whose(self, which: int) -> str:
        """Return the name of a series, as an error has it."""
        return f"{self.name}: series {self.names[which]!r:.60}" if self.columns.series else self.name

    def expect_covariates(self, horizon: int) -> None:
        """Raise a DataError unless what is known ahead is there for a horizon after the last values."""
        for k in range(len(self)) if self.columns.ahead else ():
            begin, end = int(self.ends[k]), int(self.ends[k]) + horizon
            at = int(self.starts[k])
            rows = self.known[at + begin : at + min(end, int(self.lengths[k]))]
            if len(rows) < horizon or not rows.all():
                lacks = begin + (len(rows) if rows.all() else int(np.argmin(rows)))
                raise DataError(
                    f"{self.whose(k)} has no row for {self.time(k, lacks)}: a forecast of {horizon} steps "
                    f"wants {', '.join(self.columns.ahead)} for each of them, in rows without a "
                    f"{self.columns.value}"
                )


def read_panel(
    path: str | Table,
    columns: Columns,
    *,
    gaps: Gaps = "refuse",
    step: Step | None = None,
    codes: Codes | None = None,
) -> Panel:
    """Read the series of a table: a row for each step of each series, or a column for each.

    Parameters
    ----------
    path : str, or a table that is read
    columns : Columns
    gaps : "refuse" or "mask"
        Where rows are missing: an error, or steps without a value.
    step : Step, optional
        Of time, where a run has one.
    codes : dict, optional
        Of the covariates, where a run has them; otherwise they are made of the table's values.

    Raises
    ------
    DataError
        If the table cannot be read, a column is missing, a value is no number, or the times of a series are
        not in order, not in equal steps, or the same twice; the line is named.
    """
    table = (
        path if isinstance(path, Table) else read_table(path, head=columns.head, encoding=columns.encoding)
    )
    table, columns = long(table.with_joined(columns.time or ""), columns)
    columns.expect_apart()
    values = table.numbers(columns.value, absent=True)
    values[np.isin(values, columns.missing)] = np.nan
    given = table.column(columns.series) if columns.series is not None else [""] * len(table)
    if columns.series is not None and "" in given:
        where = f"{table.place(given.index(''))}, column {columns.series}"
        raise DataError(f"{where}: is empty, and says which series a row is of")
    coded = {name: _coded(table, name, (codes or {}).get(name)) for name in columns.covariates}
    parts = (part for _, part in coded.values())
    covariates = np.column_stack([np.empty((len(table), 0), np.float32), *parts]).astype(np.float32)
    beside = np.column_stack([np.empty((len(table), 0)), *(table.numbers(n) for n in columns.beside)])
    numbers = {name: k for k, name in enumerate(dict.fromkeys(given))}
    of = np.array([numbers[name] for name in given])
    rows = np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of))[:-1])
    clock, rows, places, last = _in_time(table, columns, list(numbers), rows, gaps, step)
    order = np.concatenate(rows)
    lengths = np.array([place[-1] + 1 for place in places])
    at = np.concatenate(places) + np.repeat(np.cumsum(lengths) - lengths, [len(place) for place in places])
    S = int(lengths.sum())
    flat, known = np.full(S, np.nan), np.zeros(S, bool)
    ahead, read = (np.zeros((S, array.shape[1]), np.float32) for array in (covariates, beside))
    flat[at], ahead[at], read[at], known[at] = values[order], covariates[order], beside[order], True
    ends = np.array([_end(part) for part in np.split(flat, np.cumsum(lengths)[:-1])])
    return Panel(
        table.name,
        table.form,
        columns,
        list(numbers),
        clock,
        flat,
        ahead,
        read,
        known,
        lengths,
        ends,
        last,
        {name: code for name, (code, _) in coded.items()},
    )


def _end(values: Array) -> int:
    """Return the steps until after the last value."""
    known = np.flatnonzero(np.isfinite(values))
    return int(known[-1]) + 1 if len(known) else 0


def _in_time(
    table: Table, columns: Columns, names: list[str], rows: list[Array], gaps: Gaps, step: Step | None
) -> tuple[Clock, list[Array], list[Array], Array]:
    """Return the clock, each series' rows in order of time, the step of each, and when the last ones are."""
    if columns.time is None:  # rows are counted
        form, _ = read_time("0")
        last = np.array([float(len(row)) for row in rows])
        return Clock(step or Step("number", 1.0), form), rows, [np.arange(len(row)) for row in rows], last
    texts = table.column(columns.time)
    dates = table.dates(columns.time, columns.dates, digits=step is None or step.unit != "number")
    read = {}
    for text in dict.fromkeys(texts):
        try:
            read[text] = read_time(dates.iso(text))
        except DataError:
            where = table.place(texts.index(text))
            raise DataError(f"{where}, column {columns.time}: {no_time(text)}; {_COUNTED}") from None
    read = of_one_zone(read)
    if any(len({read[texts[k]][1] % DAY for k in row.tolist()}) > 1 for row in rows):  # not each its own hour
        read = of_one_hour(read)
    forms = {(form.kind, form.zone): text for text, (form, _) in read.items()}
    if len(forms) > 1:
        one, other, *_ = forms.values()
        raise DataError(
            f"{table.place(texts.index(other))}, column {columns.time}: {other!r} is written otherwise than "
            f"{one!r}: write all times in one form"
        )
    form = max((form for form, _ in read.values()), key=lambda form: (form.seconds, form.digits))
    times = np.array([read[text][1] for text in texts])
    rows = [row[np.argsort(times[row], kind="stable")] for row in rows]
    for name, row in zip(names, rows, strict=True):
        if (bad := np.flatnonzero(np.diff(times[row]) == 0)).size:
            raise _twice(table, columns, name, row, int(bad[0]))
    try:
        clock = replace(Clock.of([times[row] for row in rows], form, step), dates=dates)
    except DataError as error:
        raise DataError(f"{table.name}, column {columns.time}: {error}") from None
    places = []
    for name, row in zip(names, rows, strict=True):
        steps = clock.count(times[row])
        if steps.sum() > MOST_MISSING * len(steps) + MOST_STEPS:
            k = int(steps.argmax())
            raise _irregular(table, columns, name, (row[k], row[k + 1]), clock, float(steps[k]), far=True)
        if (bad := np.flatnonzero((steps % 1 != 0) | ((steps > 1) & (gaps == "refuse")))).size:
            k = int(bad[0])
            raise _irregular(table, columns, name, (row[k], row[k + 1]), clock, float(steps[k]))
        places.append(np.concatenate([[0], np.cumsum(steps)]).astype(np.int64))
    return clock, rows, places, np.array([times[row[-1]] for row in rows])


def _twice(table: Table, columns: Columns, name: str, row: Array, at: int) -> DataError:
    assert columns.time is not None
    first, again = sorted(row[at : at + 2].tolist())
    hint = "" if columns.series else "; where there are several series, --series COLUMN says a row's"
    return DataError(
        f"{table.place(again)}, column {columns.time}: {table.column(columns.time)[again]} stands twice"
        f"{_of(columns, name)}, first in {table.form.row} {table.lines[first]}: leave one out{hint}"
    )


_COUNTED = "without --time each row is a step"

_WRITTEN = {
    6: "months are written as 2020-01, or --date-format %Y%m",
    8: "days are written as 2020-01-31, or --date-format %Y%m%d",
    10: "hours are written as 2020-01-31T14:00, or --date-format %Y%m%d%H",
}
"""How times are written, that as numbers have so many digits."""


def _irregular(
    table: Table,
    columns: Columns,
    name: str,
    row: tuple[int, int],
    clock: Clock,
    steps: float,
    *,
    far: bool = False,
) -> DataError:
    assert columns.time is not None
    before, after = (table.column(columns.time)[k] for k in row)
    from_to = f"{table.place(row[1])}, column {columns.time}: from {before} to {after}{_of(columns, name)}"
    lengths = {len(before.strip()), len(after.strip())} if clock.form.kind == "number" else set()
    which = next((says for length, says in _WRITTEN.items() if lengths == {length}), "")
    hint = f"; {which}, for here they are numbers" if which else ""
    if far:
        return DataError(f"{from_to} are {steps:.3g} steps of {clock.step}: is that time right?{hint}")
    if steps % 1 == 0:
        return DataError(
            f"{from_to} {'a row is' if steps == 2 else f'{steps - 1:.0f} rows are'} missing, where a step is "
            f"{clock.step}: add rows without a value, or --gaps mask{hint}"
        )
    return DataError(
        f"{from_to} is no whole number of steps of {clock.step}: times must be in equal steps{hint}; "
        f"{_COUNTED}"
    )


def _of(columns: Columns, name: str) -> str:
    return f" in series {name!r:.60}" if columns.series else ""


def _coded(table: Table, name: str, code: Category | Number | None) -> tuple[Category | Number, Array]:
    """Return a covariate as numbers: where no value is one, a column for each name; and by which code.

    Without a code one is made of the values.
    """
    if isinstance(code, Category):
        return code, code.one_hot(table.column(name), f"{table.name}, column {name}")
    try:
        values = table.numbers(name)
    except DataError:
        column = table.column(name)
        if code is None and any(column) and not np.isfinite([*map(as_number, column)]).any():
            return _coded(table, name, Category.of(column))
        raise
    code = code or Number.of(values)
    return code, code.encode(values, f"{table.name}, column {name}")
