"""Sums over rows: the gradient at a bias, and at the rows that tokens choose.

Each is one pass over the gradients at the pre-activations; columns are shared out over the threads, and each
column's sum runs in the order of the rows.
"""

from collections.abc import Callable

import numpy as np

from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import host
from bptt.kernels.llvm.loops import count_loop, i64, over_vectors
from bptt.kernels.llvm.vector import Value, Vector
from bptt.kernels.ops import rows
from bptt.kernels.runtime import pool
from bptt.layer import threads
from bptt.types import Array

AT_ONCE = 4
"""Vectors of columns summed at once: several sums hide the time that each addition takes."""

AHEAD = 3
"""Rows that are asked for before their turn: parts of rows are too short for the processor to foresee."""

SMALL = 1 << 16
"""Numbers for which one thread is enough."""


def scatter_add(tokens: Array, values: Array, count: int) -> Array:
    """Return, for each of `count` rows, the sum of the values that belong to it.

    Parameters
    ----------
    tokens : integers of any shape, M of them in all
    values : (M, K)
        float32 or float64; the numbers of a row are neighbours.
    count : int

    Returns
    -------
    (count, K)

    Examples
    --------
    >>> scatter_add(np.array([2, 0, 2]), np.array([[1.0], [5.0], [10.0]]), 3)
    array([[ 5.],
           [ 0.],
           [11.]])
    """
    to = np.ascontiguousarray(tokens, np.int64)
    out = rows.zeros((count, values.shape[1]), values.dtype)
    _share(_scatter, jit.address(to), values, out)
    return out


def column_sums(values: Array, out: Array | None = None) -> Array:
    """Return the sum of the rows of (M, K), (K,), added to what is in `out` where that is given.

    Examples
    --------
    >>> column_sums(np.arange(6.0).reshape(3, 2))
    array([6., 9.])
    """
    out = rows.zeros(values.shape[1], values.dtype) if out is None else out
    _share(_sums, None, values, out)
    return out


def _share(emit: Callable[..., None], tokens: int | None, values: Array, out: Array) -> None:
    M, K = values.shape
    if values.size == 0:
        return
    size = values.itemsize
    if values.strides[1] != size:
        values = np.ascontiguousarray(values)
    pieces = min(threads.count(), K // host().lanes(values.dtype)) if M * K > SMALL else 1
    source, to, ld = jit.address(values), jit.address(out), values.strides[0] // size
    words = [
        (tokens or 0, source + cut.start * size, to + cut.start * size, M, K, cut.stop - cut.start, ld)
        for cut in threads.cuts(K, pieces)
    ]
    pool.run(pool.work_of(emit, 3, 4, values.dtype.char, host()), np.array(words, np.int64))


def _scatter(v: Vector, arrays: list[Value], sizes: list[Value]) -> None:
    b, (tokens, values, out), (M, K, columns, ld) = v.builder, arrays, sizes
    with count_loop(b, M) as r:
        row = b.load(b.gep(tokens, [r], source_etype=i64), typ=i64)
        to, value = v.at(out, b.mul(row, K)), v.at(values, b.mul(r, ld))

        def some(c: Value, mask: Value | None) -> None:
            v.prefetch(v.at(value, b.add(c, b.mul(ld, i64(AHEAD)))), to_write=False)
            total = v.add(v.load(v.at(to, c), mask), v.load(v.at(value, c), mask))
            v.store(total, v.at(to, c), mask)

        over_vectors(v, columns, some)


def _sums(v: Vector, arrays: list[Value], sizes: list[Value]) -> None:
    b, (_, values, out), (M, _, columns, ld) = v.builder, arrays, sizes
    with count_loop(b, columns, AT_ONCE * v.lanes) as c:
        masks = [v.tail(b.sub(columns, b.add(c, i64(k * v.lanes)))) for k in range(AT_ONCE)]
        before = [v.load(v.at(out, b.add(c, i64(k * v.lanes))), mask) for k, mask in enumerate(masks)]
        first, loop, done = b.block, b.append_basic_block("rows"), b.append_basic_block("summed")
        b.branch(loop)
        b.position_at_end(loop)
        r = b.phi(i64)
        r.add_incoming(i64(0), first)
        totals = [b.phi(v.type) for _ in masks]
        row = v.at(values, b.add(b.mul(r, ld), c))
        summed = [
            v.add(total, v.load(v.at(row, k * v.lanes), mask))
            for k, (total, mask) in enumerate(zip(totals, masks, strict=True))
        ]
        for total, start, new in zip(totals, before, summed, strict=True):
            total.add_incoming(start, first)
            total.add_incoming(new, loop)
        after = b.add(r, i64(1))
        r.add_incoming(after, loop)
        b.cbranch(b.icmp_signed("<", after, M), loop, done)
        b.position_at_end(done)
        for k, (new, mask) in enumerate(zip(summed, masks, strict=True)):
            v.store(new, v.at(out, b.add(c, i64(k * v.lanes))), mask)
