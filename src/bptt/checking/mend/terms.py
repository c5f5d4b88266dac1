"""Sums of products of what is in scope that are a given array: for what no small edit of a text gives."""

import difflib
import itertools
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

import numpy as np

from bptt.checking.adjoints.record import directions
from bptt.checking.mend.scope import Part, Scope, spread
from bptt.types import Array

MOST = 160  # terms of which sums are made


class Table:
    """Arrays of one shape, found again by two products with fixed directions: texts, sketches, costs."""

    def __init__(self, entries: Iterable[tuple[str, Array, float]]) -> None:
        every = [*entries]
        self.texts, self.costs = [text for text, _, _ in every], [cost for *_, cost in every]
        self.sketches = np.array([sketch for _, sketch, _ in every]).reshape(-1, 2)
        self.order = np.argsort(self.sketches[:, 0])
        self.sorted = self.sketches[self.order, 0]

    def find(self, wanted: Array, slack: float) -> list[tuple[str, float]]:
        """Return the texts that have a sketch, and their costs."""
        low, high = np.searchsorted(self.sorted, (wanted[0] - slack, wanted[0] + slack))
        near = [int(i) for i in self.order[low:high] if abs(self.sketches[i, 1] - wanted[1]) <= slack]
        return [(self.texts[i], self.costs[i]) for i in near]


class Products:
    """Products of three and four: what is left after a division is looked for among products of two."""

    def __init__(self, shape: tuple[int, ...], scope: Scope) -> None:
        self.alike = [p for p in spread(scope.arrays, shape)[:40] if np.abs(p.value).min() > 1e-9]
        factors = [p for p in spread(scope.factors, shape) if p.cost < 2.2]
        self.table = _table(
            Part(f"{one.text} * {other.text}", one.value * other.value, one.cost + other.cost)
            for one, other in itertools.combinations([*self.alike, *factors], 2)
        )

    def find(self, wanted: Array, _: float) -> Iterator[tuple[str, float]]:
        """Yield the products that are an array, each with its cost."""
        for part in self.alike if wanted.any() else ():
            rest = wanted / part.value
            for text, cost in self.table.find(_sketch(rest), _slack(rest)):
                yield f"{part.text} * {text}", part.cost + cost


class Sums:
    """Sums of products of what is in scope at one place, found by the array that they must be.

    A term is likely a value of the forward pass, of which `forward` has the bytes, times a gradient.
    """

    def __init__(self, scope: Scope, forward: Collection[bytes]) -> None:
        self.scope, self.forward = scope, forward
        self._tables: dict[tuple[int, ...], tuple[Table, Table, Products]] = {}

    def of(self, shape: tuple[int, ...]) -> tuple[Table, Table, Products]:
        """Return the terms of a shape, the sums of two of the likely ones, and products of more."""
        if shape not in self._tables:
            table = _table(_terms(shape, self.scope, self.forward))
            texts, sketches, costs = table.texts, table.sketches, table.costs
            few = [i for i in np.argsort(costs, kind="stable") if costs[i] < 4][:MOST]
            two = Table(
                (f"{texts[i]} + {texts[j]}", sketches[i] + sketches[j], costs[i] + costs[j])
                for i, j in itertools.combinations(few, 2)
            )
            self._tables[shape] = table, two, Products(shape, self.scope)
        return self._tables[shape]

    def find(self, wanted: Array, here: Array, now: str, seconds: float) -> Iterator[tuple[str, str, float]]:
        """Yield texts that make an array of what `here` is: in its place (""), as a further term or factor.

        Each with its sign and a cost; `now` is the text of `here`. For so many seconds sums of three and four
        are tried, too.
        """
        table, two, products = self.of(wanted.shape)
        if not table.texts:
            return
        slices = _table(s for part in self.scope.arrays for s in _slices(part, wanted, self.scope))
        ways: list[tuple[Callable[[Array, float], Iterable[tuple[str, float]]], float]] = [
            (lambda numbers, slack: table.find(_sketch(numbers), slack), 1.0),
            (lambda numbers, slack: slices.find(_sketch(numbers), slack), 1.0),
            (lambda numbers, slack: two.find(_sketch(numbers), slack), 1.2),
            (products.find, 1.2),
        ]
        with np.errstate(all="ignore"):
            further = [("+", wanted - here, 0.0), ("-", here - wanted, 0.6), ("*", wanted / here, 0.0)]
        further = [one for one in further if here.any() and np.isfinite(one[1]).all()]
        for find, base in ways:
            for text, cost in find(wanted, _slack(wanted)):
                yield text, "", _likely(text, now, cost)
            for sign, numbers, more in further:
                for text, cost in find(numbers, _slack(numbers) if sign == "*" else _slack(wanted)):
                    if sign == "+" or " + " not in text:
                        yield text, sign, base + more + cost / 3
        found, until, need, slack = 0, time.process_time() + seconds, _sketch(wanted), _slack(wanted)
        for some in (table, two) if seconds else ():
            for i in np.argsort(some.costs, kind="stable")[: 40 * MOST]:
                if time.process_time() > until or found > 4:
                    return
                for rest, cost in two.find(need - some.sketches[i], slack):
                    text = f"{some.texts[i]} + {rest}"
                    if len(set(text.split(" + "))) == (3 if some is table else 4):
                        found += 1
                        yield text, "", _likely(text, now, some.costs[i] + cost)


def _likely(text: str, now: str, cost: float) -> float:
    """Return the cost of a text in another's place: the more alike, the less."""
    unlike = 1 - difflib.SequenceMatcher(None, now, text, False).ratio()
    return float(1.6 + cost / 3 + 1.2 * unlike)


def _slack(wanted: Array) -> float:
    slack: float = float(np.abs(wanted).max()) * 2e-6 * wanted.size**0.5 + 1e-9
    return slack


def _sketch(numbers: Array) -> Array:
    product: Array = directions(numbers.size) @ numbers.reshape(-1)
    return product


def _table(parts: Iterable[Part]) -> Table:
    """Return the table of some parts, of alike ones that of the least cost."""
    found = dict[tuple[float, ...], tuple[str, Array, float]]()
    for part in sorted(parts, key=lambda part: part.cost):
        sketch = _sketch(part.value)
        if np.isfinite(sketch).all() and part.value.any():
            found.setdefault(tuple(np.round(sketch, 9)), (part.text, sketch, part.cost))
    return Table(found.values())


def _terms(shape: tuple[int, ...], scope: Scope, forward: Collection[bytes]) -> Iterator[Part]:
    """Yield arrays of a shape: those in scope, products of two, and sums over an axis."""
    arrays = scope.arrays[:60]
    alike = spread(scope.arrays, shape)[:60]
    factors = [p for p in spread(scope.factors, shape) if not forward or p.of in forward]
    for part in (*arrays, *scope.factors):  # a row where a column is wanted
        value = part.value
        sizes = [[n for n in one if n > 1] for one in (value.shape, shape)]
        if value.shape != shape and value.ndim and sizes[0] == sizes[1]:
            axes: dict[tuple[int, ...], str] = {(n, 1): "-1, 1" for n in shape}
            axes |= {(1, n): "1, -1" for n in shape}
            text = f"{_atom(part.text)}.reshape({axes.get(tuple(shape), str(shape)[1:-1].strip(','))})"
            alike.append(Part(text, value.reshape(shape), part.cost + 0.6))

    def odd(*parts: Part) -> float:  # a term is one gradient, times what it likes
        return 3.0 * (bool(forward) and sum(one.value.tobytes() not in forward for one in parts) != 1)

    yield from (replace(part, cost=part.cost + odd(part)) for part in alike)
    yield from (replace(part, cost=part.cost + 3.0 * bool(forward)) for part in factors)
    for one, other in itertools.combinations(alike, 2):
        cost = one.cost + other.cost + odd(one, other)
        yield Part(f"{one.text} * {other.text}", one.value * other.value, cost)
    for one, other in itertools.product(alike, factors):
        cost = one.cost + other.cost + odd(one)
        yield Part(f"{one.text} * {other.text}", one.value * other.value, cost)
    for one, other in itertools.permutations(alike[:30], 2):
        yield Part(f"({one.text} - {other.text})", one.value - other.value, one.cost + other.cost + 0.2)
    longer = [p for p in arrays if p.value.ndim in (len(shape), len(shape) + 1) and p.value.shape != shape]
    for one, other in itertools.combinations(longer[:30], 2):
        if one.value.shape == other.value.shape:
            cost = one.cost + other.cost + odd(one, other)
            longer.append(Part(f"({one.text} * {other.text})", one.value * other.value, cost))
    for part in longer:
        keep = part.value.ndim == len(shape)
        for axis in range(part.value.ndim):
            if part.value.shape[axis] > 1 and (summed := part.value.sum(axis, keepdims=keep)).shape == shape:
                more = f"{axis}, keepdims=True" if keep else f"{axis}"
                yield Part(f"{part.text}.sum({more})", summed, part.cost + 0.5 + 0.2 * keep)
    if len(shape) == 2:
        for product, one, other in _matrices(shape, [p for p in arrays if p.value.ndim == 2], scope):
            yield Part(product.text, product.value, product.cost + odd(one, other))
        rows = [p for p in arrays if p.value.shape == shape[:1]]
        columns = [p for p in arrays if p.value.shape == shape[1:]]
        for one, other in itertools.product(rows, columns):
            outer = np.outer(one.value, other.value)
            yield Part(f"np.outer({one.text}, {other.text})", outer, one.cost + other.cost)
    elif len(shape) == 1:
        for matrix, vector in itertools.product(arrays, arrays):
            if matrix.value.ndim == 2 and vector.value.ndim == 1:
                cost = matrix.cost + vector.cost
                for text, value in ((matrix.text, matrix.value), (f"{matrix.text}.T", matrix.value.T)):
                    if value.shape == (*shape, vector.value.size):
                        yield Part(scope.product(text, vector.text), value @ vector.value, cost)


def _slices(part: Part, wanted: Array, scope: Scope) -> Iterator[Part]:
    """Yield a slice of an array along one axis that is what is wanted."""
    shape, value = wanted.shape, part.value
    longer = [n for n, (a, b) in enumerate(zip(value.shape, shape, strict=False)) if a != b]
    if value.ndim != len(shape) or len(longer) != 1:
        return
    axis = longer[0]
    size, slack = shape[axis], _slack(wanted)
    for start in range(value.shape[axis] - size + 1):
        piece = np.take(value, range(start, start + size), axis)
        if (np.abs(piece - wanted) <= slack).all():
            last = start + size == value.shape[axis]
            ends = [(start, start > 0), (start + size, not last)]
            low, high = (scope.sizes.get(n, str(n)) if is_told else "" for n, is_told in ends)
            index = ", ".join(":" if n != axis else f"{low}:{high}" for n in range(axis + 1))
            yield Part(f"{_atom(part.text)}[{index}]", piece, part.cost + 0.5)


def _atom(text: str) -> str:
    return text if re.fullmatch(r"[\w.\[\]]+|\(.*\)", text) else f"({text})"


def _matrices(shape: tuple[int, ...], arrays: list[Part], scope: Scope) -> Iterator[tuple[Part, Part, Part]]:
    turned = [(p, p.text, p.value) for p in arrays]
    turned += [(p, f"{p.text}.T", p.value.T) for p in arrays]
    left = [one for one in turned if one[2].shape[0] == shape[0]]
    right = [one for one in turned if one[2].shape[1] == shape[1]]
    for (a, first, x), (b, second, y) in itertools.product(left, right):
        if x.shape[1] == y.shape[0] and a is not b:
            yield Part(scope.product(first, second), x @ y, a.cost + b.cost), a, b
