"""What sequences start from: columns of a table, as one row of numbers for each sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bptt.data.tables import Category, Number
from bptt.data.tables.numbers import as_number, no_number
from bptt.errors import DataError
from bptt.types import Array

MOST_VALUES = 1000
"""The most names that a column of categories may have: each takes a row of the model's weights."""

MOSTLY = 0.9
"""A column of which more are numbers is meant to hold numbers, and what is none there is a fault."""


@dataclass(frozen=True)
class Conditions:
    """How columns become numbers: those of numbers by their mean and scale, others a place for each name.

    Parameters
    ----------
    codings : dict
        A `Category` or a `Number` for each column, by its name.

    Examples
    --------
    >>> columns = {"language": ["it", "fr", "it"], "year": ["1990", "2000", "2010"]}
    >>> conditions = Conditions.of(columns, columns)
    >>> conditions.size, conditions.features({"language": ["fr"], "year": ["2000"]}).tolist()
    (3, [[1.0, 0.0, 0.0]])
    """

    codings: dict[str, Category | Number]

    @classmethod
    def of(
        cls, train: Mapping[str, Sequence[str]], every: Mapping[str, Sequence[str]], name: str = "condition"
    ) -> "Conditions":
        """Learn the coding: scales of the rows to train on, names of all.

        Raises
        ------
        DataError
            A value among numbers is none, or there are too many names.
        """
        return cls(
            {column: _coding(train[column], values, f"{name}: {column}") for column, values in every.items()}
        )

    @property
    def size(self) -> int:
        """F, how many numbers a sequence starts from."""
        return sum(len(c.values) if isinstance(c, Category) else 1 for c in self.codings.values())

    def features(self, columns: Mapping[str, Sequence[str]]) -> Array:
        """Return what sequences start from, (M, F) float32.

        Parameters
        ----------
        columns : dict of M str
            The values by the column's name.

        Raises
        ------
        DataError
            A column is missing or is none of these, a name is not known, or a number is none.
        """
        if odd := next((name for name in columns if name not in self.codings), None):
            own = ", ".join(self.codings) or "no column (--condition)"
            raise DataError(f"{odd}: the model starts from {own}, not from this")
        parts = []
        for name, coding in self.codings.items():
            if name not in columns:
                few = f"one of {_few(coding.values)}" if isinstance(coding, Category) else "a number"
                raise DataError(f"the model starts from {name}, which is missing: give {name}=..., {few}")
            values = columns[name]
            if isinstance(coding, Category):
                parts.append(coding.one_hot(values, name))
            else:
                parts.append(coding.encode(_numbers(values, name), name)[:, None])
        found: Array = np.concatenate(parts, axis=1)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the codings as JSON values."""
        coded: dict[str, Any] = msgspec.to_builtins(self.codings)
        return coded

    @classmethod
    def from_json(cls, facts: Mapping[str, Any] | None) -> "Conditions":
        """Return what `to_json` gave."""
        return cls(msgspec.convert(facts or {}, dict[str, Category | Number]))


def _coding(train: Sequence[str], values: Sequence[str], name: str) -> Category | Number:
    are = [_is_number(value) for value in values]
    if all(are):
        return Number.of(_numbers(train, name))
    if sum(are) > MOSTLY * len(are):
        odd = next(value for value, is_one in zip(values, are, strict=True) if not is_one)
        raise DataError(f"{name}: {no_number(odd)}, as {sum(are):,} of the {len(are):,} values are")
    known = Category.of(values)
    if len(known.values) > MOST_VALUES:
        raise DataError(
            f"{name}: {len(known.values):,} different values; a sequence starts from a number, or from "
            f"one of {MOST_VALUES:,} names at most"
        )
    return known


def _is_number(value: str) -> bool:
    return bool(np.isfinite(as_number(value)))


def _numbers(values: Sequence[str], name: str) -> Array:
    if (odd := next((value for value in values if not _is_number(value)), None)) is not None:
        raise DataError(f"{name}: {no_number(odd)}")
    return np.array([float(value) for value in values])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
