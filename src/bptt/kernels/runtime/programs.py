"""The programs of a function, one for each set of shapes that it meets."""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from bptt.kernels.runtime.tape import UnplannedError
from bptt.layer import threads
from bptt.types import Array

if TYPE_CHECKING:
    from bptt.kernels.runtime.program import Bound, Program

MOST = 256
"""Sets of shapes that are remembered."""

TIMES = 2
"""How often a function runs over arrays of some shapes before they have a program."""


class Programs:
    """A function of arrays by name, as a program for each set of shapes that it meets often enough.

    Parameters
    ----------
    function : callable
        ``function(arrays, *options)`` returns arrays by name, as for :meth:`Program.of`.

    Attributes
    ----------
    reasons : list of str
        Why there are some that have none, the last of them.
    """

    def __init__(self, function: Callable[..., Mapping[str, Array]]) -> None:
        self._function = function
        self._known: OrderedDict[Hashable, Program | int | None] = OrderedDict()
        self.reasons: list[str] = []

    def __reduce__(self) -> Any:  # a copy, or another process, has its own
        return Programs, (self._function,)

    def find(self, arrays: Mapping[str, Array], *options: Hashable) -> "Program | None":
        """Return the program for arrays of these shapes and such options, or None."""
        found = self._known.get(_key(arrays, options))
        return None if isinstance(found, int) else found

    def met(self, arrays: Mapping[str, Array], *options: Hashable) -> None:
        """Count that the function has run over such arrays; make the program when it is time."""
        key = _key(arrays, options)
        found = self._known.get(key, 0)
        if not isinstance(found, int):
            return
        self._known[key] = found + 1 if found + 1 < TIMES else self._made(arrays, options)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def bind(self, arrays: Mapping[str, Array], *options: Hashable) -> "Bound":
        """Return the function's program over arrays that stay where they are, or raise UnplannedError."""
        from bptt.kernels.runtime.program import Program

        shapes = {name: (a.shape, a.dtype) for name, a in arrays.items()}
        return Program.of(lambda **given: self._function(given, *options), shapes).bind(list(arrays.values()))

    def _made(self, arrays: Mapping[str, Array], options: tuple[Hashable, ...]) -> "Program | None":
        from bptt.kernels.runtime.program import Program

        shapes = {name: (a.shape, a.dtype) for name, a in arrays.items()}
        try:
            if odd := [name for name, a in arrays.items() if not a.flags.c_contiguous]:
                raise UnplannedError(f"{', '.join(odd)} has gaps")
            return Program.of(lambda **given: self._function(given, *options), shapes)
        except UnplannedError as error:
            self.reasons = [*self.reasons[-MOST:], str(error)]
            return None


def _key(arrays: Mapping[str, Array], options: tuple[Hashable, ...]) -> Hashable:
    where = threads.count(), os.environ.get("BPTT_TARGET")
    return (options, where, *arrays, *[(a.shape, a.strides, a.dtype) for a in arrays.values()])
