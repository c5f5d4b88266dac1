"""Long lists of cases: a run takes some of each, all with ``BPTT_TESTS=every`` in the environment."""

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

EVERY = os.environ.get("BPTT_TESTS") == "every"


def count(few: int, every: int) -> int:
    """Return how many to draw of what can be drawn without end."""
    return every if EVERY else few


def some(cases: Iterable[T], count: int, first: int = 0) -> list[T]:
    """Return so many of the cases, evenly from the whole list, the same in each run."""
    listed = list(cases)
    if EVERY or len(listed) <= count:
        return listed
    return [listed[(k * len(listed) // count + first) % len(listed)] for k in range(count)]
