"""An optimiser's equations as one pass of vector code over its arrays.

The equations are text over arrays and numbers, as in ``"v1 = momentum*v + g"``: what is set is a new value of
the array of that name without its 1, and takes its place. Arrays are shared out over the threads.
"""

import ast
import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from bptt import threads
from bptt.derive.algebra import expression
from bptt.derive.backward import Line
from bptt.kernels import jit, pointwise
from bptt.kernels.host import Host, host
from bptt.kernels.loops import count_loop, i64, pointer
from bptt.kernels.vector import Vector
from bptt.types import Array

PIECE = 1 << 16
"""Elements that one thread takes at a time."""


def update(equations: tuple[str, ...], arrays: Mapping[str, Array], numbers: Mapping[str, float]) -> None:
    """Apply equations to arrays of one shape and dtype, in place.

    Parameters
    ----------
    equations : tuple of str
    arrays : dict of arrays
        float32 or float64, without gaps.
    numbers : dict of float

    Examples
    --------
    >>> p, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> update(("p1 = p - lr*g",), {"p": p, "g": g}, {"lr": 0.1})
    >>> p
    array([0.95, 2.05])
    """
    names, first = tuple(arrays), next(iter(arrays.values()))
    run = _compiled(equations, names, tuple(numbers), first.dtype.name, host())
    values = np.array(list(numbers.values()), np.float64)
    size = first.size

    def some(cut: slice) -> None:
        at = np.array([a.ctypes.data + cut.start * a.itemsize for a in arrays.values()], np.int64)
        run(at.ctypes.data, values.ctypes.data, cut.stop - cut.start)

    threads.for_pieces(some, size, -(-size // PIECE))


@cache
def _compiled(
    equations: tuple[str, ...], arrays: tuple[str, ...], numbers: tuple[str, ...], dtype: str, target: Host
) -> Any:
    made_of = equations, arrays, numbers, dtype
    library = jit.build(lambda: _module(*made_of, target), *made_of, target=target)
    return library.function("update", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


def _module(
    equations: tuple[str, ...], arrays: tuple[str, ...], numbers: tuple[str, ...], dtype: str, target: Host
) -> ir.Module:
    """Return ``update(addresses of the arrays, numbers, size)``."""
    module = ir.Module(f"update_{dtype}")
    made = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer, i64]), "update")
    b = ir.IRBuilder(made.append_basic_block("entry"))
    v = Vector(b, dtype, target)
    addresses, values, size = made.args

    def place(k: int) -> Any:
        return b.inttoptr(b.load(b.gep(addresses, [i64(k)], source_etype=i64), typ=i64), pointer)

    def number(k: int) -> Any:
        value = b.load(b.gep(values, [i64(k)], source_etype=ir.DoubleType()), typ=ir.DoubleType())
        return v.broadcast(b.fptrunc(value, v.scalar) if v.scalar != ir.DoubleType() else value)

    places = {name: place(k) for k, name in enumerate(arrays)}
    given = {name: number(k) for k, name in enumerate(numbers)}
    lines = [_line(text) for text in equations]
    with count_loop(b, size, v.lanes) as at:
        mask = v.tail(b.sub(size, at))
        loaded = {name: v.load(v.at(p, at), mask) for name, p in places.items()}
        found = pointwise.emit(v, lines, given | loaded)
        for line in lines:
            v.store(found[line.name], v.at(places[line.name.removesuffix("1")], at), mask)
    b.ret_void()
    return module


def _line(text: str) -> Line:
    name, _, value = text.partition(" = ")
    return Line(name, expression(ast.parse(value, mode="eval").body), ())


def sum_of_squares(array: Array) -> list[float]:
    """Return the sums of the squares of an array's pieces, in float64: the same for any number of threads.

    Examples
    --------
    >>> sum(sum_of_squares(np.full((3, 5), 2.0, np.float32)))
    60.0
    """
    run = _squares(host())
    pieces = -(-array.size // PIECE)
    sums = np.zeros(pieces)

    def some(cut: slice) -> None:
        start = cut.start * PIECE
        size = min(array.size, cut.stop * PIECE) - start
        for k in range(cut.start, cut.stop):
            at, left = start + (k - cut.start) * PIECE, size - (k - cut.start) * PIECE
            run(array.ctypes.data + 4 * at, sums.ctypes.data + 8 * k, min(PIECE, left))

    threads.for_pieces(some, pieces, pieces)
    return list(map(float, sums))


@cache
def _squares(target: Host) -> Any:
    library = jit.build(lambda: _squares_module(target), target=target)
    return library.function("squares", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


def _squares_module(target: Host) -> ir.Module:
    """Return ``squares(array, sum, size)``, of float32."""
    module = ir.Module("squares")
    made = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer, i64]), "squares")
    b = ir.IRBuilder(made.append_basic_block("entry"))
    v = Vector(b, "float32", target)
    array, out, size = made.args
    wide = ir.VectorType(ir.DoubleType(), v.lanes)
    zero = ir.Constant(wide, [0.0] * v.lanes)
    total = b.alloca(wide)
    b.store(zero, total)
    with count_loop(b, size, v.lanes) as at:
        value = b.fpext(v.load(v.at(array, at), v.tail(b.sub(size, at))), wide)
        b.store(b.fadd(b.load(total, typ=wide), b.fmul(value, value)), total)
    lanes = b.load(total, typ=wide)
    one: Any = ir.Constant(ir.DoubleType(), 0.0)
    for k in range(v.lanes):
        one = b.fadd(one, b.extract_element(lanes, ir.IntType(32)(k)))
    b.store(one, out)
    b.ret_void()
    return module
