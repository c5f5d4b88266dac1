"""Sequences of unlike lengths: kept end to end, read in batches of like lengths, padded and masked.

T time steps, N rows of a batch, M sequences, S steps of all of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bptt.data.batches import expect_place
from bptt.errors import DataError, ShapeError
from bptt.types import Array, Batch

POOL = 50
"""Batches that are sorted by length together: rows of a batch are alike, and still meet others each epoch."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """M sequences, end to end.

    Attributes
    ----------
    inputs : (S,) integer tokens, or (S, D) real features
    lengths : (M,) integers
        Steps of each sequence, at least one.
    targets : (S, ...) or (M, ...)
        One for each step, or one for each sequence.
    features : (M, F) or None
        What each sequence starts from.
    mask : (S,) bool or None
        The steps whose target counts, where not all do.
    given : dict of (S,) or (S, H), or None
        What the cell reads at each step beside its input.

    Raises
    ------
    ShapeError
        If the arrays do not fit.

    Examples
    --------
    >>> two = Sequences(np.arange(5), np.array([2, 3]), np.arange(5) + 1)
    >>> batch = two.batch(np.array([1, 0]))
    >>> batch.inputs.T
    array([[2, 3, 4],
           [0, 1, 0]])
    >>> batch.mask.T
    array([[ True,  True,  True],
           [ True,  True, False]])
    """

    inputs: Array
    lengths: Array
    targets: Array
    features: Array | None = None
    mask: Array | None = None
    given: Mapping[str, Array] | None = None

    def __post_init__(self) -> None:
        S, M = len(self.inputs), len(self.lengths)
        if self.lengths.ndim != 1 or self.lengths.sum() != S or (M and self.lengths.min() < 1):
            raise ShapeError(f"lengths must be (M,), each at least 1, {S} in all; got {self.lengths!r:.100}")
        if len(self.targets) not in (S, M) or (self.features is not None and len(self.features) != M):
            raise ShapeError("sequences: a target for each step or sequence, features for each sequence")

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def starts(self) -> Array:
        """Where each sequence begins, (M,)."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def is_stepwise(self) -> bool:
        """Whether each step has its target, rather than each sequence."""
        return len(self.targets) == len(self.inputs)

    def batch(self, which: Array, start: int = 0, most: int | None = None) -> Batch:
        """Return some sequences as a batch, the rest of each row padded with zeros and masked.

        Targets are (T, N, ...), or (1, N, ...) where a sequence has one. Of long sequences a part: `most`
        steps from `start` on; what goes on has no features, for its states are carried. Where lengths
        differ, T is one of few numbers: what is laid out for one batch then does for others.
        """
        lengths = self.lengths[which]
        longest = int(lengths.max())
        stop = longest if lengths.min() == longest else start + rounded(longest - start)
        stop = stop if most is None else min(stop, start + most)
        t = np.arange(start, stop)[:, None]
        mask = t < lengths
        at = np.where(mask, self.starts[which] + t, 0)
        inputs = _held(self.inputs[at], mask)
        targets = _held(self.targets[at], mask) if self.is_stepwise else self.targets[which][None]
        counted = None if self.mask is None else self.mask[at] & mask
        if not self.is_stepwise:  # the loss is of sequences, and each counts
            counted = np.ones((1, len(which)), bool)
        features = None if self.features is None or start else self.features[which]
        given = {name: _held(array[at], mask) for name, array in (self.given or {}).items()}
        return Batch(inputs, targets, mask, counted, features=features, given=given or None, carry=start > 0)

    def take(self, which: Array) -> "Sequences":
        """Return some of the sequences."""
        which = np.asarray(which)
        steps = np.concatenate([np.arange(0), *map(np.arange, self.starts[which], self._ends[which])])
        targets = self.targets[steps if self.is_stepwise else which]
        return replace(
            self,
            inputs=self.inputs[steps],
            lengths=self.lengths[which],
            targets=targets,
            features=None if self.features is None else self.features[which],
            mask=None if self.mask is None else self.mask[steps],
            given=None if self.given is None else {n: a[steps] for n, a in self.given.items()},
        )

    @property
    def _ends(self) -> Array:
        return np.cumsum(self.lengths)

    def alike(self, most: int) -> Iterator[Array]:
        """Yield which sequences to read together, the shortest first.

        Their steps, with those that fill up the shorter ones, are `most` at most, unless it is a single one.
        """
        order, start = np.argsort(self.lengths, kind="stable"), 0
        lengths = self.lengths[order].tolist()
        while start < len(order):
            end = start + 1
            while end < len(order) and (end + 1 - start) * lengths[end] <= most:
                end += 1
            yield order[start:end]
            start = end


def rounded(T: int) -> int:
    """Return a length of which eight lie between a power of two and the next, at least so long.

    Examples
    --------
    >>> [rounded(T) for T in (7, 15, 17, 33, 100, 1000)]
    [7, 15, 18, 36, 104, 1024]
    """
    step = 1 << max(0, T.bit_length() - 4)
    return T + -T % step


def _held(values: Array, mask: Array) -> Array:
    """Return values (T, N, ...) with zeros where the mask is False."""
    return np.where(mask.reshape(mask.shape + (1,) * (values.ndim - 2)), values, values.dtype.type(0))


def some(sequences: Sequences, most: int | None, seed: int) -> Sequences:
    """Return so many of the sequences, drawn by seed, that they have at most `most` steps; at least one.

    Examples
    --------
    >>> three = Sequences(np.arange(6), np.array([2, 2, 2]), np.arange(6))
    >>> len(some(three, 4, seed=0)), some(three, 6, seed=0) is three
    (2, True)
    """
    if most is None or sequences.lengths.sum() <= most:
        return sequences
    order = np.random.default_rng([seed, 3]).permutation(len(sequences))
    count = int((np.cumsum(sequences.lengths[order]) <= most).sum())
    return sequences.take(np.sort(order[: max(1, count)]))


def few_parts(count: int, parts: int) -> DataError:
    """Return the error of sequences that are fewer than the parts that they are to be cut into."""
    return DataError(f"{count:,} sequences cannot be cut into {parts:,} parts: give a smaller --fold K/N")


def split(count: int, part: tuple[int, int] | None = None) -> tuple[Array, Array]:
    """Return which of `count` sequences to train on and which to validate on: the same at any seed.

    A tenth, or one part of so many.

    Examples
    --------
    >>> train, valid = split(20)
    >>> len(train), len(valid), sorted({*train.tolist(), *valid.tolist()}) == list(range(20))
    (18, 2, True)
    """
    if count < 2:
        raise DataError(f"{count} sequences cannot be split: give two or more, or --valid PATH")
    order = np.random.default_rng(np.random.SeedSequence(1997, spawn_key=(2,))).permutation(count)
    if part is None:
        held = order[: max(1, round(0.1 * count))]
    elif count < part[1]:
        raise few_parts(count, part[1])
    else:
        held = order[part[0] - 1 :: part[1]]
    return np.setdiff1d(order, held), np.sort(held)


class SequenceBatches:
    """Sequences in batches: in each epoch all of them once, in another order, those of like length together.

    Parameters
    ----------
    sequences : Sequences
    batch : int
        N, the sequences of a batch.
    seed : int
        Of the orders.
    chunk : int, optional
        The most steps of a batch: longer sequences go on in the next one, with their states carried.
    most : int, optional
        The most steps times rows of a batch, with what fills them up, unless it is of one sequence.

    Attributes
    ----------
    batches_per_epoch : int
        Of the first epoch; other orders cut longer sequences in other places.

    Examples
    --------
    >>> two = Sequences(np.arange(5), np.array([2, 3]), np.arange(5) + 1)
    >>> source = SequenceBatches(two, batch=2, seed=0, chunk=2)
    >>> first, rest = source.next(), source.next()
    >>> first.inputs.shape, first.carry, rest.inputs.shape, rest.carry
    ((2, 2), False, (1, 2), True)
    """

    def __init__(
        self,
        sequences: Sequences,
        batch: int,
        seed: int,
        *,
        chunk: int | None = None,
        most: int | None = None,
    ) -> None:
        self._sequences, self._rows, self._seed, self._chunk = sequences, batch, seed, chunk
        self._most = most
        self._shape = {"sequences": len(sequences), "batch": batch, "chunk": chunk or 0}
        self._epoch, self._done = 0, 0
        self._order = self._drawn(0)
        self.batches_per_epoch = len(self._order)

    def _drawn(self, epoch: int) -> list[tuple[Array, int]]:
        """Return an epoch's batches: which sequences, and the step that it begins at."""
        rng = np.random.default_rng([self._seed, 3, epoch])
        order, rows = rng.permutation(len(self._sequences)), self._rows
        lengths = self._sequences.lengths
        found: list[Array] = []
        for start in range(0, len(order), POOL * rows):
            pool = order[start : start + POOL * rows]
            found += self._cut(pool[np.argsort(lengths[pool], kind="stable")])
        cut = [(found[k], self._steps(lengths[found[k]].max())) for k in rng.permutation(len(found))]
        return [(which, start) for which, starts in cut for start in starts]

    def _cut(self, pool: Array) -> Iterator[Array]:
        """Yield sequences, which are sorted by length, in batches."""
        lengths, start = self._sequences.lengths[pool].tolist(), 0
        while start < len(pool):
            end = min(start + self._rows, len(pool))
            while self._most and end - start > 1 and (end - start) * lengths[end - 1] > self._most:
                end -= 1
            yield pool[start:end]
            start = end

    def _steps(self, longest: int) -> range:
        return range(0, longest, self._chunk or max(1, longest))

    def next(self) -> Batch:
        """Return the next batch."""
        if self._done == len(self._order):
            self._epoch, self._done = self._epoch + 1, 0
            self._order = self._drawn(self._epoch)
        which, start = self._order[self._done]
        self._done += 1
        return self._sequences.batch(which, start, self._chunk)

    def state(self) -> dict[str, Any]:
        """Return the place reached, as JSON values."""
        return {"epoch": self._epoch, "done": self._done, **self._shape}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` returned; DataError if it is none in these sequences."""
        expect_place(state, self.state(), self._shape, "sequences")
        self._epoch, self._done = state["epoch"], state["done"]
        self._order = self._drawn(self._epoch)
        if self._done > len(self._order):
            raise DataError(f"sequences: an epoch has {len(self._order)} batches, not {self._done}")
