"""Loops, calls and whole numbers in LLVM's terms."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

i64 = ir.IntType(64)
i32 = ir.IntType(32)
i8 = ir.IntType(8)
pointer = ir.PointerType()


@contextmanager
def count_loop(
    b: ir.IRBuilder, count: Any, step: int = 1, *, start: Any = None, down: bool = False
) -> Iterator[Any]:
    """Emit what is inside for k = start, start + step, ... below `count`; `down`: for count-1, ..., 0."""
    if down:
        start = b.sub(count, i64(1))
    elif start is None:
        start = i64(0)
    before = b.block
    head, body, after = (b.append_basic_block(name) for name in ("loop", "body", "after"))
    b.branch(head)
    b.position_at_end(head)
    k = b.phi(i64)
    k.add_incoming(start, before)
    more = b.icmp_signed(">=", k, i64(0)) if down else b.icmp_signed("<", k, count)
    b.cbranch(more, body, after)
    b.position_at_end(body)
    yield k
    k.add_incoming(b.add(k, i64(-1 if down else step)), b.block)
    b.branch(head)
    b.position_at_end(after)


def call(b: ir.IRBuilder, name: str, returns: Any, arguments: list[Any]) -> Any:
    """Emit the call of a function by its name; LLVM's own are declared where they are not yet."""
    function = b.module.globals.get(name)
    if function is None:
        function = ir.Function(b.module, ir.FunctionType(returns, [a.type for a in arguments]), name)
    return b.call(function, arguments)


def over_vectors(v: Any, count: Any, body: Callable[[Any, Any], None], vectors: int = 1) -> None:
    """Emit `body(at, mask)` for all numbers up to `count` (i64), so many vectors at a time.

    `mask` is None where all are there: a masked store takes several times as long as a whole one on
    processors without AVX-512. Else it is the vector's, or of several how many numbers are left.
    """
    b, size = v.builder, i64(vectors * v.lanes)
    whole = b.mul(b.sdiv(count, size), size)
    with count_loop(b, whole, vectors * v.lanes) as at:
        body(at, None)
    left = b.sub(count, whole)
    with b.if_then(b.icmp_signed(">", left, i64(0))):
        body(whole, v.tail(left) if vectors == 1 else left)
