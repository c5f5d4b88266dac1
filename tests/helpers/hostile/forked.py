"""Work in a forked child of a process that has imported everything: no case sees what another left."""

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEMORY = 4 << 30
"""Address space that a child may take beyond its parent's: a runaway gets an error, not the machine."""

SECONDS = 20

CRASH = 70
"""The exit code of a child that ends in an exception."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended; the code of one that a signal ended is the signal's number, negated."""

    code: int
    out: str
    err: str
    memory: int  # bytes, at the most


@dataclass(frozen=True)
class Child:
    """A process that has been started."""

    pid: int
    out: int
    err: int

    def wait(self) -> Outcome:
        """Return how it ended, once it has."""
        _, status, usage = os.wait4(self.pid, 0)
        unit = 1 if sys.platform == "darwin" else 1024
        code = os.waitstatus_to_exitcode(status)
        return Outcome(code, _text(self.out), _text(self.err), usage.ru_maxrss * unit)


def forked(work: Callable[[], int], *, seconds: int = SECONDS, memory: int = MEMORY) -> Outcome:
    """Run `work` in a child and return how it ended: by SIGALRM, where it took longer than `seconds`."""
    return started(work, seconds=seconds, memory=memory).wait()


def started(work: Callable[[], int], *, seconds: int = SECONDS, memory: int = MEMORY) -> Child:
    """Start `work` in a child."""
    out, err = _buffer(), _buffer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forks of a process that has threads: bptt is made for them
        pid = os.fork()
    if pid == 0:
        _child(work, seconds, memory, out, err)
    return Child(pid, out, err)


def _buffer() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("said")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _text(handle: int) -> str:
    os.lseek(handle, 0, os.SEEK_SET)
    with os.fdopen(handle, "rb") as file:
        return file.read().decode(errors="replace")


def _child(work: Callable[[], int], seconds: int, memory: int, out: int, err: int) -> None:
    import resource  # Windows has none, and reads this file, too

    code = CRASH
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if sys.platform == "linux":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + memory
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        warnings.resetwarnings()  # a test's own filters are not the command's
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else CRASH
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
        finally:
            os._exit(code)


def resident() -> int:
    """Return the bytes of memory that this process has now: a forked child begins with them."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def bptt(*arguments: str | Path, seconds: int = SECONDS, memory: int = MEMORY) -> Outcome:
    """Run the command in a child."""
    return forked(lambda: command(*arguments), seconds=seconds, memory=memory)


def command(*arguments: str | Path) -> int:
    """Run the command in this process, as its script does."""
    from bptt.cli import main

    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0 if error.code is None else CRASH
    return 0


def misbehaviour(outcome: Outcome) -> str | None:
    """Return what no end of the command may be: a signal, a traceback, other than one line of failure."""
    if outcome.code == -signal.SIGALRM:
        return "hangs"
    if outcome.code not in (0, 1, 2):
        last = outcome.err.strip().splitlines()[-1:] or [""]
        return f"ends with {outcome.code}: {last[0][:200]}"
    if "Traceback" in outcome.err + outcome.out:
        return "prints a traceback"
    lines = outcome.err.splitlines()
    failed = outcome.code == 2 or (outcome.code == 1 and not outcome.out)
    if failed and (len(lines) != 1 or not lines[0].startswith("bptt: ")):
        return f"fails with {len(lines)} lines: {outcome.err[:200]!r}"
    return None
