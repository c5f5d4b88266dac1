"""Which recorded vectors are the values of a cell's equations: a search by value.

Names get vectors one equation after the other, that with the fewest possibilities first. Then all that stands
around the equations must be a cell's: the states before, and what the gates are sums of. A forward with the
same arithmetic and another product besides is another cell.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from bptt.checking.cells.recording import FUNCTIONS, Group, Recording, Series
from bptt.derive import Equations

MOST, NODES = 500_000, 3_000
"""Combinations that are tried at once; equations that are tried one after the other."""

Bound = dict[str, Series]
"""The equations' names, and what they are. A pre-activation may be the sum with what is added to it."""


class Part(NamedTuple):
    """Of a gate's sum a matrix, from `start` on, times a factor, from the left or the right; or a bias."""

    gate: str
    parameter: Series
    start: int
    factor: Series | None = None
    left: bool = False


class Search:
    """A cell's equations in a group of a recording."""

    def __init__(self, equations: Equations, recording: Recording, group: Group) -> None:
        self.eq, self.recording, self.group = equations, recording, group
        self.equations = {s.name: s.expr for s in equations.statements}
        read = [n for s in equations.statements for n in s.reads]
        self.gate: dict[str, tuple[str, ast.expr, ast.expr | None]] = {}
        """Of y = f(a + ...) the gate a that is read nowhere else, f(whole), and what is added to the gate."""
        for name, expr in self.equations.items():
            match expr:
                case ast.Call(f, [ast.Name(a)]) if a in equations.gates and read.count(a) == 1:
                    self.gate[name] = a, ast.Call(f, [ast.Name("whole")], []), None
                case ast.Call(f, [ast.BinOp(ast.Name(a), ast.Add(), more)]) if a in equations.gates:
                    self.gate[name] = a, ast.Call(f, [ast.Name("whole")], []), more
        self._code = cache(_code)
        self._params = [s for s in group.series if len(s.wholes[0][0].blocks) == 1]
        self._nodes = 0

    def solutions(self) -> Iterator[tuple[Bound, list[Part]]]:
        """Yield a series for each name, and the gates' parts."""
        for bound in self._solve({}, list(self.equations)):
            yield from self._recurrent(bound)

    def _run(self, expr: ast.expr, values: Mapping[str, Any]) -> Any:
        return eval(self._code(expr), {"__builtins__": {}}, {**FUNCTIONS, **self.eq.constants, **values})

    def _candidates(self, name: str) -> list[Series]:
        return self._params if name in self.eq.params else self.group.series

    def _solve(self, bound: Bound, left: list[str]) -> Iterator[Bound]:
        self._nodes += 1
        if not left:
            yield bound
            return
        cost, name = min((self._cost(name, bound), name) for name in left)
        if cost <= MOST and self._nodes <= NODES:
            for more in self._activation(name, bound) if name in self.gate else self._equation(name, bound):
                if len({*more.values()}) == len(more):  # no two names have one value
                    yield from self._solve(more, [n for n in left if n != name])

    def _cost(self, name: str, bound: Bound) -> float:
        _, function, further = self.gate.get(name, ("", self.equations[name], None))
        free = {n for expr in (function, further) if expr for n in self._free(expr, bound)}
        chosen = _names(self.equations[name]) & {"max", "min", "where"}  # what is chosen fits much
        return float(np.prod([len(self._candidates(n)) for n in free])) * (10 if chosen else 1)

    def _free(self, expr: ast.expr, bound: Bound) -> list[str]:
        return sorted(_names(expr) - {*bound, *FUNCTIONS, *self.eq.constants})

    def _activation(self, name: str, bound: Bound) -> Iterator[Bound]:
        """Yield series for y = f(a + ...): y, a, and what the further term is made of."""
        gate, function, further = self.gate[name]
        for found, y in self._fits(function, bound):
            whole = found["whole"]
            if bound.get(name, y) is not y:
                continue
            if further is None:
                yield bound | {name: y, gate: whole}
            else:
                for more, term in self._fits(further, bound | {name: y}):
                    if term in self.group.summands(whole)[0]:
                        row = int(self.group.find((whole.flat - term.flat)[self.group.sample]))
                        yield more | {gate: self.group.series[row] if row >= 0 else whole}

    def _equation(self, name: str, bound: Bound) -> Iterator[Bound]:
        for more, series in self._fits(self.equations[name], bound):
            if more.setdefault(name, series) is series:
                yield more

    def _fits(self, expr: ast.expr, bound: Bound) -> Iterator[tuple[Bound, Series]]:
        """Yield series for the names of an expression that have none, and the series that it then is."""
        names, group = self._free(expr, bound), self.group
        options = [self._candidates(n) for n in names]
        grid = {n: s.flat[group.sample] for n, s in bound.items()}
        for k, (name, series) in enumerate(zip(names, options, strict=True)):
            shape = (*(len(series) if j == k else 1 for j in range(len(names))), len(group.sample))
            grid[name] = group.sampled[[group.row[s] for s in series]].reshape(shape)
        rows = np.asarray(group.find(self._run(expr, grid)))
        for at in np.argwhere(rows >= 0):
            more = bound | {n: series[k] for n, series, k in zip(names, options, at, strict=True)}
            if self._is_real(expr, more, int(rows[tuple(at)])):
                yield more, group.series[rows[tuple(at)]]

    def _is_real(self, expr: ast.expr, bound: Bound, row: int) -> bool:
        """Return whether an expression is a row, and depends on all that it is made of."""
        values = {n: s.flat for n, s in bound.items()}
        whole, used = self._run(expr, values), _names(expr) & {*values}
        others = (self._run(expr, values | {n: values[n] * 1.01 + 0.01}) for n in used)
        return self.group.is_row(whole, row) and not any(np.array_equal(o, whole) for o in others)

    def _recurrent(self, bound: Bound) -> Iterator[tuple[Bound, list[Part]]]:
        """Yield the series with the output before the step, and the parts, if gates are sums of these."""
        states, h = self.eq.states, f"{self.eq.states[0]}_prev"
        if all(bound[f"{s}_prev"].precedes(bound[s]) for s in states if f"{s}_prev" in bound):
            last = (s for s in self.group.series if s not in bound.values() and s.precedes(bound[states[0]]))
            for before in [bound[h]] if h in bound else last:
                whole = bound | {h: before}
                parts = [part for gate in self.eq.gates for part in self._parts(gate, whole)]
                if None not in parts:
                    yield whole, [p for p in parts if p]

    def _parts(self, gate: str, bound: Bound) -> Iterator[Part | None]:
        """Yield what a gate is the sum of; None for what is no part of such a sum, or if one lacks."""
        wanted, seen = bound[self.eq.operand.get(gate, f"{self.eq.states[0]}_prev")], gate[0] == "x"
        inner = {s for n, s in bound.items() if n not in (*self.eq.gates, *self.eq.params)}
        first = min(bound[y].place for y in (*self.gate, self.eq.states[0]))
        further = next((term for a, _, term in self.gate.values() if a == gate and term), None)
        own = self._run(further, {n: s.flat for n, s in bound.items()}) if further else None
        for leaf in self.group.summands(bound[gate])[1]:
            if own is not None and self.group.is_row(own, self.group.row[leaf]):
                continue
            found = self.recording.product(leaf)
            if found is None:
                yield Part(gate, *leaf.wholes[0]) if self.recording.given(leaf) else None
                continue
            z = found[2]
            here = gate[0] != "x" and z.holds(wanted)
            apart = self.recording.given(z) or (z.place < first and z.flat.size != wanted.flat.size)
            mixed = any(map(z.holds, inner - {wanted} if here else inner))
            yield Part(gate, *found) if not mixed and (here or (apart and gate[0] != "u")) else None
            seen |= here
        if not seen:
            yield None


@cache
def _names(expr: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(expr) if isinstance(n, ast.Name)}


def _code(expr: ast.expr) -> Any:
    return compile(ast.unparse(expr), "<equation>", "eval")
