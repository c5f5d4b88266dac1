"""The statements that are wrong: those after whose results are put right every gradient is.

Nothing is assumed of the code: an expression of the backward is made to give the adjoints of an expression of
the forward, in every step of time, and the program is run. Where all gradients that are kept are right then,
the fault is there, or before it; the first such place in the order of execution is where it is.
"""

import ast
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.record import sketch
from bptt.checking.adjoints.rows import TOLERANCE, Row
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.locate.classes import Step, classify, explained
from bptt.checking.locate.units import Targets, Time, Unit, aligned, families, overriding, units
from bptt.checking.taps.program import EXAMPLE, Hooks
from bptt.checking.taps.values import flat, written
from bptt.checking.verdict.goal import Goal

MOST_FAULTS = 6  # statements that may be wrong at once


@dataclass(eq=False)
class Hypothesis:
    """What a unit may have to give: a row for each of its evaluations (None: zeros)."""

    unit: Unit
    rows: tuple[Row | None, ...]
    first: int  # the first evaluation that gives something else
    against: int  # evaluations that are whole gradients and would not be what they are
    off: int = 0  # evaluations that give something else
    targets: Targets | None = None

    @property
    def when(self) -> int:
        """How many values were seen when it first gives something else."""
        return self.unit.times[self.first].when

    @property
    def row(self) -> Row:
        """What it must be where it first gives something else."""
        return self.rows[self.first] or next(row for row in self.rows if row is not None)


class Locator:
    """Puts units right, one or several, until every gradient that is kept is right."""

    def __init__(self, found: Adjoints, chosen: Chosen, goal: Goal, seconds: float) -> None:
        self.found, self.chosen, self.goal = found, chosen, goal
        self.end = time.monotonic() + seconds
        self.case = found.point.case

    def single(self, *, late: bool = False) -> Iterator[Hypothesis]:
        """Yield the units of which one is to be put right, the first to be executed first.

        What is right when one unit is gives something else no later than in the first suspected statement;
        `late` are the other units, for where that one is suspected wrongly.
        """
        steps = classify(self.found, self.chosen)
        near, suspect = self._suspects(self.found), next((s for s in steps if s.suspect), None)
        given = {id(row) for step in steps for row in step.rows}  # what is there is not what is missing

        def order(one: Hypothesis) -> tuple[float, ...]:
            there = sum(id(row) in given for row in one.rows) / len(one.rows)
            place = near.get(one.unit.inside, len(near))
            return (place, there, one.when) if place < len(near) else (place, one.when, one.against)

        end = self.found.record.ends[suspect.execution.number] if suspect else len(self.found.record.taps)
        by_time = sorted(self.hypotheses(self.found, self._matters), key=order)
        if suspect:
            far = [one.when > end or (one.against > 0 and one.unit.inside not in near) for one in by_time]
            by_time = [one for one, is_far in zip(by_time, far, strict=True) if is_far == late]
        plain = [one for one in by_time if not one.against]
        first = next(self._right(plain), None)
        # what is a gradient may be that of another expression than it must be
        before = [
            one for one in by_time if first is None or (one.when <= first.when and one.unit is not first.unit)
        ]
        before = [one for one in before if one.against or (first and one.unit.inside in near)]
        before = sorted(before, key=lambda one: one.when)
        rest = plain[plain.index(first) :] if first else []
        told: set[Unit] = set()
        for one in itertools.chain(self._right(before), self._right(rest)):
            if one.unit not in told:
                told.add(one.unit)
                # parts of a sum may be right in any order: as few as can be are wrong
                fewer = [h for h in by_time if h.unit is one.unit and h.off <= one.off]
                yield min(self._right(fewer), key=lambda h: (h.off, h.rows.count(None)), default=one)

    def _matters(self, unit: Unit) -> bool:
        """Return whether all that is wrong at the end changes with what a unit gives."""
        rng = np.random.default_rng(0)
        noise = {at.count: at.gives + rng.normal(size=at.gives.size) for at in unit.times}
        try:
            return self.goal.moved(self.case, overriding({unit: noise}))
        except Exception:  # it does not take any numbers
            return True

    def _right(self, some: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        for one in itertools.takewhile(lambda _: time.monotonic() < self.end, some):
            if min(self.tried([one]), default=0.0) == 1.0:
                yield one

    def first(self) -> tuple[Step, Hypothesis | None] | None:
        """Return the first step that takes gradients and gives none; what it must, as at its other times."""
        near = self._suspects(self.found)
        steps = (s for s in classify(self.found, self.chosen) if s.suspect)
        totals = [row.path for row in self.chosen.rows.rows if row.kind == "total"]
        last = self.found.record.names[-1]
        ends = {last[path].tobytes() for path in totals if path in last}
        own = (s for s in steps if s.execution.statement in near and s.statement.file != EXAMPLE)
        own = (s for s in own if not all(n.tobytes() in ends for n in s.numbers))  # no update of a weight
        own = (s for s in own if not hands_over(s))
        step = next(own, None)
        if step is None:
            return None
        some = self.hypotheses(
            self.found, lambda unit: unit.number == step.execution.statement and not unit.tapped
        )
        likely = [
            h
            for h in some
            if not h.against
            and h.unit.times[h.first].within == step.number
            and any(
                row and self._is(at, row, h.unit.sign) for at, row in zip(h.unit.times, h.rows, strict=True)
            )
        ]
        return step, min(likely, key=lambda h: h.off, default=None)

    def several(self, given: Sequence[Hypothesis] = ()) -> list[Hypothesis]:
        """Return units that are put right together, each time the one after which most of the rest is right.

        Some are `given`: others may be wrong whose results these hide.
        """
        given = list(given)
        best: float = 0
        best, reached = self._weighed(given) or (0, [])
        while len(given) < MOST_FAULTS and time.monotonic() < self.end:
            found = self._with(given)
            for near in (self._suspects(found), None):
                top: tuple[tuple[float, ...], Hypothesis, list[float]] | None = None
                for one in self._near(found, near, given, reached):
                    if time.monotonic() < self.end and (weighed := self._weighed([*given, one])):
                        # what is summed, as it is added; of what is returned and begun with, the former
                        plain, when = not one.row.path, one.when if near is None else -one.when
                        rank = weighed[0], sum(weighed[1]), -one.against, plain, when
                        top = max(top or (rank, one, weighed[1]), (rank, one, weighed[1]), key=lambda t: t[0])
                if top is not None and top[0][:2] > (best, sum(reached)):
                    break
            else:
                return given
            (best, *_), one, reached = top
            given.append(one)
        return given

    def fewest(self, some: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Return of units that are right together those without which not all is."""
        kept = list(some)
        for one in some[::-1]:
            rest = [other for other in kept if other is not one]
            if rest and min(self.tried(rest), default=0.0) == 1.0:
                kept = rest
        return kept

    def before(self, one: Hypothesis, given: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        """Yield what may have to be right before a place: whole gradients that its statement reads."""
        found = self._with(given)
        steps = [s for s in classify(found, self.chosen) if s.execution.statement == one.unit.inside]
        reads = {r.execution.statement for s in steps for r in s.reads if r.kind != "value"}
        done = {(h.unit.tapped, h.unit.number) for h in given}
        for other in self.hypotheses(found, lambda unit: unit.inside in reads):
            is_whole = all(row is None or row.whole for row in other.rows)
            if is_whole and not other.against and (other.unit.tapped, other.unit.number) not in done:
                yield other

    def _with(self, given: Sequence[Hypothesis]) -> Adjoints:
        """Return what a run with some units put right gives, written down."""
        hooks = self.hooks(given)
        return replace(self.found, record=self.case.record(hooks))

    def hooks(self, given: Iterable[Hypothesis]) -> Hooks:
        """Return the hooks with which units give what they must."""
        return overriding({h.unit: self.targets(h) for h in given})

    def tried(self, some: Sequence[Hypothesis]) -> list[float]:
        """Return how much of each gradient is right with some units put right; empty: it does not run."""
        try:
            return self.goal.reached(self.case, self.hooks(some))
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

    def hypotheses(self, found: Adjoints, of: Callable[[Unit], bool] = lambda _: True) -> list[Hypothesis]:
        """Return all that (some) units may have to give, where that is not what they give."""
        out = []
        every = list(families(self.found, self.chosen))
        for unit in units(found, self.chosen):
            if not of(unit):
                continue
            sizes = {at.size for at in unit.times}
            if len(sizes) != 1:
                continue
            (size,) = sizes
            right = [self._is_right(unit, at) for at in unit.times]
            seen: set[tuple[str, ...]] = set()
            for rows in self._rows(every, size, unit):
                key = tuple("" if row is None else f"{row.sketch[0]:.5g}" for row in rows)
                if key in seen or not any(key):
                    continue
                seen.add(key)
                given = zip(unit.times, rows, strict=True)
                off = [not self._is(at, row, unit.sign) for at, row in given]
                if any(off):
                    against = sum(o and r for o, r in zip(off, right, strict=True))
                    out.append(Hypothesis(unit, rows, off.index(True), against, sum(off)))
        return out

    def _rows(
        self, every: list[Sequence[Row | None]], size: int, unit: Unit
    ) -> Iterator[tuple[Row | None, ...]]:
        count = len(unit.times)
        for family in every:
            if next(row.size for row in family if row is not None) == size:
                for order in (family[::-1], family) if count > 1 else (family,):
                    yield from aligned(order, count)

    def _is(self, at: Time, row: Row | None, sign: float) -> bool:
        if row is None:
            return not at.gives.any()
        numbers = at.gives
        if numbers.size != row.size:
            try:
                numbers = np.broadcast_to(numbers.reshape(at.shape), at.like).reshape(-1)
            except ValueError:
                return False
        largest = max(float(np.abs(numbers).max()), 1e-9)
        slack = largest * TOLERANCE * row.size**0.5 + 3e-9
        return bool((np.abs(sketch(numbers) - row.sketch * self.chosen.factor * sign) <= slack).all())

    def _is_right(self, unit: Unit, at: Time) -> bool:
        rows = self.chosen.rows.explain(at.gives / self.chosen.factor * unit.sign)
        return bool(rows) if unit.adds else any(row.whole for row in rows)

    # several faults: one after the other

    def suspected(self, found: Adjoints) -> list[Step]:
        """Return the suspected steps that read no suspected one, of the first few statements."""
        steps = classify(found, self.chosen)
        suspects = [s for s in steps if s.suspect]
        calling = {at for s in suspects for at in found.record.callers(s.execution.number)}
        # what only passes on a result is none
        own = [s for s in suspects if s.execution.number not in calling]
        first = [s for s in own if not any(r.suspect for r in s.reads)]
        if not first:  # where the first gradient is none, nothing reads one
            first = [s for s in steps if s.kind == "other" and not any(r.kind == "other" for r in s.reads)]
        most = 3 if first[:1] and first[0].suspect else 6
        few = list(dict.fromkeys(s.execution.statement for s in first))[:most]
        return [s for s in first if s.execution.statement in few]

    def _suspects(self, found: Adjoints) -> dict[int, int]:
        """Return the first suspected statements, then those that they read and that call them."""
        first = self.suspected(found)
        few = [s.execution.statement for s in first]
        reads = [r.execution.statement for s in first for r in s.reads if r.kind != "value"]
        every, record = found.record.executions, found.record
        calls = [every[at].statement for s in first for at in record.callers(s.execution.number)]
        return {j: n for n, j in enumerate(dict.fromkeys([*few, *reads, *calls]))}

    def _near(
        self,
        found: Adjoints,
        statements: Collection[int] | None,
        given: Sequence[Hypothesis],
        reached: Sequence[float],
    ) -> list[Hypothesis]:
        """Return what some statements may have to give; without any, what is kept and not right."""
        done = {(h.unit.tapped, h.unit.number) for h in given}
        some = self.hypotheses(found, lambda unit: statements is None or unit.inside in statements)
        near = [h for h in some if (h.unit.tapped, h.unit.number) not in done]
        if statements is not None:
            whole = {h.unit.inside for h in near if not h.unit.tapped}
            return [h for h in near if not h.unit.tapped or h.unit.inside not in whole]
        unmet = {one.name for one, r in zip(self.goal.wanted, reached, strict=False) if r < 1.0}
        totals = [row.sketch for row in self.chosen.rows.rows if row.path and written(row.path) in unmet]
        return [one for one in near if any(np.allclose(one.row.sketch, own, rtol=1e-5) for own in totals)]

    def _weighed(self, given: Sequence[Hypothesis]) -> tuple[int, list[float]] | None:
        """Return how many gradients there are beside those put right, and how much is right at the end."""
        own, values = {one.unit.inside for one in given}, set[bytes]()
        hooks = self.hooks(given)

        def put(j: int, value: Any) -> Any:
            value = hooks.put(j, value)
            if j not in own and (numbers := flat(value)) is not None:
                values.add(numbers.tobytes())
            return value

        try:
            reached = self.goal.reached(self.case, replace(hooks, put=put))
        except Exception:
            return None
        new = [np.frombuffer(one) for one in values - self.chosen.values]
        known = {
            (n.size, round(float(np.abs(n).sum()), 7)) for n in new if n.size and explained(n, self.chosen)
        }
        return len(known), reached


def hands_over(one: Step | Hypothesis) -> bool:
    """Return whether a place returns what others have made, and makes nothing."""
    tree = one.statement.tree if isinstance(one, Step) else one.unit.statement.tree
    return isinstance(tree, ast.Return) and isinstance(tree.value, ast.Name | ast.Tuple | ast.Dict)
