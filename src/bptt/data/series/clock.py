"""When a row is: times in equal steps, read as a table has them and written on in the same form.

A time is a number, or stands as in 2020-01, 2020Q1, 2020-01-31, 2020-01-31 14:00 or 2020-01-31T14:00:00Z;
days may be written otherwise, too (`bptt.data.tables.dates`).
Months and years are no fixed number of days: where all days of a column are the same day of a month, or its
last, steps are counted in months; where a column of days leaves out Saturdays and Sundays, in weekdays.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from bptt.data.tables.dates import Dates
from bptt.errors import DataError
from bptt.types import Array

DAY = 86_400_000_000
"""Microseconds of a day."""

HOUR = DAY // 24

SLACK = 0.05
"""The part of a step by which one between numbers may be off: decimal years are written rounded."""

_WHOLE = {7 * DAY: "week", DAY: "day", DAY // 24: "hour", 60_000_000: "minute", 1_000_000: "second"}
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:(?P<between>[T ])(?P<clock>\d\d:\d\d(?P<seconds>:\d\d(?P<part>\.\d{1,6})?)?)"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)
_MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)")
_QUARTER = re.compile(r"(?P<year>\d{4})(?P<between>-?)Q(?P<quarter>[1-4])")
_NUMBER = re.compile(r"[+-]?(\d+\.?(?P<part>\d*)|\.(?P<alone>\d+))([eE][+-]?\d+)?")


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """From one row of a series to the next.

    Examples
    --------
    >>> str(Step("month", 3)), str(Step("microsecond", 2 * DAY)), str(Step("number", 0.5))
    ('3 months', '2 days', '0.5')
    """

    unit: Literal["number", "microsecond", "month", "weekday"]
    size: Annotated[float, Meta(gt=0)]

    def __str__(self) -> str:
        size, unit = self.size, self.unit
        if unit == "number":
            return f"{size:.6g}"
        if unit == "microsecond":
            of = next((of for of in _WHOLE if size % of == 0), 1)
            size, unit = size / of, _WHOLE.get(of, "microsecond")  # type: ignore[assignment]
        elif unit == "month" and size % 12 == 0:
            size, unit = size / 12, "year"  # type: ignore[assignment]
        return f"{size:g} {unit}{'s' if size != 1 else ''}"


@dataclass(frozen=True)
class Form:
    """How a time is written: what kind it is, what stands between its parts, and how many digits it has."""

    kind: Literal["number", "month", "quarter", "day", "time"]
    between: str = ""
    seconds: bool = False
    digits: int = 0
    zone: str = ""


def read_time(text: str) -> tuple[Form, float]:
    """Return how a time is written, and when it is: a number, months or microseconds since 1970.

    Raises
    ------
    DataError
        If it is no time.

    Examples
    --------
    >>> read_time("1970-03"), read_time("1970-01-02")[1] == DAY
    ((Form(kind='month', between='', seconds=False, digits=0, zone=''), 2), True)
    """
    text = text.strip()
    if found := _NUMBER.fullmatch(text):
        return Form("number", digits=len(found["part"] or found["alone"] or "")), float(text)
    if (found := _MONTH.fullmatch(text)) and 1 <= int(found["month"]) <= 12:
        return Form("month"), 12 * (int(found["year"]) - 1970) + int(found["month"]) - 1
    if found := _QUARTER.fullmatch(text):
        return (
            Form("quarter", found["between"]),
            12 * (int(found["year"]) - 1970) + 3 * int(found["quarter"]) - 3,
        )
    if found := _TIME.fullmatch(text):
        form = Form("day")
        if found["clock"]:
            digits = len(found["part"] or ".") - 1
            form = Form("time", found["between"], bool(found["seconds"]), digits, found["zone"] or "")
        clock = found["clock"] or "00:00"
        is_end = not clock.replace("24:", "", 1).strip("0:.") and clock.startswith("24:")  # of a day
        try:
            at = np.datetime64(f"{found['day']}T{clock.replace('24:', '00:', 1) if is_end else clock}", "us")
        except ValueError:
            pass
        else:
            return form, int(at.astype(np.int64)) + DAY * is_end
    raise no_time(text)


def in_utc(form: Form, at: float) -> tuple[Form, float]:
    """Return a time that has a zone as that of UTC.

    Examples
    --------
    >>> form, at = in_utc(*read_time("1970-01-01T02:00+02:00"))
    >>> form.zone, at
    ('+00:00', 0)
    """
    hours, minutes = (0, 0) if form.zone == "Z" else (int(form.zone[1:3]), int(form.zone[-2:]))
    ahead = (60 * hours + minutes) * 60_000_000 * (-1 if form.zone.startswith("-") else 1)
    return replace(form, zone="+00:00"), int(at) - ahead


def of_one_zone(read: dict[str, tuple[Form, float]]) -> dict[str, tuple[Form, float]]:
    """Return times of several zones, as where summer time begins, as those of one; others as they are.

    Those of one time of day are days of a place, and lose their zone; others become those of UTC.
    """
    zones = {form.zone for form, _ in read.values()}
    if len(zones) < 2 or "" in zones:
        return read
    if len({at % DAY for _, at in read.values()}) == 1:
        return {text: (replace(form, zone=""), at) for text, (form, at) in read.items()}
    return {text: in_utc(*found) for text, found in read.items()}


def of_one_hour(read: dict[str, tuple[Form, float]]) -> dict[str, tuple[Form, float]]:
    """Return midnights of a place with summer time, as another zone has them, as if it had none.

    Where there are two times of day, an hour apart, each day has one of them, and it changes twice a year at
    most, all become the later one.

    Examples
    --------
    >>> days = ["1970-01-01T23:00Z", "1970-01-02T22:00Z", "1970-01-03T22:00Z"]
    >>> [int(at / HOUR) for _, at in of_one_hour({day: read_time(day) for day in days}).values()]
    [23, 47, 71]
    """
    hours = {at % DAY for form, at in read.values() if form.kind == "time"}
    early = [at for at in hours if (at + HOUR) % DAY in hours]
    moved = {text: (form, at + HOUR if at % DAY in early else at) for text, (form, at) in read.items()}
    at_all = np.array(sorted(_times(read)))
    changes = np.count_nonzero(np.diff(np.isin(at_all % DAY, early)))
    is_so = len(hours) == 2 and len(early) == 1 and len(read) > 2
    is_so = is_so and changes <= 1 + 2 * (np.ptp(at_all) / (365 * DAY))  # no rows that alternate
    return moved if is_so and len({*_times(moved)}) == len({*_times(read)}) else read


def _times(read: dict[str, tuple[Form, float]]) -> Iterable[float]:
    return (at for _, at in read.values())


def no_time(text: str) -> DataError:
    """Return the error of what is no time, as the table has it."""
    return DataError(
        f"{text!r:.40} is no time: want a number, or as in 2020-01-31, 31.01.2020, 1/31/2020, 31-Jan-20, "
        "2020-01-31T14:00, 2020-01, Jan 2020, 2020Q1 or 2020-W05; --date-format says how others are written"
    )


@dataclass(frozen=True)
class Clock:
    """Steps of time, and how a time is written.

    Attributes
    ----------
    step : Step
    form : Form
    day : int
        Of steps of months between days: microseconds from a month's first moment, if it is that long.
    dates : Dates
        How days are written.
    """

    step: Step
    form: Form
    day: int = 0
    dates: Dates = field(default=Dates(), repr=False)  # not in the digest of a panel

    @classmethod
    def of(cls, series: Sequence[Array], form: Form, step: Step | None = None) -> "Clock":
        """Return the clock of some series' times, which must rise, in the steps that most of them take.

        Parameters
        ----------
        series : sequence of (n,) arrays
            Each one's times, as `read_time` gives them.
        form : Form
        step : Step, optional
            Of a run, where one is known.

        Raises
        ------
        DataError
            If no series has two times, or they are of another kind than the step.

        Examples
        --------
        >>> form, _ = read_time("2020-01-31")
        >>> ends = [np.array([read_time(text)[1] for text in ("2020-01-31", "2020-02-29", "2020-03-31")])]
        >>> clock = Clock.of(ends, form)
        >>> str(clock.step), clock.text(ends[0][-1], 1)
        ('1 month', '2020-04-30')
        """
        times = np.concatenate(series)
        dated = form.kind in ("day", "time")
        day = _day_of_month(times) if dated else 0
        own: tuple[str, ...] = ("number",) if form.kind == "number" else ("month",)
        if dated:
            own = ("microsecond", "weekday", *(("month",) if day is not None else ()))
        if step is not None:
            if step.unit not in own:
                raise DataError(f"times are in steps of {step}, which these are not")
            return cls(step, form, day or 0)
        steps = np.concatenate([np.diff(each) for each in series])
        if not steps.size:
            raise DataError("no series has two rows, so that the step of time is not known")
        size = _most_frequent(steps)
        if dated and day is not None and size >= 28 * DAY:
            months = np.concatenate([np.diff(_months(each)) for each in series])
            return cls(Step("month", _most_frequent(months)), form, day)
        if dated and size == DAY and _leaves_out_weekends(times):
            return cls(Step("weekday", 1.0), form)
        unit: Literal["number", "microsecond", "month"] = "number" if form.kind == "number" else "month"
        return cls(Step("microsecond" if dated else unit, size), form)

    def count(self, times: Array) -> Array:
        """Return between each time and the next, (n,) to (n - 1,), how many steps: a whole number or none."""
        if self.step.unit == "month" and self.form.kind in ("day", "time"):
            times = _months(times)
        elif self.step.unit == "weekday":
            days = (times // DAY).astype("datetime64[D]")
            counted = np.busday_count(days[:-1], days[1:]).astype(float)
            return np.where(np.is_busday(days[1:]) & np.is_busday(days[:-1]), counted, np.nan)
        found = np.diff(times) / self.step.size
        whole = np.round(found)
        slack = SLACK * np.maximum(1, whole) if self.form.kind == "number" else 0
        return np.where(abs(found - whole) <= slack, whole, found)

    def after(self, time: float, steps: int) -> float:
        """Return the time so many steps after another; before it, where they are negative."""
        unit, size = self.step.unit, self.step.size
        if unit == "number":
            return time + steps * size
        if unit == "weekday":
            day = np.datetime64(int(time // DAY), "D")
            return int(np.busday_offset(day, steps).astype(np.int64)) * DAY + time % DAY
        if unit == "month" and self.form.kind in ("day", "time"):
            month = int(_months(np.array([time]))[0] + steps * size)
            start, end = _micros(month), _micros(month + 1)
            return min(start + self.day, end - DAY + self.day % DAY)
        return int(time + steps * int(size))

    def text(self, time: float, steps: int = 0) -> str:
        """Return the time so many steps after another, as the table writes it."""
        at, form = self.after(time, steps), self.form
        if form.kind == "number":
            return self.dates.written(f"{at:.{form.digits}f}")
        at = int(at)
        if form.kind == "month":
            return self.dates.written(f"{1970 + at // 12:04}-{at % 12 + 1:02}")
        if form.kind == "quarter":
            return self.dates.written(f"{1970 + at // 12:04}{form.between}Q{at % 12 // 3 + 1}")
        moment = str(np.datetime64(at, "us"))
        if form.kind == "day":
            return self.dates.written(moment[:10])
        seconds = moment[16:19] + ("." + moment[20 : 20 + form.digits] if form.digits else "")
        clock = moment[11:16] + (seconds if form.seconds else "")
        return self.dates.written(f"{moment[:10]}{form.between}{clock}{form.zone}")


def _most_frequent(steps: Array) -> float:
    """Return the most frequent step, the smallest of those; of steps that are rounded, their mean."""
    sizes, counts = np.unique(np.round(steps.astype(float), 9), return_counts=True)
    size = float(sizes[counts.argmax()])
    like = abs(steps / size - 1) <= SLACK
    return size if size.is_integer() else round(float(np.mean(steps[like])), 9)


def _months(times: Array) -> Array:
    """Return microseconds as months, since 1970."""
    months: Array = times.astype(np.int64).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return months


def _micros(month: int) -> int:
    return int(np.datetime64(month, "M").astype("datetime64[us]").astype(np.int64))


def _day_of_month(times: Array) -> int | None:
    """Return the place in a month that all times have, or its last day; None where there is none."""
    months = _months(times)
    starts = months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    ends = (months + 1).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    place = times.astype(np.int64) - starts
    day = int(place.max())
    return day if np.all(place == np.minimum(day, ends - starts - DAY + day % DAY)) else None


def _leaves_out_weekends(times: Array) -> bool:
    days = np.unique(times // DAY).astype("datetime64[D]")
    return len(days) > 5 and bool(np.is_busday(days).all()) and not np.any(times % DAY)
