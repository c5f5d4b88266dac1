"""Zeros, copies, sums and products of arrays, element by element: what NumPy does elsewhere.

As works they can be part of a program (:mod:`bptt.kernels.runtime.program`). Arrays are float32 or float64.
"""

from collections.abc import Callable, Sequence

import numpy as np

from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import host
from bptt.kernels.llvm.loops import count_loop, i64, over_vectors
from bptt.kernels.llvm.packing import transposed
from bptt.kernels.llvm.vector import Value, Vector
from bptt.kernels.runtime import memory, pool
from bptt.layer import threads
from bptt.types import Array, Dtype

PIECE = 1 << 15
"""Numbers that one thread takes at a time, about."""


def zeros(shape: int | Sequence[int], dtype: Dtype) -> Array:
    """Return an array of zeros."""
    return zero(memory.empty(shape, dtype))


def zero(out: Array) -> Array:
    """Make all numbers of an array zeros."""
    _share("zero", out)
    return out


def filled(shape: tuple[int, ...], value: float, dtype: Dtype) -> Array:
    """Return an array of one number.

    Examples
    --------
    >>> filled((2, 3), 1.5, np.float32)
    array([[1.5, 1.5, 1.5],
           [1.5, 1.5, 1.5]], dtype=float32)
    """
    if value == 0:
        return zeros(shape, dtype)
    return spread(np.full(shape[-1], value, dtype), shape)


def spread(values: Array, shape: tuple[int, ...]) -> Array:
    """Return values as NumPy would repeat them over a shape, where they are no program's, the same for ever.

    Examples
    --------
    >>> spread(np.array([[1.0], [2.0]]), (2, 3))
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    out = memory.empty(shape, values.dtype)
    _share("copy", out, np.broadcast_to(values, shape), constants=(values,))
    return out


def copy(source: Array, out: Array | None = None) -> Array:
    """Return a copy of an array, in `out` where that is given.

    Examples
    --------
    >>> copy(np.arange(6.0).reshape(2, 3).T)
    array([[0., 3.],
           [1., 4.],
           [2., 5.]])
    """
    out = memory.empty(source.shape, source.dtype) if out is None else out
    _share("copy", out, source)
    return out


def add(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return a + b of arrays of one shape, in `out`, which may be one of them, where that is given."""
    out = memory.empty(a.shape, a.dtype) if out is None else out
    _share("add", out, a, b)
    return out


def multiply(a: Array, b: Array) -> Array:
    """Return a b, element by element; b has a's shape, or is 1 long on its first or last axis.

    Examples
    --------
    >>> multiply(np.ones((2, 2, 3)), np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]))[1]
    array([[1., 2., 3.],
           [4., 5., 6.]])
    """
    out = memory.empty(a.shape, a.dtype)
    if b.shape == a.shape:
        _share("multiply", out, a, b)
    elif b.shape[1:] == a.shape[1:]:  # the same for all of the first axis
        whole = (len(a), b.size)
        _share("multiply", out.reshape(whole), a.reshape(whole), np.broadcast_to(b.reshape(1, -1), whole))
    else:
        _share("multiply", out, a, np.broadcast_to(b, a.shape))
    return out


def take(table: Array, index: Array) -> Array:
    """Return rows of a table (V, E) by their numbers, (..., E).

    Examples
    --------
    >>> take(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1, 0]))
    array([[3., 4.],
           [3., 4.],
           [1., 2.]])
    """
    out = memory.empty((*index.shape, table.shape[1]), table.dtype)
    index = np.ascontiguousarray(index, np.int64)
    _share("copy", out, table, index=index)
    return out


def _share(
    what: str, out: Array, *operands: Array, index: Array | None = None, constants: tuple[Array, ...] = ()
) -> None:
    """Run over `out`, whose rows are shared out over the threads; its numbers, where none has gaps."""
    if out.size == 0:
        return
    arrays = [out, *map(_readable, operands)]
    if index is None and all(array.flags.c_contiguous for array in arrays):
        arrays = [array.reshape(1, -1) for array in arrays]
    else:
        arrays = [array.reshape(-1, array.shape[-1]) if array.ndim != 2 else array for array in arrays]
    (rows, columns), size = arrays[0].shape, out.itemsize
    strides = [[stride // size for stride in array.strides] for array in arrays]
    steps = [column for _, column in strides]  # a transposed operand's numbers lie apart
    pieces = min(2 * threads.count(), rows * columns // PIECE)
    by_rows = threads.cuts(rows, pieces) if rows > 1 else [slice(0, 1)]
    by_columns = threads.cuts(columns, pieces) if rows == 1 else [slice(0, columns)]
    starts, chosen = [jit.address(array) for array in arrays], 0 if index is None else jit.address(index)
    words = [
        (
            *(
                start + size * ((0 if k and chosen else r.start * row) + c.start * column)
                for k, (start, (row, column)) in enumerate(zip(starts, strides, strict=True))
            ),
            chosen and chosen + 8 * r.start,
            r.stop - r.start,
            c.stop - c.start,
            *(row for row, _ in strides),
            *steps,
        )
        for r in by_rows
        for c in by_columns
    ]
    form = len(arrays) + 1, 2 + 2 * len(arrays), out.dtype.char, host(), what
    turned = tuple(row == 1 < column for row, column in strides[1:])
    others = {steps[0]} | {step for step, turns in zip(steps[1:], turned, strict=True) if not turns}
    if index is None and any(turned) and others == {1}:
        work = pool.work_of(_squares, *form, turned)
    else:
        is_one, is_apart = tuple(step == 0 for step in steps[1:]), steps[0] != 1 or not {0, 1} >= {*steps}
        work = pool.work_of(_each, *form, index is not None, is_one, is_apart)
    pool.run(work, np.array(words, np.int64), *constants)


def _readable(array: Array) -> Array:
    """Return an array, or a copy where numbers do not lie where numbers do."""
    is_odd = not array.flags.aligned or any(stride % array.itemsize for stride in array.strides)
    return array.copy() if is_odd else array


def _each(
    v: Vector,
    arrays: list[Value],
    sizes: list[Value],
    what: str,
    is_chosen: bool,
    is_one: tuple[bool, ...],
    is_apart: bool,
) -> None:
    b, (*starts, index), (rows, columns, *strides) = v.builder, arrays, sizes
    along, apart = strides[: len(starts)], strides[len(starts) :]
    with count_loop(b, rows) as r:
        places = [b.mul(r, stride) for stride in along]
        if is_chosen:
            row = b.load(b.gep(index, [r], source_etype=i64), typ=i64)
            places[1:] = [b.mul(row, stride) for stride in along[1:]]
        at = [v.at(start, place) for start, place in zip(starts, places, strict=True)]
        if is_apart:
            with count_loop(b, columns) as c:
                own = [v.at(place, b.mul(c, step)) for place, step in zip(at, apart, strict=True)]
                values = [b.load(place, typ=v.scalar) for place in own[1:]]
                b.store(_made(v, what, values, v.scalar(0.0)), own[0])
        else:  # of an operand that is one number in a row, that number
            alone = [
                v.broadcast(b.load(at[k], typ=v.scalar)) if one else None for k, one in enumerate(is_one, 1)
            ]

            def some(c: Value, mask: Value | None) -> None:
                loaded = [
                    one or v.load(v.at(place, c), mask) for one, place in zip(alone, at[1:], strict=True)
                ]
                v.store(_made(v, what, loaded, v.const(0.0)), v.at(at[0], c), mask)

            over_vectors(v, columns, some)


def _squares(v: Vector, arrays: list[Value], sizes: list[Value], what: str, turned: tuple[bool, ...]) -> None:
    """As `_each`, of operands whose columns' numbers are neighbours: by squares, which are transposed."""
    b, (to, *starts, _), (rows, columns, *strides) = v.builder, arrays, sizes
    row_strides, column_strides = strides[: len(arrays) - 1], strides[len(arrays) - 1 :]

    def square(r: Value, c: Value, *, is_whole: bool) -> None:
        below, beside = b.sub(rows, r), b.sub(columns, c)
        loaded = []
        for k, (start, turns) in enumerate(zip(starts, turned, strict=True), 1):
            first = v.at(v.at(start, b.mul(r, row_strides[k])), b.mul(c, column_strides[k]))
            stride, count, length = row_strides[k], below, beside
            if turns:
                stride, count, length = column_strides[k], beside, below
            lines = []
            for n in range(v.lanes):
                # also a load of which no lane is wanted is slow where there is no memory
                is_there = b.icmp_signed("<", i64(n), count)
                offset = b.mul(i64(n), stride)
                at = v.at(first, offset if is_whole else b.select(is_there, offset, i64(0)))
                lines.append(v.load(at, None if is_whole else v.tail(length)))
            loaded.append(transposed(v, lines) if turns else lines)
        for n, values in enumerate(zip(*loaded, strict=True)):
            place = v.at(v.at(to, b.mul(b.add(r, i64(n)), row_strides[0])), c)
            made = _made(v, what, [*values], v.const(0.0))
            if is_whole:
                v.store(made, place)
            else:
                with b.if_then(b.icmp_signed("<", i64(n), below)):
                    v.store(made, place, v.tail(beside))

    with count_loop(b, rows, v.lanes) as r, count_loop(b, columns, v.lanes) as c:
        fits = (b.icmp_signed("<=", b.add(at, i64(v.lanes)), end) for at, end in ((r, rows), (c, columns)))
        with b.if_else(b.and_(*fits)) as (whole, edge):
            with whole:
                square(r, c, is_whole=True)
            with edge:
                square(r, c, is_whole=False)


def _made(v: Vector, what: str, values: list[Value], zero: Value) -> Value:
    made: dict[str, Callable[..., Value]] = {
        "zero": lambda: zero,
        "copy": lambda a: a,
        "add": v.builder.fadd,
        "multiply": v.builder.fmul,
    }
    return made[what](*values)
