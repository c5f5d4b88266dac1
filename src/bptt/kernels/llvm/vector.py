"""Arithmetic and functions on vector registers, as LLVM's intermediate representation without branches.

float32 is right to 4 units in the last place over the whole range, float64 to 1e-14; infinities, NaN, -0 and
denormals are what NumPy has. The functions are made of two:

exp
    x = n ln 2 + r with n whole and |r| <= ln(2)/2. expm1(r) = r + r² q(r), q a minimax polynomial, and
    exp(x) = 2ⁿ (1 + expm1(r)). So tanh and the sigmoid keep their relative precision near 0 and far away.
log
    x = 2ᵏ (1 + f) with 1 + f in [√½, √2). With s = f / (2 + f), log(1 + f) = 2s + s z R(z), z = s².
"""

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.loops import call, i32, i64
from bptt.types import Dtype

Value = Any
"""An LLVM value."""


class _Format(NamedTuple):
    """What the functions need to know of a floating-point format."""

    mantissa: int  # bits stored
    q: tuple[float, ...]  # expm1(r) = r + r² q(r)
    R: tuple[float, ...]  # log(1 + f) = 2s + s z R(z)
    ln2: tuple[float, float]  # two parts; a product of the first and n has no rounding
    ends: tuple[float, float]  # exp is 0 below and infinite above
    one_from: float  # tanh is 1 from here


_FORMATS = {
    "float32": _Format(
        mantissa=23,
        q=(0.5000000026951443, 0.166665769701691601, 0.0416663751142817592, 0.00836318122871995684,
           0.00139411255668073799),
        R=(0.666665665528666892, 0.400001228785742724, 0.28550722999951346, 0.233327659381989834),
        ln2=(0.693359375, -2.12194440054690583e-4),
        ends=(-105.0, 89.0),
        one_from=10.0,
    ),
    "float64": _Format(
        mantissa=52,
        q=(0.5, 0.16666666666666671, 0.0416666666666666838, 0.00833333333332613483, 0.00138888888888743863,
           0.000198412698748214468, 0.0000248015873473712898, 2.75572553993398831e-6, 2.75572528794296472e-7,
           2.51052173175731567e-8, 2.09216011152171014e-9),
        R=(0.666666666666666974, 0.39999999999898237, 0.285714286264931075, 0.222222110575678612,
           0.181828943285933163, 0.153315601475792424, 0.146183268787494972),
        ln2=(0.693145751953125, 1.42860682030941723e-6),
        ends=(-746.0, 710.0),
        one_from=20.0,
    ),
}  # fmt: skip


class Vector:
    """Code for vectors of one dtype at a builder's place.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    dtype : dtype
        float32 or float64.
    target : Host, optional
        Default: this processor.

    Attributes
    ----------
    lanes : int
        Numbers in a vector.
    scalar, type, bits : llvmlite.ir.Type
        Of one number, of a vector of them, and of a vector of whole numbers as wide.
    add, sub, mul, div, neg, select : function
        The builder's own, of floating-point numbers.
    """

    def __init__(self, builder: Any, dtype: Dtype, target: Host | None = None) -> None:
        self.builder, self.host = builder, target or host()
        self.dtype = np.dtype(dtype)
        self.format = _FORMATS[self.dtype.name]
        self.lanes = self.host.lanes(dtype)
        self.scalar = ir.FloatType() if self.dtype.itemsize == 4 else ir.DoubleType()
        self.type = ir.VectorType(self.scalar, self.lanes)
        self._int = ir.IntType(8 * self.dtype.itemsize)
        self.bits = ir.VectorType(self._int, self.lanes)
        self.add, self.sub, self.mul, self.div = builder.fadd, builder.fsub, builder.fmul, builder.fdiv
        self.neg, self.select = builder.fneg, builder.select

    # ---- values

    def const(self, value: float) -> Value:
        """Return a vector of one number."""
        return ir.Constant(self.type, [float(np.asarray(value, self.dtype))] * self.lanes)

    def broadcast(self, scalar: Value) -> Value:
        """Return a vector that holds a scalar in each lane."""
        return self._splat(scalar, self.type)

    def _splat(self, scalar: Value, to: Any) -> Value:
        one = self.builder.insert_element(ir.Constant(to, ir.Undefined), scalar, i32(0))
        lanes = ir.Constant(ir.VectorType(i32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, ir.Constant(to, ir.Undefined), lanes)

    def _ints(self, value: int) -> Value:
        return ir.Constant(self.bits, [value] * self.lanes)

    # ---- memory

    def at(self, pointer: Value, offset: Value) -> Value:
        """Return a pointer `offset` (i64, or int) numbers further on."""
        if isinstance(offset, int):
            offset = i64(offset)
        return self.builder.gep(pointer, [offset], source_etype=self.scalar)

    def tail(self, count: Value) -> Value:
        """Return the mask of the first `count` (i64) lanes: all of them from `lanes` on, none from 0 down."""
        b, most = self.builder, i64(self.lanes)
        count = b.select(b.icmp_signed("<", count, most), count, most)
        if self.dtype.itemsize == 4:
            count = b.trunc(count, self._int)
        numbers = ir.Constant(self.bits, list(range(self.lanes)))
        return b.icmp_signed("<", numbers, self._splat(count, self.bits))

    def load(self, pointer: Value, mask: Value | None = None) -> Value:
        """Return what lies at a pointer, aligned as one number is; 0 where a mask does not hold."""
        if mask is None:
            return self.builder.load(pointer, typ=self.type, align=self.dtype.itemsize)
        arguments = [pointer, i32(self.dtype.itemsize), mask, self.const(0.0)]
        return call(self.builder, f"llvm.masked.load.{self._suffix}.p0", self.type, arguments)

    def store(self, value: Value, pointer: Value, mask: Value | None = None) -> None:
        """Write a vector to a pointer, aligned as one number is; the lanes where a mask holds."""
        if mask is None:
            self.builder.store(value, pointer, align=self.dtype.itemsize)
            return
        arguments = [value, pointer, i32(self.dtype.itemsize), mask]
        call(self.builder, f"llvm.masked.store.{self._suffix}.p0", ir.VoidType(), arguments)

    def prefetch(self, pointer: Value, *, to_write: bool) -> None:
        """Ask for the line of the caches at a pointer."""
        call(self.builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, i32(int(to_write)), i32(3), i32(1)])

    # ---- arithmetic

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a b + c, in one rounding where the processor can."""
        if self.host.fma:
            return self._generic("fma", a, b, c)
        return self.add(self.mul(a, b), c)

    def abs(self, a: Value) -> Value:
        """Return |a|."""
        return self._generic("fabs", a)

    def sqrt(self, a: Value) -> Value:
        """Return √a."""
        return self._generic("sqrt", a)

    def copysign(self, a: Value, b: Value) -> Value:
        """Return |a| with the sign of b."""
        return self._generic("copysign", a, b)

    def floor(self, a: Value) -> Value:
        """Return the largest whole number that is not above a; not every processor has it in one."""
        magic, one = self.const(2.0**self.format.mantissa), self.const(1.0)
        size = self.abs(a)
        near = self.copysign(self.sub(self.add(size, magic), magic), a)
        down = self.select(self.compare(">", near, a), self.sub(near, one), near)
        return self.select(self.compare("<", size, magic), down, a)  # what is larger is whole

    def sign(self, a: Value) -> Value:
        """Return 1, -1, or at 0 and where it is no number a itself."""
        is_other = self.compare(">", self.abs(a), self.const(0.0))
        return self.select(is_other, self.copysign(self.const(1.0), a), a)

    def stop(self, a: Value) -> Value:
        """Return a: what is derived is elsewhere."""
        return a

    def surrogate(self, value: Value, derivative: Value, a: Value) -> Value:
        """Return the value."""
        return value

    # ---- choices

    def compare(self, how: str, a: Value, b: Value) -> Value:
        """Return the lanes where ``a how b``, one of ``< <= == != >= >``; with NaN none, but for ``!=``."""
        return (self.builder.fcmp_unordered if how == "!=" else self.builder.fcmp_ordered)(how, a, b)

    def where(self, u: Value, then: Value, otherwise: Value) -> Value:
        """Return `then` where u > 0, else `otherwise`."""
        return self.select(self.compare(">", u, self.const(0.0)), then, otherwise)

    def max(self, a: Value, b: Value) -> Value:
        """Return the larger of two, NaN where either is."""
        larger = self.select(self.compare(">", a, b), a, b)
        return self.select(self.compare("!=", a, a), a, larger)

    def min(self, a: Value, b: Value) -> Value:
        """Return the smaller of two, NaN where either is."""
        smaller = self.select(self.compare("<", a, b), a, b)
        return self.select(self.compare("!=", a, a), a, smaller)

    def relu(self, a: Value) -> Value:
        """Return max(a, 0)."""
        return self._at_least(a, 0.0)

    def _at_least(self, a: Value, low: float) -> Value:
        return self.select(self.compare("<=", a, self.const(low)), self.const(low), a)  # NaN stays

    def _at_most(self, a: Value, high: float) -> Value:
        return self.select(self.compare(">=", a, self.const(high)), self.const(high), a)

    # ---- functions

    def exp(self, a: Value, low: Value | None = None) -> Value:
        """Return eᵃ; with `low`, of the sum of a and what is small beside it."""
        return self._exp(self._at_most(a, self.format.ends[1]), low)

    def _exp(self, a: Value, low: Value | None = None) -> Value:
        """Return eᵃ where it is not known to overflow."""
        n, p = self._expm1_part(self._at_least(a, self.format.ends[0]), low)
        return self._scale(self.add(p, self.const(1.0)), n)

    def tanh(self, a: Value) -> Value:
        """Return (1 - e) / (1 + e) with e = exp(-2|a|), and the sign of a."""
        size = self._at_most(self.abs(a), self.format.one_from)
        n, p = self._expm1_part(self.mul(size, self.const(-2.0)))
        power = self._power(self.builder.bitcast(n, self.bits))
        em1 = self.fma(power, p, self.sub(power, self.const(1.0)))  # e - 1
        return self.copysign(self.div(em1, self.add(em1, self.const(2.0))), a)

    def sigmoid(self, a: Value) -> Value:
        """Return 1 / (1 + exp(-a)); with e = exp(-|a|), that or e / (1 + e)."""
        e = self._exp(self.neg(self.abs(a)))
        one = self.const(1.0)
        above = self.select(self.compare("<", a, self.const(0.0)), e, one)
        return self.div(above, self.add(one, e))

    def softplus(self, a: Value) -> Value:
        """Return log(1 + exp(a)) = max(a, 0) + log(1 + e) with e = exp(-|a|)."""
        e = self._exp(self.neg(self.abs(a)))
        half = self.const(0.5)
        # where 1 + e is beyond √2, half of it is in reach and ln 2 is added
        is_far = self.compare(">", e, self.const(math.sqrt(2) - 1))
        f = self.select(is_far, self.mul(self.sub(e, self.const(1.0)), half), e)
        k = self.select(is_far, self.const(1.0), self.const(0.0))
        return self.add(self._at_least(a, 0.0), self._log1p_part(f, k))

    def log(self, a: Value) -> Value:
        """Return the natural logarithm; -inf at 0, NaN below."""
        return self.log_at_edges(a, self._log1p_part(*self.log_reduced(a)))

    def log_at_edges(self, a: Value, value: Value) -> Value:
        """Return a value of log(a), and what holds where a is no positive number, or infinite."""
        zero, inf = self.const(0.0), self.const(math.inf)
        edge = self.select(self.compare("==", a, zero), self.const(-math.inf), self.const(math.nan))
        value = self.select(self.compare(">", a, zero), value, edge)
        return self.select(self.compare("==", a, inf), inf, value)

    def log_reduced(self, a: Value) -> tuple[Value, Value]:
        """Return f and k, a = 2ᵏ (1 + f) with 1 + f in [√½, √2)."""
        b, m = self.builder, self.format.mantissa
        info = np.finfo(self.dtype)
        is_small = self.compare("<", a, self.const(float(info.smallest_normal)))
        x = self.select(is_small, self.mul(a, self.const(2.0 ** (m + 2))), a)
        bits = b.bitcast(x, self.bits)
        k = b.ashr(b.sub(bits, self._ints(self._bits_of(math.sqrt(0.5)))), self._ints(m))
        f = self.sub(b.bitcast(b.sub(bits, b.shl(k, self._ints(m))), self.type), self.const(1.0))
        whole = b.sitofp(k, self.type)
        return f, self.sub(whole, self.select(is_small, self.const(m + 2.0), self.const(0.0)))

    # ---- parts of functions

    def _expm1_part(self, a: Value, low: Value | None = None) -> tuple[Value, Value]:
        """Return n and expm1(r), a = n ln 2 + r; to n 1.5 · 2^mantissa is added: its last bits are n's."""
        magic = self.const(1.5 * 2.0**self.format.mantissa)
        shifted = self.fma(a, self.const(1 / math.log(2)), magic)
        n = self.sub(shifted, magic)
        r = a
        for part in self.format.ln2:
            r = self.fma(n, self.const(-part), r)
        r = r if low is None else self.add(r, low)
        return shifted, self.fma(self.mul(r, r), self._polynomial(self.format.q, r), r)

    def _power(self, n: Value) -> Value:
        """Return 2ⁿ, a normal number, by the last bits of whole numbers n."""
        b = self.builder
        exponent = b.shl(n, self._ints(self.format.mantissa))
        return b.bitcast(b.add(exponent, self._ints(self._bits_of(1.0))), self.type)

    def _scale(self, a: Value, shifted: Value) -> Value:
        """Return 2ⁿ a, which may be infinite or a denormal number."""
        b, magic = self.builder, 1.5 * 2.0**self.format.mantissa
        if self.host.avx512:
            lanes, suffix = ir.IntType(max(8, self.lanes)), "ps" if self.dtype.itemsize == 4 else "pd"
            n = self.sub(shifted, self.const(magic))
            arguments = [a, n, self.const(0.0), lanes(-1), i32(4)]  # 4: the rounding that is set
            return call(self.builder, f"llvm.x86.avx512.mask.scalef.{suffix}.512", self.type, arguments)
        n = b.sub(b.bitcast(shifted, self.bits), self._ints(self._bits_of(magic)))
        half = b.ashr(n, self._ints(1))  # in two steps: neither is out of range, the second rounds
        for part in (half, b.sub(n, half)):
            a = self.mul(a, self._power(part))
        return a

    def _log1p_part(self, f: Value, k: Value) -> Value:
        """Return log(1 + f) + k ln 2 for 1 + f in [√½, √2)."""
        return self.fma(k, self.const(self.format.ln2[0]), self.add(f, self.log1p_small(f, k)))

    def log1p_small(self, f: Value, k: Value) -> Value:
        """Return log(1 + f) - f + k ln 2, of ln 2 the low part."""
        s = self.div(f, self.add(f, self.const(2.0)))
        z = self.mul(s, s)
        half = self.mul(self.mul(f, f), self.const(0.5))
        series = self.fma(z, self._polynomial(self.format.R, z), half)
        return self.sub(self.fma(s, series, self.mul(k, self.const(self.format.ln2[1]))), half)

    def _polynomial(self, coefficients: tuple[float, ...], x: Value) -> Value:
        value = self.const(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            value = self.fma(value, x, self.const(c))
        return value

    # ---- LLVM

    @cached_property
    def _suffix(self) -> str:
        return f"v{self.lanes}f{8 * self.dtype.itemsize}"

    def _bits_of(self, value: float) -> int:
        return int(np.asarray(value, self.dtype).view(f"i{self.dtype.itemsize}"))

    def _generic(self, name: str, *arguments: Value) -> Value:
        return call(self.builder, f"llvm.{name}.{self._suffix}", self.type, list(arguments))
