"""Right, wrong or cannot tell: what is kept against all gradients; and what may speak against it."""

import ast
import contextlib
import re
import time
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen, backward
from bptt.checking.adjoints.point import STATE, point
from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import Adjoints, follow, results, totals
from bptt.checking.adjoints.terms import LOSSLIKE
from bptt.checking.file import Source
from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.program import Program
from bptt.checking.taps.values import Path, identity, last, shape, written
from bptt.checking.verdict.claims import claim, claim_locals
from bptt.checking.verdict.gradient import Gradient, Judged, hits, stepwise
from bptt.checking.verdict.kept import Kept, inside, is_gradient, kept
from bptt.checking.verdict.missing import missing
from bptt.checking.verdict.updates import judge_updates


def judge(found: Adjoints, chosen: Chosen) -> Judged:
    """Judge what is kept at the end of an example under a loss."""
    rows, factor = chosen.rows, chosen.factor
    totals = {row.path: row for row in rows.rows if row.kind == "total"}
    keeps = kept(found, chosen)
    held, names = found.record.held[-1], dict[tuple[Any, ...], list[Path]]()
    for path, value in held.items():
        names.setdefault(identity(value), []).append(path)
    gradients = [Gradient(written(p), p, shape(held[p])) for p in totals if p in held]
    for own in gradients:  # an array has its names, and none of what may stand in its place at the end
        after = (found.point.made | found.point.given).get(own.path, 0)
        own.aliases = tuple(names.get(identity(found.record.held[after + 1].get(own.path)), ()))
    gradients += _without_effect(found, totals, keeps)
    idle = _idle(found, totals, keeps)
    right = set[Path]()
    explained: set[int] = set()
    for one in keeps:
        found_as = hits(one, rows.explain, factor)
        if one.update and not any(row.path == one.path for row, _ in found_as):
            found_as = []
        if found_as:
            explained.add(id(one))
        for row, note in found_as:
            if row.kind == "total" and row.path not in right:
                right.add(row.path)
                gradient = next((g for g in gradients if g.path == row.path), None)
                if gradient is not None:
                    gradient.verdict, gradient.where, gradient.note = "right", one.text, note
                    gradient.match = one
    _in_lists(keeps, gradients, chosen, explained)
    _inside(found, chosen, gradients)
    updated = [
        g.path
        for g in gradients
        if g.verdict == "right" and any(k.update and k.path == g.path for k in keeps)
    ]
    keeps = [
        k for k in keeps if k.numbers.any() or not any(map(k.named_for, updated))
    ]  # set to zero after it
    local = inside(found, chosen)
    claim(keeps, gradients, found, chosen, explained, local)
    claim_locals(local, gradients, found, chosen)
    judge_updates(keeps, gradients, local, found, chosen)
    explained |= {id(g.match) for g in gradients if g.verdict == "right"}
    explained |= {id(g.scaled[0]) for g in gradients if g.scaled is not None}
    all_of_it = all(id(one) in explained for one in keeps if one.numbers.size > 1 or is_gradient(one.path))
    verdict, reason = _overall(gradients, found.point.made, chosen, all_of_it)
    if verdict == "right" and (left := missing(gradients, found)):
        verdict, reason = "cannot tell", f"nothing is the gradient at {left[0].name}"
    return Judged(chosen, gradients + idle, verdict, reason, keeps)


def at_zero(found: Adjoints, judged: Judged) -> set[Path]:
    """Return the arrays, but states, that the example sets to zero and whose gradients are right there."""
    names, given = found.record.names, found.point.given
    right = (g.path for g in judged.gradients if g.verdict == "right" and g.path in given and g.shape)
    zeros = (path for path in right if not names[given[path] + 1][path].any())
    return {path for path in zeros if not STATE.match(last(path)) and not last(path).endswith("0")}


def again(chosen: Chosen, program: Program, seed: int = 1, more: Iterable[Path] = ()) -> Judged:
    """Judge a program at another point, with the same forward; LookupError: the loss is not there.

    What is given stands there, too, save `more` arrays, which are drawn.
    """
    start = point(program, seed)
    start.drawn = {*more}
    every = totals(start)
    alike = [c for c in every.candidates if c.text == chosen.candidate.text]
    candidate = min(alike, key=lambda c: c.number != chosen.candidate.number, default=None)
    if candidate is None:
        raise LookupError(f"{chosen.candidate.text} is not there")
    found = follow(every, [candidate], seconds=0)  # the parameters' adjoints are enough
    [candidate] = found.candidates
    values = {s.numbers.tobytes() for s in found.seen() if (s.node, s.use) in chosen.uses}
    unknown = {seen.numbers.tobytes() for seen in found.seen()} if chosen.unknown else set()
    rows = found.rows(candidate.terms)
    return judge(found, replace(chosen, candidate=candidate, rows=rows, values=values, unknown=unknown))


def _without_effect(found: Adjoints, totals: dict[Path, Row], keeps: list[Kept]) -> list[Gradient]:
    """Return the code's arrays on which the loss does not depend and for which a gradient is kept."""
    out = []
    for path in found.point.made:
        value = found.record.held[-1].get(path)
        match = next((k for k in keeps if k.named_for(path) and not k.update), None)
        if path in totals or path in found.point.buffers or value is None:
            continue
        if match is None or np.abs(match.numbers).max() < 1e-9:
            continue
        if is_gradient(path) or any(match.named_for(other) for other in totals):
            continue  # a buffer for gradients; or a moment of an optimiser, which has its array's name
        if match.shape == shape(value):
            note = "the loss does not depend on it: its gradient is zero"
            out.append(Gradient(written(path), path, match.shape, "wrong", match.text, np.inf, note=note))
            out[-1].got, out[-1].wanted = match.numbers, np.zeros(match.numbers.size)
            out[-1].match = match
    return out


def _idle(found: Adjoints, totals: Container[Path], keeps: list[Kept]) -> list[Gradient]:
    """Return the code's arrays on which the loss does not depend here and whose gradient, kept, is zero."""
    before, out = found.record.names[found.point.start], []
    for path in found.point.made.keys() - found.point.buffers:
        zero = next((k for k in keeps if k.named_for(path) > 1 and not k.numbers.any()), None)
        if zero is not None and path not in totals and path in before and before[path].any():
            out.append(Gradient(written(path), path, zero.shape, note=IDLE.format(zero.text)))
    return out


IDLE = "the loss does not depend on it in this example, where {} is zero: whether it is right is not shown"


def _in_lists(keeps: list[Kept], gradients: list[Gradient], chosen: Chosen, explained: set[int]) -> None:
    """Find gradients of arrays that are lists on one side and one array on the other."""

    def settled(rows: Iterable[Row], text: str) -> bool:
        paths = {row.path for row in rows if row.kind == "total"}
        fresh = [g for g in gradients if g.path in paths and g.verdict != "right"]
        for gradient in fresh:
            gradient.verdict, gradient.where = "right", text
        return bool(fresh)

    explain, factor, groups = chosen.rows.explain, chosen.factor, dict[Path, list[Kept]]()
    for one in keeps:
        if id(one) not in explained and (rows := stepwise(one, explain, factor)):
            explained.add(id(one))
            settled(rows, one.text)
        if one.path and one.path[-1][0] == "item" and isinstance(one.path[-1][1], int):
            groups.setdefault(one.path[:-1], []).append(one)
    for listed in groups.values():
        for order in (listed, listed[::-1]) if len({one.shape for one in listed}) == 1 < len(listed) else ():
            stacked = np.array([one.numbers.reshape(one.shape) for one in order])
            for axis in range(stacked.ndim):
                rows = explain(np.moveaxis(stacked, 0, axis).reshape(-1) / factor)
                if settled(rows, f"{listed[0].text} and on"):
                    explained |= {id(one) for one in listed}


def _inside(found: Adjoints, chosen: Chosen, gradients: list[Gradient]) -> None:
    """Find gradients that were there in a local variable, before clipping or an update touched them."""
    wanted = {g.path: g for g in gradients if g.verdict != "right"}
    sizes = {int(np.prod(g.shape or (1,))) for g in wanted.values()}
    table = found.point.case.program.table
    values = {one.numbers.tobytes(): (one.text, one.numbers) for one in inside(found, chosen)}
    for seen in found.record.taps[found.start :]:
        values[seen.numbers.tobytes()] = f"line {table.nodes[seen.node].tree.lineno}", seen.numbers
    values = {key: value for key, value in values.items() if key not in chosen.values}
    for one in backward(found, chosen.forward):
        for _, numbers in results(one):
            values[numbers.tobytes()] = f"line {table.statements[one.statement].tree.lineno}", numbers
    for where, numbers in values.values():
        if numbers.size not in sizes:
            continue
        for scale in dict.fromkeys((1.0, chosen.factor)):
            for row in chosen.rows.explain(numbers / scale):
                gradient = wanted.get(row.path) if row.kind == "total" else None
                if gradient is not None and gradient.verdict != "right":
                    gradient.verdict, gradient.where = "right", where
                    gradient.wanted = numbers / scale  # as it is there, it need not be measured
                    gradient.note = "inside" + ("" if scale == 1.0 else f", times {scale:.6g}")


def _overall(
    gradients: list[Gradient], made: Container[Path], chosen: Chosen, all_of_it: bool
) -> tuple[str, str]:
    wrong = [g for g in gradients if g.verdict == "wrong"]
    right = [g for g in gradients if g.verdict == "right"]
    if wrong:
        named = chosen.candidate.kind == "scalar" and LOSSLIKE.search(chosen.candidate.text)
        sure = chosen.candidate.kind == "handed" or named or chosen.explained >= 3
        if not sure:
            return "cannot tell", f"nothing says that {chosen.candidate.text} is the loss"
        return "wrong", ""
    own = [g for g in gradients if g.path in made] or gradients  # what the code itself has made
    if right and not all_of_it and not any(g in right for g in own):
        return "cannot tell", f"nothing is the gradient at {own[0].name}"
    enough = all_of_it or chosen.explained >= 0.25 * chosen.of or all(g in right for g in own)
    if right and enough:
        return "right", ""
    if right:
        return "cannot tell", "little of the backward is the gradient of anything in the forward"
    return "cannot tell", "no gradient of an array that the example starts from was found"


CLIP = re.compile(r"(\bclip\([\w.\[\]]+, *)-(\d[\d.e]*), *\2(?=[,)])")
"""A clip of a name at bounds like -5 and 5."""

WIDE = 20  # clips at bounds from here up keep an exponential finite


def otherwise(source: Source, program: Program, judged: Judged) -> Iterator[tuple[Source, bool]]:
    """Yield a file as it may be meant: without small constants; where it is wrong, without clips."""
    guards = [True, False][: 1 + any(file.guarded for file in program.files.values())]
    yield from ((source, one) for one in guards[1:] if judged.verdict != "right")
    if judged.verdict == "wrong" and (text := CLIP.sub(r"\1-1e30, 1e30", source.text)) != source.text:
        notes = (*source.notes, "gradients are judged as if none were clipped")
        yield from ((replace(source.replaced(text), notes=notes), one) for one in guards)


def is_right(chosen: Chosen, program: Program, seed: int) -> bool:
    """Return whether no gradient is wrong under a loss in another program."""
    with contextlib.suppress(LookupError, ExampleError):
        return not again(chosen, program, seed).wrong
    return False


def wrong_at(found: Adjoints, chosen: Chosen, seed: int, seconds: float) -> list[tuple[int, Judged]]:
    """Return at which points gradients are wrong; none where these are few of many: a kink was too near.

    Where numbers are compared there are many: a mask may be right at one point, and wrong at others.
    """
    statements = found.point.case.program.table.statements
    trees = (statements[k].tree for k in {one.statement for one in found.record.executions})
    values = (ast.unparse(tree.value) for tree in trees if isinstance(tree, ast.Assign | ast.AugAssign))
    bends, until = any(re.search(r"[<>]|maximum|where", text) for text in values), time.monotonic() + seconds
    tried, wrong = 0, list[tuple[int, Judged]]()
    while tried < (15 if bends else 1) and (not tried or time.monotonic() < until):
        judged = again(chosen, found.point.case.program, seed + tried)
        wrong += [(seed + tried, judged)] if judged.wrong else []
        tried += 1
    return wrong if 5 * len(wrong) > tried else []


def held_back(found: Adjoints) -> str:
    """Return which wide clip of the forward, as ``clip(y, -100, 100)``, is at its bound: it guards an exp."""
    for seen in found.seen():
        tree = found.point.case.program.table.nodes[seen.node].tree
        match tree:
            case ast.Call(ast.Attribute(attr="clip"), [*_, ast.Constant(float() | int() as high)]):
                if high >= WIDE and np.abs(seen.numbers).max() >= high:
                    return f"`{ast.unparse(tree)}` of line {tree.lineno} holds numbers at its bound"
    return ""
