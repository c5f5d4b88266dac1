"""Loops and addresses in LLVM's terms."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

i64 = ir.IntType(64)
i8 = ir.IntType(8)
pointer = ir.PointerType()


def integer(value: int) -> ir.Constant:
    """Return a whole number as LLVM has it."""
    return ir.Constant(i64, value)


@contextmanager
def count_loop(b: ir.IRBuilder, count: Any, step: int = 1, *, down: bool = False) -> Iterator[Any]:
    """Emit what is inside for k = 0, step, 2 step, ... below `count`; `down`: count-1, ..., 0."""
    before = b.block
    head = b.append_basic_block("loop")
    body = b.append_basic_block("body")
    after = b.append_basic_block("after")
    b.branch(head)
    b.position_at_end(head)
    k = b.phi(i64)
    k.add_incoming(b_count_start(count, down, before), before)
    more = b.icmp_signed(">=", k, integer(0)) if down else b.icmp_signed("<", k, count)
    b.cbranch(more, body, after)
    b.position_at_end(body)
    yield k
    k.add_incoming(b.add(k, integer(-1 if down else step)), b.block)
    b.branch(head)
    b.position_at_end(after)


def b_count_start(count: Any, down: bool, block: Any) -> Any:
    """Return where a loop starts: 0, or count-1, computed in the block before it."""
    if not down:
        return integer(0)
    b = ir.IRBuilder(block)
    b.position_before(block.terminator)
    return b.sub(count, integer(1))
