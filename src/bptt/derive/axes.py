"""Values of other shapes than one number for each unit, and what goes over an axis.

A layer has H units in one or more heads. A value may have one number for each unit, as most have, for each
head, for each of a head's keys (a second axis, whose size the cell says), for each unit and key, or for a
whole row of the batch::

    "unit"      (heads, J, 1)       J = H / heads units of a head
    "key"       (heads, 1, K)
    "unit key"  (heads, J, K)
    "head"      (heads, 1, 1)
    "row"       (1, 1, 1)

Arithmetic broadcasts. Over an axis go a sum, the largest, and sums so far; what else people call by a name is
made of these (`MADE`). The gradient at a value with fewer axes than where it was used is a sum over the rest.
"""

import ast
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import numpy as np

from bptt.derive.functions import Function
from bptt.types import Array

Axes: TypeAlias = frozenset[str]

PLACES = {"head": -3, "unit": -2, "key": -1}
"""Each axis, and where it is in an array."""

UNIT: Axes = frozenset({"head", "unit"})
SHAPES: dict[str, Axes] = {
    "unit": UNIT,
    "key": frozenset({"head", "key"}),
    "unit key": frozenset(PLACES),
    "head": frozenset({"head"}),
    "row": frozenset(),
}
"""Shapes by the words that a cell has for them."""

_KINDS = {
    "sum": ("1",),  # of what comes back, and so for the others: see `back`
    "max": ("where(y - u, 0, 1)",),
    "cumsum": ("1",),
    "backsum": ("1",),
}
OVER = {f"{kind}_{axis}": Function(f"{kind}_{axis}", d) for kind, d in _KINDS.items() for axis in PLACES}
"""The functions over an axis: ``sum_key``, and ``backsum_key``, the sums so far from the end."""

MADE = {
    "mean": "return sum(u, {axis}) / size_{axis}",
    "softmax": "e = exp(u - stop(max(u, {axis})))\n    return e / sum(e, {axis})",
    "cumsoftmax": "e = exp(u - stop(max(u, {axis})))\n    return cumsum(e, {axis}) / sum(e, {axis})",
}
"""What is made of these."""

WORDS = ("sum", "mean", "max", "softmax", "cumsum", "cumsoftmax")
"""What a cell calls: ``sum(v)`` over the units, ``sum(v, key)`` over the keys."""

SIZES = {f"size_{axis}": axis for axis in PLACES}
"""The names of how many there are along an axis."""

ONES: dict[str, Axes] = {f"ones_{axis}": frozenset({axis}) for axis in PLACES}
"""The names of ones along an axis."""

NUMBERS = (*SIZES, *ONES)
"""Both: numbers that are known when the layer's sizes are."""


def numbers(heads: int, units: int, keys: int) -> dict[str, Any]:
    """Return these numbers by their names."""
    found: dict[str, Any] = {}
    for (axis, place), size in zip(PLACES.items(), (heads, units, keys), strict=True):
        shape = [1, 1, 1]
        shape[place] = size
        found |= {f"size_{axis}": size, f"ones_{axis}": np.ones(shape)}
    return found


def sum_over(a: Array, axis: str) -> Array:
    """Return the sum over an axis, which stays, of length 1."""
    total: Array = np.sum(a, PLACES[axis], keepdims=True)
    return total


def max_over(a: Array, axis: str) -> Array:
    """Return the largest along an axis, of complex numbers by the real part; of several their mean."""
    return max_along(a, PLACES[axis])


def max_along(a: Array, place: int) -> Array:
    """Return what `max_over` does, along an array's dimension, which stays, of length 1."""
    largest: Array = np.max(a.real, place, keepdims=True)
    if not np.iscomplexobj(a):
        return largest
    shares = a.real == largest
    mean: Array = largest + 1j * (
        (a.imag * shares).sum(place, keepdims=True) / shares.sum(place, keepdims=True)
    )
    return mean


def cumsum_over(a: Array, axis: str) -> Array:
    """Return the sums so far along an axis."""
    return np.cumsum(a, PLACES[axis])


def backsum_over(a: Array, axis: str) -> Array:
    """Return the sums so far from the end."""
    return np.flip(np.cumsum(np.flip(a, PLACES[axis]), PLACES[axis]), PLACES[axis])


def _with(function: Any, axis: str) -> Any:
    return lambda a: function(a, axis)


NAMESPACE: dict[str, Any] = {
    f"{kind}_{axis}": _with(function, axis)
    for kind, function in (
        ("sum", sum_over),
        ("max", max_over),
        ("cumsum", cumsum_over),
        ("backsum", backsum_over),
    )
    for axis in PLACES
}
"""What generated NumPy code finds."""


def over_axis(node: ast.Call, taken: Collection[str]) -> str:
    """Return which of `WORDS` a call is, unless the name is taken; the larger of two values is none."""
    name = ast.unparse(node.func)
    if name not in WORDS or name in taken:
        return ""
    second = node.args[1] if len(node.args) > 1 else None
    is_axis = isinstance(second, ast.Name) and second.id in PLACES and second.id not in taken
    return name if name != "max" or len(node.args) == 1 or is_axis else ""


def axes_of(expr: ast.expr, axes: Mapping[str, Axes]) -> Axes:
    """Return the axes of an expression's value, by those of the names in it."""
    match expr:
        case ast.Name(id=name):
            return axes.get(name, frozenset())  # a number has none
        case ast.Call(func=ast.Name(id=name)):
            return result(name, inside(expr, axes))
    return inside(expr, axes)


def inside(expr: ast.expr, axes: Mapping[str, Axes]) -> Axes:
    """Return the axes over which an expression is computed, before a function over one takes it away."""
    parts = expr.args if isinstance(expr, ast.Call) else ast.iter_child_nodes(expr)
    found = (axes_of(part, axes) for part in parts if isinstance(part, ast.expr))
    own = axes_of(expr, axes) if isinstance(expr, ast.Name) else frozenset[str]()
    return own.union(*found)


def result(function: str, of: Axes) -> Axes:
    """Return the axes of a function's value, by those of its argument."""
    kind, _, axis = function.partition("_")
    return of - {axis} if function in OVER and kind in ("sum", "max") else of
