"""Files that are packed: by gzip, bzip2 or xz, or alone in a zip archive."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import Any, cast

from bptt.errors import DataError

ZIP = b"PK\3\4"
"""What a zip archive begins with."""

PACKED: dict[bytes, Callable[..., Any]] = {
    rb"\x1f\x8b": gzip.open,
    rb"BZh[1-9]1AY&SY": bz2.open,
    rb"\xfd7zXZ\0": lzma.open,
}
"""What opens a packed file, by a pattern of the bytes that it begins with."""


ENDS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(gzip.compress, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
"""What packs a file, by the end of its name."""


SMALL, TIMES = 1 << 26, 200
"""A packed file holds so many bytes, or so many times its own: what holds more is made to fill memory."""

DEEPEST = 3
"""Zip archives that may lie in each other."""


class TooLongError(DataError):
    """A text of more bytes than are to be read."""


def unpacked(data: bytes, name: object, limit: int) -> bytes:
    """Return what a file packed by gzip, bzip2, xz or alone by zip holds, and another's bytes as they are.

    DataError where it is cut short or damaged, holds more than is to be read, or is an archive of files.
    """
    if data.startswith(ZIP):
        return alone(data, name, limit)[0]
    opened = next((how for begin, how in PACKED.items() if re.match(begin, data)), None)
    if opened is None:
        return data
    most = min(limit, _most(data))
    try:
        with opened(io.BytesIO(data)) as file:
            plain: bytes = file.read(most + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{name}: cannot be unpacked; is it cut short? ({error})") from None
    if len(plain) > most:
        raise _too_much(name) if most < limit else too_long(f"{name}:", limit)
    return plain


def _most(data: bytes) -> int:
    return max(SMALL, TIMES * len(data))


def _too_much(name: object) -> TooLongError:
    return TooLongError(
        f"{name}: holds more than {TIMES} times what it takes packed, as what is made to fill memory does: "
        "unpack it, if it is meant"
    )


def alone(data: bytes, name: object, limit: int, depth: int = 1) -> tuple[bytes, str]:
    """Return the one file of a zip archive, which may be one, too, and its name within.

    DataError where there are several.
    """
    if str(name).lower().endswith((".xlsx", ".xlsm", ".npz")):
        raise DataError(f"{name}: is a table, and no text: --task says what is to be learnt of it")
    with _opened(data, name) as archive:
        files = [each for each in archive.infolist() if not each.is_dir() and "__MACOSX" not in each.filename]
        if len(files) != 1:
            raise DataError(
                f"{name}: is a zip archive of {len(files):,} files, or a document or table that is one: "
                "unpack it, or save it as text"
            )
        if (size := files[0].file_size) > limit:  # no more than it says is ever unpacked
            raise too_long(f"{name}:", limit)
        if size > _most(data):
            raise _too_much(name)
        with archive.open(files[0]) as file, io.BufferedReader(cast("io.RawIOBase", file)) as whole:
            plain = whole.read(size + 1)  # without a copy, as by the file itself
    its = PurePosixPath(files[0].filename).name[-60:]
    if plain.startswith(ZIP) and its.lower().endswith(".zip") and depth < DEEPEST:
        return alone(plain, name, min(limit - len(plain), _most(data)), depth + 1)
    return plain, f"{name}/{its}"


def expect_short(data: bytes, name: object, limit: int) -> None:
    """Raise a DataError where the files of a zip archive together are longer than is to be read."""
    with _opened(data, name) as archive:
        if sum(each.file_size for each in archive.infolist()) > limit:  # no more of each is ever unpacked
            raise too_long(f"{name}:", limit)


@contextmanager
def _opened(data: bytes, name: object) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; a DataError says what is wrong with it, here or while it is read."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except DataError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise DataError(f"{name}: cannot be unpacked; is it cut short? ({error})") from None


def plain_name(name: str) -> str:
    """Return a file's name in small letters, without the end that says how it is packed.

    Examples
    --------
    >>> plain_name("Names.CSV.gz")
    'names.csv'
    """
    name = name.lower()
    return next((name.removesuffix(end) for end in (*ENDS, ".zip") if name.endswith(end)), name)


def packed(data: bytes, name: str) -> bytes:
    """Return bytes packed as the end of a file's name says; as they are, where it says nothing."""
    return next((pack(data) for end, pack in ENDS.items() if name.lower().endswith(end)), data)


def too_long(which: str, limit: int) -> TooLongError:
    """Return the error of what holds more bytes than are to be read."""
    return TooLongError(f"{which} holds more than {limit >> 20:,} MiB, the most that is read; give a part")
