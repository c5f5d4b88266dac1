"""Which loss the backward is the gradient of: the one under which most of it is explained."""

import ast
from dataclasses import dataclass, field

import numpy as np

from bptt.checking.adjoints.point import Point
from bptt.checking.adjoints.record import Execution, sketch
from bptt.checking.adjoints.rows import Rows
from bptt.checking.adjoints.table import Adjoints, measure, results
from bptt.checking.adjoints.terms import LOSSLIKE, Candidate
from bptt.checking.taps.values import Path, shape
from bptt.types import Array


@dataclass(eq=False)
class Chosen:
    """The loss that is differentiated.

    Attributes
    ----------
    candidate : Candidate
    rows : Rows
        The adjoints under it.
    factor : float
        All gradients that the backward keeps are this times the loss's.
    forward : set of int
        Executions of statements on which the loss depends.
    explained : int
        Different results of the backward that are adjoints.
    """

    candidate: Candidate
    rows: Rows
    factor: float
    forward: set[int]
    explained: int
    of: int
    values: set[bytes] = field(default_factory=set)


def best(at: Point, *, seconds: float = 20.0) -> tuple[Adjoints, list[Chosen]]:
    """Measure the adjoints under the code's or the example's loss, or an implied one."""
    found = measure(at, seconds=seconds)
    chosen = choose(found)
    if chosen and chosen[0].explained >= 0.4 * chosen[0].of:
        return found, chosen
    other = measure(at, seconds=seconds, implied=True)
    more = choose(other)
    own = chosen and chosen[0].candidate.kind == "scalar" and LOSSLIKE.search(chosen[0].candidate.text)
    least = chosen[0].explained + (max(3, 0.3 * chosen[0].of) if own else 1) if chosen else -1
    if more and more[0].explained > least:
        return other, more
    return found, chosen


def choose(found: Adjoints) -> list[Chosen]:
    """Return the losses that may be meant, the best first; an empty list: nothing is differentiated."""
    out = [_weighed(found, candidate) for candidate in found.candidates]
    kinds = {"scalar": 2, "handed": 1, "implied": 0}

    def order(one: Chosen) -> tuple[float, ...]:
        named = one.candidate.kind != "scalar" or bool(LOSSLIKE.search(one.candidate.text))
        plain = one.factor == 1.0
        return (one.explained, plain, named, kinds[one.candidate.kind], -len(one.candidate.terms))

    return sorted((one for one in out if one.forward), key=order, reverse=True)


def _weighed(found: Adjoints, candidate: Candidate) -> Chosen:
    rows, matters = found.rows(candidate.terms), found.matters(candidate.terms)
    forward, values = set(), set()
    for seen in found.seen():
        if (seen.node, seen.use) in matters:
            forward.add(seen.execution)
            values.add(seen.numbers.tobytes())
    sketches: dict[tuple[int, bytes], Array] = {}
    for one in backward(found, forward):
        for _, numbers in results(one):
            if numbers.tobytes() not in values and np.abs(numbers).max() > 1e-9:
                sketches.setdefault((numbers.size, numbers.tobytes()), numbers)
    arrays = list(sketches.values())
    plain = [n for n in arrays if rows.explain(n)]
    chosen = Chosen(candidate, rows, 1.0, forward, _distinct(plain), len(arrays), values)
    factor = _factor(arrays, rows)
    if factor is not None:
        scaled = _distinct([n for n in arrays if rows.explain(n / factor)])
        totals = [
            {r.path for n in arrays for r in rows.explain(n / f) if r.kind == "total"} for f in (1.0, factor)
        ]
        rest, count = totals[0] - totals[1], len(totals[1])
        averaged = bool(rest and totals[1]) and _has_axis(found, rest, 1 / factor)
        more = (scaled > chosen.explained + 1 and count >= len(totals[0])) or count > max(len(totals[0]), 1)
        more = more and (count > 1 or any(abs(r - round(r)) < 1e-9 for r in (factor, 1 / factor)))
        of = sum(row.kind == "total" for row in rows.rows)
        if chosen.explained >= 3 and 2 * count < of:
            more = False  # it comes in on the way, and not for all: it is a fault
        if averaged or (more and not rest):
            chosen.factor, chosen.explained = factor, max(scaled, chosen.explained)
    return chosen


def _has_axis(found: Adjoints, paths: set[Path], size: float) -> bool:
    """Return whether arrays have an axis of a size: gradients at these are not averaged over it."""
    held = found.record.held[-1]
    return all(path in held and any(abs(n - size) < 1e-9 for n in shape(held[path])) for path in paths)


def _distinct(arrays: list[Array]) -> int:
    return len({(n.size, round(float(np.abs(n).sum()), 7)) for n in arrays})


def backward(found: Adjoints, forward: set[int]) -> list[Execution]:
    """Return the executions that the loss does not depend on, in order: among them is the backward."""
    nodes = {found.record.executions[i].statement for i in forward if i >= 0}
    return [
        one
        for one in found.record.executions
        if one.step >= found.point.start
        and one.number not in forward
        and not (one.statement in nodes and _same(one, found))
    ]


def _same(one: Execution, found: Adjoints) -> bool:
    """Return whether a statement without an array's result is meant: loops, tests."""
    tree = found.point.case.program.table.statements[one.statement].tree
    return isinstance(tree, ast.For | ast.While | ast.If | ast.With | ast.Try)


def _factor(arrays: list[Array], rows: Rows) -> float | None:
    """Return the number by which most of the backward differs from the adjoints."""
    ratios: dict[float, list[float]] = {}
    for numbers in arrays:
        if numbers.size < 3 or numbers.size not in rows.by_size:
            continue
        table, kinds = rows.by_size[numbers.size]
        s = sketch(numbers)
        size = np.abs(table).max(axis=1) * np.abs(s).max()
        parallel = np.abs(table[:, 0] * s[1] - table[:, 1] * s[0]) <= 1e-6 * size
        own = {i: s[1] / table[i, 1] for i in np.nonzero(parallel)[0] if kinds[i].whole and table[i, 1]}
        for name, ratio in {f"{r:.4g}": r for r in own.values()}.items():
            ratios.setdefault(float(name), []).append(float(ratio))
    for _, found in sorted(ratios.items(), key=lambda item: -len(item[1]))[:3]:
        ratio = float(np.median(found))
        if abs(ratio - 1) > 1e-5 and len(found) >= 2 and 1e-9 < abs(ratio) < 1e9:
            return _exact(ratio)
    return None


def _exact(ratio: float) -> float:
    """Return the number that is meant: 1/3 rather than 0.33333331."""
    for n in range(1, 400):
        for value in (n, 1 / n):
            if abs(abs(ratio) - value) < 1e-5 * value:
                return float(np.sign(ratio) * value)
    return ratio
