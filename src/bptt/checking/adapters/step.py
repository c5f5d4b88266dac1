"""One time step: a forward and a backward, as a pair of functions."""

from collections.abc import Callable
from typing import Any

from bptt.checking.adapters.home import Home, Module
from bptt.checking.adapters.pair import PairSubject
from bptt.checking.adapters.shapes import STEPS
from bptt.checking.adapters.trial import find_plan
from bptt.types import Generator


def step_subject(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    rng: Generator,
    source: str | None = None,
    home: Home | None = None,
) -> PairSubject | None:
    """Return a step and its backward as a subject, or None where they are none.

    Parameters
    ----------
    forward, backward : callable
        As ``forward(x, prev_h, prev_c, Wx, Wh, b) -> next_h, next_c, cache`` and
        ``backward(dnext_h, dnext_c, cache) -> dx, dprev_h, dprev_c, dWx, dWh, db``, in any convention.
    rng : Generator
    source : str, optional
        The text of their file, for the names in their return statements.
    home : Home, optional
        Where the two live, if they are methods.
    """
    home = home or Module({"forward": forward, "backward": backward})
    return find_plan(home, forward, backward, "step", STEPS, rng, source)
