"""From a map's lines to those of its pullback, by the rules of matrix calculus.

::

    C = A @ B        dA = dC Bᵀ      dB = Aᵀ dC
    C = A * B        dA = dC * B     dB = dC * A        entry by entry
    C = A.T          dA = dCᵀ
    C = inv(A)       dA = -Cᵀ dC Cᵀ
    C = f(A)         dA = Df(A)ᵀ[dC], or dC times the slope where f is of each entry
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bptt.maps.functions import FUNCTIONS, Shape
from bptt.maps.text import IDENTITY, RESULT, Line, Sizes, literal, names_in, shape_of, value_of

BACK = "_back"
REDUCED = "reduced"
"""What stands for the sum of an array over what another lacks: ``reduced(array, like)``."""


def pullback(lines: Sequence[Line], raw: Mapping[str, Shape], sizes: Sizes) -> tuple[Line, ...]:
    """Return the lines from dU to the gradient at each raw array that has one.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> from bptt.maps.text import lines_of
    >>> found = pullback(lines_of("M - M.T - 0.1 * I"), {"M": (4, 4)}, (4, 4))
    >>> [f"{name} = {ast.unparse(expr)}" for name, expr in found]
    ['dM = dU - dU.T']
    """
    shapes, moving = dict(raw), set(raw)
    for line in lines:
        shapes[line.name] = shape_of(line.expr, shapes, sizes)
        if moving.intersection(names_in(line.expr)):
            moving.add(line.name)
    gradients: dict[str, list[ast.expr]] = {}
    made: list[Line] = []

    def total(name: str) -> None:
        terms = gradients[name]
        made.append(Line(f"d{name}", _sum(terms)))

    for line in reversed(lines):
        if line.name != RESULT:
            if line.name not in gradients:
                continue
            total(line.name)
        for name, d in _Rules(line, shapes, sizes).pull(line.expr, _name(f"d{line.name}")):
            if name in moving:
                gradients.setdefault(name, []).append(d)
    for name in raw:
        if name in gradients:
            total(name)
    return tuple(made)


class _Rules:
    def __init__(self, line: Line, shapes: Mapping[str, Shape], sizes: Sizes) -> None:
        self.line, self.shapes, self.sizes = line, shapes, sizes

    def shape(self, node: ast.expr) -> Shape:
        return shape_of(node, self.shapes, self.sizes)

    def pull(self, node: ast.expr, d: ast.expr) -> Iterator[tuple[str, ast.expr]]:
        """Yield the arrays that an expression reads, each with what it gets of the gradient d at it."""
        match node:
            case ast.Name(id=name) if name != IDENTITY:
                yield name, d
            case ast.UnaryOp(operand=inner):
                yield from self.pull(inner, _negative(d))
            case ast.Attribute(value=inner):
                yield from self.pull(inner, _turned(d))
            case ast.BinOp(left=a, op=ast.MatMult(), right=b):
                yield from self.pull(a, _product(d, _turned(b)))
                yield from self.pull(b, _product(_turned(a), d))
            case ast.BinOp(left=a, op=op, right=b):
                whole = self.shape(node)
                for part, own in zip((a, b), self.elementwise(a, op, b, d), strict=True):
                    if self.shape(part) and own is not None:
                        fits = self.shape(part) == whole
                        yield from self.pull(part, own if fits else _called(REDUCED, own, part))
            case ast.Call(func=ast.Name(id=f), args=args) if f in FUNCTIONS:
                yield from self.called(f, args, d)

    def elementwise(
        self, a: ast.expr, op: ast.operator, b: ast.expr, d: ast.expr
    ) -> tuple[ast.expr | None, ast.expr | None]:
        match op:
            case ast.Add():
                return d, d
            case ast.Sub():
                return d, _negative(d)
            case ast.Mult():
                return _times(b, d), _times(a, d)
            case ast.Div():
                over = ast.BinOp(d, ast.Div(), b)
                return over, _negative(ast.BinOp(_times(a, d), ast.Div(), _times(b, b)))
        assert isinstance(b, ast.Constant)  # a power
        n = value_of(b)
        less = a if n == 2 else ast.BinOp(a, ast.Pow(), literal(n - 1))
        return (_times(literal(n), _times(less, d)) if n else None), None

    def called(self, f: str, args: Sequence[ast.expr], d: ast.expr) -> Iterator[tuple[str, ast.expr]]:
        function, x = FUNCTIONS[f], args[0]
        if function.slope:
            own = _Named({"x": x, "v": _name(self.line.name)})
            slope = own.visit(ast.parse(function.slope, mode="eval").body)
            yield from self.pull(x, _times(slope, d))
        if f == "inv":
            inverse = _turned(_name(self.line.name))
            yield from self.pull(x, _negative(_product(inverse, _product(d, inverse))))
            return
        for k in function.back:
            yield from self.pull(args[k], _called(f"{f}{BACK}{k}", *args, d))


class _Named(ast.NodeTransformer):
    def __init__(self, at: Mapping[str, ast.expr]) -> None:
        self.at = at

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.at.get(node.id, node)


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _called(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(_name(name), list(args), [])


def _product(a: ast.expr, b: ast.expr) -> ast.expr:
    if isinstance(a, ast.Name) and a.id == IDENTITY:
        return b
    if isinstance(b, ast.Name) and b.id == IDENTITY:
        return a
    return ast.BinOp(a, ast.MatMult(), b)


def _negative(e: ast.expr) -> ast.expr:
    match e:
        case ast.UnaryOp(operand=inner):
            return inner
        case ast.Constant(value=int() | float() as value):
            return literal(-value)
        case ast.BinOp(left=ast.Constant() as number, op=ast.Mult(), right=b):
            return ast.BinOp(_negative(number), ast.Mult(), b)
    return ast.UnaryOp(ast.USub(), e)


def _turned(e: ast.expr) -> ast.expr:
    match e:
        case ast.Attribute(value=inner):
            return inner
        case ast.Name(id=name) if name == IDENTITY:
            return e
        case ast.Constant():
            return e
        case ast.UnaryOp(operand=inner):
            return _negative(_turned(inner))
        case ast.BinOp(left=ast.Constant() as number, op=ast.Mult(), right=b):
            return ast.BinOp(number, ast.Mult(), _turned(b))
        case ast.BinOp(left=a, op=ast.MatMult(), right=b):
            return ast.BinOp(_turned(b), ast.MatMult(), _turned(a))
    return ast.Attribute(e, "T", ast.Load())


def _times(a: ast.expr, d: ast.expr) -> ast.expr:
    """Return d times a, entry by entry, numbers first."""
    match a, d:
        case ast.Constant(value=1), _:
            return d
        case ast.Constant(), ast.BinOp(left=ast.Constant() as number, op=ast.Mult(), right=inner):
            return ast.BinOp(literal(value_of(a) * value_of(number)), ast.Mult(), inner)
        case ast.Constant(), ast.UnaryOp(operand=inner):
            return ast.BinOp(_negative(a), ast.Mult(), inner)
        case ast.Constant(), _:
            return ast.BinOp(a, ast.Mult(), d)
        case _, ast.BinOp(left=ast.Constant() as number, op=ast.Mult(), right=inner):
            return ast.BinOp(number, ast.Mult(), _times(a, inner))
        case _, ast.UnaryOp(operand=inner):
            return _negative(_times(a, inner))
    return ast.BinOp(d, ast.Mult(), a)


def _sum(terms: Sequence[ast.expr]) -> ast.expr:
    """Return a sum, in which a negative term is taken away."""
    counts = Counter(ast.unparse(term) for term in terms)
    alike = {ast.unparse(term): term for term in terms}
    whole = [_times(literal(count), alike[text]) for text, count in counts.items()]
    total, *rest = sorted(whole, key=_is_negative)  # one without a sign first
    for term in rest:
        is_less = _is_negative(term)
        total = ast.BinOp(total, ast.Sub() if is_less else ast.Add(), _negative(term) if is_less else term)
    return total


def _is_negative(e: ast.expr) -> bool:
    match e:
        case ast.UnaryOp():
            return True
        case ast.BinOp(left=ast.Constant(value=int() | float() as value), op=ast.Mult()):
            return value < 0
    return False
