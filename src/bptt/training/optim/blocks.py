"""Arrays a block at a time, so that what is done to them finds them in the cache."""

from collections.abc import Iterator

from bptt.types import Array

BLOCK = 1 << 14
"""Elements of a block."""


def blocks(*arrays: Array) -> Iterator[list[Array]]:
    """Yield the same `BLOCK` elements of each array at a time; whole arrays if one has gaps."""
    if not all(array.flags.c_contiguous for array in arrays):
        yield list(arrays)
        return
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, BLOCK):
        yield [array[start : start + BLOCK] for array in flat]
