"""The functions of one number that cells and losses are made of, each defined here and nowhere else.

All keep their relative precision over the whole range (float32 and float64 to a few units in the last place,
also where the value is a denormal number), none overflows, and each is analytic on either side of its kink,
so that a complex step of any size goes through. They take arrays of float32, float64 or complex128 and keep
the dtype. What ``bptt derive --format numpy`` writes holds their own text; compiled code means the same.

At a kink there is one convention: a function with a kink is a choice, and its derivative is that of what is
chosen. The larger of two is ``where(a > b, a, b)``, the smaller ``where(a < b, a, b)``: a tie goes to the
second. relu(x) is max(x, 0), and |x| is ``where(x > 0, x, where(x < 0, -x, 0))``: both have the derivative 0
at 0.
"""

import numpy as np

from bptt.types import Array


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)); with e = exp(-|a|), that or e / (1 + e)."""
    if np.iscomplexobj(a):
        e = np.exp(np.where(a.real > 0, -a, a))
        s: Array = np.where(a.real > 0, 1, e) / (1 + e)
        return s
    e = np.exp(-np.abs(a))
    s = np.maximum(e, a > 0)
    e += 1
    s /= e
    return s


def softplus(a: Array) -> Array:
    """Return log(1 + exp(a)) = max(a, 0) + log(1 + e) with e = exp(-|a|)."""
    if np.iscomplexobj(a):
        e = np.exp(np.where(a.real > 0, -a, a))
        y: Array = np.where(a.real > 0, a, 0) + 2 * np.arctanh(e / (2 + e))  # as log1p(e), which is coarse
        return y
    y = np.maximum(a, 0.0)
    y += np.log1p(np.exp(-np.abs(a)))
    return y


def relu(a: Array) -> Array:
    """Return max(a, 0)."""
    return np.where(a.real <= 0, 0, a) if np.iscomplexobj(a) else np.maximum(a, 0)


def absolute(a: Array) -> Array:
    """Return |a|; of a complex number the one of a and -a whose real part is not negative."""
    if np.iscomplexobj(a):
        return np.where(a.real < 0, -a, np.where(a.real == 0, 0, a))  # no product: of infinities it is none
    return np.abs(a)


def maximum(a: Array, b: Array) -> Array:
    """Return the larger of two, by their real parts; NaN where either is."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return np.where((a.real > b.real) | (a != a), a, b)
    return np.maximum(a, b)


def minimum(a: Array, b: Array) -> Array:
    """Return the smaller of two, by their real parts; NaN where either is."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return np.where((a.real < b.real) | (a != a), a, b)
    return np.minimum(a, b)
