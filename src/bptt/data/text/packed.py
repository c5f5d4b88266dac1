"""Files that are packed: by gzip, bzip2 or xz."""

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any

from bptt.errors import DataError

PACKED: dict[bytes, Callable[..., Any]] = {
    rb"\x1f\x8b": gzip.open,
    rb"BZh[1-9]1AY&SY": bz2.open,
    rb"\xfd7zXZ\0": lzma.open,
}
"""What opens a packed file, by a pattern of the bytes that it begins with."""


class TooLongError(DataError):
    """A text of more bytes than are to be read."""


def unpacked(data: bytes, name: object, limit: int) -> bytes:
    """Return what a file packed by gzip, bzip2 or xz holds, and another's bytes as they are.

    DataError where it is cut short or damaged, holds more than is to be read, or is an archive of files.
    """
    if data.startswith(b"PK\3\4"):
        raise DataError(
            f"{name}: is a zip archive, or a document or table that is one: unpack it, or save it as text"
        )
    opened = next((how for begin, how in PACKED.items() if re.match(begin, data)), None)
    if opened is None:
        return data
    try:
        with opened(io.BytesIO(data)) as file:
            plain: bytes = file.read(limit + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{name}: cannot be unpacked; is it cut short? ({error})") from None
    if len(plain) > limit:
        raise too_long(f"{name}:", limit)
    return plain


def too_long(which: str, limit: int) -> TooLongError:
    """Return the error of what holds more bytes than are to be read."""
    return TooLongError(f"{which} holds more than {limit >> 20:,} MiB, the most that is read; give a part")
