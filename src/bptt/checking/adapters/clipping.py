"""Running code with its clipping off: the verdict is on the gradient before it is clipped.

Element by element it is NumPy's ``clip``, which is taken away. By norm it is written by hand: where a
gradient comes out as so many times what it is when every norm is told to be zero, it was scaled by its norm.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from bptt.types import Array, Params

CLIPPED = "np.clip changes something within; the gradients are judged as they are without it"
SCALED = "the gradients are scaled down by their norm within; they are judged as they are without that"


class Unclipped:
    """NumPy, whose ``clip`` gives its argument back, and whose norms are zero if `without_norms`."""

    def __init__(self, without_norms: bool = False) -> None:
        self.clipped, self.normed, self.without_norms = False, False, without_norms

    def __getattr__(self, name: str) -> Any:
        if name == "linalg":
            return self
        return getattr(np, name) if hasattr(np, name) else getattr(np.linalg, name)

    def clip(self, a: Any, a_min: Any = None, a_max: Any = None, out: Array | None = None, **_: Any) -> Any:
        """Return `a`, and remember whether NumPy would have changed it."""
        a = np.asarray(a)
        low = -np.inf if a_min is None else a_min
        high = np.inf if a_max is None else a_max
        self.clipped |= bool(np.any((a.real < low) | (a.real > high)))
        if out is None:
            return a.copy()
        out[...] = a
        return out

    def norm(self, *args: Any, **kwargs: Any) -> Any:
        """Return the norm, or zero."""
        self.normed = True
        return np.linalg.norm(*args, **kwargs) * (not self.without_norms)

    def sqrt(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the root; that of a single number may be a norm."""
        if np.ndim(x) or args or kwargs or isinstance(x, int):
            return np.sqrt(x, *args, **kwargs)
        self.normed = True
        return np.sqrt(x) * (not self.without_norms)


@contextlib.contextmanager
def unclipped(
    places: Iterable[dict[str, Any]], notes: list[str], without_norms: bool = False
) -> Iterator[Unclipped]:
    """Let the functions whose globals these are clip nothing, and note whether they would have."""
    stand_in = Unclipped(without_norms)
    changed = [
        (place, name, value)
        for place in places
        for name, value in list(place.items())
        if isinstance(value, ModuleType) and value is np
    ]
    for place, name, _ in changed:
        place[name] = stand_in
    try:
        yield stand_in
    finally:
        for place, name, value in changed:
            place[name] = value
    if stand_in.clipped and CLIPPED not in notes:
        notes.append(CLIPPED)


def before_clipping(places: list[dict[str, Any]], notes: list[str], run: Callable[[], Params]) -> Params:
    """Return the gradients that `run` returns, as they are before they are clipped.

    Parameters
    ----------
    places : list of dict
        The globals of the functions that it calls.
    notes : list of str
        Where it is noted if there is clipping.
    run : callable
    """
    with unclipped(places, notes) as seen:
        given = run()
    if not seen.normed:
        return given
    with unclipped(places, [], without_norms=True):
        free = run()
    scales = [_scale(given[name], free[name]) for name in given if name in free]
    if free.keys() != given.keys() or not scales or not all(0 < k <= 1 + 1e-9 for k in scales):
        return given
    if min(scales) > 1 - 1e-9:
        return given
    notes += [SCALED] if SCALED not in notes else []
    return free


def _scale(part: Array, whole: Array) -> float:
    """Return k where part = k · whole; not a number where there is none."""
    size = float(np.sum(np.abs(whole) ** 2))
    if part.shape != whole.shape or not size:
        return 1.0 if np.array_equal(part, whole) else float("nan")
    k = float(np.sum(np.real(part * whole))) / size
    return k if np.allclose(part, k * whole, rtol=1e-9, atol=1e-12) else float("nan")
