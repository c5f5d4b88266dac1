"""What is made once for each set of shapes that is met: programs."""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from bptt.kernels.runtime.tape import UnplannedError
from bptt.layer import threads
from bptt.types import Array

if TYPE_CHECKING:
    from bptt.kernels.runtime.program import Shaped

MOST = 256
"""Sets of shapes that are remembered: those met last."""

TIMES = 2
"""How often a function runs over arrays of some shapes before they have a program."""

P = TypeVar("P")


class Known(Generic[P]):
    """What is made for each set of shapes and options that is met often enough.

    Parameters
    ----------
    make : callable
        ``make(shapes, *options)``, of shapes and dtypes by name.

    Attributes
    ----------
    reasons : list of str
        Why there are some for which it could not be made, the last of them.
    """

    def __init__(self, make: Callable[..., P]) -> None:
        self._make = make
        self._known: OrderedDict[Hashable, P | int | None] = OrderedDict()
        self.reasons: list[str] = []

    def find(self, arrays: Mapping[str, Array], *options: Hashable) -> P | None:
        """Return what there is for arrays of these shapes and such options, or None."""
        key = _key(arrays, options)
        found = self._known.get(key)
        with suppress(KeyError):  # there are none such, or another thread has just let them go
            self._known.move_to_end(key)
        return None if isinstance(found, int) else found

    def met(self, arrays: Mapping[str, Array], *options: Hashable) -> None:
        """Count that there were such arrays; make what is made for them when it is time."""
        key = _key(arrays, options)
        found = self._known.get(key, 0)
        if not isinstance(found, int):
            return
        self._known[key] = found + 1 if found + 1 < TIMES else self._made(arrays, options)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def _made(self, arrays: Mapping[str, Array], options: tuple[Hashable, ...]) -> P | None:
        try:
            if odd := [name for name, a in arrays.items() if not a.flags.c_contiguous]:
                raise UnplannedError(f"{', '.join(odd)} has gaps")
            return self._make(shapes_of(arrays), *options)
        except UnplannedError as error:
            self.reasons = [*self.reasons[-MOST:], str(error)]
            return None


def shapes_of(arrays: Mapping[str, Array]) -> "dict[str, Shaped]":
    """Return the shape and dtype of each array."""
    return {name: (a.shape, a.dtype) for name, a in arrays.items()}


def _key(arrays: Mapping[str, Array], options: tuple[Hashable, ...]) -> Hashable:
    where = threads.count(), os.environ.get("BPTT_TARGET")
    return (options, where, *arrays, *[(a.shape, a.strides, a.dtype) for a in arrays.values()])
