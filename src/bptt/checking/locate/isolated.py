"""Several places that are wrong: what each must give is known once all that they take is given right.

For each gradient that is wrong a place is sought that makes it right; then places for what those would give
by themselves. Where all of them are given what they must, each that still gives something else is wrong.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from bptt.checking.locate.classes import helpers
from bptt.checking.locate.search import Hypothesis, Locator
from bptt.checking.locate.units import Own, Targets, Unit, noise, overriding
from bptt.checking.taps.program import Hooks
from bptt.types import Array

Met: TypeAlias = set[int | Unit]
"""Which gradients are right, and which of the places that are given would give the same by themselves."""


class Isolated:
    """What must be given together for every gradient to be right, and by which places."""

    def __init__(self, locator: Locator, until: float) -> None:
        self.locator, self.until = locator, until
        self.given: dict[Unit, Hypothesis] = {}
        self.helpers = helpers(locator.found)
        wanted = locator.goal.wanted
        self.wrong = {n for n, one in enumerate(wanted) if not one.was_right}
        while self._more():
            pass

    def faults(self) -> list[Hypothesis]:
        """Return the places that are wrong by themselves, in the order of execution."""
        met, _ = self._met()
        return sorted((h for u, h in self.given.items() if u not in met), key=lambda h: h.when)

    def _more(self) -> bool:
        """Give what makes right what is not; return whether there is any."""
        before, plain = self._met()
        wanted: Met = (self.wrong | {*self.given}) - before
        found: list[tuple[Hypothesis, Met]] = []
        for one in self._likely(plain) if wanted else ():
            if time.monotonic() > self.until:
                break
            if gained := self._met([one])[0] - before:
                found.append((one, gained))
        more = False
        while found:
            best = max(found, key=lambda pair: (len(pair[1] & wanted), -pair[0].when))
            if not best[1] & wanted:
                break
            wanted -= best[1]
            self.given.setdefault(best[0].unit, best[0])
            more = True
        return more

    def _likely(self, plain: Own) -> list[Hypothesis]:
        """Return what may be given, the likeliest first, at units that change what is wrong."""

        def changes(unit: Unit) -> bool:
            if unit.tapped or unit in self.given:
                return False
            if not self.given:
                return any(self.locator.moved(unit))
            own: Own = {}
            with contextlib.suppress(Exception):
                self.locator.goal.reached(self.locator.case, self._hooks({unit: noise(unit)}, own))
            return any(not _alike(own.get(one, []), values) for one, values in plain.items())

        def fits_one_call(one: Hypothesis) -> bool:
            return one.rows.count(None) > 1 and one.unit.statement.function in self.helpers

        some = (one for one in self.locator.hypotheses(changes) if not fits_one_call(one))
        # as often as an expression of the forward is computed, or once less
        return sorted(some, key=lambda h: (h.rows.count(None) > 1, h.rows.count(None) > 0, h.when))

    def _hooks(self, more: Mapping[Unit, Targets], own: Own) -> Hooks:
        given = {unit: self.locator.targets(one) for unit, one in self.given.items()}
        return overriding({**given, **more}, own=own)

    def _met(self, more: Sequence[Hypothesis] = ()) -> tuple[Met, Own]:
        own: Own = {}
        hooks = self._hooks({one.unit: self.locator.targets(one) for one in more}, own)
        goal = self.locator.goal
        try:
            reached = goal.reached(self.locator.case, hooks)
        except Exception:  # what is given may make the code do anything
            return set(), own
        if any(one.was_right and part < 1.0 for one, part in zip(goal.wanted, reached, strict=True)):
            return set(), own
        must = {unit: [*self.locator.targets(one).values()] for unit, one in self.given.items()}
        alike = {unit for unit in must if _alike(own.get(unit, []), must[unit])}
        return {n for n in self.wrong if reached[n] == 1.0} | alike, own


def _alike(some: Sequence[Array | None], must: Sequence[Array | None]) -> bool:
    """Return whether a unit gives the same at all its times."""
    return len(some) == len(must) and all(
        a is not None and b is not None and np.abs(a - b).max() <= 2e-6 * np.abs(b).max() + 1e-9
        for a, b in zip(some, must, strict=True)
    )
