"""JSON: an object a line, or a list of objects."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bptt.data.tables.forms import (
    Added,
    Columns,
    Content,
    Form,
    encodable,
    expect_distinct,
    in_json,
    joined,
    spread,
)
from bptt.data.text.packed import plain_name
from bptt.errors import DataError


@dataclass(frozen=True)
class JsonLines(Form):
    """An object a line; objects are written again as they were."""

    objects: list[str]

    def values(self, name: str) -> list[Any]:
        """Return what objects have under a key, None where one lacks it."""
        return [json.loads(line).get(name) for line in self.objects]

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the table in this form, with columns added."""
        return "".join(f"{line}\n" for line in self.grown(added)).encode()

    def grown(self, added: Added) -> list[str]:
        """Return the objects with columns added."""
        found = []
        for k, line in enumerate(self.objects):
            more = ", ".join(f"{json.dumps(key)}: {in_json(values[k])}" for key, values in added.items())
            body = line[:-1].rstrip()
            found.append(f"{body}{'' if body == '{' else ', '}{more}}}")
        return found


class JsonList(JsonLines):
    """Objects in a list."""

    row = "object"

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the table in this form, with columns added."""
        return ("[\n" + ",\n".join(self.grown(added)) + "\n]\n").encode()


def read(text: str, name: str) -> Content:
    """Return what objects, one a line or in a list, hold; a key that an object lacks is absent there.

    A whole file may be one object, as pandas and others write tables.
    """
    if plain_name(name).endswith(".json") and (records := _records(text, name)) is not None:
        text = json.dumps(records, ensure_ascii=False)
    is_list = text.lstrip().startswith("[")
    if is_list:
        found = [*enumerate(_listed(text, name), 1)]
    else:
        found = [(k, line.strip()) for k, line in enumerate(text.split("\n"), 1) if line.strip()]
    unreadable, apart = dict[str, str](), dict[str, str]()
    where = "object" if is_list else "line"
    rows = [_read(line, f"{name}: {where} {place}", unreadable, apart) for place, line in found]
    names = dict.fromkeys(key for row in rows for key in row)
    columns = {key: [row.get(key, "") for row in rows] for key in names}
    for key, at in apart.items():
        if any(columns.get(key, ())):
            unreadable.setdefault(key, f"{at}, {key}: holds lists in a list, which others do not")
        elif key not in unreadable:
            columns.pop(key, None)  # absent where it is no list in a list
    objects = [line for _, line in found]
    form = JsonList(objects) if is_list else JsonLines(objects)
    return Content(columns, [place for place, _ in found], form, unreadable)


def _records(text: str, name: str) -> list[dict[str, Any]] | None:
    """Return the rows of a table that is one object; None where a text is none.

    Its columns are lists, or objects by the rows' names, which are a column `index` unless they only count;
    or the rows are, or stand in one list beside what else is said. DataError where a row has too few values.
    """
    try:
        whole = json.loads(text)
    except ValueError:
        return None
    if not isinstance(whole, dict):
        return None
    if [*map(type, (whole.get("columns"), whole.get("data")))] == [list, list]:  # orient="split"
        return _split(whole, name)
    parts = [*whole.values()]
    if rows := [part for part in parts if isinstance(part, list) and part and isinstance(part[0], dict)]:
        return rows[0] if len(rows) == 1 else None
    if parts and all(isinstance(part, dict) for part in parts):  # as DataFrame.to_json writes by default
        keys = [*parts[0]]
        if any({*part} != {*keys} for part in parts) or not keys:
            return None
        if all(map(str.isdecimal, whole)) and not all(map(str.isdecimal, keys)):
            return parts
        return _indexed([{each: whole[each][key] for each in whole} for key in keys], keys)
    if not parts or not all(isinstance(part, list) and len(part) == len(parts[0]) for part in parts):
        return None
    return [dict(zip(whole, row, strict=True)) for row in zip(*parts, strict=True)]


def _split(whole: dict[str, Any], name: str) -> list[dict[str, Any]] | None:
    names, rows, index = whole["columns"], whole["data"], whole.get("index")
    if not rows or not all(isinstance(each, str | int) for each in names):
        return None
    names = [*map(str, names)]
    expect_distinct(names, name)
    for k, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != len(names):
            raise DataError(f"{name}: row {k} is no list of {len(names)} values, one for each of its columns")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return _indexed(found, index) if isinstance(index, list) and len(index) == len(rows) else found


def _indexed(rows: list[dict[str, Any]], index: Sequence[object]) -> list[dict[str, Any]]:
    """Return rows with their names, unless these only count."""
    counts = [str(each) for each in index] == [*map(str, range(len(rows)))]
    return (
        rows
        if counts or "index" in rows[0]
        else [{"index": k, **row} for k, row in zip(index, rows, strict=True)]
    )


def _listed(text: str, name: str) -> Iterator[str]:
    """Yield the members of a list as they are written."""
    decoder, at = json.JSONDecoder(), text.index("[")
    try:
        while (at := _space(text, at + 1)) < len(text) and text[at] != "]":
            _, end = decoder.raw_decode(text, at)
            yield text[at:end]
            at = _space(text, end)
            if text[at : at + 1] not in (",", "]"):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            if text[at] == "]":
                break
        if text[at : at + 1] != "]":
            raise json.JSONDecodeError("the list does not end", text, len(text))
        if text[at + 1 :].strip():
            raise json.JSONDecodeError("Extra data", text, at + 1)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name}: line {error.lineno} is no JSON: {error.msg} at character {error.colno}"
        ) from None


def _space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _read(line: str, where: str, unreadable: dict[str, str], apart: dict[str, str]) -> dict[str, str]:
    """Return an object's values as texts; add which cannot be read, and which are several columns."""

    def pairs(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        if len(made := dict(found)) < len(found):
            raise DataError(f"{where}: a key stands twice in an object")
        return made

    try:  # numbers stay as they are written
        found = json.loads(line, object_pairs_hook=pairs, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        what = f"{where}: not a JSON object ({error.msg} at character {error.pos + 1})"
        raise DataError(
            f"{what}: want one a line, or a list of them, as pandas has it by orient='records'"
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"{where}: not a JSON object: want one a line, or a list of them")
    texts = {}
    for key, value in found.items():
        for own, [each] in spread(key, [value], found).items():
            if own != key:
                apart.setdefault(key, where)
            try:
                texts[own] = _text(each, f"{where}, {own}")
            except DataError as error:  # it matters where the column is read
                texts[own] = ""
                unreadable.setdefault(own, str(error))
    return texts


def _text(value: object, where: str) -> str:
    if value is None or isinstance(value, str):
        return encodable(value or "", where)
    if isinstance(value, list):
        return joined(value, where)
    if isinstance(value, dict):
        raise DataError(f"{where}: holds an object: want a text, a number, or a list of them")
    return json.dumps(value)  # true, false
