"""Arrays whose memory is used again.

A training step makes the same arrays as the one before. The system gives large ones out as new pages each
time, and fetching these costs more than filling them. Here large arrays are parts of a few chunks, taken and
given back in the same order in each step, so that they lie where they lay before. A chunk is room that has
been asked for, not memory: the system gives a page of it when it is first written to.
"""

import threading
from collections import deque
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from bptt.kernels.jit import address
from bptt.types import Array, Dtype

SMALL = 1 << 16
"""Below this many bytes the system's own way is quick."""

CHUNK = 1 << 26
"""Bytes of the first chunk, at least."""

FORGOTTEN = 1 << 10
"""A chunk of which nothing is in use goes back to the system when so many other arrays have been made."""

WORTH = 0.95
"""Leaving rows out is worth a copy (`take`) of those that are left where these are at most this part."""

_lock = threading.Lock()
_chunks: list["_Chunk"] = []
_returned: deque[tuple["_Chunk", int, int]] = deque()


class _Chunk:
    """Some room, and which parts of it are free, by place."""

    made = 0  # arrays so far, in all chunks

    def __init__(self, size: int) -> None:
        self.block = np.empty(size + 64, np.uint8)
        start = address(self.block)
        start += -start % 64
        self.whole = (start, start + size)
        self.free = [self.whole]
        self.used = _Chunk.made

    def take(self, size: int) -> int | None:
        """Take that many bytes of the smallest part that has them, and return where they begin."""
        parts = [(stop - start, start) for start, stop in self.free if stop - start >= size]
        if not parts:
            return None
        room, start = min(parts)
        self.free.remove((start, start + room))
        if room > size:
            self.free.append((start + size, start + room))
        self.used = _Chunk.made
        return start

    def give(self, start: int, stop: int) -> None:
        """Take a part back, as one with the free ones beside it."""
        before = [part for part in self.free if part[1] == start]
        after = [part for part in self.free if part[0] == stop]
        for part in before + after:
            self.free.remove(part)
            start, stop = min(start, part[0]), max(stop, part[1])
        self.free.append((start, stop))


class _Lease:
    """A part of a chunk on loan: an array made of it refers to this, and with the last such array it ends."""

    def __init__(
        self, chunk: _Chunk, start: int, stop: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._part = chunk, start, stop
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (start, False),
        }

    def __del__(self) -> None:
        _returned.append(self._part)  # not more: this thread may hold the lock, in a garbage collection


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
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if size < SMALL:
        room = np.empty(size + 64, np.uint8)
        return np.ndarray(shape, dtype, room, -address(room) % 64)
    size += -size % 4096 + 64  # so that neighbours do not begin at the same place of a page
    with _lock:
        return np.asarray(_Lease(*_part(size), shape, dtype))


def zeros(shape: int | Sequence[int], dtype: Dtype) -> Array:
    """Return an array of zeros."""
    array = empty(shape, dtype)
    array[...] = 0
    return array


def take(array: Array, rows: Array) -> Array:
    """Return those rows of an array, in an array of their own."""
    out = empty((len(rows), *array.shape[1:]), array.dtype)
    return np.take(array, rows, axis=0, out=out, mode="clip")  # the default takes a copy more


def _part(size: int) -> tuple[_Chunk, int, int]:
    """Return a part of a chunk, of a new one where none has room."""
    while _returned:
        chunk, start, stop = _returned.popleft()
        chunk.give(start, stop)
    _Chunk.made += 1
    if _Chunk.made % FORGOTTEN == 0:
        _chunks[:] = [c for c in _chunks if c.free != [c.whole] or _Chunk.made - c.used < FORGOTTEN]
    for chunk in _chunks:
        at = chunk.take(size)
        if at is not None:
            return chunk, at, at + size
    chunk = _Chunk(max(size, CHUNK, sum(stop - start for start, stop in (c.whole for c in _chunks))))
    _chunks.append(chunk)
    at = chunk.take(size)
    assert at is not None  # it is as large
    return chunk, at, at + size
