"""What training asks of data: batches, and a source whose place can be saved and found again."""

from dataclasses import dataclass
from typing import Any, Protocol

from bptt.types import Array


@dataclass(frozen=True)
class Batch:
    """One training step's data, time-major.

    Attributes
    ----------
    inputs : (T, N) integer tokens, or (T, N, D) real features
    targets : (T, N) integer tokens, or (T, N, K) real values
    mask : (T, N) bool or None
        Steps that exist; where False the states are held. None: all of them.
    target_mask : (T, N) bool or None
        Steps whose target counts in the loss. None: those of `mask`.
    carry : bool
        Whether each row goes on where the same row of the previous batch ended, so that its final
        states are this batch's initial states.
    """

    inputs: Array
    targets: Array
    mask: Array | None = None
    target_mask: Array | None = None
    carry: bool = False


class Source(Protocol):
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
