"""What training asks of data: batches from a supply whose place can be saved and found again."""

from collections.abc import Mapping
from typing import Any, Protocol

from bptt.errors import DataError
from bptt.types import Batch


class Batches(Protocol):
    """An endless supply of batches that can be left and taken up again at the same place."""

    @property
    def batches_per_epoch(self) -> int:
        """Batches in one pass over the data; where they are generated without end, so many count as one."""
        ...

    def next(self) -> Batch:
        """Return the next batch."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the place reached, as JSON values."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` returned."""
        ...


def is_count(value: object, bits: int = 63) -> bool:
    """Return whether a value that a file held is a whole number of so many bits, and no bool."""
    return type(value) is int and 0 <= value < 1 << bits


def expect_place(state: object, wanted: Mapping[str, Any], fixed: Mapping[str, int], name: str) -> None:
    """Raise a DataError unless a saved state has the wanted keys, each a count, and the fixed values."""
    if not isinstance(state, dict) or state.keys() != wanted.keys() or not all(map(is_count, state.values())):
        raise DataError(f"{name}: not a place among them, which has {', '.join(wanted)}, each a count")
    for key, here in fixed.items():
        if state[key] != here:
            raise DataError(f"{name}: the place saved has {key} {state[key]}, here it is {here}")
