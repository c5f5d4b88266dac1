"""Reading a user's texts: a file, or a folder of them."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, NoReturn

from bptt.data.text.encodings import NotUtf8Error, in_utf8
from bptt.data.text.packed import TooLongError, too_long, unpacked
from bptt.data.text.tokenizers import Kind, tokenizer
from bptt.errors import BpttWarning, DataError
from bptt.files import NotRegularError, TooLargeError, read_regular

LIMIT = 1 << 30
"""The most bytes that a text may have, 1 GiB."""


INPUT = "-"
"""What stands for standard input."""


class Contents(NamedTuple):
    """What was read: a text, or bytes as they are, and what was left out of a folder, with the reason."""

    data: str | bytes
    passed_over: dict[str, str]


class _NotTextError(DataError):
    """A file that can be read, but holds no text: a folder passes it over, for this reason."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_text(path: str | os.PathLike[str], encoding: str | None = None) -> str:
    r"""Read a text from a file, or from all text files beneath a folder.

    A text is UTF-8, or what its byte order mark says, which is taken away;
    ``\r\n``, ``\r\r\n`` and a lone ``\r`` become ``\n``. A folder's files
    come in the order of their relative paths, each beginning on a new line. Hidden ones, empty ones and those
    that are not text (not UTF-8, or with a NUL byte), links to folders and what is no regular file are
    passed over, and a BpttWarning names them in one line.

    Parameters
    ----------
    path : str or path
    encoding : str, optional
        Of what is not UTF-8 and has no byte order mark.

    Returns
    -------
    str
        Never empty.

    Raises
    ------
    DataError
        There is no such file, it cannot be read, is no regular file, is empty, is not text, or is one of more
        than 1 GiB.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_bytes(b"one\r\nday")
    ...     _ = Path(folder, "b.txt").write_bytes(b"two days\n")
    ...     read_text(folder)
    'one\nday\ntwo days\n'
    """
    text = read(path, "char", encoding=encoding).data
    assert isinstance(text, str)
    return text


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
        There is no such file, it cannot be read, is no regular file, is empty, or has more than 1 GiB.
    """
    data = read(path, "byte").data
    assert isinstance(data, bytes)
    return data


def read(
    path: str | os.PathLike[str], kind: Kind, limit: int = LIMIT, encoding: str | None = None
) -> Contents:
    """Read a file or a folder for tokens of this kind: bytes, or else text. See `read_text`.

    Of a folder, what is passed over does not count towards the limit of bytes. Several paths, a line each,
    are read one after the other; - is standard input.
    """
    if str(path) == INPUT:
        return Contents(unpacked_text(standard_input(), kind, "standard input", limit, encoding), {})
    if len(several := paths(path)) > 1:
        return _read_all(several, kind, limit, encoding)
    path = Path(path)
    if not os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises where a name is too long for a file's
        return Contents(unpacked_text(read_file(path, limit), kind, path, limit, encoding), {})
    kept, passed_over = _read_folder(path, kind, limit, encoding)
    as_bytes = tokenizer(kind).reads_bytes
    ends = b"" if as_bytes else b"\n"
    *most, last = kept.values()
    del kept
    whole = [data if data.endswith(ends) else data + ends for data in most]
    data = b"".join([*whole, last])
    del most, whole
    return Contents(data if as_bytes else data.decode(), passed_over)


def read_each(
    path: str | os.PathLike[str], kind: Kind, limit: int = LIMIT, encoding: str | None = None
) -> dict[str, str | bytes]:
    """Read several files, or those of a folder, each by itself, as `read` reads them: by their paths."""
    if len(several := paths(path)) > 1:
        found: dict[str, str | bytes] = {}
        for one in several:
            is_folder = os.path.isdir(one)  # noqa: PTH112  as above
            of = read_each(one, kind, limit, encoding) if is_folder else None
            found |= of or {one: read(one, kind, limit, encoding).data}
        return found
    if not os.path.isdir(path):  # noqa: PTH112  as above
        raise DataError(f"{path}: is no folder, whose files are a document each; name the line between two")
    kept, _ = _read_folder(Path(path), kind, limit, encoding)
    as_bytes = tokenizer(kind).reads_bytes
    return {str(Path(path, file)): data if as_bytes else data.decode() for file, data in kept.items()}


def _read_folder(
    path: Path, kind: Kind, limit: int, encoding: str | None
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return what the files of a folder hold, and what is passed over, which a BpttWarning says."""
    files, passed_over = _files(path)
    as_bytes = tokenizer(kind).reads_bytes
    kept: dict[str, bytes] = {}
    left = LIMIT
    for file in files:
        data = read_file(path / file, left, path)
        try:
            held = data if as_bytes else _held(data, path / file, left, path)
            data = _whole(data, file) if as_bytes else _lines(held, file, encoding)
        except _NotTextError as error:
            passed_over[file] = error.reason
            continue
        kept[file] = data
        left -= len(data)
        if LIMIT - left > limit:
            raise too_long(f"{path}:", limit)
    if not kept:
        none = f"none of its {len(files)} files is UTF-8 text: {_reasons(passed_over)}"
        none += "; --tokens byte reads any file"
        raise DataError(f"{path}: {'is empty' if as_bytes else none}")
    if passed_over:
        count = len(files) - sum(file in passed_over for file in files)
        taken = f"{shown(str(path))}: {count:,} {'file' if count == 1 else 'files'} read"
        says = f"{taken}, {len(passed_over):,} passed over: {_reasons(passed_over)}"
        warnings.warn(says, BpttWarning, stacklevel=4)
    return kept, dict(sorted(passed_over.items()))


def _read_all(several: Sequence[str], kind: Kind, limit: int, encoding: str | None) -> Contents:
    """Read several files and folders, each beginning on a new line."""
    parts: list[str | bytes] = []
    passed_over: dict[str, str] = {}
    for path in several:
        found = read(path, kind, limit, encoding)
        limit -= len(found.data)
        if parts and isinstance(parts[-1], str) and not parts[-1].endswith("\n"):
            parts.append("\n")
        parts.append(found.data)
        passed_over |= {f"{path}/{name}": why for name, why in found.passed_over.items()}
    if tokenizer(kind).reads_bytes:
        return Contents(b"".join(part for part in parts if isinstance(part, bytes)), passed_over)
    return Contents("".join(part for part in parts if isinstance(part, str)), passed_over)


def paths(data: str | os.PathLike[str]) -> list[str]:
    """Return the paths that stand in one text, a line each."""
    whole = str(data)
    return [whole] if "\n" not in whole or os.path.exists(whole) else whole.split("\n")  # noqa: PTH110


def together(several: Sequence[str]) -> str:
    """Return several paths as one text, a line each; DataError where they cannot be."""
    if len(several) > 1:
        if odd := [path for path in several if "\n" in path or path in ("", INPUT)]:
            raise DataError(f"{odd[0]!a}: is no path that can stand among several")
        known: dict[str, str] = {}
        for path in several:
            if (place := os.path.realpath(path)) in known:
                raise DataError(f"{path}: is named twice; what is validated would be trained on")
            known[place] = path
    return "\n".join(several)


def named(data: str | os.PathLike[str]) -> str:
    """Return how to call what stands in one text."""
    first, *more = paths(data)
    return "standard input" if first == INPUT else first + (f" and {len(more):,} more" if more else "")


@cache
def standard_input() -> bytes:
    """Return what standard input holds, which can be read once, and as often as this is called."""
    if sys.stdin is None:  # as it is where it was closed
        raise DataError("standard input: is closed; name a file")
    data = sys.stdin.buffer.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise too_long("standard input:", LIMIT)
    return data


def unpacked_text(
    data: bytes, kind: Kind, name: object, limit: int, encoding: str | None = None
) -> str | bytes:
    """Return what `read` makes of a file's bytes, which may be packed where text is wanted."""
    data = data if tokenizer(kind).reads_bytes else unpacked(data, name, limit)
    return decode(data, kind, name, encoding)


def _held(data: bytes, path: Path, limit: int, whole: Path) -> bytes:
    """Return what a file of a `whole` folder holds, unpacked."""
    try:
        return unpacked(data, path, limit)
    except TooLongError:
        raise too_long(f"{path}: with it {whole}", LIMIT) from None
    except DataError as error:
        raise _NotTextError(str(error), "packed, and not readable") from None


def decode(data: bytes, kind: Kind, name: object, encoding: str | None = None) -> str | bytes:
    """Return what `read` makes of a file's bytes; `name` is what errors call the file."""
    return _whole(data, name) if tokenizer(kind).reads_bytes else _lines(data, name, encoding).decode()


def _reasons(passed_over: dict[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for name, reason in sorted(passed_over.items()):
        by_reason.setdefault(reason, []).append(shown(name))
    parts = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        parts.append(f"{len(names):,} {reason} ({', '.join(names[:3])}{more})")
    return "; ".join(parts)


def shown(name: str) -> str:
    """Return a name as it is, or escaped where it holds what is no text on a line."""
    return name if name.isprintable() else ascii(name)


def _lines(data: bytes, name: object, encoding: str | None) -> bytes:
    r"""Return a text as UTF-8, checked, without a byte order mark and with lines that end in ``\n``."""
    try:
        data = in_utf8(data, name, encoding)
    except NotUtf8Error as error:
        reason = f"not UTF-8 but perhaps {error.guess}: --encoding" if error.guess else "not UTF-8"
        raise _NotTextError(f"{error}, or --tokens byte reads any file", reason) from None
    except DataError as error:
        raise _NotTextError(str(error), f"not {encoding}") from None
    if (nul := data.find(b"\0")) >= 0:
        raise _NotTextError(
            f"{name}: not text but binary (a NUL byte at offset {nul}); --tokens byte reads any file",
            "binary",
        )
    if b"\r" in data:  # whole replacements: memory stays that of a copy, however many there are
        data = data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return _whole(data, name)


def _whole(data: bytes, name: object) -> bytes:
    if not data:
        raise _NotTextError(f"{name}: is empty", "empty")
    return data


def read_file(path: Path, limit: int = LIMIT, whole: Path | None = None) -> bytes:
    """Return the bytes of a file, perhaps a part of a `whole` folder; what is in the way is a DataError."""
    try:
        return read_regular(path, limit)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except NotRegularError:
        raise DataError(f"{path}: not a regular file; copy what it gives into one") from None
    except TooLargeError:
        which = f"{path}: with it {whole}" if whole else f"{path}:"
        raise too_long(which, LIMIT if whole else limit) from None
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError
        _unreadable(error, path)


def _files(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return a folder's files as relative paths, sorted alike on every system, and what is passed over."""
    found: dict[tuple[str, ...], str] = {}
    folders: list[tuple[str, ...]] = [()]
    while folders:
        parent = folders.pop()
        for name, what in _entries(Path(folder, *parent)):
            if what == "folder":
                folders.append((*parent, name))
            else:
                found[*parent, name] = what
    files = ["/".join(parts) for parts in sorted(found) if found[parts] == "file"]
    passed_over = {"/".join(parts): what for parts, what in found.items() if what != "file"}
    if not files:
        why = f": {_reasons(passed_over)}" if passed_over else ""
        raise DataError(f"{folder}: a folder without files to read{why}")
    return files, passed_over


def _entries(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what is in a folder: names with "file", "folder", or why it is passed over."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    yield entry.name, "hidden"
                elif entry.is_symlink():  # os.path, because an entry's own raise where links go in circles
                    to_folder = os.path.isdir(entry.path)  # noqa: PTH112
                    to_file = os.path.isfile(entry.path)  # noqa: PTH113
                    what = "a link to a folder" if to_folder else "a link to no file"
                    yield entry.name, "file" if to_file else what
                elif entry.is_dir():
                    yield entry.name, "folder"
                else:
                    yield entry.name, "file" if entry.is_file() else "not a regular file"
    except OSError as error:
        _unreadable(error, folder)


def _unreadable(error: OSError | ValueError, path: Path) -> NoReturn:
    why = getattr(error, "strerror", None) or error
    raise DataError(f"{getattr(error, 'filename', None) or path}: cannot be read: {why}") from None
