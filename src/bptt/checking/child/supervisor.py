"""The supervisor: starts the worker, keeps its bounds, ends all that it has started.

Run as a script by `run`, with nothing but the standard library. It ends all when the worker has ended, when a
bound is passed, and when our process closes the standard input or dies; then it prints how it was, as JSON.
"""

import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

START = 60.0  # seconds that the imports of our function may take; they are not its time
TICK = 0.02  # seconds from one look at the processes to the next
LARGEST_FILE = 1 << 28  # bytes of one file that the code may write

_SUBREAPER, _DEATH_SIGNAL = 36, 1  # prctl's numbers
_STATUS: list[int] = []  # the worker's, once it has ended


def main() -> None:
    """Supervise what is said in a folder."""
    said = Path(sys.argv[1], "said")
    bounds = json.loads(said.read_text())
    said.unlink()  # the code is not to know the mark
    _prctl(_SUBREAPER, 1)  # the worker's orphans become our children
    begun, begin = os.pipe()  # closed when our function is called
    pid = os.getpid()
    worker = os.fork()
    if not worker:
        _be_the_worker(bounds, begin, pid)
    os.close(begin)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # the code may send them to its parent
    how = _watched(bounds, worker, begun)
    with suppress(OSError):
        os.killpg(worker, signal.SIGKILL)
    while _reap(worker):
        for pid in _descendants():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(1e-3)
    shutil.rmtree(bounds["folder"], ignore_errors=True)  # here, as our process may be gone
    with suppress(BrokenPipeError), open(1, "w") as out:
        json.dump({"how": how, "status": _STATUS[0]}, out)


def _watched(bounds: Mapping[str, Any], worker: int, begun: int) -> str:
    """Return why all is to end: ``asked``, ``ended`` or the bound that was passed."""
    end, watched = time.monotonic() + START, [0, begun]
    while True:
        ready = select.select(watched, [], [], TICK)[0]
        if 0 in ready or os.getppid() != bounds["parent"]:
            return "asked"
        if begun in ready:
            watched, end = [0], time.monotonic() + bounds["seconds"]
        _reap(worker)
        if _STATUS:
            return "ended"
        if time.monotonic() > end:
            return "time"
        found = _descendants()
        if len(found) > bounds["processes"]:
            return "processes"
        if sum(map(_held, found)) > bounds["memory"]:
            return "memory"


def _reap(worker: int) -> bool:
    """Take the status of all children that have ended; return whether there are others."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == worker:
                _STATUS.append(os.waitstatus_to_exitcode(status))
            if not pid:
                return True
    return False


def _descendants() -> list[int]:
    """Return the processes below this one (none, where the system does not tell)."""
    found = [os.getpid()]
    for pid in found:  # it grows
        with suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 (it is called often)
                with open(f"/proc/{pid}/task/{task}/children") as file:  # noqa: PTH123
                    found += map(int, file.read().split())
    return found[1:]


def _held(pid: int) -> int:
    """Return the bytes of memory that a process does not share with files."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        resident, shared = map(int, file.read().split()[1:3])
        return (resident - shared) * resource.getpagesize()
    return 0


def _be_the_worker(bounds: Mapping[str, Any], begin: int, supervisor: int) -> NoReturn:
    try:
        os.setsid()
        _prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        for own, descriptor in enumerate((nothing, nothing, nothing, begin)):
            os.dup2(descriptor, own)
        os.closerange(4, 64)
        cpu = int(bounds["seconds"] * (os.cpu_count() or 1)) + 2  # should the supervisor be ended
        for limit, value in (
            (resource.RLIMIT_DATA, bounds["memory"]),  # not AS: what libraries only reserve is no memory
            (resource.RLIMIT_CPU, cpu),
            (resource.RLIMIT_FSIZE, LARGEST_FILE),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):  # more than the user may have
                resource.setrlimit(limit, (value, value))
        os.chdir(f"{bounds['folder']}/here")
        sys.path[:], sys.argv = bounds["path"], [""]
        from bptt.checking.child.worker import work

        work(bounds)
    finally:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
