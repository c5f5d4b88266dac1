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
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.jit import Library
from bptt.kernels.llvm.loops import call, i32, i64, pointer
from bptt.kernels.llvm.vector import Vector
from bptt.kernels.runtime import memory
from bptt.layer import threads
from bptt.types import Array

WORK = ir.FunctionType(ir.VoidType(), [pointer, i64])
"""What a work's function is."""

QUIET = 1 << 14
"""How often a thread asks for work in vain before it sleeps: half a millisecond, or one."""

ALONE = 1 << 8
"""How often a thread asks before it lets others have the core between."""

_LINE = 16  # words: what different threads write lies that far apart
_OPEN, _NEXT, _INSIDE, _ASLEEP, _ASKED, _JOB = (k * _LINE for k in range(6))
_WORK, _WORDS, _STRIDE, _PIECES, _NUMBER, _YIELD, _OVER = range(_JOB, _JOB + 7)
_DONE = 4  # of the words that ask for a job: work, words, stride, pieces, and this


class Work(NamedTuple):
    """A work's function, to call from Python, and where it lies."""

    call: Any
    address: int

    @classmethod
    def of(cls, library: Library, name: str) -> "Work":
        """Return the function of that name."""
        return cls(library.function(name, ctypes.c_void_p, ctypes.c_int64), library.address(name))


def run(work: Work, pieces: Array) -> None:
    """Do all pieces of a work, a row of words each, on as many threads as there are.

    What the words are addresses of must live until this returns.
    """
    if len(pieces) > 1 and threads.count() > 1:
        _pool(host(), threads.count()).run(work, pieces)
    else:
        _alone(work, pieces)


def _alone(work: Work, pieces: Array) -> None:
    at, stride = jit.address(pieces), pieces.strides[0]
    for k in range(len(pieces)):
        work.call(at + k * stride, 0)


class _Pool:
    """Threads, and the words through which they are told what to do.

    Whoever finds ``asked`` 0 and makes it 1 has the pool; in machine code, where nobody can be interrupted.
    ``open`` is the number of the job that may be entered, or 0; ``inside`` how many threads have entered. A
    thread enters first and then looks whether the job is open still; whoever asked closes it first and then
    waits until nobody is inside. So nobody reads a job that is being changed.
    """

    def __init__(self, target: Host, count: int) -> None:
        library = jit.build(_module, target=target)
        self._serve = library.function("serve", ctypes.c_void_p, ctypes.c_int64)
        self._run = library.function("run", ctypes.c_void_p, ctypes.c_int64)
        self._words = memory.zeros(6 * _LINE, np.int64)
        self._words[_YIELD] = _yield()
        self._at = jit.address(self._words)
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=self._wait, args=(who,), name=f"bptt-{who}", daemon=True)
            for who in range(1, count)
        ]
        self._words[_ASLEEP] = len(self._threads)
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def run(self, work: Work, pieces: Array) -> None:
        job = np.array([work.address, jit.address(pieces), pieces.strides[0], len(pieces), 0], np.int64)
        if self._words[_ASLEEP]:
            self._wake.set()
        self._run(self._at, jit.address(job))
        if not job[_DONE]:  # another of Python's threads has the pool
            _alone(work, pieces)

    def _wait(self, who: int) -> None:
        while not self._words[_OVER]:
            self._wake.wait()
            self._wake.clear()
            self._serve(self._at, who)

    def close(self) -> None:
        """End the threads, before the machine code that they are in is gone."""
        self._words[_OVER] = 1
        while any(thread.is_alive() for thread in self._threads):
            self._wake.set()
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


# ---- machine code


@contextmanager
def work(module: ir.Module, name: str) -> Iterator[tuple[ir.IRBuilder, Any, Any]]:
    """Emit a work's function: what is inside has its builder, where its words are, and who runs it."""
    function = ir.Function(module, WORK, name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    yield b, *function.args
    b.ret_void()


def word(b: ir.IRBuilder, words: Any, k: int) -> Any:
    """Emit the reading of a piece's word."""
    return b.load(_at(b, words, k), typ=i64)


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


def _module() -> ir.Module:
    """Return ``serve(words, who)`` and ``run(words, address of a job's words)``."""
    module = ir.Module("pool")
    with work(module, "serve") as (b, words, who):
        _emit_serve(b, words, who)
    with work(module, "run") as (b, words, job):
        was_asked = b.atomic_rmw("xchg", _at(b, words, _ASKED), i64(1), "seq_cst")
        with b.if_then(b.icmp_signed("==", was_asked, i64(0))):
            _emit_run(b, words, b.inttoptr(job, pointer))
    return module


def _emit_run(b: ir.IRBuilder, words: Any, job: Any) -> None:
    """Open a job, do its pieces, close it, and wait for those who are inside."""
    for k in range(_DONE):
        _set(b, words, _JOB + k, word(b, job, k))
    _set(b, words, _NEXT, i64(0))
    _set(b, words, _OPEN, b.add(_add(b, words, _NUMBER, 1), i64(1)))
    _take(b, words, i64(0))
    _set(b, words, _OPEN, i64(0))
    with _ask(b, words) as (asked, done):
        b.cbranch(b.icmp_signed("==", _get(b, words, _INSIDE), i64(0)), done, asked)
    b.store(i64(1), _at(b, job, _DONE))
    _set(b, words, _ASKED, i64(0))


def _emit_serve(b: ir.IRBuilder, words: Any, who: Any) -> None:
    """Ask for work and do it, until there has been none for a while."""
    _add(b, words, _ASLEEP, -1)
    seen = b.alloca(i64)
    b.store(i64(0), seen)
    served, tired = b.append_basic_block("served"), b.append_basic_block("tired")
    b.branch(served)
    b.position_at_end(served)
    with _ask(b, words, tired) as (asked, found):
        look = b.append_basic_block("look")
        b.cbranch(b.icmp_signed("!=", _get(b, words, _OVER), i64(0)), tired, look)
        b.position_at_end(look)
        number, before = _get(b, words, _OPEN), b.load(seen, typ=i64)
        is_new = b.and_(b.icmp_signed("!=", number, i64(0)), b.icmp_signed("!=", number, before))
        b.cbranch(is_new, found, asked)
    _add(b, words, _INSIDE, 1)
    number = _get(b, words, _OPEN)
    with b.if_then(b.icmp_signed("!=", number, i64(0))):
        _take(b, words, who)
        b.store(number, seen)
    _add(b, words, _INSIDE, -1)
    b.branch(served)
    b.position_at_end(tired)
    _add(b, words, _ASLEEP, 1)


def _take(b: ir.IRBuilder, words: Any, who: Any) -> None:
    """Do pieces while there are some that nobody has taken."""
    work, first, stride, pieces = (_get(b, words, k) for k in (_WORK, _WORDS, _STRIDE, _PIECES))
    function = b.inttoptr(work, WORK.as_pointer())
    head, body, done = (b.append_basic_block(name) for name in ("take", "piece", "none"))
    b.branch(head)
    b.position_at_end(head)
    k = _add(b, words, _NEXT, 1)
    b.cbranch(b.icmp_signed("<", k, pieces), body, done)
    b.position_at_end(body)
    b.call(function, [b.inttoptr(b.add(first, b.mul(k, stride)), pointer), who])
    b.branch(head)
    b.position_at_end(done)


@contextmanager
def _ask(b: ir.IRBuilder, words: Any, tired: Any = None) -> Iterator[tuple[Any, Any]]:
    """Emit a loop that asks what is inside: it goes to the first block to be asked again, else to the second.

    After many times, to `tired` where that is given; the others have the core between from some times on.
    """
    start = b.block
    ask, again, done = (b.append_basic_block(name) for name in ("ask", "again", "done"))
    b.branch(ask)
    b.position_at_end(ask)
    times = b.phi(i64)
    times.add_incoming(i64(0), start)
    yield again, done
    b.position_at_end(again)
    _pause(b)
    more = b.add(times, i64(1))
    others = _get(b, words, _YIELD)
    is_time = b.icmp_signed("==", b.and_(more, i64(ALONE - 1)), i64(0))
    with b.if_then(b.and_(is_time, b.icmp_signed("!=", others, i64(0)))):
        b.call(b.inttoptr(others, ir.FunctionType(i32, []).as_pointer()), [])
    times.add_incoming(more, b.block)
    if tired is None:
        b.branch(ask)
    else:
        b.cbranch(b.icmp_signed("<", more, i64(QUIET)), ask, tired)
    b.position_at_end(done)


def _pause(b: ir.IRBuilder) -> None:
    """Tell the processor that this is a loop that waits, where it has such an instruction."""
    triple = host().triple
    if triple.startswith(("aarch64", "arm64")):
        call(b, "llvm.aarch64.hint", ir.VoidType(), [i32(1)])
    elif triple.startswith(("x86_64", "amd64", "i686")):
        call(b, "llvm.x86.sse2.pause", ir.VoidType(), [])


def _at(b: ir.IRBuilder, words: Any, k: int) -> Any:
    return b.gep(words, [i64(k)], source_etype=i64)


def _get(b: ir.IRBuilder, words: Any, k: int) -> Any:
    return b.load_atomic(_at(b, words, k), "seq_cst", 8, typ=i64)


def _set(b: ir.IRBuilder, words: Any, k: int, value: Any) -> None:
    b.atomic_rmw("xchg", _at(b, words, k), value, "seq_cst")


def _add(b: ir.IRBuilder, words: Any, k: int, value: int) -> Any:
    """Return what was there before."""
    return b.atomic_rmw("add", _at(b, words, k), i64(value), "seq_cst")
