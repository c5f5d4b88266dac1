"""Files of the archives of time series: .ts, as sktime and the UEA have them, and ARFF, Weka's."""

import re
from collections.abc import Iterator

from bptt.data.tables.delimited import Delimited
from bptt.data.tables.forms import Content, expect_distinct
from bptt.errors import DataError

LOOKED_AT = 1 << 20
"""The characters within which a file says what its values are."""

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|[^\s{{]+)", re.IGNORECASE)
_VALUE = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(?:,|$)")
_SAID = re.compile(r"@(\w+)\s+(.*)")


def is_archive(text: str) -> bool:
    """Return whether a text is in one of these forms: it says what its values are, and then ``@data``."""
    begin = text[:LOOKED_AT]
    says = re.search(r"^@(relation|problemname|attribute|classlabel|targetlabel)\b", begin, re.I | re.M)
    return says is not None and re.search(r"^@data\s*$", begin, re.I | re.M) is not None


def read(text: str, name: str) -> Content:
    """Return what a file holds; of .ts a column for each dimension, 1, 2, ..., and `label`.

    DataError where a row has another number of values, or values have times of their own.
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
    if attributes := [_bare(found[1]) for line in head if (found := _ATTRIBUTE.match(line))]:
        return _weka(attributes, rows, name)
    rows = [(place, line) for place, line in rows if line[0] != "#"]  # of .ts a comment, too
    said = {found[1].lower(): found[2] for line in head if (found := _SAID.match(line))}
    return _dimensions(said, rows, name)


def _weka(names: list[str], rows: list[tuple[int, str]], name: str) -> Content:
    expect_distinct(names, name)
    if rows and rows[0][1].startswith("{"):
        raise DataError(f"{name}: is sparse ARFF; write each value, as a CSV")
    values = []
    for place, line in rows:
        values.append([*_values(line)])
        if len(values[-1]) != len(names):
            raise DataError(
                f"{name}: line {place} has {len(values[-1])} values, there are {len(names)} attributes"
            )
    columns = dict(zip(names, map(list, zip(*values, strict=True)), strict=True)) if values else {}
    return Content(columns, [place for place, _ in rows], Delimited())


def _values(line: str) -> Iterator[str]:
    """Yield a row's values; a bare question mark is none."""
    at, more = 0, True
    while more:
        found = _VALUE.match(line, at)
        assert found is not None  # anything up to a comma is a value
        yield "" if found[1] == "?" else _bare(found[1])
        at, more = found.end(), found[0].endswith(",")


def _bare(value: str) -> str:
    """Return a value without the quotes that it stands in, and without the marks before what is escaped."""
    if not re.fullmatch(_QUOTED, value):
        return value
    return re.sub(
        r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]), value[1:-1]
    )


def _dimensions(said: dict[str, str], rows: list[tuple[int, str]], name: str) -> Content:
    if said.get("timestamps", "false").strip().lower() == "true":
        raise DataError(
            f"{name}: its values have times of their own; write it as a table with --series and --time"
        )
    has_label = any(
        said.get(key, "false").lower().startswith("true") for key in ("classlabel", "targetlabel")
    )
    parts = [line.split(":") for _, line in rows]
    width = len(parts[0]) if parts else 1
    for (place, _), row in zip(rows, parts, strict=True):
        if len(row) != width:
            raise DataError(f"{name}: line {place} has {len(row)} parts between colons, others have {width}")
    names = [*(str(k + 1) for k in range(width - has_label)), *(["label"] if has_label else [])]
    columns = {
        each: [row[k].strip() if each == "label" else _spaced(row[k]) for row in parts]
        for k, each in enumerate(names)
    }
    return Content(columns, [place for place, _ in rows], Delimited())


def _spaced(values: str) -> str:
    """Return numbers with commas between with spaces there; one that is left out keeps its place."""
    return " ".join(value.strip() or "?" for value in values.split(","))
