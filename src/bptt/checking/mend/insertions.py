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
from bptt.checking.locate.search import Hypothesis
from bptt.checking.locate.units import aligned
from bptt.checking.mend.edit import Change, Edit, Place, Text, compiled
from bptt.checking.mend.matching import HOLE, Instance, Matching
from bptt.checking.taps.instrument import Statement
from bptt.checking.taps.values import flat
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
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            needed = {k: pair for k, one in times.items() if (pair := _solved(place, node, one))}
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


def _solved(place: Place, node: ast.expr, one: Instance) -> tuple[Array, Array] | None:
    """Return what a name holds and what it must, where an expression is linear in it, element by element."""
    code = compiled(place.edited(Edit(((*place.text.span(node), f"({HOLE})"),), "", 0.0)))
    wanted = one.wanted.reshape(one.shape)
    try:
        with np.errstate(all="ignore"):
            now = eval(place.text.of(node), dict(one.names))
            if flat(now) is None and not isinstance(now, int):
                return None
            zero, unit, two = (
                np.broadcast_to(eval(code, {**one.names, HOLE: np.full(one.shape, v)}), one.shape)
                for v in (0.0, 1.0, 2.0)
            )
            slope = unit - zero
            if np.abs(slope).min() < 1e-9 or not np.allclose(two - unit, slope):
                return None
            return np.broadcast_to(np.asarray(now, float), one.shape), (wanted - zero) / slope
    except Exception:
        return None


def _alike(now: Array, wanted: Array) -> bool:
    return bool(np.allclose(now, wanted, rtol=1e-5, atol=1e-6 * float(np.abs(wanted).max()) + 1e-9))


def added(
    found: Adjoints, chosen: Chosen, one: Hypothesis, text: Text, beside: Mapping[Statement, Snapshots]
) -> Iterator[Edit]:
    """Yield statements that add to what stays zero, beside those that add to other sums.

    `one` is where the zeros are made that must be a gradient; `beside` are statements that add something
    within a loop, each with the names at its executions.
    """
    name = _target(one.unit.statement.tree, one.unit.tree, text)
    if not name or not one.row.path or one.unit.times[0].numbers.any():
        return
    factor, terms = chosen.factor, chosen.candidate.terms
    for statement, names in beside.items():
        tree = statement.tree
        assert isinstance(tree, ast.AugAssign)
        place = Place(tree.value, statement.function or tree, text, chosen.values)
        for family in _uses(chosen, one.row):
            for order in (family[::-1], family):
                for rows in aligned(order, len(names)):
                    like = one.unit.times[0].shape
                    wanted = [
                        np.zeros(one.row.size) if row is None else found.at(terms, row) * factor
                        for row in rows
                    ]
                    times = [Instance(names[k], w, like) for k, w in zip(sorted(names), wanted, strict=True)]
                    for edit in Matching(place, times).edits()[:2]:
                        end = text.lines(tree.lineno, tree.end_lineno or tree.lineno)[1]
                        line = f"{' ' * tree.col_offset}{name} += {place.edited(edit)}\n"
                        yield Edit(((end, end, line),), f"nothing is added to `{name}`", 1.5 + edit.cost / 10)


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


def _target(statement: ast.stmt, value: ast.expr, text: Text) -> str:
    """Return the name that a statement gives to a value."""
    if not isinstance(statement, ast.Assign):
        return ""
    target = statement.targets[0]
    if statement.value is value:
        return text.of(target)
    if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
        pairs = zip(target.elts, statement.value.elts, strict=False)
        return next((text.of(t) for t, v in pairs if v is value), "")
    return ""
