"""Products of numbers rounded to bfloat16, summed in float32: :mod:`bptt.kernels.gemm` at twice the speed."""

from typing import Any

import numpy as np
from llvmlite import ir

from bptt.errors import ConfigError
from bptt.kernels.gemm import Gemm
from bptt.kernels.host import Host
from bptt.kernels.vector import Value, Vector


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
        a, b = (v.builder.bitcast(x, ir.VectorType(_BFloat(), 2 * v.lanes)) for x in (a, b))
        return v.call("llvm.x86.avx512bf16.dpbf16ps.512", v.type, [total, a, b])

    def _rounded(self, v: Vector, first: Value, second: Value) -> Value:
        """Return two vectors rounded to bfloat16, one after the other, as 16-bit numbers."""
        name, kind = "llvm.x86.avx512bf16.cvtne2ps2bf16.512", ir.VectorType(_BFloat(), 2 * v.lanes)
        both = v.call(name, kind, [second, first])
        return v.builder.bitcast(both, ir.VectorType(ir.IntType(16), 2 * v.lanes))

    def _pairs(self, v: Vector, low: Value, high: Value) -> Value:
        """Return pairs of two vectors' numbers, rounded to bfloat16, as a vector."""
        both = self._rounded(v, low, high)
        order = [half * v.lanes + n for n in range(v.lanes) for half in (0, 1)]
        index = ir.Constant(ir.VectorType(ir.IntType(32), 2 * v.lanes), order)
        return v.builder.bitcast(v.builder.shuffle_vector(both, both, index), v.type)

    def _pair(self, b: Any, low: Value, high: Value) -> Value:
        """Return a pair of numbers rounded to bfloat16, to the nearest and to even, as a whole number."""
        const = ir.IntType(32)

        def rounded(x: Value) -> Value:
            whole = b.bitcast(x, const)
            is_odd = b.and_(b.lshr(whole, const(16)), const(1))
            whole = b.add(whole, b.add(is_odd, const(0x7FFF)))
            return b.select(b.fcmp_unordered("uno", x, x), const(0x7FC00000), whole)

        return b.or_(b.lshr(rounded(low), const(16)), b.and_(rounded(high), const(-0x10000)))

    def _pack(self, b: Any, B: Value, brs: Value, bcs: Value, K: Value, N: Value, to: Value) -> None:
        i64, v = self._i64, Vector(b, self.dtype, self._target)
        pairs = b.sdiv(b.add(K, i64(1)), i64(2))

        def along(q: Value) -> None:  # as the rows lie, so that memory is read from end to end
            k, target = b.mul(q, i64(2)), v.at(to, b.mul(q, i64(self.width)))

            def part(j: Value) -> None:
                for n in range(0, self.width, v.lanes):
                    at = b.add(j, i64(n))
                    two = self._two(v, v.at(B, at), k, brs, K, b.sub(N, at))
                    v.store(self._pairs(v, *two), v.at(v.at(target, b.mul(j, pairs)), n))

            self._loop(b, i64(0), N, self.width, part)

        def panel(j: Value) -> None:
            start, out = v.at(B, b.mul(j, bcs)), v.at(to, b.mul(j, pairs))
            left = b.sub(N, j)

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
                    b.store(self._pair(b, *two), v.at(target, c), align=4)

                self._loop(b, i64(0), i64(self.width), 1, column)

            with b.if_else(b.icmp_signed("==", brs, i64(1))) as (columns, numbers):
                with columns:
                    self._pack_columns(v, start, bcs, left, K, pairs, out)
                with numbers:
                    self._loop(b, i64(0), pairs, 1, by_columns)

        with b.if_else(b.icmp_signed("==", bcs, i64(1))) as (rows, others):
            with rows:
                self._loop(b, i64(0), pairs, 1, along)
            with others:
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
                    v.store(self._pairs(v, *two), v.at(target, n), v.tail(count))

            self._loop(b, i64(0), pairs, 1, copy)

        self._by_rows(b, M, tile)

    def _along(self, v: Vector, column: Value, q: Value, K: Value) -> Value:
        b, i64 = v.builder, self._i64
        k = b.mul(q, i64(2))
        both = [v.load(v.at(column, at), v.tail(b.sub(K, at))) for at in (k, b.add(k, i64(v.lanes)))]
        return b.bitcast(self._rounded(v, *both), v.type)

    def _narrow(self, b: Any, A: Value, ars: Value, M: Value, K: Value, to: Value, ldt: Value) -> None:
        i64, v = self._i64, Vector(b, self.dtype, self._target)
        pairs = b.sdiv(b.add(K, i64(1)), i64(2))

        def row(m: Value) -> None:
            source, target = v.at(A, b.mul(m, ars)), v.at(to, b.mul(m, ldt))

            def part(q: Value) -> None:
                v.store(self._along(v, source, q, K), v.at(target, q), v.tail(b.sub(pairs, q)))

            self._loop(b, i64(0), pairs, v.lanes, part)

        self._loop(b, i64(0), M, 1, row)
