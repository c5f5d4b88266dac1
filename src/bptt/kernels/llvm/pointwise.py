"""A derivation's lines as vector code: what a cell computes for some hidden units of one row at one step.

The same lines that are printed and run in NumPy. Values are LLVM's; one that is used twice is computed once.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bptt.derive.algebra import Expr
from bptt.derive.backward import Line
from bptt.kernels.llvm import special
from bptt.kernels.llvm.powers import power
from bptt.kernels.llvm.vector import Value, Vector


def emit(vector: Vector, lines: Iterable[Line], given: Mapping[str, Value]) -> dict[str, Value]:
    """Emit lines in their order; return by name what is given, vectors or floats, and what the lines set."""
    values = dict(given)
    known: dict[Expr, Value] = {}  # a name is set once, so an expression has one value
    for line in lines:
        values[line.name] = value(vector, line.expr, values, known)
    return values


def value(v: Vector, expr: Expr, values: Mapping[str, Value], known: dict[Expr, Value]) -> Value:
    """Return an expression's value, by names' values, vectors or floats, and `known` expressions'."""
    if expr.is_Symbol:
        found = values[expr.name]
        return v.const(found) if isinstance(found, float) else found
    if expr not in known:
        known[expr] = _operation(v, expr, values, known)
    return known[expr]


def _operation(v: Vector, expr: Expr, values: Mapping[str, Value], known: dict[Expr, Value]) -> Value:
    def at(e: Expr) -> Value:
        return value(v, e, values, known)

    if expr.is_Number:
        return v.const(float(expr))
    if expr.is_Add:
        return _sum(v, expr, at)
    if expr.is_Mul:
        return _product(v, expr, at)
    if expr.is_Pow:
        return power(v, at(expr.base), float(expr.exp))
    name, arguments = type(expr).__name__, map(at, expr.args)
    if name in _SPECIAL:
        return _SPECIAL[name](v, *arguments)
    return getattr(v, name)(*arguments)  # where, exp, tanh, max, ...


_SPECIAL = {"sin": special.sin, "cos": special.cos, "erf": special.erf, "Phi": special.Phi}


def _sum(v: Vector, expr: Expr, at: Any) -> Value:
    plus = [t for t in expr.args if not _negative(t)]
    minus = [-t for t in expr.args if _negative(t)]
    total = at(plus[0]) if plus else v.neg(at(minus.pop(0)))
    for t in plus[1:]:
        total = v.add(total, at(t))
    for t in minus:
        total = v.sub(total, at(t))
    return total


def _negative(term: Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def _product(v: Vector, expr: Expr, at: Any) -> Value:
    below = [f.base ** (-f.exp) for f in expr.args if f.is_Pow and f.exp.is_Number and f.exp < 0]
    above = [f for f in expr.args if not (f.is_Pow and f.exp.is_Number and f.exp < 0)]
    sign = above and above[0] == -1
    if sign:
        above = above[1:]
    value = at(above[0]) if above else v.const(1.0)
    for f in above[1:]:
        value = v.mul(value, at(f))
    if below:
        divisor = at(below[0])
        for f in below[1:]:
            divisor = v.mul(divisor, at(f))
        value = v.div(value, divisor)
    return v.neg(value) if sign else value
