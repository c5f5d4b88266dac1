"""What each statement of a backward gives, and when: a gradient, a forward value, or neither."""

import ast
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen, backward
from bptt.checking.adjoints.record import Execution
from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import Adjoints, results
from bptt.checking.taps.instrument import Statement
from bptt.checking.taps.values import identity
from bptt.types import Array


@dataclass(eq=False)
class Step:
    """A statement of the backward, executed once."""

    execution: Execution
    statement: Statement
    kind: str  # "value" of the forward; "gradient"; "zero"; "other": it reads no gradient; "unexplained"
    rows: list[Row]  # what it is the gradient at
    number: int  # how many times the statement had been executed before
    reads: list["Step"] = field(default_factory=list)  # the steps whose results it reads
    readers: list["Step"] = field(default_factory=list)
    cleared: bool = False  # all that read it are gradients: it is a piece of one expression, on two lines

    @property
    def suspect(self) -> bool:
        """Whether it takes gradients, is none, and is no piece of one."""
        return self.kind == "unexplained" and not self.cleared

    @property
    def whole(self) -> bool:
        """Whether it is a gradient, and no part of one."""
        return self.kind == "gradient" and any(row.whole for row in self.rows)

    @property
    def numbers(self) -> list[Array]:
        """The arrays that it gives."""
        return [numbers for _, numbers in results(self.execution)]


def classify(found: Adjoints, chosen: Chosen) -> list[Step]:
    """Return the backward's steps in the order in which they end, each with what it gives."""
    statements = found.point.case.program.table.statements
    reading: dict[int, list[Array]] = {}
    for seen in found.record.taps[found.start :]:
        reading.setdefault(seen.execution, []).append(seen.numbers)
    steps: list[Step] = []
    made: dict[bytes, list[Step]] = {}  # several, where one hands on what another gave
    owner: dict[tuple[Any, ...], Step] = {}  # of an array in memory: the step that gave or changed it last
    count: dict[int, int] = {}
    when = {one.number: n for n, one in enumerate(found.record.ended())}
    for one in sorted(backward(found, chosen.forward), key=lambda one: when[one.number]):
        number = count[one.statement] = count.get(one.statement, -1) + 1
        arrays = [numbers for _, numbers in results(one)]
        if not arrays:
            continue
        step = Step(one, statements[one.statement], "other", [], number)
        step.reads = list(
            {id(s): s for n in reading.get(one.number, ()) for s in made.get(n.tobytes(), ())}.values()
        )
        scales = isinstance(getattr(step.statement.tree, "op", None), ast.Mult | ast.Div)
        if scales and (before := owner.get(identity(results(one)[0][0]))) and before not in step.reads:
            step.reads.append(before)
        owner |= {identity(value): step for value, _ in results(one)}
        live = [n for n in arrays if np.abs(n).max() > 1e-12]
        rows = [explained(n, chosen) for n in live]
        step.rows = [row for group in rows for row in group]
        takes = any(s.kind in ("gradient", "unexplained") for s in step.reads) or any(
            explained(n, chosen)
            for n in reading.get(one.number, ())
            if n.size > 1 and n.tobytes() not in chosen.values
        )
        if not live:
            step.kind = "zero"
        elif all(n.tobytes() in chosen.values for n in live):
            step.kind = "value"
        elif all(group or n.tobytes() in chosen.values for n, group in zip(live, rows, strict=True)):
            step.kind = "gradient"
        elif takes:
            step.kind = "unexplained"
        for source in step.reads:
            source.readers.append(step)
        steps.append(step)
        if step.kind in ("gradient", "unexplained", "other"):
            for n in live:
                if n.tobytes() not in chosen.values and isinstance(step.statement.tree, ast.stmt):
                    made.setdefault(n.tobytes(), []).append(step)
    for step in reversed(steps):
        step.cleared = (
            step.kind in ("unexplained", "other")
            and bool(step.readers)
            and all(r.kind == "gradient" or r.cleared for r in step.readers)
        )
    return steps


def helpers(found: Adjoints, steps: list[Step] | None = None) -> set[ast.AST]:
    """Return the functions that several statements call; of `steps`, such as are suspected."""
    statements = found.point.case.program.table.statements
    callers = {one.number: statements[one.statement] for one in found.record.executions}
    if steps is not None:
        callers = {s.execution.number: s.statement for s in steps if s.suspect}
    calls = {
        (function, callers[one.caller])
        for one in found.record.executions
        if one.caller in callers and (function := statements[one.statement].function) is not None
    }
    return {function for function, times in Counter(one for one, _ in calls).items() if times > 1}


def explained(numbers: Array, chosen: Chosen) -> list[Row]:
    """Return the adjoints that a value is, as they are or times the loss's factor."""
    found = chosen.rows.explain(numbers / chosen.factor)
    return found or (chosen.rows.explain(numbers) if chosen.factor != 1.0 else [])
