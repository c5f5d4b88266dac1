"""What a text means to this Python and this NumPy: names that are gone, and Python 2's division and lists."""

import ast
import builtins
import functools
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bptt.checking.file.missing import MISSING, READ, missing, reading
from bptt.checking.file.syntax import is_future

_DIVISION, _LIST = "__division__", "__list__"


def names(path: Path, *, python2: bool) -> dict[str, Any]:
    """Return the built-in names as a text means them: Python 2's, too; with `python2` as they were."""
    found = vars(builtins) | {"xrange": range, "unicode": str, "basestring": str, "long": int}
    found |= {"raw_input": input, "unichr": chr, "reduce": functools.reduce}
    found |= {MISSING: missing, READ: reading(path)}
    if python2:
        found |= {f.__name__: functools.partial(_listed, f) for f in (range, map, filter, zip)}
        found |= {_DIVISION: _divided, _LIST: list}
    return found


def _divided(a: Any, b: Any) -> Any:
    """Return a quotient as Python 2 has it: of whole numbers the whole quotient."""
    whole = all(isinstance(v, int | np.integer) for v in (a, b))
    return a // b if whole else a / b


def _listed(make: Callable[..., Iterable[Any]], *args: Any) -> list[Any]:
    return list(make(*args))


def supplied(tree: ast.AST) -> dict[str, Any]:
    """Return the activations that a file reads and that nobody defines or imports."""
    nodes = list(ast.walk(tree))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= {str(getattr(node, key, "")) for node in nodes for key in ("name", "asname", "arg")}
    return {n: usual for n, usual in _ACTIVATIONS.items() if n in read and not made & {n, "*"}}


def _softmax(x: Any) -> Any:
    axis = 0 if np.shape(x)[-1:] == (1,) else -1  # columns, or rows
    powers = np.exp(x - np.max(x, axis, keepdims=True))
    return powers / np.sum(powers, axis, keepdims=True)


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "softmax": _softmax,
}


def parsed(text: str, *, python2: bool) -> ast.Module:
    """Return a text's tree, in which old names are the new ones; a notebook may have its futures anywhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" is no escape: the file's own affair
        tree = ast.parse(text)
    _Meanings(python2=python2, whole=python2 and "import division" not in text).visit(tree)
    first = tree.body[:1]  # it may be a docstring
    tree.body.sort(key=lambda node: node not in first and not is_future(node))
    return tree


class _Meanings(ast.NodeTransformer):
    """Gives NumPy's old names, and ``/``, ``d.has_key(k)`` and ``d.items()`` as Python 2 has them."""

    NEW: ClassVar = {"row_stack": "vstack", "product": "prod", "alltrue": "all", "in1d": "isin"}
    NEW |= {"float": "float64", "int": "int_", "bool": "bool_", "complex": "complex128", "float_": "float64"}

    def __init__(self, *, python2: bool, whole: bool) -> None:
        self.python2, self.whole = python2, whole

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        new: ast.expr | None = None
        match node:
            case ast.Attribute(ast.Name("np" | "numpy"), attr) if attr in self.NEW and not hasattr(np, attr):
                node.attr = self.NEW[attr]
            case ast.BinOp(left, ast.Div(), right) if self.whole and not (
                _is_float(left) or _is_float(right)
            ):
                new = ast.Call(ast.Name(_DIVISION, ast.Load()), [left, right], [])
            case ast.Call(ast.Attribute(table, "has_key"), [key], []) if self.python2:
                new = ast.Compare(key, [ast.In()], [table])
            case ast.Call(ast.Attribute(_, "keys" | "values" | "items"), [], []) if self.python2:
                new = ast.Call(ast.Name(_LIST, ast.Load()), [node], [])
        return ast.fix_missing_locations(ast.copy_location(new, node)) if new else node


def _is_float(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float)
