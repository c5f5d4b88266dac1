"""What training asks of data: batches from a supply whose place can be saved and found again."""

from typing import Any, Protocol

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
