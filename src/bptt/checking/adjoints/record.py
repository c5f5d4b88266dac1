"""One run of a program, written down: every value, every statement's result, the names after each line."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.program import Hooks, Outcome, Program
from bptt.checking.taps.values import Path, bump, flat, get, leaves, put
from bptt.types import Array

E = 3e-5  # the step of a numerical adjoint, next to values of order one

MOST_SEEN, MOST_NUMBERS = 300_000, 30_000_000
"""Values of a run, and numbers in them, that are written down: one of more takes too long to be repeated."""

HOOKS = frozenset(("TAP_", "PRE_", "PUT_", "POST_", "CALL_", "ENTRY_"))

_directions: dict[int, Array] = {}


def directions(size: int) -> Array:
    """Return the two random directions along which arrays of a size are sketched, shape (2, size)."""
    if size not in _directions:
        _directions[size] = np.random.default_rng(size).normal(size=(2, size))
    return _directions[size]


def sketch(numbers: Array) -> Array:
    """Return a vector's products with the two directions: a fingerprint that adds up as vectors do."""
    if numbers.size == 1:  # one number has one direction: the second place holds the same
        return np.repeat(numbers, 2)
    product: Array = directions(numbers.size) @ numbers
    return product


@dataclass(slots=True, eq=False)
class Seen:
    """A value at a tap: its ``use``-th time, in which execution of its statement."""

    node: int
    use: int
    value: Any
    numbers: Array
    execution: int


@dataclass(slots=True, eq=False)
class Execution:
    """A statement, executed: what it gave, and what was changed in place."""

    number: int
    statement: int
    start: int
    step: int  # of the example
    results: list[tuple[Any, Array]] = field(default_factory=list)
    value: Any = None
    changed: list[tuple[Any, Array]] = field(default_factory=list)
    caller: int = -1  # the execution that called the function it stands in


@dataclass
class Record:
    """What was seen in one run."""

    taps: list[Seen] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)  # taps seen at the end of each statement of the example
    # numbers by path after each of them; first: after the definitions
    names: list[dict[Path, Array]] = field(default_factory=list)
    held: list[dict[Path, Any]] = field(default_factory=list)
    outcome: Outcome = field(default_factory=lambda: Outcome({}))

    def ended(self) -> list[Execution]:
        """Return the executions in the order in which they ended: what a statement called, before it."""
        out: list[Execution] = []
        running: list[Execution] = []
        for one in self.executions:
            while running and running[-1].number != one.caller:
                out.append(running.pop())
            running.append(one)
        return out + running[::-1]

    @cached_property
    def ends(self) -> list[int]:
        """How many taps were seen when each execution was over, with what it called."""
        ends = [one.start for one in self.executions[1:]] + [len(self.taps)]
        for one in reversed(self.executions):
            if one.caller >= 0:
                ends[one.caller] = max(ends[one.caller], ends[one.number])
        return ends

    def callers(self, number: int) -> list[int]:
        """Return the executions within which one was called, the nearest first."""
        out = []
        while number >= 0 and (number := self.executions[number].caller) >= 0:
            out.append(number)
        return out


@dataclass(frozen=True)
class Bump:
    """A change of an array in place, once the example's statement ``after`` has been executed."""

    path: Path
    after: int
    numbers: Array
    draw: bool = False  # the numbers replace those that are there

    def make(self, names: dict[str, Any]) -> None:
        """Change what is there now, if it is of that size."""
        try:
            value = get(names, self.path)
        except (LookupError, AttributeError, TypeError):
            return
        now = flat(value)
        if now is not None and now.size == self.numbers.size:
            if isinstance(value, float | np.floating):
                _set(names, self.path, bump(value, self.numbers - (now if self.draw else 0)))
            else:
                put(value, self.numbers if self.draw else now + self.numbers)


@dataclass
class Case:
    """A program at a point: with the arrays that are drawn anew, and a seed."""

    program: Program
    seed: int = 0
    draws: list[Bump] = field(default_factory=list)
    over: Callable[[Hooks], Hooks] = lambda hooks: hooks  # what some places give in every run

    def run(
        self,
        hooks: Hooks | None = None,
        *,
        stop: int | None = None,
        bumps: Iterable[Bump] = (),
        after: Any = None,
    ) -> Outcome:
        """Run the program at this point, with some arrays changed."""
        changes: dict[int, list[Bump]] = {}
        for one in (*self.draws, *bumps):
            changes.setdefault(one.after, []).append(one)

        def done(i: int, outcome: Outcome) -> None:
            names = outcome.names
            for one in changes.get(i, ()):
                one.make(names)
            if after is not None:
                after(i, outcome)

        return self.program.run(self.over(hooks or Hooks()), seed=self.seed, stop=stop, after=done)

    def record(self, hooks: Hooks | None = None) -> Record:
        """Run it, and write everything down, with what hooks replace."""
        hooks = hooks or Hooks()
        record, uses, latest = Record(), dict[int, int](), dict[int, int]()
        taps, executions = record.taps, record.executions
        frames: dict[int, int] = {}
        step, kept = [0], [0]

        def tap(k: int, value: Any) -> Any:
            value = hooks.tap(k, value)
            numbers = flat(value)
            if numbers is not None:
                use = uses[k] = uses.get(k, -1) + 1
                kept[0] += numbers.size
                if len(taps) > MOST_SEEN or kept[0] > MOST_NUMBERS:
                    raise ExampleError("the example computes too much to be followed: smaller sizes would do")
                statement = nodes[k].statement
                taps.append(Seen(k, use, value, numbers.copy(), latest.get(statement, -1)))
            return value

        def pre(j: int) -> None:
            latest[j] = len(executions)
            one = Execution(len(executions), j, len(taps), step[0])
            frame = sys._getframe(1)
            frames[id(frame)] = one.number
            above = frame.f_back
            while above is not None and id(above) not in frames:
                above = above.f_back
            one.caller = frames[id(above)] if above is not None else -1
            executions.append(one)

        def given(j: int, value: Any) -> Any:
            value = hooks.put(j, value)
            if j in latest:
                one = executions[latest[j]]
                one.value = value
                one.results = [(v, n.copy()) for _, v in leaves(value) if (n := flat(v)) is not None][:40]
            return value

        def post(j: int, value: Any) -> None:
            hooks.post(j, value)
            if j in latest:
                found = [(v, n.copy()) for _, v in leaves(value) if (n := flat(v)) is not None]
                executions[latest[j]].changed = found[-40:]

        def done(i: int, outcome: Outcome) -> None:
            held = dict(named(outcome.names))
            record.held.append(held)
            record.names.append({path: n.copy() for path, v in held.items() if (n := flat(v)) is not None})
            if i >= 0:
                record.marks.append(len(taps))
            step[0] = i + 1

        nodes = self.program.table.nodes
        record.outcome = self.run(Hooks(tap, pre, given, post), after=done)
        return record


def named(names: dict[str, Any]) -> Iterable[tuple[Path, Any]]:
    """Yield all arrays that are reachable from a namespace's own names."""
    for name, value in list(names.items()):
        if not name.startswith("__") and name not in HOOKS:
            yield from leaves(value, (("item", name),))


def _set(names: dict[str, Any], path: Path, value: Any) -> None:
    owner, (kind, step) = get(names, path[:-1]), path[-1]
    if kind == "attr":
        setattr(owner, step, value)
    else:
        try:
            owner[step] = value
        except TypeError:
            return
