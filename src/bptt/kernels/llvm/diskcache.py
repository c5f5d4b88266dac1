"""Compiled code on the disk: it is run as it is read, so it is read only where nobody else can have written.

A folder is used if it is this user's own and nobody else can write there. It must not be a symbolic link, and
each folder above it must be this user's or the system's (root's), and nobody else's to write unless it has
the sticky bit, as ``/tmp`` has: then nobody can exchange anything on the way. A file is used if it is a
regular one, this user's own, writable by nobody else, and no longer than `LONGEST`. Where a folder cannot be
used, nothing is read and nothing written; a file that cannot be used is replaced. New folders are for the
user alone. Windows has no such bits: there the kinds are looked at, and who may write is left to the user's
profile, where the folder lies by default.

A file begins with a digest of its key and its code, which tells damage. A secret in the digest would add
nothing: it would lie beside the code, and whoever can read or write there is this user or the system.

When all files together pass `MOST` bytes, those used longest ago go; whoever runs their code has read it.
"""

import contextlib
import hashlib
import os
import re
import stat
import time
import warnings
from functools import cache
from pathlib import Path

from bptt.errors import BpttWarning

FORMAT = b"bptt kernel 2\n"

LONGEST = 1 << 26
"""Bytes of the longest code that is kept; a cell's has some hundred thousand."""

MOST = 1 << 28
"""Bytes that all files may have together."""

DAY = 86400.0
"""Seconds: a use is noted once in them, and a file that was never finished goes after them."""

_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")  # those that the system has
_OPEN = sum(getattr(os, name, 0) for name in _FLAGS)
_FINISHED = re.compile(r"[0-9a-f]{64}\.o")
_BEGUN = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{16}\.new")


def read(folder: Path, key: str) -> bytes | None:
    """Return the code that is kept under a key, 64 hexadecimal digits; None where it cannot be had."""
    with contextlib.suppress(OSError):
        place = _trusted(folder)
        if place is None:
            _note(folder)
            return None
        path = place / f"{key}.o"
        # neither a link is followed nor a pipe waited for; what is looked at is what is open
        with os.fdopen(os.open(path, os.O_RDONLY | _OPEN), "rb") as file:
            state = os.fstat(file.fileno())
            if not (stat.S_ISREG(state.st_mode) and _is_own(state)) or state.st_size > LONGEST:
                return None
            data = file.read(LONGEST)
        head, code = data[:_HEAD], data[_HEAD:]
        if head != _head(key, code):
            return None
        if time.time() - state.st_mtime > DAY:
            with contextlib.suppress(OSError):
                os.utime(path)
        return code
    return None


def write(folder: Path, key: str, code: bytes) -> None:
    """Keep code, the whole of it or nothing, also beside other processes; a failure costs time only."""
    with contextlib.suppress(OSError):
        place = _trusted(folder, make=True)
        if place is None or len(code) + _HEAD > LONGEST:
            return
        new = place / f".{key}.{os.urandom(8).hex()}.new"
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600), "wb") as file:
                file.write(_head(key, code) + code)
            new.replace(place / f"{key}.o")
        except BaseException:  # an interruption, too
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        _prune(place)


@cache
def _note(folder: Path) -> None:
    """Say once that a folder is not used: without it every process compiles anew, for some seconds."""
    warnings.warn(
        f"{folder} is not used for compiled code: it is no folder where nobody but you can write, on a way "
        "that nobody else can exchange; make it yours alone (chmod 700), or name another by BPTT_CACHE",
        BpttWarning,
        stacklevel=2,
    )


def _head(key: str, code: bytes) -> bytes:
    return FORMAT + hashlib.sha256(key.encode() + code).digest()


_HEAD = len(_head("", b""))


def _trusted(folder: Path, make: bool = False) -> Path | None:
    """Return where a folder lies, or None if somebody else can write there or on the way.

    From the root down: what nobody else can exchange is looked at before what lies in it.
    """
    folder = folder.absolute()
    folder = Path(os.path.realpath(folder.parent), folder.name)
    for place in (*reversed(folder.parents), folder):
        if make and not os.path.lexists(place):
            with contextlib.suppress(FileExistsError):  # another process was quicker
                place.mkdir(0o700)
        state = place.lstat()
        above = place != folder
        if not stat.S_ISDIR(state.st_mode) or not (_is_own(state) or (above and _is_safe_to_pass(state))):
            return None
    return folder


def _is_own(state: os.stat_result) -> bool:
    """Return whether something is this user's, and nobody else's to write."""
    return os.name != "posix" or (state.st_uid == os.geteuid() and not state.st_mode & 0o022)


def _is_safe_to_pass(state: os.stat_result) -> bool:
    """Return whether nobody but this user and the system can exchange what lies in a folder."""
    is_kept = state.st_mode & stat.S_ISVTX or not state.st_mode & 0o022
    return state.st_uid in (0, os.geteuid()) and bool(is_kept)


def _prune(folder: Path) -> None:
    """Take away what was used longest ago, where there is too much, and what was never finished."""
    now, finished = time.time(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process takes away, too
                state = entry.stat(follow_symlinks=False)
                if _FINISHED.fullmatch(entry.name):
                    finished.append((state.st_mtime, state.st_size, Path(entry)))
                elif _BEGUN.fullmatch(entry.name) and now - state.st_mtime > DAY:
                    Path(entry).unlink()
    total = sum(size for _, size, _ in finished)
    for _, size, path in sorted(finished):
        if total <= MOST:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
