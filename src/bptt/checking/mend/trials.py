"""A program with some edits made, and how right it is: what is tried is run, and never only believed."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen, best
from bptt.checking.adjoints.point import point
from bptt.checking.adjoints.record import Case, Record
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.file import Source
from bptt.checking.locate.classes import Step
from bptt.checking.locate.search import Hypothesis
from bptt.checking.mend.edit import Change, Edit, Text, compiled
from bptt.checking.mend.scope import copied
from bptt.checking.taps.program import Hooks, Program
from bptt.checking.verdict.goal import Goal
from bptt.checking.verdict.judgement import again, judge

Edits = Mapping[Path, Sequence[Edit]]


@dataclass(frozen=True)
class Mend:
    """A statement that was changed."""

    path: Path
    line: int  # in the file as it was at first
    before: str  # its text
    after: str
    reason: str  # in words: "`1 - n` stands where `1 - n ** 2` belongs"


@dataclass
class Mended:
    """What came of a search."""

    mends: list[Mend] = field(default_factory=list)  # by file and line
    sources: dict[Path, Source] = field(default_factory=dict)  # the files that were changed
    # with them all gradients are right, at another point, too; else they are a part of what is
    whole: bool = False
    # what must give other numbers; without mends, each alone may be what is wrong
    places: list[Hypothesis] = field(default_factory=list)
    together: bool = False  # the places are wrong each by itself
    first: Step | None = None  # where no place is known: the first that takes gradients and gives none
    hint: str = ""  # what would make it what it is at its other times


class Trials:
    """Edits, tried in the whole program, and with examples of other sizes."""

    def __init__(self, found: Adjoints, chosen: Chosen, goal: Goal, examples: Sequence[str] = ()) -> None:
        self.found, self.chosen, self.goal, self.examples = found, chosen, goal, examples
        self.case, self.program = found.point.case, found.point.case.program
        self.seen: dict[Any, list[float]] = {}
        self.texts: dict[Path, Text] = {}

    def edited(self, edits: Edits) -> dict[Path, Source]:
        """Return files with edits made; raises SyntaxError where that is no Python."""
        out = {}
        for path, some in edits.items():
            source = self.program.sources[path]
            out[path] = source.replaced(Edit(tuple(_changes(some)), "", 0.0).applied(source.text))
        return out

    def text(self, edits: Edits) -> list[float]:
        """Return how much of each gradient is right with edits of files; empty: it does not run, or clips."""
        key = tuple((path, c) for path, some in edits.items() for c in sorted(_changes(some)))
        if key not in self.seen:
            self.seen[key] = []
            if any(clips(one.before) for one in self.told(edits)):
                return []
            try:
                program = self._patched(edits) or self.program.replaced(self.edited(edits))
                case = replace(self.case, program=program)
                self.seen[key] = self.goal.reached(case, Hooks(put=self._bounded()))
            except Exception:
                return []
        return self.seen[key]

    def _patched(self, edits: Edits) -> Program | None:
        """Return the program with edits of one function; None: they are not of one alone."""
        ((path, some), *more), source = edits.items(), self.program.sources[next(iter(edits))]
        text, changes = self.texts.setdefault(path, Text(source.text)), sorted(_changes(some))
        at = text.line(changes[0][0]), text.line(max(changes[-1][1] - 1, changes[-1][0] - 1))
        for owner in (None, *(c for c in source.tree.body if isinstance(c, ast.ClassDef))):
            for one in (owner or source.tree).body:
                if not isinstance(one, ast.FunctionDef) or one.decorator_list or more or source.python2:
                    continue
                start, end = text.lines(one.lineno, one.end_lineno or one.lineno)
                private = one.name.startswith("__") and not one.name.endswith("__")
                if one.lineno < at[0] and at[1] <= (one.end_lineno or 0) and not private:
                    said = Edit(tuple(changes), "", 0.0).applied(text.text[start:end], start)
                    (new,) = ast.parse(f"if 1:\n{said}" if one.col_offset else said).body
                    (new,) = new.body if isinstance(new, ast.If) else (new,)
                    assert isinstance(new, ast.FunctionDef)
                    ast.increment_lineno(new, one.lineno - new.lineno)
                    return self.program.patched(path, owner, new)
        return None

    def value(self, statement: int, text: str) -> list[float]:
        """Return how much is right where another expression stands for a statement's value.

        Nothing is compiled for the trial: while the program runs the statement's value is replaced.
        """
        code, bounded = compiled(text), self._bounded()

        def put(j: int, value: Any) -> Any:
            if j != statement:
                return bounded(j, value)
            frame = sys._getframe(1)  # of others' hooks, or the one whose statement it is
            while "PUT_" not in frame.f_globals and frame.f_back is not None:
                frame = frame.f_back
            return eval(code, {**frame.f_globals, **frame.f_locals})

        try:
            return self.goal.reached(self.case, Hooks(put=put))
        except Exception:
            return []

    def holds(self, edits: Edits) -> bool:
        """Say whether all is right: at this point, at another one, with other sizes."""
        program = self.program.replaced(self.edited(edits))
        try:
            case = replace(self.case, program=program)
            here = replace(self.found, record=case.record(), point=replace(self.found.point, case=case))
            if _is_infinite(here.record) and not _is_infinite(self.found.record):
                return False  # an infinity hides a gradient
            if not _learnt(self.found) <= _learnt(here):
                return False  # a weight that was changed stays as it is
            verdicts = [judge(here, self.chosen), again(self.chosen, program)]
            for example in self.examples:
                found, chosen = best(point(Program(program.source, example)))
                same = [c for c in chosen if c.candidate.text == self.chosen.candidate.text]
                verdicts.append(judge(found, same[0]))
        except Exception:
            return False
        # what has no gradient here is given none at another point, where fewer adjoints are known
        given = {g.name for g in verdicts[0].gradients if g.verdict != "not given"}
        told = [{g.name: g.verdict for g in v.gradients if g.name in given}.values() for v in verdicts]
        return all("right" in one and "wrong" not in one for one in told)

    def _bounded(self) -> Callable[[int, Any], Any]:
        """Return what ends a run that takes far more statements than before: a loop without an end."""
        left = 1000 + 5 * len(self.found.record.executions)

        def put(_: int, value: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise RuntimeError("this does not end")
            return value

        return put

    def told(self, edits: Edits) -> list[Mend]:
        """Return edits as the lines that they change, before and after."""
        return [
            _told(Text(self.program.sources[path].text), path, edit)
            for path, some in edits.items()
            for edit in sorted(some, key=lambda e: e.changes[0])
        ]


def frames(
    case: Case, times: Mapping[int, Container[int]], hooks: Hooks | None = None
) -> dict[int, dict[int, dict[str, Any]]]:
    """Return the names that statements see at some of their executions; none where it does not run."""
    out: dict[int, dict[int, dict[str, Any]]] = {j: {} for j in times}
    counts, running = Counter[int](), True

    def pre(j: int) -> None:
        if j in out and running:
            if counts[j] in times[j]:
                frame = sys._getframe(1)
                hidden = frame.f_code.co_varnames if frame.f_locals is not frame.f_globals else ()
                outer = {name: v for name, v in frame.f_globals.items() if name not in hidden}
                out[j][counts[j]] = {**outer, **copied(frame.f_locals)}
            counts[j] += 1

    try:
        case.run(replace(hooks or Hooks(), pre=pre))
    except Exception:
        return {j: {} for j in times}
    finally:
        running = False
    return out


def clips(text: str) -> bool:
    """Return whether a statement only clips: what it clips is right before it, or made right elsewhere."""
    return re.match(r"\s*(\w+\.)*clip\(", text) is not None


def _learnt(found: Adjoints) -> set[Any]:
    """Return the arrays of the code's own that an example changes, as an update does."""
    first, last = (found.record.names[n] for n in (found.point.start, -1))
    paths = (path for path in found.point.made if path in first and path in last)
    return {path for path in paths if not np.array_equal(first[path], last[path])}


def _is_infinite(record: Record) -> bool:
    return not all(np.isfinite(seen.numbers).all() for seen in record.taps)


def _changes(some: Sequence[Edit]) -> set[Change]:
    return {change for edit in some for change in edit.changes}


def _told(text: Text, path: Path, edit: Edit) -> Mend:
    changes = sorted(edit.changes)
    inserted = all(start == end for start, end, _ in changes)  # it is told with the line before it
    first, last = changes[0][0] - inserted, max(changes[-1][1] - 1, changes[-1][0] - inserted)
    low, high = text.line(max(first, 0)), text.line(max(last, 0))
    start, end = text.lines(low, high)
    old = text.text[start:end].split("\n")
    new = edit.applied(text.text[start : end + inserted], start).split("\n")
    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0) * (not inserted)
    return Mend(path, low + same, "\n".join(old[same:]).rstrip(), "\n".join(new[same:]).rstrip(), edit.reason)
