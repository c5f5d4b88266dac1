"""How the values of a column become numbers; learnt from the training rows, and kept with the run."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from bptt.errors import DataError
from bptt.types import Array

FARTHEST = 1e30
"""Of how many deviations a number may be off the mean: what is computed of more is no number."""


class Category(Struct, tag="category", frozen=True, forbid_unknown_fields=True):
    """Names, of which a value is one.

    Examples
    --------
    >>> colours = Category.of(["red", "blue", "red"])
    >>> colours.values, colours.encode(["blue", "red"], "colour").tolist()
    (['blue', 'red'], [0, 1])
    >>> colours.one_hot(["red"], "colour").tolist()
    [[0.0, 1.0]]
    """

    values: list[str]

    @classmethod
    def of(cls, values: Sequence[str]) -> "Category":
        """Return the names among some values, sorted."""
        return cls(sorted(set(values)))

    def encode(self, values: Sequence[str], name: str) -> Array:
        """Return each value's place among the names, (M,) int32; DataError for one that is none of them."""
        known = {value: k for k, value in enumerate(self.values)}
        if (odd := next((value for value in values if value not in known), None)) is not None:
            few = ", ".join(self.values[:5]) + (", ..." if len(self.values) > 5 else "")
            raise DataError(
                f"{name}: {odd!r:.60} is none of the {len(self.values)} that the run knows ({few})"
            )
        return np.array([known[value] for value in values], np.int32)

    def one_hot(self, values: Sequence[str], name: str) -> Array:
        """Return rows of zeros with a one at each value's place, (M, K) float32."""
        rows: Array = np.eye(len(self.values), dtype=np.float32)[self.encode(values, name)]
        return rows


class Number(Struct, tag="number", frozen=True, forbid_unknown_fields=True):
    """A number, of which the mean is taken and which is divided by the scale.

    Examples
    --------
    >>> Number.of(np.array([1.0, 3.0])).encode(np.array([5.0])).tolist()
    [3.0]
    """

    mean: float
    scale: Annotated[float, Meta(gt=0)]

    @classmethod
    def of(cls, values: Array) -> "Number":
        """Return the mean and the standard deviation of some values; 1 where that is zero."""
        return cls(float(np.mean(values)), float(np.std(values)) or 1.0)

    def encode(self, values: Array, name: str = "a number") -> Array:
        """Return the values as they are learnt, float32; DataError for one too far from those."""
        with np.errstate(over="ignore"):
            coded: Array = (values - self.mean) / self.scale
        if not (near := abs(coded) <= FARTHEST).all():
            raise DataError(
                f"{name}: {values[~near].flat[0]:g} is too far from the numbers that were learnt, of which "
                f"the mean is {self.mean:g} and the deviation {self.scale:g}"
            )
        return coded.astype(np.float32)

    def decode(self, coded: Array) -> Array:
        """Return the values as they stand in the table."""
        values: Array = np.asarray(coded, np.float64) * self.scale + self.mean
        return values

    @property
    def decimals(self) -> int:
        """How many tell as much as is learnt: however large the mean, six digits of the scale."""
        return max(0, 5 - math.floor(math.log10(self.scale)))


class Numbers(Struct, tag="numbers", frozen=True, forbid_unknown_fields=True):
    """Several numbers, each with a mean and a scale of its own.

    Examples
    --------
    >>> both = Numbers.of(np.array([[1.0, 10.0], [3.0, 50.0]]), ["x", "y"])
    >>> both.encode(np.array([[3.0, 10.0]])).tolist(), both.decode(np.array([[1.0, -1.0]])).tolist()
    ([[1.0, -1.0]], [[3.0, 10.0]])
    """

    each: dict[str, Number]

    @classmethod
    def of(cls, values: Array, names: Sequence[str]) -> "Numbers":
        """Return the scales of the columns of (M, K) values."""
        return cls({name: Number.of(values[:, k]) for k, name in enumerate(names)})

    def encode(self, values: Array) -> Array:
        """Return the values as they are learnt, (M, K) float32; DataError for one too far from those."""
        columns = zip(self.each.items(), values.T, strict=True)
        return np.stack([number.encode(own, name) for (name, number), own in columns], axis=1)

    def decode(self, coded: Array) -> Array:
        """Return the values as they stand in the table, (M, K)."""
        return np.stack([n.decode(own) for n, own in zip(self.each.values(), coded.T, strict=True)], axis=1)
