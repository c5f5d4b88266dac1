"""A derivation as NumPy code: what a derived cell runs, and what a student can read and run."""

import ast
import inspect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sympy import Add, Function, Mul
from sympy.printing.str import StrPrinter

from bptt import elementwise
from bptt.derive import axes
from bptt.derive.algebra import Expr, sum_of
from bptt.derive.axes import OVER
from bptt.derive.backward import Derivation, Pass
from bptt.derive.equations import EquationError, Equations, Statement
from bptt.derive.functions import FUNCTIONS, NAMESPACE

_FORMS = {
    "affine": "{} @ {}",
    "product": "{} @ {}.T",
    "outer": "{}.T @ {}",
    "above": "({} > 0)",
    "not_above": "~({} > 0)",  # where u is nan, too: then where(u, v, w) is w
}


class Printer(StrPrinter):  # type: ignore[misc]
    """Prints factors and terms in the order that they have."""

    def __init__(self) -> None:
        super().__init__({"order": "none"})

    def _print_Function(self, expr: Expr) -> str:  # noqa: N802  the library's names
        name, arguments = type(expr).__name__, [self._print(a) for a in expr.args]
        if name == "where":
            u, v, w = arguments
            return where(u, v, w, f"np.result_type({u}, np.float32)")  # what is left of u may be one number
        if name in _FORMS:
            return _FORMS[name].format(*arguments)
        return f"{(FUNCTIONS | OVER)[name].numpy}({', '.join(arguments)})"

    def _print_Float(self, expr: Expr) -> str:  # noqa: N802
        return self._number(expr)

    def _print_Integer(self, expr: Expr) -> str:  # noqa: N802
        return str(int(expr)) if abs(expr) < 2**53 else self._number(expr)

    def _print_Rational(self, expr: Expr) -> str:  # noqa: N802
        plain = abs(expr.p) < 2**53 and expr.q < 2**53
        return f"{expr.p}/{expr.q}" if plain else self._number(expr)

    _print_ComplexInfinity = _print_NaN = _print_Infinity = _print_NegativeInfinity = _print_Float

    def _number(self, expr: Expr) -> str:
        try:
            value = float(expr)
        except (OverflowError, TypeError):
            value = math.inf
        if not math.isfinite(value):
            raise EquationError("the gradient has a number beyond 1.8e308, or divides by what is always zero")
        return repr(value)


def where(u: str, v: str, w: str, dtype: str = "") -> str:
    """Return NumPy code for v where u > 0, else w, of the dtype of u."""
    if _has_no_name(u):
        return v if eval(u) > 0 else w
    if _has_no_name(v) and _has_no_name(w):
        dtype = dtype or f"({u}).dtype"
        return f"np.where({u} > 0, {v}, {w}).astype({dtype})"  # of two numbers it would be float64
    return f"np.where({u} > 0, {v}, {w})"


def _has_no_name(text: str) -> bool:
    return not any(isinstance(node, ast.Name) for node in ast.walk(ast.parse(text)))


def code(expr: Expr, printer: Printer | None = None) -> str:
    """Return an expression as NumPy code, or as another printer has its functions.

    Examples
    --------
    >>> from sympy import symbols
    >>> x, y = symbols("x y")
    >>> code(x * (1 - y**2))
    'x * (1 - y ** 2)'
    """
    expr = sum_of([_with_steps(term) for term in Add.make_args(expr)])
    try:
        return ast.unparse(ast.parse((printer or Printer()).doprint(expr), mode="eval"))
    except (RecursionError, MemoryError):
        raise EquationError("an equation of the gradient is too long: give parts of it names") from None


def _with_steps(term: Expr) -> Expr:
    """Write where(u, 1, 0) as (u > 0) where something with a dtype is before it: dy * (u > 0)."""
    steps: list[Expr] = []
    others: list[Expr] = []
    for factor in Mul.make_args(term):
        name = {(1, 0): "above", (0, 1): "not_above"}.get(factor.args[1:])
        is_step = name is not None and type(factor).__name__ == "where" and factor.args[0].free_symbols
        (steps if is_step else others).append(Function(name)(factor.args[0]) if is_step else factor)
    return Mul(*others, *steps, evaluate=False) if steps and Mul(*others).free_symbols else term


class _Forward(ast.NodeTransformer):
    """Gives the functions of equations their names in NumPy."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        assert isinstance(node.func, ast.Name)  # as the reader leaves it
        if node.func.id == "where":
            u, v, w = map(ast.unparse, node.args)
            return ast.parse(where(f"({u}).real", v, w), mode="eval").body  # a complex step keeps to its side
        node.func = ast.parse((FUNCTIONS | OVER)[node.func.id].numpy, mode="eval").body
        return node


def as_written(statement: Statement) -> str:
    """Return a statement's expression as NumPy code, in the user's own order."""
    return ast.unparse(_Forward().visit(ast.parse(ast.unparse(statement.expr), mode="eval")))


def helped(text: str) -> str:
    """Return code and before it, as `bptt.elementwise` has them, the functions that it calls.

    Examples
    --------
    >>> helped("h = relu(a_h)").splitlines()[0]
    'def relu(a):'
    """
    for name in reversed(_HELPERS):
        if re.search(rf"(?<![\w.]){name}\(|polyval\({name},", text):
            made = getattr(elementwise, name)
            lines = [f"{name} = (", *(f"    {c}," for c in made), ")\n"] if name.isupper() else []
            source = "\n".join(lines) or inspect.getsource(made)
            text = re.sub(r"(: | -> )Array\b|  # noqa.*", "", source) + f"\n\n{text}"
    return text


_HELPERS = (
    *("sigmoid", "softplus", "relu", "absolute", "maximum", "minimum", "ERF", "ERFC", "erfcx", "erf", "Phi"),
    *("sign", "floor", "stop", "surrogate"),
)


def step_functions(
    d: Derivation, numbers: Mapping[str, Any] = NAMESPACE, sizes: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return the functions of one step, compiled; for other numbers than NumPy's, with their functions.

    Parameters
    ----------
    d : Derivation
    numbers : dict of functions
    sizes : dict of int, optional
        How many there are along each axis, as ``size_unit``: of values that have some.

    Returns
    -------
    dict
        ``"forward"``: arguments to (states, kept); ``"backward"``: (gradients at states, kept) to gradients
        by argument; and for each operand ``"operand_0"`` and ``"operand_0_backward"``.
    """
    eq = d.equations
    namespace = {**axes.NAMESPACE, **numbers, **eq.constants, **(sizes or {})}
    exec(compile(step_code(d), f"<derived from {eq.name}>", "exec"), namespace)
    return {name: namespace[name] for names in d.passes for name in names}


def values_of(eq: Equations, arguments: Mapping[str, Any], H: int) -> dict[str, Any]:
    """Return the value of every statement, by its name.

    Parameters
    ----------
    eq : Equations
    arguments : dict of arrays
        Of its columns, complete with their products, and of the states before: (..., H), or with an axis
        each for heads, units and keys where values have such.
    H : int
        How many units there are.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> eq = bptt.zoo.equations_of(bptt.zoo.get("gru")).equations
    >>> arguments = dict.fromkeys((*eq.columns, *eq.before), np.zeros(2))
    >>> values_of(eq, arguments, 2)["z"]
    array([0.5, 0.5])
    """
    sizes = {} if eq.is_elementwise else axes.numbers(*eq.sizes(H))
    names = {**axes.NAMESPACE, **NAMESPACE, **eq.constants, **sizes, **arguments}
    text = "\n".join(f"{s.name} = {as_written(s)}" for s in eq.statements)
    exec(compile(text, f"<values of {eq.name}>", "exec"), names)
    return {s.name: names[s.name] for s in eq.statements}


def step_code(d: Derivation) -> str:
    """Return the text of these functions."""
    eq = d.equations
    arguments = (*eq.columns, *eq.before)
    return "".join(_step(*names, p, arguments) for names, p in d.passes.items())


def _step(forward: str, backward: str, p: Pass, arguments: Iterable[str]) -> str:
    lines = [f"def {forward}({', '.join(arguments)}, **_):"]
    lines += [f"    {s.name} = {as_written(s)}" for s in p.statements]
    lines += [f"    return {tuple_of(tuple(p.seeds))}, {tuple_of(p.kept)}"]
    lines += [f"def {backward}({', '.join(p.seeds.values())}, kept):"]
    lines += [f"    {tuple_of(p.kept)} = kept"] if p.kept else []
    lines += [f"    {line.name} = {code(line.expr)}" for line in (*p.again, *p.backward)]
    gradients = ", ".join(f"{argument!r}: {name}" for argument, name in p.gradients.items())
    lines += [f"    return {{{gradients}}}"]
    return "\n".join(lines) + "\n"


def tuple_of(names: Sequence[str]) -> str:
    """Return the code of a tuple."""
    return f"({', '.join(names)}{',' * (len(names) == 1)})"
