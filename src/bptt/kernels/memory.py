"""Arrays whose memory is used again.

A training step makes the same arrays as the one before. The system gives large ones out as new pages each
time, and fetching these costs more than filling them. Here the memory of an array that nobody refers to any
longer is kept for the next of its size; never more of it than was in use at once.
"""

import threading
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from bptt.kernels.jit import address
from bptt.types import Array, Dtype

SMALL = 1 << 16
"""Below this many bytes the system's own way is quick."""

_lock = threading.Lock()
_free: dict[int, list[Array]] = {}
_bytes = {"used": 0, "most": 0, "free": 0}


class _Lease:
    """Memory on loan: an array made of it refers to this, and with the last such array it comes back."""

    def __init__(self, block: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._block = block
        start = address(block)
        start += -start % 64
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (start, False),
        }

    def __del__(self) -> None:
        _back(self._block)


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
    size += -size % 4096 + 64
    with _lock:
        blocks = _free.get(size)
        block = blocks.pop() if blocks else None
        _bytes["used"] += size
        _bytes["most"] = max(_bytes["most"], _bytes["used"])
        if block is not None:
            _bytes["free"] -= size
    if block is None:
        block = np.empty(size, np.uint8)
    return np.asarray(_Lease(block, shape, dtype))


def zeros(shape: int | Sequence[int], dtype: Dtype) -> Array:
    """Return an array of zeros."""
    array = empty(shape, dtype)
    array[...] = 0
    return array


def _back(block: Array) -> None:
    # without waiting: the last reference may go while this thread holds the lock, in a garbage collection
    if not _lock.acquire(blocking=False):
        _bytes["used"] -= block.size
        return
    try:
        _bytes["used"] -= block.size
        if _bytes["used"] + _bytes["free"] + block.size > _bytes["most"]:
            _forget()
        _free.setdefault(block.size, []).append(block)
        _bytes["free"] += block.size
    finally:
        _lock.release()


def _forget() -> None:
    """Give what lies free back to the system: it is of sizes that are no longer asked for."""
    _free.clear()
    _bytes["free"] = 0
