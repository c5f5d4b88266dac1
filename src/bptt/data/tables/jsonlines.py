"""JSON lines: an object a line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bptt.data.tables.forms import Added, Columns, Content, Form, encodable, in_json, joined
from bptt.errors import DataError


@dataclass(frozen=True)
class JsonLines(Form):
    """An object a line; lines are written again as they were."""

    objects: list[str]

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the table in this form, with columns added."""
        lines = []
        for k, line in enumerate(self.objects):
            more = ", ".join(f"{json.dumps(key)}: {in_json(values[k])}" for key, values in added.items())
            body = line[:-1].rstrip()
            lines.append(f"{body}{'' if body == '{' else ', '}{more}}}\n")
        return "".join(lines).encode()


def read(text: str, name: str) -> Content:
    """Return what objects, one a line, hold; a key that an object lacks is absent there."""
    rows: list[dict[str, str]] = []
    unreadable: dict[str, str] = {}
    places, objects = [], []
    for place, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_read(line, f"{name}: line {place}", unreadable))
            places.append(place)
            objects.append(line.strip())
    names = dict.fromkeys(key for row in rows for key in row)
    columns = {key: [row.get(key, "") for row in rows] for key in names}
    return Content(columns, places, JsonLines(objects), unreadable)


def _read(line: str, where: str, unreadable: dict[str, str]) -> dict[str, str]:
    def pairs(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        if len(made := dict(found)) < len(found):
            raise DataError(f"{where}: a key stands twice in an object")
        return made

    try:  # numbers stay as they are written
        found = json.loads(line, object_pairs_hook=pairs, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not a JSON object ({error.msg} at character {error.pos + 1})") from None
    if not isinstance(found, dict):
        way = "; of a list of objects, jq -c '.[]' makes lines" if isinstance(found, list) else ""
        raise DataError(f"{where}: not a JSON object: each line holds one{way}")
    texts = {}
    for key, value in found.items():
        try:
            texts[key] = _text(value, f"{where}, {key}")
        except DataError as error:  # it matters where the column is read
            texts[key] = ""
            unreadable.setdefault(key, str(error))
    return texts


def _text(value: object, where: str) -> str:
    if value is None or isinstance(value, str):
        return encodable(value or "", where)
    if isinstance(value, list):
        return joined(value, where)
    if isinstance(value, dict):
        raise DataError(f"{where}: holds an object: want a text, a number, or a list of them")
    return json.dumps(value)  # true, false
