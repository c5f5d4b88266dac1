"""The statement that is wrong: the one after whose result is put right the rest comes right."""

import ast
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.record import Record
from bptt.checking.adjoints.table import Adjoints, Row
from bptt.checking.locate.classes import Step, classify
from bptt.checking.taps.instrument import Statement
from bptt.checking.taps.program import EXAMPLE
from bptt.checking.taps.values import bump, flat, shape
from bptt.checking.verdict.gradient import Judged
from bptt.checking.verdict.judgement import judge
from bptt.types import Array


@dataclass(eq=False)
class Located:
    """A statement that is wrong.

    Attributes
    ----------
    statement : Statement
    number : int
        Its number in the program's table.
    step : Step
        Its first execution that is wrong.
    row : Row
        What it must be then.
    targets : dict of int to array
        What it must give at each of its executions (an ``+=``: what it must add).
    got : array of shape (size,)
        What it gives at the first that is wrong.
    score : tuple of int
        Gradients that are wrong, right and results explained once it is put right.
    caller : Statement, optional
        Where what this statement is given is itself no gradient: the call that hands it over.
    cause : Step, optional
        Where this statement is right as long as what it reads is: the step that gives it what is wrong.
    """

    statement: Statement
    number: int
    step: Step
    row: Row
    targets: dict[int, Array]
    got: Array
    score: tuple[int, int, int]
    caller: Statement | None = None
    cause: Step | None = None

    def text(self) -> str:
        """Return what it must be, in words."""
        return f"must be {self.row.text()}"


def score(judged: Judged, explained: int) -> tuple[int, int, int]:
    """Return how right a backward is, comparable: the larger the better."""
    return (-len(judged.wrong), sum(g.verdict == "right" for g in judged.gradients), explained)


def scored(found: Adjoints, chosen: Chosen, record: Record) -> tuple[tuple[int, int, int], Judged]:
    """Judge another run of the same forward pass."""
    other = replace(found, record=record)
    judged = judge(other, chosen)
    values = {
        (n.size, round(float(np.abs(n).sum()), 7))
        for step in classify(other, chosen)
        if step.kind == "gradient"
        for n in step.numbers
        if n.tobytes() not in chosen.values
    }
    return score(judged, len(values)), judged


def locate(found: Adjoints, chosen: Chosen, judged: Judged, *, seconds: float = 10.0) -> list[Located]:
    """Return the statements after whose correction the backward is more right, the best first."""
    end = time.monotonic() + seconds
    steps = classify(found, chosen)
    now, _ = scored(found, chosen, found.record)
    out: list[Located] = []
    for statement in _suspects(steps, judged):
        group = [s for s in steps if s.execution.statement == statement]
        for targets, row, first in _hypotheses(found, chosen, group):
            if time.monotonic() > end:
                break
            try:
                after, _ = scored(found, chosen, _overridden(found, statement, targets))
            except Exception:
                continue
            if after > now and (after[0], after[1]) >= (now[0], now[1]):
                got = next((n for n in first.numbers if n.size == row.size), first.numbers[0])
                out.append(Located(group[0].statement, statement, first, row, targets, got, after))
        if out and max(o.score for o in out)[0] == 0 and len(out) > 3:
            break
    for one in out:
        one.caller = _caller(found, chosen, one.step)
        one.cause = _cause(one.step, steps)
    order = {id(o): i for i, o in enumerate(out)}
    return sorted(out, key=lambda o: (tuple(-v for v in o.score), order[id(o)]))


def _cause(step: Step, steps: list[Step]) -> Step | None:
    """Return the first of the steps through which a statement is wrong that is right at other times."""
    seen: set[int] = set()
    cause = None
    while id(step) not in seen:
        seen.add(id(step))
        right_before = any(s.execution.statement == step.execution.statement and s.whole for s in steps)
        reads = [r for r in step.reads if r.suspect and r.statement.file != EXAMPLE]
        if not right_before or not reads:
            break
        cause = step = reads[0]
    return cause


def _caller(found: Adjoints, chosen: Chosen, step: Step) -> Statement | None:
    """Return the statement that hands a wrong gradient to the function in which a statement stands."""
    function, statements = step.statement.function, found.point.case.program.table.statements
    caller = step.execution.caller
    if function is None or caller < 0 or any(r.suspect for r in step.reads):
        return None
    given = {a.arg for a in function.args.args}
    table = found.point.case.program.table.nodes
    for seen in found.record.taps[step.execution.start :]:
        if seen.execution != step.execution.number:
            continue
        tree = table[seen.node].tree
        if isinstance(tree, ast.Name) and tree.id in given and seen.numbers.tobytes() not in chosen.values:
            rows = chosen.rows.explain(seen.numbers / chosen.factor)
            if not any(row.whole for row in rows) and seen.numbers.any():
                above = statements[found.record.executions[caller].statement]
                return above if above.file != EXAMPLE else None
    return None


def _suspects(steps: list[Step], judged: Judged) -> list[int]:
    """Return the numbers of statements, the most suspect first."""
    wrong = [g.got for g in judged.wrong if g.got is not None]
    first = [s for s in steps if s.suspect and not any(r.suspect for r in s.reads)]
    first = [p for s in first for p in (*(r for r in s.reads if r.kind == "gradient" and not r.whole), s)]
    writers = [s for s in steps if any(np.array_equal(n, w) for n in s.numbers for w in wrong)]
    later = [s for s in steps if s.suspect]
    zeros = [
        s
        for s in steps
        if s.kind == "zero" and any(not w.any() and w.size == n.size for w in wrong for n in s.numbers)
    ]
    return list(
        dict.fromkeys(
            s.execution.statement for s in (*first, *writers, *later, *zeros) if s.statement.file != EXAMPLE
        )
    )


Hypothesis = tuple[dict[int, Array], Row, Step]


def _hypotheses(found: Adjoints, chosen: Chosen, group: list[Step]) -> Iterator[Hypothesis]:
    """Yield what a statement may have to give at its executions: the adjoints of one expression."""
    wrong = [s for s in group if not s.whole] or group
    first = wrong[0]
    augmented = isinstance(first.statement.tree, ast.AugAssign)
    sizes = {n.size for n in first.numbers}
    if augmented:
        sizes |= {n.size for _, n in first.execution.results}
    rows = [row for row in chosen.rows.rows if row.size in sizes]
    by_node: dict[int, dict[int, Row]] = {}
    for row in rows:
        if row.kind in ("value", "use") and row.number >= 0:
            by_node.setdefault(row.number, {})[row.use] = row
    seen: set[tuple[Any, ...]] = set()
    count = len(group)
    known = {s.number: s.rows for s in group if s.whole}
    for node, uses in by_node.items():
        times = sorted(uses)
        for order in (times[::-1], times):
            for aligned in _alignments(order, count):
                pairs = {n: uses[u] for n, u in enumerate(aligned) if u is not None}
                none = np.zeros(next(iter(uses.values())).size)  # a use on which nothing depends
                key = tuple((n, round(float(r.sketch[0]), 9)) for n, r in pairs.items())
                if key in seen or not pairs:
                    continue
                seen.add(key)
                if not augmented and any(
                    n in pairs and not _same(pairs[n], rows) for n, rows in known.items()
                ):
                    continue
                targets = {
                    n: _entries(found, chosen, pairs[n], node) if n in pairs else none for n in range(count)
                }
                row = pairs.get(first.number) or next(iter(pairs.values()))
                yield targets, row, first
    if count == 1 or not augmented:
        last = group[-1]
        for row in rows:
            if row.kind == "total" and row.size in sizes:
                wanted = found.entries(chosen.candidate.terms, row.size, path=row.path) * chosen.factor
                yield {last.number: wanted}, row, last


def _same(row: Row, rows: list[Row]) -> bool:
    return any(
        np.allclose(row.sketch, other.sketch, rtol=1e-6, atol=1e-9)
        for other in rows
        if other.size == row.size
    )


def _alignments(order: list[int], count: int) -> Iterator[list[int | None]]:
    """Yield the times of an expression beside a statement's executions."""
    if len(order) == count:
        yield list(order)
    elif len(order) == count - 1:
        yield [*order, None]
        yield [None, *order]
    elif len(order) == count + 1:
        yield list(order[1:])
        yield list(order[:-1])
    elif len(order) < count:
        yield [*order, *[None] * (count - len(order))]
    elif len(order) % count == 0 and len(order) // count <= 4:
        per = len(order) // count
        for offset in range(per):
            yield list(order[offset::per])


def _entries(found: Adjoints, chosen: Chosen, row: Row, node: int) -> Array:
    numbers: Array = found.entries(chosen.candidate.terms, row.size, at=(node, row.use)) * chosen.factor
    return numbers


def _overridden(found: Adjoints, statement: int, targets: dict[int, Array]) -> Record:
    """Run the program with a statement's results replaced."""
    count = -1

    def put(j: int, value: Any) -> Any:
        nonlocal count
        if j != statement:
            return value
        count += 1
        return replaced(value, targets[count], shapes.get(count, ())) if count in targets else value

    shapes = {}
    times = [one for one in found.record.executions if one.statement == statement]
    for n, one in enumerate(times):
        if one.changed:
            shapes[n] = shape(one.changed[0][0])
    return found.point.case.record(put=put)


def replaced(value: Any, numbers: Array, like: tuple[int, ...] = ()) -> Any:
    """Return a value of the same kind with other numbers; of a tuple, the first array that fits.

    What an ``+=`` adds may be broadcast: then the numbers have the shape of what it is added to.
    """
    now = flat(value)
    if now is not None and now.size != numbers.size and int(np.prod(like)) == numbers.size:
        return numbers.reshape(like)
    if now is None:
        if isinstance(value, tuple | list):
            parts = list(value)
            for i, part in enumerate(parts):
                old = flat(part)
                if old is not None and old.size == numbers.size:
                    parts[i] = replaced(part, numbers)
                    return type(value)(parts)
        return value
    if now.size != numbers.size:
        raise ValueError("sizes differ")
    if isinstance(value, np.ndarray):
        return numbers.reshape(value.shape).astype(value.dtype)
    return bump(value, numbers - now)
