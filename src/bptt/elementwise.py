"""The functions of one number that cells and losses are made of, each defined here and nowhere else.

All keep their relative precision over the whole range (float32 and float64 to a few units in the last place,
also where the value is a denormal number), none overflows, and each is analytic on either side of its kink,
so that a complex step of any size goes through. They take arrays of float32, float64 or complex128 and keep
the dtype. What ``bptt derive --format numpy`` writes holds their own text; compiled code means the same.

At a kink there is one convention: a function with a kink is a choice, and its derivative is that of what is
chosen. The larger of two is ``where(a > b, a, b)``, the smaller ``where(a < b, a, b)``: a tie goes to the
second. relu(x) is max(x, 0), and abs(x) is ``where(x > 0, x, where(x < 0, -x, 0))``: both have the derivative
0 at 0. The sign and the floor are steps: of a complex number they are those of the real part, and a complex
step finds their derivative, 0, everywhere.
"""

import numpy as np

from bptt.types import Array


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)); with e = exp(-abs(a)), that or e / (1 + e)."""
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
    """Return log(1 + exp(a)) = max(a, 0) + log(1 + e) with e = exp(-abs(a))."""
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
    """Return abs(a); of a complex number the one of a and -a whose real part is not negative."""
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


def sign(a: Array) -> Array:
    """Return 1, -1 or 0: the sign of the real part."""
    return np.asarray(np.sign(a.real))


def floor(a: Array) -> Array:
    """Return the largest whole number that is not above the real part."""
    return np.asarray(np.floor(a.real))


def stop(a: Array) -> Array:
    """Return a as a constant: a complex step does not go through."""
    return a.real


def surrogate(value: Array, derivative: Array, a: Array) -> Array:
    """Return a value whose derivative by a is the one given, whatever it is made of."""
    return value.real + 1j * (derivative.real * a.imag) if np.iscomplexobj(a) else value.real


ERF = (
    -7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07, 1.6447424703317362e-06,
    -1.492473690741966e-05, 0.00012055294904839707, -0.0008548325975389692, 0.0052239776071164225,
    -0.02686617064323777, 0.11283791670945006, -0.37612638903183543, 1.1283791670955126,
)  # fmt: skip
"""erf(x) / x for x from 0 to 1, as a polynomial in x²: the highest power first."""

ERFC = (
    9.655408225482863e-10, 1.5712153638319064e-09, -1.2544825403855518e-08, -1.6357383982124768e-08,
    1.0683442926744586e-07, 7.111912428010423e-08, -8.218020654813044e-07, 2.980596055322769e-07,
    5.707239573693257e-06, -1.1225140354449658e-05, -2.439811794207995e-05, 0.0001506231178516207,
    -0.00019925700412184815, -0.0007577737141838885, 0.005031970032548695, -0.01619773397992426,
    0.0371675155318432, -0.06633036582050367, 0.09373283499865172, -0.10103906603585294,
    0.0680970542546862, 0.015379652102610162, -0.1396211168405625, 1.2329951186255526,
)  # fmt: skip
"""(1 + 2x) exp(x²) erfc(x) for x >= 0, as a polynomial in (x - 4) / (x + 4): the highest power first."""


def erfcx(x: Array) -> Array:
    """Return exp(x²) erfc(x) for x >= 0."""
    y: Array = np.polyval(ERFC, (x - 4) / (x + 4)) / (1 + 2 * x)
    return y


def erf(a: Array) -> Array:
    """Return the error function: up to 1 as a polynomial, and beyond by what is left to 1."""
    wide = np.asarray(a, np.result_type(a, np.float64))
    x = np.where(a.real < 0, -wide, wide)
    near, far = np.where(x.real < 1, x, 0), np.where(x.real < 1, 1, np.where(x.real > 30, 30, x))
    rest = np.exp(-far * far) * erfcx(far)
    y = np.where(x.real < 1, near * np.polyval(ERF, near * near), 1 - rest)
    return np.where(a.real < 0, -y, y).astype(np.result_type(a, np.float32))


def Phi(a: Array) -> Array:  # noqa: N802  the letter that it has
    """Return the normal distribution function, erfc(-a / √2) / 2; its square is exact in two parts."""
    x = np.asarray(a, np.result_type(a, np.float64))
    x = np.where(x.real > 40, 40, np.where(x.real < -40, 40, np.where(x.real < 0, -x, x)))
    high = x.real.astype(np.float32).astype(np.float64)
    rest = np.exp(-high * high / 2) * np.exp((high - x) * (high + x) / 2) * erfcx(x * 0.5**0.5) / 2
    y: Array = np.where(a.real < 0, rest, 1 - rest).astype(np.result_type(a, np.float32))
    return y
