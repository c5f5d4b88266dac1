"""The functions that equations may use: what each is in NumPy, and its derivative by values at hand.

A derivative is written with y, the function's value, and u, v, w, its arguments: the sigmoid's
is ``y*(1 - y)``, not the sigmoid evaluated again. ``where(u, v, w)`` is v where u > 0, else w. What holds at
a kink is said in :mod:`bptt.elementwise`.

Two functions have the derivative that is asked for. ``stop(u)`` is u, with the derivative 0.
``surrogate(u, v, w)`` is u, whose derivative by w is v: what it is derived by is named, since value and
derivative may both be made of several.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.elementwise import Phi, absolute, erf, floor, maximum, minimum, sign, stop, surrogate
from bptt.elementwise import relu as relu
from bptt.elementwise import sigmoid as sigmoid
from bptt.elementwise import softplus as softplus


@dataclass(frozen=True)
class Function:
    """A function of one to three values.

    Attributes
    ----------
    numpy : str
        Its name in `NAMESPACE`.
    derivatives : tuple of str
        By each argument, as the module says.
    """

    numpy: str
    derivatives: tuple[str, ...]

    @property
    def arity(self) -> int:
        """How many arguments it takes."""
        return len(self.derivatives)


FUNCTIONS: dict[str, Function] = {
    "sigmoid": Function("sigmoid", ("y*(1 - y)",)),
    "tanh": Function("np.tanh", ("1 - y**2",)),
    "relu": Function("relu", ("where(y, 1, 0)",)),
    "exp": Function("np.exp", ("y",)),
    "log": Function("np.log", ("1/u",)),
    "softplus": Function("softplus", ("sigmoid(u)",)),
    "sqrt": Function("np.sqrt", ("1/(2*y)",)),
    "abs": Function("absolute", ("where(u, 1, 0) - where(-u, 1, 0)",)),
    "max": Function("maximum", ("where(u - v, 1, 0)", "where(u - v, 0, 1)")),
    "min": Function("minimum", ("where(v - u, 1, 0)", "where(v - u, 0, 1)")),
    "where": Function("np.where", ("0", "where(u, 1, 0)", "where(u, 0, 1)")),
    "sin": Function("np.sin", ("cos(u)",)),
    "cos": Function("np.cos", ("-sin(u)",)),
    "erf": Function("erf", ("1.1283791670955126*exp(-u**2)",)),
    "Phi": Function("Phi", ("0.3989422804014327*exp(-u**2/2)",)),
    "sign": Function("sign", ("0",)),
    "floor": Function("floor", ("0",)),
    "stop": Function("stop", ("0",)),
    "surrogate": Function("surrogate", ("0", "0", "v")),
}

ALIASES = {
    "maximum": "max",
    "minimum": "min",
    "absolute": "abs",
    "fabs": "abs",
    "σ": "sigmoid",
    "expit": "sigmoid",
    "sgn": "sign",
    "log_sigmoid": "logsigmoid",
    "clamp": "clip",
    "detach": "stop",
    "stop_gradient": "stop",
}
"""What else people call them."""

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
"""What stands between two values, by its kind in Python's syntax."""


def arithmetic(op: ast.operator, a: float, b: float) -> float:
    """Return a op b, nan where it is no real number."""
    try:
        value = OPERATORS[type(op)](a, b)
        return value if isinstance(value, float) else math.nan  # a power may be complex
    except (ZeroDivisionError, OverflowError):
        return math.nan


# under the names that equations use, for files that import what they name
tanh, exp, log, sqrt, where, max, min = np.tanh, np.exp, np.log, np.sqrt, np.where, maximum, minimum
sin, cos = np.sin, np.cos


def silu(u: Any) -> Any:
    """Return u sigmoid(u)."""
    return u * sigmoid(u)


def gelu(u: Any) -> Any:
    """Return u Phi(u)."""
    return u * Phi(u)


def logsigmoid(u: Any) -> Any:
    """Return log(sigmoid(u))."""
    return -softplus(-u)


def clip(u: Any, low: Any, high: Any) -> Any:
    """Return u between two bounds."""
    return minimum(maximum(u, low), high)


def mod(u: Any, v: Any) -> Any:
    """Return what is left of u beyond a whole number of times v."""
    return u - v * floor(u / v)


HELPERS: dict[str, Callable[..., Any]] = {f.__name__: f for f in (silu, gelu, logsigmoid, clip, mod)}
"""What is made of `FUNCTIONS`: written in where it is called, as a cell's own helpers are."""

LATER = {
    *("sin", "cos", "erf", "Phi", "sign", "floor", "stop", "surrogate", "erfcx", "ERF", "ERFC"),
    *("sgn", "log_sigmoid", "clamp", "detach", "stop_gradient", *HELPERS),
}
"""Words that came after the others, and what they need in code. In a cell that calls none of them they are
names like any other: there are runs whose cells have a floor=0.1."""


def in_numpy(name: str, namespace: Mapping[str, Any] | None = None) -> Any:
    """Return the function of that name, for NumPy's numbers or for others with such a namespace."""
    return eval(FUNCTIONS[name].numpy, {**(NAMESPACE if namespace is None else namespace)})


NAMESPACE: dict[str, Any] = {
    "np": np,
    "sigmoid": sigmoid,
    "relu": relu,
    "softplus": softplus,
    "absolute": absolute,
    "maximum": maximum,
    "minimum": minimum,
    "erf": erf,
    "Phi": Phi,
    "sign": sign,
    "floor": floor,
    "stop": stop,
    "surrogate": surrogate,
}
"""What generated NumPy code finds."""


def computed(name: str, numbers: Sequence[float]) -> float:
    """Return the value of a function of numbers; nan or infinite where it is none."""
    if name == "where":
        return numbers[1] if numbers[0] > 0 else numbers[2]
    with np.errstate(all="ignore"):
        return float(in_numpy(name)(*(np.array([n]) for n in numbers))[0])
