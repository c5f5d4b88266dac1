"""The places of a backward where a number can be put right, and the adjoints that may belong there."""

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from bptt.checking.adjoints.choice import Chosen, backward
from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.taps.instrument import Statement, Table
from bptt.checking.taps.program import EXAMPLE, Hooks
from bptt.checking.taps.values import bump, flat, shape
from bptt.checking.taps.values import put as written
from bptt.types import Array


@dataclass(frozen=True, slots=True)
class Time:
    """One evaluation of a unit: its how-maniest, in which of its statement; what it gave, and when."""

    count: int
    within: int
    numbers: Array
    when: int
    shape: tuple[int, ...]
    like: tuple[int, ...] = ()  # of what an ``+=`` adds to, or ``*=`` scales
    made: Array | None = None  # what a ``*=`` leaves
    execution: int = -1  # of its statement

    @property
    def size(self) -> int:
        """How many numbers it must give."""
        return int(np.prod(self.like)) if self.like else self.numbers.size

    @property
    def gives(self) -> Array:
        """What is compared with gradients: its value, or what its statement makes of another."""
        return self.numbers if self.made is None else self.made


@dataclass(eq=False)
class Unit:
    """An expression of a backward: the value of a statement, or a part of it."""

    tree: ast.expr
    statement: Statement
    number: int  # of the statement, or of the tapped expression
    tapped: bool
    inside: int  # the number of the statement
    times: list[Time] = field(default_factory=list)  # its evaluations that belong to no forward pass

    @property
    def adds(self) -> bool:
        """Whether it is what a statement adds to something, or takes from it."""
        return not self.tapped and isinstance(self.statement.tree, ast.AugAssign) and not self.scales

    @property
    def scales(self) -> bool:
        """Whether it is what a statement multiplies something by, or divides it by."""
        tree = self.statement.tree
        return not self.tapped and isinstance(tree, ast.AugAssign) and isinstance(tree.op, ast.Mult | ast.Div)

    @property
    def sign(self) -> float:
        """Minus one where it is taken from something."""
        return -1.0 if self.adds and isinstance(self.statement.tree.op, ast.Sub) else 1.0  # type: ignore[attr-defined]


def units(found: Adjoints, chosen: Chosen) -> list[Unit]:
    """Return the places of a backward, in the order in which they are first evaluated."""
    record, table = found.record, found.point.case.program.table
    numbers = {one.number for one in backward(found, chosen.forward)}
    out: dict[tuple[bool, int], Unit] = {}
    counts: dict[int, int] = {}
    within: list[int] = []  # how often the statement of each execution had been executed before
    for one in record.executions:
        count = counts[one.statement] = counts.get(one.statement, -1) + 1
        within.append(count)
        statement = table.statements[one.statement]
        tree = getattr(statement.tree, "value", None)
        values = [(v, n) for v, n in one.results if n is not None]
        if one.number not in numbers or statement.file == EXAMPLE or tree is None or not values:
            continue
        if flat(one.value) is None:
            continue
        value, entries = values[0]
        like = shape(one.changed[0][0]) if one.changed else ()
        unit = Unit(tree, statement, one.statement, False, one.statement)
        op = getattr(statement.tree, "op", None) if unit.adds else None
        if not isinstance(op, ast.Add | ast.Sub | None) or (unit.scales and not like):
            continue
        made = one.changed[0][1] if unit.scales else None
        size, end = shape(value, entries.size), record.ends[one.number]
        at = Time(count, count, entries, end, size, like, made, one.number)
        out.setdefault((False, one.statement), unit).times.append(at)
    members = {n for statement in table.statements for n in parts(statement.tree)}
    for when, seen in enumerate(record.taps):
        node = table.nodes[seen.node]
        if seen.execution in numbers and id(node.tree) in members and node.file != EXAMPLE:
            like = shape(seen.value, seen.numbers.size)
            at = Time(seen.use, within[seen.execution], seen.numbers, when, like, execution=seen.execution)
            out.setdefault((True, seen.node), tapped(table, seen.node)).times.append(at)
    return sorted(out.values(), key=lambda unit: unit.times[0].when)


def tapped(table: Table, k: int) -> Unit:
    """Return a tapped expression as a place."""
    node = table.nodes[k]
    return Unit(node.tree, table.statements[node.statement], k, True, node.statement)


def parts(statement: ast.stmt) -> Iterator[int]:
    """Yield the expressions that are handed over as they are: members of displays, arguments of calls."""
    value = getattr(statement, "value", None)
    waiting: list[ast.AST] = [value] if value is not None else []
    while waiting:
        node = waiting.pop()
        inner: list[ast.AST] = []
        if isinstance(node, ast.Tuple | ast.List):
            inner = list(node.elts)
        elif isinstance(node, ast.Dict):
            inner = list(node.values)
        elif isinstance(node, ast.Call):
            inner = [*node.args, *(k.value for k in node.keywords)]
        yield from (id(one) for one in inner)
        waiting += inner


Targets = Mapping[int, Array]  # what a unit must give at some of its evaluations
Own: TypeAlias = dict["Unit", list[Array | None]]  # what it gives then by itself


def noise(unit: Unit) -> Targets:
    """Return what a unit gives, and something random with it."""
    rng = np.random.default_rng(0)
    return {at.count: at.gives + rng.normal(size=at.gives.size) for at in unit.times}


def overriding(given: Mapping[Unit, Targets], hooks: Hooks | None = None, own: Own | None = None) -> Hooks:
    """Return hooks with which units give what they must; to `own` goes what they give by themselves."""
    hooks, own = hooks or Hooks(), {} if own is None else own
    statements = {u.number: (u, t) for u, t in given.items() if not (u.tapped or u.scales)}
    scaled = {u.number: t for u, t in given.items() if u.scales}
    units_of = {u.number: u for u in given if u.scales}
    nodes = {u.number: (u, t) for u, t in given.items() if u.tapped}
    counts: dict[tuple[bool, int], int] = {}

    def put(j: int, value: Any) -> Any:
        value = hooks.put(j, value)
        return _given(statements[j], counts, value, own) if j in statements else value

    def tap(k: int, value: Any) -> Any:
        value = hooks.tap(k, value)
        if k not in nodes or flat(value) is None:
            return value
        return _given(nodes[k], counts, value, own)

    def post(j: int, value: Any) -> None:
        if j in scaled:
            count = counts[False, j] = counts.get((False, j), -1) + 1
            if count in scaled[j]:
                own.setdefault(units_of[j], []).append(np.array(flat(value)))  # it is changed
                written(value, scaled[j][count])
        hooks.post(j, value)

    changes: dict[str, Any] = {"put": put} if statements else {}
    changes |= {"tap": tap} if nodes else {}
    return replace(hooks, **changes | ({"post": post} if scaled else {}))


def _given(one: tuple[Unit, Targets], counts: dict[tuple[bool, int], int], value: Any, own: Own) -> Any:
    unit, targets = one
    key = unit.tapped, unit.number
    count = counts[key] = counts.get(key, -1) + 1
    if count not in targets:
        return value
    numbers, now = targets[count], flat(value)
    assert now is not None
    if now.size != numbers.size:  # what an `+=` adds may be broadcast
        like = next(t.like for t in unit.times if t.count == count)
        own.setdefault(unit, []).append(np.broadcast_to(np.asarray(value), like).reshape(-1))
        return numbers.reshape(like)
    own.setdefault(unit, []).append(now)
    return bump(value, numbers - now)


@dataclass(eq=False)
class Family:
    """The adjoints of an expression of the forward, in the order of time; None: the loss is without it."""

    rows: Sequence[Row | None]
    executions: Sequence[set[int]]  # by row those of the statements in which it is

    @property
    def size(self) -> int:
        """How many numbers each has."""
        return next(row.size for row in self.rows if row is not None)


def families(found: Adjoints, chosen: Chosen) -> Iterator[Family]:
    """Yield the adjoints of each expression of the forward, called from one place."""
    single = {(row.number, row.use): row for row in chosen.rows.rows if row.kind in ("value", "use")}
    where = {(seen.node, seen.use): seen.execution for seen in found.seen()}
    groups: dict[tuple[Any, ...], list[tuple[Row | None, set[int]]]] = {}
    for seen in found.seen():
        row, record = single.get((seen.node, seen.use)), found.record
        calls = (record.executions[at].statement for at in record.callers(seen.execution))
        groups.setdefault((seen.node, *calls), []).append((row, {seen.execution}))
        groups.setdefault((seen.node, "called from anywhere"), []).append((row, {seen.execution}))
    for row in sorted(chosen.rows.rows, key=lambda row: row.use):
        nodes, own = sorted(node for node, _ in row.parts), {where[at] for at in row.parts if at in where}
        if row.kind == "total":  # before what is the same number: it has a name
            yield Family([row], [own])
        elif row.kind == "sum":
            groups.setdefault((row.kind, row.number), []).append((row, own))
        elif row.kind == "part" and len({*nodes}) == len(nodes) > 1:  # some of the places that read it
            groups.setdefault((row.kind, *nodes), []).append((row, own))
    for some in {tuple(id(row) for row, _ in one): one for one in groups.values()}.values():
        rows = [row for row, _ in some if row is not None]
        if rows:
            yield Family(rows, [own for row, own in some if row is not None])
        if rows and len(rows) < len(some):
            yield Family(*zip(*some, strict=True))
        sizes = {row.size for row in rows}
        if len(rows) > 1 and rows[0].kind == "use" and len(sizes) == 1:  # what adds them up, in either order
            yield Family([*_added(rows[::-1])][::-1], [])
            yield Family([*_added(rows)], [])


def _added(family: Sequence[Row]) -> Iterator[Row]:
    """Yield the sums of the first one, two, three adjoints."""
    for n in range(1, len(family) + 1):
        some, total = family[:n], np.sum([row.sketch for row in family[:n]], axis=0)
        parts = tuple(at for row in some for at in row.parts)
        more = "" if n == 1 else f", over {n} of its uses"
        yield replace(family[0], kind="part", sketch=total, more=more, parts=parts)


def aligned(order: Sequence[Row | None], count: int) -> Iterator[tuple[Row | None, ...]]:
    """Yield the times of an expression beside a unit's evaluations."""
    if len(order) == count:
        yield tuple(order)
    elif len(order) == count - 1:
        yield (*order, None)
        yield (None, *order)
    elif len(order) == count + 1:
        yield tuple(order[1:])
        yield tuple(order[:-1])
    elif len(order) < count:
        yield (*order, *itertools.repeat(None, count - len(order)))
    elif len(order) % count == 0 and len(order) // count <= 4:
        per = len(order) // count
        for offset in range(per):
            yield tuple(order[offset::per])
