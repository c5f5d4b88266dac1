"""A derivation as NumPy code: what a derived cell runs, and what a student can read and run."""

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from sympy.printing.str import StrPrinter

from bptt.derive.algebra import Expr
from bptt.derive.backward import Derivation, Line, Pass
from bptt.derive.equations import Statement
from bptt.derive.functions import FUNCTIONS, NAMESPACE


class _Printer(StrPrinter):  # type: ignore[misc]
    """Prints factors and terms in the order that they have."""

    def __init__(self) -> None:
        super().__init__({"order": "none"})

    def _print_Function(self, expr: Expr) -> str:  # noqa: N802  the library's names
        name = type(expr).__name__
        if name == "where":
            return where(*(self._print(a) for a in expr.args))
        return f"{FUNCTIONS[name].numpy}({', '.join(self._print(a) for a in expr.args)})"

    def _print_Float(self, expr: Expr) -> str:  # noqa: N802
        return repr(float(expr))


def where(u: str, v: str, w: str) -> str:
    """Return NumPy code for v where u > 0, else w, of the dtype of u."""
    choice = f"({u} > 0)"
    match v, w:
        case "1", "0":
            return choice
        case "0", "1":
            return f"({u} <= 0)"
    if all(text.lstrip("-").replace(".", "", 1).isdigit() for text in (v, w)):
        return f"({w} + ({v} - {w}) * {choice})"  # np.where of two numbers would be float64
    return f"np.where({u} > 0, {v}, {w})"


def code(expr: Expr) -> str:
    """Return an expression as NumPy code.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, y = symbols("x y")
    >>> code(x * (1 - y**2))
    'x * (1 - y ** 2)'
    """
    return ast.unparse(ast.parse(_Printer().doprint(expr), mode="eval"))


class _Forward(ast.NodeTransformer):
    """Gives the functions of equations their names in NumPy."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        assert isinstance(node.func, ast.Name)  # as the reader leaves it
        if node.func.id == "where":
            return ast.parse(where(*(ast.unparse(a) for a in node.args)), mode="eval").body
        node.func = ast.parse(FUNCTIONS[node.func.id].numpy, mode="eval").body
        return node


def as_written(statement: Statement) -> str:
    """Return a statement's expression as NumPy code, in the user's own order."""
    return ast.unparse(_Forward().visit(ast.parse(ast.unparse(statement.expr), mode="eval")))


def forward_lines(p: Pass) -> list[tuple[str, str, int]]:
    """Return (name, code, number of the equation) for each statement."""
    return [(s.name, as_written(s), s.number) for s in p.statements]


def backward_lines(p: Pass) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return (name, code, numbers of the equations) for each line, recomputed values first."""
    return [(line.name, code(line.expr), line.numbers) for line in (*p.again, *p.backward)]


def step_functions(d: Derivation) -> dict[str, Any]:
    """Return the functions of one step, compiled.

    Returns
    -------
    dict
        ``"forward"``: arguments to (states, kept); ``"backward"``: (gradients at states, kept) to gradients
        by argument; and for a cell with an operand ``"operand"`` and ``"operand_backward"``.
    """
    namespace = dict(NAMESPACE)
    constants = d.equations.constants
    namespace |= constants
    text = _step("forward", "backward", d.main, d.equations.states)
    if d.operand is not None:
        q = next(iter(d.equations.operand.values()))
        text += _step("operand", "operand_backward", d.operand, (q,))
    exec(compile(text, f"<derived from {d.equations.name}>", "exec"), namespace)
    return namespace


def _step(forward: str, backward: str, p: Pass, outputs: Sequence[str]) -> str:
    arguments = _free(p)
    seeds = list(p.seeds.values())
    lines = [f"def {forward}({', '.join(arguments)}, **_):"]
    lines += [f"    {name} = {text}" for name, text, _ in forward_lines(p)]
    lines += [f"    return {_tuple(outputs)}, {_tuple(p.kept)}"]
    lines += [f"def {backward}({', '.join(seeds)}, kept):"]
    lines += [f"    {_tuple(p.kept)} = kept"] if p.kept else []
    lines += [f"    {name} = {text}" for name, text, _ in backward_lines(p)]
    gradients = ", ".join(f"{argument!r}: {name}" for argument, name in p.gradients.items())
    lines += [f"    return {{{gradients}}}"]
    return "\n".join(lines) + "\n"


def _free(p: Pass) -> list[str]:
    made = {s.name for s in p.statements}
    return list(dict.fromkeys(n for s in p.statements for n in s.reads if n not in made))


def _tuple(names: Iterable[str]) -> str:
    listed = list(names)
    return f"({', '.join(listed)}{',' if len(listed) == 1 else ''})"


__all__ = ["Line", "as_written", "backward_lines", "code", "forward_lines", "step_functions", "where"]
