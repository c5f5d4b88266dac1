"""Files of the archives of time series: .ts, as sktime and the UEA have them, ARFF and Monash's .tsf."""

import re
from collections.abc import Iterator

from bptt.data.tables import monash
from bptt.data.tables.delimited import Delimited
from bptt.data.tables.forms import Columns, Content, expect_distinct
from bptt.data.tables.numbers import as_number
from bptt.errors import DataError

LOOKED_AT = 1 << 20
"""The characters within which a file says what its values are."""

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|[^\s{{]+)\s*(.*)", re.IGNORECASE)
_VALUE = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(?:,|$)")
_SAID = re.compile(r"@(\w+)\s+(.*)")
_PLACED = re.compile(rf"\s*(\d+)\s+({_QUOTED}|[^,]*?)\s*(?:,|$)")
_TIMED = re.compile(r"\(([^()]*),([^(),]*)\)")
_PART = re.compile(r"((?:[^:(]+|\([^)]*\)?)*):")


def is_archive(text: str) -> bool:
    """Return whether a text is in one of these forms: it says what its values are, and then ``@data``."""
    begin = text[:LOOKED_AT]
    says = re.search(r"^@(relation|problemname|attribute|classlabel|targetlabel)\b", begin, re.I | re.M)
    return says is not None and re.search(r"^@data\s*$", begin, re.I | re.M) is not None


def read(text: str, name: str) -> Content:
    """Return what a file holds; of .ts a column for each dimension, 1, 2, ..., and `label`.

    Where its values have times, a row is one of these, of which `series` and `time` say where it belongs.
    DataError where a row has another number of values.
    """
    head, rows, first = [], [], 0
    for place, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line[0] == "%":
            continue
        if first:
            rows.append((place, line))
        elif line.lower() == "@data":
            first = place
        else:
            head.append(line)
    said = {found[1].lower(): found[2] for line in head if (found := _SAID.match(line))}
    if attributes := [(found[1], found[2]) for line in head if (found := _ATTRIBUTE.match(line))]:
        if monash.is_series(head):
            rows = [(place, line) for place, line in rows if line[0] != "#"]
            return monash.read(attributes, said.get("frequency", "").strip().lower(), rows, name)
        return _weka([(_bare(own), kind) for own, kind in attributes], rows, name)
    rows = [(place, line) for place, line in rows if line[0] != "#"]  # of .ts a comment, too
    return _dimensions(said, rows, name)


def _weka(attributes: list[tuple[str, str]], rows: list[tuple[int, str]], name: str) -> Content:
    names = [own for own, _ in attributes]
    expect_distinct(names, name)
    left_out = [_left_out(kind) for _, kind in attributes]
    values = []
    for place, line in rows:
        if line[0] == "{" and line[-1] == "}":
            values.append(_sparse(line[1:-1], left_out, f"{name}: line {place}"))
        else:
            values.append([*_values(line)])
        if len(values[-1]) != len(names):
            raise DataError(
                f"{name}: line {place} has {len(values[-1])} values, there are {len(names)} attributes"
            )
    columns = dict(zip(names, map(list, zip(*values, strict=True)), strict=True)) if values else {}
    return Content(columns, [place for place, _ in rows], Delimited())


def _left_out(kind: str) -> str:
    """Return what an attribute is in a sparse row that does not name it: 0, or the first of its names."""
    return next(_values(kind[1:].rstrip().removesuffix("}"))) if kind.startswith("{") else "0"


def _sparse(row: str, left_out: list[str], where: str) -> list[str]:
    """Return the values of a row that names those that are not left out, as in ``1 5.5, 3 yes``."""
    values, at, row = [*left_out], 0, row.rstrip(" \t,")
    while at < len(row):
        found = _PLACED.match(row, at)
        if found is None or int(found[1]) >= len(values):
            wanted = f"an attribute's number, 0 to {len(values) - 1}, and its value"
            raise DataError(f"{where}: want {wanted}; got {row[at:]!r:.40}")
        values[int(found[1])], at = _value(found[2]), found.end()
    return values


def _values(line: str) -> Iterator[str]:
    """Yield a row's values; a bare question mark is none."""
    at, more = 0, True
    while more:
        found = _VALUE.match(line, at)
        assert found is not None  # anything up to a comma is a value
        yield _value(found[1])
        at, more = found.end(), found[0].endswith(",")


def _value(text: str) -> str:
    return "" if text == "?" else _bare(text)


def _bare(value: str) -> str:
    """Return a value without the quotes that it stands in, and without the marks before what is escaped."""
    if not re.fullmatch(_QUOTED, value):
        return value
    return re.sub(
        r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]), value[1:-1]
    )


def _dimensions(said: dict[str, str], rows: list[tuple[int, str]], name: str) -> Content:
    has_times = said.get("timestamps", "false").strip().lower() == "true"
    has_label = any(
        said.get(key, "false").lower().startswith("true") for key in ("classlabel", "targetlabel")
    )
    parts = [_PART.findall(f"{line}:") if has_times else line.split(":") for _, line in rows]
    width = len(parts[0]) if parts else 1
    for (place, _), row in zip(rows, parts, strict=True):
        if len(row) != width:
            raise DataError(f"{name}: line {place} has {len(row)} parts between colons, others have {width}")
    names = [*(str(k + 1) for k in range(width - has_label)), *(["label"] if has_label else [])]
    if has_times:
        return _in_time(names, parts, [place for place, _ in rows], name)
    columns = {
        each: [row[k].strip() if each == "label" else _spaced(row[k]) for row in parts]
        for k, each in enumerate(names)
    }
    return Content(columns, [place for place, _ in rows], Delimited())


def _in_time(names: list[str], parts: list[list[str]], places: list[int], name: str) -> Content:
    """Return a row for each time of each sequence: `series`, `time`, dimensions, `label`."""
    columns: Columns = {each: [] for each in ("series", "time", *names)}
    lines = []
    for k, (row, place) in enumerate(zip(parts, places, strict=True), 1):
        own = dict(zip(names, row, strict=True))
        label = own.pop("label", "").strip()
        times: dict[str, dict[str, str]] = {}
        for each, values in own.items():
            if odd := _TIMED.sub("", values).strip(", ?"):
                raise DataError(f"{name}: line {place}: {odd!r:.40} is no (time,value)")
            for time, value in _TIMED.findall(values):
                at = times.setdefault(time.strip(), {})
                if each in at:
                    raise DataError(
                        f"{name}: line {place}: dimension {each} has time {time.strip()!r:.40} twice"
                    )
                at[each] = _value(value.strip())
        for time in sorted(times, key=_in_order):
            of = {"series": str(k), "time": time, "label": label} | times[time]
            for each, column in columns.items():
                column.append(of.get(each, ""))
            lines.append(place)
    return Content(columns, lines, Delimited())


def _in_order(time: str) -> tuple[float, str]:
    """Return by what times are sorted: numbers, and texts that begin with the year; others stay."""
    number = as_number(time)
    return (number, "") if number == number else (0.0, time if re.match(r"\d{4}\D", time) else "")


def _spaced(values: str) -> str:
    """Return numbers with commas between with spaces there; one that is left out keeps its place."""
    return " ".join(value.strip() or "?" for value in values.split(","))
