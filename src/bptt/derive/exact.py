"""Real numbers in many digits, for where float64 cannot tell a wrong gradient from a rounded one.

A right derivation may look wrong in float64: in u - y with u = y + a and y large, nothing of a is left. In so
many digits everything of it is, and a difference quotient is the derivative to many digits.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mpmath
import numpy as np

from bptt.types import Array

DIGITS = 150
"""So many that of u - y many are left where u and y are 1e80 times as large, after `STEP`, too."""

UNDECIDED = (ArithmeticError, ValueError, TypeError)
"""What computing with them raises where there is no number: a division by zero, the logarithm of zero."""

_mp = mpmath.MPContext()
_mp.dps = DIGITS
STEP = _mp.mpf(10) ** -40
CLOSE = _mp.mpf(10) ** -20
NEARLY = _mp.mpf(10) ** -120
"""What is no further below a whole number, or from zero, is on it: sums in two orders differ by less."""


def numbers(array: Any) -> Array:
    """Return the same numbers with more digits, as an array of objects."""
    return np.asarray(np.frompyfunc(_number, 1, 1)(np.asarray(array, object)), object)


def _number(value: Any) -> Any:
    return _mp.mpf(value.p) / value.q if hasattr(value, "q") else _mp.mpf(value)


_kept: list[Any] | None = None
_again: Iterator[Any] | None = None


@contextmanager
def held() -> Iterator[None]:
    """Keep what `stop` and `surrogate` hold at a point, to have it again where the point is moved."""
    global _kept
    _kept = []
    try:
        yield
    finally:
        _kept = None


@contextmanager
def moved() -> Iterator[None]:
    """Run the same at a point that is moved: what was held at the first is what it was."""
    global _again
    _again = iter([*(_kept or ())])
    try:
        yield
    finally:
        _again = None


def _held(a: Any) -> Any:
    if _again is not None:
        return next(_again)
    if _kept is not None:
        _kept.append(a)
    return a


def agree(gradient: Array, rise: Array, size: Array) -> bool:
    """Return whether all gradients are the difference quotients, relative to a size (at least 1)."""
    compared = zip(*(numbers(a).ravel() for a in np.broadcast_arrays(gradient, rise, size)), strict=True)
    return all(_mp.isfinite(r) and abs(g - r) <= CLOSE * (1 + abs(s)) for g, r, s in compared)


def _each(function: Any) -> Any:
    return np.frompyfunc(function, 1, 1)


class _NumPy:
    """NumPy, with its functions for such numbers."""

    tanh, exp, log, sqrt, sin, cos = map(_each, (_mp.tanh, _mp.exp, _mp.log, _mp.sqrt, _mp.sin, _mp.cos))

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


NAMESPACE: Mapping[str, Any] = {
    "np": _NumPy(),
    "sigmoid": _each(lambda a: 1 / (1 + _mp.exp(-a))),
    "softplus": _each(lambda a: _mp.log(1 + _mp.exp(a))),
    "relu": lambda a: np.maximum(a, 0),
    "absolute": abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    # times what makes their derivatives' factors those of float64, which the derivation has
    "erf": _each(lambda a: _mp.erf(a) * (_mp.mpf(1.1283791670955126) / 2 * _mp.sqrt(_mp.pi))),
    "Phi": _each(lambda a: _mp.ncdf(a) * (_mp.mpf(0.3989422804014327) * _mp.sqrt(2 * _mp.pi))),
    "sign": _each(lambda a: _mp.sign(a) * (abs(a) > NEARLY)),
    "floor": _each(lambda a: _mp.floor(a + NEARLY)),
    "stop": lambda a: _held(a),
    "surrogate": lambda value, derivative, a: _held(value) + _held(derivative) * (a - _held(a)),
}
"""What generated NumPy code finds, as in :mod:`bptt.derive.functions`."""
