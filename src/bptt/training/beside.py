"""What is done while gradients are computed: those that are there travel between workers.

::

    output │ layer L-1 │ ... │ layer 1 │ layer 0 and what is below it      in this order they are there
             output's sum travels while layer L-1 is computed, and so on

Parts of gradients that are small go with the next. Which number is added to which does not depend on how
they are cut, so that the bits are those of one sum of all.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from bptt.types import Params

LEAST = 1 << 16
"""Bytes that are sent by themselves: what takes longer to travel than a message does."""


def parts(params: Params, least: float | None = None) -> list[list[str]]:
    """Return the names of parameters in parts, in the order in which their gradients are there.

    Examples
    --------
    >>> import numpy as np
    >>> names = ["embedding", "layers.0.W", "layers.1.W", "output.W", "output.b"]
    >>> parts(dict.fromkeys(names, np.zeros(9)), least=0)
    [['output.W', 'output.b'], ['layers.1.W'], ['embedding', 'layers.0.W']]
    >>> len(parts(dict.fromkeys(names, np.zeros(9)), least=100))
    2
    """
    groups: dict[float, list[str]] = {}
    for name in params:
        groups.setdefault(_when(name), []).append(name)
    found: list[list[str]] = []
    small: list[str] = []
    for _, names in sorted(groups.items()):
        small = [*small, *names]
        if sum(params[name].nbytes for name in small) >= (LEAST if least is None else least):
            found.append(small)
            small = []
    return [*found, small] if small else found


def _when(name: str) -> float:
    """Return a number that is lower for a gradient that is there earlier."""
    room, *rest = name.split(".")
    if room == "output":
        return -float("inf")
    return -float(rest[0]) if room == "layers" else 0.0


class Beside:
    """What another thread does, one thing after another, while this one goes on.

    Parameters
    ----------
    apart : bool
        False: this one does it at once.

    Examples
    --------
    >>> said = []
    >>> with Beside(apart=True) as beside:
    ...     beside.do(lambda: said.append("sent"))
    >>> said
    ['sent']
    """

    def __init__(self, *, apart: bool) -> None:
        self._apart = apart
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failed: list[BaseException] = []

    def do(self, work: Callable[[], None]) -> None:
        """Have it done, after what was asked for before; where that failed it is left."""
        if not self._apart:
            work()
            return
        self._asked.put(work)
        if self._thread is None:  # a daemon: where this thread fails nobody waits for what others do not send
            self._thread = threading.Thread(target=self._serve, name="bptt-beside", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while (work := self._asked.get()) is not None:
            if not self._failed:
                try:
                    work()
                except BaseException as error:
                    self._failed.append(error)

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until all is done, and raise what that raised."""
        self._asked.put(None)
        if self._thread is not None and kind is None:
            self._thread.join()
        if self._failed and kind is None:
            raise self._failed[0]
