"""Powers of vectors: as precise as the functions are, up to the power 64."""

from typing import Any

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm.special import wide
from bptt.kernels.llvm.vector import Value, Vector

_FEW = 8
"""So many factors of float32 have no more than 4 units in the last place of roundings."""


def power(v: Vector, a: Value, exponent: float) -> Value:
    """Return a to a power, which is known: where it, or twice it, is whole, by products and a root."""
    whole_or_half = (2 * exponent).is_integer()
    if v.dtype == np.float32 and not (whole_or_half and abs(exponent) < _FEW):
        return wide(lambda v, a: power(v, a, exponent))(v, a)
    if not whole_or_half:
        return _by_log(v, a, exponent)
    if exponent < 0:
        return v.div(v.const(1.0), power(v, a, -exponent))
    value = v.sqrt(a) if exponent % 1 else None
    square, left = a, int(exponent)
    while left:
        if left % 2:
            value = square if value is None else v.mul(value, square)
        left //= 2
        square = v.mul(square, square) if left else square
    return v.const(1.0) if value is None else value


def _by_log(v: Vector, a: Value, exponent: float) -> Value:
    """Return exp(p log a). The product is up to 745, so it and the logarithm have a low part each."""
    f, k = v.log_reduced(a)
    high, first = _two_sum(v, f, v.log1p_small(f, k))
    high, second = _two_sum(v, v.mul(k, v.const(v.format.ln2[0])), high)
    p = v.const(exponent)
    product = v.mul(p, v.log_at_edges(a, high))
    low = v.add(_rounding(v, exponent, high, product), v.mul(p, v.add(first, second)))
    regular = v.compare("<", v.abs(product), v.const(np.inf))  # else a is 0, infinite or no number
    return v.exp(product, v.select(regular, low, v.const(0.0)))


def _two_sum(v: Vector, a: Value, b: Value) -> tuple[Value, Value]:
    """Return a + b and what its rounding has lost."""
    total = v.add(a, b)
    part = v.sub(total, a)
    return total, v.add(v.sub(a, v.sub(total, part)), v.sub(b, part))


def _rounding(v: Vector, p: float, a: Value, product: Value) -> Value:
    """Return what p a has lost in its rounding, on processors with one rounding for a b + c and without."""
    bits: Any = np.asarray(p, np.float64).view(np.int64)
    start = float((bits & -(1 << 27)).view(np.float64))
    first, rest = v.const(start), v.const(p - start)
    # a's first half of digits: a product of two such numbers has no rounding
    mask = ir.Constant(v.bits, [-1 << (v.format.mantissa + 2) // 2] * v.lanes)
    high = v.builder.bitcast(v.builder.and_(v.builder.bitcast(a, v.bits), mask), v.type)
    low = v.sub(a, high)
    error = v.sub(v.mul(first, high), product)
    for x, y in ((first, low), (rest, high), (rest, low)):
        error = v.add(error, v.mul(x, y))
    return error
