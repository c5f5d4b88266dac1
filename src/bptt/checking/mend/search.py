"""The search for the edits after which every gradient that is kept is right."""

import ast
import itertools
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.record import sketch
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.file import Source
from bptt.checking.locate.classes import Step, classify
from bptt.checking.mend.edit import Edit, evaluate
from bptt.checking.mend.matching import Goal, Matching
from bptt.checking.mend.scope import copied
from bptt.checking.mend.statements import rewrites
from bptt.checking.mend.trials import Mend, State, Trials, place_of
from bptt.checking.taps.program import Hooks
from bptt.checking.taps.values import flat, leaves
from bptt.checking.verdict.gradient import Judged

TRIALS = 12
"""Edits of one statement that are tried in the whole program, of those that give a value it may have."""

QUICK = 1.5
"""Edits of whole statements that cost no more are tried before all others."""


@dataclass
class Mended:
    """What came of a search.

    Attributes
    ----------
    mends : list of Mend
        In the order in which they were found.
    sources : dict
        The files that were changed, by their paths.
    whole : bool
        Whether all gradients that are kept are right with them, at another point, too. Otherwise they are
        steps on the way and not to be offered as a correction.
    right, of : int
        Gradients that are right with them, of so many.
    """

    mends: list[Mend] = field(default_factory=list)
    sources: dict[Path, Source] = field(default_factory=dict)
    whole: bool = False
    right: int = 0
    of: int = 0


def mend(found: Adjoints, chosen: Chosen, *, seconds: float = 20.0, examples: Iterable[str] = ()) -> Mended:
    """Search for edits after which every gradient that is kept is right.

    Parameters
    ----------
    found, chosen
        The program at a point, and the loss.
    seconds : float
        When the search is given up.
    examples : iterable of str
        Further examples, with other sizes: what is found must be right with them, too.
    """
    return Search(Trials(found, chosen, tuple(examples)), seconds).run()


class Search:
    """States of a program, the most promising first, each tried with ever costlier edits."""

    def __init__(self, trials: Trials, seconds: float) -> None:
        self.trials, self.chosen = trials, trials.chosen
        self.end = time.monotonic() + seconds
        self.known: dict[tuple[State, int], Matching] = {}
        self.classes: dict[State, list[Step]] = {}
        self.edits: dict[State, list[tuple[Path, Edit]]] = {}

    def run(self) -> Mended:
        """Return what was found."""
        start = best = self.trials.start
        if self.trials.is_whole(start):
            return self._result(start, False)
        stages = (self._expressions, self._quick, self._rest)
        agenda: list[tuple[tuple[int, int, int], State, int]] = [((0, 0, 0), start, 0)]
        while agenda and time.monotonic() < self.end:
            agenda.sort(key=lambda item: item[0])
            _, state, stage = agenda.pop()
            better: list[State] = []
            for one in stages[stage](state):
                if self.trials.is_whole(one) and self.trials.holds(one):
                    return self._result(one, True)
                better.append(one)
            better.sort(key=lambda one: one.score, reverse=True)
            best = max([best, *better], key=lambda one: one.score)
            if stage + 1 < len(stages):
                better.append(state)
            for one in better[:3] if state not in better[:3] else [*better[:2], state]:
                at = stage + 1 if one is state else 0
                whole = len(self.trials.before) if one is start and at == 1 else 0  # one edit before several
                agenda.append(((whole or one.score[0], -at - 2 * one.idle, one.score[1]), one, at))
        return self._result(best, False)

    # what is tried, stage by stage

    def _expressions(self, state: State) -> Iterator[State]:
        """Yield what is better with one small edit of a statement, and with those of all statements."""
        best: dict[int, tuple[Edit, State]] = {}
        for number, matching in self._matchings(state, _suspects(self._steps(state), state.judged)[:12]):
            for edit, after in self._values(state, number, matching.one()[:TRIALS]):
                yield after
                if number not in best or after.score > best[number][1].score:
                    best[number] = edit, after
                if after.score[0] > state.score[0]:
                    break
            if len(best) > 3:
                break
        by_file: dict[Path, list[Edit]] = {}
        for number, (edit, _) in best.items():
            by_file.setdefault(state.program.table.statements[number].file, []).append(edit)
        for path, edits in by_file.items():
            yield from self._texts(state, [(path, edits)] if len(edits) > 1 else [])

    def _quick(self, state: State) -> Iterator[State]:
        """Yield what is better with a likely edit of a whole statement, or with the cache of another step."""
        steps = self._steps(state)
        fetching = [s for s in steps if s.kind in ("value", "other") and _fetches(s.statement.tree)]
        reads = [r for s in steps if s.suspect for r in s.reads if r in fetching]
        caches = {s.execution.statement: s for s in (*reads, *fetching)}
        yield from self._blind(state, list(caches.values())[:6], 1.4)
        yield from self._blind(state, _suspects(steps, state.judged)[:2], 0.8)
        yield from self._texts(state, ((p, [e]) for p, e in self._rewrites(state) if e.cost <= QUICK))

    def _rest(self, state: State) -> Iterator[State]:
        """Yield what is better with any other edit of a statement."""
        yield from self._blind(state, _suspects(self._steps(state), state.judged)[:6], 1.0)
        yield from self._texts(state, ((p, [e]) for p, e in self._rewrites(state) if e.cost > QUICK))

    def _blind(self, state: State, order: Sequence[Step], most: float) -> Iterator[State]:
        for number, matching in self._matchings(state, order):
            edits = matching.one(most)[: 3 * TRIALS]
            yield from (after for _, after in self._values(state, number, edits))

    def _values(self, state: State, number: int, edits: Iterable[Edit]) -> Iterator[tuple[Edit, State]]:
        """Yield the edits of a statement's value that are better, and what is so with them."""
        for edit in itertools.takewhile(lambda _: time.monotonic() < self.end, edits):
            if (after := self.trials.value(state, number, edit)) is not None:
                yield edit, after

    def _texts(self, state: State, edits: Iterable[tuple[Path, list[Edit]]]) -> Iterator[State]:
        """Yield what is better with some edits of a file."""
        for path, some in itertools.takewhile(lambda _: time.monotonic() < self.end, edits):
            if (after := self.trials.text(state, path, some)) is not None:
                yield after

    def _rewrites(self, state: State) -> list[tuple[Path, Edit]]:
        if state not in self.edits:
            steps = self._steps(state)
            backward = [s for s in steps if s.kind in ("unexplained", "gradient")]
            lines = [s.statement.tree.lineno for s in steps if s.suspect][:6]
            files: dict[Path, dict[int, ast.FunctionDef]] = {}
            for step in (*backward, *steps):  # what only computes values comes last
                function = step.statement.function
                if function is not None and step.statement.file in state.program.sources:
                    files.setdefault(step.statement.file, {})[function.lineno] = function
            self.edits[state] = [
                (path, edit)
                for path, functions in files.items()
                for edit in rewrites(state.source(path), list(functions.values()), lines)
            ]
        return self.edits[state]

    # statements and what they may give

    def _steps(self, state: State) -> list[Step]:
        if state not in self.classes:
            self.classes[state] = classify(state.found, self.chosen)
        return self.classes[state]

    def _matchings(self, state: State, order: Sequence[Step]) -> Iterator[tuple[int, Matching]]:
        """Yield the numbers of statements, each with the search for its edits."""
        new = {(s.execution.statement, s.number) for s in order}
        new = {at for at in new if (state, at[0]) not in self.known}
        snapshots = _snapshots(state, new) if new else {}
        for step in itertools.takewhile(lambda _: time.monotonic() < self.end, order):
            number = step.execution.statement
            if (state, number) not in self.known:
                place, names = place_of(state.program, step.statement), snapshots.get((number, step.number))
                if place is None or place.value is None or names is None:
                    continue
                try:
                    value = evaluate(Edit((), "", 0.0), place, copied(names))
                except Exception:
                    value = step.execution.value
                self.known[state, number] = Matching(place, names, self._goal(state, step, value))
            yield number, self.known[state, number]

    def _goal(self, state: State, step: Step, value: Any) -> Goal:
        """Return the adjoints that a statement may give and that the backward does not reach yet."""
        explain, factor = self.chosen.rows.explain, self.chosen.factor
        reached = {_key(n) for s in self._steps(state) if s.kind == "gradient" for n in s.numbers}
        tree = step.statement.tree
        stored = [ast.dump(n) for n in ast.walk(tree) if isinstance(getattr(n, "ctx", None), ast.Store)]
        loads = [ast.dump(n) for n in ast.walk(tree) if isinstance(getattr(n, "ctx", None), ast.Load)]
        adds_up = any(one.replace("Store", "Load") in loads for one in stored)  # a part of a sum will do
        added = adds_up or isinstance(tree, ast.AugAssign)
        sizes = {n.size for _, v in leaves(value) if (n := flat(v)) is not None and n.size > 1}
        sketches: dict[int, list[Any]] = {}
        for row in self.chosen.rows.rows:
            if (row.kind != "part" or adds_up) and row.size in sizes:
                wanted = row.sketch * factor
                if added or (row.size, round(float(wanted[0]), 6)) not in reached:
                    sketches.setdefault(row.size, []).append(wanted)

        def kept(given: Any) -> int:
            arrays = [n for _, v in leaves(given) if (n := flat(v)) is not None and n.size > 1]
            return sum(bool(explain(n / factor)) for n in arrays)

        return Goal({n: np.array(list(rows)) for n, rows in sketches.items()}, kept).start(value)

    def _result(self, state: State, whole: bool) -> Mended:
        sources = {}
        for path, source in state.program.sources.items():
            old = self.trials.start.program.sources.get(path)
            if old is not None and old.text != source.text:
                sources[path] = old.replaced(source.text)
        return Mended(list(state.mends), sources, whole, state.score[0], len(self.trials.before))


def _key(numbers: Any) -> tuple[int, float]:
    return numbers.size, round(float(sketch(numbers)[0]), 6)


def _fetches(tree: ast.stmt) -> bool:
    """Say whether a statement only takes what is kept somewhere."""
    value = getattr(tree, "value", None)
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return all(isinstance(part, ast.Name | ast.Attribute | ast.Subscript) for part in parts)


def _suspects(steps: list[Step], judged: Judged) -> list[Step]:
    """Return the steps whose statements may be wrong, one a statement, the likeliest first."""
    first = [s for s in steps if s.suspect and not any(r.suspect for r in s.reads)]
    wrong = [g.got for g in judged.wrong if g.got is not None]
    writers = [s for s in steps if any(np.array_equal(n, w) for n in s.numbers for w in wrong)]
    sources = [r for s in first for r in s.reads if r.kind != "value"]
    rest = [s for s in steps if s.kind in ("unexplained", "other", "gradient")]
    out: dict[int, Step] = {}
    for step in itertools.chain(first, writers, sources, rest):
        out.setdefault(step.execution.statement, step)
    return list(out.values())


def _snapshots(state: State, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], dict[str, Any]]:
    """Return the names that statements saw at some of their executions, in one run."""
    out: dict[tuple[int, int], dict[str, Any]] = {}
    count: dict[int, int] = {}
    numbers = {j for j, _ in wanted}
    running = True

    def pre(j: int) -> None:
        if j in numbers and running:
            at = j, count.setdefault(j, 0)
            count[j] += 1
            if at in wanted:
                frame = sys._getframe(1)
                out[at] = {**frame.f_globals, **copied(frame.f_locals)}

    state.found.point.case.run(Hooks(pre=pre))
    running = False
    return out
