"""Products of numbers rounded to bfloat16, summed in float32: :mod:`bptt.kernels.gemm` at twice the speed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bptt.errors import ConfigError
from bptt.kernels.gemm import Gemm
from bptt.kernels.host import Host
from bptt.kernels.vector import Value, Vector


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

    def __init__(self, module: Any, target: Host | None = None) -> None:
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
        ir = self._ir

        class BFloat(ir.HalfType):  # type: ignore[misc, name-defined]
            def __str__(self) -> str:
                return "bfloat"

        kind = ir.VectorType(BFloat(), 2 * v.lanes)
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        a, b = (v.builder.bitcast(x, kind) for x in (a, b))
        return v.call(name, v.type, [total, a, b])

    def _pair(self, b: Any, two: Sequence[Value], bits: Any) -> Value:
        """Return pairs of float32 rounded to bfloat16, to the nearest and to even, as whole numbers."""

        def const(value: int) -> Value:
            return (
                bits(value) if bits == self._ir.IntType(32) else self._ir.Constant(bits, [value] * bits.count)
            )

        def rounded(x: Value) -> Value:
            whole = b.bitcast(x, bits)
            is_odd = b.and_(b.lshr(whole, const(16)), const(1))
            whole = b.add(whole, b.add(is_odd, const(0x7FFF)))
            return b.select(b.fcmp_unordered("uno", x, x), const(0x7FC00000), whole)

        low, high = two
        return b.or_(b.lshr(rounded(low), const(16)), b.and_(rounded(high), const(-0x10000)))

    def _pack(self, b: Any, B: Value, brs: Value, bcs: Value, K: Value, N: Value, to: Value) -> None:
        i64, v = self._i64, Vector(b, self.dtype, self._target)
        i32 = self._ir.IntType(32)
        pairs = b.sdiv(b.add(K, i64(1)), i64(2))

        def panel(j: Value) -> None:
            start, out = v.at(B, b.mul(j, bcs)), v.at(to, b.mul(j, pairs))
            left = b.sub(N, j)

            def by_vectors(q: Value) -> None:
                k, target = b.mul(q, i64(2)), v.at(out, b.mul(q, i64(self.width)))
                for n in range(0, self.width, v.lanes):
                    there = b.sub(left, i64(n))
                    two = self._two(v, v.at(start, n), k, brs, K, there)
                    b.store(self._pair(b, two, v.bits), v.at(target, n), align=4)

            def by_columns(q: Value) -> None:
                k, target = b.mul(q, i64(2)), v.at(out, b.mul(q, i64(self.width)))

                def column(c: Value) -> None:
                    is_there = b.icmp_signed("<", c, left)
                    source = v.at(start, b.mul(c, bcs))
                    two = []
                    for row in (k, b.add(k, i64(1))):
                        is_read = b.and_(is_there, b.icmp_signed("<", row, K))
                        offset = b.select(is_read, b.mul(row, brs), i64(0))
                        at = v.at(b.select(is_read, source, B), offset)
                        two.append(b.select(is_read, b.load(at, typ=v.scalar), v.scalar(0.0)))
                    b.store(self._pair(b, two, i32), v.at(target, c), align=4)

                self._loop(b, i64(0), i64(self.width), 1, column)

            with b.if_else(b.icmp_signed("==", bcs, i64(1))) as (rows, others):
                with rows:
                    self._loop(b, i64(0), pairs, 1, by_vectors)
                with others, b.if_else(b.icmp_signed("==", brs, i64(1))) as (columns, numbers):
                    with columns:
                        self._pack_columns(v, start, bcs, left, K, pairs, out)
                    with numbers:
                        self._loop(b, i64(0), pairs, 1, by_columns)

        self._loop(b, i64(0), N, self.width, panel)

    def _two(
        self, v: Vector, at: Value, k: Value, stride: Value, K: Value, count: Value
    ) -> tuple[Value, Value]:
        """Return the first `count` numbers of rows k and k + 1; zeros where K ends."""
        b, i64 = v.builder, self._i64
        after = b.add(k, i64(1))
        more = b.select(b.icmp_signed("<", after, K), count, i64(0))
        low = v.load(v.at(at, b.mul(k, stride)), v.tail(count))
        return low, v.load(v.at(at, b.mul(after, stride)), v.tail(more))

    def _pack_rows(self, b: Any, A: Value, aks: Value, M: Value, K: Value, to: Value) -> None:
        i64, v = self._i64, Vector(b, self.dtype, self._target)
        pairs = b.sdiv(b.add(K, i64(1)), i64(2))

        def tile(h: Value, i: Value) -> None:
            start, out = v.at(A, i), v.at(to, b.mul(i, pairs))

            def copy(q: Value) -> None:
                target = v.at(out, b.mul(q, h))
                for n in range(0, self.MR, v.lanes):
                    count = b.sub(h, i64(n))
                    two = self._two(v, v.at(start, n), b.mul(q, i64(2)), aks, K, count)
                    pair = b.bitcast(self._pair(b, two, v.bits), v.type)
                    v.store(pair, v.at(target, n), v.tail(count))

            self._loop(b, i64(0), pairs, 1, copy)

        self._by_rows(b, M, tile)

    def _along(self, v: Vector, column: Value, q: Value, K: Value) -> Value:
        ir, b, i64 = self._ir, v.builder, self._i64
        k, kind = b.mul(q, i64(2)), ir.VectorType(ir.IntType(32), v.lanes)
        both = [v.load(v.at(column, at), v.tail(b.sub(K, at))) for at in (k, b.add(k, i64(v.lanes)))]
        two = [
            b.shuffle_vector(*both, ir.Constant(kind, [2 * n + odd for n in range(v.lanes)]))
            for odd in (0, 1)
        ]
        return b.bitcast(self._pair(b, two, v.bits), v.type)

    def _narrow(self, b: Any, A: Value, ars: Value, M: Value, K: Value, to: Value, ldt: Value) -> None:
        i64, v = self._i64, Vector(b, self.dtype, self._target)
        pairs = b.sdiv(b.add(K, i64(1)), i64(2))

        def row(m: Value) -> None:
            source, target = v.at(A, b.mul(m, ars)), v.at(to, b.mul(m, ldt))

            def part(q: Value) -> None:
                v.store(self._along(v, source, q, K), v.at(target, q), v.tail(b.sub(pairs, q)))

            self._loop(b, i64(0), pairs, v.lanes, part)

        self._loop(b, i64(0), M, 1, row)
