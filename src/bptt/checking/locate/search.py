"""The statements that are wrong: those after whose results are put right every gradient is.

Nothing is assumed of the code: an expression of the backward is made to give the adjoints of an expression of
the forward, in every step of time, and the program is run. Where all gradients that are kept are right then,
the fault is there, or before it; the first such place in the order of execution is where it is.
"""

import ast
import functools
import itertools
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.record import sketch
from bptt.checking.adjoints.rows import TOLERANCE, Row
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.locate.classes import Step, classify
from bptt.checking.locate.links import Links
from bptt.checking.locate.units import (
    Family,
    Targets,
    Time,
    Unit,
    aligned,
    families,
    noise,
    overriding,
    units,
)
from bptt.checking.taps.program import EXAMPLE, Hooks
from bptt.checking.verdict.goal import Goal


@dataclass(eq=False)
class Hypothesis:
    """What a unit may have to give: a row for each of its evaluations (None: zeros)."""

    unit: Unit
    rows: tuple[Row | None, ...]
    first: int  # the first evaluation that gives something else
    against: int  # evaluations that are whole gradients and would not be what they are
    off: int = 0  # evaluations that give something else
    met: bool = False  # at some of the others it is a gradient, and no zero
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
    """Puts units right, one at a time, until every gradient that is kept is right."""

    def __init__(self, found: Adjoints, chosen: Chosen, goal: Goal, seconds: float) -> None:
        self.found, self.chosen, self.goal = found, chosen, goal
        self.end = time.monotonic() + seconds
        self.case = found.point.case

    @functools.cached_property
    def families(self) -> list[Family]:
        """The adjoints of each expression of the forward: those of a program that is edited are the same."""
        return list(families(self.found, self.chosen))

    @functools.cached_property
    def _trees(self) -> list[ast.stmt]:
        return [one.tree for one in self.case.program.table.statements]

    @functools.cached_property
    def links(self) -> Links:
        """Which evaluations of the backward belong to which of the forward."""
        return Links(self.found, self.families)

    def single(self, *, late: bool = False) -> Iterator[Hypothesis]:
        """Yield the units of which one is to be put right, the first to be executed first.

        What is right when one unit is gives something else no later than in the first suspected statement;
        `late` are the other units, for where that one is suspected wrongly.
        """
        steps = classify(self.found, self.chosen)
        near, suspect = self._suspects(), next((s for s in steps if s.suspect), None)
        given = {id(row) for step in steps for row in step.rows}  # what is there is not what is missing

        def order(one: Hypothesis) -> tuple[float, ...]:
            there = sum(id(row) in given for row in one.rows) / len(one.rows)
            place = near.get(one.unit.inside, len(near))
            return (place, there, one.when) if place < len(near) else (place, one.when, one.against)

        end = self.found.record.ends[suspect.execution.number] if suspect else len(self.found.record.taps)
        by_time = sorted(self.hypotheses(lambda unit: all(self.moved(unit))), key=order)
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

    def moved(self, unit: Unit) -> list[bool]:
        """Return for each gradient that is wrong whether it changes with what a unit gives."""
        try:
            return self.goal.moved(self.case, overriding({unit: noise(unit)}))
        except Exception:  # it does not take any numbers
            return [True]

    def _right(self, some: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
        for one in itertools.takewhile(lambda _: time.monotonic() < self.end, some):
            if min(self.tried([one]), default=0.0) == 1.0:
                yield one

    def first(self) -> tuple[Step, Hypothesis | None] | None:
        """Return the first step that takes gradients and gives none; what it must, as at its other times."""
        near, last = self._suspects(), self.found.record.names[-1]
        totals = [row.path for row in self.chosen.rows.rows if row.kind == "total"]
        ends = {last[path].tobytes() for path in totals if path in last}
        plain = ast.Name | ast.Tuple | ast.List | ast.Dict  # what is returned so others have made

        def is_own(one: Step) -> bool:
            tree, updates = one.statement.tree, all(n.tobytes() in ends for n in one.numbers)
            handed = isinstance(tree, ast.Return) and isinstance(tree.value, plain)
            known = one.execution.statement in near and one.statement.file != EXAMPLE
            return known and not updates and not handed

        suspects = (s for s in classify(self.found, self.chosen) if s.suspect)
        step = next(filter(is_own, (*suspects, *self.suspected())), None)
        if step is None:
            return None
        own_too = (h for h in self.likely() if h.unit.number == step.execution.statement)
        at_once = (h for h in own_too if h.unit.times[h.first].within == step.number and not h.unit.tapped)
        return step, min(at_once, key=lambda h: h.off, default=None)

    def likely(self) -> list[Hypothesis]:
        """Return what may have to be given, and is at some times, near the first suspected statements."""
        near = self._suspects()
        some = self.hypotheses(lambda unit: unit.inside in near)
        return sorted((h for h in some if h.met and not h.against), key=lambda h: (h.when, h.off))

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
            one.targets = {
                at.count: np.zeros(at.size) if row is None else self.found.at(terms, row) * factor
                for at, row in zip(one.unit.times, one.rows, strict=True)
            }
        return one.targets

    def hypotheses(self, of: Callable[[Unit], bool] = lambda _: True) -> list[Hypothesis]:
        """Return all that (some) units may have to give, where that is not what they give."""
        out = []
        for unit in units(self.found, self.chosen):
            if not of(unit):
                continue
            right = [self._is_right(unit, at) for at in unit.times]
            seen: set[tuple[str, ...]] = set()
            for rows in self._rows(unit):
                key = tuple("" if row is None else f"{row.sketch[0]:.5g}" for row in rows)
                if key in seen or not any(key):
                    continue
                seen.add(key)
                given = zip(unit.times, rows, strict=True)
                off = [not self._is(at, row, unit.sign) for at, row in given]
                if any(off):
                    against = sum(o and r for o, r in zip(off, right, strict=True))
                    met = any(row and not o for row, o in zip(rows, off, strict=True))
                    out.append(Hypothesis(unit, rows, off.index(True), against, sum(off), met))
        return out

    def _rows(self, unit: Unit) -> Iterator[tuple[Row | None, ...]]:
        count, sizes = len(unit.times), [at.size for at in unit.times]  # layers may have sizes of their own
        executions = [at.execution for at in unit.times]
        for family in (one for one in self.families if one.size in sizes):
            rows = family.rows
            orders = (rows[::-1], rows) if count > 1 else (rows,)
            ways = [way for order in orders for way in aligned(order, count)]
            if len(rows) == count:
                blocks = ([rows[k : k + size] for k in range(0, count, size)] for size in self._rounds(unit))
                ways += [tuple(itertools.chain(*some[::-1])) for some in blocks]
            if count > 1 and (linked := self.links.order(executions, family)):
                ways.append(linked)
            for way in ways:
                if all(row is None or row.size == n for row, n in zip(way, sizes, strict=True)):
                    yield way

    def _rounds(self, unit: Unit) -> set[int]:
        """Return how often a unit is evaluated in each round of a loop that its own is in."""
        sizes, every = set[int](), self.found.record.executions
        for loop in unit.statement.loops[:-1]:
            first = loop.body[0]  # type: ignore[attr-defined]
            begun = [one.number for one in every if self._trees[one.statement] is first]
            counts = Counter(bisect(begun, at.execution) for at in unit.times).values()
            sizes |= {*counts} if len({*counts}) == 1 and 1 < min(counts) < len(unit.times) else set()
        return sizes

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

    def suspected(self) -> list[Step]:
        """Return the suspected steps that read no suspected one, of the first few statements."""
        steps = classify(self.found, self.chosen)
        suspects = [s for s in steps if s.suspect]
        calling = {at for s in suspects for at in self.found.record.callers(s.execution.number)}
        # what only passes on a result is none
        own = [s for s in suspects if s.execution.number not in calling]
        first = [s for s in own if not any(r.suspect for r in s.reads)]
        if not first:  # where the first gradient is none, nothing reads one
            first = [s for s in steps if s.kind == "other" and not any(r.kind == "other" for r in s.reads)]
        most = 3 if first[:1] and first[0].suspect else 6
        few = list(dict.fromkeys(s.execution.statement for s in first))[:most]
        return [s for s in first if s.execution.statement in few]

    def _suspects(self) -> dict[int, int]:
        """Return the first suspected statements, then those that they read and that call them."""
        first = self.suspected()
        few = [s.execution.statement for s in first]
        reads = [r.execution.statement for s in first for r in s.reads if r.kind != "value"]
        every, record = self.found.record.executions, self.found.record
        calls = [every[at].statement for s in first for at in record.callers(s.execution.number)]
        return {j: n for n, j in enumerate(dict.fromkeys([*few, *reads, *calls]))}
