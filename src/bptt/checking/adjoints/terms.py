"""Numbers that a run gives and that may be a loss, and how they are measured."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.checking.adjoints.record import Bump, Case, Record
from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.program import Hooks, Outcome
from bptt.checking.taps.values import bump, flat
from bptt.types import Array

LOSSLIKE = re.compile(r"loss|cost|err|nll|energy|objective|perplex|^_*[LJE]\d*$", re.IGNORECASE)


MOST = 40


@dataclass(eq=False)
class Term:
    """A number that a run gives, which may be (a part of) the loss."""

    text: str  # as a person would write it
    kind: str  # scalar: the code's own; handed: outputs times what is handed over; or implied
    step: int  # the example's statement after which it is there
    at_step: Callable[[Outcome], float] | None = None  # reads it then
    statement: int = -1  # or: the last result of a statement
    total: bool = False  # the sum of all its results
    node: int = -1  # or: the sum over a tap's uses
    of: list[Callable[[Array], float]] = field(default_factory=list)  # of functions of its values
    weights: Array | None = None  # what is handed over; of a loss that a backward begins with, its gradient;
    # of a number of the code's own, how large it was each time
    inner: bool = False  # what an object keeps, where calls have results
    call: int = -1  # of which call's result it is: a loop of the example makes several

    def same(self, other: "Term") -> bool:
        """Say whether another is this number."""
        own = (self.text, self.step, self.call) == (other.text, other.step, other.call)
        return own and np.array_equal(self.weights, other.weights)  # type: ignore[arg-type]


@dataclass(eq=False)
class Candidate:
    """A loss: a sum of terms."""

    text: str
    kind: str
    terms: tuple[int, ...]
    sure: bool = False  # by its name what is handed over is a gradient
    inner: bool = False  # it is at what an object keeps, where calls have results
    whole: int = 0  # of how many arrays that the program starts from the gradient under it is somewhere
    number: int = -1  # which of all that were found it is


class _Enough(BaseException):
    """Ends a run in which every term has been read; no Exception, so that somebody's handlers let it pass."""


class Meter:
    """Measures all terms in one run, at a point that is changed or not."""

    def __init__(self, case: Case, terms: list[Term]) -> None:
        self.case, self.terms = case, terms
        self.stop = max((t.step for t in terms), default=0)
        self.last_step = max((t.step for t in terms if t.at_step is not None), default=-1)
        self.by_step: dict[int, list[int]] = {}
        self.by_statement: dict[int, list[int]] = {}
        self.by_node: dict[int, list[int]] = {}
        for n, term in enumerate(terms):
            if term.at_step is not None:
                self.by_step.setdefault(term.step, []).append(n)
            elif term.statement >= 0:
                self.by_statement.setdefault(term.statement, []).append(n)
            else:
                self.by_node.setdefault(term.node, []).append(n)
        self.ended = -1  # how many taps a run needs; -1: not counted yet
        self.needed = -1  # readings of statements and nodes in a run; -1: not counted yet
        statements = case.program.table.statements
        self.augmented = {j for j in self.by_statement if isinstance(statements[j].tree, ast.AugAssign)}

    def measure(
        self, at: tuple[int, int] = (-1, -1), by: Array | None = None, bumps: tuple[Bump, ...] = ()
    ) -> Array:
        """Return the terms, shape (terms,), with the tap ``at`` (node, use) changed, or arrays bumped."""
        out = np.zeros(len(self.terms))
        node, use = at
        count, counts = -1, dict.fromkeys(self.by_node, -1)
        readings, here = 0, -1

        def reading() -> None:
            nonlocal readings
            readings += 1
            if readings == self.needed and here >= self.last_step:
                raise _Enough

        terms, by_node, by_statement = self.terms, self.by_node, self.by_statement

        def tap(k: int, value: Any) -> Any:
            nonlocal count
            if k != node or (numbers := flat(value)) is None:
                return value
            count += 1
            return bump(value, by) if count == use and by is not None and numbers.size == by.size else value

        def tap_and_read(k: int, value: Any) -> Any:
            value = tap(k, value)
            if k in by_node and (numbers := flat(value)) is not None:
                counts[k] += 1
                for n in by_node[k]:
                    if counts[k] < len(terms[n].of):
                        out[n] += terms[n].of[counts[k]](numbers)
                reading()
            return value

        def result(j: int, value: Any) -> None:
            if j in by_statement and (numbers := flat(value)) is not None and numbers.size == 1:
                for n in by_statement[j]:
                    out[n] = out[n] + numbers[0] if terms[n].total else numbers[0]
                reading()

        def given(j: int, value: Any) -> Any:
            if j not in self.augmented:
                result(j, value)
            return value

        def done(i: int, outcome: Outcome) -> None:
            nonlocal here
            here = i
            for n in self.by_step.get(i, ()):
                at_step = terms[n].at_step
                assert at_step is not None
                out[n] = at_step(outcome)

        hooks = Hooks(tap_and_read if by_node else tap)
        if by_statement:
            hooks.put, hooks.post = given, result
        try:
            self.case.run(hooks, stop=self.stop, bumps=bumps, after=done)
        except _Enough:
            pass
        except ExampleError:
            if self.needed < 0:
                raise
            return np.full(len(self.terms), np.nan)  # what is changed must be as it is: no array of numbers
        if self.needed < 0:
            self.needed = readings
        return out

    def end(self, record: Record) -> int:
        """Return how many taps a run needs: all terms are there then, whatever is edited behind."""
        if self.ended < 0:
            ends = [record.marks[t.step] for t in self.terms if t.at_step is not None]
            last = {one.statement: one.number for one in record.executions}
            ends += [record.ends[last[j]] for j in self.by_statement]
            ends += [n + 1 for n, seen in enumerate(record.taps) if seen.node in self.by_node]
            self.ended = max(ends, default=0)
        return self.ended
