"""The statements that are wrong: those after whose results are put right every gradient is.

Nothing is assumed of the code: an expression of the backward is made to give the adjoints of an expression of
the forward, in every step of time, and the program is run. Where all gradients that are kept are right then,
the fault is there, or before it; the first such place in the order of execution is where it is.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.record import sketch
from bptt.checking.adjoints.rows import TOLERANCE, Row
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.locate.classes import classify
from bptt.checking.locate.units import Targets, Time, Unit, overriding, units
from bptt.checking.taps.values import written
from bptt.checking.verdict.goal import Goal

MOST_FAULTS = 6
"""Statements that may be wrong at once."""


@dataclass(eq=False)
class Hypothesis:
    """What a unit may have to give: a row for each of its evaluations (None: zeros).

    Attributes
    ----------
    unit : Unit
    rows : tuple of Row or None
    first : int
        The first evaluation that gives something else.
    against : int
        Evaluations that are whole gradients and would not be what they are.
    off : int
        Evaluations that give something else.
    """

    unit: Unit
    rows: tuple[Row | None, ...]
    first: int
    against: int
    off: int = 0
    targets: Targets | None = None

    @property
    def when(self) -> int:
        """How many values were seen when it first gives something else."""
        return self.unit.times[self.first].when

    @property
    def row(self) -> Row:
        """What it must be where it first gives something else."""
        return self.rows[self.first] or next(row for row in self.rows if row is not None)

    def text(self) -> str:
        """Return what it must be, in words."""
        return f"must be {self.row.text()}"


class Locator:
    """Puts units right, one or several, until every gradient that is kept is right."""

    def __init__(self, found: Adjoints, chosen: Chosen, goal: Goal, seconds: float) -> None:
        self.found, self.chosen, self.goal = found, chosen, goal
        self.end = time.monotonic() + seconds
        self.case = found.point.case

    def single(self) -> Iterator[Hypothesis]:
        """Yield the units of which one is to be put right, the first to be executed first."""
        by_time = sorted(self.hypotheses(self.found), key=lambda one: (one.when, one.against))
        plain = [one for one in by_time if not one.against]
        first = next(self._right(plain), None)
        # what is a gradient may be that of another expression than it must be
        odd = [one for one in by_time if one.against and (first is None or one.when < first.when)]
        rest = plain[plain.index(first) :] if first else []
        told: set[tuple[bool, int]] = set()
        for one in itertools.chain(self._right(odd), self._right(rest)):
            key = one.unit.tapped, one.unit.number
            if key not in told:
                told.add(key)
                # parts of a sum may be right in any order: as few as can be are wrong
                fewer = [h for h in by_time if h.unit is one.unit and h.off <= one.off]
                yield min(self._right(fewer), key=lambda h: (h.off, h.rows.count(None)), default=one)

    def _right(self, some: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        for one in itertools.takewhile(lambda _: time.monotonic() < self.end, some):
            if min(self.tried([one]), default=0.0) == 1.0:
                yield one

    def several(self, given: Sequence[Hypothesis] = ()) -> list[Hypothesis]:
        """Return units that are put right together, each time the one that makes most of the rest right.

        Parameters
        ----------
        given : sequence of Hypothesis
            Some that are: others may be wrong whose results these hide.
        """
        given = list(given)
        found = self._with(given)
        best = self._explained(found)
        while len(given) < MOST_FAULTS and time.monotonic() < self.end:
            weighed: list[tuple[tuple[bool, int, float, int], Hypothesis, Adjoints]] = []
            for one in itertools.takewhile(lambda _: time.monotonic() < self.end, self._first(found, given)):
                reached = self.tried([*given, one])
                if reached:
                    then = self._with([*given, one])
                    when = (
                        one.when if one.row.path else -one.when
                    )  # what is returned, rather than what it begins with
                    rank = min(reached) == 1.0, self._explained(then), sum(reached), when
                    weighed.append((rank, one, then))
            top = max(weighed, key=lambda item: item[0], default=None)
            if top is None:
                break
            (whole, explained, _, _), one, then = top
            if explained <= best and not whole:
                break
            best, found = explained, then
            given.append(one)
            if whole and not self._first(found, given):
                break
        return given

    def _with(self, given: Sequence[Hypothesis]) -> Adjoints:
        """Return what a run with some units put right gives, written down."""
        hooks = overriding({h.unit: self.targets(h) for h in given})
        return replace(self.found, record=self.case.record(put=hooks.put, tapped=hooks.tap))

    def tried(self, some: Sequence[Hypothesis]) -> list[float]:
        """Return how much of each gradient is right with some units put right; empty: it does not run."""
        try:
            return self.goal.reached(self.case, overriding({h.unit: self.targets(h) for h in some}))
        except Exception:
            return []

    def targets(self, one: Hypothesis) -> Targets:
        """Return the numbers that a unit must give."""
        if one.targets is None:
            terms, factor = self.chosen.candidate.terms, self.chosen.factor * one.unit.sign
            size = next(row.size for row in one.rows if row is not None)
            one.targets = {
                at.count: np.zeros(size) if row is None else self.found.at(terms, row) * factor
                for at, row in zip(one.unit.times, one.rows, strict=True)
            }
        return one.targets

    def hypotheses(self, found: Adjoints) -> list[Hypothesis]:
        """Return all that units may have to give, where that is not what they give."""
        out = []
        families = list(self._families())
        for unit in units(found, self.chosen):
            sizes = {int(np.prod(at.like)) if unit.adds and at.like else at.numbers.size for at in unit.times}
            if len(sizes) != 1:
                continue
            (size,) = sizes
            right = [self._is_right(unit, at) for at in unit.times]
            seen: set[tuple[float, ...]] = set()
            for rows in self._rows(families, size, unit):
                key = tuple(0.0 if row is None else round(float(row.sketch[0]), 8) for row in rows)
                if key in seen:
                    continue
                seen.add(key)
                given = zip(unit.times, rows, strict=True)
                off = [not self._is(at, row, unit.sign) for at, row in given]
                if any(off):
                    against = sum(o and r for o, r in zip(off, right, strict=True))
                    out.append(Hypothesis(unit, rows, off.index(True), against, sum(off)))
        return out

    def _families(self) -> Iterator[list[Row]]:
        """Yield the adjoints of each expression of the forward, in the order of time."""
        groups: dict[tuple[str, int], dict[int, Row]] = {}
        for row in self.chosen.rows.rows:
            if row.kind in ("value", "use", "sum"):
                groups.setdefault((row.kind, row.number), {})[row.use] = row
            elif row.kind == "total":
                yield [row]
        for (kind, _), group in groups.items():
            family = [group[use] for use in sorted(group)]
            yield family
            if kind == "use" and len(family) > 1:  # what adds them up, in either order of time
                yield list(_added(family[::-1]))[::-1]
                yield list(_added(family))

    def _rows(self, families: list[list[Row]], size: int, unit: Unit) -> Iterator[tuple[Row | None, ...]]:
        count = len(unit.times)
        for family in families:
            if family[0].size == size:
                for order in (family[::-1], family) if count > 1 else (family,):
                    yield from aligned(order, count)

    def _is(self, at: Time, row: Row | None, sign: float) -> bool:
        if row is None:
            return not at.numbers.any()
        numbers = at.numbers
        if numbers.size != row.size:
            try:
                numbers = np.broadcast_to(numbers.reshape(at.shape), at.like).reshape(-1)
            except ValueError:
                return False
        largest = max(float(np.abs(numbers).max()), 1e-9)
        slack = largest * TOLERANCE * row.size**0.5 + 3e-9
        return bool((np.abs(sketch(numbers) - row.sketch * self.chosen.factor * sign) <= slack).all())

    def _is_right(self, unit: Unit, at: Time) -> bool:
        rows = self.chosen.rows.explain(at.numbers / self.chosen.factor * unit.sign)
        return bool(rows) if unit.adds else any(row.whole for row in rows)

    # several faults: one after the other

    def _first(self, found: Adjoints, given: list[Hypothesis]) -> list[Hypothesis]:
        """Return what the first suspects may have to give, and those that give them parts of gradients."""
        steps = classify(found, self.chosen)
        first = [s for s in steps if s.suspect and not any(r.suspect for r in s.reads)][:3]
        parts = [r for s in first for r in s.reads if r.kind == "gradient" and not r.whole]
        numbers = {s.execution.statement for s in (*parts, *first)}
        done = {(h.unit.tapped, h.unit.number) for h in given}
        pairs = zip(self.goal.wanted, self.tried(given), strict=False)
        unmet = {one.name for one, reached in pairs if reached < 1.0}
        near = [
            one
            for one in self.hypotheses(found)
            if (one.unit.tapped, one.unit.number) not in done
            and (
                (one.unit.number in numbers and not one.unit.tapped)
                or (one.row.path and written(one.row.path) in unmet)
            )
        ]
        return sorted(near, key=lambda one: (one.against, one.when))

    def _explained(self, found: Adjoints) -> int:
        values = {
            (n.size, round(float(np.abs(n).sum()), 7))
            for step in classify(found, self.chosen)
            if step.kind == "gradient"
            for n in step.numbers
            if n.tobytes() not in self.chosen.values
        }
        return len(values)


def _added(family: Sequence[Row]) -> Iterator[Row]:
    """Yield the sums of the first one, two, three adjoints."""
    for n in range(1, len(family) + 1):
        some, total = family[:n], np.sum([row.sketch for row in family[:n]], axis=0)
        parts = tuple(at for row in some for at in row.parts)
        more = "" if n == 1 else f", over {n} of its uses"
        yield replace(family[0], kind="part", sketch=total, more=more, parts=parts)


def aligned(order: Sequence[Row], count: int) -> Iterator[tuple[Row | None, ...]]:
    """Yield the times of an expression beside a unit's evaluations."""
    if len(order) == count:
        yield tuple(order)
    elif len(order) == count - 1:
        yield (*order, None)
        yield (None, *order)
    elif len(order) == count + 1:
        yield tuple(order[1:])
        yield tuple(order[:-1])
    elif len(order) < count:
        yield (*order, *itertools.repeat(None, count - len(order)))
    elif len(order) % count == 0 and len(order) // count <= 4:
        per = len(order) // count
        for offset in range(per):
            yield tuple(order[offset::per])
