"""The safetensors format by hand, so that files can be written that no library writes."""

import json
import struct
from dataclasses import dataclass
from typing import Any

WIDTHS = {"BOOL": 1, "I8": 1, "U8": 1, "I16": 2, "F16": 2, "BF16": 2, "I32": 4, "F32": 4, "I64": 8, "F64": 8}


@dataclass
class Tensors:
    """A file: what its header says, and the bytes after it."""

    header: dict[str, Any]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Tensors":
        (size,) = struct.unpack("<Q", data[:8])
        return cls(json.loads(data[8 : 8 + size]), data[8 + size :])

    @property
    def metadata(self) -> dict[str, str]:
        found: dict[str, str] = self.header["__metadata__"]
        return found

    @property
    def names(self) -> list[str]:
        return [name for name in self.header if name != "__metadata__"]

    def data(self, name: str) -> bytes:
        begin, end = self.header[name]["data_offsets"]
        return self.body[begin:end]

    def replace(self, name: str, dtype: str, shape: list[int], data: bytes) -> None:
        """Give a tensor other bytes, or add one; the others keep theirs, packed in their order."""
        kept = {other: self.data(other) for other in self.names} | {name: data}
        self.header.setdefault(name, {})
        self.header[name] |= {"dtype": dtype, "shape": shape}
        self._pack(kept)

    def remove(self, name: str) -> None:
        kept = {other: self.data(other) for other in self.names if other != name}
        del self.header[name]
        self._pack(kept)

    def _pack(self, parts: dict[str, bytes]) -> None:
        at, body = 0, []
        for name, data in parts.items():
            self.header[name]["data_offsets"] = [at, at + len(data)]
            body.append(data)
            at += len(data)
        self.body = b"".join(body)

    def bytes(self, *, length: int | None = None, header: str | None = None) -> bytes:
        """Return the file; `length` and `header` are what it says instead of the truth."""
        text = (json.dumps(self.header) if header is None else header).encode("utf-8", "surrogatepass")
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text) if length is None else length) + text + self.body
