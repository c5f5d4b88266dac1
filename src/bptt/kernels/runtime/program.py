"""Works laid out once and then run again and again over other arrays, as one call of machine code.

What Python does around a layer's works (how they are cut, which words each piece has, what is packed where)
depends on sizes alone. `Program.of` therefore lays it out once: it calls the very function that runs the
works, with arrays that stand for those to come, and keeps each work with its words instead of running it. A
word that was an address within one of these arrays, or within room that the function asked for, is an offset
from then on. A run puts the addresses of the arrays at hand in their places.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bptt.errors import BpttError
from bptt.kernels.llvm.jit import address
from bptt.kernels.runtime import memory, pool
from bptt.kernels.runtime.serving import JOB
from bptt.kernels.runtime.tape import Tape, apart, recording
from bptt.types import Array

Shaped = tuple[tuple[int, ...], Any]
"""An array's shape and dtype."""

LINE = 64
"""Bytes of a line of the caches: room begins at one."""

FIRST_ADDRESS = 1 << 32
"""Below this a word is a size, or the address of what stays where it is."""


class Program:
    """Works in their order.

    Attributes
    ----------
    names : tuple of str
        Of the arrays whose addresses `run` takes, in that order.
    """

    def __init__(self, tape: Tape, arrays: Mapping[str, Array]) -> None:
        self.names = tuple(arrays)
        self._constants = tuple(tape.constants)
        places, self._room = _placed(arrays, tape)
        starts = [start for start, *_ in places]
        jobs, pieces = len(tape.works), [words for _, words in tape.works]
        size = sum(words.size for words in pieces)
        words = np.zeros(JOB * jobs + size, np.int64)
        at, base = [], []  # which words are addresses, and in which array
        filled = JOB * jobs
        for k, (work, own) in enumerate(tape.works):
            words[JOB * k : JOB * (k + 1)] = work.address, filled * 8, own.strides[0], len(own), 0
            at.append(JOB * k + 1)
            base.append(0)
            for value in own.ravel().tolist():
                if value >= FIRST_ADDRESS:
                    found = places[bisect_right(starts, value) - 1]
                    start, stop, array, offset = found
                    if not start <= value < stop:
                        raise BpttError("a work reads an array that its program does not know")
                    if array >= 0:
                        at.append(filled)
                        base.append(array)
                        value += offset - start
                words[filled] = value
                filled += 1
        self._words, self._at, self._base = words, np.array(at, np.int64), np.array(base, np.int64)
        self._jobs, self._is_shared = jobs, any(len(own) > 1 for own in pieces)

    @classmethod
    def of(cls, function: Callable[..., None], shapes: Mapping[str, Shaped]) -> "Program":
        """Return the works that a function runs when it is called with arrays, by name, of these shapes.

        The function must do nothing else with them: what it computed in NumPy would not be done again.

        Examples
        --------
        >>> from bptt.kernels.ops.products import matmul
        >>> shapes = {"A": ((2, 3), "f8"), "B": ((3, 4), "f8"), "out": ((2, 4), "f8")}
        >>> program = Program.of(matmul, shapes)
        >>> A, B, out = np.ones((2, 3)), np.ones((3, 4)), np.empty((2, 4))
        >>> program.run([address(A), address(B), address(out)])
        >>> out[0]
        array([3., 3., 3., 3.])
        """
        arrays = {name: _stand_in(shape, dtype) for name, (shape, dtype) in shapes.items()}
        tape = Tape()
        with recording.on(tape):
            function(**arrays)
        return cls(tape, arrays)

    def run(self, addresses: Sequence[int]) -> None:
        """Run the works over the arrays that begin at these addresses, in the order of `names`."""
        words, room = self._words.copy(), memory.scratch(self._room)
        at = address(words)
        bases = np.array((at, address(room), *addresses), np.int64)
        words[self._at] += bases[self._base]
        pool.play(at, self._jobs, is_shared=self._is_shared)


def _stand_in(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array of addresses of its own, also where it has no numbers."""
    dtype = np.dtype(dtype)
    return np.ndarray(shape, dtype, apart(int(np.prod(shape)) * dtype.itemsize))


def _placed(arrays: Mapping[str, Array], tape: Tape) -> tuple[list[tuple[int, int, int, int]], int]:
    """Return where each array begins and ends, its base and its offset from that; and the room's bytes.

    Base 0 is the words themselves, 1 the room, then the arrays in their order; -1 is where it is.
    """
    places, room = [], 0
    for array in tape.scratch:
        at = array.ctypes.data
        places.append((at, at + max(array.nbytes, 1), 1, room))
        room += array.nbytes + -array.nbytes % LINE
    for k, array in enumerate(arrays.values()):
        at = array.ctypes.data
        places.append((at, at + max(array.nbytes, 1), k + 2, 0))
    if min((at for at, *_ in places), default=FIRST_ADDRESS) < FIRST_ADDRESS:
        raise BpttError("the system gave out pages at an address that could be a size")
    for array in tape.constants:
        at = array.ctypes.data
        places.append((at, at + max(array.nbytes, 1), -1, 0))
    return sorted(places), room
