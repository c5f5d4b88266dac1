"""Running code with its clipping off: the verdict is on the gradient before it is clipped."""

import contextlib
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from bptt.types import Array

CLIPPED = "np.clip changes something within; the gradients are judged as they are without it"


class Unclipped:
    """NumPy, whose ``clip`` gives its argument back."""

    def __init__(self) -> None:
        self.clipped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

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


@contextlib.contextmanager
def unclipped(places: Iterable[dict[str, Any]], notes: list[str]) -> Iterator[None]:
    """Let the functions whose globals these are clip nothing, and note whether they would have."""
    stand_in = Unclipped()
    changed = [
        (place, name, value)
        for place in places
        for name, value in list(place.items())
        if isinstance(value, ModuleType) and value is np
    ]
    for place, name, _ in changed:
        place[name] = stand_in
    try:
        yield
    finally:
        for place, name, value in changed:
            place[name] = value
    if stand_in.clipped and CLIPPED not in notes:
        notes.append(CLIPPED)
