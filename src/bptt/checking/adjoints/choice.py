"""Which loss the backward is the gradient of: the one under which most of it is explained."""

import ast
from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from bptt.checking.adjoints.point import Point
from bptt.checking.adjoints.record import Execution, sketch
from bptt.checking.adjoints.rows import Rows
from bptt.checking.adjoints.table import NONE, Adjoints, extend, follow, results, totals
from bptt.checking.adjoints.terms import LOSSLIKE, Candidate
from bptt.checking.taps.values import shape
from bptt.types import Array


@dataclass(eq=False)
class Chosen:
    """The loss that is differentiated."""

    candidate: Candidate
    rows: Rows  # the adjoints under it
    factor: float  # all gradients that the backward keeps are this times the loss's
    uses: set[tuple[int, int]]  # of nodes, on which the loss depends
    forward: set[int]  # executions of statements that these stand in
    explained: int  # different results of the backward that are adjoints
    of: int  # different results of the backward
    values: set[bytes] = field(default_factory=set)  # what the forward computes, as bytes
    unknown: set[bytes] = field(default_factory=set)  # before the loss is there, and not followed


def best(at: Point, *, seconds: float = 20.0, quick: bool = False) -> tuple[Adjoints, list[Chosen]]:
    """Measure the adjoints under the losses that may be meant, and say which is.

    One that the backward begins with is not taken before the code's own without much that speaks for it.
    Quick: where all that the code made has its gradient, the rest is not followed for long.
    """
    every = totals(at)
    few, own = leading(every), sum(path in every.arrays for path in at.made)
    is_done = quick and max((one.whole for one in few), default=0) >= max(own, 1)
    found = follow(every, few, seconds=seconds / 5 if is_done else seconds)
    return found, _preferred(found, choose(found))


def followed(found: Adjoints, seconds: float) -> list[Chosen]:
    """Measure the rest of what `best` has not followed, and say again which loss it is."""
    return _preferred(extend(found, seconds), choose(found))


def _preferred(found: Adjoints, chosen: list[Chosen]) -> list[Chosen]:
    first = next((one for one in chosen if one.candidate.kind != "implied"), None)
    if first is not None and chosen[0].candidate.kind == "implied":
        for other in (one for one in chosen if _is_own(one.candidate)):
            if _same_kind(found, other, chosen[0]):
                return [other, *(one for one in chosen if one is not other)]
        own = _is_own(first.candidate) and not chosen[0].candidate.whole > 1 + first.candidate.whole
        margin = max(3.0, 0.3 * first.of) if own else 1.0
        if first.explained >= 0.4 * first.of or chosen[0].explained <= first.explained + margin:
            chosen = [first, *(one for one in chosen if one is not first)]
    return chosen


def _same_kind(found: Adjoints, own: Chosen, implied: Chosen) -> bool:
    """Return whether the code's own loss is a cross-entropy, too, of the same probabilities.

    Then the labels, or the weights, with which the backward begins are no other loss: they are wrong.
    """
    terms, matters = own.candidate.terms, found.matters(own.candidate.terms)
    begun = next(term for n in implied.candidate.terms if (term := found.terms[n]).kind == "implied")
    seen = [one for one in found.seen() if one.node == begun.node and one.use < len(begun.of)]
    for p in (one.numbers for one in seen):
        uses = [one for one in found.seen() if one.numbers.tobytes() == p.tobytes()]
        entries = [
            found.entries(terms, p.size, at=at) for one in uses if (at := (one.node, one.use)) in matters
        ]
        # a row adds up to one, and has one label
        rows = round(float(p.sum()))
        if not any((g <= 1e-6).all() and 0 < (g < -1e-6).sum() <= rows < p.size for g in entries):
            return False
    return bool(seen)


def _is_own(candidate: Candidate) -> bool:
    return candidate.kind == "scalar" and bool(LOSSLIKE.search(candidate.text))


def leading(found: Adjoints) -> list[Candidate]:
    """Return the losses for most of whose gradients there is an array; all, where there is none for any."""
    produced = _produced(found)
    every = [replace(one, whole=_whole(found, one, produced)) for one in found.candidates]
    own = [one for one in every if _is_own(one)]
    some = [one for one in every if one.kind != "implied"] if any(one.whole for one in own) else every
    most = max((one.whole for one in some), default=0)
    return [one for one in some if one.whole == most or one in own]


def _produced(found: Adjoints) -> dict[int, Array]:
    """Return the sketches of all arrays and changes of arrays that a run computes, by their size."""
    point, record = found.point, found.record
    last, first = record.names[-1], record.names[point.start]
    arrays = [n for one in record.executions if one.step >= point.start for _, n in results(one)]
    arrays += last.values()
    arrays += [first[p] - last[p] for p in first if p in last and first[p].size == last[p].size]
    by_size: dict[int, dict[bytes, Array]] = {}
    for numbers in arrays:
        if numbers.size > 1:
            by_size.setdefault(numbers.size, {})[numbers.tobytes()] = sketch(numbers)
    return {size: np.array([*sketches.values()]) for size, sketches in by_size.items()}


def _whole(found: Adjoints, candidate: Candidate, produced: dict[int, Array]) -> int:
    """Return of how many arrays the gradient is there, as it is or times one factor."""
    point, terms, ratios = found.point, list(candidate.terms), Counter[str]()
    handed = [found.terms[n].weights for n in terms]
    base = max(1.0, abs(float(found.base[terms].sum())))
    for path, full in found.arrays.items():
        total, numbers = full[terms].sum(axis=0), found.record.names[-1][path]
        values = produced.get(numbers.size)
        own = path in point.given and any(w is not None and numbers.tobytes() in w.tobytes() for w in handed)
        if values is None or own or np.abs(total).max() <= NONE * base:
            continue
        ratios.update({f"{ratio:.4g}" for ratio in _multiples(values, total).values()})
    return max((n for ratio, n in ratios.items() if n > 1 or ratio in ("1", "-1")), default=0)


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
    given = {n.tobytes(): n for one in backward(found, forward) for _, n in results(one)}
    arrays = [n for key, n in given.items() if key not in values and np.abs(n).max() > 1e-9]
    plain = [n for n in arrays if rows.explain(n)]
    chosen = Chosen(candidate, rows, 1.0, matters, forward, _distinct(plain), len(arrays), values)
    chosen.unknown = {seen.numbers.tobytes() for seen in found.seen()[found.followed :]}
    factor = _factor(arrays, rows)
    if factor is not None:
        scaled = _distinct([n for n in arrays if rows.explain(n / factor)])
        explained = [[r for n in arrays for r in rows.explain(n / f)] for f in (1.0, factor)]
        totals = [{row.path for row in some if row.kind == "total"} for some in explained]
        rest, count = totals[0] - totals[1], len(totals[1])
        sizes = [shape(found.record.held[-1].get(path, 0.0)) for path in rest]
        over = [any(abs(n - 1 / factor) < 1e-9 for n in size) for size in sizes]
        averaged = bool(rest and totals[1]) and all(over)  # the rest is not, over an axis of that size
        more = (scaled > chosen.explained + 1 and count >= len(totals[0])) or count > max(len(totals[0]), 1)
        more = more and (count > 1 or any(abs(r - round(r)) < 1e-9 for r in (factor, 1 / factor)))
        more = more and (candidate.kind != "scalar" or _is_own(candidate) or _is_written(factor))
        of = sum(row.kind == "total" for row in rows.rows)
        if chosen.explained >= 3 and 2 * count < of:
            more = False  # it comes in on the way, and not for all: it is a fault
        if averaged or (more and count and not rest):
            chosen.factor, chosen.explained = factor, max(scaled, chosen.explained)
    return chosen


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


def _multiples(sketches: Array, of: Array) -> dict[int, float]:
    """Return which of some sketches are multiples of one, and by how much."""
    size = np.abs(sketches).max(axis=1) * np.abs(of).max()
    parallel = np.abs(sketches[:, 0] * of[1] - sketches[:, 1] * of[0]) <= 1e-6 * size
    return {int(i): float(sketches[i] @ of / (of @ of)) for i in np.nonzero(parallel & (size > 0))[0]}


def _factor(arrays: list[Array], rows: Rows) -> float | None:
    """Return the number by which most of the backward differs from the adjoints."""
    ratios: dict[float, list[float]] = {}
    for numbers in arrays:
        if numbers.size < 3 or numbers.size not in rows.by_size:
            continue
        table, kinds = rows.by_size[numbers.size]
        own = {i: 1 / r for i, r in _multiples(table, sketch(numbers)).items() if kinds[i].whole}
        for name, ratio in {f"{r:.4g}": r for r in own.values()}.items():
            ratios.setdefault(float(name), []).append(float(ratio))
    for _, found in sorted(ratios.items(), key=lambda item: -len(item[1]))[:3]:
        ratio = float(np.median(found))
        if abs(ratio - 1) > 1e-5 and len(found) >= 2 and 1e-9 < abs(ratio) < 1e9:
            exact = float(Fraction(ratio).limit_denominator(400))  # 1/3 rather than 0.33333331
            return exact if abs(exact - ratio) < 1e-5 * abs(ratio) else ratio
    return None


def _is_written(factor: float) -> bool:
    """Return whether somebody may have written a factor: few digits, divided by a size."""
    return any(abs(float(f"{factor * n:.3g}") - factor * n) < 1e-6 * abs(factor * n) for n in range(1, 20))
