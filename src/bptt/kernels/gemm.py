"""Products of matrices on vector registers, with one operand packed.

B (K, N) is packed into panels of `width` columns, the last one with zeros at its end: panel j is (K, width),
so that a product reads it from end to end. A tile of C, up to MR rows by one panel, stays in registers
while k runs over K::

    C[i : i + h, j : j + width]  =  Σ_k A[i : i + h, k] B[k, j : j + width]      (+ C where wanted)

Each element of C is one sum in the order of k, whatever tile it is in and wherever the rows are cut: the same
bits for any number of threads.

:class:`Gemm` emits functions into a module of somebody else's, who calls them from code of their own.
:func:`matmul` is the whole product of two arrays, packed in blocks and cut over the pool of threads.
"""

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.kernels import jit
from bptt.kernels.host import Host, host
from bptt.kernels.vector import Value, Vector
from bptt.threads import MOST_PIECES, for_pieces
from bptt.types import Array, Dtype

PIECE = 1 << 25
"""Multiply-adds in a piece of a product, about: what is less is not worth a second thread."""

PACKED = 1 << 21
"""Numbers of B that are packed at a time, at most."""

DEPTH, HEIGHT = 672, 480
"""Most k and most rows of A that are multiplied at a time."""

NEAR = 1 << 19
"""Bytes of packed B that stay in a core's second cache."""


def shape(target: Host) -> tuple[int, int]:
    """Return a tile's most rows MR and its columns NV in vectors: the sums that registers can hold."""
    if target.registers == 32:
        return 12, 2
    return (6, 2) if target.fma else (4, 2)


class Gemm:
    """The parts of products as functions in a module.

    Pointers are to numbers of `dtype`; every stride is an i64 that counts numbers.

    Parameters
    ----------
    module : llvmlite.ir.Module
        What it emits is internal there: not seen from outside, and left out where nothing calls it.
    dtype : dtype
        float32 or float64.
    target : Host, optional
        Default: this processor.
    MR, NV : int, optional
        A tile's most rows, and its columns in vectors. Default: :func:`shape`.

    Attributes
    ----------
    width : int
        Columns of a panel: NV vectors.
    """

    def __init__(
        self,
        module: Any,
        dtype: Dtype,
        target: Host | None = None,
        MR: int | None = None,
        NV: int | None = None,
    ) -> None:
        from llvmlite import ir

        self._ir, self._module, self.dtype = ir, module, np.dtype(dtype)
        self._target = target or host()
        most_rows, vectors = shape(self._target)
        self.MR, self.NV = MR or most_rows, NV or vectors
        self.width = self.NV * self._target.lanes(dtype)
        self._i64, self._p = ir.IntType(64), ir.PointerType()
        self._functions: dict[str, Any] = {}
        self._kind: str = self.dtype.char

    # ---- functions to call

    @property
    def pack(self) -> Any:
        """``pack(B, row stride, column stride, K, N, to)``: write B's panels to ``to``.

        That has room for K · (N rounded up to whole panels) numbers; columns beyond N are zeros.
        """
        return self._function("pack", "pnnnnp", self._pack)

    @property
    def pack_rows(self) -> Any:
        """``pack_rows(A, k stride, M, K, to)``: write A's tiles, whose rows are neighbours in memory (Aᵀ's).

        ``to`` has room for M · K numbers. `product` reads them with a row stride of 0.
        """
        return self._function("pack_rows", "pnnnp", self._pack_rows)

    @property
    def product(self) -> Any:
        """``product(A, row stride, k stride, M, B, panel stride, K, C, row stride, N, add)``.

        C (M, N) = A (M, K) B (K, N), added to what is there where ``add`` (i64) is not 0. B is packed, with
        ``panel stride`` numbers from a panel to the next: K · `width` where all its rows are wanted. A row
        stride of 0 says that `pack_rows` has packed A. M, N and K may be 0.
        """
        return self._function("product", "pnnnpnnpnnn", self._product)

    @property
    def block(self) -> Any:
        """``block(...)``: as `product`, with a tile's rows outside and the panels inside.

        For many rows and a B that stays in a core's second cache; `product` reads each panel once, from
        wherever it is.
        """
        return self._function("block", "pnnnpnnpnnn", self._block)

    # ---- the tile

    def sums(self, v: Vector, rows: list[Value], k_stride: Value, panels: list[Value], K: Value) -> Any:
        """Emit the loop over k, and leave the builder behind it.

        Parameters
        ----------
        v : Vector
            Of the same dtype.
        rows : pointers
            To A's rows, each at k = 0.
        k_stride : i64
        panels : pointers
            To B's panels.
        K : i64

        Returns
        -------
        list of list of vectors
            The sums: for each row, the vectors of all panels from left to right.
        """
        b, i64 = v.builder, self._i64
        columns = [(panel, n) for panel in panels for n in range(self.NV)]
        entry, loop, done = b.block, b.append_basic_block("k"), b.append_basic_block("k.done")
        b.cbranch(b.icmp_signed(">", K, i64(0)), loop, done)
        b.position_at_end(loop)
        k = b.phi(i64)
        k.add_incoming(i64(0), entry)
        sums = [[b.phi(v.type) for _ in columns] for _ in rows]
        of_A, of_B = b.mul(k, k_stride), b.mul(k, i64(self.width))
        Bk = [v.load(v.at(v.at(panel, of_B), n * v.lanes)) for panel, n in columns]
        more = []
        for row, total in zip(rows, sums, strict=True):
            a = v.broadcast(b.load(v.at(row, of_A), typ=v.scalar))
            more.append([self._multiply_add(v, a, Bn, t) for Bn, t in zip(Bk, total, strict=True)])
        after = b.add(k, i64(1))
        k.add_incoming(after, loop)
        b.cbranch(b.icmp_signed("<", after, K), loop, done)
        b.position_at_end(done)
        result: list[list[Value]] = []
        for total, new in zip(sums, more, strict=True):
            result.append([])
            for t, n in zip(total, new, strict=True):
                t.add_incoming(v.const(0.0), entry)
                t.add_incoming(n, loop)
                result[-1].append(both := b.phi(v.type))
                both.add_incoming(v.const(0.0), entry)
                both.add_incoming(n, loop)
        return result

    def _multiply_add(self, v: Vector, a: Value, b: Value, total: Value) -> Value:
        return v.fma(a, b, total)

    def _tile(self, h: int, P: int) -> Any:
        """Return the function of a tile of h rows and P whole panels.

        ``tile(A, row stride, k stride, B, panel stride, K, C, row stride, add)``
        """

        def emit(
            b: Any,
            A: Value,
            ars: Value,
            aks: Value,
            B: Value,
            bps: Value,
            K: Value,
            C: Value,
            ldc: Value,
            add: Value,
        ) -> None:
            v, i64 = Vector(b, self.dtype, self._target), self._i64
            rows = [v.at(A, b.mul(ars, i64(r))) for r in range(h)]
            panels = [v.at(B, b.mul(bps, i64(p))) for p in range(P)]
            to = [v.at(C, b.mul(ldc, i64(r))) for r in range(h)]
            for row in to:  # C comes into the cache while k runs
                for n in range(0, P * self.width, 64 // self.dtype.itemsize):
                    v.prefetch(v.at(row, n))
            is_add = b.icmp_signed("!=", add, i64(0))
            for row, sums in zip(to, self.sums(v, rows, aks, panels, K), strict=True):
                for n, total in enumerate(sums):
                    at = v.at(row, n * v.lanes)
                    v.store(v.add(total, v.select(is_add, v.load(at), v.const(0.0))), at)

        return self._function(f"tile{h}x{P}", "pnnpnnpnn", emit)

    # ---- bodies

    def _product(self, b: Any, A: Value, ars: Value, aks: Value, M: Value, B: Value, bps: Value, K: Value,
                 C: Value, ldc: Value, N: Value, add: Value) -> None:  # fmt: skip
        i64, v = self._i64, Vector(b, self.dtype, self._target)
        is_packed = b.icmp_signed("==", ars, i64(0))
        step = b.select(is_packed, K, ars)  # from a tile to the next, per row
        ars = b.select(is_packed, i64(1), ars)
        panels = b.sdiv(N, i64(self.width))
        left = b.srem(N, i64(self.width))
        edge = b.alloca(v.scalar, i64(self.MR * self.width))
        edge.align = 64

        def tile(h: int, P: int, i: Value, j: Value, C: Value, ldc: Value, add: Value) -> None:
            k_stride = b.select(is_packed, i64(h), aks)
            B_j = v.at(B, b.mul(j, bps))
            b.call(self._tile(h, P), [v.at(A, b.mul(i, step)), ars, k_stride, B_j, bps, K, C, ldc, add])

        def by_height(h: Value, i: Value, j: Value, *to: Value) -> None:
            self._by_height(b, h, lambda rows: tile(rows, 1, i, j, *to))

        def to(i: Value, j: Value) -> Value:
            return v.at(C, b.add(b.mul(i, ldc), b.mul(j, i64(self.width))))

        def panel(j: Value) -> None:
            self._by_rows(b, M, lambda h, i: by_height(h, i, j, to(i, j), ldc, add))

        def thin(h: int, P: int, j: Value) -> None:
            tile(h, P, i64(0), j, to(i64(0), j), ldc, add)

        few = {1: 4, 2: 2, 3: 2}  # panels at a time, where a tile's rows alone are too few sums to wait for
        many, rest, done = (b.append_basic_block(name) for name in ("many", "rest", "done"))
        choice = b.switch(M, many)
        for h, P in few.items():
            block = b.append_basic_block(f"rows{h}")
            choice.add_case(i64(h), block)
            b.position_at_end(block)
            grouped = b.sub(panels, b.srem(panels, i64(P)))
            self._loop(b, i64(0), grouped, P, partial(thin, h, P))
            self._loop(b, grouped, panels, 1, partial(thin, h, 1))
            b.branch(rest)
        b.position_at_end(many)
        self._loop(b, i64(0), panels, 1, panel)
        b.branch(rest)

        b.position_at_end(rest)  # the columns of a panel that is not whole: by way of a whole tile beside C
        last = b.append_basic_block("last")
        b.cbranch(b.icmp_signed(">", left, i64(0)), last, done)
        b.position_at_end(last)
        masks = [v.tail(b.sub(left, i64(n * v.lanes))) for n in range(self.NV)]
        is_add = b.icmp_signed("!=", add, i64(0))

        def last_tile(h: Value, i: Value) -> None:
            by_height(h, i, panels, edge, i64(self.width), i64(0))
            C_i = to(i, panels)

            def row(r: Value) -> None:
                for n, mask in enumerate(masks):
                    total = v.load(v.at(edge, b.add(b.mul(r, i64(self.width)), i64(n * v.lanes))))
                    at = v.at(C_i, b.add(b.mul(r, ldc), i64(n * v.lanes)))
                    v.store(v.add(total, v.select(is_add, v.load(at, mask), v.const(0.0))), at, mask)

            self._loop(b, i64(0), h, 1, row)

        self._by_rows(b, M, last_tile)
        b.branch(done)
        b.position_at_end(done)

    def _block(self, b: Any, A: Value, ars: Value, aks: Value, M: Value, B: Value, bps: Value, K: Value,
               C: Value, ldc: Value, N: Value, add: Value) -> None:  # fmt: skip
        v = Vector(b, self.dtype, self._target)
        step = b.select(b.icmp_signed("==", ars, self._i64(0)), K, ars)

        def rows(h: Value, i: Value) -> None:
            A_i, C_i = v.at(A, b.mul(i, step)), v.at(C, b.mul(i, ldc))
            b.call(self.product, [A_i, ars, aks, h, B, bps, K, C_i, ldc, N, add])

        self._by_rows(b, M, rows)

    def _by_rows(self, b: Any, M: Value, emit: Callable[[Value, Value], None]) -> None:
        """Emit the loop over tiles of rows, as few and as even as can be; `emit` has height and place."""
        i64 = self._i64
        count = b.sdiv(b.add(M, i64(self.MR - 1)), i64(self.MR))
        count = b.select(b.icmp_signed(">", count, i64(0)), count, i64(1))
        base, extra = b.sdiv(M, count), b.srem(M, count)

        def tile(t: Value) -> None:
            is_higher = b.icmp_signed("<", t, extra)
            i = b.add(b.mul(t, base), b.select(is_higher, t, extra))
            emit(b.add(base, b.zext(is_higher, i64)), i)

        self._loop(b, i64(0), count, 1, tile)

    def _by_height(self, b: Any, h: Value, emit: Callable[[int], None]) -> None:
        """Emit code for each height that a tile can have, and the choice of it."""
        after = b.append_basic_block("tile.done")
        choice = b.switch(h, after)
        for rows in range(1, self.MR + 1):
            block = b.append_basic_block(f"tile{rows}")
            choice.add_case(self._i64(rows), block)
            b.position_at_end(block)
            emit(rows)
            b.branch(after)
        b.position_at_end(after)

    def _pack(self, b: Any, B: Value, brs: Value, bcs: Value, K: Value, N: Value, to: Value) -> None:
        i64, v = self._i64, Vector(b, self.dtype, self._target)

        def panel(j: Value) -> None:
            start, out = v.at(B, b.mul(j, bcs)), v.at(to, b.mul(j, K))
            left = b.sub(N, j)

            def by_vectors(k: Value) -> None:
                source, target = v.at(start, b.mul(k, brs)), v.at(out, b.mul(k, i64(self.width)))
                for n in range(self.NV):
                    mask = v.tail(b.sub(left, i64(n * v.lanes)))
                    v.store(v.load(v.at(source, n * v.lanes), mask), v.at(target, n * v.lanes))

            def by_columns(c: Value) -> None:
                source, target = v.at(start, b.mul(c, bcs)), v.at(out, c)
                is_there = b.icmp_signed("<", c, left)

                def zero(k: Value) -> None:
                    b.store(v.scalar(0.0), v.at(target, b.mul(k, i64(self.width))))

                def copy(k: Value) -> None:
                    b.store(
                        b.load(v.at(source, b.mul(k, brs)), typ=v.scalar),
                        v.at(target, b.mul(k, i64(self.width))),
                    )

                with b.if_else(is_there) as (there, not_there):
                    with there:
                        self._loop(b, i64(0), K, 1, copy)
                    with not_there:
                        self._loop(b, i64(0), K, 1, zero)

            with b.if_else(b.icmp_signed("==", bcs, i64(1))) as (rows, columns):
                with rows:
                    self._loop(b, i64(0), K, 1, by_vectors)
                with columns:
                    self._loop(b, i64(0), i64(self.width), 1, by_columns)

        self._loop(b, i64(0), N, self.width, panel)

    def _pack_rows(self, b: Any, A: Value, aks: Value, M: Value, K: Value, to: Value) -> None:
        i64, v = self._i64, Vector(b, self.dtype, self._target)

        def tile(h: Value, i: Value) -> None:
            start, out = v.at(A, i), v.at(to, b.mul(i, K))
            masks = [v.tail(b.sub(h, i64(n))) for n in range(0, self.MR, v.lanes)]

            def copy(k: Value) -> None:
                source, target = v.at(start, b.mul(k, aks)), v.at(out, b.mul(k, h))
                for n, mask in zip(range(0, self.MR, v.lanes), masks, strict=True):
                    v.store(v.load(v.at(source, n), mask), v.at(target, n), mask)

            self._loop(b, i64(0), K, 1, copy)

        self._by_rows(b, M, tile)

    # ---- LLVM

    def _function(self, name: str, arguments: str, emit: Callable[..., None]) -> Any:
        """Return a function of pointers (p) and i64 (n), made at its first use."""
        if name not in self._functions:
            ir = self._ir
            kinds = [self._p if a == "p" else self._i64 for a in arguments]
            of = f"{self._target.lanes(self.dtype)}x{self.NV}"
            function = ir.Function(
                self._module, ir.FunctionType(ir.VoidType(), kinds), f"gemm.{self._kind}{of}.{name}"
            )
            function.linkage = "internal"
            function.attributes.add("noinline")
            self._functions[name] = function
            b = ir.IRBuilder(function.append_basic_block("entry"))
            emit(b, *function.args)
            b.ret_void()
        return self._functions[name]

    def _loop(self, b: Any, start: Value, stop: Value, step: int, emit: Callable[[Value], None]) -> None:
        """Emit ``for n in range(start, stop, step)``."""
        i64 = self._i64
        entry, loop, done = b.block, b.append_basic_block("loop"), b.append_basic_block("loop.done")
        b.cbranch(b.icmp_signed("<", start, stop), loop, done)
        b.position_at_end(loop)
        n = b.phi(i64)
        n.add_incoming(start, entry)
        emit(n)
        after = b.add(n, i64(step))
        n.add_incoming(after, b.block)
        b.cbranch(b.icmp_signed("<", after, stop), loop, done)
        b.position_at_end(done)


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

            with b.if_else(b.icmp_signed("==", bcs, i64(1))) as (rows, columns):
                with rows:
                    self._loop(b, i64(0), pairs, 1, by_vectors)
                with columns:
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

    def _narrow(self, b: Any, A: Value, ars: Value, M: Value, K: Value, to: Value, ldt: Value) -> None:
        ir, i64, v = self._ir, self._i64, Vector(b, self.dtype, self._target)
        pairs = b.sdiv(b.add(K, i64(1)), i64(2))
        kind = ir.VectorType(ir.IntType(32), v.lanes)

        def row(m: Value) -> None:
            source, target = v.at(A, b.mul(m, ars)), v.at(to, b.mul(m, ldt))

            def part(q: Value) -> None:
                k = b.mul(q, i64(2))
                both = [v.load(v.at(source, at), v.tail(b.sub(K, at))) for at in (k, b.add(k, i64(v.lanes)))]
                two = [
                    b.shuffle_vector(*both, ir.Constant(kind, [2 * n + odd for n in range(v.lanes)]))
                    for odd in (0, 1)
                ]
                pair = b.bitcast(self._pair(b, two, v.bits), v.type)
                v.store(pair, v.at(target, q), v.tail(b.sub(pairs, q)))

            self._loop(b, i64(0), pairs, v.lanes, part)

        self._loop(b, i64(0), M, 1, row)


# ---- whole products


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
        Where the product is to be; the numbers of a row are neighbours.
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
    if out is None:
        out, add = np.empty((A.shape[0], B.shape[-1]), A.dtype), False
    _check(A, B, out)
    if bfloat16 and A.dtype != np.float32:
        raise ShapeError(f"matmul: A and B must be float32 to be rounded to bfloat16, got {A.dtype}")
    (M, K), N = A.shape, B.shape[1]
    if K == 0 and not add:
        out[...] = 0
    if 0 in (M, K, N):
        return out
    if 0 in A.strides:
        A = A.copy()  # a row stride of 0 means something else
    if bfloat16 and A.itemsize not in A.strides:
        A = A.copy()  # neighbours make the pairs
    parts = _parts("bfloat16" if bfloat16 else A.dtype.char, host())
    width = parts.width
    depth = K if K * min(N, 2048) <= PACKED else min(K, 1024)
    columns = max(1, PACKED // (depth * width)) * width
    packed = _scratch("B", depth * min(columns, N + width), A.dtype)
    for n in range(0, N, columns):
        for k in range(0, K, depth):
            parts.pack_B(B[k : k + depth, n : n + columns], packed)
            parts.multiply(A[:, k : k + depth], packed, out[:, n : n + columns], add or k > 0)
    return out


def _check(A: Array, B: Array, out: Array) -> None:
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[0]:
        raise ShapeError(f"matmul: A must be (M, K) and B (K, N), got {A.shape} and {B.shape}")
    if A.dtype.char not in "fd" or not A.dtype == B.dtype == out.dtype:
        given = f"{A.dtype}, {B.dtype} and {out.dtype}"
        raise ShapeError(f"matmul: A, B and out must be all float32 or all float64, got {given}")
    if out.shape != (A.shape[0], B.shape[1]):
        raise ShapeError(f"matmul: out must be (M, N) = {(A.shape[0], B.shape[1])}, got {out.shape}")
    if out.size and out.shape[1] > 1 and out.strides[1] != out.itemsize:
        raise ShapeError("matmul: the numbers of a row of out must be neighbours; give an array of its own")


def aligned(size: int, dtype: Dtype) -> Array:
    """Return an uninitialised array of `size` numbers that begins where a line of the caches does."""
    room = np.empty(size * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * np.dtype(dtype).itemsize].view(dtype)


_own = threading.local()


def _scratch(name: str, size: int, dtype: np.dtype[Any]) -> Array:
    """Return this thread's own array of that name, at least as large, made once."""
    key = name + dtype.char
    room: Array | None = getattr(_own, key, None)
    if room is None or room.size < size:
        room = aligned(size, dtype)
        setattr(_own, key, room)
    return room


def _strides(array: Array) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in array.strides)


class _Parts:
    """The functions of :class:`Gemm`, to call from Python.

    Parameters
    ----------
    kind : str
        ``f``, ``d`` or ``bfloat16``.
    """

    def __init__(self, kind: str) -> None:
        library = jit.build(lambda: _module(kind), kind)
        pointer, n = ctypes.c_void_p, ctypes.c_int64
        self.step = 2 if kind == "bfloat16" else 1  # numbers of A that are packed to one
        self.width = shape(host())[1] * host().lanes(np.float32 if kind == "bfloat16" else kind)
        self._pack = library.function("pack", pointer, n, n, n, n, pointer)
        self._pack_rows = library.function("pack_rows", pointer, n, n, n, pointer)
        self._block = library.function("block", pointer, n, n, n, pointer, n, n, pointer, n, n, n)
        if self.step == 2:
            self._narrow = library.function("narrow", pointer, n, n, n, pointer, n)

    def pack_B(self, B: Array, to: Array) -> None:  # noqa: N802
        """Write B's panels, on the pool."""
        (K, N), size = B.shape, B.itemsize
        rows, columns = _strides(B)

        def panels(cut: slice) -> None:
            j = cut.start * self.width
            count = min(N, cut.stop * self.width) - j
            source, target = (
                B.ctypes.data + j * columns * size,
                to.ctypes.data + j * -(-K // self.step) * size,
            )
            self._pack(source, rows, columns, K, count, target)

        pieces = min(MOST_PIECES, K * N >> 17)
        if pieces <= 1:  # without the machinery: it is longer than the work
            panels(slice(0, -(-N // self.width)))
        else:
            for_pieces(panels, -(-N // self.width), pieces)

    def multiply(self, A: Array, packed: Array, out: Array, add: bool) -> None:
        """Multiply by a packed B, on the pool."""
        (M, K), N, width = A.shape, out.shape[1], self.width
        panels = -(-N // width)
        pieces = max(1, min(MOST_PIECES, M * N * K // PIECE))
        by_columns = max(1, min(pieces, N // 512))
        by_rows = max(1, min(pieces // by_columns, M // 48))
        by_columns = max(1, min(pieces // by_rows, panels))
        work = self._blocks(A, packed, out, add)
        if by_rows * by_columns == 1:
            work(0, M, 0, N)
            return

        def piece(cut: slice) -> None:
            r, c = divmod(cut.start, by_columns)
            first, last = c * panels // by_columns * width, (c + 1) * panels // by_columns * width
            work(r * M // by_rows, (r + 1) * M // by_rows, first, min(N, last))

        for_pieces(piece, by_rows * by_columns, by_rows * by_columns)

    def _blocks(self, A: Array, packed: Array, out: Array, add: bool) -> Callable[[int, int, int, int], None]:
        """Return the function that makes a part of the product: these rows, these columns, from and to."""
        K, size, step = A.shape[1], A.itemsize, self.step
        rows, columns = _strides(A)
        ldc = _strides(out)[0]
        at_A, at_B, at_C = A.ctypes.data, packed.ctypes.data, out.ctypes.data
        is_across = rows == 1 and columns != 1  # Aᵀ: a tile's numbers for one k are neighbours
        depth = -(-K // step)

        def work(top: int, bottom: int, left: int, right: int) -> None:
            for q, q_end in _even(depth, DEPTH):
                k, k_end, deep = q * step, min(K, q_end * step), q_end - q
                width = max(1, NEAR // (size * self.width * deep)) * self.width
                B = at_B + q * self.width * size
                for m, m_end in _even(bottom - top, HEIGHT):
                    m, m_end = m + top, m_end + top
                    source, strides = at_A + (m * rows + k * columns) * size, (rows, columns)
                    if is_across or step == 2:
                        block = _scratch("A", (m_end - m) * deep, A.dtype).ctypes.data
                        if is_across:
                            self._pack_rows(source, columns, m_end - m, k_end - k, block)
                            strides = 0, 0
                        else:
                            self._narrow(source, rows, m_end - m, k_end - k, block, deep)
                            strides = deep, 1
                        source = block
                    C = at_C + m * ldc * size
                    for n in range(left, right, width):
                        self._block(
                            *(source, *strides, m_end - m),
                            *(B + n * depth * size, depth * self.width, deep),
                            *(C + n * size, ldc, min(width, right - n)),
                            add or k > 0,
                        )

        return work


def _even(n: int, most: int) -> list[tuple[int, int]]:
    """Return the borders of as few parts as can be, all about as large."""
    count = -(-n // most)
    return [(i * n // count, (i + 1) * n // count) for i in range(count)]


@cache
def _parts(kind: str, _: Host) -> _Parts:
    return _Parts(kind)


def _module(kind: str) -> Any:
    """Return a module with the functions of :class:`Gemm`, seen from outside."""
    from llvmlite import ir

    module = ir.Module()
    parts = Gemm16(module) if kind == "bfloat16" else Gemm(module, kind)
    for name in ("pack", "pack_rows", "block") + ("narrow",) * (kind == "bfloat16"):
        inner = getattr(parts, name)
        outer = ir.Function(module, inner.ftype, name)
        b = ir.IRBuilder(outer.append_basic_block())
        b.call(inner, outer.args)
        b.ret_void()
    return module
