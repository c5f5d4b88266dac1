"""The machine code of the pool: a thread that serves, one that asks, and one that plays jobs in their order.

Whoever finds ``asked`` 0 and makes it 1 has the pool; in machine code, where nobody can be interrupted.
``open`` is the number of the job that may be entered, or 0; ``inside`` how many threads have entered. A
thread enters first and then looks whether the job is open still; whoever asked closes it first and then
waits until nobody is inside. So nobody reads a job that is being changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from bptt.kernels.llvm.host import host
from bptt.kernels.llvm.loops import call, count_loop, i32, i64, pointer

WORK = ir.FunctionType(ir.VoidType(), [pointer, i64])
"""What a work's function is."""

JOB = 5
"""Words of a job: a work's address, that of its words, their stride, how many pieces, whether it is done."""

QUIET = 1 << 14
"""How often a thread asks for work in vain before it sleeps: half a millisecond, or one."""

ALONE = 1 << 8
"""How often a thread asks before it lets others have the core between."""

LINE = 16  # words: what different threads write lies that far apart
_OPEN, _NEXT, _INSIDE, ASLEEP, _ASKED, _JOB = (k * LINE for k in range(6))
_WORK, _WORDS, _STRIDE, _PIECES, _NUMBER, YIELD, OVER = range(_JOB, _JOB + 7)
DONE = 4  # of a job's words


@contextmanager
def work(module: ir.Module, name: str) -> Iterator[tuple[ir.IRBuilder, Any, Any]]:
    """Emit a work's function: what is inside has its builder, where its words are, and who runs it."""
    function = ir.Function(module, WORK, name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    yield b, *function.args
    b.ret_void()


def word(b: ir.IRBuilder, words: Any, k: int) -> Any:
    """Emit the reading of a piece's word."""
    return b.load(_at(b, words, k), typ=i64)


def module() -> ir.Module:
    """Return ``serve(words, who)``, ``run(words, address of a job's words)`` and ``play``.

    ``play(words, address of jobs, first, count)`` does jobs, alone where words is 0, and returns the number
    of the one before which it stopped: of several pieces, while threads are asleep, and not the first.
    """
    module = ir.Module("pool")
    with work(module, "serve") as (b, words, who):
        _emit_serve(b, words, who)
    with work(module, "run") as (b, words, job):
        was_asked = b.atomic_rmw("xchg", _at(b, words, _ASKED), i64(1), "seq_cst")
        with b.if_then(b.icmp_signed("==", was_asked, i64(0))):
            _emit_run(b, words, b.inttoptr(job, pointer))
    _emit_play(module)
    return module


def _emit_play(module: ir.Module) -> None:
    function = ir.Function(module, ir.FunctionType(i64, [i64] * 4), "play")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    pool, jobs, first, count = function.args
    words, is_pool = b.inttoptr(pool, pointer), b.icmp_signed("!=", pool, i64(0))
    with count_loop(b, b.sub(count, first)) as k:
        number = b.add(first, k)
        job = b.add(jobs, b.mul(number, i64(8 * JOB)))
        at = b.inttoptr(job, pointer)
        b.store(i64(0), _at(b, at, DONE))
        pieces = word(b, at, 3)
        with b.if_then(b.and_(is_pool, b.icmp_signed(">", pieces, i64(1)))):
            is_late = b.icmp_signed(">", k, i64(0))
            with b.if_then(b.and_(is_late, b.icmp_signed(">", _get(b, words, ASLEEP), i64(0)))):
                b.ret(number)
            b.call(module.globals["run"], [words, job])
        with b.if_then(b.icmp_signed("==", word(b, at, DONE), i64(0))):
            work = b.inttoptr(word(b, at, 0), WORK.as_pointer())
            own, stride = word(b, at, 1), word(b, at, 2)
            with count_loop(b, pieces) as piece:
                b.call(work, [b.inttoptr(b.add(own, b.mul(piece, stride)), pointer), i64(0)])
    b.ret(count)


def _emit_run(b: ir.IRBuilder, words: Any, job: Any) -> None:
    """Open a job, do its pieces, close it, and wait for those who are inside."""
    for k in range(DONE):
        _set(b, words, _JOB + k, word(b, job, k))
    _set(b, words, _NEXT, i64(0))
    _set(b, words, _OPEN, b.add(_add(b, words, _NUMBER, 1), i64(1)))
    _take(b, words, i64(0))
    _set(b, words, _OPEN, i64(0))
    with _ask(b, words) as (asked, done):
        b.cbranch(b.icmp_signed("==", _get(b, words, _INSIDE), i64(0)), done, asked)
    b.store(i64(1), _at(b, job, DONE))
    _set(b, words, _ASKED, i64(0))


def _emit_serve(b: ir.IRBuilder, words: Any, who: Any) -> None:
    """Ask for work and do it, until there has been none for a while."""
    _add(b, words, ASLEEP, -1)
    seen = b.alloca(i64)
    b.store(i64(0), seen)
    served, tired = b.append_basic_block("served"), b.append_basic_block("tired")
    b.branch(served)
    b.position_at_end(served)
    with _ask(b, words, tired) as (asked, found):
        look = b.append_basic_block("look")
        b.cbranch(b.icmp_signed("!=", _get(b, words, OVER), i64(0)), tired, look)
        b.position_at_end(look)
        number, before = _get(b, words, _OPEN), b.load(seen, typ=i64)
        is_new = b.and_(b.icmp_signed("!=", number, i64(0)), b.icmp_signed("!=", number, before))
        b.cbranch(is_new, found, asked)
    _add(b, words, _INSIDE, 1)
    number = _get(b, words, _OPEN)
    with b.if_then(b.icmp_signed("!=", number, i64(0))):
        _take(b, words, who)
        b.store(number, seen)
    _add(b, words, _INSIDE, -1)
    b.branch(served)
    b.position_at_end(tired)
    _add(b, words, ASLEEP, 1)


def _take(b: ir.IRBuilder, words: Any, who: Any) -> None:
    """Do pieces while there are some that nobody has taken."""
    work, first, stride, pieces = (_get(b, words, k) for k in (_WORK, _WORDS, _STRIDE, _PIECES))
    function = b.inttoptr(work, WORK.as_pointer())
    head, body, done = (b.append_basic_block(name) for name in ("take", "piece", "none"))
    b.branch(head)
    b.position_at_end(head)
    k = _add(b, words, _NEXT, 1)
    b.cbranch(b.icmp_signed("<", k, pieces), body, done)
    b.position_at_end(body)
    b.call(function, [b.inttoptr(b.add(first, b.mul(k, stride)), pointer), who])
    b.branch(head)
    b.position_at_end(done)


@contextmanager
def _ask(b: ir.IRBuilder, words: Any, tired: Any = None) -> Iterator[tuple[Any, Any]]:
    """Emit a loop that asks what is inside: it goes to the first block to be asked again, else to the second.

    After many times, to `tired` where that is given; the others have the core between from some times on.
    """
    start = b.block
    ask, again, done = (b.append_basic_block(name) for name in ("ask", "again", "done"))
    b.branch(ask)
    b.position_at_end(ask)
    times = b.phi(i64)
    times.add_incoming(i64(0), start)
    yield again, done
    b.position_at_end(again)
    _pause(b)
    more = b.add(times, i64(1))
    others = _get(b, words, YIELD)
    is_time = b.icmp_signed("==", b.and_(more, i64(ALONE - 1)), i64(0))
    with b.if_then(b.and_(is_time, b.icmp_signed("!=", others, i64(0)))):
        b.call(b.inttoptr(others, ir.FunctionType(i32, []).as_pointer()), [])
    times.add_incoming(more, b.block)
    if tired is None:
        b.branch(ask)
    else:
        b.cbranch(b.icmp_signed("<", more, i64(QUIET)), ask, tired)
    b.position_at_end(done)


def _pause(b: ir.IRBuilder) -> None:
    """Tell the processor that this is a loop that waits, where it has such an instruction."""
    triple = host().triple
    if triple.startswith(("aarch64", "arm64")):
        call(b, "llvm.aarch64.hint", ir.VoidType(), [i32(1)])
    elif triple.startswith(("x86_64", "amd64", "i686")):
        call(b, "llvm.x86.sse2.pause", ir.VoidType(), [])


def _at(b: ir.IRBuilder, words: Any, k: int) -> Any:
    return b.gep(words, [i64(k)], source_etype=i64)


def _get(b: ir.IRBuilder, words: Any, k: int) -> Any:
    return b.load_atomic(_at(b, words, k), "seq_cst", 8, typ=i64)


def _set(b: ir.IRBuilder, words: Any, k: int, value: Any) -> None:
    b.atomic_rmw("xchg", _at(b, words, k), value, "seq_cst")


def _add(b: ir.IRBuilder, words: Any, k: int, value: int) -> Any:
    """Return what was there before."""
    return b.atomic_rmw("add", _at(b, words, k), i64(value), "seq_cst")
