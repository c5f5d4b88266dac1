"""A map's equation as text: which expressions there are, the shape of each, and what is refused.

::

    A = M - M.T                 a name for a part, a line or a ; after it
    expm(A)                     the last is the matrix

Names that nothing sets are raw arrays; I is the identity, ``@`` the product of matrices, ``*`` that of
entries, ``.T`` the transposed, and functions are those of `FUNCTIONS` and `CONSTANTS`.
"""

import ast
import math
import operator
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

import numpy as np

from bptt.errors import ConfigError
from bptt.maps.constants import CONSTANTS, constant
from bptt.maps.functions import FUNCTIONS, Shape

RESULT, IDENTITY = "U", "I"
LONGEST, DEEPEST, MOST_LINES = 100_000, 40, 60
ARRAY = "array"
"""What stands before an array of numbers."""

Sizes = tuple[int, int]


class Line(NamedTuple):
    """A name and what it is."""

    name: str
    expr: ast.expr


_FOLDED = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_ALLOWED = "+ - * / @, ** with a number, .T, I, " + ", ".join((*FUNCTIONS, *CONSTANTS))


def lines_of(text: str) -> tuple[Line, ...]:
    """Return an equation's lines, in each of which a function that has a pullback stands alone, of names.

    Raises
    ------
    ConfigError
        If the text is no equation of matrices.

    Examples
    --------
    >>> [f"{name} = {ast.unparse(expr)}" for name, expr in lines_of("expm(M - M.T)")]
    ['A = M - M.T', 'U = expm(A)']
    """
    return _Lines(text).made


class _Lines:
    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise self.wrong(f"a text of {len(text):,} characters: at most {LONGEST:,}")
        try:
            body = ast.parse(text.strip()).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self.wrong("this is no expression of matrices") from None
        if not body or len(body) > MOST_LINES or not isinstance(body[-1], ast.Expr):
            raise self.wrong(
                f"lines that set names, {MOST_LINES} at most, and then an expression, the matrix"
            )
        self.named = {node.id for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Name)}
        self.lines: list[Line] = []
        for statement in body[:-1]:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.add(self.fresh(name), value)
                case _:
                    raise self.wrong(f"each line sets a name; got {ast.unparse(statement)!r:.80}")
        assert isinstance(body[-1], ast.Expr)
        self.add(RESULT, body[-1].value)
        self.made = tuple(self.lines)
        if hidden := [n for n in sorted(self.named) if n.startswith("_")]:
            raise self.wrong(f"{hidden[0]}: a name begins with a letter")
        if taken := self.named & {RESULT, *(f"d{n}" for n in (*self.named, RESULT))}:
            raise self.wrong(f"{min(taken)} is what a gradient or the matrix is called: choose another name")

    def wrong(self, says: str) -> ConfigError:
        return ConfigError(f"the map {self.text[:60]!r}: {says} (bptt derive --notation maps)")

    def fresh(self, name: str) -> str:
        taken = {line.name for line in self.lines}
        reads = {n for line in self.lines for n in names_in(line.expr)}
        if name in taken | reads or name == IDENTITY or name in FUNCTIONS or name in CONSTANTS:
            raise self.wrong(f"{name} is set twice, or has a meaning: choose another name")
        return name

    def add(self, name: str, value: ast.expr) -> None:
        self.lines.append(Line(name, self.read(value, head=True)))

    def read(self, node: ast.expr, depth: int = 0, *, head: bool = False) -> ast.expr:
        """Return an expression, with numbers worked out and functions in lines above it."""
        if depth > DEEPEST:
            raise self.wrong(f"nested more than {DEEPEST} deep")
        below = depth + 1
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self.number(value)
            case ast.Name(id=name) if name not in (*FUNCTIONS, *CONSTANTS, ARRAY):
                return ast.Name(name, ast.Load())
            case ast.Attribute(value=inner, attr="T"):
                return ast.Attribute(self.read(inner, below), "T", ast.Load())
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                operand = self.read(inner, below)
                is_number = isinstance(operand, ast.Constant)
                return self.number(-value_of(operand)) if is_number else ast.UnaryOp(ast.USub(), operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in (*_FOLDED, ast.MatMult):
                a, b = self.read(left, below), self.read(right, below)
                if isinstance(a, ast.Constant) and isinstance(b, ast.Constant) and type(op) in _FOLDED:
                    return self.folded(type(op), value_of(a), value_of(b))
                if isinstance(op, ast.Pow) and not isinstance(b, ast.Constant):
                    raise self.wrong("a power is a number: M ** 2")
                return ast.BinOp(a, op, b)
            case ast.Call(func=ast.Name(id=name), args=[given], keywords=[]) if name == ARRAY:
                return self.array(node, given)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in CONSTANTS:
                numbers = [self.read(a, below) for a in args]
                if not all(isinstance(n, ast.Constant) for n in numbers):
                    raise self.wrong(f"{name} takes numbers")
                return ast.Call(ast.Name(name, ast.Load()), numbers, [])
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
                call = ast.Call(ast.Name(name, ast.Load()), [self.argument(a, below) for a in args], [])
                return call if head else self.part(call)
        raise self.wrong(f"{ast.unparse(node)!r:.60} has no place in it: there are {_ALLOWED}")

    def array(self, node: ast.expr, given: ast.expr) -> ast.expr:
        try:
            values = np.asarray(ast.literal_eval(given), float)
        except (TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
            raise self.wrong("array([[...]]) takes numbers") from None
        if values.ndim not in (1, 2) or not np.isfinite(values).all():
            raise self.wrong("array([[...]]) takes a matrix or a vector of finite numbers")
        return node

    def argument(self, node: ast.expr, depth: int) -> ast.expr:
        found = self.read(node, depth)
        return found if isinstance(found, ast.Name | ast.Constant) else self.part(found)

    def part(self, expr: ast.expr) -> ast.Name:
        """Return the name of a line of its own, one for equal parts."""
        alike = next((line.name for line in self.lines if ast.unparse(line.expr) == ast.unparse(expr)), None)
        if alike is not None:
            return ast.Name(alike, ast.Load())
        letters = (f"{c}{k or ''}" for k in range(MOST_LINES) for c in "ABCEFGHJ")
        name = next(n for n in letters if n not in self.named)
        self.named.add(name)
        self.lines.append(Line(name, expr))
        return ast.Name(name, ast.Load())

    def folded(self, op: type[ast.operator], a: float, b: float) -> ast.expr:
        try:
            return self.number(_FOLDED[op](a, b))
        except (ArithmeticError, TypeError):
            raise self.wrong("a number that is none") from None

    def number(self, value: float) -> ast.Constant:
        try:
            value = float(value)
        except (OverflowError, TypeError):
            value = math.inf
        if not math.isfinite(value):
            raise self.wrong("a number beyond 1.8e308")
        return literal(value)


def literal(value: float) -> ast.Constant:
    """Return a number as it is written: whole ones without a point."""
    return ast.Constant(int(value) if value == int(value) and abs(value) < 2**53 else float(value))


def value_of(node: ast.expr) -> float:
    """Return the number that an expression is."""
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, int | float)
    return float(node.value)


def code_of(expr: ast.expr) -> CodeType:
    """Return an expression as code."""
    return _compiled(ast.unparse(expr))


@lru_cache(1024)
def _compiled(text: str) -> CodeType:
    return compile(text, "<a map>", "eval")


def names_in(node: ast.expr) -> Iterator[str]:
    """Yield the arrays' names in an expression: what is called and the identity are none."""
    match node:
        case ast.Name(id=name) if name != IDENTITY:
            yield name
        case ast.Call(args=args):
            for a in args:
                yield from names_in(a)
        case ast.Name():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield from names_in(child)


def raw_names(lines: tuple[Line, ...]) -> tuple[str, ...]:
    """Return what no line sets, in the order of appearance."""
    found, made = list[str](), set[str]()
    for line in lines:
        found += [n for n in names_in(line.expr) if n not in made]
        made.add(line.name)
    return tuple(dict.fromkeys(found))


def shape_of(node: ast.expr, shapes: Mapping[str, Shape], sizes: Sizes) -> Shape:
    """Return the shape of an expression's value, () of a number; a ValueError says what does not fit."""
    match node:
        case ast.Constant():
            return ()
        case ast.Name(id=name):
            if name != IDENTITY:
                return shapes[name]
            if sizes[0] != sizes[1]:
                raise ValueError(f"I is square, and the matrix is {sizes}")
            return sizes
        case ast.Attribute(value=inner):
            shape = shape_of(inner, shapes, sizes)
            if len(shape) != 2:
                raise ValueError(f"{ast.unparse(inner)} {shape} is no matrix to be transposed")
            return shape[::-1]
        case ast.UnaryOp(operand=inner):
            return shape_of(inner, shapes, sizes)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = shape_of(left, shapes, sizes), shape_of(right, shapes, sizes)
            if isinstance(op, ast.MatMult):
                fits = len(a) == len(b) == 2 and a[1] == b[0]
                both: Shape | None = (a[0], b[1]) if fits else None
            else:
                both = _broadcast(a, b)
            if both is None:
                raise ValueError(f"{ast.unparse(left)} {a} and {ast.unparse(right)} {b} do not fit")
            return bounded(both, sizes)
        case ast.Call(func=ast.Name(id=name), args=[given]) if name == ARRAY:
            return np.shape(ast.literal_eval(given))
        case ast.Call(func=ast.Name(id=name), args=args):
            numbers = [a.value for a in args if isinstance(a, ast.Constant)]
            try:
                if name in CONSTANTS:
                    return constant(name, sizes, *map(value_of, args)).shape
                arrays = [shape_of(a, shapes, sizes) for a in args if not isinstance(a, ast.Constant)]
                return bounded(FUNCTIONS[name].shape(*arrays, *numbers), sizes)
            except TypeError:
                raise ValueError(f"{name} does not take {len(args)} arguments, or not these") from None
            except ValueError as error:
                raise ValueError(f"{ast.unparse(node)}: {error}") from None
    raise AssertionError(ast.dump(node))


def bounded(shape: Shape, sizes: Sizes) -> Shape:
    """Return a shape, or raise a ValueError where it is far larger than the matrix's."""
    if math.prod(shape) > max(LEAST, MOST_TIMES * math.prod(sizes)):
        raise ValueError(f"an array {shape} on the way to {sizes} is too large")
    return shape


LEAST, MOST_TIMES = 1 << 22, 64
"""Numbers that each array may have, and times as many as the matrix."""


def _broadcast(a: Shape, b: Shape) -> Shape | None:
    """Return the shape of a sum, as NumPy has it; None where there is none."""
    n = max(len(a), len(b))
    pairs = list(zip((1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b, strict=True))
    if any(p != q and 1 not in (p, q) for p, q in pairs):
        return None
    return tuple(q if p == 1 else p for p, q in pairs)
