"""What a text means to this Python and this NumPy: names that are gone, and Python 2's division and lists."""

import ast
import builtins
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.file.imports import importer
from bptt.checking.file.missing import MISSING, missing, opener
from bptt.checking.file.syntax import is_future

_DIVISION, _LIST = "__division__", "__list__"
_NEW = {"row_stack": "vstack", "product": "prod", "alltrue": "all", "in1d": "isin", "float_": "float64"}
_NEW |= {"float": "float64", "int": "int_", "bool": "bool_", "complex": "complex128"}


def names(path: Path, *, python2: bool) -> dict[str, Any]:
    """Return the built-in names as a text means them: Python 2's, too; with `python2` as they were."""
    found = vars(builtins) | {"xrange": range, "unicode": str, "basestring": str, "long": int}
    found |= {"raw_input": input, "unichr": chr, "reduce": functools.reduce}
    found |= {MISSING: missing, "open": opener(path), "__import__": importer(path)}
    if python2:
        found |= {make.__name__: functools.partial(_listed, make) for make in (range, map, filter, zip)}
        found |= {_DIVISION: _divided, _LIST: list}
    return found


def _divided(a: Any, b: Any) -> Any:
    """Return a quotient as Python 2 has it: of whole numbers the whole quotient."""
    whole = all(isinstance(v, int | np.integer) for v in (a, b))
    return a // b if whole else a / b


def _listed(make: Callable[..., Any], *args: Any) -> list[Any]:
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
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name("np" | "numpy"), attr) if attr in _NEW and not hasattr(np, attr):
                node.attr = _NEW[attr]
    if python2:
        _Python2(whole="import division" not in text).visit(tree)
    first = tree.body[:1]  # it may be a docstring
    tree.body.sort(key=lambda node: node not in first and not is_future(node))
    return tree


class _Python2(ast.NodeTransformer):
    """Gives ``/`` and a dict's methods as Python 2 has them; what is printed, into a file too, is a call."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        match node:
            case ast.Attribute(attr="iteritems" | "itervalues" | "iterkeys" as name):
                node.attr = name.removeprefix("iter")
                return node
            case ast.Expr(
                ast.Tuple([ast.Name("print" | "exec") | ast.BinOp(ast.Name("print"), ast.RShift()), *args])
            ):
                new: ast.AST = ast.Expr(ast.Call(ast.Name("print", ast.Load()), args, []))
            case ast.Expr(ast.BinOp(ast.Name("print"), ast.RShift())):
                new = ast.Pass()
            case ast.BinOp(ast.Constant(float()), ast.Div()) | ast.BinOp(_, ast.Div(), ast.Constant(float())):
                return node
            case ast.BinOp(left, ast.Div(), right) if self.whole:
                new = ast.Call(ast.Name(_DIVISION, ast.Load()), [left, right], [])
            case ast.Call(ast.Attribute(table, "has_key"), [key], []):
                new = ast.Compare(key, [ast.In()], [table])
            case ast.Call(ast.Attribute(_, "keys" | "values" | "items"), [], []):
                new = ast.Call(ast.Name(_LIST, ast.Load()), [node], [])
            case _:
                return node
        return ast.fix_missing_locations(ast.copy_location(new, node))
