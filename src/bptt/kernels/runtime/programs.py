"""The programs of a function, one for each set of shapes that it meets."""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bptt.kernels.runtime.tape import UnplannedError
from bptt.layer import threads
from bptt.types import Array

if TYPE_CHECKING:
    from bptt.kernels.runtime.program import Program

MOST = 256
"""Sets of shapes that are remembered."""

_SEEN: Any = object()


class Programs:
    """A function of arrays by name, as a program for each set of shapes and options that it meets twice.

    What cannot be a program runs as it is.

    Parameters
    ----------
    function : callable
        ``function(arrays, *options)`` returns arrays by name, as for :meth:`Program.of`.

    Attributes
    ----------
    reasons : list of str
        Why there are some that run as they are.
    """

    def __init__(self, function: Callable[..., Mapping[str, Array]]) -> None:
        self._function = function
        self._known: OrderedDict[Hashable, Program | None] = OrderedDict()
        self.reasons: list[str] = []

    def __reduce__(self) -> Any:  # a copy, or another process, has its own
        return Programs, (self._function,)

    def __call__(self, arrays: Mapping[str, Array], *options: Hashable) -> Mapping[str, Array]:
        """Return what the function returns for these arrays."""
        key = (
            options, threads.count(), os.environ.get("BPTT_TARGET"),
            *[(name, a.shape, a.dtype, a.flags.c_contiguous) for name, a in arrays.items()],
        )  # fmt: skip
        program = self._known.get(key, key)
        if program is key:
            self._remember(key, _SEEN)
        elif program is _SEEN:
            self._remember(key, program := self._made(arrays, options))
        if program is None or program is key or program is _SEEN:
            return self._function(arrays, *options)
        return program.run(list(arrays.values()))

    def _made(self, arrays: Mapping[str, Array], options: Sequence[Hashable]) -> "Program | None":
        if odd := [name for name, a in arrays.items() if not a.flags.c_contiguous]:
            self.reasons.append(f"{', '.join(odd)} has gaps")
            return None
        from bptt.kernels.runtime.program import Program

        shapes = {name: (a.shape, a.dtype) for name, a in arrays.items()}
        try:
            return Program.of(lambda **given: self._function(given, *options), shapes)
        except UnplannedError as error:
            self.reasons.append(str(error))
            return None

    def _remember(self, key: Hashable, program: Any) -> None:
        self._known[key] = program
        if len(self._known) > MOST:
            self._known.popitem(last=False)
