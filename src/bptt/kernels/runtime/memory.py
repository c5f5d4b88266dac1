"""Arrays whose memory is used again.

A training step makes the same arrays as the one before. The system gives large ones out as new pages each
time, and fetching these costs more than filling them. Here large arrays are parts of a few chunks, taken and
given back in the same order in each step, so that they lie where they lay before. A chunk is room that has
been asked for, not memory: the system gives a page of it when it is first written to.
"""

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np

from bptt.kernels.llvm.jit import address
from bptt.kernels.runtime.tape import UnplannedError, recording
from bptt.types import Array, Dtype

SMALL = 1 << 16
"""Below this many bytes the system's own way is quick."""

CHUNK = 1 << 26
"""Bytes of the first chunk, at least."""

FORGOTTEN = 1 << 10
"""A chunk of which nothing is in use goes back to the system when so many other arrays have been made."""


class _Chunk:
    """Some room, and which parts of it are free.

    Each change of `free` is one store, so that an interruption leaves it whole.
    """

    def __init__(self, size: int) -> None:
        self.block = np.empty(size + 64, np.uint8)
        start = address(self.block)
        start += -start % 64
        self.size = size
        self.free = [(start, start + size)]
        self.used = 0  # the number of the last array that was made here

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in use."""
        return len(self.free) == 1 and self.free[0][1] - self.free[0][0] == self.size

    def take(self, size: int) -> int | None:
        """Take that many bytes of the smallest part that has them, and return where they begin."""
        parts = [
            (stop - start, start, k) for k, (start, stop) in enumerate(self.free) if stop - start >= size
        ]
        if not parts:
            return None
        room, start, k = min(parts)
        self.free[k : k + 1] = [(start + size, start + room)] if room > size else []
        return start

    def give(self, start: int, stop: int) -> None:
        """Take a part back, as one with the free ones beside it."""
        free = []
        for part in self.free:
            if part[1] == start or part[0] == stop:
                start, stop = min(start, part[0]), max(stop, part[1])
            else:
                free.append(part)
        self.free = [*free, (start, stop)]

    def release(self) -> None:
        """Let the system have back the memory of what is free; there is room still."""
        if advise := _advise():
            for start, stop in self.free:
                first, last = start + -start % PAGE, stop - stop % PAGE
                if first < last:
                    advise(first, last - first, DONTNEED)


PAGE = 1 << 14
"""Bytes that no page of memory is larger than, on most systems; elsewhere the advice is refused."""

DONTNEED = 4
"""What says that memory's contents are not needed any more, where there is such a call."""


@cache
def _advise() -> Any:
    """Return the system's ``madvise(address, bytes, advice)``, or None."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


class _Arena(threading.local):
    """A thread's chunks; nobody else takes parts of them."""

    def __init__(self) -> None:
        self.chunks: list[_Chunk] = []
        self.returned: deque[tuple[_Chunk, int, int]] = deque()  # by any thread
        self.made = 0
        self.is_busy = False

    def part(self, size: int) -> tuple[_Chunk, int, int]:
        """Return a part of a chunk, of a new one where none has room."""
        while self.returned:
            chunk, start, stop = self.returned.popleft()
            chunk.give(start, stop)
        self.made += 1
        if self.made % FORGOTTEN == 0:
            self.chunks = [c for c in self.chunks if not c.is_idle or self.made - c.used < FORGOTTEN]
        for chunk in self.chunks:
            at = chunk.take(size)
            if at is not None:
                break
        else:
            chunk = self._new_chunk(size)
            self.chunks = [*self.chunks, chunk]
            at = chunk.take(size)
            assert at is not None  # it is as large
        chunk.used = self.made
        return chunk, at, at + size

    def release(self) -> None:
        """Let the system have back what no array is in."""
        while self.returned:
            chunk, start, stop = self.returned.popleft()
            chunk.give(start, stop)
        self.chunks = [c for c in self.chunks if not c.is_idle]
        for chunk in self.chunks:
            chunk.release()

    def _new_chunk(self, size: int) -> _Chunk:
        for wanted in (max(CHUNK, sum(c.size for c in self.chunks)), CHUNK):
            try:
                return _Chunk(max(size, wanted))
            except MemoryError:  # where room that is asked for counts as used
                self.chunks = [c for c in self.chunks if not c.is_idle]
        return _Chunk(size)


_arena = _Arena()


class _Lease:
    """A part of a chunk on loan: an array made of it refers to this, and with the last such array it ends."""

    def __init__(
        self,
        part: tuple[_Chunk, int, int],
        to: deque[tuple[_Chunk, int, int]],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._part, self._to = part, to
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (part[1], False),
        }

    def __del__(self) -> None:
        self._to.append(self._part)  # not more: a garbage collection may come anywhere


def empty(shape: int | Sequence[int], dtype: Dtype) -> Array:
    """Return an uninitialised array, as ``np.empty`` does, that begins where a line of the caches does.

    Examples
    --------
    >>> first = empty((512, 512), np.float32)
    >>> at = first.ctypes.data
    >>> del first
    >>> empty((512, 512), np.float32).ctypes.data == at
    True
    """
    shape = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if recording.tape is not None:
        return recording.tape.room(shape, dtype)
    # busy: a finaliser or a signal's handler that came in between
    if size < SMALL or _arena.is_busy:
        room = np.empty(size + 64, np.uint8)
        return np.ndarray(shape, dtype, room, -address(room) % 64)
    size += -size % 4096 + 64  # so that neighbours do not begin at the same place of a page
    try:
        _arena.is_busy = True
        return np.asarray(_Lease(_arena.part(size), _arena.returned, shape, dtype))
    finally:
        _arena.is_busy = False


class _Own(threading.local):
    room: Array | None = None


own = _Own()
"""This thread's own room, as large as anybody has asked for."""


def scratch(size: int) -> Array:
    """Return this thread's own room of so many bytes or more, for what is over before it is asked for again.

    What a program keeps for its own time is another's, so while one is laid out it is an array by itself.
    """
    if recording.tape is not None:
        return empty(size, np.uint8)
    if own.room is None or own.room.size < size:
        own.room = None
        own.room = lasting(size)
    return own.room


def lasting(size: int) -> Array:
    """Return so many bytes for a program; what ran before there was one is not held beside it."""
    if not _arena.is_busy:
        try:
            _arena.is_busy = True
            _arena.release()
        finally:
            _arena.is_busy = False
    return empty(size, np.uint8)


def zeros(shape: int | Sequence[int], dtype: Dtype) -> Array:
    """Return an array of zeros."""
    if recording.tape is not None:
        raise UnplannedError("they would be zeros once")
    array = empty(shape, dtype)
    array[...] = 0
    return array


def take(array: Array, rows: Array) -> Array:
    """Return those rows of an array, in an array of their own; none is counted from the end."""
    out = empty((len(rows), *array.shape[1:]), array.dtype)
    return np.take(array, rows, axis=0, out=out, mode="clip")  # the default takes a copy more
