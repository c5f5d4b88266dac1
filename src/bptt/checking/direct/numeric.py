r"""The numerical gradient to judge others by, with an estimate of its own error.

Two ways, the better one first::

    complex step          df/dx ≈ Im f(x + iε) / ε,  ε = 1e-30      no subtraction: exact to rounding
    central differences   df/dx ≈ (f(x + s) - f(x - s)) / 2s        at shrinking s, extrapolated to 0

The complex step needs a function that takes complex numbers and is analytic in them. Whether it does and is,
is tested and not believed: along random directions the two ways must agree.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bptt.types import Generator, Params

COMPLEX_STEP = 1e-30
STEPS = 2.0 ** -np.arange(4, 18, 2)  # of central differences, relative to 1 + |x|

OFFSETS = np.array([-1, -0.83, -0.47, -0.19, 0.11, 0.38, 0.71, 0.97])
"""Where noise is looked for, times 2⁻¹²: at uneven distances, because on an even grid the rounding of the
argument goes up as evenly as the argument, and shows no noise."""

_CUBIC = np.vander(OFFSETS, 4)
RESIDUAL = np.eye(len(OFFSETS)) - _CUBIC @ np.linalg.pinv(_CUBIC)
"""Takes values at these to what is left of them beside a cubic."""

EPS = float(np.finfo(np.float64).eps)


class Numeric(NamedTuple):
    """A numerical gradient, by how much each entry of it may be off, and the way in which it was found."""

    gradient: Params
    estimate: Params
    method: str


def numerical_gradient(f: Callable[[Params], complex], at: Params, rng: Generator) -> Numeric:
    """Return the gradient of `f` at a point, by the better way that `f` allows.

    `f` takes a dict of arrays, which it may change, and returns a number of whatever NumPy kind; `rng` gives
    the directions along which the complex step is tested.

    Examples
    --------
    >>> f, at = lambda p: np.tanh(p["x"]).sum(), {"x": np.array([0.5])}
    >>> numeric = numerical_gradient(f, at, np.random.default_rng(0))
    >>> numeric.method, bool(np.allclose(numeric.gradient["x"], 1 - np.tanh(0.5) ** 2, rtol=1e-15))
    ('complex step', True)
    """

    def along(way: Params) -> Callable[[complex], complex]:
        return lambda s: complex(f({n: a + s * way.get(n, 0) for n, a in at.items()}))

    ways = ({n: rng.normal(size=a.shape) for n, a in at.items()} for _ in range(2))
    exact = all(_is_analytic(along(way)) for way in ways)
    gradient, estimate = ({n: np.zeros(a.shape) for n, a in at.items()} for _ in range(2))
    for name, array in at.items():
        for index in np.ndindex(array.shape):
            unit = np.zeros(array.shape)
            unit[index] = 1
            line = along({name: unit})
            if exact:
                gradient[name][index] = line(1j * COMPLEX_STEP).imag / COMPLEX_STEP
            else:
                found = derivative(lambda s, line=line: line(s).real, 1 + abs(float(array[index])))  # type: ignore[misc]
                gradient[name][index], estimate[name][index] = found
    if not exact:
        return Numeric(gradient, estimate, "central differences")
    size = max((float(np.abs(g).max(initial=0)) for g in gradient.values()), default=0.0)
    return Numeric(gradient, {n: e + 64 * EPS * size for n, e in estimate.items()}, "complex step")


def derivative(f: Callable[[float], float], scale: float = 1.0) -> tuple[float, float]:
    """Return f'(0) by central differences over steps `scale` times `STEPS`, and how far it may be off."""
    steps, noise, centre = scale * STEPS, _noise(f, scale), f(0.0)
    above, below = (np.array([f(way * s) for s in steps]) for way in (1, -1))
    rough = (above - below) / (2 * steps)
    fine = rough[1:] + np.diff(rough) / 15  # a step is a quarter of the one before, its square a 16th
    off = np.nan_to_num(np.abs(np.diff(fine)) + noise / steps[2:], nan=math.inf)
    best = int(off.argmin())
    value, error, rounding = float(fine[best + 1]), float(off[best]), noise / steps[-1]
    bend = np.abs(above - 2 * centre + below) / steps  # of the one-sided ones: like s, unless there is a kink
    if bend[-1] > 4 * rounding and bend[-1] > 0.3 * bend[-2]:
        error = max(error, 2 * float(bend[-1]))  # a kink within the smallest step
    elif abs(value - rough[-1]) > 10 * rounding + 1e-6 * abs(value):
        # a kink within the larger steps: the smallest two are all there is to go by
        value, error = float(rough[-1]), 4 * abs(float(rough[-1] - rough[-2])) + 10 * rounding
    return (value, error) if math.isfinite(value) else (math.nan, math.inf)


def _noise(f: Callable[[float], float], scale: float) -> float:
    """Return how far f's values are from smooth: rounding in double precision, or in single within.

    Looked for at both ends of the largest step too, because a number rounded to single precision is rounded
    the more coarsely the larger it is. The median of the three, because a kink is no noise, and is in one.
    """
    centres = np.array([-STEPS[0], 0, STEPS[0]])
    values = np.array([[f(scale * (centre + s * 2.0**-12)) for s in OFFSETS] for centre in centres])
    rest = 4 * np.abs(values @ RESIDUAL).max(axis=1)
    return max(float(np.sort(rest)[1]), EPS * float(np.nanmax(np.abs(values), initial=0)))


def _is_analytic(f: Callable[[complex], complex]) -> bool:
    """Return whether `f` takes complex numbers, keeps them, and has at 0 the derivative that they give."""
    try:
        with np.errstate(all="ignore"):
            imaginary = f(1j * COMPLEX_STEP).imag / COMPLEX_STEP
    except Exception:  # whatever a stranger's code does with a complex number
        return False
    real, error = derivative(lambda s: f(s).real)
    agree = abs(imaginary - real) <= 10 * error + 1e-7 * abs(real)  # and surely enough to show something
    return math.isfinite(imaginary) and agree and error <= 1e-4 * abs(real)
