"""The search for the edits after which every gradient that is kept is right."""

import ast
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen, backward
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.locate.classes import classify, helpers
from bptt.checking.locate.isolated import Isolated
from bptt.checking.locate.search import Hypothesis
from bptt.checking.mend.edit import Edit, Place, Text
from bptt.checking.mend.insertions import added
from bptt.checking.mend.matching import Instance, Matching
from bptt.checking.mend.places import Places
from bptt.checking.mend.statements import rewrites
from bptt.checking.mend.trials import Edits, Mend, Mended, Trials, clips, frames
from bptt.checking.taps.instrument import Statement
from bptt.checking.taps.values import written
from bptt.checking.verdict.goal import Goal
from bptt.checking.verdict.gradient import Judged
from bptt.checking.verdict.judgement import judge

PLACES = 4  # places at which one fault may be, that are looked at
QUICK = 1.9  # an edit that costs no more is taken at once; otherwise one of a whole statement may be meant
REWRITES = 250  # edits of whole statements that are tried where several faults are
SWEEP = 0.45  # for which part of the time edits of single statements are tried, before several are looked for
BLIND = 2.1  # the cost of edits that are tried although nothing says what the statement must give
ISOLATING = 0.5  # for how much of the time places that are wrong by themselves are looked for
ALTERNATIVES = 12  # corrections of all of them together that are tried
LIKELY = 6  # places that are wrong by themselves, or right at times, that are tried
FOLLOWED, SHARE = 3, 0.5  # corrections of one fault that are followed, for how much of the time


def mend(
    found: Adjoints, chosen: Chosen, judged: Judged, *, seconds: float = 20.0, examples: Iterable[str] = ()
) -> Mended:
    """Search for what is wrong, and for edits after which every gradient that is kept is right.

    It is given up after so many seconds; what is found must be right with further examples, too.
    """
    return Search(found, chosen, judged, seconds, tuple(examples)).run()


Found = tuple[float, dict[Path, list[Edit]], list[Hypothesis]]


class Search(Places):
    """Places that are wrong, then what they must say; and edits of whole statements, tried one by one."""

    def __init__(
        self, found: Adjoints, chosen: Chosen, judged: Judged, seconds: float, examples: Sequence[str] = ()
    ) -> None:
        super().__init__(found, chosen, Goal(found, judged), 0.8 * seconds)
        self.judged, self.start, self.seconds = judged, time.monotonic(), seconds
        self.trials = Trials(found, chosen, self.goal, examples)
        self.steps = classify(found, chosen)
        self.places: list[Hypothesis] = []
        self.faults: list[Hypothesis] = []  # several that are wrong, each by itself
        self.early: tuple[Hypothesis, ...] = ()  # those no later than what is first seen to go wrong
        self.partly: list[Mend] = []
        self.sweep = self._blind()

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.start + self.seconds

    def run(self) -> Mended:
        """Return what was found."""
        if all(one.was_right for one in self.goal.wanted):
            return Mended()
        fallback: list[Found] = []
        for edits in self._blind(helpers(self.found, self.steps)):
            if edits and (done := self._done(edits, [])):
                return done
        for copies in self._copies():
            if self._right(self.trials.text(copies)) and (done := self._done(copies, [])):
                return done
        for zeros in itertools.islice(self._zeros(), 1):
            if (rest := self._followed(zeros, self._after(zeros))).whole:
                return rest
        for some in self._one_place():
            for cost, edits, places in some:
                if cost > QUICK:
                    fallback.append((cost, edits, places))
                elif done := self._done(edits, places):
                    return done
        if not fallback and (done := self._together()):
            return done
        sweep = SWEEP if self.places else SWEEP / 3  # no one place will do: several may be wrong
        if done := self._rewritten(fallback) or self._swept(self.start + sweep * self.seconds):
            return done
        if done := self._peeled():
            return done
        self.early = tuple(self.places)
        for _, edits, places in itertools.chain.from_iterable(self._one_place(late=True)):
            if done := self._done(edits, places):
                return done
        if done := self._swept(self.start + self.seconds):
            return done
        return self.told(self.early)

    def told(self, places: Sequence[Hypothesis]) -> Mended:
        """Return what is known where no correction is: the places, or what is first seen to go wrong."""
        if self.faults and not places:
            return Mended(self.partly, places=self.faults, together=True)
        first = None if places else self.locator.first()
        if not first or not (one := first[1]):
            places = sorted(places, key=lambda h: h.when)
            return Mended(self.partly, places=places, first=first and first[0])
        hint = next((edit.reason for edit in self._edits(one)), "")
        return Mended(self.partly, places=[one], first=first[0], hint=hint)

    def _rewritten(self, fallback: list[Found]) -> Mended | None:
        """Return the edit of a whole statement that is right alone, if it costs less than what there is."""
        least = min((cost for cost, _, _ in fallback), default=QUICK)
        rewritten = list(self._rewrites())
        for quick in (True, False):
            for cost, edits in rewritten:
                if self.late:
                    break
                right = (cost <= least) == quick and self._right(self.trials.text(edits))
                if right and (done := self._done(edits, self.places[:1])):
                    return done
            for _, edits, places in fallback if quick else ():  # those of the first place first
                if done := self._done(edits, places):
                    return done
        return None

    def _swept(self, until: float) -> Mended | None:
        """Return an edit of one statement that is found by trial, until some time."""
        for edits in self.sweep:
            if edits and (done := self._done(edits, self.places[:1])):
                return done
            if time.monotonic() > until:
                break
        return None

    def where(self) -> Mended:
        """Return what must give other numbers, and no edits."""
        if all(one.was_right for one in self.goal.wanted):
            return Mended()
        return self.told(list(itertools.islice(self.locator.single(), PLACES)))

    def _done(self, edits: Edits, places: list[Hypothesis]) -> Mended | None:
        if not self.trials.holds(edits):
            return None
        return Mended(self.trials.told(edits), self.trials.edited(edits), True, places)

    def _right(self, reached: list[float]) -> bool:
        return bool(reached) and min(reached) == 1.0

    # one place

    def _one_place(self, *, late: bool = False) -> Iterator[list[Found]]:
        """Yield the corrections of each place at which the one fault may be."""
        for one in itertools.islice(self.locator.single(late=late), PLACES):
            self.places.append(one)
            out: list[Found] = []
            made = isinstance(one.unit.tree, ast.Name) and isinstance(one.unit.statement.tree, ast.Return)
            for edit in itertools.chain(self._operators(one), self._edits(one)[:6], self._missing(one)):
                edits = {one.unit.statement.file: [edit]}
                if self._right(self.trials.text(edits)):
                    out.append((edit.cost + made, edits, [one]))  # it was made elsewhere: there it is wrong
            yield out
            if self.late:
                return

    def _zeros(self) -> Iterator[Edits]:
        """Yield statements that add to a gradient that stays zero, or lacks some, after which it is right."""
        ends: dict[ast.stmt, Statement] = {}
        for step in self.steps:
            one = step.statement
            if isinstance(one.tree, ast.AugAssign) and one.file in self.program.sources:
                block = one.loops[-1] if one.loops else one.tree
                last = ends.setdefault(block, one)
                ends[block] = max(last, one, key=lambda s: (-s.tree.col_offset, s.tree.lineno))
        totals = {written(r.path): r for r in self.chosen.rows.rows if r.kind == "total"}
        wrong = [g for g in self.goal.wanted if not (g.was_right or g.kept.update)]
        zeros = [g for g in wrong if len(wrong) == 1 or not g.kept.numbers.any()]
        before = _whole(self.locator.tried([]))
        for gradient, one in itertools.product((g for g in zeros if g.name in totals), ends.values()):
            names = self._names(self.program.table.statements.index(one))
            text, total = Text(self.program.sources[one.file].text), totals[gradient.name]
            if self.late or not names:
                continue
            for edit in added(self.found, self.chosen, total, gradient.kept, text, one, names):
                if _whole(self.trials.text({one.file: [edit]})) > before:
                    yield {one.file: [edit]}

    # edits of whole statements

    def _rewrites(self) -> Iterator[tuple[float, dict[Path, list[Edit]]]]:
        """Yield edits of whole statements, the likeliest first."""
        near, files = self._near(), dict[Path, dict[int, Any]]()
        backward = [s for s in self.steps if s.kind in ("unexplained", "gradient")]
        for step in (*backward, *self.steps):  # what only computes values comes last
            function = step.statement.function
            if function is not None and step.statement.file in self.program.sources:
                files.setdefault(step.statement.file, {})[function.lineno] = function
        for path, functions in files.items():
            text = Text(self.program.sources[path].text)
            yield from ((e.cost, {path: [e]}) for e in rewrites(text, list(functions.values()), near))

    def _blind(self, only: Collection[ast.AST] | None = None) -> Iterator[dict[Path, list[Edit]]]:
        """Yield small edits of single statements that make all right, whatever these give; or none.

        A factor that a helper computes, what is fetched, what is changed in place: it is no gradient, and
        nothing says what it must be.
        """
        near, found, sources = self._near(), [], self.program.sources
        counts = Counter(one.statement for one in backward(self.found, self.chosen.forward))
        suspected = {s.statement.function for s in self.steps if s.suspect}
        names = frames(self.found.point.case, {j: [count // 2] for j, count in counts.items()})
        for j, (seen, *_) in ((j, [*some.values()]) for j, some in names.items() if some):
            statement = self.program.table.statements[j]
            value, function = getattr(statement.tree, "value", None), statement.function
            if value is None or statement.file not in sources or self.late:
                continue
            if (only is not None and function not in only) or clips(ast.unparse(value)):
                continue
            place = Place(value, function or statement.tree, Text(sources[statement.file].text))
            far = min([9, *(abs(statement.tree.lineno - line) for line in near)])
            far = far if function in suspected else 2  # of what a helper computes there is little
            blind = Matching(place, [Instance(seen, np.zeros(0), ())]).blind(BLIND)
            found += [(far / 6 + edits[0].cost, j, place, edits) for edits in blind]
        for _, j, place, edits in sorted(found, key=lambda one: (one[0], len(one[3][0].changes[0][2]))):
            right = edits if self._right(self.trials.value(j, place.edited(edits[-1]))) else []
            few = (e for e in right if self._right(self.trials.value(j, place.edited(e))))
            yield {self.program.table.statements[j].file: [next(few)]} if right else {}

    def _near(self) -> list[int]:
        """Return the lines that are suspected."""
        lines = [h.unit.statement.tree.lineno for h in self.places[:2]]
        return lines + [s.statement.tree.lineno for s in self.steps if s.suspect][:6]

    # several faults: those that are wrong by themselves; the first that is seen, and then what it hid

    def _together(self) -> Mended | None:
        """Correct every place that is wrong by itself; where that is not known of all, what is left then."""
        left = self.start + self.seconds - time.monotonic()
        isolated = Isolated(self.locator, time.monotonic() + ISOLATING * left)
        beside = [*isolated.given.values()]
        faults, some = isolated.faults(), list[list[Edit]]()
        if len(faults) < 2:
            return None
        self.faults = faults
        for one in faults:
            some.append([*self._edits(one, beside)[:3], *self._missing(one, beside)][:3])
        every = [s or self._operators(f) for f, s in zip(faults, some, strict=True)]
        for one_each in itertools.islice(itertools.product(*every), ALTERNATIVES):
            edits = _of(faults, one_each)
            if self._right(self.trials.text(edits)) and (done := self._done(edits, faults)):
                return done
        first = [s or self._edits(f, beside, begun=True) for f, s in zip(faults, some, strict=True)]
        now = self._rank()
        for few in (first, some):
            known = [(f, s[0]) for f, s in zip(faults, few, strict=True) if s]
            edits = _of([f for f, _ in known], [edit for _, edit in known])
            with contextlib.suppress(Exception):  # what is edited may do anything
                if edits and self.trials.text(edits) and (after := self._after(edits))._rank() > now:
                    rest = self._followed(edits, after, SHARE)
                    if rest.whole:
                        return rest
                    self.partly = max(self.partly, self.trials.told(edits), key=len)
        return None

    def _peeled(self) -> Mended | None:
        """Correct the first statement that is seen to be wrong; where more is wrong, what it hid.

        Of the corrections that are likely a few are followed, each for a part of the time that is left.
        """
        now, found = self._rank(), list[tuple[tuple[float, ...], Edits, Search]]()
        for edits, cost in self._first_edits():
            if self.late:
                break
            with contextlib.suppress(Exception):  # what is edited may do anything
                if self.trials.text(edits) and (rank := (after := self._after(edits))._rank()) > now:
                    found.append(((*rank, -cost), edits, after))
        likely = sorted(found, key=lambda one: one[0], reverse=True)[:FOLLOWED]
        for n, ((whole, *_), edits, then) in enumerate(likely):
            rest = self._followed(edits, then, 1.0 if n + 1 == len(likely) else SHARE)
            if rest.whole:
                return rest
            if whole > now[0]:
                self.partly = max(self.partly, rest.mends, key=len)
        return None

    def _first_edits(self) -> Iterator[tuple[Edits, float]]:
        """Yield edits by which the first suspected statements give gradients, then such as make one right."""
        likely = dict[int, Hypothesis]()  # of each place the first
        for one in (*self.faults, *self.places, *self.locator.likely()):
            likely.setdefault(id(one.unit), one)
        for one in itertools.islice(likely.values(), LIKELY):
            begun = *self._edits(one, begun=True)[:3], *self._missing(one, begun=True)
            yield from (({one.unit.statement.file: [e]}, e.cost) for e in (*self._operators(one), *begun))
        whole = _whole(self.locator.tried([]))
        for cost, edits in itertools.islice(self._rewrites(), REWRITES):
            if not self.late and _whole(self.trials.text(edits)) > whole:
                yield edits, cost

    def _rank(self) -> tuple[int, ...]:
        """Return how many gradients are right, how many adjoints are reached, and how few steps suspected."""
        reached = {id(s.rows[0]) for s in self.steps if s.kind == "gradient"}
        return _whole(self.locator.tried([])), len(reached), -sum(s.suspect for s in self.steps)

    def _followed(self, edits: Edits, then: "Search", share: float = 1.0) -> Mended:
        """Return edits with what corrects the rest, in a part of the time; or a part of it."""
        if self._right(then.locator.tried([])):
            return self._done(edits, []) or Mended()
        now = time.monotonic()
        then.start, then.seconds = now, share * (self.start + self.seconds - now)
        then.locator.end = now + 0.8 * then.seconds
        rest = Mended() if then.late else then.run()
        mends, sources = self.trials.told(edits), self.trials.edited(edits)
        return Mended([*mends, *rest.mends], sources | rest.sources, rest.whole, rest.places)

    def _after(self, edits: Edits) -> "Search":
        """Return the search in a program with some edits made."""
        case = replace(self.found.point.case, program=self.program.replaced(self.trials.edited(edits)))
        found = replace(self.found, record=case.record(), point=replace(self.found.point, case=case))
        after = Search(found, self.chosen, judge(found, self.chosen), 0.0, self.trials.examples)
        after.locator.families = self.locator.families
        return after


def _of(places: Sequence[Hypothesis], edits: Sequence[Edit]) -> dict[Path, list[Edit]]:
    """Return edits of places by their files."""
    out: dict[Path, list[Edit]] = {}
    for one, edit in zip(places, edits, strict=True):
        out.setdefault(one.unit.statement.file, []).append(edit)
    return out


def _whole(reached: Sequence[float]) -> int:
    return sum(one == 1.0 for one in reached)
