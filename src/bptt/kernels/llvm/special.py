"""Sine, cosine, the error function, the normal distribution: in float64, to 1e-15; of float32 rounded once.

sin, cos
    x = n π/2 + r with n whole and |r| <= π/4; n's last two bits say which of ±sin(r), ±cos(r) it is. π/2 has
    four parts and n two, whose products have no rounding. From 1e12 on, where r has few digits, it is NaN.
erf, Phi
    As :mod:`bptt.elementwise` has them, with its coefficients.
"""

from collections.abc import Callable
from dataclasses import replace
from math import nan, pi, sqrt

import numpy as np
from llvmlite import ir

from bptt.elementwise import ERF, ERFC
from bptt.kernels.llvm.vector import Value, Vector

_HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
"""Its parts: all but the last have 33 bits."""

_SIN = (
    *(1.5917412836707387e-10, -2.5051121875169608e-08, 2.755731605459391e-06),
    *(-0.0001984126983666588, 0.008333333333330887, -0.16666666666666666),
)
"""sin(r) = r + r z S(z), z = r²; the highest power first."""

_COS = (
    *(-1.138218421447753e-11, 2.0876140031390975e-09, -2.755731724172776e-07),
    *(2.48015872987077e-05, -0.0013888888888887359, 0.041666666666666664),
)
"""cos(r) = 1 - z/2 + z² C(z)."""

_LARGEST = 1e12


def wide(function: Callable[[Vector, Value], Value]) -> Callable[[Vector, Value], Value]:
    """Return a function of float64 for float32, too: with as many lanes, in wider registers or in pairs."""

    def made(v: Vector, a: Value) -> Value:
        if v.dtype == np.float64:
            return function(v, a)
        to = Vector(v.builder, np.float64, replace(v.host, bits=2 * v.host.bits, avx512=False))
        return v.builder.fptrunc(function(to, v.builder.fpext(a, to.type)), v.type)

    return made


@wide
def sin(v: Vector, a: Value) -> Value:
    """Return the sine."""
    n, r = _quarters(v, a)
    turned = v.select(_has_bit(v, n, 1), _cos(v, r), _sin(v, r))
    return _known(v, a, v.select(_has_bit(v, n, 2), v.neg(turned), turned))


@wide
def cos(v: Vector, a: Value) -> Value:
    """Return the cosine."""
    n, r = _quarters(v, a)
    odd = _has_bit(v, n, 1)
    turned = v.select(odd, _sin(v, r), _cos(v, r))
    negative = v.builder.xor(odd, _has_bit(v, n, 2))
    return _known(v, a, v.select(negative, v.neg(turned), turned))


@wide
def erf(v: Vector, a: Value) -> Value:
    """Return the error function."""
    x = v.abs(a)
    far = v.min(v.select(v.compare("<", x, v.const(1.0)), v.const(1.0), x), v.const(30.0))
    rest = v.mul(v.exp(v.neg(v.mul(far, far))), _erfcx(v, far))
    near = v.mul(x, _polynomial(v, ERF, v.mul(x, x)))
    return v.copysign(v.select(v.compare("<", x, v.const(1.0)), near, v.sub(v.const(1.0), rest)), a)


@wide
def Phi(v: Vector, a: Value) -> Value:  # noqa: N802  the letter that it has
    """Return the normal distribution function."""
    x = v.min(v.abs(a), v.const(40.0))
    mask = ir.Constant(v.bits, [-1 << 29] * v.lanes)  # of the digits as many as float32 has
    high = v.builder.bitcast(v.builder.and_(v.builder.bitcast(x, v.bits), mask), v.type)
    half = v.const(0.5)
    low = v.mul(v.mul(v.sub(high, x), v.add(high, x)), half)
    e = v.exp(v.neg(v.mul(v.mul(high, high), half)), low)
    rest = v.mul(v.mul(e, _erfcx(v, v.mul(x, v.const(sqrt(0.5))))), half)
    return v.select(v.compare("<", a, v.const(0.0)), rest, v.sub(v.const(1.0), rest))


def _quarters(v: Vector, a: Value) -> tuple[Value, Value]:
    """Return n, whose last bits are those of a whole number, and r."""
    magic, larger = v.const(1.5 * 2.0**52), v.const(1.5 * 2.0**72)
    shifted = v.add(v.mul(a, v.const(2 / pi)), magic)
    n = v.sub(shifted, magic)
    most = v.sub(v.add(n, larger), larger)
    r = a
    for part in _HALF_PI:
        for some in (most, v.sub(n, most)):
            r = v.fma(some, v.const(-part), r)
    return v.builder.bitcast(shifted, v.bits), r


def _has_bit(v: Vector, n: Value, bit: int) -> Value:
    b, mask = v.builder, ir.Constant(v.bits, [bit] * v.lanes)
    return b.icmp_signed("!=", b.and_(n, mask), ir.Constant(v.bits, [0] * v.lanes))


def _known(v: Vector, a: Value, value: Value) -> Value:
    return v.select(v.compare("<", v.abs(a), v.const(_LARGEST)), value, v.const(nan))


def _sin(v: Vector, r: Value) -> Value:
    z = v.mul(r, r)
    return v.copysign(v.fma(v.mul(r, z), _polynomial(v, _SIN, z), r), r)


def _cos(v: Vector, r: Value) -> Value:
    z = v.mul(r, r)
    half, one = v.mul(z, v.const(0.5)), v.const(1.0)
    whole = v.sub(one, half)
    lost = v.sub(v.sub(one, whole), half)
    return v.add(whole, v.fma(v.mul(z, z), _polynomial(v, _COS, z), lost))


def _erfcx(v: Vector, x: Value) -> Value:
    """Return exp(x²) erfc(x) for x >= 0."""
    four = v.const(4.0)
    q = v.div(v.sub(x, four), v.add(x, four))
    return v.div(_polynomial(v, ERFC, q), v.fma(x, v.const(2.0), v.const(1.0)))


def _polynomial(v: Vector, coefficients: tuple[float, ...], x: Value) -> Value:
    value = v.const(coefficients[0])
    for c in coefficients[1:]:
        value = v.fma(value, x, v.const(c))
    return value
