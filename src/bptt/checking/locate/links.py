"""Which evaluation of the forward one of the backward belongs to, told by the values that both read.

In the order of time, or against it, loops go back that went forward in one loop. What goes through a tree, or
through units within steps, has other orders; but what goes back through a node reads what the node computed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import Adjoints, results
from bptt.checking.locate.units import Family
from bptt.types import Array

MADE, READ = 1.5, 1.0
"""What counts more: a value that an execution made was read by the next, too."""


class Links:
    """The executions of a forward that share values with those of a backward."""

    def __init__(self, found: Adjoints) -> None:
        self.found = found
        self._values = {seen.numbers.tobytes() for seen in found.seen()}
        self._near: dict[int, Mapping[Any, float]] = {}

    @cached_property
    def _read(self) -> dict[int, set[bytes]]:
        """By execution the forward values that it reads."""
        out: dict[int, set[bytes]] = {}
        for seen in self.found.record.taps[self.found.start :]:
            if self._tells(seen.numbers):
                out.setdefault(seen.execution, set()).add(seen.numbers.tobytes())
        return out

    @cached_property
    def _forward(self) -> dict[bytes, dict[int, float]]:
        """By value the executions of the forward that make or read it."""
        out: dict[bytes, dict[int, float]] = {}
        for number in {seen.execution for seen in self.found.seen()}:
            for value in self._read.get(number, ()):
                out.setdefault(value, {})[number] = READ
            for _, numbers in results(self.found.record.executions[number]) if number >= 0 else ():
                if self._tells(numbers):
                    out.setdefault(numbers.tobytes(), {})[number] = MADE
        return out

    @cached_property
    def _activations(self) -> dict[tuple[int, object], list[int]]:
        """By call of a function the executions of its statements."""
        out: dict[tuple[int, object], list[int]] = {}
        for one in self.found.record.executions:
            out.setdefault(self._activation(one.number), []).append(one.number)
        return out

    def _activation(self, number: int) -> tuple[int, object]:
        one = self.found.record.executions[number]
        return one.caller, self.found.point.case.program.table.statements[one.statement].function

    def _tells(self, numbers: Array) -> bool:
        return bool(numbers.any()) and numbers.tobytes() in self._values

    def near(self, number: int) -> Mapping[Any, float]:
        """Return with what of the forward an execution of the backward shares values, and how much.

        That are executions, and calls of functions: what it is called with others read, too.
        """
        if number not in self._near:
            activation = self._activation(number)
            votes = Counter[Any]()
            for executions, part in (([number], 1.0), (self._activations[activation], 0.1)):
                for value in set[bytes]().union(*(self._read.get(one, ()) for one in executions)):
                    their = self._forward.get(value, {})
                    for one, weight in their.items():
                        votes[one] += part * weight / len(their)  # type: ignore[assignment]
                        if self._activation(one) != activation:
                            votes[self._activation(one)] += part * weight / len(their) / 4  # type: ignore[assignment]
            self._near[number] = votes
        return self._near[number]

    def order(self, executions: Sequence[int], family: Family) -> tuple[Row | None, ...] | None:
        """Return the row of a family that belongs to each execution; None where that is not clear."""
        if len(family.executions) != len(executions):
            return None
        keys = [[*own, *{self._activation(one) for one in own}] for own in family.executions]
        near = [self.near(number) for number in executions]
        votes = np.array([[sum(of.get(key, 0.0) for key in own) for own in keys] for of in near])
        found = dict[int, int]()
        while len(found) < len(executions):  # the clearest first
            rest = [k for k in range(len(executions)) if k not in found]
            places = [k for k in range(len(executions)) if k not in found.values()]
            left = np.sort(votes[np.ix_(rest, places)], axis=1)
            clear = left[:, -1] - (left[:, -2] if len(places) > 1 else -1.0)
            if clear.max() < 1e-9:
                return None
            one = rest[int(clear.argmax())]
            found[one] = max(places, key=lambda k: votes[one, k])
        return tuple(family.rows[found[k]] for k in range(len(executions)))
