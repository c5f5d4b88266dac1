"""A piece of a product as machine code: blocks that the caches hold, each packed while it is near.

A piece has some rows and columns of C = A B. It runs over blocks of k; in these of rows and then columns
where B comes packed, else the other way: what it packs for itself it packs once for each run of the loop
inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from llvmlite import ir

from bptt.kernels.llvm.bfloat16 import Gemm16
from bptt.kernels.llvm.gemm import Gemm, Product
from bptt.kernels.llvm.host import Host
from bptt.kernels.llvm.loops import count_loop, i64, pointer
from bptt.kernels.llvm.tiles import gemm_for
from bptt.kernels.llvm.vector import Value
from bptt.kernels.runtime import pool, serving

DEPTH, HEIGHT = 672, 480
"""Most k (of bfloat16: pairs of them) and most rows of A that are multiplied at a time."""

NEAR = 1 << 19
"""Bytes of packed B that stay in a core's second cache."""

FIELDS = pool.Fields((
    "top", "bottom", "left", "right", "A", "A rows", "A columns", "packed A", "M", "K", "B", "B rows",
    "B columns", "lies", "packed B", "C", "C rows", "add", "room", "room A", "rooms",
))  # fmt: skip
"""A piece's words: its own rows and columns, then what the whole product has.

Rows and columns are strides in numbers, ``rooms`` the bytes of a thread's room. What is packed is 0 where it
is not: then a piece packs for itself, in its thread's room, whose part for A is as large as ``room A``; but
not a B of which ``lies`` says that it is read as its rows lie.
"""


def module(kind: str, target: Host) -> ir.Module:
    """Return the works ``multiply``, ``pack_A`` and ``pack_B``, of ``f``, ``d`` or ``bfloat16``."""
    module = ir.Module()
    gemm = gemm_for(kind, target)(module, kind, target)
    for name, inner in (("pack_A", gemm.pack_rows), ("pack_B", gemm.pack)):
        with serving.work(module, name) as (b, words, _):
            given = [serving.word(b, words, k) for k in range(len(inner.args))]
            is_address = [argument.type == pointer for argument in inner.args]
            b.call(
                inner, [b.inttoptr(w, pointer) if p else w for w, p in zip(given, is_address, strict=True)]
            )
    with serving.work(module, "multiply") as (b, words, who), gemm.ready(b):
        _Multiply(b, gemm, FIELDS.read(b, words), who)
    return module


_Three = tuple[Value, Value, Value]
"""Where an operand is, and two strides."""


class _Span(NamedTuple):
    """Some rows, columns or k: the first, and how many."""

    first: Value
    size: Value


class _Multiply:
    """Emits a piece. K is a block of k, and Q the same block packed, as `Gemm` counts."""

    def __init__(self, b: Any, gemm: Gemm, w: dict[str, Value], who: Value) -> None:
        self.b, self.gemm, self.w = b, gemm, w
        self.room_A = b.add(w["room"], b.mul(who, w["rooms"]))
        self.room_B = b.add(self.room_A, w["room A"])
        one, step, panel, group = i64(1), i64(gemm.step), i64(gemm.width), i64(gemm.group)
        self.is_across = b.and_(
            b.icmp_signed("==", w["A rows"], one), b.icmp_signed("!=", w["A columns"], one)
        )
        depth = gemm.deep(b, w["K"])
        with self.even(i64(0), b.sdiv(depth, group), max(1, DEPTH // gemm.group)) as groups:
            q, q_end = (b.mul(border, group) for border in groups)
            k, Q = b.mul(q, step), _Span(q, b.sub(q_end, q))
            k_end = b.mul(q_end, step)
            k_end = b.select(b.icmp_signed("<", k_end, w["K"]), k_end, w["K"])
            K = _Span(k, b.sub(k_end, k))
            with b.if_else(self.is_given("packed B")) as (packed, not_packed):
                with packed:
                    stride = b.mul(depth, panel)
                    with self.rows() as M:
                        A = self.operand(M, K, Q)
                        with self.columns(Q) as N:
                            at = b.add(b.mul(N.first, depth), b.mul(q, panel))
                            self.block(A, (self.at(w["packed B"], at), stride, panel), M, N, K, Q)
                with not_packed, self.columns(Q) as N:
                    place = b.add(b.mul(k, w["B rows"]), b.mul(N.first, w["B columns"]))
                    B, room = self.at(w["B"], place), b.inttoptr(self.room_B, pointer)
                    lies = self.is_given("lies")
                    with b.if_then(b.not_(lies)):
                        b.call(gemm.pack, [B, w["B rows"], w["B columns"], K.size, N.size, room])
                    read = (B, panel, w["B rows"]), (room, b.mul(Q.size, panel), panel)
                    own = [b.select(lies, *two) for two in zip(*read, strict=True)]
                    with self.rows() as M:
                        A = self.operand(M, K, Q)
                        self.block(A, (own[0], own[1], own[2]), M, N, K, Q)

    def is_given(self, name: str) -> Value:
        return self.b.icmp_signed("!=", self.w[name], i64(0))

    def at(self, address: Value, numbers: Value) -> Value:
        b = self.b
        return b.inttoptr(b.add(address, b.mul(numbers, i64(self.gemm.dtype.itemsize))), pointer)

    @contextmanager
    def even(self, start: Value, stop: Value, most: int) -> Iterator[tuple[Value, Value]]:
        """Emit a loop over as few parts as can be, all about as large: their borders."""
        b = self.b
        n = b.sub(stop, start)
        count = b.sdiv(b.add(n, i64(most - 1)), i64(most))
        with count_loop(b, count) as i:
            first, last = (b.sdiv(b.mul(k, n), count) for k in (i, b.add(i, i64(1))))
            yield b.add(start, first), b.add(start, last)

    @contextmanager
    def rows(self) -> Iterator[_Span]:
        with self.even(self.w["top"], self.w["bottom"], HEIGHT) as (m, m_end):
            yield _Span(m, self.b.sub(m_end, m))

    @contextmanager
    def columns(self, Q: _Span) -> Iterator[_Span]:
        """Emit a loop over columns, as many at once as stay near."""
        b, panel = self.b, self.gemm.width
        most = b.sdiv(i64(NEAR // (self.gemm.dtype.itemsize * panel)), Q.size)
        most = b.mul(b.select(b.icmp_signed(">", most, i64(0)), most, i64(1)), i64(panel))
        n = b.sub(self.w["right"], self.w["left"])
        with count_loop(b, b.sdiv(b.sub(b.add(n, most), i64(1)), most)) as i:
            done = b.mul(i, most)
            left = b.sub(n, done)
            yield _Span(b.add(self.w["left"], done), b.select(b.icmp_signed("<", left, most), left, most))

    def operand(self, M: _Span, K: _Span, Q: _Span) -> _Three:
        """Return where a block of A is, as it is read, and its strides; pack it if it must be."""
        b, w, zero = self.b, self.w, i64(0)
        source = self.at(w["A"], b.add(b.mul(M.first, w["A rows"]), b.mul(K.first, w["A columns"])))
        room = b.inttoptr(self.room_A, pointer)
        is_given = self.is_given("packed A")
        with b.if_then(b.and_(self.is_across, b.not_(is_given))):
            b.call(self.gemm.pack_rows, [source, w["A columns"], M.size, K.size, room])
        rows, columns, along = w["A rows"], w["A columns"], source
        if isinstance(self.gemm, Gemm16):
            with b.if_then(b.not_(self.is_across)):
                b.call(self.gemm.narrow, [source, w["A rows"], M.size, K.size, room, Q.size])
            rows, columns, along = Q.size, i64(1), room
        given = self.at(w["packed A"], b.add(b.mul(Q.first, w["M"]), b.mul(M.first, Q.size)))
        across = b.select(is_given, given, room)
        return (
            b.select(self.is_across, across, along),
            b.select(self.is_across, zero, rows),
            b.select(self.is_across, zero, columns),
        )

    def block(self, A: _Three, B: _Three, M: _Span, N: _Span, K: _Span, Q: _Span) -> None:
        """Emit C[M, N] = A[M, K] B[K, N], added to what is there where wanted, and after the first k."""
        b, w = self.b, self.w
        C = self.at(w["C"], b.add(b.mul(M.first, w["C rows"]), N.first))
        is_later = b.zext(b.icmp_signed(">", K.first, i64(0)), i64)
        add = b.or_(w["add"], is_later)
        b.call(self.gemm.block, Product(*A, M.size, *B, Q.size, C, w["C rows"], N.size, add))
