"""Products of numbers rounded to bfloat16, summed in float32: `gemm` at twice the speed."""

from typing import Any

import numpy as np
from llvmlite import ir

from bptt.errors import ConfigError
from bptt.kernels.llvm.gemm import Gemm
from bptt.kernels.llvm.host import Host
from bptt.kernels.llvm.loops import call, count_loop, i32, i64
from bptt.kernels.llvm.vector import Value, Vector
from bptt.types import Dtype


class _BFloat(ir.Type):  # type: ignore[misc]
    """LLVM's type of these numbers, which llvmlite does not have."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


class Gemm16(Gemm):
    """Products of numbers rounded to bfloat16, summed in float32, where the processor has them (AVX512-BF16).

    A and B are float32 and are rounded as they are packed, two neighbouring k to a pair as large as one.
    As in :class:`Gemm`, but: for `product` and `block`, A is a result of `narrow` or `pack_rows`, and its
    strides, the panel stride and K count pairs: (K + 1) // 2 where K counts numbers. C is float32.

    Raises
    ------
    ConfigError
        If the processor has no such products.
    """

    step = 2

    def __init__(self, module: Any, kind: Dtype, target: Host | None = None) -> None:
        super().__init__(module, np.float32, target)
        if not self._target.avx512_bf16:
            raise ConfigError("bfloat16: this processor has no AVX512-BF16; choose float32")
        self._kind = "bfloat16."

    @property
    def narrow(self) -> Any:
        """``narrow(A, row stride, M, K, to, row stride)``: write the pairs of A, whose k are neighbours.

        The strides count numbers of A and pairs.
        """
        return self._function("narrow", "pnnnpn", self._narrow)

    def _multiply_add(self, v: Vector, a: Value, b: Value, total: Value) -> Value:
        a, b = (v.builder.bitcast(x, ir.VectorType(_BFloat(), 2 * v.lanes)) for x in (a, b))
        return call(v.builder, "llvm.x86.avx512bf16.dpbf16ps.512", v.type, [total, a, b])

    def _rounded(self, v: Vector, first: Value, second: Value) -> Value:
        """Return two vectors rounded to bfloat16, one after the other, as 16-bit numbers."""
        name, kind = "llvm.x86.avx512bf16.cvtne2ps2bf16.512", ir.VectorType(_BFloat(), 2 * v.lanes)
        both = call(v.builder, name, kind, [second, first])
        return v.builder.bitcast(both, ir.VectorType(ir.IntType(16), 2 * v.lanes))

    def _pairs(self, v: Vector, low: Value, high: Value) -> Value:
        """Return pairs of two vectors' numbers, rounded to bfloat16, as a vector."""
        both = self._rounded(v, low, high)
        order = [half * v.lanes + n for n in range(v.lanes) for half in (0, 1)]
        index = ir.Constant(ir.VectorType(i32, 2 * v.lanes), order)
        return v.builder.bitcast(v.builder.shuffle_vector(both, both, index), v.type)

    def _row(self, v: Vector, at: Value, q: Value, stride: Value, K: Value, count: Value) -> Value:
        b = v.builder
        k = b.mul(q, i64(2))
        after = b.add(k, i64(1))
        here, more = (b.select(b.icmp_signed("<", n, K), count, i64(0)) for n in (k, after))
        low = v.load(v.at(at, b.mul(k, stride)), v.tail(here))
        return self._pairs(v, low, v.load(v.at(at, b.mul(after, stride)), v.tail(more)))

    def _along(self, v: Vector, column: Value, q: Value, K: Value, is_whole: bool) -> Value:
        b = v.builder
        k = b.mul(q, i64(2))
        both = [
            v.load(v.at(column, at), None if is_whole else v.tail(b.sub(K, at)))
            for at in (k, b.add(k, i64(v.lanes)))
        ]
        return b.bitcast(self._rounded(v, *both), v.type)

    def _narrow(self, b: Any, A: Value, ars: Value, M: Value, K: Value, to: Value, ldt: Value) -> None:
        v, deep = Vector(b, self.dtype, self._target), self.deep(b, K)
        with count_loop(b, M) as m:
            source, target = v.at(A, b.mul(m, ars)), v.at(to, b.mul(m, ldt))
            with count_loop(b, deep, v.lanes) as q:
                v.store(self._along(v, source, q, K, False), v.at(target, q), v.tail(b.sub(deep, q)))
