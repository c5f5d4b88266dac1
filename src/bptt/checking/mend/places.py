"""One place that is wrong: what it must give at each of its times, and the edits by which it does."""

import ast
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.locate.search import Hypothesis, Locator
from bptt.checking.locate.units import parts
from bptt.checking.mend.edit import Edit, Place, Text
from bptt.checking.mend.insertions import carries
from bptt.checking.mend.matching import PLAIN, Instance, Matching
from bptt.checking.mend.statements import operators
from bptt.checking.mend.trials import Edits, frames
from bptt.checking.taps.values import flat
from bptt.checking.verdict.goal import Goal
from bptt.types import Array

Given: TypeAlias = Iterable[Hypothesis]  # what is given at other places

EXECUTIONS = 60  # executions of a statement that are looked at


class Places:
    """The places of a program, under a loss."""

    def __init__(self, found: Adjoints, chosen: Chosen, goal: Goal, seconds: float) -> None:
        self.found, self.chosen, self.goal = found, chosen, goal
        self.locator = Locator(found, chosen, goal, seconds)
        self.program = found.point.case.program

    def _operators(self, one: Hypothesis) -> list[Edit]:
        """Return the edits of the operator of a place's statement."""
        statement, source = one.unit.statement, self.program.sources.get(one.unit.statement.file)
        if source is None or statement.function is None or one.unit.tapped:
            return []
        loop = next(iter(statement.loops[-1:]), None)
        return operators(Text(source.text), statement.function, statement.tree, loop)  # type: ignore[arg-type]

    def _edits(self, one: Hypothesis, beside: Given = (), *, begun: bool = False) -> list[Edit]:
        """Return the edits by which a place gives what it must; `begun`: when it first gives another."""
        place, times = self._times(one, beside, begun=begun)
        return Matching(place, list(times.values())).edits() if place and times else []

    def _times(
        self, one: Hypothesis, beside: Given = (), *, begun: bool = False
    ) -> tuple[Place | None, dict[int, Instance]]:
        """Return a place, and what it must give at each execution of its statement; others are right, too."""
        unit, targets = one.unit, self.locator.targets(one)
        source = self.program.sources.get(unit.statement.file)
        if source is None:
            return None, {}
        names = self._names(unit.inside, (*beside, one))
        times = {}
        for at in (at for at in unit.times if at.within in names and not (begun and at.when > one.when)):
            shape, wanted = at.like or at.shape, targets[at.count]
            if unit.scales:
                wanted = _scaled(unit.statement.tree, names[at.within], wanted.reshape(shape)).reshape(-1)
            if np.isfinite(wanted).all():
                times[at.within] = Instance(names[at.within], wanted, shape)
        function = unit.statement.function or source.tree
        return Place(unit.tree, function, Text(source.text), self.chosen.values), times

    def _missing(self, one: Hypothesis, beside: Given = (), *, begun: bool = False) -> Iterator[Edit]:
        """Yield statements that are missing at the end of the loop in which a place is."""
        place, times = self._times(one, beside, begun=begun)
        table, statement = self.program.table.statements, one.unit.statement
        if place is None or not times:
            return
        if statement.loops:
            first = statement.loops[-1].body[0]  # type: ignore[attr-defined]
            number = next((j for j, s in enumerate(table) if s.tree is first), None)
            before = self._names(number, (*beside, one)) if number is not None else {}
            yield from carries(place, statement, times, before)

    def _copies(self) -> Iterator[Edits]:
        """Yield copies of what is kept, or handed on, and changes after it."""
        table, told = self.program.table, set[int]()
        for seen in self.found.record.taps:
            node, now = table.nodes[seen.node], flat(seen.value)
            if seen.node in told or now is None or np.array_equal(now, seen.numbers):
                continue
            told.add(seen.node)
            source, tree = self.program.sources.get(node.file), table.statements[node.statement].tree
            kept = node.statement >= 0 and {id(getattr(tree, "value", None)), *parts(tree)}
            if source and kept and id(node.tree) in kept and isinstance(node.tree, PLAIN):
                text = Text(source.text)
                said, reason = text.of(node.tree), "`{}` is changed later: a copy must be kept"
                change = *text.span(node.tree), f"{said}.copy()"
                yield {node.file: [Edit((change,), reason.format(said), 0.9)]}

    def _names(self, statement: int, given: Iterable[Hypothesis] = ()) -> dict[int, dict[str, Any]]:
        """Return the names that a statement sees at its first executions, where some units are right."""
        times = {statement: range(EXECUTIONS)}
        return frames(self.found.point.case, times, self.locator.hooks(given))[statement]


def _scaled(tree: Any, names: dict[str, Any], must: Array) -> Array:
    """Return by what a statement must multiply its target, or divide it, for something to come of it."""
    now = np.asarray(eval(ast.unparse(tree.target), dict(names)), float)
    with np.errstate(all="ignore"):
        factor: Array = must / now if isinstance(tree.op, ast.Mult) else now / must
    return factor
