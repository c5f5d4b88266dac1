"""For tests of products: matrices of whole numbers, laid in any way, and small blocks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bptt.kernels.ops import pieces, products
from bptt.kernels.ops.products import matmul
from bptt.layer import threads as number_of_threads
from bptt.types import Array


def whole_numbers(rng: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return small whole numbers: their products and sums have no rounding, so that every bit is checked."""
    return np.asarray(rng.integers(-8, 9, shape), dtype)


def laid(a: Array, how: str) -> Array:
    """Return the same numbers, differently in memory."""
    if how == "columns":
        return np.asfortranarray(a)
    if how == "part":
        room = np.full((a.shape[0] + 2, a.shape[1] + 3), 99, a.dtype)
        room[1:-1, 2:-1] = a
        return room[1:-1, 2:-1]
    if how == "every second":
        room = np.full((2 * a.shape[0], 3 * a.shape[1]), 99, a.dtype)
        room[::2, ::3] = a
        return room[::2, ::3]
    if how == "backwards":
        return np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]
    return a


def product(A: Array, B: Array, add: bool, bfloat16: bool = False) -> None:
    """Check the product into a part of a larger array, of which nothing else is touched."""
    M, N = A.shape[0], B.shape[1]
    rng = np.random.default_rng(1)
    room = whole_numbers(rng, (M + 2, N + 5), A.dtype)
    want = room.copy()
    want[1:-1, 2:-3] = A @ B + add * room[1:-1, 2:-3]
    out = room[1:-1, 2:-3]
    assert matmul(A, B, out, add=add, bfloat16=bfloat16) is out
    np.testing.assert_array_equal(room, want)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make blocks and pieces small, so that products of some thousand numbers have many of them."""
    cached = products.parts_of, products._cut
    with monkeypatch.context() as patch:
        patch.setattr(products, "PIECE", 1 << 11)
        for name, value in {"DEPTH": 24, "HEIGHT": 17, "NEAR": 1 << 12}.items():
            patch.setattr(pieces, name, value)
        patch.setattr(number_of_threads, "count", lambda: 3)
        for function in cached:
            function.cache_clear()
        yield
    for function in cached:
        function.cache_clear()
