"""Works laid out once and then run again and again over other arrays, as one call of machine code.

What Python does around works (how they are cut, which words each piece has, what is packed where) depends on
sizes alone. `Program.of` therefore lays it out once: it calls the very function that runs the works, with
arrays that stand for those to come, and keeps each work with its words instead of running it. A word that was
an address within one of these arrays, or within room that the function asked for, is an offset from then on.
A run puts the addresses of the arrays at hand in their places.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bptt.kernels.llvm.jit import address, quick_address
from bptt.kernels.runtime import memory, pool
from bptt.kernels.runtime.serving import JOB
from bptt.kernels.runtime.tape import Room, Tape, UnplannedError, recording
from bptt.types import Array

Shaped = tuple[tuple[int, ...], Any]
"""An array's shape and dtype."""

LINE = 64
"""Bytes of a line of the caches: room begins at one."""

SMALL = 1 << 20
"""Bytes below which results share a block: it takes longer to ask for one than to fill it."""

FIRST_ADDRESS = 1 << 32
"""Below this a word is a size, or the address of what stays where it is."""


class _Place(NamedTuple):
    """Where an array lies while a program is laid out, and how its addresses are found later."""

    start: int
    stop: int
    base: (
        int  # 0 words, 1 room, then what is given, then what lies from before, then what is made; -1 as it is
    )
    offset: int


class _Made(NamedTuple):
    """An array that a run makes: in which block, where, and of which form."""

    block: int
    offset: int
    shape: tuple[int, ...]
    dtype: Any
    strides: tuple[int, ...]


class Program:
    """Works in their order.

    Attributes
    ----------
    names : tuple of str
        Of the arrays whose addresses `run` takes, in that order.
    """

    def __init__(
        self,
        tape: Tape,
        arrays: Mapping[str, Array],
        results: Mapping[str, Array],
        before: "Program | None",
        *,
        keeps: bool,
        stays: bool,
    ) -> None:
        self.names = tuple(arrays)
        self._constants, self._pages = tuple(tape.constants), tape.pages if keeps else []
        made, self._results, self._blocks, self._starts = _made(tape, results)
        if stays:  # what it finds lies in the room, where something else lay before
            found, made = made, []
        if keeps:  # what is held still when the function is over
            kept = [room for room in tape.rooms if room.last is None and room not in made]
            ends = np.cumsum([0, *(room.size + -room.size % LINE for room in kept)]).tolist()
            self._starts += [(len(self._blocks), end) for end in ends[:-1]]
            self._blocks.append(ends[-1])
            made += kept
        places, self._room = _packed([room for room in tape.rooms if room not in made])
        if stays:
            lie = {place.start: place.offset for place in places}
            self._starts, self._blocks = [], []
            self._results = {name: _within(a, found, lie) for name, a in results.items()}
        self.regions = [(a.ctypes.data, max(a.nbytes, 1)) for a in arrays.values()]
        of_before = [] if before is None else before.regions
        of_made = [(room.start, room.size) for room in made]
        for k, (at, size) in enumerate([*self.regions, *of_before, *of_made]):
            places.append(_Place(at, at + size, 2 + k, 0))
        self.regions += of_made
        if min((place.start for place in places), default=FIRST_ADDRESS) < FIRST_ADDRESS:
            raise UnplannedError("the system gave out pages at an address that could be a size")
        for array in tape.constants:
            at = array.ctypes.data
            places.append(_Place(at, at + max(array.nbytes, 1), -1, 0))
        places.sort()
        starts_of = [place.start for place in places]
        jobs, pieces = len(tape.works), [words for _, words in tape.works]
        size = sum(words.size for words in pieces)
        words = np.zeros(JOB * jobs + size, np.int64)
        at_words, base = [], []  # which words are addresses, and in which array
        filled = JOB * jobs
        for k, (work, own) in enumerate(tape.works):
            words[JOB * k : JOB * (k + 1)] = work.address, filled * 8, own.strides[0], len(own), 0
            at_words.append(JOB * k + 1)
            base.append(0)
            for value in own.ravel().tolist():
                if value >= FIRST_ADDRESS:
                    place = places[bisect_right(starts_of, value) - 1]
                    if not place.start <= value < place.stop:
                        raise UnplannedError("a work reads an array that its program does not know")
                    if place.base >= 0:
                        at_words.append(filled)
                        base.append(place.base)
                        value += place.offset - place.start
                words[filled] = value
                filled += 1
        self._words, self._at, self._base = words, np.array(at_words, np.int64), np.array(base, np.int64)
        self._jobs, self._is_shared = jobs, any(len(own) > 1 for own in pieces)
        self._marks = tuple(tape.marks)

    @classmethod
    def of(
        cls,
        function: Callable[..., Mapping[str, Array] | None],
        shapes: Mapping[str, Shaped],
        *,
        before: "Program | None" = None,
        keeps: bool = False,
        stays: bool = False,
    ) -> "Program":
        """Return the works that a function runs when it is called with arrays, by name, of these shapes.

        What it returns are arrays by name, in room that it asked for: each run makes them anew. It must do
        nothing else with arrays: what it computed in NumPy would not be done again.

        Parameters
        ----------
        function : callable
        shapes : dict of (shape, dtype)
        before : Program, optional
            Whose arrays the function reads, too: a backward those of its forward.
        keeps : bool
            Whether there is to be one after it, that reads what the function has left somewhere.
        stays : bool
            Whether it is to be bound to arrays, and what it finds lies where it lay before.

        Raises
        ------
        UnplannedError
            If it does.

        Examples
        --------
        >>> from bptt.kernels.ops.products import matmul
        >>> program = Program.of(lambda A, B: {"C": matmul(A, B)}, {"A": ((2, 3), "f8"), "B": ((3, 4), "f8")})
        >>> A, B = np.ones((2, 3)), np.ones((3, 4))
        >>> program.run([A, B])["C"][0]
        array([3., 3., 3., 3.])
        """
        tape = Tape()
        arrays = {name: tape.stand_in(shape, dtype) for name, (shape, dtype) in shapes.items()}
        with recording.on(tape):
            results = function(**arrays)
        return cls(tape, arrays, results or {}, before, keeps=keeps, stays=stays)

    def run(self, arrays: Sequence[Array], past: "Past | None" = None) -> dict[str, Array]:
        """Run the works over arrays in the order of `names`.

        Returns
        -------
        dict of arrays
            What the function returned.
        """
        given = [*map(quick_address, arrays)]
        return self._named(self.run_at(given if past is None else given + past.addresses))

    def begin(self, arrays: Sequence[Array]) -> tuple[dict[str, Array], "Past"]:
        """Return what `run` returns, and what a program after this one reads."""
        given = [*map(quick_address, arrays)]
        blocks = self.run_at(given)
        lie = [address(block) for block in blocks]
        addresses = [*given, *(lie[k] + offset for k, offset in self._starts)]
        return self._named(blocks), Past(addresses, (arrays, blocks))

    def run_at(self, given: Sequence[int]) -> list[Array]:
        """Run the works over arrays that begin at these addresses; return what holds what they made."""
        blocks = [memory.empty(size, np.uint8) for size in self._blocks]
        words = self._patched(quick_address(memory.scratch(self._room)), given, blocks)
        pool.play(quick_address(words), 0, self._jobs, is_shared=self._is_shared)
        return blocks

    def bind(self, arrays: Sequence[Array]) -> "Bound":
        """Return a program that `stays` over arrays that stay where they are."""
        return Bound(self, arrays)

    def _patched(self, room: int, given: Sequence[int], blocks: Sequence[Array]) -> Array:
        """Return the words with addresses in their places."""
        words = self._words.copy()
        lie = [*map(address, blocks)]
        made = [lie[k] + offset for k, offset in self._starts] if blocks else ()
        bases = np.array((quick_address(words), room, *given, *made), np.int64)
        words[self._at] += bases[self._base]
        return words

    def _named(self, blocks: Sequence[Array]) -> dict[str, Array]:
        """Return the results, which lie in these blocks."""
        return {
            name: np.ndarray(shape, dtype, blocks[block], offset, strides)
            for name, (block, offset, shape, dtype, strides) in self._results.items()
        }


class Past(NamedTuple):
    """What a run leaves: where its arrays lie, and what holds them."""

    addresses: list[int]
    holds: tuple[Any, ...]


class Bound:
    """A program over some arrays: a run is one native call, and what it finds lies where it lay before.

    Of several threads one at a time may run it.

    Attributes
    ----------
    results : dict of arrays
        What the last run found.
    size : int
        Bytes of its own room.
    """

    def __init__(self, program: Program, arrays: Sequence[Array]) -> None:
        self.size = program._room
        room = memory.lasting(self.size)
        given = [address(array) for array in arrays]
        self._words = program._patched(address(room), given, [])
        self._holds = program, tuple(arrays), room
        self._at, self._jobs, self._is_shared = address(self._words), program._jobs, program._is_shared
        self._marks = program._marks
        self.results = program._named([room])

    def run(self, done: Callable[[tuple[str, ...]], None] | None = None) -> None:
        """Run the works; between them say what the tape has a mark for, where somebody listens."""
        first = 0
        if done is not None:
            for stop, names in self._marks:
                pool.play(self._at, first, stop, is_shared=self._is_shared)
                done(names)
                first = stop
        pool.play(self._at, first, self._jobs, is_shared=self._is_shared)


def _made(
    tape: Tape, results: Mapping[str, Array]
) -> tuple[list[Room], dict[str, _Made], list[int], list[tuple[int, int]]]:
    """Return the rooms of results; each result; the blocks' bytes; where each room is in them."""
    rooms: list[Room] = []
    found: dict[str, _Made] = {}
    blocks, starts = [0] * bool(results), []
    for name, array in results.items():
        at = array.ctypes.data
        own = [room for room in tape.rooms if room.start <= at < room.start + room.size]
        if not own:
            raise UnplannedError(f"{name} is not in room of the program's own")
        if own[0] not in rooms:
            rooms.append(own[0])
            size = own[0].size + -own[0].size % LINE
            if size < SMALL:
                starts.append((0, blocks[0]))
                blocks[0] += size
            else:
                starts.append((len(blocks), 0))
                blocks.append(own[0].size)
        block, offset = starts[rooms.index(own[0])]
        found[name] = _Made(block, offset + at - own[0].start, array.shape, array.dtype, array.strides)
    return rooms, found, blocks, starts


def _within(array: Array, rooms: Sequence[Room], lie: Mapping[int, int]) -> _Made:
    """Return a result that lies in one of these rooms, which lie where it is said in the program's."""
    at = array.ctypes.data
    (room,) = [room for room in rooms if room.start <= at < room.start + room.size]
    return _Made(0, lie[room.start] + at - room.start, array.shape, array.dtype, array.strides)


def _packed(rooms: Sequence[Room]) -> tuple[list[_Place], int]:
    """Return a place for each room, and how much there must be: what is not held at once may share one."""
    places: list[_Place] = []
    taken: list[tuple[int, int, float, float]] = []  # start, stop, and from when to when it is held
    for room in sorted(rooms, key=lambda room: -room.size):  # the largest first, each as low as can be
        first, last = room.first, np.inf if room.last is None else room.last
        start, size = 0, room.size + -room.size % LINE
        for left, right in sorted(part[:2] for part in taken if part[2] < last and first < part[3]):
            if left - start >= size:
                break
            start = max(start, right)
        taken.append((start, start + size, first, last))
        places.append(_Place(room.start, room.start + room.size, 1, start))
    return places, max((stop for _, stop, *_ in taken), default=0)
