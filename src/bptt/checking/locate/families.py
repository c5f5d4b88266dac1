"""The adjoints of one expression of the forward, time after time, beside a statement's evaluations."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import Adjoints


def families(found: Adjoints, chosen: Chosen) -> Iterator[Sequence[Row | None]]:
    """Yield the adjoints of each expression of the forward, called from one place, in the order of time.

    None: at this time the loss does not depend on it.
    """
    single = {(row.number, row.use): row for row in chosen.rows.rows if row.kind in ("value", "use")}
    groups: dict[tuple[Any, ...], list[Row | None]] = {}
    for seen in found.seen():
        row, record = single.get((seen.node, seen.use)), found.record
        calls = (record.executions[at].statement for at in record.callers(seen.execution))
        groups.setdefault((seen.node, *calls), []).append(row)
        groups.setdefault((seen.node, "called from anywhere"), []).append(row)
    for row in sorted(chosen.rows.rows, key=lambda row: row.use):
        if row.kind == "total":  # before what is the same number: it has a name
            yield [row]
        elif row.kind == "sum":
            groups.setdefault((row.kind, row.number), []).append(row)
    for family in {tuple(map(id, one)): one for one in groups.values()}.values():
        rows = [row for row in family if row is not None]
        yield from ((rows, family) if len(rows) < len(family) else (rows,)) if rows else ()
        if len(rows) > 1 and rows[0].kind == "use":  # what adds them up, in either order of time
            yield list(_added(rows[::-1]))[::-1]
            yield list(_added(rows))


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
