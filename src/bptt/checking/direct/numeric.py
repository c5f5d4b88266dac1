r"""The numerical gradient to judge others by, with an estimate of its own error.

Two ways, the better one first::

    complex step          df/dx ≈ Im f(x + iε) / ε,  ε = 1e-30      no subtraction: exact to rounding
    central differences   df/dx ≈ (f(x + s) - f(x - s)) / 2s        extrapolated over shrinking steps s

The complex step needs a function that takes complex numbers and is analytic in them. Whether it does and
is, is tested and not believed: along random directions the two ways must agree. Central differences are
extrapolated to s = 0 (Ridders 1982): of all entries of the tableau, the one that agrees best with its
neighbours gives the value, and their disagreement the estimate.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bptt.types import Array, Generator, Params

Function: TypeAlias = Callable[[Params], complex]
"""From named arrays to a number, of whatever NumPy kind."""

Method: TypeAlias = Literal["complex step", "central differences"]

COMPLEX_STEP = 1e-30

FIRST_STEP, SHRINK, LEVELS = 2.0**-4, 4.0, 7
"""Central differences: the largest step (relative to 1 + |x|), what the next is divided by, how many."""

NOISE_STEP = 2.0**-12
OFFSETS = np.array([-1, -0.83, -0.47, -0.19, 0.11, 0.38, 0.71, 0.97])
"""Where noise is looked for: at uneven distances, because on an even grid the rounding of the argument goes
up as evenly as the argument, and shows no noise."""

_CUBIC = np.vander(OFFSETS, 4)
RESIDUAL = np.eye(len(OFFSETS)) - _CUBIC @ np.linalg.pinv(_CUBIC)
"""Takes values at these to what is left of them beside a cubic."""

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Numeric:
    """A numerical gradient.

    Attributes
    ----------
    gradient : dict of float64 arrays
        An array for each parameter, of its shape.
    estimate : dict of float64 arrays
        By how much each entry may be off.
    method : "complex step" or "central differences"
    """

    gradient: Params
    estimate: Params
    method: Method


def numerical_gradient(f: Function, at: Params, rng: Generator) -> Numeric:
    """Return the gradient of `f` at a point, by the better way that `f` allows.

    Parameters
    ----------
    f : callable
        From a dict of arrays to a number.
    at : dict of float64 arrays
    rng : Generator
        For the directions along which the complex step is tested.

    Examples
    --------
    >>> numeric = numerical_gradient(
    ...     lambda p: np.tanh(p["x"]).sum(), {"x": np.array([0.5])}, np.random.default_rng(0)
    ... )
    >>> numeric.method, bool(np.allclose(numeric.gradient["x"], 1 - np.tanh(0.5) ** 2, rtol=1e-15))
    ('complex step', True)
    """
    if _is_analytic(f, at, rng):
        gradient = complex_step(f, at)
        size = max((float(np.abs(g).max(initial=0)) for g in gradient.values()), default=0.0)
        estimate = {name: np.full(g.shape, 64 * EPS * size) for name, g in gradient.items()}
        return Numeric(gradient, estimate, "complex step")
    gradient, estimate = central_differences(f, at)
    return Numeric(gradient, estimate, "central differences")


def complex_step(f: Function, at: Params) -> Params:
    """Return the gradient by a step along the imaginary axis for each entry."""
    lifted = {name: array.astype(np.complex128) for name, array in at.items()}
    gradient = {name: np.zeros(array.shape) for name, array in at.items()}
    for name, index in _entries(at):
        real = lifted[name][index]
        lifted[name][index] = real + 1j * COMPLEX_STEP
        gradient[name][index] = complex(f(_copied(lifted))).imag / COMPLEX_STEP
        lifted[name][index] = real
    return gradient


def central_differences(f: Function, at: Params) -> tuple[Params, Params]:
    """Return the gradient by extrapolated differences, and the estimate of its error, for each entry."""
    moved = {name: array.astype(np.float64) for name, array in at.items()}
    gradient = {name: np.zeros(array.shape) for name, array in at.items()}
    estimate = {name: np.zeros(array.shape) for name, array in at.items()}
    for name, index in _entries(at):
        here = float(moved[name][index])

        def along(s: float, name: str = name, index: tuple[int, ...] = index, here: float = here) -> float:
            moved[name][index] = here + s
            value = complex(f(_copied(moved))).real
            moved[name][index] = here
            return value

        gradient[name][index], estimate[name][index] = derivative(along, 1 + abs(here))
    return gradient, estimate


def derivative(f: Callable[[float], float], scale: float = 1.0) -> tuple[float, float]:
    """Return f'(0) by Ridders' extrapolation of central differences, and the estimate of its error.

    Parameters
    ----------
    f : callable
    scale : float
        The largest step is this, times 2⁻⁴.

    Examples
    --------
    >>> value, error = derivative(np.exp)
    >>> bool(abs(value - 1) < error < 1e-9)
    True
    """
    noise = _noise(f, scale)
    best, error = math.nan, math.inf
    row: list[float] = []
    rough: list[float] = []  # the differences themselves
    bend: list[float] = []  # by how much the two one-sided ones differ: like s, unless there is a kink
    centre = f(0.0)
    for level in range(LEVELS):
        s = FIRST_STEP * scale / SHRINK**level
        above, below = f(s), f(-s)
        before, row = row, [(above - below) / (2 * s)]
        rough.append(row[0])
        bend.append(abs(above - 2 * centre + below) / s)
        for k in range(1, level + 1):
            power = SHRINK ** (2 * k)
            row.append((power * row[k - 1] - before[k - 1]) / (power - 1))
            off = max(abs(row[k] - row[k - 1]), abs(row[k] - before[k - 1])) + noise / s
            if off < error:
                best, error = row[k], off
    rounding = noise / s
    if bend[-1] > 4 * rounding and bend[-1] > 0.3 * bend[-2]:
        error = max(error, 2 * bend[-1])  # a kink within the smallest step
    elif abs(best - rough[-1]) > 10 * rounding + 1e-6 * abs(best):
        # a kink within the larger steps: the smallest two are all there is to go by
        best, error = rough[-1], 4 * abs(rough[-1] - rough[-2]) + 10 * rounding
    return (best, error) if math.isfinite(best) else (math.nan, math.inf)


def _noise(f: Callable[[float], float], scale: float) -> float:
    """Return how far f's values are from smooth: rounding in double precision, or in single within.

    Looked for at both ends of the largest step too, because a number rounded to single precision is rounded
    the more coarsely the larger it is. The median of the three, because a kink is no noise, and is in one.
    """
    found, largest = [], 0.0
    for centre in (-FIRST_STEP, 0.0, FIRST_STEP):
        values = np.array([f(scale * (centre + offset * NOISE_STEP)) for offset in OFFSETS])
        found.append(4 * float(np.abs(RESIDUAL @ values).max()))
        largest = max(largest, float(np.abs(values).max()))
    return max(sorted(found)[1], EPS * largest)


def _is_analytic(f: Function, at: Params, rng: Generator, directions: int = 2) -> bool:
    """Return whether `f` takes complex numbers, keeps them, and has the derivative that they give."""
    for _ in range(directions):
        way = {name: rng.normal(size=array.shape) for name, array in at.items()}

        def along(s: complex, way: Params = way) -> complex:
            return complex(f({name: at[name] + s * way[name] for name in at}))

        try:
            with np.errstate(all="ignore"):
                imaginary = along(1j * COMPLEX_STEP).imag / COMPLEX_STEP
        except Exception:  # whatever a stranger's code does with a complex number
            return False
        real, error = derivative(lambda s, along=along: along(s).real)  # type: ignore[misc]
        if not math.isfinite(imaginary) or abs(imaginary - real) > 10 * error + 1e-7 * abs(real):
            return False
        if error > 1e-4 * abs(real):  # too uncertain to have shown anything
            return False
    return True


def _entries(at: Params) -> Iterator[tuple[str, tuple[int, ...]]]:
    return ((name, index) for name, array in at.items() for index in np.ndindex(array.shape))


def _copied(arrays: Params) -> dict[str, Array]:
    """Return copies, because a stranger's code may change what it is given."""
    return {name: array.copy() for name, array in arrays.items()}
