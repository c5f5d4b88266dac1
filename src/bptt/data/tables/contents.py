"""What a file holds, in whichever form of tables it is."""

import re

from bptt.data.tables import archives, arrays, conll, delimited, entries, jsonlines, parquet, workbook
from bptt.data.tables.forms import Content
from bptt.data.text.encodings import in_utf8, no_text
from bptt.data.text.files import LIMIT
from bptt.data.text.packed import ZIP, alone, plain_name, unpacked
from bptt.errors import DataError


def content_of(
    data: bytes, name: str, *, sentences: bool = False, head: bool = True, encoding: str | None = None
) -> Content:
    """Return the columns of a file, and how it is written; DataError where it cannot be read."""
    if data.startswith(ZIP) and not (arrays.is_arrays(data, name) or workbook.is_workbook(data, name)):
        data, name = alone(data, name, LIMIT)  # its own name says what it is
    if not data.startswith(ZIP):
        data = unpacked(data, name, LIMIT)
    if arrays.is_arrays(data, name):
        return arrays.read(data, name)
    if workbook.is_workbook(data, name):
        return workbook.read(data, name, head=head)
    if data.startswith((parquet.MAGIC, parquet.FEATHER)):
        return parquet.read(data, name)
    text = _text(data, name, encoding)
    if sentences:
        return conll.read(text, name)
    first = text.lstrip()[:1]
    plain = plain_name(name)
    if first == "{" or re.match(r"\s*\[\s*\{", text) or plain.endswith((".jsonl", ".ndjson", ".json")):
        return jsonlines.read(text, name)
    if (read := entries.form_of(text, name)) is not None:
        return read(text, name)
    if archives.is_archive(text):
        return archives.read(text, name)
    return delimited.read(text, name, head=head)


def _text(data: bytes, name: str, encoding: str | None) -> str:
    """Return the text of a file, with lines that end in a newline."""
    text = in_utf8(data, name, encoding).decode()
    if "\0" in text:
        if (says := no_text(data, name)) is not None:
            raise DataError(says)
        raise DataError(f"{name}: is binary: line {text.count(chr(10), 0, text.index(chr(0))) + 1} has a NUL")
    if not text.strip():
        raise DataError(f"{name}: is empty")
    return text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
