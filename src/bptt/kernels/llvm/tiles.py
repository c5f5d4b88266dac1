"""Products of bfloat16 on tile registers (AMX): 16 rows by 16 columns and 32 k in one instruction.

A tile of C has up to 32 rows by a panel, or up to 16 by two. Operands are packed as :class:`Gemm16` has them,
but for rows side by side, and with zeros up to whole tiles of k; rows of A beyond the last are read, and what
comes of them is written nowhere. So every tile is whole, and the registers are set up once for a work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

from llvmlite import ir

from bptt.kernels.llvm.bfloat16 import Gemm16
from bptt.kernels.llvm.gemm import Gemm, Product
from bptt.kernels.llvm.host import Host
from bptt.kernels.llvm.loops import call, count_loop, i8, i64
from bptt.kernels.llvm.packing import transposed
from bptt.kernels.llvm.vector import Value, Vector
from bptt.types import Dtype

SIDE = 16
"""A tile's rows, its columns of float32, and its pairs of k."""

_A, _LAST = 4, 8
"""Registers: those before are of C, then come those of A and those of B."""


def gemm_for(kind: str, target: Host) -> type[Gemm]:
    """Return what emits the products of ``float32``, ``float64`` (or ``f``, ``d``) or ``bfloat16``."""
    if kind != "bfloat16":
        return Gemm
    return Tiles if target.tiles else Gemm16


class Tiles(Gemm16):
    """Products of numbers rounded to bfloat16, where the processor has registers for tiles of them.

    Each element of C is a sum over blocks of 32 k, each of which is summed by itself: whatever tile it is in.
    """

    group = SIDE
    beyond = 2 * SIDE - 1

    def __init__(self, module: Any, kind: Dtype, target: Host | None = None) -> None:
        super().__init__(module, kind, target)
        self.MR, self._kind = 2 * SIDE, "tiles."

    @contextmanager
    def ready(self, b: Any) -> Iterator[None]:
        """Emit what sets all registers to whole tiles before, and gives them back after, what is inside."""
        name = f"gemm.{self._kind}form"
        if name not in self._module.globals:
            # palette 1; from byte 16 each register's bytes of a row, from byte 48 its rows
            words = bytearray([1, *[0] * 15, *[4 * SIDE, 0] * 8, *[0] * 16, *[SIDE] * 8, *[0] * 8])
            kind = ir.ArrayType(i8, len(words))
            form = ir.GlobalVariable(self._module, kind, name)
            form.initializer, form.global_constant, form.linkage = ir.Constant(kind, words), True, "internal"
        _emit(b, "ldtilecfg", self._module.globals[name])
        yield
        _emit(b, "tilerelease")

    @property
    def block(self) -> Any:
        """The same as `product`: rows are outside in both."""
        return self.product

    def _product(self, b: Any, *given: Value) -> None:
        v, p = Vector(b, self.dtype, self._target), Product(*given)
        A_row = b.select(b.icmp_signed("==", p.A_row, i64(0)), p.K, p.A_row)
        panels = b.sdiv(b.add(p.N, i64(self.width - 1)), i64(self.width))

        def rows(h: Value, i: Value) -> None:
            A, C = v.at(p.A, b.mul(i, A_row)), v.at(p.C, b.mul(i, p.C_row))

            def tiles(R: int, P: int, start: Value, stop: Value) -> None:
                with count_loop(b, stop, P, start=start) as j:
                    column = b.mul(j, i64(self.width))
                    B, at, n = v.at(p.B, b.mul(j, p.B_panel)), v.at(C, column), b.sub(p.N, column)
                    b.call(self._tile(R, P), [A, A_row, B, p.B_panel, p.K, at, p.C_row, p.add, h, n])

            with b.if_else(b.icmp_signed(">", h, i64(SIDE))) as (many, few):
                with many:
                    tiles(2, 1, i64(0), panels)
                with few:
                    in_twos = b.sub(panels, b.srem(panels, i64(2)))
                    tiles(1, 2, i64(0), in_twos)
                    tiles(1, 1, in_twos, panels)

        self._by_rows(b, p.M, rows)

    def _tile(self, R: int, P: int) -> Any:
        """Return the function of up to R · 16 rows, h, and up to P panels, of n columns."""

        def emit(b: Any, *given: Value) -> None:
            v = Vector(b, self.dtype, self._target)
            A, A_row, B, B_panel, K, C, C_row, add, h, n = given
            columns = [*product(range(P), range(0, self.width, SIDE))]
            room = b.alloca(v.scalar, R * SIDE * SIDE * len(columns))
            room.align = 64
            C_tiles = [*product(range(R), range(len(columns)))]
            for tile in range(len(C_tiles)):
                _emit(b, "tilezero", i8(tile))
            with count_loop(b, K, SIDE) as q:
                for r in range(R):
                    at = v.at(A, b.add(q, b.mul(A_row, i64(r * SIDE))))
                    _emit(b, "tileloadd64", i8(_A + r), at, _bytes(b, A_row))
                for c, (panel, column) in enumerate(columns):
                    own = _A + R + c % (_LAST - _A - R)
                    at = v.at(v.at(B, b.mul(B_panel, i64(panel))), b.mul(q, i64(self.width)))
                    _emit(b, "tileloadd64", i8(own), v.at(at, column), i64(4 * self.width))
                    for r in range(R):
                        _emit(b, "tdpbf16ps", i8(r * len(columns) + c), i8(_A + r), i8(own))
            width = SIDE * len(columns)
            is_whole = b.and_(b.icmp_signed("==", h, i64(R * SIDE)), b.icmp_signed(">=", n, i64(width)))
            is_plain = b.and_(is_whole, b.icmp_signed("==", add, i64(0)))
            to, stride = b.select(is_plain, C, room), b.select(is_plain, C_row, i64(width))
            for tile, (r, c) in enumerate(C_tiles):
                at = v.at(to, b.add(b.mul(stride, i64(r * SIDE)), i64(c * SIDE)))
                _emit(b, "tilestored64", i8(tile), at, _bytes(b, stride))
            with b.if_then(b.not_(is_plain)), count_loop(b, h) as row:
                source, target = v.at(room, b.mul(row, i64(width))), v.at(C, b.mul(row, C_row))
                is_add = b.icmp_signed("!=", add, i64(0))
                for c in range(0, width, v.lanes):
                    mask, at = v.tail(b.sub(n, i64(c))), v.at(target, c)
                    before = v.select(is_add, v.load(at, mask), v.const(0.0))
                    v.store(v.add(v.load(v.at(source, c)), before), at, mask)

        return self._function(f"tile{R}x{P}", "pnpnnpnnnn", emit)

    def _pack_rows(self, b: Any, A: Value, aks: Value, M: Value, K: Value, to: Value) -> None:
        v, deep = Vector(b, self.dtype, self._target), self.deep(b, K)
        with count_loop(b, M, v.lanes) as m, count_loop(b, deep, v.lanes) as q:
            left = b.sub(M, m)
            found = [self._row(v, v.at(A, m), b.add(q, i64(r)), aks, K, left) for r in range(v.lanes)]
            for r, row in enumerate(transposed(v, found)):
                with b.if_then(b.icmp_signed("<", i64(r), left)):
                    v.store(row, v.at(to, b.add(b.mul(b.add(m, i64(r)), deep), q)))


def _emit(b: Any, name: str, *arguments: Value) -> None:
    call(b, f"llvm.x86.{name}", ir.VoidType(), [*arguments])


def _bytes(b: Any, numbers: Value) -> Value:
    return b.mul(numbers, i64(4))
