"""Texts of which each has a mark of its own: FASTA, FASTQ, and fastText's lines that begin with labels."""

import re
from collections.abc import Callable

from bptt.data.tables.delimited import Delimited
from bptt.data.tables.forms import Columns, Content
from bptt.data.text.packed import plain_name
from bptt.errors import DataError

FASTA = (".fa", ".fasta", ".faa", ".fna", ".ffn", ".frn", ".fas")
FASTQ = (".fq", ".fastq")
"""What the names of such files end in."""

MARK = "__label__"


def form_of(text: str, name: str) -> Callable[[str, str], Content] | None:
    """Return what reads a text in one of these forms; None where it is in another."""
    plain = plain_name(name)
    if text.startswith(MARK):
        return _fasttext
    if text.startswith(">") and plain.endswith(FASTA):
        return _fasta
    return _fastq if text.startswith("@") and plain.endswith(FASTQ) else None


def _fasta(text: str, name: str) -> Content:
    """Return sequences: `id`, what follows it as `description`, and `sequence`, whatever lines it has."""
    columns: Columns = {"id": [], "description": [], "sequence": []}
    places: list[int] = []
    for place, line in enumerate(text.split("\n"), 1):
        if line.startswith(">"):
            own, _, more = line[1:].strip().partition(" ")
            for column, value in zip(columns.values(), (own, more.strip(), ""), strict=True):
                column.append(value)
            places.append(place)
        elif not line.startswith(";"):  # a comment
            columns["sequence"][-1] += "".join(line.split())
    return Content(columns, places, Delimited("\t"))


def _fastq(text: str, name: str) -> Content:
    """Return reads: `id`, `sequence`, and `quality`, a character for each of the sequence's."""
    lines = text.rstrip("\n").split("\n")
    columns: Columns = {"id": [], "sequence": [], "quality": []}
    for at in range(0, len(lines), 4):
        own, sequence, plus, quality, *_ = [*lines[at : at + 4], "", "", ""]
        if not own.startswith("@") or not plus.startswith("+") or len(sequence) != len(quality):
            raise DataError(
                f"{name}: line {at + 1} begins no read of four lines: @id, letters, +, as many qualities"
            )
        for column, value in zip(columns.values(), (own[1:].strip(), sequence, quality), strict=True):
            column.append(value)
    return Content(columns, list(range(1, len(lines) + 1, 4)), Delimited("\t"))


def _fasttext(text: str, name: str) -> Content:
    """Return lines that begin with their labels: `label`, several with spaces between, and `text`."""
    columns: Columns = {"label": [], "text": []}
    places = []
    for place, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        found = re.match(rf"\s*((?:{MARK}\S+\s*)*)(.*)", line)
        assert found is not None
        columns["label"].append(" ".join(found[1].replace(MARK, "").split()))
        columns["text"].append(found[2].strip())
        places.append(place)
    return Content(columns, places, Delimited("\t"))
