"""Which rows a kernel's arrays have, and in which order its loop takes them.

A kernel's arrays have one row for each step of each sequence, (R, ·). Where all sequences are as long as the
batch, that is (T, N) as it lies. Where they end early, what does not exist is left out: the sequences are
sorted by their length, so that those that still run at step k are always the first of them, and step k's rows
follow those of step k - 1. The arithmetic done is then that of the steps that exist.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from bptt.kernels.runtime import memory
from bptt.layer import threads
from bptt.types import Array

WORTH = 0.95
"""Leaving out is worth its copies where at most this part of the steps exists."""

FEW = 1 << 25
"""Multiply-adds of all steps: with no more, none are left out, so that a program does for any lengths."""


@dataclass(frozen=True)
class Rows:
    """All T steps of all N sequences, as they lie.

    Attributes
    ----------
    reverse : bool
        Whether the loop runs from T-1 to 0.
    present, reset : (T, N) bool, or None
        Flags of steps that exist, and of those before which states become zeros, in the loop's order.
    """

    T: int
    N: int
    reverse: bool
    present: Array | None
    reset: Array | None

    @property
    def total(self) -> int:
        """How many rows there are."""
        return self.T * self.N

    def starts(self, cut: slice) -> tuple[Array, Array]:
        """Return each step's first row and number of rows, for a cut's sequences, in the loop's order."""
        return _starts(self.T, self.N, self.reverse, cut.start, cut.stop)

    def cuts(self, pieces: int) -> list[slice]:
        """Return the sequences in pieces of equal work."""
        return threads.cuts(self.N, pieces)

    def enter(self, array: Array) -> Array:
        """Return (T, N, ...) as rows (R, ...)."""
        return array.reshape(self.total, *array.shape[2:])

    def leave(self, rows: Array) -> Array:
        """Return rows (R, ...) as (T, N, ...), with zeros where there are none."""
        return rows.reshape(self.T, self.N, *rows.shape[1:])

    def sort(self, states: Array) -> Array:
        """Return (N, H) in the loop's order of sequences."""
        return states

    def unsort(self, states: Array) -> Array:
        """Return (N, H) from the loop's order."""
        return states


@lru_cache
def _starts(T: int, N: int, reverse: bool, first: int, last: int) -> tuple[Array, Array]:
    steps = np.arange(T, dtype=np.int64)[:: -1 if reverse else 1]
    return steps * N + first, np.full(T, last - first, np.int64)


@dataclass(frozen=True)
class Packed(Rows):
    """Sequences by their length, the longest first, each step's rows after those of the step before."""

    running: Array  # how many run at each step

    @property
    def total(self) -> int:
        """How many rows there are."""
        return int(self.running.sum())

    def starts(self, cut: slice) -> tuple[Array, Array]:
        first = np.concatenate([[0], np.cumsum(self.running)[:-1]]) + cut.start
        counts = np.clip(self.running - cut.start, 0, cut.stop - cut.start)
        way = slice(None, None, -1 if self.reverse else 1)
        return np.array(first[way], np.int64), np.array(counts[way], np.int64)

    def cuts(self, pieces: int) -> list[slice]:
        lengths = (np.arange(self.N)[:, None] < self.running[None, :]).sum(1)
        done = np.concatenate([[0], np.cumsum(lengths)])
        pieces = max(1, min(pieces, self.N))
        ends = [int(np.searchsorted(done, done[-1] * k / pieces)) for k in range(1, pieces)]
        edges = [0, *ends, self.N]
        return [slice(a, b) for a, b in pairwise(edges) if b > a]

    def enter(self, array: Array) -> Array:
        return array

    def leave(self, rows: Array) -> Array:
        return rows


@dataclass(frozen=True)
class Ragged(Packed):
    """Sequences that end early, of a batch in which they lie otherwise."""

    order: Array  # the sequences, longest first
    at: Array  # each row's place among the (T·N) steps

    def enter(self, array: Array) -> Array:
        return memory.take(array.reshape(self.T * self.N, *array.shape[2:]), self.at)

    def leave(self, rows: Array) -> Array:
        whole = memory.zeros((self.T * self.N, *rows.shape[1:]), rows.dtype)
        whole[self.at] = rows
        return whole.reshape(self.T, self.N, *rows.shape[1:])

    def sort(self, states: Array) -> Array:
        return np.ascontiguousarray(states[self.order])

    def unsort(self, states: Array) -> Array:
        unsorted = np.empty_like(states)
        unsorted[self.order] = states
        return unsorted


def rows_of(T: int, N: int, size: int, *, mask: Array | None, reset: Array | None, reverse: bool) -> Rows:
    """Return the rows of a batch, by its mask (True where a step exists), resets, and a layer's size."""
    if mask is not None and not is_small(T, N, size) and not mask.all():
        lengths = mask.sum(axis=0)
        ends_early = bool((mask == (np.arange(T)[:, None] < lengths)).all())
        no_late_reset = reset is None or not (reset & ~mask).any()
        if ends_early and no_late_reset and mask.mean() <= WORTH:
            return _ragged(T, N, lengths, reset, reverse=reverse)
    crossed = _crossed(reset, reverse=reverse)
    return Rows(T, N, reverse, mask if mask is None else np.ascontiguousarray(mask), crossed)


def is_small(T: int, N: int, size: int) -> bool:
    """Return whether all steps are computed, for a layer whose matrices have so many numbers."""
    return T * N * size <= FEW


def _ragged(T: int, N: int, lengths: Array, reset: Array | None, *, reverse: bool) -> Ragged:
    order = np.argsort(-lengths, kind="stable")
    running = (lengths[None, :] > np.arange(T)[:, None]).sum(axis=1)
    steps = np.repeat(np.arange(T), running)
    sequences = order[np.concatenate([np.arange(n) for n in running])] if T else order[:0]
    crossed = _crossed(reset, reverse=reverse)
    at = steps * N + sequences
    flags = None if crossed is None else crossed.ravel()[at]
    return Ragged(T, N, reverse, None, flags, running, order, at)


def _crossed(reset: Array | None, *, reverse: bool) -> Array | None:
    """Return where the border that the loop crosses before a step is a reset."""
    if reset is None or not reverse:
        return None if reset is None else np.ascontiguousarray(reset)
    return np.ascontiguousarray(np.concatenate([reset[1:], np.zeros_like(reset[:1])]))
