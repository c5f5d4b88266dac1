"""How many threads there are, and results that do not depend on it.

BLAS libraries cut a product differently for each number of threads, and so round differently. What NumPy
computes here has one thread, and BLAS is held to it: the same bits on one core and on sixty-four. Threads
are for compiled code (:mod:`bptt.kernels.runtime.pool`), where each number is one sum in a fixed order,
wherever work is cut.

Where NumPy's products are Apple's Accelerate, which takes no limit, the number of its threads is left as
it is: results are the same from run to run on one machine.

``BPTT_THREADS`` in the environment sets the number of threads; otherwise it is that of the cores, or a
worker's part of them where torchrun or mpirun starts several.
"""

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

from bptt.errors import ConfigError

MOST_THREADS = 1024


@cache
def count() -> int:
    """Return the number of threads."""
    given = os.environ.get("BPTT_THREADS", "")
    if given:
        if not given.isdecimal() or len(given) > 4 or not 1 <= int(given) <= MOST_THREADS:
            raise ConfigError(f"BPTT_THREADS must be a whole number from 1 to {MOST_THREADS}, got {given!r}")
        return int(given)
    own = cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # the cores this process may use, where the system tells
        own = len(os.sched_getaffinity(0))
    if own < cores:
        return own
    here = [os.environ.get(name, "") for name in ("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE")]
    beside = next((int(text) for text in here if text.isdecimal()), 1)  # workers that share them
    return max(1, cores // max(1, beside))


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def products() -> str:
    """Return for which processors NumPy's products are made."""
    return ", ".join(str(library.info().get("architecture")) for library in _blas()) or "products of its own"


class _OneBlasThread:
    """Holds BLAS to one thread while anybody is inside; the limit is the process's, not a thread's.

    An interruption may come between any two steps, also before the first of a method: nothing here relies on
    a step's being reached. Inside is who still has the function that leaves: ``with`` fetches it as
    ``__exit__`` before it calls ``__enter__``, and drops it however the block ends. What the limit should be
    follows from that, and `_settle` can be broken off and done again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finaliser may come here in the middle of `_settle`
        self._inside: dict[object, tuple[int, weakref.ref[Any]]] = {}
        self._before: list[tuple[Any, int]] | None = None
        self._held: bool | None = False  # None: being changed, or broken off

    def __enter__(self) -> None:
        self._settle()

    @property
    def __exit__(self) -> Callable[..., None]:
        key = object()
        leave = [partial(self._leave, key)]  # popped in the end: a traceback's frames keep what they hold
        try:
            self._inside[key] = (threading.get_ident(), weakref.ref(leave[0], partial(self._leave, key)))
            return leave.pop()
        except BaseException:
            self._inside.pop(key, None)
            raise

    def _leave(self, key: object, *_: object) -> None:
        try:
            self._inside.pop(key, None)
            self._settle()
        except BaseException:
            self._inside.pop(key, None)
            self._settle()
            raise

    def _settle(self) -> None:
        """Limit BLAS, or give it back its threads, until that is what those inside want."""
        with self._lock:
            while self._held != bool(self._inside):
                hold, self._held = bool(self._inside), None
                before = self._before
                if before is None:  # kept from before the first is changed until the last is as it was
                    self._before = before = [(library, library.get_num_threads()) for library in _blas()]
                for library, count in before:
                    library.set_num_threads(1 if hold else count)
                self._before, self._held = (before if hold else None), hold

    def _forked(self) -> None:
        """Forget, in a forked process, the threads that it does not have; one may hold the lock for ever."""
        self._lock = threading.RLock()
        me = threading.get_ident()
        self._inside = {key: value for key, value in self._inside.items() if value[0] == me}
        self._settle()


_one_blas_thread = _OneBlasThread()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_blas_thread._forked)


def one_blas_thread() -> AbstractContextManager[None]:
    """Return what ``with`` takes, and nothing else: in its block BLAS runs on the calling thread alone.

    It may be entered again within.
    """
    return _one_blas_thread


def cuts(n: int, pieces: int) -> list[slice]:
    """Return slices that cover ``range(n)``, all about as long: so many, or n where that is less."""
    pieces = max(1, min(pieces, n))
    return [slice(k * n // pieces, (k + 1) * n // pieces) for k in range(pieces)]
