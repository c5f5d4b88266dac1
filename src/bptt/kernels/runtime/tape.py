"""What is written down of works while a program is laid out, and the arrays that stand for those to come."""

import mmap
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from bptt.errors import BpttError
from bptt.types import Array, Dtype


class UnplannedError(BpttError):
    """What was asked for cannot be part of a program."""


class StandIn(np.ndarray[Any, Any]):
    """An array that stands for another: it has a shape and an address, and no numbers.

    What would read or write its numbers outside a work raises `UnplannedError`. A copy that NumPy makes all
    the same has an address that no program knows.
    """

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> Any:
        raise UnplannedError(f"NumPy's {ufunc.__name__} is no work of a program")

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in _OF_SHAPES:
            return super().__array_function__(func, types, args, kwargs)
        raise UnplannedError(f"NumPy's {func.__name__} is no work of a program")

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, StandIn) and (found.size == 0 or np.may_share_memory(found, self)):
            return found
        raise UnplannedError("an array's numbers are not read while a program is laid out")

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the array itself where nothing is to be converted."""
        if self.dtype != dtype or kwargs.get("copy", True):
            raise UnplannedError("a conversion of numbers is no work of a program")
        return self


def _refuse(name: str) -> Callable[..., Any]:
    def method(self: StandIn, *_: Any, **__: Any) -> Any:
        raise UnplannedError(f"an array's {name} is no work of a program")

    return method


for _name in ("__setitem__", "__bool__", "__int__", "__float__", "__index__", "__iter__", "argmax", "argmin",
              "argsort", "choose", "copy", "diagonal", "dot", "fill", "flatten", "item", "nonzero", "put",
              "repeat", "searchsorted", "sort", "take", "tobytes", "tolist"):  # fmt: skip
    setattr(StandIn, _name, _refuse(_name))

_OF_SHAPES = {
    np.broadcast_to,
    np.may_share_memory,
    np.shares_memory,
    np.result_type,
    np.shape,
    np.ndim,
    np.size,
}


class _Lent:
    """An array's memory, which tells the tape when the last array that is made of it has gone."""

    def __init__(self, tape: "Tape", number: int, array: Array) -> None:
        self._tape, self._number = tape, number
        self.__array_interface__ = array.__array_interface__

    def __del__(self) -> None:
        self._tape.rooms[self._number].last = len(self._tape.works)


class Room:
    """Bytes that a work asked for.

    Attributes
    ----------
    start, size : int
        The address, and how many.
    first, last : int or None
        Before which work it was asked for, and given back; None: it is held still.
    """

    def __init__(self, start: int, size: int, first: int) -> None:
        self.start, self.size, self.first = start, size, first
        self.last: int | None = None


class Tape:
    """The works that were asked for, the rooms that were asked for, and arrays that stay as they are.

    While `pages` live, no other array has an address that one of here had.
    """

    def __init__(self) -> None:
        self.works: list[tuple[Any, Array]] = []
        self.rooms: list[Room] = []
        self.constants: list[Array] = []
        self.pages: list[Array] = []
        self.marks: list[tuple[int, tuple[str, ...]]] = []

    def mark(self, names: Iterable[str]) -> None:
        """Note that what has these names is there after the works so far, and is not written again."""
        self.marks.append((len(self.works), tuple(names)))

    def add(self, work: Any, pieces: Array, constants: Sequence[Array]) -> None:
        """Write a work down, and not run it."""
        self.works.append((work, pieces.copy()))
        self.constants += [array for array in constants if not isinstance(array, StandIn)]

    def room(self, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return an array in memory of its own."""
        pages = self.apart(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        self.rooms.append(Room(pages.ctypes.data, pages.nbytes, len(self.works)))
        lent = np.asarray(_Lent(self, len(self.rooms) - 1, pages))
        return np.ndarray(shape, dtype, lent).view(StandIn)

    def stand_in(self, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return an array that stands for one that is given, with an address of its own."""
        pages = self.apart(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.ndarray(shape, dtype, pages).view(StandIn)

    def apart(self, size: int) -> Array:
        """Return so many bytes in pages of their own, which lie where no size is as large a number.

        What the system's allocator gives out may lie low: then a word would not say whether it is an address.
        """
        pages = np.frombuffer(mmap.mmap(-1, max(size, 1), **_PRIVATE), np.uint8)
        self.pages.append(pages)
        return pages


# the system counts neighbours that are nobody else's as one, and lets a process have so many and no more
_PRIVATE: Any = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}


class _Recording(threading.local):
    tape: Tape | None = None

    @contextmanager
    def on(self, tape: Tape) -> Iterator[None]:
        """Have this thread's works written down in the block."""
        self.tape = tape
        try:
            yield
        finally:
            self.tape = None


recording = _Recording()
"""Whether this thread's works are written down, and where."""
