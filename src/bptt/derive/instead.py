"""What to write in place of what equations do not have: of functions, of conditions, of arguments."""

import ast
from collections.abc import Collection

from bptt.derive.axes import WORDS

FORMULAS = {
    "leaky_relu": "max(u, 0.01 * u)",
    "elu": "where(u > 0, u, exp(u) - 1)",
    "selu": "1.0507 * where(u > 0, u, 1.6733 * (exp(u) - 1))",
    "relu6": "clip(u, 0, 6)",
    "hardtanh": "clip(u, -1, 1)",
    "hardsigmoid": "clip(u / 6 + 0.5, 0, 1)",
    "hardswish": "u * clip(u / 6 + 0.5, 0, 1)",
    "softsign": "u / (1 + abs(u))",
    "mish": "u * tanh(softplus(u))",
    "sinh": "(exp(u) - exp(-u)) / 2",
    "cosh": "(exp(u) + exp(-u)) / 2",
    "tan": "sin(u) / cos(u)",
    "arcsinh": "log(u + sqrt(u * u + 1))",
    "arctanh": "log((1 + u) / (1 - u)) / 2",
    "logit": "log(u / (1 - u))",
    "square": "u * u",
    "reciprocal": "1 / u",
    "rsqrt": "1 / sqrt(u)",
    "log1p": "log(1 + u)",
    "expm1": "exp(u) - 1",
    "log2": "log(u) / log(2)",
    "log10": "log(u) / log(10)",
    "erfc": "1 - erf(u)",
    "ceil": "-floor(-u)",
    "round": "floor(u + 0.5)",
    "heaviside": "where(u > 0, 1, 0)",
    "var": "mean((u - mean(u)) ** 2)",
    "std": "sqrt(mean((u - mean(u)) ** 2))",
    "norm": "sqrt(sum(u * u))",
    "normalize": "u / sqrt(sum(u * u) + 1e-6)",
    "layernorm": "(u - mean(u)) / sqrt(mean((u - mean(u)) ** 2) + 1e-5)",
    "rmsnorm": "u / sqrt(mean(u * u) + 1e-6)",
    "logsumexp": "max(u) + log(sum(exp(u - max(u))))",
    "logsoftmax": "u - max(u) - log(sum(exp(u - max(u))))",
}
"""Functions that are others, written out."""

_OTHER = {"asinh": "arcsinh", "atanh": "arctanh", "step": "heaviside"}

GATE = "a_h is x W_h + h U_h + b_h"
_MATRIX = (
    f"products with matrices are outside, {GATE}; a memory that is a matrix has "
    'shapes={"S": "unit key"}: S + v * k writes, sum(S * q, key) reads'
)
_GIVEN = "what is drawn is given at each step, inputs=; --recurrent-dropout and --zoneout are for every cell"

_WAYS = {
    "dot inner vdot": "sum(u * v) goes over the units, sum(u * v, key) over the keys",
    "matmul mm bmm einsum tensordot linear dense outer ger": _MATRIX,
    "concatenate concat cat hstack vstack stack": f"a gate reads input and state, {GATE}",
    "add subtract multiply mul divide div true_divide negative neg power pow": (
        "arithmetic has signs: -u, u + v, u - v, u * v, u / v, u ** 2"
    ),
    "split chunk": "each gate is an argument of its own, a_i, a_f",
    "dropout zoneout rand randn normal uniform bernoulli": _GIVEN,
    "zeros ones zeros_like ones_like full_like": "0 or 1 is as wide as what it meets",
}
"""Functions that are none here, and how what they are for is said."""


def of_function(path: str, known: Collection[str]) -> str:
    """Return what is said of a function that equations do not have."""
    called = path.split(".")[-1]
    plain = called.replace("_", "").lower()
    says = f"the function {path} is not known"
    formula = FORMULAS.get(called) or FORMULAS.get(_OTHER.get(plain, plain))
    if formula is not None:
        return f"{says}: a helper above says it, def {called}(u): return {formula}"
    if called in WORDS:
        return f"{says}: {called}(v) goes over the units, {called}(v, key) over the keys"
    for names, way in _WAYS.items():
        if called.lower() in names.split():
            return f"{says}: {way}"
    own = f"; write your own above, def {path}(u): return u * sigmoid(u)" if path.isidentifier() else ""
    return f"{says}; there are {', '.join(known)}{own}"


_LOGICAL: dict[str, ast.expr] = {
    "logical_and": ast.BoolOp(ast.And(), []),
    "logical_or": ast.BoolOp(ast.Or(), []),
    "logical_not": ast.UnaryOp(ast.Not(), ast.Constant(0)),
}


def of_condition(node: ast.expr) -> str:
    """Return what is said of a condition that is no comparison of two values."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) if name in _LOGICAL:
            return of_condition(_LOGICAL[name])
        case ast.BoolOp(op=ast.And()) | ast.BinOp(op=ast.BitAnd()) | ast.Compare(ops=[_, _, *_]):
            return "where(...) compares two values; where(a > b, where(c > d, this, that), that) is a and b"
        case ast.BoolOp() | ast.BinOp(op=ast.BitOr()):
            return "where(...) compares two values; where(a > b, this, where(c > d, this, that)) is a or b"
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            return (
                "where(...) compares two values: for not, exchange what is chosen: where(a > b, that, this)"
            )
    return "where(...) compares two values first: where(a > b, this, that)"


def of_argument(name: str, states: tuple[str, ...]) -> str:
    """Return what may have been meant by an argument of no kind, after a semicolon."""
    stem = name.strip("_0123456789").lower()
    first, _, last = stem.partition("_")
    if name == "self":
        return "; a cell is no method, and has no self"
    if stem in ("state", "states", "hidden", "hx", "carry"):
        return f"; each state is an argument by its own name: {', '.join(states)}"
    if stem in ("w", "u", "v", "b", "wx", "wh", "weight", "weights", "bias") or first in ("w", "u", "b"):
        return f"; matrices and biases are outside: {GATE}; what each unit has for itself, in params="
    if first in states or last in states:
        state = first if first in states else last
        return f"; the state before the step is {state}, or {state}_prev"
    if stem in ("gates", "z", "preact"):
        return "; each gate is an argument of its own: a_i, a_f"
    return f'; a gate is a_{name}, a parameter stands in params="{name}", what is given in inputs="{name}"'
