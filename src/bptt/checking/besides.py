"""What is told besides a verdict: arrays that a backward changes, truncation, the shortest wrong sequence."""

import ast
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from bptt.checking.adjoints.record import Bump, Seen
from bptt.checking.adjoints.terms import Meter
from bptt.checking.locate.units import overriding, tapped
from bptt.checking.report import Report
from bptt.checking.taps.program import Call
from bptt.checking.taps.values import identity, written
from bptt.checking.telling import Examined
from bptt.checking.verdict.gradient import Gradient, Judged, cosine, measured
from bptt.types import Array

Read = tuple[int, int]  # a tap and its use: where a value is read

Slope = Callable[..., float]  # the loss's slope along an array, with what is carried constant at some steps

MEANT = re.compile(r"trunc|tbptt", re.IGNORECASE)
"""By these words code says that its gradients are cut off on purpose."""


def _backward(one: Examined) -> list[Call]:
    """Return the example's calls that compute gradients."""
    outcome = one.found.record.outcome
    back = {step.execution.step for step in one.steps if step.kind in ("gradient", "unexplained")}
    return [call for call in outcome.calls if call.at in back]


def side_effects(one: Examined) -> Iterator[str]:
    """Yield which arrays the backward changes in place: handed to it, computed before, weights."""
    found, chosen, record = one.found, one.chosen, one.found.record
    weights = {g.path: g for g in one.judged.gradients if g.path in found.point.made}
    for call in _backward(one):
        at, told = call.at, dict[tuple[Any, ...], str]()
        for path, old in record.names[at].items():
            was, now = (record.held[n].get(path) for n in (at, at + 1))
            new = record.names[at + 1].get(path)
            if new is None or identity(was) != identity(now) or np.array_equal(old, new) or not old.any():
                continue  # what was zero is there for gradients to be added to it
            if path in weights:
                is_update = abs(cosine(new - old, measured(found, chosen, weights[path]))) > 0.2
                says = "" if is_update else "a weight, and no update of it"
            else:
                says = "computed before" * (old.size > 1 and old.tobytes() in chosen.values)
                says = "handed to it" if path in found.point.given else says
            if says:
                told.setdefault(identity(now), f"{written(path)} ({says})")
        if told:
            more = [f"{len(told) - 3} more"] * (len(told) > 3)
            yield f"{call.text} changes in place {', '.join([*[*told.values()][:3], *more])}"


def add_truncation(one: Examined, report: Report, *, seconds: float = 5.0) -> None:
    """Say of wrong gradients that they are right if what is carried through time is held constant.

    That is no fault where the code's own words say so, or the example calls it chunk by chunk. The gradient
    at the very first state is left out: what is cut off there has no gradient.
    """
    end, (every, starts) = time.monotonic() + seconds, _carried(one)
    first = one.found.record.names[one.found.point.start]
    wrong = [g for g in one.judged.wrong if g.path not in first or first[g.path].tobytes() not in starts]
    if not wrong or any(g.got is None or g.got.size != np.prod(g.shape or (1,)) for g in wrong):
        return
    for states in every:
        slopes = [_slopes(one, g, states) for g in wrong]
        for steps in range(1, len(states) + 1):
            for cut in (_chunked, _sliding)[:steps]:
                if time.monotonic() > end:
                    return
                if all(_is(cut(slope, steps, len(states)), got, slope()) for slope, got in slopes):
                    _tell(one, report, states, [g.name for g in wrong], steps, cut is _chunked)
                    return


def _tell(
    one: Examined, report: Report, states: list[set[Read]], names: list[str], steps: int, chunks: bool
) -> None:
    """Add to a report that some gradients are truncated."""
    record, program = one.found.record, one.found.point.case.program
    trees = sorted((program.table.nodes[k].tree for k, _ in states[-1]), key=lambda tree: -tree.lineno)
    lines = sorted({ast.unparse(tree): tree.lineno for tree in trees}.items())
    where = " and ".join(f"`{text}` of line {line}" for text, line in lines)
    where += " are" if len(lines) > 1 else " is"
    how = "" if steps == 1 else f" every {steps} steps" if chunks else f" beyond {steps} steps"
    says = f"truncated: the gradients at {', '.join(names)} are right if {where} held constant{how}"
    said = any(MEANT.search(text) for text in (report.example, *(s.text for s in program.sources.values())))
    cuts, texts = set[Read]().union(*states[steps - 1 :: steps]), {call.text for call in _backward(one)}
    held = [record.executions[s.execution].step for s in one.found.seen() if (s.node, s.use) in cuts]
    called_before = any(call.text in texts and call.at < min(held) for call in record.outcome.calls)
    function = {k: program.table.statements[n.statement].function for k, n in enumerate(program.table.nodes)}
    own = {function[k] for k, _ in states[-1]}
    matters = one.found.matters(one.chosen.candidate.terms)
    repeated = Counter(k for k, _ in matters if function[k] in own)
    between = len(states) + 1 < max(repeated.values(), default=0)  # it is carried from chunk to chunk
    if (said and (steps > 1 or between)) or (chunks and called_before):
        report.verdict = "right"
        for gradient in report.gradients:
            if gradient["verdict"] == "wrong":
                meant = {"verdict": "right", "note": "truncated, as is meant"}
                none = {"verdict": "not given", "where": "", "note": ""}
                gradient |= meant if gradient["name"] in names else none
    if report.verdict == "wrong" and between:
        report.verdict, report.reason = "cannot tell", says
    elif report.verdict == "wrong" and steps > 1:  # there is no one statement that is wrong
        report.reason = says
    else:
        report.notes.append(says)


def _carried(one: Examined) -> tuple[list[list[set[Read]]], set[bytes]]:
    """Return what may be held, by the reads of each step from the second on, and what it is at first.

    That is each state by itself, then all together.
    """
    nodes, reads = one.found.point.case.program.table.nodes, dict[int, list[Seen]]()
    known = {numbers.tobytes() for numbers in one.found.record.names[one.found.point.start].values()}
    for seen in one.found.seen():
        if isinstance(nodes[seen.node].tree, ast.Name | ast.Attribute | ast.Subscript):
            reads.setdefault(seen.node, []).append(seen)
    groups: dict[tuple[bytes, ...], set[int]] = {}
    for node, its in reads.items():
        values = tuple(seen.numbers.tobytes() for seen in its)
        starts = values[0] in known or not its[0].numbers.any()
        if starts and len(its) > 1 and values[1] not in known and its[1].numbers.any():
            groups.setdefault(values, set()).add(node)
    every = [[{(k, j) for k in group} for j in range(1, len(values))] for values, group in groups.items()]
    together = [states for states in every if len(states) == max(map(len, every))]
    if len(together) > 1:
        every.append([set[Read]().union(*step) for step in zip(*together, strict=True)])
    return every, {values[0] for values in groups}


def _slopes(one: Examined, gradient: Gradient, states: list[set[Read]]) -> tuple[Slope, float]:
    """Return what gives slopes along an array, in a direction at random; and the slope that is claimed."""
    assert gradient.got is not None
    found, path, way = one.found, gradient.path, np.random.default_rng(0).normal(size=gradient.got.size)
    case, after = found.point.case, found.point.after(path)
    values = {(seen.node, seen.use): seen.numbers for seen in found.seen()}

    @cache
    def slope(*steps: int) -> float:
        constant: dict[int, dict[int, Array]] = {}  # what is read at first, whatever is changed before it
        for node, use in (at for step in steps for at in states[step - 1]):
            constant.setdefault(node, {})[use] = values[node, use]
        reads = {tapped(case.program.table, node): its for node, its in constant.items()}
        meter = Meter(replace(case, over=partial(overriding, reads)), found.terms)
        terms, h = list(one.chosen.candidate.terms), 1e-4
        moves = ((Bump(path, after, c * h * way),) for c in (1, -1, 2, -2))
        up, down, far, deep = (meter.measure(bumps=move)[terms].sum() for move in moves)
        return float(8 * (up - down) - (far - deep)) / (12 * h)

    return slope, float(way @ gradient.got) / one.chosen.factor


def _chunked(slope: Slope, steps: int, last: int) -> float:
    """Return the slope with the state constant after every so many steps."""
    return slope(*range(steps, last + 1, steps))


def _sliding(slope: Slope, steps: int, last: int) -> float:
    """Return the slope without what comes from so many steps back, or more.

    What crosses two cuts is c(a) + c(b) - c(a, b); less what crosses the one before, it has one origin.
    """

    def across(a: int, b: int) -> float:
        both = slope(a) if a == b else slope(a) + slope(b) - slope(a, b) if a else slope()
        return slope() - both

    return slope() - sum(across(s + 1, s + steps) - across(s, s + steps) for s in range(last - steps + 1))


def _is(value: float, got: float, whole: float) -> bool:
    """Return whether a slope is what is kept, and not the whole one."""
    near = 1e-6 * max(abs(got), abs(whole))
    return abs(value - got) <= near < min(abs(got), abs(value - whole))


def shortest(one: Examined, judged: Callable[[str], Judged | None]) -> str:
    """Return in words how few steps of time show that a gradient is wrong; empty where none are too few.

    The example's steps are the number in it that is as large as the number of times the forward was repeated.
    """
    counts = Counter(node for node, _ in one.found.matters(one.chosen.candidate.terms))
    most, names, right = max(counts.values(), default=0), {g.name for g in one.judged.wrong}, 0
    literal = rf"(?<![\w.]){most}(?![\w.])"
    for n in range(1, most if re.search(literal, one.example.text) else 0):
        if other := judged(re.sub(literal, str(n), one.example.text)):
            if names & {g.name for g in other.wrong}:
                most = n
                break
            right = n if names <= {g.name for g in other.gradients if g.verdict == "right"} else right
    steps = "step" if right == 1 else "steps"
    return f"the gradients are right at {right} {steps} of time, and wrong at {most}" if right else ""
