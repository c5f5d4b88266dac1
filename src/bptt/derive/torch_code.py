"""A derivation's expressions as code for PyTorch."""

import ast
from collections.abc import Mapping, Set

from bptt.derive.algebra import Expr
from bptt.derive.arrays import Arrays
from bptt.derive.axes import OVER, SIZES
from bptt.derive.equations import Statement
from bptt.derive.numpy_code import Printer, code


class _Plain(Printer):
    """Prints a function by the name that it has in equations."""

    def _print_Function(self, expr: Expr) -> str:  # noqa: N802  the library's names
        return f"{type(expr).__name__}({', '.join(map(self._print, expr.args))})"


class TorchCode(ast.NodeTransformer):
    """Gives the functions of equations their names in PyTorch.

    Parameters
    ----------
    numbers : set of str
        The names of what is a number and no tensor.
    names : dict of str
        What is called otherwise in the code.
    like : str
        A tensor with the shape and the dtype of a value: a choice of two numbers takes them from it.
    axes : Arrays, optional
        Of a cell with values of other shapes.

    Examples
    --------
    >>> import ast
    >>> written = TorchCode({"floor"}, {}, "h_prev")
    >>> ast.unparse(written.visit(ast.parse("max(a_h, floor) + where(h - 1, softplus(h), 0)")))
    'torch.clamp(a_h, min=floor) + torch.where(h > 1, torch.nn.functional.softplus(h, threshold=40), 0)'
    """

    def __init__(
        self, numbers: Set[str], names: Mapping[str, str], like: str, axes: Arrays | None = None
    ) -> None:
        self.numbers, self.names, self.like = {*numbers, *SIZES}, names, like
        self.axes = axes if axes is not None and not axes.plain else None

    def derived(self, expr: Expr) -> str:
        """Return an expression of a gradient as code."""
        return self._code(code(expr, _Plain()))

    def written(self, statement: Statement) -> str:
        """Return a statement's expression as code, in the user's own order."""
        return self._code(ast.unparse(statement.expr))

    def _code(self, text: str) -> str:
        return ast.unparse(self.visit(ast.parse(text, mode="eval")))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Return what is called so in the code."""
        return ast.Name(self.names.get(node.id, node.id))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Return the sum; [a > 0] - [a < 0] is the sign of a."""
        match node:
            case ast.BinOp(
                ast.Call(ast.Name("where"), [u, ast.Constant(1), ast.Constant(0)]),
                ast.Sub(),
                ast.Call(ast.Name("where"), [v, ast.Constant(1), ast.Constant(0)]),
            ) if ast.unparse(v) in _negatives(u):
                return _called("sign", self.visit(u))
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Return a function's call."""
        assert isinstance(node.func, ast.Name)  # as the reader leaves it
        name, numbers = node.func.id, [self._is_number(a) for a in node.args]
        if name in ("where", "above", "not_above"):
            first = self._compare(node.args[0])
            if name == "not_above":  # where neither is above, one being nan, too
                first = ast.UnaryOp(ast.Invert(), first)
        else:
            first = self.visit(node.args[0])
        rest = [self.visit(a) for a in node.args[1:]]
        if self.axes and name in OVER:
            return _parsed(self.axes.over(name, ast.unparse(first)))
        match name:
            case "product" if self.axes and self.axes.deep:
                assert isinstance(node.args[1], ast.Name)
                return _parsed(self._product(ast.unparse(first), ast.unparse(rest[0]), node.args[1].id))
            case "above" | "not_above":
                return first
            case "where":
                return self._choice(first, *rest, *numbers)
            case "product":
                return ast.BinOp(first, ast.MatMult(), ast.Attribute(rest[0], "T"))
            case "max" | "min" if any(numbers):
                bound, other = (first, rest[0]) if numbers[0] else (rest[0], first)
                return _called("clamp", other, **{"min" if name == "max" else "max": bound})
            case "max" | "min":
                return _called(f"{name}imum", first, *rest)
            case "Phi":
                return _called("special.ndtr", first)
            case "stop":
                return _detached(first)
            case "surrogate":  # the value, and a zero whose derivative is the one given
                value, derivative = (
                    a if n else _detached(a) for a, n in zip((first, rest[0]), numbers[:2], strict=True)
                )
                return ast.BinOp(
                    value,
                    ast.Add(),
                    ast.BinOp(derivative, ast.Mult(), ast.BinOp(rest[1], ast.Sub(), _detached(rest[1]))),
                )
            case "softplus":  # where a is larger, log(1 + exp(a)) is a to the last bit of float64
                return _called("nn.functional.softplus", first, threshold=ast.Constant(40))
        return _called(name, first)

    def _product(self, da: str, array: str, matrix: str) -> str:
        """Return the gradient at a value through a matrix, with the value's axes."""
        assert self.axes is not None
        made, at = f"({self.axes.flattened(da)} @ {array}.T)", self.axes.back_at(matrix)
        return self.axes.unflattened_code(at, made) if at else made

    def _choice(
        self, condition: ast.expr, v: ast.expr, w: ast.expr, fixed: bool, v_fixed: bool, w_fixed: bool
    ) -> ast.expr:
        """Return v where a condition holds, else w, each a number or not."""
        if fixed:
            return ast.IfExp(condition, v, w)
        if self.axes and v_fixed and w_fixed:  # of its own shape
            dtype = ast.Attribute(ast.Name(self.like), "dtype")
            return ast.Call(ast.Attribute(_called("where", condition, v, w), "to"), [dtype], [])
        like = _called("full_like", ast.Name(self.like), v)
        return _called("where", condition, like if v_fixed and w_fixed else v, w)

    def _compare(self, u: ast.expr) -> ast.expr:
        """Return u > 0 as people write it: a > b of a - b."""
        how: ast.cmpop = ast.Gt()
        match u:
            case ast.BinOp(left=left, op=ast.Sub(), right=right) if self._is_number(left):  # h < 1 of 1 - h
                how, sides = ast.Lt(), (self.visit(right), self.visit(left))
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                sides = self.visit(left), self.visit(right)
            case ast.UnaryOp(op=ast.USub(), operand=inside):
                how, sides = ast.Lt(), (self.visit(inside), ast.Constant(0))
            case _:
                sides = self.visit(u), ast.Constant(0)
        return ast.Compare(sides[0], [how], [sides[1]])

    def _is_number(self, node: ast.expr) -> bool:
        called = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in called}
        return names <= self.numbers


def _negatives(u: ast.expr) -> tuple[str, ...]:
    """Return how -u may be written."""
    swapped = (
        [ast.BinOp(u.right, u.op, u.left)] if isinstance(u, ast.BinOp) and isinstance(u.op, ast.Sub) else []
    )
    return tuple(map(ast.unparse, [ast.UnaryOp(ast.USub(), u), *swapped]))


def _detached(a: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(a, "detach"), [], [])


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _called(name: str, *arguments: ast.expr, **named: ast.expr) -> ast.expr:
    function = ast.parse(f"torch.{name}", mode="eval").body
    return ast.Call(function, list(arguments), [ast.keyword(k, v) for k, v in named.items()])
