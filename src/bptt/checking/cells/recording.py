"""What one execution recorded: each expression's values in a row, to be found again by value.

All values of an expression, evaluation after evaluation, are one vector: so an initial state of zeros is no
accident. Vectors of one length are a group, in which a cell's equations are looked for. What several gates
have side by side is cut in pieces of one gate's shape, in values and parameters alike.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from bptt.derive import FUNCTIONS as NAMES
from bptt.derive.functions import in_numpy
from bptt.types import Array

FUNCTIONS = {name: in_numpy(name) for name in NAMES} | {"where": lambda u, v, w: np.where(u > 0, v, w)}
TOLERANCE = 1e-10
LARGEST = 400  # vectors in a group: of more, the first are looked at


class Recorded(NamedTuple):
    """An expression's text and line, one value of floating-point numbers, and the how manieth it is."""

    text: str
    line: int
    value: Array
    step: int


@dataclass(eq=False)
class Series:
    """The values of expressions: blocks by evaluation, one alone if all are the same, as a parameter's are.

    What a value is made of comes before it by `place`. In a group, `wholes` are the recorded series of which
    this is a piece, and where it starts in them.
    """

    blocks: tuple[Array, ...]
    place: int
    texts: list[tuple[str, int]] = field(default_factory=list)
    wholes: list[tuple["Series", int]] = field(default_factory=list)

    @cached_property
    def flat(self) -> Array:
        """All values, as one vector."""
        return np.concatenate([b.ravel() for b in self.blocks])

    def holds(self, part: "Series") -> bool:
        """Return whether each value has the other's in it, among more or alone."""
        pairs = zip(self.blocks[::-1], part.blocks[::-1], strict=False)
        return len(self.blocks) == len(part.blocks) and all(np.isin(b, a).all() for a, b in pairs)

    def precedes(self, state: "Series") -> bool:
        """Return whether each value is an earlier one of a state, or of none, where it starts."""
        before, after = ([np.sort(b, axis=None).tobytes() for b in s.blocks] for s in (self, state))
        starts = [b for k, b in enumerate(self.blocks) if before[k] not in after[:k]]
        if any(np.isin(b[b != 0], state.flat).any() for b in starts):
            return False  # a mix of values, as a mask makes one; or a later one
        return len(starts) == 1 or 2 * len(starts) <= len(state.blocks)


class Group:
    """Pieces of one shape and number; `matrix` (V, L) has them as rows, `sampled` a few elements of each."""

    def __init__(self, recording: "Recording", size: int, count: int) -> None:
        own = [s for s in recording.series if (s.blocks[0].size, len(s.blocks)) == (size, count)]
        shape = Counter(s.blocks[0].shape for s in own).most_common(1)[0][0]
        found: dict[bytes, Series] = {}
        for s in recording.series:
            for start, blocks in [(0, s.blocks)] if s in own else _pieces(s, shape, count):
                flat = np.concatenate([b.ravel() for b in blocks]) + 0.0
                if np.ptp(flat):  # zeros, or one number, are no value of a cell
                    piece = found.setdefault(flat.tobytes(), Series(blocks, s.place))
                    piece.wholes.append((s, start))
                    piece.texts.extend(s.texts if blocks[0].size >= s.blocks[0].size else ())
        self.series = list(found.values())[:LARGEST]
        self.row = {s: k for k, s in enumerate(self.series)}
        self.matrix = np.array([s.flat for s in self.series]).reshape(-1, size * count)
        self.summands = cache(self._summands)
        rng = np.random.default_rng(0)
        self.sample = rng.permutation(size * count)[:8]
        self.sampled = self.matrix[:, self.sample]
        self._weights = rng.uniform(1, 2, len(self.sample))
        keys = self.sampled @ self._weights
        self._keys, self._order = np.sort(keys), np.argsort(keys)

    def find(self, vectors: Array) -> Array:
        """Return which row each vector (..., K) is, -1 if none, by its elements `sample` alone."""
        key, near = (v @ self._weights for v in (vectors, TOLERANCE * np.abs(vectors)))
        at = np.minimum(np.searchsorted(self._keys, key - near), len(self._keys) - 1)
        return np.where(np.abs(self._keys[at] - key) <= near, self._order[at], -1)

    def is_row(self, vector: Array, row: int) -> bool:
        """Return whether a vector is a row, up to rounding."""
        return row >= 0 and _near(vector, self.matrix[row])

    def _summands(self, series: Series) -> tuple[set[Series], set[Series]]:
        """Return all that a series is the sum of, sums of sums and itself too; and those that are no sums."""
        every, last, left = set[Series](), set[Series](), {series}
        while left:
            every.add(one := left.pop())
            k = self.row[one]
            rest = self.find(self.sampled[k] - self.sampled[:k])
            pairs = [[i, j] for i, j in enumerate(rest) if 0 <= j < k and j != i]
            terms = {self.series[t] for p in pairs if self.is_row(self.matrix[p].sum(0), k) for t in p}
            left |= terms - every
            last |= set() if terms else {one}
        return every, last


class Recording:
    """All series, no two of them alike, and the groups of those of one size."""

    def __init__(self, records: Iterable[Recorded]) -> None:
        values: dict[tuple[str, int], dict[tuple[int, bytes], Array]] = {}
        for text, line, value, step in records:
            if value.dtype.kind == "f" and value.size and np.isfinite(value).all():
                one = np.array(value, np.float64)
                # an expression that stands twice on a line has each value twice
                values.setdefault((text, line), {}).setdefault((step, one.tobytes()), one)
        found: dict[tuple[tuple[tuple[int, ...], bytes], ...], Series] = {}
        for place, (site, its) in enumerate(values.items()):
            keys = [(b.shape, b.tobytes()) for b in its.values()]
            key = tuple(keys[:1] if len({*keys}) == 1 else keys)
            found.setdefault(key, Series((*its.values(),)[: len(key)], place)).texts.append(site)
        self.series = list(found.values())
        sizes = Counter((s.blocks[0].size, len(s.blocks)) for s in self.series)
        self.groups = [Group(self, *key) for key, n in sizes.most_common() if key[0] > 1 and n > 1]
        self.product = cache(self._product)

    def given(self, piece: Series) -> bool:
        """Return whether a piece is of what was known before the first step, as a bias or an input is."""
        before = (s for s in self.series if len(s.blocks) == 1 and s.place <= piece.place)
        return any(np.isin(piece.flat, s.flat).all() for s in before)

    def _product(self, piece: Series) -> tuple[Series, int, Series, bool] | None:
        """Return of which product a piece is: the matrix, the start in it, the factor, and whether M @ z."""
        matrices = [s for s in self.series if len(s.blocks) == 1 and s.blocks[0].ndim == 2]
        for of, start in piece.wholes:
            for z in (z for z in self.series if len(z.blocks) == len(of.blocks)):
                for m, left in product(matrices, (True, False)):
                    pairs = list(zip(z.blocks, of.blocks, strict=True))[::-1]
                    if all(_near(_times(m.blocks[0], a, left), b) for a, b in pairs):
                        return m, start, z, left
        return None


def _near(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() <= 10 * TOLERANCE * np.abs(b).max())


def _times(m: Array, z: Array, left: bool) -> Array:
    a, b = (m, z) if left else (z, m)
    return a @ b if 0 < z.ndim < 3 and a.shape[-1] == b.shape[0] else np.empty(0)


def _pieces(s: Series, shape: tuple[int, ...], count: int) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Yield what of a series has a shape, or of a parameter once it is broadcast, and where it starts."""
    first = s.blocks[0]
    axes = first.ndim if len(s.blocks) in (1, count) and first.ndim <= len(shape) else 0
    for axis, size in enumerate(first.shape[:axes]):
        width = shape[axis - first.ndim]
        for start in range(0, size, width) if width > 1 and size in range(width, 9 * width, width) else ():
            cut = [b.take(range(start, start + width), axis) for b in s.blocks]
            if all(n in (1, m) for n, m in zip(cut[0].shape[::-1], shape[::-1], strict=False)):
                yield start, tuple(np.broadcast_to(b, shape) for b in cut * (count // len(cut)))
