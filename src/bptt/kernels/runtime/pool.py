"""The threads that share out a kernel's work: they wait in machine code.

A training step has a dozen pieces of work of some hundred microseconds each. To wake a thread that sleeps,
and to wait for Python's lock, can take as long as such a piece. So a thread that has nothing to do asks for
work over and over, without Python's lock, for about a millisecond, and sleeps only then.

A work's function is machine code, ``work(words, who)``: the address of a piece's own 64-bit words, and which
thread runs it, 0 being the one that asks. Which thread runs a piece must not change what it writes.
"""

import atexit
import ctypes
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.jit import Library
from bptt.kernels.llvm.loops import pointer
from bptt.kernels.llvm.vector import Vector
from bptt.kernels.runtime import memory
from bptt.kernels.runtime.serving import ASLEEP, DONE, LINE, OVER, YIELD, module, word, work
from bptt.kernels.runtime.tape import recording
from bptt.layer import threads
from bptt.types import Array


class Work(NamedTuple):
    """A work's function, to call from Python, and where it lies."""

    call: Any
    address: int

    @classmethod
    def of(cls, library: Library, name: str) -> "Work":
        """Return the function of that name."""
        return cls(library.function(name, ctypes.c_void_p, ctypes.c_int64), library.address(name))


def run(work: Work, pieces: Array, *constants: Array) -> None:
    """Do all pieces of a work, a row of words each, on as many threads as there are.

    What the words are addresses of must live until this returns. `constants` are those of these arrays that
    nothing will ever change: what a program (:mod:`.program`) keeps as they are.
    """
    if recording.tape is not None:
        recording.tape.add(work, pieces, constants)
    elif len(pieces) > 1 and threads.count() > 1:
        _pool(host(), threads.count()).run(work, pieces)
    else:
        _alone(work, pieces)


def play(at: int, first: int, count: int, *, is_shared: bool) -> None:
    """Do jobs `first` .. `count` one after the other; the words of job 0 begin at that address.

    The player stops before a job for several threads where some have gone to sleep, so that they are woken.
    `is_shared` says whether any has pieces for several threads.
    """
    if not is_shared or threads.count() == 1:
        _player()(0, at, first, count)
        return
    pool, player = _pool(host(), threads.count()), _player()
    while first < count:
        if pool.words[ASLEEP]:
            pool.wake.set()
        first = player(pool.at, at, first, count)


@cache
def _player() -> Any:
    kinds = [ctypes.c_int64] * 4
    return jit.build(module, target=host()).function("play", *kinds, returns=ctypes.c_int64)


def _alone(work: Work, pieces: Array) -> None:
    at, stride = jit.address(pieces), pieces.strides[0]
    for k in range(len(pieces)):
        work.call(at + k * stride, 0)


class _Pool:
    """Threads, and the words through which they are told what to do.

    What they do, and how nobody reads a job that is being changed, :mod:`.serving` says.
    """

    def __init__(self, target: Host, count: int) -> None:
        library = jit.build(module, target=target)
        self._serve = library.function("serve", ctypes.c_void_p, ctypes.c_int64)
        self._run = library.function("run", ctypes.c_void_p, ctypes.c_int64)
        self.words = memory.zeros(6 * LINE, np.int64)
        self.words[YIELD] = _yield()
        self.at = jit.address(self.words)
        self.wake = threading.Event()
        self._threads = [
            threading.Thread(target=self._wait, args=(who,), name=f"bptt-{who}", daemon=True)
            for who in range(1, count)
        ]
        self.words[ASLEEP] = len(self._threads)
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def run(self, work: Work, pieces: Array) -> None:
        job = np.array([work.address, jit.address(pieces), pieces.strides[0], len(pieces), 0], np.int64)
        if self.words[ASLEEP]:
            self.wake.set()
        self._run(self.at, jit.address(job))
        if not job[DONE]:  # another of Python's threads has the pool
            _alone(work, pieces)

    def _wait(self, who: int) -> None:
        while not self.words[OVER]:
            self.wake.wait()
            self.wake.clear()
            self._serve(self.at, who)

    def close(self) -> None:
        """End the threads, before the machine code that they are in is gone."""
        self.words[OVER] = 1
        while any(thread.is_alive() for thread in self._threads):
            self.wake.set()
            for thread in self._threads:
                thread.join(0.01)


_pool = cache(_Pool)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has none of its parent's threads


def _yield() -> int:
    """Return the address of the system's function that lets another thread have the core, or 0."""
    try:
        system: Any = ctypes.CDLL("kernel32") if os.name == "nt" else ctypes.CDLL(None)
        function = system.SwitchToThread if os.name == "nt" else system.sched_yield
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class Fields:
    """A piece's words by name, in their order, for a work that has many: its code reads what callers give."""

    def __init__(self, names: Iterable[str]) -> None:
        self.places = {name: k for k, name in enumerate(names)}

    def read(self, b: ir.IRBuilder, words: Any) -> dict[str, Any]:
        """Emit the reading of all words."""
        return {name: word(b, words, k) for name, k in self.places.items()}

    def words(self, given: Mapping[str, int], pieces: int = 1) -> Array:
        """Return the words of pieces, all alike: addresses and sizes, 0 for what is not given."""
        words = np.empty((pieces, len(self.places)), np.int64)
        words[:] = [given.get(name, 0) for name in self.places]
        return words


@cache
def work_of(
    emit: Callable[..., None], arrays: int, sizes: int, dtype: str, target: Host, *more: Hashable
) -> Work:
    """Return the work whose code ``emit(vector, arrays, sizes, *more)`` is.

    A piece's words are so many addresses of arrays and then so many sizes; the vector is of the dtype.
    """

    def module() -> ir.Module:
        made = ir.Module()
        with work(made, "work") as (b, words, _):
            found = [word(b, words, k) for k in range(arrays + sizes)]
            starts = [b.inttoptr(address, pointer) for address in found[:arrays]]
            emit(Vector(b, dtype, target), starts, found[arrays:], *more)
        return made

    made_of = emit.__module__, emit.__qualname__, arrays, sizes, dtype, *more
    return Work.of(jit.build(module, *made_of, target=target), "work")
