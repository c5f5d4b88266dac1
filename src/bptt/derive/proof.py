"""The proof that a derived backward is right: its forward differentiated numerically, at random points.

A step is elementwise, so one complex step at all hidden units gives the exact derivative at each of them: of
every value that is handed out, by every argument.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.derive.backward import Derivation, Pass
from bptt.derive.equations import Equations
from bptt.derive.numpy_code import step_functions
from bptt.errors import BpttError
from bptt.types import Array

POINTS = 512
TOLERANCE = 1e-12
STEP = 1e-30


class ProofError(BpttError):
    """A derived gradient is not the numerical one."""


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Attributes
    ----------
    error : float
        The largest difference, relative to the size of what is compared (at least 1).
    points : int
        At how many random points.
    compared : int
        How many gradients: one at each argument, in each pass.
    """

    error: float
    points: int
    compared: int


def prove(d: Derivation, *, points: int = POINTS, seed: int = 0) -> Proof:
    """Compare a derived backward with the complex step.

    Raises
    ------
    ProofError
        If they differ by more than 1e-12 of the size of the terms, or the forward gives no numbers.
    """
    step = step_functions(d)
    worst, compared = _compare(d.equations, d.main, step["forward"], step["backward"], points, seed)
    if d.operand is not None:
        found, more = _compare(
            d.equations, d.operand, step["operand"], step["operand_backward"], points, seed
        )
        worst, compared = max(worst, found), compared + more
    return Proof(worst, points, compared)


def _compare(
    eq: Equations, p: Pass, forward: Any, backward: Any, points: int, seed: int
) -> tuple[float, int]:
    rng = np.random.default_rng(seed)
    at = {name: rng.normal(size=points) for name in (*eq.gates, *eq.params, *eq.before)}
    # a state may have to be positive, as a normaliser is: of those that are, points enough are found
    with np.errstate(all="ignore"):
        outputs, kept = forward(**at)
        real = np.logical_and.reduce([np.isfinite(np.broadcast_to(o, (points,))) for o in outputs])
        if not real.any():
            raise ProofError(f"{eq.name}: the equations give no number at {points} random points")
        at = {name: value[real] for name, value in at.items()}
        outputs, kept = forward(**at)
    cotangents = [rng.normal(size=int(real.sum())) for _ in p.seeds]
    given = backward(*cotangents, kept)
    worst = 0.0
    for name in at:
        moved, _ = forward(**(at | {name: at[name] + STEP * 1j}))
        parts = [d * np.imag(o) / STEP for d, o in zip(cotangents, moved, strict=True)]
        expected = np.sum(np.broadcast_arrays(*parts), axis=0)
        size = 1 + np.sum([np.abs(part) for part in np.broadcast_arrays(*parts)], axis=0)
        difference = _largest(np.abs(given.get(name, 0.0) - expected) / size)
        if not difference <= TOLERANCE:
            raise ProofError(
                f"{eq.name}: the derived gradient at {name} is off by {difference:.1e}: "
                "this is a fault of bptt; please report the equations"
            )
        worst = max(worst, difference)
    return worst, len(at)


def _largest(a: Array) -> float:
    return float(np.max(a, initial=0.0))
