"""The output matrix, the softmax cross-entropy and their gradients, some rows at a time.

::

    z = h V + b        ℓ = -log softmax(z)[target]        dz = w (softmax(z) - onehot(target))
    dh = dz Vᵀ         dV = Σ hᵀ dz                       db = Σ dz

and where the part ε of each target is spread over all K, ε (z[target] - mean z), the spread, is added to ℓ,
and ε w (onehot(target) - 1/K) to dz.

At most BLOCK logits are held at a time: a block's are made, turned into their gradient in place, and used for
dh, dV and db.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import host
from bptt.kernels.llvm.loops import count_loop, i32, i64, over_vectors
from bptt.kernels.llvm.vector import Vector
from bptt.kernels.ops import rows
from bptt.kernels.ops.products import matmul
from bptt.kernels.ops.sums import column_sums
from bptt.kernels.runtime import memory, pool
from bptt.layer import threads
from bptt.types import Array

FEW = 1 << 25
"""Multiply-adds of the logits: with no more, those of rows that do not count are computed, too."""

BLOCK = 1 << 23
"""Logits in a block: 32 MiB in float32. Fewer would read V and dV, which may be as large, more often."""


class Output(NamedTuple):
    """What comes of the rows' losses.

    Attributes
    ----------
    each : (M,)
        ℓ of every row, before weights; 0 where the weight is.
    dh : (M, H)
    dV : (H, K)
    db : (K,)
    spread : (M,)
        z[target] - mean z of every row, where labels are smoothed; else `each`.
    """

    each: Array
    dh: Array
    dV: Array
    db: Array
    spread: Array


def cross_entropy(
    h: Array,
    V: Array,
    b: Array | None,
    targets: Array,
    w: Array,
    *,
    bfloat16: bool = False,
    smoothing: float = 0.0,
) -> Output:
    """Return each row's cross-entropy, and the gradient of their weighted sum.

    Parameters
    ----------
    h : (M, H)
        float32 or float64.
    V : (H, K)
    b : (K,), optional
    targets : (M,) integers in 0 .. K-1
    w : (M,)
        What each row's loss counts; rows of weight 0 are left out where there is much to compute.
    bfloat16 : bool
        Whether the products' operands, which are float32, are rounded to bfloat16.
    smoothing : float
        ε.

    Examples
    --------
    >>> out = cross_entropy(np.zeros((1, 2)), np.ones((2, 4)), None, np.array([2]), np.ones(1))
    >>> round(float(out.each[0]), 4), out.db.tolist()
    (1.3863, [0.25, 0.25, -0.75, 0.25])
    """
    (M, H), K, dtype = h.shape, V.shape[1], h.dtype
    if M * H * K > FEW and not (counts := w != 0).all():
        if not counts.any():
            return Output(*(memory.zeros(shape, dtype) for shape in ((M,), (M, H), (H, K), (K,), (M,))))
        those = np.flatnonzero(counts)
        own = memory.take(h, those), V, b, targets[those], w[those]
        some = cross_entropy(*own, bfloat16=bfloat16, smoothing=smoothing)
        each, spread, dh = np.zeros(M, dtype), np.zeros(M, dtype), memory.zeros(h.shape, dtype)
        each[those], spread[those], dh[those] = some.each, some.spread, some.dh
        return some._replace(each=each, spread=spread, dh=dh)
    each, dh = memory.empty(M, dtype), memory.empty((M, H), dtype)
    dV, db = like(V), rows.zeros(K, dtype)
    spread = memory.empty(M, dtype) if smoothing else each
    blocks = _blocks(h, V, b, targets, w, each, spread, bfloat16=bfloat16, smoothing=smoothing)
    for k, (at, dz) in enumerate(blocks):
        column_sums(dz, db)
        matmul(dz, V.T, dh[at], bfloat16=bfloat16)
        matmul(h[at].T, dz, dV, add=k > 0, bfloat16=bfloat16)
    return Output(each, dh, dV, db, spread)


def like(V: Array) -> Array:
    """Return room for a gradient at V, which lies as V does, by its rows or by its columns."""
    if V.strides[0] == V.itemsize:
        return memory.empty(V.shape[::-1], V.dtype).T
    return memory.empty(V.shape, V.dtype)


def losses(h: Array, V: Array, b: Array | None, targets: Array, *, bfloat16: bool = False) -> Array:
    """Return each row's cross-entropy alone, (M,); parameters are those of `cross_entropy`.

    Examples
    --------
    >>> losses(np.zeros((1, 2)), np.ones((2, 4)), None, np.array([2])).round(4)
    array([1.3863])
    """
    each = memory.empty(len(h), h.dtype)
    for _ in _blocks(h, V, b, targets, np.ones(len(h)), each, each, bfloat16=bfloat16):
        pass
    return each


def _blocks(
    h: Array,
    V: Array,
    b: Array | None,
    targets: Array,
    w: Array,
    each: Array,
    spread: Array,
    *,
    bfloat16: bool,
    smoothing: float = 0.0,
) -> Iterator[tuple[slice, Array]]:
    """Write the losses of some rows at a time to `each`; yield which rows, and dz for them."""
    M, K, dtype = len(h), V.shape[1], h.dtype
    targets = np.ascontiguousarray(targets, np.int64)
    w = w if w.dtype == dtype and w.flags.c_contiguous else np.ascontiguousarray(w, dtype)
    bias = rows.zeros(K, dtype) if b is None else np.ascontiguousarray(b, dtype)
    blocks = -(-M // max(1, min(M, BLOCK // K)))
    logits = memory.empty((-(-M // blocks), K), dtype)
    for at in threads.cuts(M, blocks):
        z = logits[: at.stop - at.start]
        matmul(h[at], V, z, bfloat16=bfloat16)
        _softmax(z, bias, targets[at], w[at], each[at], spread[at], smoothing)
        yield at, z


def _softmax(
    z: Array, bias: Array, targets: Array, w: Array, each: Array, spread: Array, smoothing: float
) -> None:
    """Turn logits into their gradient, and write the losses of their rows, on the pool."""
    M, K = z.shape
    words = [
        (*map(jit.address, (z[at], bias, targets[at], w[at], each[at], spread[at])), at.stop - at.start, K)
        for at in threads.cuts(M, min(2 * threads.count(), M * K >> 13))
    ]
    work = pool.work_of(_softmax_rows, 6, 2, z.dtype.char, host(), smoothing)
    pool.run(work, np.array(words, np.int64), w)


def _softmax_rows(v: Vector, arrays: list[Any], sizes: list[Any], smoothing: float) -> None:
    b, (z, bias, targets, w, each, spread), (M, K) = v.builder, arrays, sizes
    lowest = float(np.finfo(v.dtype).min)

    def across(first: float, body: Any, join: Any) -> Any:
        """Run over a row's vectors, four sums at once, and return what `join` makes of them in one lane."""
        with b.goto_entry_block():
            totals = [b.alloca(v.type) for _ in range(4)]
        for total in totals:
            v.store(v.const(first), total)

        def some(c: Any, left: Any) -> None:
            for k, total in enumerate(totals):
                at, mask = b.add(c, i64(k * v.lanes)), None
                if left is not None:
                    mask = v.tail(b.sub(left, i64(k * v.lanes)))
                value = body(at, mask)
                value = value if mask is None else v.select(mask, value, v.const(first))
                v.store(join(v.load(total), value), total)

        over_vectors(v, K, some, vectors=4)
        one = join(join(v.load(totals[0]), v.load(totals[1])), join(v.load(totals[2]), v.load(totals[3])))
        width = v.lanes
        while width > 1:  # the upper half onto the lower
            width //= 2
            places = [k + width if k < width else k for k in range(v.lanes)]
            index = ir.Constant(ir.VectorType(i32, v.lanes), places)
            one = join(one, b.shuffle_vector(one, ir.Constant(v.type, ir.Undefined), index))
        return v.broadcast(b.extract_element(one, i64(0)))

    def counted(r: Any, row: Any, weight: Any) -> None:
        target_at = v.at(row, b.load(b.gep(targets, [r], source_etype=i64), typ=i64))

        def biased(at: Any, mask: Any) -> Any:
            value = v.add(v.load(v.at(row, at), mask), v.load(v.at(bias, at), mask))
            v.store(value, v.at(row, at), mask)
            return value

        top = across(lowest, biased, v.max)
        shifted = b.fsub(b.load(target_at, typ=v.scalar), b.extract_element(top, i64(0)))

        if smoothing:
            below = across(0.0, lambda at, mask: v.sub(v.load(v.at(row, at), mask), top), v.add)
            mean = b.fdiv(b.extract_element(below, i64(0)), b.sitofp(K, v.scalar))
            b.store(b.fsub(shifted, mean), v.at(spread, r))

        def exponential(at: Any, mask: Any) -> Any:
            value = v.exp(v.sub(v.load(v.at(row, at), mask), top))
            v.store(value, v.at(row, at), mask)
            return value

        total = across(0.0, exponential, v.add)
        b.store(b.fsub(b.extract_element(v.log(total), i64(0)), shifted), v.at(each, r))
        factor = v.div(v.broadcast(weight), total)

        spreads = b.fmul(weight, v.scalar(smoothing))
        less = v.broadcast(b.fdiv(spreads, b.sitofp(K, v.scalar)))

        def scaled(at: Any, mask: Any) -> None:
            value = v.mul(v.load(v.at(row, at), mask), factor)
            v.store(v.sub(value, less) if smoothing else value, v.at(row, at), mask)

        over_vectors(v, K, scaled)
        own = b.fsub(weight, spreads) if smoothing else weight
        b.store(b.fsub(b.load(target_at, typ=v.scalar), own), target_at)

    with count_loop(b, M) as r:
        row, weight = v.at(z, b.mul(r, K)), b.load(v.at(w, r), typ=v.scalar)
        with b.if_else(b.fcmp_unordered("!=", weight, v.scalar(0.0))) as (then, otherwise):
            with otherwise:  # whatever its logits are
                over_vectors(v, K, lambda at, mask: v.store(v.const(0.0), v.at(row, at), mask))
                b.store(v.scalar(0.0), v.at(each, r))
                if smoothing:
                    b.store(v.scalar(0.0), v.at(spread, r))
            with then:
                counted(r, row, weight)
