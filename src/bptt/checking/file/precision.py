"""Numbers of single precision made double, and guards none: what they do to a gradient is no fault."""

import ast
import copy
import re

GUARD = 1e-5
"""Constants from here down keep a logarithm or a quotient finite."""

_NAMES = dict.fromkeys(("float32", "float16", "bfloat16"), "float64")
_NAMES |= {"FloatTensor": "DoubleTensor", "HalfTensor": "DoubleTensor"}
_SHORT = {"single", "half", "float"}  # a library's, or a tensor's method
_CODES = {"f", "f4", "<f4", "=f4", "f2", "<f2", "e", "single", "half"}
_LIBRARIES = {"np", "numpy", "torch", "th", "jnp", "jax", "anp", "tf"}
_GUARD = re.compile(r"(0\.000\d+|\d+(\.\d+)?e-\d+|[\w.]*(eps|epsilon|tiny))$", re.IGNORECASE)
_TAKE_DTYPE = set("astype dtype array asarray zeros ones empty eye arange full type".split())  # noqa: SIM905


def in_double(tree: ast.AST) -> bool:
    """Rewrite the dtypes of single and half precision in a tree as double; return whether there were any.

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
        case ast.Constant("float32" | "float16"):
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
