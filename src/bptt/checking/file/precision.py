"""Numbers of single precision made double: rounding would hide a small fault, and show one that is none."""

import ast

_NAMES = dict.fromkeys(("float32", "float16", "bfloat16"), "float64")
_NAMES |= {"FloatTensor": "DoubleTensor", "HalfTensor": "DoubleTensor"}
_SHORT = {"single", "half", "float"}  # a library's, or a tensor's method
_CODES = {"f", "f4", "<f4", "=f4", "f2", "<f2", "e", "single", "half"}
_LIBRARIES = {"np", "numpy", "torch", "th", "jnp", "jax", "anp", "tf"}
_TAKE_DTYPE = set("astype dtype array asarray zeros ones empty eye arange full type".split())  # noqa: SIM905


def in_double(tree: ast.AST) -> bool:
    """Rewrite the dtypes of single and half precision in a tree as double; return whether there were any."""
    return any([_rewritten(node) for node in ast.walk(tree)])  # noqa: C419 (all are)


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
        case _:
            return False
    return True
