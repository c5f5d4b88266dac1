"""Digests made right again after a change, so that what reads the values is what is tested.

Only the digest's text is replaced: whatever else is odd about a file stays. It is the format's description
turned into code, and shares none with what it tests.
"""

import contextlib
import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

from hostile.tensors import Tensors

_TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2"}
_TYPES |= {"I8": "|i1", "U8": "|u1", "BOOL": "|b1"}


_FAILS = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def reseal(folder: Path) -> None:
    """Make every digest in the folder right, as far as its files can be read at all."""
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with contextlib.suppress(*_FAILS):
            _config(folder)
        with contextlib.suppress(*_FAILS):
            log = folder / "log.jsonl"
            log.write_bytes(b"".join(_line(line) + b"\n" for line in log.read_bytes().splitlines()))
        for path in folder.glob("*.safetensors"):
            with contextlib.suppress(*_FAILS):
                _checkpoint(path)
    finally:
        sys.set_int_max_str_digits(digits)


def _config(folder: Path) -> None:
    text = _text(folder.joinpath("config.json").read_bytes())
    sums = json.loads(text)["sha256"]
    vocabulary = folder / "vocabulary.json"
    if vocabulary.is_file():
        text = _put(text, sums["vocabulary"], hashlib.sha256(vocabulary.read_bytes()).hexdigest())
    value = json.loads(text)
    old = value["sha256"].pop("config")
    folder.joinpath("config.json").write_bytes(_bytes(_put(text, old, _sha256(_canonical(value)))))


def _line(line: bytes) -> bytes:
    body, key, _ = line.rpartition(b', "crc32": "')
    return body + key + f"{zlib.crc32(body):08x}".encode() + b'"}' if key else line


def _checkpoint(path: Path) -> None:
    data = path.read_bytes()
    tensors = Tensors.parse(data)
    values = json.loads(tensors.metadata["bptt"])
    old = values.pop("sha256")
    parts = [_canonical(values)]
    for name in sorted(tensors.names):
        entry = tensors.header[name]
        parts += [_canonical([name, _TYPES[entry["dtype"]], entry["shape"]]), tensors.data(name)]
    header = _text(data[8 : 8 + int.from_bytes(data[:8], "little")])
    path.write_bytes(tensors.bytes(header=_put(header, old, _sha256(*parts))))


def _put(text: str, old: object, new: str) -> str:
    if not isinstance(old, str) or len(old) != len(new):
        raise ValueError(f"{old!r:.80} is no digest")
    return text.replace(old, new)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
