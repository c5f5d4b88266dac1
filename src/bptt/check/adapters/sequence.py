"""A whole sequence: a forward and a backward through time, as a pair of functions."""

from collections.abc import Callable
from typing import Any

from bptt.check.adapters.home import Home, Module
from bptt.check.adapters.pair import PairSubject
from bptt.check.adapters.shapes import SEQUENCES
from bptt.check.adapters.trial import find_plan
from bptt.types import Generator


def sequence_subject(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    rng: Generator,
    source: str | None = None,
    home: Home | None = None,
) -> PairSubject | None:
    """Return a sequence and its backward as a subject, or None where they are none.

    Parameters
    ----------
    forward, backward : callable
        As ``forward(x, h0, Wx, Wh, b) -> h, cache`` and ``backward(dh, cache) -> dx, dh0, dWx, dWh, db``,
        in any convention.
    rng : Generator
    source : str, optional
        The text of their file, for the names in their return statements.
    home : Home, optional
        Where the two live, if they are methods.
    """
    return find_plan(
        home or Module({"forward": forward, "backward": backward}),
        forward,
        backward,
        "sequence",
        SEQUENCES,
        rng,
        source,
    )
