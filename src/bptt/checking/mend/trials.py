"""A program with some edits made, and how right it is: what is tried is run, and never only believed."""

import ast
import difflib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bptt.checking.adjoints.choice import Chosen, best
from bptt.checking.adjoints.point import point
from bptt.checking.adjoints.record import Record
from bptt.checking.adjoints.table import Adjoints, measure
from bptt.checking.locate.search import scored
from bptt.checking.mend.edit import Edit, Place, Text, compiled
from bptt.checking.taps.instrument import Statement
from bptt.checking.taps.program import Program
from bptt.checking.verdict.gradient import Gradient, Judged
from bptt.checking.verdict.judgement import judge


@dataclass(frozen=True)
class Mend:
    """A statement that was changed.

    Attributes
    ----------
    path : Path
    line : int
        In the file as it was at first.
    before, after : str
        Its text.
    reason : str
        In words: "`1 - n` stands where `1 - n ** 2` belongs".
    """

    path: Path
    line: int
    before: str
    after: str
    reason: str


@dataclass(eq=False)
class State:
    """A program with some edits made.

    The score counts gradients that are right, and different results of the backward that are adjoints;
    `idle` counts edits that made no further gradient right.
    """

    program: Program
    found: Adjoints
    judged: Judged
    score: tuple[int, int]
    mends: tuple[Mend, ...] = ()
    idle: int = 0

    def source(self, path: Path) -> Text:
        """Return a file's text."""
        return Text(self.program.sources[path].text)


class Trials:
    """Edits, tried in the whole program, and with examples of other sizes."""

    def __init__(self, found: Adjoints, chosen: Chosen, examples: Sequence[str] = ()) -> None:
        self.chosen, self.examples, self.count = chosen, examples, 0
        self.seen: set[Any] = set()
        _, judged = scored(found, chosen, found.record)
        inside = [g for g in judged.gradients if g.verdict == "right" and g.note.startswith("inside")]
        kept = [g for g in judged.gradients if g.verdict != "not given" and g not in inside]
        self.before = {g.path: g for g in kept}
        self.places = {_where(g) for g in self.before.values()}
        self.start = State(found.point.case.program, found, judged, self._score(found.record, found)[0])

    def is_whole(self, state: State) -> bool:
        """Say whether every gradient that is kept is right."""
        return state.score[0] >= len(self.before) and not state.judged.wrong

    def value(self, state: State, number: int, edit: Edit) -> State | None:
        """Return the state with an edit of a statement's value, or None if that is not better.

        Nothing is compiled for the trial: while the program runs the statement's value is replaced.
        """
        statement = state.program.table.statements[number]
        place = place_of(state.program, statement)
        assert place is not None
        text = place.edited(edit)
        if not self._new((state, number, text)):
            return None
        code = compiled(text)

        bounded = self._bounded(state)

        def put(j: int, value: Any) -> Any:
            if j != number:
                return bounded(j, value)
            frame = sys._getframe(2)
            return eval(code, {**frame.f_globals, **frame.f_locals})

        if place.is_plain:
            try:
                score, _ = self._score(state.found.point.case.record(put=put), state.found)
            except Exception:
                return None
            if not _better(score, state.score):
                return None
        return self.text(state, statement.file, [edit])

    def text(self, state: State, path: Path, edits: Sequence[Edit]) -> State | None:
        """Return the state with edits of a file, or None if that is not better."""
        source = state.program.sources[path]
        text = source.text
        for edit in sorted(edits, key=lambda e: e.changes[0][0], reverse=True):
            text = edit.applied(text)
        if not self._new(text):
            return None
        try:
            program = state.program.replaced({path: replace(source, text=text, tree=ast.parse(text))})
            case = replace(state.found.point.case, program=program)
            record = case.record(put=self._bounded(state))
            found = replace(state.found, record=record, point=replace(state.found.point, case=case))
            score, judged = self._score(record, found)
        except Exception:
            return None
        if not _better(score, state.score):
            return None
        first = self.start.program.sources.get(path, source)
        mends = tuple(_told(Text(source.text), first.text, path, edit) for edit in edits)
        idle = state.idle + (score[0] == state.score[0])
        return State(program, found, judged, score, (*state.mends, *mends), idle)

    def holds(self, state: State) -> bool:
        """Say whether all is right at another point, too, and with other sizes."""
        try:
            verdicts = [self._elsewhere(state.program)]
            for example in self.examples:
                found, chosen = best(point(Program(state.program.source, example)))
                same = [c for c in chosen if c.candidate.text == self.chosen.candidate.text]
                verdicts.append(judge(found, same[0]))
        except Exception:
            return False
        return all(not v.wrong and any(g.verdict == "right" for g in v.gradients) for v in verdicts)

    def _elsewhere(self, program: Program) -> Judged:
        """Judge a program at another point, where the same executions are the forward pass."""
        at, implied = point(program, seed=1), self.chosen.candidate.kind == "implied"
        found = measure(at, seconds=0, implied=implied)  # the parameters' adjoints are enough
        text, forward = self.chosen.candidate.text, self.chosen.forward
        candidate = next(c for c in found.candidates if c.text == text)
        values = {s.numbers.tobytes() for s in found.seen() if s.execution in forward}
        rows = found.rows(candidate.terms)
        return judge(found, replace(self.chosen, candidate=candidate, rows=rows, values=values))

    @staticmethod
    def _bounded(state: State) -> Callable[[int, Any], Any]:
        """Return what ends a run that takes far more statements than before: a loop without an end."""
        left = 1000 + 5 * len(state.found.record.executions)

        def put(_: int, value: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise RuntimeError("this does not end")
            return value

        return put

    def _new(self, key: Any) -> bool:
        if key in self.seen:
            return False
        self.seen.add(key)
        self.count += 1
        return True

    def _score(self, record: Record, found: Adjoints) -> tuple[tuple[int, int], Judged]:
        (_, _, explained), judged = scored(found, self.chosen, record)
        return (sum(self._kept(g) for g in judged.gradients), explained), judged

    def _kept(self, gradient: Gradient) -> bool:
        """Say whether a gradient is right where it was looked for; one that is only out of sight is not."""
        before = self.before.get(gradient.path)
        if before is None or gradient.verdict != "right":
            return False
        if "times -" in gradient.note and gradient.note != before.note:
            return False
        updated = before.where.startswith(("the change of", "`"))  # the gradient itself is a local variable
        return _where(gradient) in self.places or updated


def place_of(program: Program, statement: Statement) -> Place | None:
    """Return a statement of a program as one that can be edited."""
    source = program.sources.get(statement.file)
    if source is None:
        return None
    return Place(statement.tree, statement.function or source.tree, Text(source.text))


def _better(score: tuple[int, int], than: tuple[int, int]) -> bool:
    return score > than and score[0] >= than[0]


def _where(gradient: Gradient) -> str:
    return "inside" if gradient.where.startswith("line ") else gradient.where


def _told(text: Text, first: str, path: Path, edit: Edit) -> Mend:
    """Return an edit as the lines that it changes, before and after; numbered as they were at first."""
    changes = sorted(edit.changes)
    low, high = text.line(changes[0][0]), text.line(max(changes[-1][1] - 1, changes[-1][0]))
    start, end = text.lines(low, high)
    after = edit.applied(text.text[start:end], start)
    matcher = difflib.SequenceMatcher(None, first.split("\n"), text.text.split("\n"), False)
    line = max((a + low - 1 - b for a, b, _ in matcher.get_matching_blocks() if b <= low - 1), default=0) + 1
    return Mend(path, line, text.text[start:end].rstrip(), after.rstrip(), edit.reason)
