"""Files: read only where they are files, replaced in one piece, forced to the disk, and held by one process.

All that bptt writes of a user's goes through here, by the calls of :mod:`os` that are named here and no
others, so that a test can make each of them fail in turn.
"""

import contextlib
import errno
import math
import os
import platform
import re
import stat
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from bptt.errors import RunError

_QUIET = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Or else a FIFO that nobody writes to would hang the one that opens it, and Windows rewrite newlines."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class NotRegularError(OSError):
    """What a path names is a folder, a device, a FIFO or a socket, and no file."""


class TooLargeError(OSError):
    """A file is larger than what is read of its kind."""


def read_regular(path: Path, limit: int) -> bytes:
    """Return what a regular file holds, at most `limit` bytes.

    Raises
    ------
    NotRegularError
        If it is no regular file: nothing is read from a device, and no FIFO is waited for. What says that it
        is empty and gives bytes, as files of the system do, is none.
    TooLargeError
        If it has more than `limit` bytes.
    OSError
        If it cannot be read, or becomes shorter meanwhile.
    """
    with open_regular(path, limit) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(max(size, 1))
    if data and not size:
        raise NotRegularError(errno.EINVAL, "it is not a regular file", str(path))
    if len(data) < size:
        raise OSError(errno.EIO, "it became shorter while it was read", str(path))
    return data


@contextlib.contextmanager
def open_regular(path: Path, limit: int) -> Iterator[BinaryIO]:
    """Open a file for reading; the errors are those of `read_regular`."""
    _expect_file(os.stat(path), path, limit)  # noqa: PTH116  first: to open a device may do something
    handle = os.open(path, os.O_RDONLY | _QUIET)
    with open(handle, "rb") as file:  # noqa: PTH123  Path.open takes no descriptor
        _expect_file(os.fstat(handle), path, limit)  # another may have taken its place
        yield file


@contextlib.contextmanager
def _writing(path: Path, besides: str = "") -> Iterator[None]:
    """Have an error say what cannot be written."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}{besides}") from None


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file by a descriptor."""
    handle = os.open(path, flags | _QUIET, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _expect_file(found: os.stat_result, path: Path, limit: float = math.inf) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotRegularError(errno.EINVAL, f"it is {_kind(found.st_mode)}, not a file", str(path))
    if found.st_size > limit:
        size = f"it has {found.st_size:,} bytes, more than the {limit:,} that are read"
        raise TooLargeError(errno.EFBIG, size, str(path))


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket"}
    return next((name for is_one, name in kinds.items() if is_one(mode)), "a device")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its place, force it to the disk, put it there in one step, and force that, too.

    RunError if it cannot be written, or what is there is no file, such as a device: to put one in the place
    of /dev/null would take it from everybody. What was there is as it was.
    """
    temporary = path.parent / f".{path.name}.{os.urandom(6).hex()}.tmp"
    with _writing(path, "; what was there is as it was"):
        with contextlib.suppress(FileNotFoundError):
            _expect_file(os.stat(path), path)  # noqa: PTH116  the module's text says why
        try:
            with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as handle:
                _write_all(handle, data)
                os.fsync(handle)
            _replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108  the module's text says why
            raise
        sync_folder(path.parent)


def is_temporary(name: str, of: frozenset[str]) -> bool:
    """Return whether `write_atomically` gives such a name while it writes one of those files."""
    found = re.fullmatch(r"\.(.+)\.[0-9a-f]{12}\.tmp", name)
    return found is not None and found[1] in of


def append(path: Path, data: bytes) -> None:
    """Write at a file's end, which is not forced to the disk yet; RunError if it cannot be."""
    with _writing(path), _opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK) as handle:
        _expect_file(os.fstat(handle), path)
        _write_all(handle, data)


def sync(path: Path) -> None:
    """Force to the disk what has been written to a file; RunError if it cannot be."""
    with _writing(path), _opened(path, os.O_RDWR) as handle:  # Windows forces only what is open for writing
        os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Force to the disk which files a folder has, where the system can."""
    if os.name == "nt":  # a folder cannot be opened
        return
    with _opened(folder, os.O_RDONLY) as handle:
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (
                errno.EINVAL,
                errno.ENOTSUP,
            ):  # some file systems have no such call
                raise


def make_folder(folder: Path) -> None:
    """Make a folder and those that it lies in, where they are not there; force their names to the disk."""
    for place in reversed([folder, *folder.parents]):
        if not os.path.lexists(place):
            with contextlib.suppress(FileExistsError):  # another process has just made it
                os.mkdir(place)  # noqa: PTH102
            sync_folder(place.parent)
    if not os.path.isdir(folder):  # noqa: PTH112
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def claim_folder(parent: Path, name: str) -> Path:
    """Make the first of NAME-1, NAME-2, ... in `parent` that is not there, and return it.

    Of several processes that ask at once each gets one of its own. RunError if it cannot be made.
    """
    k = 0
    try:
        make_folder(parent)
        while True:
            k += 1
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder := parent / f"{name}-{k}")  # noqa: PTH102
                sync_folder(parent)
                return folder
    except OSError as error:
        raise RunError(f"cannot make the folder {parent / name}-{k}: {error.strerror}") from None


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _replace(temporary: Path, path: Path) -> None:
    for pause in (0.05, 0.2, 1.0):
        try:
            os.replace(temporary, path)  # noqa: PTH105
            return
        except PermissionError:  # on Windows, while another process reads the old one
            if os.name != "nt":
                raise
            time.sleep(pause)
    os.replace(temporary, path)  # noqa: PTH105


def user_cache() -> Path | None:
    """Return bptt's folder in the user's cache, which need not exist; None where this user has no home.

    What can be had again is kept there: compiled code and fetched texts.
    """
    import platformdirs

    try:
        path = Path(platformdirs.user_cache_path("bptt"))
    except (OSError, RuntimeError, LookupError):  # some releases say it so
        return None
    return path if path.is_absolute() else None  # others leave the ~ there


class Lock:
    """Holds a folder for one process, by a file in it; the system lets go of it when the process ends.

    RunError if another process, which is named, or another object of this one holds it.
    """

    NAME = ".lock"

    def __init__(self, folder: Path) -> None:
        self._path = path = folder / self.NAME
        self._handle: int | None = None
        _held.add(self)  # before there is anything that a forked process could keep
        try:
            with _writing(path):
                flags = os.O_RDWR | os.O_CREAT | _NO_LINK | _QUIET
                self._handle = handle = os.open(path, flags, 0o666)
                _expect_file(os.fstat(handle), path)
            if not _try(handle):
                raise RunError(
                    f"{folder} is in use by {_holder(handle)}: wait until it ends, or stop it; "
                    "two would write over each other"
                )
        except BaseException:
            self.release()
            raise
        with contextlib.suppress(OSError):  # on a full disk it is held, and says nothing of its holder
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()} {platform.node()[:80]}\n".encode())

    def is_held(self) -> bool:
        """Return whether the folder is still held: not in a forked process, nor when the file is gone."""
        if self._handle is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._path))  # noqa: PTH116
        except OSError:
            return False

    def __reduce__(self) -> Any:
        raise TypeError("a folder is held once: what holds it cannot be copied or pickled")

    def release(self) -> None:
        """Let go of the folder; once is enough."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    __del__ = release


_held: "weakref.WeakSet[Lock]" = weakref.WeakSet()


def _release_copies() -> None:
    """In a forked process: its parent's locks are its parent's, which must not outlive it here."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_copies)


def _try(handle: int) -> bool:
    """Take the lock unless somebody has it; on a file system that has no locks nobody has it."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(handle, 1 << 30, os.SEEK_SET)  # beyond the text, which others may so read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK)
    return True


def _holder(handle: int) -> str:
    """Return in words who holds a lock, as far as its file says it; who has just taken it is waited for."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            os.lseek(handle, 0, os.SEEK_SET)
            text = os.read(handle, 200)
            found = re.fullmatch(rb"(\d{1,10}) ([\w.-]{0,80})\n", text)
            if found:
                pid, host = int(found[1]), found[2].decode("ascii", "replace")
                if pid == os.getpid() and host == platform.node()[:80]:
                    return "another Trainer of this process"
                return f"process {pid}" + (f" on {host}" if host != platform.node()[:80] else "")
            if text:  # something else's
                break
        time.sleep(0.01)
    return "another process"
