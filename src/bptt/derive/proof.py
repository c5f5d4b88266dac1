"""The proof that a derived backward is right: its forward differentiated numerically, at random points.

A step is elementwise, so one complex step at all hidden units gives the exact derivative at each of them: of
every value that is handed out, by every argument. Of values with shapes each point is a small layer's, and an
argument is moved along a random direction.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.derive import exact
from bptt.derive.backward import Derivation, Pass
from bptt.derive.equations import Equations
from bptt.derive.numpy_code import step_functions
from bptt.errors import BpttError
from bptt.types import Array, Generator

POINTS = 512
DRAWS = 64
TOLERANCE = 1e-12
STEP = 1e-200
"""So small that a product of two moves is zero: what is zero, at the edge of a step, stays there."""

Point = dict[str, Array]  # an array of points for each argument


class ProofError(BpttError):
    """A derived gradient is not the numerical one."""


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Attributes
    ----------
    error : float
        The largest difference, relative to the size of what is compared (at least 1), where float64 decides.
    points : int
        At how many random points, of those at which the equations give numbers.
    compared : int
        How many gradients: one at each argument, in each pass; of a page, how many elements of them.
    steps : int
        Through how many steps of time.
    undecided : int
        How many of them float64 does not decide, and many digits did.
    drawn : bool
        Of a page: whether of large parameters some elements were drawn, and not all compared.
    """

    error: float
    points: int
    compared: int
    steps: int = 1
    undecided: int = 0
    drawn: bool = False


def prove(d: Derivation, still: Derivation | None = None) -> Proof:
    """Compare a derived backward with the complex step.

    What differs is looked at in many digits, in which there is no rounding to speak of.
    The points are drawn from N(0, 1). Where the equations give no number (the logarithm of a gate that is
    negative) others are drawn, 512 of them, 64 times at most.

    Parameters
    ----------
    d : Derivation
    still : Derivation, optional
        Of what is computed once before `d` (:mod:`bptt.derive.still`): its values are those of parameters.

    Raises
    ------
    ProofError
        If they differ by more than 1e-12 of the size of the terms, and not by rounding alone; if the forward
        gives no numbers, or the backward none where the forward does.

    Examples
    --------
    >>> from bptt.zoo.equations import ZOO
    >>> proof = prove(ZOO["lstm"].derivation)
    >>> proof.points, proof.compared, proof.error < 1e-14
    (512, 6, True)
    """
    with np.errstate(all="ignore"):  # what is no number is looked for
        found = [_compare(d, p, pair, still) for pair, p in d.passes.items()]
    return Proof(max(f.error for f in found), min(f.points for f in found), sum(f.compared for f in found))


def _compare(d: Derivation, p: Pass, names: tuple[str, str], still: Derivation | None) -> Proof:
    eq, step, rng = d.equations, step_functions(d, sizes=d.equations.numbers), np.random.default_rng(0)
    forward, backward = (step[name] for name in names)
    at = _points(eq, forward, rng, still)
    count = len(next(iter(at.values())))
    shape = (count,)
    shapes = {name: (count, *eq.point(name)) for name in (*at, *p.seeds)}
    cotangents = [rng.normal(size=shapes[name]) for name in p.seeds]
    given = backward(*cotangents, forward(**at)[1])
    worst = 0.0
    for name in at:
        way = 1.0 if eq.is_elementwise else rng.normal(size=shapes[name])
        moved, _ = forward(**(at | {name: at[name] + STEP * 1j * way}))
        rises = [np.imag(np.broadcast_to(o, d.shape)) / STEP for o, d in zip(moved, cotangents, strict=True)]
        parts = [(d * rise).reshape(count, -1) for d, rise in zip(cotangents, rises, strict=True)]
        expected = np.sum([part.sum(1) for part in parts], axis=0)
        size = 1 + np.sum([np.abs(part).sum(1) for part in parts], axis=0)
        gradient = np.broadcast_to(given.get(name, 0.0), shapes[name])
        if not eq.is_elementwise:
            size += np.abs(gradient * way).reshape(count, -1).sum(1)
        gradient = (gradient * way).reshape(count, -1).sum(1)
        off = relative(gradient, expected, size)
        if lost := int(np.sum(np.isfinite(expected) & ~np.isfinite(gradient))):
            raise ProofError(
                f"{eq.name}: the gradient at {name} is no number at {lost} of {shape[0]} random points "
                "where the equations give one: as at sqrt(0); add a small number inside, sqrt(x + 1e-6)"
            )
        unsure = off > TOLERANCE
        if unsure.any() and not _agree(d, names, at, cotangents, name, unsure, way):
            raise ProofError(
                f"{eq.name}: the derived gradient at {name} is off by {off.max():.1e}: "
                "this is a fault of bptt; please report the equations"
            )
        worst = max(worst, float(np.max(off[~unsure], initial=0.0)))
    return Proof(worst, shape[0], len(at))


def relative(gradient: Array, expected: Array, size: Array) -> Array:
    """Return relative differences; there is none where the forward has no derivative, as the root of 0."""
    off = np.where(np.isfinite(expected), np.abs(gradient - expected) / size, 0)
    return np.nan_to_num(off, nan=np.inf)


def _agree(
    d: Derivation,
    names: tuple[str, str],
    at: Point,
    cotangents: list[Array],
    name: str,
    some: Array,
    way: Array | float,
) -> bool:
    """Return whether a gradient is right at some points in many digits, which no rounding reaches."""
    step = step_functions(d, exact.NAMESPACE, d.equations.numbers)
    forward, backward = (step[n] for n in names)
    point = {n: exact.numbers(values[some]) for n, values in at.items()}
    seeds = [exact.numbers(d[some]) for d in cotangents]
    along = exact.numbers(np.broadcast_to(way, at[name].shape)[some])

    def total(array: Any, like: Array) -> Array:
        sums: Array = np.sum(np.broadcast_to(array, like.shape).reshape(len(like), -1), axis=1)
        return sums

    def values(h: Any) -> Any:
        with exact.moved():
            return forward(**(point | {name: point[name] + h * along}))[0]

    try:
        with exact.held():
            gradient = backward(*seeds, forward(**point)[1]).get(name, 0 * point[name])
            up, down = values(exact.STEP), values(-exact.STEP)
        parts = [d * (a - b) / (2 * exact.STEP) for d, a, b in zip(seeds, up, down, strict=True)]
        rise, size = (
            np.sum([total(part, d) for part, d in zip(values, seeds, strict=True)], axis=0)
            for values in (parts, map(np.abs, parts))
        )
        return exact.agree(total(gradient * along, along), rise, size)
    except exact.UNDECIDED:
        return False


def same(o: Array, c: Array) -> Array:
    """Return where numbers are finite, and those of the complex step no others."""
    is_other = np.isfinite(c) & ~np.isclose(o, np.real(c))
    found: Array = np.isfinite(o) & ~is_other
    return found


def _points(eq: Equations, forward: Any, rng: Generator, still: Derivation | None) -> Point:
    """Draw points at which the forward gives numbers."""
    first = None if still is None else step_functions(still, sizes=eq.numbers)["forward"]
    names = (*eq.columns, *eq.before)
    points = POINTS if eq.is_elementwise else POINTS // 16
    found: list[Point] = []
    count = 0
    for _ in range(DRAWS):
        at = {n: rng.normal(size=(points, *eq.point(n))) for n in names}
        if still is not None and first is not None:
            own = still.equations
            drawn = {n: rng.normal(size=(points, *own.point(n))) for n in (*own.columns, *own.before)}
            made = zip(own.states, first(**drawn)[0], strict=True)
            at |= {n: np.broadcast_to(value, at[n].shape) for n, value in made}
        outputs, _ = forward(**at)
        # the logarithm of what is negative, as a condition, is a number to the complex step alone
        beside, _ = forward(**{n: a.astype(complex) for n, a in at.items()})
        alike = (same(o, c) for o, c in zip(outputs, beside, strict=True))
        whole = (s.reshape(len(s), -1).all(1) for s in map(np.atleast_1d, alike))
        real = np.logical_and.reduce([np.broadcast_to(w, (points,)) for w in whole])
        found.append({n: a[real] for n, a in at.items()})
        count += int(real.sum())
        if count >= points:
            break
    if not count:
        raise ProofError(
            f"{eq.name}: the equations give no number at {DRAWS * points:,} random points from N(0, 1): "
            "look for the logarithm, the root or the power of what is never positive"
        )
    return {n: np.concatenate([at[n] for at in found])[:points] for n in names}
