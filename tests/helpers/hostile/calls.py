"""Stands between a process and the calls of `os` by which it writes: records them, or makes one fail."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ["open", "write", "fsync", "replace", "link", "unlink", "mkdir", "ftruncate", "close"]
"""What writing may use."""

OTHERS = {
    "open",
    *(f"os.{name}" for name in ("rename", "remove", "rmdir", "truncate", "link", "symlink", "mkdir")),
}
OTHERS |= {"os.chmod", "os.chown", "os.utime", "os.setxattr", "os.mkfifo", "os.mknod"}
"""Events that Python's interpreter tells of: one that comes by no call above changes the folder unseen."""

FAULTS = ["EIO", "ENOSPC", "half", "half-ENOSPC", "kill-before", "kill-after", "EIO-after"]
"""It fails; writes half, and perhaps fails then; the process dies; it works, and says that it failed."""


@dataclass(frozen=True)
class Call:
    """A call, with paths relative to the root; a descriptor stands as the path that it was opened for."""

    name: str
    path: str
    to: str = ""
    data: bytes = b""
    creates: bool = False
    appends: bool = False
    size: int = 0


class Calls:
    """Interposes on `os` for what lies in a folder, in this process for good: meant for a forked child.

    Parameters
    ----------
    root : path
    tell : callable
        Given each call that succeeded.
    fault : (int, str), optional
        Which call, from 0, is to fail, and how: one of `FAULTS`.
    """

    def __init__(
        self, root: Path, tell: Callable[[Call], None], fault: tuple[int, str] | None = None
    ) -> None:
        self.root, self.tell, self.fault = os.path.realpath(root), tell, fault
        self.count = 0
        self.handles: dict[int, tuple[str, bool]] = {}
        self.real = {name: getattr(os, name) for name in NAMES}
        for name in NAMES:
            setattr(os, name, self._wrapped(name))
        self._seen = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._seen or event not in OTHERS or self._inside(arguments[0]) is None:
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        raise AssertionError(f"{event} {arguments} changes the folder by a call that is not followed")

    def _inside(self, path: Any) -> str | None:
        """Return a path relative to the root, None for one elsewhere."""
        if not isinstance(path, str | os.PathLike):
            return None
        text = os.path.abspath(os.fspath(path))  # noqa: PTH100  no link is followed
        return os.path.relpath(text, self.root) if text.startswith(self.root) else None

    def _wrapped(self, name: str) -> Callable[..., Any]:
        real = self.real[name]

        def call(first: Any, *rest: Any, **options: Any) -> Any:
            known = self._call(name, first, *rest)
            if name == "open" and known is None:
                handle = real(first, *rest, **options)
                self.handles.pop(handle, None)
                return handle
            if name == "close":
                self.handles.pop(first, None)
            if known is None or name == "close":
                return real(first, *rest, **options)
            k, self.count = self.count, self.count + 1
            how = self.fault[1] if self.fault is not None and self.fault[0] == k else ""
            if how == "kill-before":
                os.kill(os.getpid(), signal.SIGKILL)
            if how in ("EIO", "ENOSPC") or (how in ("half", "half-ENOSPC") and name != "write"):
                number = errno.EIO if how == "EIO" else errno.ENOSPC
                raise OSError(number, os.strerror(number), str(first))
            if how.startswith("half"):
                half = real(first, rest[0][: len(rest[0]) // 2])
                if how == "half":
                    return half
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._seen = True
            try:
                result = real(first, *rest, **options)
            finally:
                self._seen = False
            if name == "open":
                self.handles[result] = known.path, known.appends
            self.tell(known)
            if how == "kill-after":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "EIO-after":
                if name == "open":
                    self.real["close"](result)
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(first))
            return result

        return call

    def _call(self, name: str, first: Any, *rest: Any) -> Call | None:
        """Return what a call does to the folder, None where it does nothing to it."""
        if isinstance(first, int):
            path, appends = self.handles.get(first, (None, False))
            if path is None:
                return None
            data = bytes(rest[0]) if name == "write" else b""
            size = rest[0] if name == "ftruncate" else 0
            return Call(name, path, data=data, appends=appends, size=size)
        path = self._inside(first)
        if name in ("replace", "link"):
            to = self._inside(rest[0])
            assert (path is None) == (to is None)
            return None if path is None else Call(name, path, to=to or "")
        if path is None:
            return None
        flags = rest[0] if name == "open" else 0
        assert not flags & os.O_TRUNC  # a disk that loses power does not know it
        return Call(name, path, creates=bool(flags & os.O_CREAT), appends=bool(flags & os.O_APPEND))
