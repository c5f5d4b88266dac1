"""Statements that are missing: a carry that is never updated, a sum to which nothing is added."""

import ast
import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.locate.units import aligned
from bptt.checking.mend.edit import Change, Edit, Place, Text, compiled
from bptt.checking.mend.matching import HOLE, Instance, Matching, solved
from bptt.checking.mend.scope import Scope
from bptt.checking.taps.instrument import Statement
from bptt.checking.verdict.kept import Kept
from bptt.types import Array

Snapshots = Mapping[int, dict[str, Any]]  # what names stand for at each execution of a statement


def carries(
    place: Place, statement: Statement, times: Mapping[int, Instance], before: Snapshots
) -> Iterator[Edit]:
    """Yield statements for a loop's end, by which what the next step reads is what it must be.

    The place, in a statement within the loop, gives what is wrong; `times` are what it must give at each
    execution of that, `before` the names at the beginning of each step of the loop.
    """
    loop = statement.loops[-1]
    assert isinstance(loop, ast.For | ast.While)
    moving = (
        [n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)] if isinstance(loop, ast.For) else []
    )
    for node, needed, more in itertools.chain(_read(place, times), _unread(place, times)):
        off = [k for k, pair in needed.items() if not _alike(*pair)]
        if not off or 0 in off or any(k not in before for k in off):
            continue
        instances, sizes = [], []
        for k in off:
            now, wanted = needed[k]
            sizes.append(np.abs(wanted).max() / max(float(np.abs(now).max()), 1e-9))
            last = {name: times[k - 1].names.get(name) for name in moving if k - 1 in times}
            instances.append(Instance({**before[k], **last}, wanted.reshape(-1), wanted.shape))
        name, text = place.text.of(node), place.text
        given = [one for one in loop.body if isinstance(one, ast.Assign) and text.of(one.targets[0]) == name]
        given = [one for one in given if one.lineno > statement.tree.lineno]
        end = text.lines(loop.body[-1].lineno, loop.body[-1].end_lineno or 0)[1]
        break_ = "" if text.text[:end].endswith("\n") else "\n"
        line = f"{break_}{' ' * loop.body[0].col_offset}{name} = "
        if not given and max(sizes) < 1e-5:
            reason = f"`{name}` belongs to the first step that the loop takes alone"
            yield Edit((*more, (end, end, f"{line}0 * {name}\n")), reason, 1.5)
            continue
        at = replace(place, value=node)
        for edit in Matching(at, instances).edits()[:4]:
            said = at.edited(edit)
            change = end, end, f"{line}{said}\n"
            reason = f"`{name}` is never given to the next step"
            if given:  # what it is given there is wrong
                change = *text.span(given[-1].value), said
                reason = f"`{text.of(given[-1].value)}` stands where `{said}` belongs"
            yield Edit((*more, change), reason, 1.5 + len(more) + edit.cost / 10)


Needed: TypeAlias = dict[int, tuple[Array, Array]]
"""What a name holds at each execution, and what it must."""


def _read(place: Place, times: Mapping[int, Instance]) -> Iterator[tuple[ast.expr, Needed, tuple[()]]]:
    """Yield the names that an expression reads."""
    for node in ast.walk(place.value):
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            continue
        fixed = not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Constant)
        if fixed and isinstance(node.ctx, ast.Load):
            needed = {k: pair for k, one in times.items() if (pair := _needed(place, node, one))}
            if len(needed) == len(times):
                yield node, needed, ()


def _unread(place: Place, times: Mapping[int, Instance]) -> Iterator[tuple[ast.expr, Needed, tuple[Change]]]:
    """Yield names that are zero, and not read where they may have to be added."""
    said = place.text.of(place.value)
    needed = {}
    for k, one in times.items():
        with contextlib.suppress(Exception):
            now = np.asarray(eval(said, dict(one.names)), float)
            needed[k] = np.zeros(one.shape), one.wanted.reshape(one.shape) - now
    if len(needed) < len(times) or any(pair[0].shape != pair[1].shape for pair in needed.values()):
        return
    for node in ast.walk(place.function):
        if (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Store)
            and not re.search(rf"\b{node.id}\b", said)
        ):
            held = [one.names.get(node.id) for one in times.values()]
            if all(
                isinstance(v, np.ndarray) and v.shape == z.shape and not v.any()
                for v, (z, _) in zip(held, needed.values(), strict=True)
            ):
                change = *place.text.span(place.value), f"{said} + {node.id}"
                yield ast.copy_location(ast.Name(node.id, ast.Load()), node), needed, (change,)


def _needed(place: Place, node: ast.expr, one: Instance) -> tuple[Array, Array] | None:
    """Return what a name holds and what it must, where an expression is linear in it."""
    code = compiled(place.edited(Edit(((*place.text.span(node), f"({HOLE})"),), "", 0.0)))
    try:
        with np.errstate(all="ignore"):
            now = np.asarray(eval(place.text.of(node), dict(one.names)), float)
            now = now if now.ndim else np.full(one.shape, now)
            must = solved(lambda part: eval(code, {**one.names, HOLE: part}), now, one)
    except Exception:
        return None
    return None if must is None else (now, must)


def _alike(now: Array, wanted: Array) -> bool:
    return bool(np.allclose(now, wanted, rtol=1e-5, atol=1e-6 * float(np.abs(wanted).max()) + 1e-9))


def added(
    found: Adjoints,
    chosen: Chosen,
    total: Row,
    kept: Kept,
    text: Text,
    statement: Statement,
    names: Snapshots,
) -> Iterator[Edit]:
    """Yield statements that add to what is kept, which must be a gradient and lacks what no statement adds.

    They stand behind one that adds to another sum; `names` are those at its executions.
    """
    tree, terms = statement.tree, chosen.candidate.terms
    assert isinstance(tree, ast.AugAssign)
    place = Place(tree.value, statement.function or tree, text, chosen.values)
    scope = Scope(text, place.function, names[max(names)])
    alike = [part for part in scope.arrays if part.value.shape == kept.shape]
    zeros = [p.text for p in alike if not p.value.any() or np.array_equal(p.value.reshape(-1), kept.numbers)]
    end = text.lines(tree.lineno, tree.end_lineno or tree.lineno)[1]
    ways = [[found.at(terms, total) * chosen.factor - kept.numbers]] if not statement.loops else []
    for family in _uses(chosen, total) if statement.loops and zeros else ():
        for rows in itertools.chain(aligned(family[::-1], len(names)), aligned(family, len(names))):
            given = (np.zeros(total.size) if r is None else found.at(terms, r) * chosen.factor for r in rows)
            ways.append([*given])
    for wanted in ways if zeros else ():
        times = [
            Instance(names[k], w, kept.shape) for k, w in zip(sorted(names), wanted, strict=len(wanted) > 1)
        ]
        for edit, name in itertools.product(Matching(place, times, 1.0).edits()[:2], zeros):
            line = f"{' ' * tree.col_offset}{name} += {place.edited(edit)}\n"
            yield Edit(((end, end, line),), f"nothing is added to `{name}` here", 1.5 + edit.cost / 10)


def _uses(chosen: Chosen, total: Row) -> Iterator[list[Row]]:
    """Yield the adjoints of an array's single uses, in the order of time."""
    groups: dict[int, dict[int, Row]] = {}
    for row in chosen.rows.rows:
        if row.kind == "use" and row.size == total.size:
            groups.setdefault(row.number, {})[row.use] = row
    for group in groups.values():
        rows = [group[use] for use in sorted(group)]
        if np.allclose(np.sum([row.sketch for row in rows], axis=0), total.sketch, rtol=1e-5, atol=1e-8):
            yield rows
