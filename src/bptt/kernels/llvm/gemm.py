"""Products of matrices on vector registers, with one operand packed: functions for other code to call.

B (K, N) is packed into panels of `width` columns, the last one with zeros at its end: panel j is (K, width),
so that a product reads it from end to end. A tile of C, up to MR rows by one panel, stays in registers
while k runs over K::

    C[i : i + h, j : j + width]  =  Σ_k A[i : i + h, k] B[k, j : j + width]      (+ C where wanted)

Each element of C is one sum in the order of k, whatever tile it is in and wherever the rows are cut: the same
bits for any number of threads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.loops import count_loop, i64, pointer
from bptt.kernels.llvm.vector import Value, Vector
from bptt.types import Dtype

AHEAD = 4
"""Rows that are asked for before they are packed: parts of rows are too short for the processor to foresee.
"""


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

    Attributes
    ----------
    MR, NV : int
        A tile's most rows, and its columns in vectors: :func:`shape`.
    width : int
        Columns of a panel: NV vectors.
    step : int
        Numbers of k that are packed to one.
    """

    step = 1

    def __init__(
        self,
        module: Any,
        dtype: Dtype,
        target: Host | None = None,
    ) -> None:
        self._module, self.dtype, self._target = module, np.dtype(dtype), target or host()
        self.MR, self.NV = shape(self._target)
        self.width = self.NV * self._target.lanes(dtype)
        self._functions: dict[str, Any] = {}
        self._kind: str = self.dtype.char

    # ---- functions to call

    @property
    def pack(self) -> Any:
        """``pack(B, row stride, column stride, K, N, to)``: write B's panels to ``to``; a stride is 1.

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
        b = v.builder
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
            v = Vector(b, self.dtype, self._target)
            rows = [v.at(A, b.mul(ars, i64(r))) for r in range(h)]
            panels = [v.at(B, b.mul(bps, i64(p))) for p in range(P)]
            to = [v.at(C, b.mul(ldc, i64(r))) for r in range(h)]
            for row in to:  # C comes into the cache while k runs
                for n in range(0, P * self.width, 64 // self.dtype.itemsize):
                    v.prefetch(v.at(row, n), to_write=True)
            is_add = b.icmp_signed("!=", add, i64(0))
            for row, sums in zip(to, self.sums(v, rows, aks, panels, K), strict=True):
                for n, total in enumerate(sums):
                    at = v.at(row, n * v.lanes)
                    v.store(v.add(total, v.select(is_add, v.load(at), v.const(0.0))), at)

        return self._function(f"tile{h}x{P}", "pnnpnnpnn", emit)

    # ---- bodies

    def _product(self, b: Any, A: Value, ars: Value, aks: Value, M: Value, B: Value, bps: Value, K: Value,
                 C: Value, ldc: Value, N: Value, add: Value) -> None:  # fmt: skip
        v = Vector(b, self.dtype, self._target)
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

        few = {1: (4, 3, 2, 1), 2: (2, 1), 3: (2, 1)}  # panels at once, where a tile's rows are too few sums
        many, rest, done = (b.append_basic_block(name) for name in ("many", "rest", "done"))
        choice = b.switch(M, many)
        for h, sizes in few.items():
            block = b.append_basic_block(f"rows{h}")
            choice.add_case(i64(h), block)
            b.position_at_end(block)
            done_to = i64(0)
            for P in sizes:
                to_P = b.sub(panels, b.srem(b.sub(panels, done_to), i64(P)))
                with count_loop(b, to_P, P, start=done_to) as j:
                    tile(h, P, i64(0), j, to(i64(0), j), ldc, add)
                done_to = to_P
            b.branch(rest)
        b.position_at_end(many)
        with count_loop(b, panels) as j:

            def whole_tile(h: Value, i: Value) -> None:
                by_height(h, i, j, to(i, j), ldc, add)

            self._by_rows(b, M, whole_tile)
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
            with count_loop(b, h) as r:
                for n, mask in enumerate(masks):
                    total = v.load(v.at(edge, b.add(b.mul(r, i64(self.width)), i64(n * v.lanes))))
                    at = v.at(C_i, b.add(b.mul(r, ldc), i64(n * v.lanes)))
                    v.store(v.add(total, v.select(is_add, v.load(at, mask), v.const(0.0))), at, mask)

        self._by_rows(b, M, last_tile)
        b.branch(done)
        b.position_at_end(done)

    def _block(self, b: Any, A: Value, ars: Value, aks: Value, M: Value, B: Value, bps: Value, K: Value,
               C: Value, ldc: Value, N: Value, add: Value) -> None:  # fmt: skip
        v = Vector(b, self.dtype, self._target)
        step = b.select(b.icmp_signed("==", ars, i64(0)), K, ars)

        def rows(h: Value, i: Value) -> None:
            A_i, C_i = v.at(A, b.mul(i, step)), v.at(C, b.mul(i, ldc))
            b.call(self.product, [A_i, ars, aks, h, B, bps, K, C_i, ldc, N, add])

        self._by_rows(b, M, rows)

    def _by_rows(self, b: Any, M: Value, emit: Callable[[Value, Value], None]) -> None:
        """Emit the loop over tiles of rows, as few and as even as can be; `emit` has height and place."""
        count = b.sdiv(b.add(M, i64(self.MR - 1)), i64(self.MR))
        count = b.select(b.icmp_signed(">", count, i64(0)), count, i64(1))
        base, extra = b.sdiv(M, count), b.srem(M, count)
        with count_loop(b, count) as t:
            is_higher = b.icmp_signed("<", t, extra)
            i = b.add(b.mul(t, base), b.select(is_higher, t, extra))
            emit(b.add(base, b.zext(is_higher, i64)), i)

    def _by_height(self, b: Any, h: Value, emit: Callable[[int], None]) -> None:
        """Emit code for each height that a tile can have, and the choice of it."""
        after = b.append_basic_block("tile.done")
        choice = b.switch(h, after)
        for rows in range(1, self.MR + 1):
            block = b.append_basic_block(f"tile{rows}")
            choice.add_case(i64(rows), block)
            b.position_at_end(block)
            emit(rows)
            b.branch(after)
        b.position_at_end(after)

    def _deep(self, b: Any, K: Value) -> Value:
        """Return how long K numbers of k are, packed."""
        return b.sdiv(b.add(K, i64(self.step - 1)), i64(self.step))

    def _pack(self, b: Any, B: Value, brs: Value, bcs: Value, K: Value, N: Value, to: Value) -> None:
        v, deep = Vector(b, self.dtype, self._target), self._deep(b, K)
        with b.if_else(b.icmp_signed("==", bcs, i64(1))) as (rows, columns):
            # as the rows lie, so that memory is read from end to end
            with rows, count_loop(b, deep) as q, count_loop(b, N, self.width) as j:
                target = v.at(v.at(to, b.mul(q, i64(self.width))), b.mul(j, deep))
                for n in range(0, self.width, v.lanes):
                    at = b.add(j, i64(n))
                    ahead = b.mul(b.add(q, i64(AHEAD)), b.mul(brs, i64(self.step)))
                    v.prefetch(v.at(v.at(B, at), ahead), to_write=False)
                    v.store(self._row(v, v.at(B, at), q, brs, K, b.sub(N, at)), v.at(target, n))
            with columns, count_loop(b, N, self.width) as j:
                start, out = v.at(B, b.mul(j, bcs)), v.at(to, b.mul(j, deep))
                self._pack_columns(v, start, bcs, b.sub(N, j), K, deep, out)

    def _pack_columns(
        self, v: Vector, start: Value, bcs: Value, left: Value, K: Value, deep: Value, out: Value
    ) -> None:
        """Emit the packing of a panel whose columns' numbers are neighbours: squares, transposed."""
        b, L = v.builder, v.lanes
        with count_loop(b, deep, L) as q:
            for n in range(0, self.width, L):
                columns = []
                for c in range(n, n + L):
                    is_there = b.icmp_signed("<", i64(c), left)
                    # also a load of which no lane is wanted is slow where there is no memory
                    column = v.at(start, b.select(is_there, b.mul(bcs, i64(c)), i64(0)))
                    columns.append(self._along(v, column, q, b.select(is_there, K, i64(0))))
                for r, row in enumerate(_transposed(v, columns)):
                    at = b.add(q, i64(r))
                    wanted = b.select(b.icmp_signed("<", at, deep), i64(L), i64(0))
                    v.store(row, v.at(v.at(out, b.mul(at, i64(self.width))), n), v.tail(wanted))

    def _pack_rows(self, b: Any, A: Value, aks: Value, M: Value, K: Value, to: Value) -> None:
        v, deep = Vector(b, self.dtype, self._target), self._deep(b, K)

        def tile(h: Value, i: Value) -> None:
            start, out = v.at(A, i), v.at(to, b.mul(i, deep))
            with count_loop(b, deep) as q:
                target = v.at(out, b.mul(q, h))
                for n in range(0, self.MR, v.lanes):
                    count = b.sub(h, i64(n))
                    v.store(self._row(v, v.at(start, n), q, aks, K, count), v.at(target, n), v.tail(count))

        self._by_rows(b, M, tile)

    def _row(self, v: Vector, at: Value, q: Value, stride: Value, K: Value, count: Value) -> Value:
        """Return the first `count` numbers of the packed row q, of rows that begin at `at`; zeros beyond."""
        return v.load(v.at(at, v.builder.mul(q, stride)), v.tail(count))

    def _along(self, v: Vector, column: Value, q: Value, K: Value) -> Value:
        """Return a vector of a column's numbers from the packed row q on; zeros from K on."""
        return v.load(v.at(column, q), v.tail(v.builder.sub(K, q)))

    # ---- LLVM

    def _function(self, name: str, arguments: str, emit: Callable[..., None]) -> Any:
        """Return a function of pointers (p) and i64 (n), made at its first use."""
        if name not in self._functions:
            kinds = [pointer if a == "p" else i64 for a in arguments]
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


def _transposed(v: Vector, rows: list[Value]) -> list[Value]:
    """Return the columns of a square of as many vectors as one has lanes: swapped by halves, quarters, ..."""
    kind, L, size = ir.VectorType(ir.IntType(32), v.lanes), v.lanes, 1
    while size < L:
        low = [j if not j & size else L + j - size for j in range(L)]
        high = [j + size if not j & size else L + j for j in range(L)]
        for i in range(L):
            if not i & size:
                two = rows[i], rows[i + size]
                rows[i] = v.builder.shuffle_vector(*two, ir.Constant(kind, low))
                rows[i + size] = v.builder.shuffle_vector(*two, ir.Constant(kind, high))
        size *= 2
    return rows
