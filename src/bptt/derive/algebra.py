"""Equations as algebra: expressions of the library SymPy, and the local derivative of each.

A function of the equations is a SymPy function of the same name that never evaluates itself; its
derivative is the one of :mod:`bptt.derive.functions`, by values at hand.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import sympy
from sympy import Add, Integer, Mul, Pow, Symbol

from bptt.derive.axes import OVER
from bptt.derive.equations import Statement
from bptt.derive.functions import FUNCTIONS, OPERATORS

Expr: TypeAlias = Any
"""A SymPy expression; the library has no types."""


PRODUCTS = {"affine": 2, "product": 2, "outer": 2, "total": 1}
"""With matrices: x W, da Uᵀ and xᵀ da; and the sum over steps and rows. The number is of arguments."""


@cache
def function(name: str) -> Any:
    """Return the SymPy function for one of `FUNCTIONS` or of `PRODUCTS`."""
    nargs = PRODUCTS.get(name) or (FUNCTIONS | OVER)[name].arity
    # of a number too it stays a function, which SymPy would evaluate by its name
    return type(name, (sympy.Function,), {"nargs": nargs, "_should_evalf": classmethod(lambda cls, a: -1)})


def sum_of(terms: Sequence[Expr]) -> Expr:
    """Return a sum whose terms stay as they are, in their order."""
    return Add(*terms, evaluate=False) if len(terms) > 1 else terms[0] if terms else Integer(0)


def product_of(factors: Sequence[Expr]) -> Expr:
    """Return a product whose factors stay as they are, in their order."""
    return Mul(*factors, evaluate=False) if len(factors) > 1 else factors[0] if factors else Integer(1)


def divides(factor: Expr) -> bool:
    """Return whether a factor stands below the line."""
    return bool(factor.is_Pow and factor.exp.is_Number and factor.exp < 0)


def expression(node: ast.expr) -> Expr:
    """Return a statement's expression, simplified as far as SymPy does so unasked."""
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float):
            return Integer(int(value)) if value == int(value) and abs(value) < 2**53 else sympy.Float(value)
        case ast.Name(id=name):
            return Symbol(name)
        case ast.UnaryOp():
            return -expression(node.operand)
        case ast.Call(func=ast.Name(id=name)):
            return function(name)(*map(expression, node.args))
        case ast.BinOp():
            return OPERATORS[type(node.op)](expression(node.left), expression(node.right))
    raise AssertionError(ast.dump(node))  # the reader lets nothing else through


def as_written(node: ast.expr) -> Expr:
    """Return a statement's expression in the user's own order, as it is: for printing, not for algebra."""
    match node:
        case ast.UnaryOp(operand=operand):
            return _negative(as_written(operand))
        case ast.Call(func=ast.Name(id=name)):
            return function(name)(*map(as_written, node.args))
        case ast.BinOp(op=ast.Add() | ast.Sub() as op):
            a, b = as_written(node.left), as_written(node.right)
            right = Add.make_args(b) if isinstance(op, ast.Add) else (_negative(b),)
            return Add(*Add.make_args(a), *right, evaluate=False)
        case ast.BinOp(op=ast.Mult() | ast.Div() as op):
            a, b = as_written(node.left), as_written(node.right)
            right = Mul.make_args(b) if isinstance(op, ast.Mult) else (Pow(b, -1, evaluate=False),)
            return Mul(*Mul.make_args(a), *right, evaluate=False)
        case ast.BinOp(op=ast.Pow()):
            return Pow(as_written(node.left), as_written(node.right), evaluate=False)
    return expression(node)


def _negative(e: Expr) -> Expr:
    """Return -e, with no factor of 1."""
    first, *rest = Mul.make_args(e)
    if first == -1 and rest:
        return product_of(rest)
    return product_of((-first, *rest) if first.is_Number else (Integer(-1), first, *rest))


def sides(u: Expr) -> tuple[Expr, Expr]:
    """Return a and b, for a condition a > b that is held as u = a - b > 0."""
    left: list[Expr] = []
    right: list[Expr] = []
    for term in Add.make_args(u):
        first = Mul.make_args(term)[0]
        negative = first.is_Number and first < 0
        (right if negative else left).append(_negative(term) if negative else term)
    return sum_of(left), sum_of(right)


def replaced(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """Return the expression with values in place of names, and everything else as it stands."""
    if expr in values:
        return values[expr]
    if not expr.args:
        return expr
    arguments = [replaced(a, values) for a in expr.args]
    if expr.is_Add:
        arguments = [t for a in arguments for t in (Add.make_args(a) if a.is_Add else (a,))]
    known = {"evaluate": False} if expr.is_Add or expr.is_Mul or expr.is_Pow else {}
    return expr.func(*arguments, **known)


def local_derivatives(statement: Statement) -> dict[str, Expr]:
    """Return the derivative of a statement's value by each name that it reads."""
    y = Symbol(statement.name)
    expr = expression(statement.expr)
    if statement.function is None:
        return {name: _of_arithmetic(expr, Symbol(name), y) for name in statement.reads}
    outer = [_at_hand(d, y, expr.args) for d in (FUNCTIONS | OVER)[statement.function].derivatives]
    return {
        name: _whatever_holds(Add(*(d * a.diff(Symbol(name)) for d, a in zip(outer, expr.args, strict=True))))
        for name in statement.reads
    }


def inner_derivatives(statement: Statement) -> dict[str, Expr]:
    """Return the derivatives of the argument of a statement's function, where it has one argument."""
    arguments = expression(statement.expr).args
    return {name: arguments[0].diff(Symbol(name)) for name in statement.reads} if len(arguments) == 1 else {}


def _of_arithmetic(expr: Expr, s: Expr, y: Expr) -> Expr:
    """Return the derivative of arithmetic; of a quotient y = u/v it is (u' - y v')/v, with y at hand.

    Of y = u vᵖ with p < 0 it is u' vᵖ + p y v'/v: no higher power of a small v than y and u' have.
    """
    below = [f for f in Mul.make_args(expr) if divides(f) and f.base.has(s)]
    if not below:
        return expr.diff(s)
    du = (expr / Mul(*below)).diff(s)
    if len(below) == 1 and below[0].exp == -1:
        return (du - y * below[0].base.diff(s)) / below[0].base
    return du * Mul(*below) + y * Add(*(f.exp * f.base.diff(s) / f.base for f in below))


def _whatever_holds(e: Expr) -> Expr:
    """Return a sum in which what is multiplied by [u > 0] and by [u <= 0] alike is multiplied by neither."""
    chosen = [f for f in e.atoms(sympy.Function) if type(f).__name__ == "where" and f.args[1:] == (1, 0)]
    for above in chosen:
        below = above.func(above.args[0], Integer(0), Integer(1))
        terms = Add.make_args(e)
        alike = [[t / f for t in terms if f in Mul.make_args(t)] for f in (above, below)]
        if alike[0] and Add(*alike[0]) == Add(*alike[1]):
            rest = [t for t in terms if not {above, below} & set(Mul.make_args(t))]
            e = Add(*rest, *alike[0])
    return e


def _at_hand(derivative: str, y: Expr, arguments: tuple[Expr, ...]) -> Expr:
    values = {Symbol(name): value for name, value in zip("yuvw", (y, *arguments), strict=False)}
    return _derivative(derivative).xreplace(values)


@cache
def _derivative(text: str) -> Expr:
    return expression(ast.parse(text, mode="eval").body)


def arrange(expr: Expr, order: Mapping[str, int]) -> Expr:
    """Return the expression with its factors and terms in the order in which people write them.

    In a product numbers come first, then names in `order`, then sums; in a sum numbers come first and what is
    subtracted last. The result is for printing and for code: SymPy leaves it as it is.
    """
    return _arranged(expr, order, {})


def _arranged(expr: Expr, order: Mapping[str, int], least: dict[Expr, int]) -> Expr:
    def first_of(e: Expr) -> int:
        if e not in least:
            of_leaf = order.get(e.name, len(order)) if e.is_Symbol else len(order) + 1
            least[e] = min(map(first_of, e.args), default=of_leaf)
        return least[e]

    def place(e: Expr) -> tuple[float, int]:
        if e.is_Number:
            return (0, 0)
        if expr.is_Mul and e.is_Symbol and 1 - e in expr.args:
            return (1.5, 0)  # i beside 1 - i
        atom = e.is_Symbol or e.is_Function or (e.is_Pow and (e.base.is_Symbol or e.base.is_Function))
        return (1 if atom else 2, first_of(e))

    def term(e: Expr) -> tuple[bool, tuple[float, int]]:
        first = min((place(f) for f in Mul.make_args(e) if not f.is_Number), default=(0, 0))
        return (bool(e.could_extract_minus_sign()), first)

    if expr.is_Add:
        terms = sorted(expr.args, key=term)
        return Add(*(_arranged(t, order, least) for t in terms), evaluate=False)
    if expr.is_Mul:
        factors = [_arranged(f, order, least) for f in sorted(expr.args, key=place)]
        return product_of([f for f in factors if f != 1])
    if expr.is_Pow:
        base, exp = _arranged(expr.base, order, least), _arranged(expr.exp, order, least)
        return base if exp == 1 else Pow(base, exp, evaluate=False)
    if expr.is_Function:
        return expr.func(*(_arranged(a, order, least) for a in expr.args))
    if expr.is_Float and float(expr).is_integer() and abs(expr) < 2**53:
        return Integer(int(expr))  # a coefficient of 1.0 is none
    return expr


def names_in(exprs: Iterable[Expr]) -> set[str]:
    """Return the names of all symbols."""
    return {s.name for e in exprs for s in e.free_symbols}
