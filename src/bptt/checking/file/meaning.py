"""What a text means to this Python and this NumPy: old names, Python 2's division, numbers in double."""

import ast
import builtins
import copy
import functools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.file.imports import MISSING, importer, missing, opener
from bptt.checking.file.syntax import is_future

_DIVISION, _LIST, _NUMBER = "__division__", "__list__", "__number__"
_NEW = {"row_stack": "vstack", "product": "prod", "alltrue": "all", "in1d": "isin", "float_": "float64"}
_NEW |= {"float": "float64", "int": "int_", "bool": "bool_", "complex": "complex128"}


def names(path: Path, *, python2: bool) -> dict[str, Any]:
    """Return the built-in names as a text means them: Python 2's, too; with `python2` as they were."""
    found = vars(builtins) | {"xrange": range, "unicode": str, "basestring": str, "long": int}
    found |= {"raw_input": input, "unichr": chr, "reduce": functools.reduce}
    found |= {_NUMBER: _number, MISSING: missing, "open": opener(path), "__import__": importer(path)}
    if python2:
        found |= {make.__name__: functools.partial(_listed, make) for make in (range, map, filter, zip)}
        found |= {_DIVISION: _divided, _LIST: list}
    return found


def _divided(a: Any, b: Any) -> Any:
    """Return a quotient as Python 2 has it: of whole numbers the whole quotient."""
    whole = all(isinstance(v, int | np.integer) for v in (a, b))
    return a // b if whole else a / b


def _number(value: Any) -> Any:
    """Return an array of one entry as a number, which older NumPy took for one."""
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


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
            case ast.Call(ast.Attribute(ast.Name("np" | "numpy"), "sum"), [ast.GeneratorExp()]):
                node.func = ast.copy_location(ast.Name("sum", ast.Load()), node.func)  # as older NumPy did
            case ast.Call(ast.Attribute(ast.Name("math")) | ast.Name("float" | "int"), [_]):
                node.args = [_as_number(node.args[0])]
            case ast.BinOp(ast.Constant(str()), ast.Mod(), ast.Tuple(elts=parts)):
                parts[:] = map(_as_number, parts)
            case ast.BinOp(ast.Constant(str()), ast.Mod(), right):
                node.right = _as_number(right)
    if python2:
        _Python2(whole="import division" not in text).visit(tree)
    first = tree.body[:1]  # it may be a docstring
    tree.body.sort(key=lambda node: node not in first and not is_future(node))
    return tree


def _as_number(node: ast.expr) -> ast.expr:
    call = ast.Call(ast.Name(_NUMBER, ast.Load()), [node], [])
    return ast.fix_missing_locations(ast.copy_location(call, node))


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


GUARD = 1e-5  # constants from here down keep a logarithm or a quotient finite

_NAMES = dict.fromkeys(("float32", "float16", "bfloat16"), "float64")
_NAMES |= {"FloatTensor": "DoubleTensor", "HalfTensor": "DoubleTensor"}
_NAMES |= dict.fromkeys(("float128", "longdouble", "longfloat"), "float64")
_SHORT = {"single", "half", "float"}  # a library's, or a tensor's method
_CODES = {"f", "f4", "<f4", "=f4", "f2", "<f2", "e", "single", "half", "g", "f16", "longdouble"}
_LIBRARIES = {"np", "numpy", "torch", "th", "jnp", "jax", "anp", "tf"}
_GUARD = re.compile(r"(0\.000\d+|\d+(\.\d+)?e-\d+|[\w.]*(eps|epsilon|tiny))$", re.IGNORECASE)
_TAKE_DTYPE = set("astype dtype array asarray zeros ones empty eye arange full type".split())  # noqa: SIM905


def in_double(tree: ast.AST) -> bool:
    """Rewrite a tree's dtypes of other precision as double; return whether there were any.

    Small numbers that guard a logarithm are for what is zero only then.
    """
    return any([_rewritten(node) for node in ast.walk(tree)])  # noqa: C419 (all are)


def unguarded(tree: ast.AST) -> None:
    """Make small constants, as in ``log(p + 1e-8)``, smaller than rounding."""
    for node in guards(tree):
        node.value = float(node.value) * 1e-9  # type: ignore[arg-type]


def guards(tree: ast.AST) -> list[ast.Constant]:
    """Return the small constants in a tree."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node for node in found if isinstance(node.value, float) and 0 < node.value <= GUARD]


def _rewritten(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name) if name in _NAMES:
            node.attr = _NAMES[name]
        case ast.Attribute(ast.Name(library), name) if library in _LIBRARIES and name in _SHORT:
            node.attr = "float64"
        case ast.Call(ast.Attribute(attr="float" | "half") as method, []):
            method.attr = "double"
        case ast.Constant("float32" | "float16" | "float128"):
            node.value = "float64"
        case ast.alias(name) if name in _NAMES:
            node.name, node.asname = _NAMES[name], node.asname or name
        case ast.keyword("dtype", ast.Constant(str(code)) as value) if code in _CODES:
            value.value = "float64"
        case ast.Call(
            ast.Attribute(attr=name) | ast.Name(id=name), [*_, ast.Constant(str(code)) as value]
        ) if name in _TAKE_DTYPE and code in _CODES:
            value.value = "float64"
        case ast.Call(
            ast.Attribute(attr="log" | "log2" | "log10"), [ast.BinOp(x, ast.Add(), guard) as whole, *_]
        ) if _GUARD.match(ast.unparse(guard)):
            # log(x + 1e-8) is log(x), of whose gradient a backward is: a guard is for x = 0
            whole.right = ast.BinOp(
                guard, ast.Mult(), ast.Compare(copy.deepcopy(x), [ast.LtE()], [ast.Constant(0)])
            )
            ast.fix_missing_locations(ast.copy_location(whole.right, guard))
            return False
        case _:
            return False
    return True
