"""Loops, calls and whole numbers in LLVM's terms."""

from collections.abc import Iterator
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
