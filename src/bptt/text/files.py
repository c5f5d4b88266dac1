"""Reading a user's texts: a file, or a folder of them."""

import codecs
import os
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from bptt.errors import DataError


class _NotTextError(DataError):
    """A file that can be read, but holds no text: a folder passes it over."""


def read_text(path: str | os.PathLike[str]) -> str:
    r"""Read a UTF-8 text from a file, or from all text files beneath a folder.

    A byte order mark is taken away and ``\r\n`` becomes ``\n``. A folder's files come in the order of
    their relative paths, each beginning on a new line; hidden ones, empty ones and those that are not
    text (not UTF-8, or with a NUL byte) are passed over.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    str
        Never empty.

    Raises
    ------
    DataError
        There is no such file, it cannot be read, is empty, or is not text.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_bytes(b"one\r\nday")
    ...     _ = Path(folder, "b.txt").write_bytes(b"two days\n")
    ...     _ = Path(folder, "c.bin").write_bytes(b"\xff\x00")
    ...     read_text(folder)
    'one\nday\ntwo days\n'
    """
    path = Path(path)
    if not path.is_dir():
        return _text(path)
    files, texts = _files(path), []
    for file in files:
        with suppress(_NotTextError):
            texts.append(_text(file))
    if not texts:
        raise DataError(f"{path}: none of its {len(files)} files is UTF-8 text; --tokens byte reads any file")
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts[:-1]) + texts[-1]


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a file as it is, or all files beneath a folder one after the other, hidden ones passed over.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    bytes
        Never empty.

    Raises
    ------
    DataError
        There is no such file, it cannot be read, or is empty.
    """
    path = Path(path)
    data = b"".join(_bytes(file) for file in _files(path)) if path.is_dir() else _bytes(path)
    if not data:
        raise DataError(f"{path}: is empty")
    return data


def decode_text(data: bytes, name: object) -> str:
    """Return the text that `read_text` makes of a file's bytes; `name` is what errors call the file."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _NotTextError(
            f"{name}: not UTF-8 text (byte 0x{data[error.start]:02x} at offset {error.start}); "
            "save it as UTF-8, or --tokens byte reads any file"
        ) from None
    if (nul := data.find(b"\0")) >= 0:
        raise _NotTextError(
            f"{name}: not text but binary (a NUL byte at offset {nul}); --tokens byte reads any file"
        )
    text = text.removeprefix(codecs.BOM_UTF8.decode()).replace("\r\n", "\n")
    if not text:
        raise _NotTextError(f"{name}: is empty")
    return text


def _text(path: Path) -> str:
    return decode_text(_bytes(path), path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        _unreadable(error, path)


def _files(folder: Path) -> list[Path]:
    """Return the regular files beneath a folder, sorted alike on every system; none is an error."""
    found = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: _unreadable(error, folder)):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    found = [file for file in found if file.is_file()]
    if not found:
        raise DataError(f"{folder}: a folder without files (hidden ones do not count)")
    return sorted(found, key=lambda file: file.relative_to(folder).parts)


def _unreadable(error: OSError, path: Path) -> NoReturn:
    raise DataError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from None
