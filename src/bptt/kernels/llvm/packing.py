"""Operands of products, packed: what one step of a product reads lies side by side, in the order of k.

B (K, N) is packed into panels of `width` columns, the last one with zeros at its end: panel j is (K, width).
An A whose rows are neighbours in memory is packed into tiles of up to MR rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.loops import count_loop, i32, i64, pointer
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


class Packing:
    """The packing of operands as functions in a module.

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
    group : int
        Packed numbers of k come by so many, with zeros at the end.
    beyond : int
        Rows of A beyond the last that are read, too: there must be memory.
    """

    step, group, beyond = 1, 1, 0

    def __init__(self, module: Any, dtype: Dtype, target: Host | None = None) -> None:
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

    @classmethod
    def depth(cls, K: int) -> int:
        """Return how long K numbers of k are, packed."""
        return -(-K // (cls.step * cls.group)) * cls.group

    def deep(self, b: Any, K: Value) -> Value:
        """Emit the same."""
        numbers = self.step * self.group
        return b.mul(b.sdiv(b.add(K, i64(numbers - 1)), i64(numbers)), i64(self.group))

    # ---- bodies

    def _pack(self, b: Any, B: Value, brs: Value, bcs: Value, K: Value, N: Value, to: Value) -> None:
        v, deep = Vector(b, self.dtype, self._target), self.deep(b, K)
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

        def squares(q: Value, is_whole: bool) -> None:
            for n in range(0, self.width, L):
                columns = []
                for c in range(n, n + L):
                    is_there = b.icmp_signed("<", i64(c), left)
                    # also a load of which no lane is wanted is slow where there is no memory
                    column = v.at(start, b.select(is_there, b.mul(bcs, i64(c)), i64(0)))
                    columns.append(self._along(v, column, q, b.select(is_there, K, i64(0)), is_whole))
                for r, row in enumerate(transposed(v, columns)):
                    at = b.add(q, i64(r))
                    place = v.at(v.at(out, b.mul(at, i64(self.width))), n)
                    if is_whole:
                        v.store(row, place)
                    else:
                        with b.if_then(b.icmp_signed("<", at, deep)):
                            v.store(row, place)

        with count_loop(b, deep, L) as q:
            is_inside = b.icmp_signed("<=", b.mul(b.add(q, i64(L)), i64(self.step)), K)
            is_whole = b.and_(is_inside, b.icmp_signed(">=", left, i64(self.width)))
            with b.if_else(is_whole) as (whole, edge):
                with whole:
                    squares(q, True)
                with edge:
                    squares(q, False)

    def _pack_rows(self, b: Any, A: Value, aks: Value, M: Value, K: Value, to: Value) -> None:
        v, deep = Vector(b, self.dtype, self._target), self.deep(b, K)

        def tile(h: Value, i: Value) -> None:
            start, out = v.at(A, i), v.at(to, b.mul(i, deep))
            with count_loop(b, deep) as q:
                target = v.at(out, b.mul(q, h))
                for n in range(0, self.MR, v.lanes):
                    count = b.sub(h, i64(n))
                    row = self._row(v, v.at(start, n), q, aks, K, count)
                    behind = b.add(b.mul(q, h), i64(n + v.lanes))
                    with b.if_else(b.icmp_signed(">", behind, b.mul(deep, h))) as (last, others):
                        with last:
                            v.store(row, v.at(target, n), v.tail(count))
                        with others:  # what is written beyond its end is the next row's, which comes after
                            v.store(row, v.at(target, n))

        self._by_rows(b, M, tile)

    def _row(self, v: Vector, at: Value, q: Value, stride: Value, K: Value, count: Value) -> Value:
        """Return the first `count` numbers of the packed row q, of rows that begin at `at`; zeros beyond."""
        return v.load(v.at(at, v.builder.mul(q, stride)), v.tail(count))

    def _along(self, v: Vector, column: Value, q: Value, K: Value, is_whole: bool) -> Value:
        """Return a vector of a column's numbers from the packed row q on; zeros from K on."""
        return v.load(v.at(column, q), None if is_whole else v.tail(v.builder.sub(K, q)))

    # ---- LLVM

    def _by_rows(self, b: Any, M: Value, emit: Callable[[Value, Value], None]) -> None:
        """Emit the loop over tiles of rows, as few and as even as can be; `emit` has height and place."""
        count = b.sdiv(b.add(M, i64(self.MR - 1)), i64(self.MR))
        count = b.select(b.icmp_signed(">", count, i64(0)), count, i64(1))
        base, extra = b.sdiv(M, count), b.srem(M, count)
        with count_loop(b, count) as t:
            is_higher = b.icmp_signed("<", t, extra)
            i = b.add(b.mul(t, base), b.select(is_higher, t, extra))
            emit(b.add(base, b.zext(is_higher, i64)), i)

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


def transposed(v: Vector, rows: list[Value]) -> list[Value]:
    """Return the columns of a square of as many vectors as one has lanes: swapped by halves, quarters, ..."""
    kind, L, size = ir.VectorType(i32, v.lanes), v.lanes, 1
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
