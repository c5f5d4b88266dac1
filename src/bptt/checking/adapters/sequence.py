"""A whole sequence: a forward and a backward through time, as a pair of functions."""

from collections.abc import Callable
from typing import Any

from bptt.checking.adapters.home import Home, Module
from bptt.checking.adapters.pair import PairSubject
from bptt.checking.adapters.shapes import SEQUENCES
from bptt.checking.adapters.trial import find_plan
from bptt.types import Generator


def sequence_subject(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    rng: Generator,
    source: str | None = None,
    home: Home | None = None,
) -> PairSubject | None:
    """Return a sequence and its backward as a subject, or None where they are none; see `step_subject`.

    They are as ``forward(x, h0, Wx, Wh, b) -> h, cache`` and ``backward(dh, cache) -> dx, dh0, dWx, dWh,
    db``, in any convention.
    """
    home = home or Module({"forward": forward, "backward": backward})
    return find_plan(home, forward, backward, "sequence", SEQUENCES, rng, source)
