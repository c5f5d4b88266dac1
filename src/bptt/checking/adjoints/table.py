"""The adjoint of every value of a forward pass, measured; and which of them a value of the backward is."""

import ast
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from bptt.checking.adjoints.losses import find
from bptt.checking.adjoints.point import Point, drawn
from bptt.checking.adjoints.record import Bump, E, Execution, Record, Seen, directions
from bptt.checking.adjoints.rows import Row, Rows, sums
from bptt.checking.adjoints.terms import Candidate, Meter, Term
from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.values import Path, identity
from bptt.types import Array

NONE = 1e-7  # derivatives below this part of the loss are none: what differences cannot tell from zero


MOST, SOME = 1000, 40
"""Entries of an array that are measured one by one, and of these, once more at twice the step."""


@dataclass(eq=False)
class Adjoints:
    """All adjoints of a program at a point."""

    point: Point
    record: Record
    terms: list[Term]
    meter: Meter
    base: Array
    # (terms, 2) by (node, use): of a value that matters, its adjoint's sketch
    uses: dict[tuple[int, int], Array] = field(default_factory=dict)
    arrays: dict[Path, Array] = field(default_factory=dict)  # the same, of what the program starts from
    complete: bool = True
    followed: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    full: dict[Any, Array] = field(default_factory=dict)
    # how far two measurements of its gradient's entries are apart
    doubts: dict[Path, Array] = field(default_factory=dict)

    def seen(self) -> list[Seen]:
        """Return the values that were seen before the loss was there."""
        return self.record.taps[self.start : self.end]

    @property
    def start(self) -> int:
        """How many values were seen before anything was computed."""
        return self.record.marks[self.point.start - 1] if self.point.start else 0

    @property
    def end(self) -> int:
        """How many values were seen when the loss was there."""
        return self.meter.end(self.record)

    def at(self, terms: tuple[int, ...], row: Row) -> Array:
        """Return the entries of a row's adjoint."""
        if row.path:
            return self.entries(terms, row.size, path=row.path)
        total: Array = np.sum([self.entries(terms, row.size, at=at) for at in row.parts], axis=0)
        return total

    def entries(
        self, terms: tuple[int, ...], size: int, *, at: tuple[int, int] = (-1, -1), path: Path = ()
    ) -> Array:
        """Return an adjoint's entries, measured one by one: of a use of a node, or of an array."""
        key = (terms, at, path)
        if key not in self.full:
            out, doubt, h = np.zeros(size), np.zeros(size), 1e-4 if path else E
            order = np.random.default_rng(size).permutation(min(size, MOST))
            for n, i in enumerate(order):
                by = np.zeros(size)
                by[i] = h
                out[i] = near = self._slope(terms, at, path, by) / h
                if not path or (n >= SOME and doubt.max() < 1e-6 * np.abs(out).max()):
                    continue  # a gradient that is judged is wanted to more digits, where there is a kink
                doubt[i] = near - self._slope(terms, at, path, 2 * by) / (2 * h)
            self.full[key], self.doubts[path] = out + doubt / 3, np.abs(doubt)
        return self.full[key]

    def along(self, terms: tuple[int, ...], direction: Array, path: Path) -> float:
        """Return the derivative of the loss where an array moves along a direction."""
        return self._slope(terms, (-1, -1), path, 1e-4 * direction) / 1e-4

    def _slope(self, terms: tuple[int, ...], at: tuple[int, int], path: Path, by: Array) -> float:
        """Return half of what the loss changes between two steps, forth and back."""
        ends = (self.moved(s, at=at, path=path) for s in (by, -by))
        forth, back = (float(one[list(terms)].sum()) for one in ends)
        return (forth - back) / 2

    def moved(self, by: Array, *, at: tuple[int, int], path: Path) -> Array:
        """Return the terms where the value of a use of a node, or an array, is changed."""
        return self.meter.measure(at, by, (Bump(path, self.point.after(path), by),) if path else ())

    def rows(self, terms: tuple[int, ...]) -> Rows:
        """Return the adjoints under the loss that is the sum of some terms."""
        return _rows(self, list(terms))

    def matters(self, terms: tuple[int, ...]) -> set[tuple[int, int]]:
        """Return the uses of nodes on which that loss depends."""
        base = max(1.0, abs(float(self.base[list(terms)].sum())))
        return {at for at, g in self.uses.items() if np.abs(g[list(terms)].sum(axis=0)).max() > NONE * base}


def totals(point: Point) -> Adjoints:
    """Measure the adjoints of the arrays that the program starts from, under every loss that may be meant."""
    plain = Meter(point.case, find(point, point.first)[0])
    base = plain.measure()
    if plain.terms:
        point.case = drawn(
            point, lambda bump: bool((np.abs(plain.measure(bumps=(bump,)) - base) > 1e-12).any())
        )
    record = point.case.record()
    terms, candidates = find(point, record)
    meter = Meter(point.case, terms)
    found = Adjoints(point, record, terms, meter, meter.measure(), candidates=candidates)
    found = _narrowed(found, [one for one in candidates if np.isfinite(found.base[list(one.terms)]).all()])
    for path in point.made | point.given if found.terms else ():
        size = record.names[-1][path].size if path in record.names[-1] else 0
        g = _adjoint(found, size, path=path) if size else None
        if g is not None:
            found.arrays[path] = g
    return found


def follow(totals: Adjoints, candidates: list[Candidate], *, seconds: float = 20.0) -> Adjoints:
    """Measure the adjoint of every value, too, under some of the losses, as far as the seconds of work go."""
    return extend(_narrowed(totals, candidates), seconds)


def extend(found: Adjoints, seconds: float) -> Adjoints:
    """Measure the adjoints of values that were not measured yet; return the same object."""
    end, seen = time.process_time() + seconds, found.seen() if found.terms else []
    while found.followed < len(seen) and time.process_time() < end:
        one = seen[found.followed]
        g = _adjoint(found, one.numbers.size, at=(one.node, one.use))
        if g is not None:
            found.uses[one.node, one.use] = g
        found.followed += 1
    found.complete = found.followed == len(seen)
    return found


def _narrowed(found: Adjoints, candidates: list[Candidate]) -> Adjoints:
    """Return the same with some of the losses only: a run ends once these are there."""
    kept = sorted({n for one in candidates for n in one.terms})
    terms, base = [found.terms[n] for n in kept], found.base[kept]
    candidates = [replace(one, terms=tuple(map(kept.index, one.terms))) for one in candidates]
    arrays = {path: g[kept] for path, g in found.arrays.items()}
    meter = Meter(found.point.case, terms)
    if terms:
        meter.measure()  # it counts what it reads
    return Adjoints(found.point, found.record, terms, meter, base, arrays=arrays, candidates=candidates)


def _adjoint(found: Adjoints, size: int, *, at: tuple[int, int] = (-1, -1), path: Path = ()) -> Array | None:
    """Return an adjoint's sketch for each term, shape (terms, 2); None where nothing depends on it."""
    floor = 2e-14 * np.maximum(1.0, np.abs(found.base))
    moved = partial(found.moved, at=at, path=path)
    if size == 1:  # one direction, and two steps: its adjoint is wanted to more digits
        h = 1e-3
        up = moved(np.array([h]))
        if (np.abs(up - found.base) <= floor).all():
            return None
        near = (up - moved(np.array([-h]))) / (2 * h)
        far = (moved(np.array([2 * h])) - moved(np.array([-2 * h]))) / (4 * h)
        g = (4 * near - far) / 3
        return np.stack([g, g], axis=1) if np.isfinite(g).all() else None
    first, second = directions(size)
    try:
        up = moved(E * first)
    except ExampleError:  # the code looks it up, as a label
        return None
    if (np.abs(up - found.base) <= floor).all():
        return None
    one = (up - moved(-E * first)) / (2 * E)
    two = (moved(E * second) - moved(-E * second)) / (2 * E)
    return np.stack([one, two], axis=1) if np.isfinite([one, two]).all() else None


def _rows(found: Adjoints, terms: list[int]) -> Rows:
    rows, nodes = Rows(), found.point.case.program.table.nodes
    base = max(1.0, abs(float(found.base[terms].sum())))
    shared: dict[tuple[Any, ...], list[tuple[Array, Seen]]] = {}
    for seen in found.seen():
        full = found.uses.get((seen.node, seen.use))
        if full is None:
            continue
        g = full[terms].sum(axis=0)
        if np.abs(g).max() <= NONE * base:
            continue
        node = nodes[seen.node]
        if isinstance(node.tree, ast.UnaryOp):
            continue  # a gradient with the wrong sign is none
        reads = isinstance(node.tree, ast.Name | ast.Attribute | ast.Subscript)
        more = "" if seen.use == 0 else f" (time {seen.use + 1})"
        kind, size, parts = "use" if reads else "value", seen.numbers.size, ((seen.node, seen.use),)
        rows.rows.append(Row(kind, size, g, node, seen.use, more, number=seen.node, parts=parts))
        if reads:
            where = (*identity(seen.value), size)  # a list may lie where a shorter one was
            shared.setdefault((where, seen.node), []).append((g, seen))
            if node.terminal:
                shared.setdefault((where,), []).append((g, seen))
    for key, uses in shared.items():
        rows.rows += sums(uses, nodes[uses[0][1].node], "sum" if len(key) == 1 else "part")
    for path, full in found.arrays.items():
        g = full[terms].sum(axis=0)
        if np.abs(g).max() > NONE * base:
            rows.rows.append(Row("total", _size(found, path), g, path=path))
    return rows.freeze()


def _size(found: Adjoints, path: Path) -> int:
    return int(found.record.names[-1][path].size)


def results(execution: Execution) -> list[tuple[Any, Array]]:
    """Return what a statement gave: the array as it is after it."""
    return execution.changed or execution.results
