"""Whole products of two arrays, cut over the pool of threads.

C = A B is cut into pieces of rows and columns (:mod:`.pieces`). A piece packs what it reads into room of its
thread's own, so that it is used while it is near; what several pieces read is packed before them.
"""

from collections.abc import Callable
from functools import cache, lru_cache, partial
from itertools import product

import numpy as np
from llvmlite import ir

from bptt.errors import ShapeError
from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.tiles import gemm_for
from bptt.kernels.ops import pieces, rows
from bptt.kernels.runtime import memory, pool
from bptt.layer import threads
from bptt.types import Array

PIECE = 1 << 21
"""Multiply-adds in a piece of a product, at least: what is less is not worth a second thread."""


TURN = 40
"""Multiply-adds that take as long as to put a number where it is in the transposed matrix, about."""

FEW = 12
"""Rows by which a matrix may be multiplied as it lies: more would read it several times."""


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
        Where the product is to be; the numbers of a row are neighbours, or those of a column.
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
    if out is not None and out.shape == (len(A), *B.shape[1:]) and _is_across(out):
        return matmul(B.T, A.T, out.T, add=add, bfloat16=bfloat16).T
    _check(A, B, out)
    if out is None:
        out, add = memory.empty((A.shape[0], B.shape[1]), A.dtype), False
    elif np.may_share_memory(out, A) or np.may_share_memory(out, B):
        found = matmul(A, B, bfloat16=bfloat16)
        out[...] = found + out if add else found
        return out
    if bfloat16 and A.dtype != np.float32:
        raise ShapeError(f"matmul: A and B must be float32 to be rounded to bfloat16, got {A.dtype}")
    (M, K), N = A.shape, B.shape[1]
    if K == 0 and not add:
        rows.zero(out)
    if 0 in (M, K, N):
        return out
    parts = parts_of("bfloat16" if bfloat16 else A.dtype.char, host())
    A, B = readable(A), readable(B)
    lanes, step = parts.lanes, A.itemsize
    if _is_across(A) and B.strides[1] == step and M * K * (-N % lanes) > N * (K * (-M % lanes) + TURN * M):
        # Cᵀ = Bᵀ Aᵀ: few columns waste less as a tile's rows than as part of a vector; it is turned back
        turned = memory.empty((N, M), A.dtype)
        parts.multiply(B.T, A.T, turned)()
        return rows.add(turned.T, out, out) if add else rows.copy(turned.T, out)
    parts.multiply(A, B, out, add=add)()
    return out


def _check(A: Array, B: Array, out: Array | None) -> None:
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[0]:
        raise ShapeError(f"matmul: A must be (M, K) and B (K, N), got {A.shape} and {B.shape}")
    dtypes = [array.dtype for array in (A, B, out) if array is not None]
    if not (A.dtype.char in "fd" and A.dtype.isnative and all(dtype == A.dtype for dtype in dtypes)):
        given = ", ".join(map(str, dtypes))
        raise ShapeError(f"matmul: A, B and out must be all float32 or all float64, got {given}")
    if out is None:
        return
    if out.shape != (A.shape[0], B.shape[1]):
        raise ShapeError(f"matmul: out must be (M, N) = {(A.shape[0], B.shape[1])}, got {out.shape}")
    if not out.flags.writeable:
        raise ShapeError("matmul: out is read-only; give an array of its own")
    if out.size and ((out.shape[1] > 1 and out.strides[1] != out.itemsize) or out.strides[0] % out.itemsize):
        raise ShapeError("matmul: the numbers of a row of out must be neighbours; give an array of its own")


def _strides(array: Array) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in array.strides)


def readable(A: Array) -> Array:
    """Return a matrix, or a copy where its numbers are neighbours neither in rows nor in columns."""
    size = A.itemsize
    is_readable = size in A.strides and all(stride and stride % size == 0 for stride in A.strides)
    return A if is_readable else A.copy()


def _is_across(A: Array) -> bool:
    """Return whether A is a transposed view: a tile's numbers for one k are neighbours."""
    return A.strides[0] == A.itemsize != A.strides[1]


class Packed:
    """A matrix B (K, N) made ready for products with it.

    Examples
    --------
    >>> A, out = np.array([[1.0, 10.0]]), np.empty((1, 3))
    >>> Packed(np.arange(6.0).reshape(2, 3)).prepared(A, out)()
    >>> out
    array([[30., 41., 52.]])
    """

    def __init__(self, B: Array, *, bfloat16: bool = False) -> None:
        self._parts, self._B = parts_of("bfloat16" if bfloat16 else B.dtype.char, host()), readable(B)
        self._packed = self._parts.packed(self._B)

    def prepared(self, A: Array, out: Array) -> Callable[[], None]:
        """Return a function that writes A B to `out`, of what is in A whenever it is called.

        The numbers of a row of A are neighbours. Of two threads only one may call it at a time.
        """
        _check(A, self._B, out)
        if readable(A) is not A:
            raise ShapeError("prepared: the numbers of a row of A must be neighbours")
        return self._parts.multiply(A, self._B, out, packed_B=self._packed)


class Parts:
    """The functions of :class:`Gemm` for ``f``, ``d`` or ``bfloat16``, to call from Python."""

    def __init__(self, kind: str, target: Host) -> None:
        sizes = pieces.DEPTH, pieces.HEIGHT, pieces.NEAR
        library = jit.build(lambda: pieces.module(kind, target), kind, *sizes, target=target)
        self._gemm = gemm = gemm_for(kind, target)(ir.Module(), kind, target)
        self.lanes = target.lanes(gemm.dtype)
        names = "multiply", "pack_A", "pack_B"
        self._multiply, self._pack_A, self._pack_B = (pool.Work.of(library, name) for name in names)

    def lies(self, B: Array) -> bool:
        """Return whether B can be read as its rows lie."""
        return self._gemm.step == 1 and B.strides[1] == B.itemsize

    def packed(self, B: Array) -> Array:
        """Return B's panels, packed on the pool."""
        (K, N), width = B.shape, self._gemm.width
        depth, panels = self._gemm.depth(K), -(-N // width)
        to = memory.empty(depth * panels * width, B.dtype)
        count = max(1, min(panels, 2 * threads.count(), K * N >> 16))
        rows, columns = _strides(B)
        at, at_to, size = jit.address(B), jit.address(to), B.itemsize
        words = []
        for first, last in _borders(panels, count):
            j, end = first * width, min(N, last * width)
            words.append((at + j * columns * size, rows, columns, K, end - j, at_to + j * depth * size))
        pool.run(self._pack_B, np.array(words, np.int64))
        return to

    def _packed_rows(self, A: Array) -> Array:
        """Return the tiles of an A that is across, by blocks of k and of rows."""
        (M, K), size, step = A.shape, A.itemsize, self._gemm.step
        depth, stride = self._gemm.depth(K), A.strides[1] // size
        to = memory.empty((M + self._gemm.beyond) * depth, A.dtype)
        at, at_to = jit.address(A), jit.address(to)
        words = []
        for q, q_end in self._deep(depth):
            k, k_end = q * step, min(K, q_end * step)
            for m, m_end in _even(M, pieces.HEIGHT):
                place = at_to + (q * M + m * (q_end - q)) * size
                words.append((at + (k * stride + m) * size, stride, m_end - m, k_end - k, place))
        pool.run(self._pack_A, np.array(words, np.int64))
        return to

    def _deep(self, depth: int) -> list[tuple[int, int]]:
        """Return the borders of blocks of k, as a piece has them."""
        group = self._gemm.group
        return [(q * group, end * group) for q, end in _even(depth // group, max(1, pieces.DEPTH // group))]

    def multiply(
        self, A: Array, B: Array, out: Array, *, add: bool = False, packed_B: Array | None = None
    ) -> Callable[[], None]:
        """Return a function that writes A B to `out`, or adds it; `packed_B` is B's panels, if at hand."""
        (M, K), N, size, gemm = A.shape, B.shape[1], A.itemsize, self._gemm
        depth, is_across = gemm.depth(K), _is_across(A)
        by_rows, by_columns = _cut(M, N, K, gemm.MR, gemm.width, threads.count(), is_across)
        packed_A = self._packed_rows(A) if is_across and by_columns > 1 else None
        if by_rows > 1 and packed_B is None:
            packed_B = self.packed(B)
        lies = packed_B is None and M <= FEW and self.lies(B)
        packs_A = packed_A is None and (is_across or gemm.step > 1)
        deepest = max(end - q for q, end in self._deep(depth))
        room_A = (min(M, pieces.HEIGHT) + gemm.beyond) * deepest * size if packs_A else 0
        room_A += -room_A % 4096
        room_B = 0 if lies or packed_B is not None else max(pieces.NEAR, gemm.width * deepest * size)
        (A_row, A_column), (B_row, B_column) = _strides(A), _strides(B)
        given = {
            "A": jit.address(A), "A rows": A_row, "A columns": A_column, "M": M, "K": K,
            "packed A": 0 if packed_A is None else jit.address(packed_A),
            "B": jit.address(B), "B rows": B_row, "B columns": B_column, "lies": lies,
            "packed B": 0 if packed_B is None else jit.address(packed_B),
            "C": jit.address(out), "C rows": out.strides[0] // size, "add": add,
            "room A": room_A, "rooms": room_A + room_B,
        }  # fmt: skip
        words, panels = pieces.FIELDS.words(given, by_rows * by_columns), -(-N // gemm.width)
        borders = product(_borders(M, by_rows), _borders(panels, by_columns))
        for piece, ((top, bottom), (left, right)) in zip(words, borders, strict=True):
            piece[:4] = top, bottom, left * gemm.width, min(N, right * gemm.width)
        return partial(_run, self._multiply, words, room_A + room_B, (A, B, out, packed_A, packed_B))


def _run(work: pool.Work, words: Array, rooms: int, _: object) -> None:
    """Multiply, in room of the calling thread's; the last argument is what the words are addresses of."""
    if rooms:
        room = memory.scratch(rooms * threads.count())
        words[:, pieces.FIELDS.places["room"]] = jit.address(room)
    pool.run(work, words)


@lru_cache(1024)
def _cut(M: int, N: int, K: int, height: int, width: int, count: int, is_across: bool) -> tuple[int, int]:
    """Return into how many pieces rows and columns are cut, so that threads have done soonest.

    No number depends on it. An A that is across is packed once, and so cut one way only.
    """
    most, tiles, panels = min(2 * count, M * N * K // PIECE), -(-M // height), -(-N // width)
    best = (tiles * panels, 0, 1, 1)
    is_near = 4 * K * N <= pieces.NEAR  # then rows rather than columns, else the other way: B is read once
    for by_columns in range(1, min(most, panels) + 1) if count > 1 else ():
        by_rows = max(1, min(most // by_columns, M // height))
        if is_across and by_columns > 1:
            by_rows = 1
        busy = [0] * count
        for left, right in _borders(panels, by_columns):
            for top, bottom in _borders(M, by_rows):
                busy[busy.index(min(busy))] += (right - left) * -(-(bottom - top) // height)
        best = min(best, (max(busy), -by_rows if is_near else by_rows, by_rows, by_columns))
    return best[2:]


def _borders(n: int, count: int) -> list[tuple[int, int]]:
    """Return the borders of `count` parts, all about as large."""
    return [(cut.start, cut.stop) for cut in threads.cuts(n, count)]


def _even(n: int, most: int) -> list[tuple[int, int]]:
    """Return the borders of as few parts as can be, all about as large."""
    return _borders(n, -(-n // most))


parts_of = cache(Parts)
"""The functions of a kind for a processor, made once."""
