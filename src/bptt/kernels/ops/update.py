"""An optimiser's equations as one pass of vector code over its arrays.

The equations are text over arrays and numbers, as in ``"v = momentum*v + g"``, of which each sets an array or
a name of its own. An array is read once and written once. Arrays are shared out over the threads.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir

from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import host
from bptt.kernels.llvm.loops import i32, i64, over_vectors
from bptt.kernels.llvm.vector import Value, Vector
from bptt.kernels.runtime import memory, pool
from bptt.types import Array

if TYPE_CHECKING:
    from bptt.derive.backward import Line

PIECE = 1 << 16
"""Elements that one thread takes at a time."""


def update(
    equations: tuple[str, ...],
    arrays: Mapping[str, Array],
    names: tuple[str, ...] = (),
    numbers: Array | None = None,
) -> None:
    """Apply equations to arrays of one shape and dtype, in place.

    Parameters
    ----------
    equations : tuple of str
    arrays : dict of arrays
        float32 or float64, without gaps.
    names : tuple of str
    numbers : (len(names),), optional
        float64; none where there are no names.

    Examples
    --------
    >>> p, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> update(("p = p - lr*g",), {"p": p, "g": g}, ("lr",), np.array([0.1]))
    >>> p
    array([0.95, 2.05])
    """
    first, made_of = next(iter(arrays.values())), (equations, tuple(arrays), names)
    work = pool.work_of(_update, len(arrays) + 1, 1, first.dtype.char, host(), *made_of)
    starts = np.arange(0, first.size, PIECE)
    words = np.empty((len(starts), len(arrays) + 2), np.int64)
    for k, array in enumerate(arrays.values()):
        words[:, k] = jit.address(array) + starts * array.itemsize
    words[:, -2] = 0 if numbers is None else jit.address(numbers)
    words[:, -1] = np.minimum(first.size - starts, PIECE)
    pool.run(work, words)


def _update(
    v: Vector,
    addresses: list[Value],
    sizes: list[Value],
    equations: tuple[str, ...],
    arrays: tuple[str, ...],
    numbers: tuple[str, ...],
) -> None:
    """Emit the equations; the last of the addresses is that of the numbers."""
    from bptt.kernels.llvm import pointwise  # with computer algebra, which takes a while to import

    b, (*starts, values), (size,) = v.builder, addresses, sizes

    def number(k: int) -> Value:
        value = b.load(b.gep(values, [i64(k)], source_etype=ir.DoubleType()), typ=ir.DoubleType())
        return v.broadcast(b.fptrunc(value, v.scalar) if v.scalar != ir.DoubleType() else value)

    places = dict(zip(arrays, starts, strict=True))
    given = {name: number(k) for k, name in enumerate(numbers)}
    lines, last = _lines(equations)

    def some(at: Value, mask: Value | None) -> None:
        loaded = {name: v.load(v.at(p, at), mask) for name, p in places.items()}
        found = pointwise.emit(v, lines, given | loaded)
        for name in last:
            if name in places:
                v.store(found[last[name]], v.at(places[name], at), mask)

    over_vectors(v, size, some)


def _lines(equations: tuple[str, ...]) -> "tuple[list[Line], dict[str, str]]":
    """Return lines that set each name once, and of each name of the equations the one that it has at last."""
    from sympy import Symbol

    from bptt.derive.algebra import as_written, replaced
    from bptt.derive.backward import Line

    lines: list[Line] = []
    last: dict[str, str] = {}
    for k, text in enumerate(equations):
        name, _, value = text.partition(" = ")
        expr = as_written(_SignsAsChoices().visit(ast.parse(value, mode="eval").body))
        expr = replaced(expr, {Symbol(old): Symbol(new) for old, new in last.items()})
        last.pop(name, None)  # stored in the order in which they are ready: a fifth faster
        last[name] = f"{name}.{k}"
        lines.append(Line(last[name], expr, ()))
    return lines, last


class _SignsAsChoices(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node.func) != "sign":
            return node
        u = ast.unparse(node.args[0])  # at 0, and where it is no number, the sign is u
        return ast.parse(f"where({u}, 1, where(-({u}), -1, {u}))", mode="eval").body


def squares(arrays: Sequence[Array]) -> Array:
    """Return the sums of the squares of the pieces of arrays: the same for any number of threads.

    The arrays are float32, without gaps; the sums are float64.

    Examples
    --------
    >>> squares([np.full((3, 5), 2.0, np.float32), np.ones(4, np.float32)])
    array([60.,  4.])
    """
    pieces = [
        (jit.address(array) + 4 * start, 0, min(array.size - start, PIECE))
        for array in arrays
        for start in range(0, array.size, PIECE)
    ]
    sums, words = memory.empty(len(pieces), np.float64), np.array(pieces, np.int64).reshape(-1, 3)
    words[:, 1] = jit.address(sums) + 8 * np.arange(len(pieces))
    pool.run(pool.work_of(_squares, 2, 1, "f", host()), words)
    return sums


def _squares(v: Vector, arrays: list[Value], sizes: list[Value]) -> None:
    b, (array, out), (size,) = v.builder, arrays, sizes
    wide = ir.VectorType(ir.DoubleType(), v.lanes)
    total = b.alloca(wide)
    b.store(ir.Constant(wide, [0.0] * v.lanes), total)

    def some(at: Value, mask: Value | None) -> None:
        value = b.fpext(v.load(v.at(array, at), mask), wide)
        b.store(b.fadd(b.load(total, typ=wide), b.fmul(value, value)), total)

    over_vectors(v, size, some)
    lanes = b.load(total, typ=wide)
    one: Value = ir.Constant(ir.DoubleType(), 0.0)
    for k in range(v.lanes):
        one = b.fadd(one, b.extract_element(lanes, i32(k)))
    b.store(one, out)
