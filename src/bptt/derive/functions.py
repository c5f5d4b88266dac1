"""The functions that equations may use: what each is in NumPy, and its derivative by values at hand.

A derivative is written with y, the function's value, and u, v, w, its arguments: the sigmoid's
is ``y*(1 - y)``, not the sigmoid evaluated again. ``where(u, v, w)`` is v where u > 0, else w. What holds at
a kink is said in :mod:`bptt.elementwise`.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.elementwise import absolute, maximum, minimum
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
}

ALIASES = {
    "maximum": "max",
    "minimum": "min",
    "absolute": "abs",
    "fabs": "abs",
    "σ": "sigmoid",
    "expit": "sigmoid",
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


# under the names that equations use, for files that import what they name
tanh, exp, log, sqrt, where, max, min = np.tanh, np.exp, np.log, np.sqrt, np.where, maximum, minimum


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
}
"""What generated NumPy code finds."""
