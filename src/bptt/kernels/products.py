"""Whole products of two arrays: packed in blocks, and cut over the pool of threads."""

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from bptt.errors import ShapeError
from bptt.kernels import jit, memory
from bptt.kernels.bfloat16 import Gemm16
from bptt.kernels.gemm import Gemm, shape
from bptt.kernels.host import Host, host
from bptt.kernels.loops import i64, integer, pointer
from bptt.threads import MOST_PIECES, for_pieces
from bptt.types import Array

PIECE = 1 << 25
"""Multiply-adds in a piece of a product, about: what is less is not worth a second thread."""

PACKED = 1 << 21
"""Numbers of B that are packed at a time, at most."""

DEPTH, HEIGHT = 672, 480
"""Most k and most rows of A that are multiplied at a time."""

NEAR = 1 << 19
"""Bytes of packed B that stay in a core's second cache."""


def matmul(
    A: Array, B: Array, out: Array | None = None, *, add: bool = False, bfloat16: bool = False
) -> Array:
    """Return the product of `A` (M, K) and `B` (K, N), on the pool of threads.

    The same bits for any number of threads. A transposed operand is given as a view, ``A.T``: its numbers
    are not moved.

    Parameters
    ----------
    A : (M, K)
        float32 or float64.
    B : (K, N)
        Of the same dtype.
    out : (M, N), optional
        Where the product is to be; the numbers of a row are neighbours.
    add : bool
        Whether the product is added to what is in `out`.
    bfloat16 : bool
        Whether the numbers of `A` and `B`, which are float32, are rounded to bfloat16; sums are float32.

    Raises
    ------
    ShapeError
        If shapes or dtypes do not fit.
    ConfigError
        If the processor has no products of bfloat16.

    Examples
    --------
    >>> import numpy as np
    >>> A, B = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)
    >>> matmul(A, B.T)
    array([[  5.,  14.,  23.,  32.],
           [ 14.,  50.,  86., 122.]])
    """
    if out is None:
        out, add = memory.empty((A.shape[0], B.shape[-1]), A.dtype), False
    _check(A, B, out)
    if bfloat16 and A.dtype != np.float32:
        raise ShapeError(f"matmul: A and B must be float32 to be rounded to bfloat16, got {A.dtype}")
    (M, K), N = A.shape, B.shape[1]
    if K == 0 and not add:
        out[...] = 0
    if 0 in (M, K, N):
        return out
    if 0 in A.strides:
        A = A.copy()  # a row stride of 0 means something else
    if bfloat16 and A.itemsize not in A.strides:
        A = A.copy()  # neighbours make the pairs
    parts = parts_of("bfloat16" if bfloat16 else A.dtype.char, host())
    if parts.is_small(M, N, K):
        parts.whole(A, B, out, add)
        return out
    width = parts.width
    depth = K if K * min(N, 2048) <= PACKED else min(K, 1024)
    columns = max(1, PACKED // (depth * width)) * width
    packed = _scratch("B", depth * min(columns, N + width), A.dtype)
    for n in range(0, N, columns):
        for k in range(0, K, depth):
            parts.pack_B(B[k : k + depth, n : n + columns], packed)
            parts.multiply(A[:, k : k + depth], packed, out[:, n : n + columns], add or k > 0)
    return out


def _check(A: Array, B: Array, out: Array) -> None:
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[0]:
        raise ShapeError(f"matmul: A must be (M, K) and B (K, N), got {A.shape} and {B.shape}")
    if A.dtype.char not in "fd" or not A.dtype == B.dtype == out.dtype:
        given = f"{A.dtype}, {B.dtype} and {out.dtype}"
        raise ShapeError(f"matmul: A, B and out must be all float32 or all float64, got {given}")
    if out.shape != (A.shape[0], B.shape[1]):
        raise ShapeError(f"matmul: out must be (M, N) = {(A.shape[0], B.shape[1])}, got {out.shape}")
    if out.size and out.shape[1] > 1 and out.strides[1] != out.itemsize:
        raise ShapeError("matmul: the numbers of a row of out must be neighbours; give an array of its own")


_own = threading.local()


def _scratch(name: str, size: int, dtype: np.dtype[Any]) -> Array:
    """Return this thread's own array of that name, at least as large, made once."""
    key = name + dtype.char
    room: Array | None = getattr(_own, key, None)
    if room is None or room.size < size:
        room = memory.empty(size, dtype)
        setattr(_own, key, room)
    return room


def _strides(array: Array) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in array.strides)


class Packed:
    """A matrix B (K, N) made ready for products with it.

    Examples
    --------
    >>> B = Packed(np.arange(6.0).reshape(2, 3))
    >>> B.from_left(np.array([[1.0, 10.0]]))
    array([[30., 41., 52.]])
    """

    def __init__(self, B: Array) -> None:
        self._parts, self._shape = parts_of(B.dtype.char, host()), B.shape
        self._packed = self._parts.packed(B)

    def from_left(self, A: Array) -> Array:
        """Return A B for A (M, K)."""
        out = memory.empty((len(A), self._shape[1]), A.dtype)
        self._parts.multiply(A, self._packed, out, False)
        return out


class Parts:
    """The functions of :class:`Gemm`, to call from Python.

    Parameters
    ----------
    kind : str
        ``f``, ``d`` or ``bfloat16``.
    """

    def __init__(self, kind: str) -> None:
        library = jit.build(lambda: _module(kind), kind)
        pointer, n = ctypes.c_void_p, ctypes.c_int64
        self.kind = kind
        self.step = 2 if kind == "bfloat16" else 1  # numbers of A that are packed to one
        self.width = shape(host())[1] * host().lanes(np.float32 if kind == "bfloat16" else kind)
        self._pack = library.function("pack", pointer, n, n, n, n, pointer)
        self._pack_rows = library.function("pack_rows", pointer, n, n, n, pointer)
        self._block = library.function("block", pointer, n, n, n, pointer, n, n, pointer, n, n, n)
        self._whole = library.function("whole", *[pointer] * 3, *[n] * 9, *[pointer] * 2)
        if self.step == 2:
            self._narrow = library.function("narrow", pointer, n, n, n, pointer, n)

    def is_small(self, M: int, N: int, K: int) -> bool:
        """Return whether a product is one block, and less than is worth a second thread."""
        size = 8 if self.kind == "d" else 4
        return M * N * K < PIECE and M <= HEIGHT and K <= DEPTH and (N + self.width) * K * size <= NEAR

    def whole(self, A: Array, B: Array, out: Array, add: bool) -> None:
        """Make a small product, in one call."""
        (M, K), N = A.shape, B.shape[1]
        packed = _scratch("B", K * (N + self.width), A.dtype)
        block = _scratch("A", M * K, A.dtype)
        self._whole(
            *(jit.address(A), jit.address(B), jit.address(out), M, K, N, *_strides(A), *_strides(B)),
            *(_strides(out)[0], add, jit.address(packed), jit.address(block)),
        )

    def packed(self, B: Array) -> Array:
        """Return B's panels."""
        to = memory.empty(-(-len(B) // self.step) * -(-B.shape[1] // self.width) * self.width, B.dtype)
        self.pack_B(B, to)
        return to

    def pack_B(self, B: Array, to: Array) -> None:  # noqa: N802
        """Write B's panels, on the pool."""
        (K, N), size = B.shape, B.itemsize
        rows, columns = _strides(B)
        at, at_to = jit.address(B), jit.address(to)

        def panels(cut: slice) -> None:
            j = cut.start * self.width
            count = min(N, cut.stop * self.width) - j
            source, target = at + j * columns * size, at_to + j * -(-K // self.step) * size
            self._pack(source, rows, columns, K, count, target)

        pieces = min(MOST_PIECES, K * N >> 17)
        if pieces <= 1:  # without the machinery: it is longer than the work
            panels(slice(0, -(-N // self.width)))
        else:
            for_pieces(panels, -(-N // self.width), pieces)

    def multiply(self, A: Array, packed: Array, out: Array, add: bool) -> None:
        """Multiply by a packed B, on the pool."""
        (M, K), N, width = A.shape, out.shape[1], self.width
        panels = -(-N // width)
        pieces = max(1, min(MOST_PIECES, M * N * K // PIECE))
        by_columns = max(1, min(pieces, N // 512))
        by_rows = max(1, min(pieces // by_columns, M // 48))
        by_columns = max(1, min(pieces // by_rows, panels))
        work = self._blocks(A, packed, out, add)
        if by_rows * by_columns == 1:
            work(0, M, 0, N)
            return

        def piece(cut: slice) -> None:
            r, c = divmod(cut.start, by_columns)
            first, last = c * panels // by_columns * width, (c + 1) * panels // by_columns * width
            work(r * M // by_rows, (r + 1) * M // by_rows, first, min(N, last))

        for_pieces(piece, by_rows * by_columns, by_rows * by_columns)

    def _blocks(self, A: Array, packed: Array, out: Array, add: bool) -> Callable[[int, int, int, int], None]:
        """Return the function that makes a part of the product: these rows, these columns, from and to."""
        K, size, step = A.shape[1], A.itemsize, self.step
        rows, columns = _strides(A)
        ldc = _strides(out)[0]
        at_A, at_B, at_C = map(jit.address, (A, packed, out))
        is_across = rows == 1 and columns != 1  # Aᵀ: a tile's numbers for one k are neighbours
        depth = -(-K // step)

        def work(top: int, bottom: int, left: int, right: int) -> None:
            for q, q_end in _even(depth, DEPTH):
                k, k_end, deep = q * step, min(K, q_end * step), q_end - q
                width = max(1, NEAR // (size * self.width * deep)) * self.width
                B = at_B + q * self.width * size
                for m, m_end in _even(bottom - top, HEIGHT):
                    m, m_end = m + top, m_end + top
                    source, strides = at_A + (m * rows + k * columns) * size, (rows, columns)
                    if is_across or step == 2:
                        block = _scratch("A", (m_end - m) * deep, A.dtype).ctypes.data
                        if is_across:
                            self._pack_rows(source, columns, m_end - m, k_end - k, block)
                            strides = 0, 0
                        else:
                            self._narrow(source, rows, m_end - m, k_end - k, block, deep)
                            strides = deep, 1
                        source = block
                    C = at_C + m * ldc * size
                    for n in range(left, right, width):
                        self._block(
                            *(source, *strides, m_end - m),
                            *(B + n * depth * size, depth * self.width, deep),
                            *(C + n * size, ldc, min(width, right - n)),
                            add or k > 0,
                        )

        return work


def _even(n: int, most: int) -> list[tuple[int, int]]:
    """Return the borders of as few parts as can be, all about as large."""
    count = -(-n // most)
    return [(i * n // count, (i + 1) * n // count) for i in range(count)]


@cache
def parts_of(kind: str, _: Host) -> Parts:
    """Return the functions of a kind (see :class:`Parts`) for a processor."""
    return Parts(kind)


def _module(kind: str) -> Any:
    """Return a module with the functions of :class:`Gemm`, seen from outside."""
    module = ir.Module()
    parts = Gemm16(module) if kind == "bfloat16" else Gemm(module, kind)
    for name in ("pack", "pack_rows", "block") + ("narrow",) * (kind == "bfloat16"):
        inner = getattr(parts, name)
        outer = ir.Function(module, inner.ftype, name)
        b = ir.IRBuilder(outer.append_basic_block())
        b.call(inner, outer.args)
        b.ret_void()
    _whole(module, parts)
    return module


def _whole(module: Any, parts: Gemm) -> None:
    """Emit ``whole(A, B, C, M, K, N, A's strides, B's strides, C's row stride, add, packed B, packed A)``."""
    kind = ir.FunctionType(ir.VoidType(), [pointer] * 3 + [i64] * 9 + [pointer] * 2)
    function = ir.Function(module, kind, "whole")
    A, B, C, M, K, N, rows, columns, brs, bcs, ldc, add, packed, block = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    b.call(parts.pack, [B, brs, bcs, K, N, packed])
    deep, one, zero = K, integer(1), integer(0)
    if isinstance(parts, Gemm16):
        deep = b.sdiv(b.add(K, one), integer(2))
    panel = b.mul(deep, integer(parts.width))
    is_across = b.and_(b.icmp_signed("==", rows, one), b.icmp_signed("!=", columns, one))
    with b.if_else(is_across) as (across, along):
        with across:
            b.call(parts.pack_rows, [A, columns, M, K, block])
            b.call(parts.block, [block, zero, zero, M, packed, panel, deep, C, ldc, N, add])
        with along:
            source = [A, rows, columns]
            if isinstance(parts, Gemm16):
                b.call(parts.narrow, [A, rows, M, K, block, deep])
                source = [block, deep, one]
            b.call(parts.block, [*source, M, packed, panel, deep, C, ldc, N, add])
    b.ret_void()
