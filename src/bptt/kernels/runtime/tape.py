"""What is written down of works while a program is laid out."""

import mmap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from bptt.types import Array


def apart(size: int) -> Array:
    """Return so many bytes in pages of their own, which lie where no size is as large a number.

    What the system's allocator gives out may lie low: then a word would not say whether it is an address.
    """
    return np.frombuffer(mmap.mmap(-1, max(size, 1)), np.uint8)


class Tape:
    """The works that were asked for, the room that was asked for, and arrays that stay as they are."""

    def __init__(self) -> None:
        self.works: list[tuple[Any, Array]] = []
        self.scratch: list[Array] = []
        self.constants: list[Array] = []

    def add(self, work: Any, pieces: Array, constants: Sequence[Array]) -> None:
        """Write a work down, and not run it."""
        self.works.append((work, pieces.copy()))
        self.constants += constants


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
