"""Changes with a number in them that has to be found: a limit of clipping, a rate of an update."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from bptt.checking.fault import EDGES, Fault
from bptt.checking.reference import Line, Reference, Update, is_sum
from bptt.types import Array, Params

LIMITS = (0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0)
"""What people clip at."""

EPS, ROUNDS = 1e-6, 15
"""For a rate: the step of its derivative, and how many times it is improved."""


def clipped(cell: Reference, lines: Sequence[Line], theirs: Params) -> Iterator[Fault]:
    """Yield gradients that are clipped entry by entry within the time loop, or the weights' behind it.

    Parameters
    ----------
    cell : Reference
    lines : sequence of Line
        All of its backward's.
    theirs : dict of arrays
        The user's gradients: of one that is clipped, the largest entry is the limit.
    """
    largest = {float(np.abs(g).max(initial=0)) for g in theirs.values()}
    inside = [line.target for line in lines if not is_sum(line.target) and line.target not in EDGES]
    places = {
        "dh-prev": ("dh_prev",),
        "dc-prev": ("dc_prev",),
        "carries": ("dh_prev", "dc_prev"),
        "dh": ("dh",),
        "dc": ("dc",),
        "deltas": tuple(target for target in inside if target.startswith("da_")),
        "weights": tuple(line.target for line in lines if is_sum(line.target)),
    }
    for limit in sorted({*LIMITS, *largest} - {0.0}):
        for place, targets in places.items():
            version = {line.target: replace(line, limit=limit) for line in lines if line.target in targets}
            if len(version) < len(targets):
                continue
            when = "" if place == "weights" else " at each step within the time loop"
            names = ", ".join(targets[:4]) + (", ..." if len(targets) > 4 else "")
            says = f"clipped to [-{limit:.4g}, {limit:.4g}]{when}: {names}"
            yield Fault(f"{cell.name}/{place}-clipped", 2, says, "clip a copy, behind the loop", version)


def updated(
    cell: Reference, theirs: Params, run: Callable[[Update], Params], tolerance: float
) -> tuple[Fault, float] | None:
    """Return the change of the weights within the backward's time loop that gives the user's gradients.

    And how exactly it does.

    Parameters
    ----------
    cell : Reference
    theirs : dict of arrays
    run : callable
        From an update to all gradients.
    tolerance : float
        Relative to the largest entry of all.
    """
    wanted = _flat(theirs, theirs)
    for which, own, soon in product(("", "U"), (False, True), ("WUV", "U", "")):
        way = Update(0.0, own, soon, which)
        rate = _rate(wanted, lambda r, way=way: _flat(run(replace(way, rate=r)), theirs))  # type: ignore[misc]
        off = np.abs(_flat(run(replace(way, rate=rate)), theirs) - wanted).max() / np.abs(wanted).max()
        if rate and off < tolerance:
            by = f"{-rate:.4g} times their gradient{'' if own else ' so far'}"
            says = f"the weights are changed within the backward's time loop (by {by}): what goes back to"
            says += " earlier steps goes through other weights than it came through"
            return Fault(
                f"{cell.name}/weights-updated-in-loop", 1, says, "update behind the loop", {}
            ), float(off)
    return None


def _rate(wanted: Array, gradients: Callable[[float], Array]) -> float:
    """Return the rate at which the gradients come nearest to the wanted ones, by Gauss-Newton from 0."""
    rate, before = 0.0, np.inf
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS):
            here = gradients(rate)
            off = float(np.abs(wanted - here).max())
            if not off < 0.9 * before:  # no nearer, or there
                break
            before, slope = off, (gradients(rate + EPS) - here) / EPS
            square = float(slope @ slope)
            rate += float(slope @ (wanted - here)) / square if square else 0.0
    return rate if np.isfinite(rate) else 0.0


def _flat(gradients: Params, names: Params) -> Array:
    return np.concatenate([gradients[name].ravel() for name in names])
