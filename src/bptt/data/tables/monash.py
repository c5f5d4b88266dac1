"""Series as the Monash archive writes them, .tsf: one a line, from a first time on."""

import re
from collections.abc import Sequence

import numpy as np

from bptt.data.tables.delimited import Delimited
from bptt.data.tables.forms import Columns, Content, expect_distinct
from bptt.errors import DataError

_MONTHS = {"yearly": 12, "quarterly": 3, "monthly": 1}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "half_hour": 1800, "day": 86400, "week": 604800}
_OTHERWISE = {"daily": "1_day", "weekly": "1_week", "half_hourly": "1_half_hour"}
_START = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d)[-:](\d\d)[-:](\d\d))?")


def is_series(head: Sequence[str]) -> bool:
    """Return whether what stands before the data speaks of series."""
    return any(re.match(r"@(frequency|horizon|equallength)\b", line, re.IGNORECASE) for line in head)


def read(
    attributes: Sequence[tuple[str, str]], frequency: str, rows: Sequence[tuple[int, str]], name: str
) -> Content:
    """Return a row for each value: the series' attributes, its `time`, where one is given, and `value`.

    DataError where a line has another number of attributes, a time is none, or a frequency means nothing.
    """
    dated = [each for each, kind in attributes if kind.strip().lower() == "date"]
    plain = [each for each, _ in attributes if each not in dated]
    expect_distinct([*plain, *(["time"] if dated else []), "value"], name)
    columns: Columns = {each: [] for each in (*plain, *(["time"] if dated else []), "value")}
    places = []
    for place, line in rows:
        *own, values = line.split(":", len(attributes))
        if len(own) != len(attributes):
            raise DataError(f"{name}: line {place} has {len(own)} of {len(attributes)} attributes")
        of = dict(zip([each for each, _ in attributes], map(str.strip, own), strict=True))
        steps = [text.strip() for text in values.split(",")]
        for each in plain:
            columns[each] += [of[each]] * len(steps)
        if dated:
            columns["time"] += _times(of[dated[0]], frequency, len(steps), f"{name}: line {place}")
        columns["value"] += ["" if text == "?" else text for text in steps]
        places += [place] * len(steps)
    return Content(columns, places, Delimited())


def _times(start: str, frequency: str, count: int, where: str) -> list[str]:
    """Return so many times, as days where all are such."""
    found = _START.fullmatch(start)
    if found is None:
        raise DataError(f"{where}: {start!r:.40} is no time as in 1979-01-01 00-00-00")
    day, clock = np.datetime64(found[1], "D"), ":".join(part or "00" for part in found.groups()[1:])
    if (months := _MONTHS.get(frequency)) is not None:
        month = day.astype("datetime64[M]")
        of = month + months * np.arange(count)
        ends = (of + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
        at = np.minimum(of.astype("datetime64[D]") + (day - month.astype("datetime64[D]")), ends)
        return [f"{each} {clock}".removesuffix(" 00:00:00") for each in at.astype(str).tolist()]
    parts = re.fullmatch(r"(?:(\d+)_)?(\w+?)(?:s|ly)?", _OTHERWISE.get(frequency, frequency))
    if parts is None or parts[2] not in _SECONDS:
        raise DataError(
            f"{where}: the frequency {frequency!r:.40} means nothing: want daily, hourly, 10_minutes, ..."
        )
    step = np.timedelta64(_SECONDS[parts[2]] * int(parts[1] or 1), "s")
    times = np.datetime64(f"{found[1]}T{clock}", "s") + step * np.arange(count)
    texts = [each.replace("T", " ") for each in times.astype(str).tolist()]
    whole = all(text.endswith(" 00:00:00") for text in texts)
    return [text.removesuffix(" 00:00:00") for text in texts] if whole else texts
