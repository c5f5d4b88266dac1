"""Tables of delimited values: CSV, with semicolons or bars too, and TSV."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from bptt.data.tables.forms import Added, Columns, Content, Form, expect_distinct, in_text
from bptt.data.tables.numbers import as_number
from bptt.data.text.packed import plain_name
from bptt.errors import DataError

DELIMITERS = "\t;,|"
"""What may stand between values; of those that part a head as well, the first."""

TABBED = (".tsv", ".tab")
"""What the names of files with tabs end in."""

_LONGEST = (1 << 31) - 1
_SEPARATOR = re.compile(r"\s*\"?sep=([\t;,|])\"?\n", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class Delimited(Form):
    """Values with a delimiter between, under a head with the columns' names or none."""

    delimiter: str = ","
    head: bool = True

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the table in this form, with columns added."""
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator="\n")
        if self.head:
            writer.writerow([*columns, *added])
        writer.writerows(zip(*columns.values(), *(map(in_text, a) for a in added.values()), strict=True))
        return out.getvalue().encode()


def read(text: str, name: str, *, head: bool = True) -> Content:
    """Return what a text with delimited values holds; without a head columns are called 1, 2, ..."""
    delimiter = None
    if found := _SEPARATOR.match(text):  # spreadsheets write and read such a line
        delimiter, text = found[1], "\n" + text[found.end() :]
    first_line = text.lstrip("\n").split("\n", 1)[0]
    is_list = not head and plain_name(name).endswith((".csv", *TABBED))  # a column alone, of numbers each
    if delimiter is None and not is_list and (spaced := _aligned(text, head=head)):
        delimiter, text = "\t", spaced
    delimiter = delimiter or sniffed(first_line, name)
    tabbed = _tabbed(text) if delimiter == "\t" else None
    rows = _quoted(text, delimiter, name) if tabbed is None else tabbed
    return content(rows, name, Delimited(delimiter, head))


def content(rows: Iterator[tuple[int, list[str]]], name: str, form: Delimited) -> Content:
    """Return rows of values, with the places that they begin at, as a table; the first may be its head."""
    first, head, delimiter = next(rows), form.head, form.delimiter
    if head:
        names = [each.strip().strip("\ufeff\u200b") for each in first[1]]
        if names.count("") > 1:  # as of indices that were saved
            names = [each or f"column {k}" for k, each in enumerate(names, 1)]
        if len({*names}) < len(names) and all(map(_is_number, names)):
            raise DataError(
                f"{name}: its first line has numbers alone, one of them twice: --no-head, if these are values"
            )
        expect_distinct(names, name)
    else:
        names, rows = [str(k + 1) for k in range(len(first[1]))], chain([first], rows)
    values: list[list[str]] = []
    places: list[int] = []
    for place, row in rows:
        if len(row) != len(names):
            wanted = f"the head has {len(names)}" if head else f"line {first[0]} has {len(names)}"
            only = f": {names[0]!r:.40} alone" if head and len(names) == 1 else ""
            raise DataError(
                f"{name}: {form.row} {place} has {len(row)} values, {wanted}{only} (a value that holds "
                f"{delimiter!r} stands in double quotes)"
            )
        if head and [each.strip() for each in row] == names:
            raise DataError(f"{name}: {form.row} {place} is the head again: leave it out")
        places.append(place)
        values.append(row)
    while values and len(names) > 1 and not any(map(str.strip, values[-1])):  # as spreadsheets leave behind
        values.pop()
        places.pop()
    columns = zip(*values, strict=True) if values else ([] for _ in names)
    return Content(dict(zip(names, map(list, columns), strict=True)), places, form)


def _aligned(text: str, *, head: bool) -> str | None:
    """Return a table whose columns are parted by white space, with tabs; None where it is no such one.

    As many words stand in each line, two or more, and in one column numbers alone.
    """
    first = text.lstrip().split("\n", 1)[0].strip()
    numeric = {*range(len(first.split()))}
    if len(numeric) < 2 or any(mark in first for mark in DELIMITERS) or '"' in text:
        return None
    width, lines = len(numeric), text.split("\n")
    rows = (line.split() for line in lines if line.strip())
    for k, row in enumerate(rows):  # most other texts end this at once
        if k > 0 or not head:
            numeric = {j for j in numeric if j < len(row) and _is_number(row[j])}
        if len(row) != width or not numeric:
            return None
    return None if head and k == 0 else "\n".join("\t".join(line.split()) for line in lines)


def _is_number(text: str) -> bool:
    return as_number(text) == as_number(text)


def sniffed(head: str, name: str) -> str:
    """Return what stands between the names of a head.

    Examples
    --------
    >>> sniffed('time;"price, old";sold', "x.csv")
    ';'
    """
    bare = _QUOTED.sub("name", head)
    # between the most names; of as many the most frequent, which may stand before or behind an empty one
    best = max(
        DELIMITERS, key=lambda mark: (sum(map(bool, map(str.strip, bare.split(mark)))), bare.count(mark))
    )
    return best if best in bare else "\t" if plain_name(name).endswith(TABBED) else ","


def _tabbed(text: str) -> Iterator[tuple[int, list[str]]] | None:
    """Return the rows where each line is one, as in TSV, where a quote is mostly a quote; None where not."""
    rows = [(k, line.split("\t")) for k, line in enumerate(text.split("\n"), 1) if line]
    if '"' not in text:
        return iter(rows)
    if any(len(row) != len(rows[0][1]) for _, row in rows):
        return None
    if all(_QUOTED.fullmatch(value) for _, row in rows for value in row if value.startswith('"')):
        rows = [(k, [_bare(value) for value in row]) for k, row in rows]
    return iter(rows)


def _bare(value: str) -> str:
    return value[1:-1].replace('""', '"') if value.startswith('"') else value


def _quoted(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with the line that each begins at; a value in double quotes may hold anything."""
    head = text.lstrip("\n").split("\n", 1)[0]
    spaced = head.count(delimiter) > 0 and head.count(delimiter) == head.count(f"{delimiter} ")
    before = csv.field_size_limit(_LONGEST)  # a document may be longer than what the module takes
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    place = 1
    try:
        for row in rows:
            if row:
                yield place, row
            place = rows.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{name}: the row that begins at line {place} has a double quote that is not closed, or not "
            f"doubled within a quoted value ({error})"
        ) from None
    finally:
        csv.field_size_limit(before)
