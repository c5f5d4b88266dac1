"""One step with its products: what a page prints and what a student's module runs.

A :class:`~bptt.derive.backward.Derivation` holds the arithmetic of one hidden unit. Here stand around it the
products with W and U, the gradient at the output, the carry to the step before, and the sums over time.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Add, Integer, Symbol, preorder_traversal

from bptt.derive.algebra import Expr, function, names_in, product_of, replaced, sum_of
from bptt.derive.backward import Derivation, Line
from bptt.derive.equations import Equations
from bptt.derive.names import unlike


@dataclass(frozen=True)
class Whole:
    """A step with its products, and the sums over time."""

    derivation: Derivation

    @property
    def equations(self) -> Equations:
        """The cell's."""
        return self.derivation.equations

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """What is called here for what the equations have no name, each unlike all of theirs.

        By kind and gate: ``("W", "a_i")``; ``("x", "")`` is the input, ``("y", "")`` the output in ``dy``.
        """
        eq = self.equations
        taken = {*eq.names, *(f"d{n}" for n in eq.names), *(f"d{s}_next" for s in eq.states)}
        names = {}
        kinds = [("W", "ax"), ("U", "au"), ("b", "ax" if eq.bias else "")]
        gates = [(kind, g) for g in eq.gates for kind, prefixes in kinds if g[0] in prefixes]
        for kind, gate in [("x", ""), ("y", ""), *gates]:
            wanted = f"{kind}_{gate[2:]}" if gate else kind
            if gate and next(g for k, g in gates if k == kind and g[2:] == gate[2:]) != gate:
                wanted = f"{kind}_{gate}"  # of u_i, where a_i has a U, it is U_u_i
            names[kind, gate] = wanted = unlike(wanted, taken)
            taken |= {wanted, f"d{wanted}"}
        return names

    @property
    def x(self) -> str:
        """What the input is called: x, where the cell has no x of its own."""
        return self.names["x", ""]

    @property
    def out(self) -> str:
        """What the gradient is called that the loss of this step passes to the output: dy."""
        return f"d{self.names['y', '']}"

    @cached_property
    def shapes(self) -> dict[str, tuple[str, ...]]:
        """Each parameter's name and shape."""
        of = {"W": ("D", "H"), "U": ("H", "H"), "b": ("H",)}
        matrices = {name: of[kind] for (kind, gate), name in self.names.items() if gate}
        eq = self.equations
        return matrices | {n: ("1",) if n in eq.scalars else ("H",) for n in eq.params}

    def columns(self, kind: str) -> list[str]:
        """Return the names of the gates' parts of a layer's W, U or b, in the order of its columns."""
        gates = [g for k, g in self.names if k == kind and g]
        gates.sort(key=lambda g: kind == "U" and g in self.equations.operand)  # these stand last in U
        return [self.names[kind, g] for g in gates]

    def joined(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Return a layer's W, U, b, such as there are, and the units' own, by their names here."""
        layer = {k: [arrays[n] for n in self.columns(k)] for k in "WUb" if self.columns(k)}
        joined = {k: np.concatenate(parts, axis=-1) for k, parts in layer.items()}
        return joined | {n: arrays[n] for n in self.equations.params}

    def parted(self, layer: Mapping[str, Any]) -> dict[str, Any]:
        """Return what :meth:`joined` was given."""
        arrays = {n: layer[n] for n in self.equations.params}
        for kind in layer.keys() - arrays.keys():
            names = self.columns(kind)
            arrays |= dict(zip(names, np.split(layer[kind], len(names), axis=-1), strict=True))
        return arrays

    def symbols(self, text: str) -> str:
        """Return words with the page's own t, T, N, D, H, unlike the cell's names: T_ beside a T."""
        taken = {*self.equations.names, *self.shapes}

        def free(found: re.Match[str]) -> str:
            name = found[0]
            while name in taken:
                name += "_"
            return name

        return re.sub(r"\b[tTNDH]\b", free, text)

    @property
    def h(self) -> str:
        """The output's name."""
        return self.equations.states[0]

    def matrix(self, kind: str, gate: str) -> Expr:
        """Return the name of a gate's W, U or b, as W_i for a_i."""
        return Symbol(self.names.get((kind, gate), f"{kind}_{gate[2:]}"))

    def source(self, gate: str) -> Expr:
        """Return what a gate's recurrent product takes."""
        return Symbol(self.equations.operand.get(gate, f"{self.h}_prev"))

    def _parts(self, gate: str, like: str) -> list[tuple[Expr, Expr | None]]:
        """Return a gate's W, U and b, each with what it is multiplied by: the bias with nothing."""
        parts: list[tuple[Expr, Expr | None]] = []
        if like[0] in "ax":
            parts.append((self.matrix("W", gate), Symbol(self.x)))
        if like[0] in "au":
            parts.append((self.matrix("U", gate), self.source(like)))
        if like[0] in "ax" and self.equations.bias:
            parts.append((self.matrix("b", gate), None))
        return parts

    def gate(self, gate: str, like: str | None = None) -> Line:
        """Return what a gate is made of; of its name alone if it is `like` another."""
        affine, parts = function("affine"), self._parts(gate, like or gate)
        return Line(gate, sum_of([affine(by, array) if by else array for array, by in parts]), ())

    def sums(self, gate: str, like: str | None = None) -> list[Line]:
        """Return the sums over time and rows for a gate's W, U and b."""
        outer, total, da = function("outer"), function("total"), Symbol(f"d{gate}")
        parts = self._parts(gate, like or gate)
        return [Line(f"d{array}", total(outer(by, da) if by else da), ()) for array, by in parts]

    @cached_property
    def of_units(self) -> tuple[Line, ...]:
        """What one step and row adds to the gradients at the units' own parameters."""
        return tuple(line for line in self._lines if line.name[1:] in self.equations.params)

    @cached_property
    def carried(self) -> tuple[str, ...]:
        """The states at which a gradient comes back from the step after: those that a step reads."""
        made = {line.name for line in (*self.backward, *self.products)}
        return tuple(s for s in self.equations.states if f"d{s}_prev" in made)

    @cached_property
    def last(self) -> tuple[Line, ...]:
        """The lines that are others at the last step, where nothing comes from a step after."""
        zeros: set[Expr] = {Symbol(f"d{s}_next") for s in self.equations.states}
        lines = []
        for line in (*self.backward, *self.products):
            expr = _without(line.expr, zeros)
            if expr == 0:
                zeros.add(Symbol(line.name))
            if expr != line.expr:
                lines.append(Line(line.name, expr, line.numbers))
        return tuple(lines)

    @cached_property
    def backward(self) -> tuple[Line, ...]:
        """The step, from dy and what comes back, to the gates and the states before."""
        d, eq = self.derivation, self.equations
        lines = list(self._lines)
        for s in eq.states[1:]:  # a state that nothing of the same step reads
            if d.step.seeds[s] == f"d{s}" and f"d{s}" in names_in(line.expr for line in self._lines):
                lines.insert(0, Line(f"d{s}", Symbol(f"d{s}_next"), ()))
        if f"d{self.h}" not in {line.name for line in lines}:
            lines.insert(0, Line(f"d{self.h}", self._at_output, ()))
        # a gate that nothing of the loss reaches, as the condition of where(...)
        lines += [Line(f"d{g}", Integer(0), ()) for g in eq.gates if g not in d.step.gradients]
        skip = {line.name for line in self.of_units} | {f"d{self.h}_prev"}
        return tuple(line for line in lines if line.name not in skip)

    @cached_property
    def products(self) -> tuple[Line, ...]:
        """The gradients at the output before and at the input, through the products."""
        eq, product = self.equations, function("product")
        reached = [g for g in eq.gates if g in self.derivation.step.gradients]
        before = f"d{self.h}_prev"
        elementwise = next((line for line in self._lines if line.name == before), None)
        to_h = [
            product(Symbol(f"d{g}"), self.matrix("U", g))
            for g in reached
            if g[0] in "au" and g not in eq.operand
        ]
        to_x = [product(Symbol(f"d{g}"), self.matrix("W", g)) for g in reached if g[0] in "ax"]
        first = list(Add.make_args(elementwise.expr)) if elementwise else []
        numbers = elementwise.numbers if elementwise else ()
        lines = (Line(before, sum_of([*first, *to_h]), numbers), Line(f"d{self.x}", sum_of(to_x), ()))
        return lines if first or to_h else lines[1:]  # where no step reads h_prev there is nothing to say

    @cached_property
    def _lines(self) -> tuple[Line, ...]:
        """The step's lines, with the names that the matrices have here, and the output's gradient whole."""
        product, lines = function("product"), self.derivation.step.backward
        dh = f"d{self.h}"
        whole = self._at_output if dh in {line.name for line in lines} else Symbol(dh)
        at = {Symbol(self.derivation.step.seeds[self.h]): whole} | {
            product(Symbol(f"d{g}"), Symbol(f"U_{g[2:]}")): product(Symbol(f"d{g}"), self.matrix("U", g))
            for g in self.equations.operand
        }
        return tuple(self._named(Line(x.name, replaced(x.expr, at), x.numbers) for x in lines))

    def _named(self, lines: Iterable[Line]) -> list[Line]:
        """Return the lines with a name for each sum of many parts that they would repeat."""
        left = list(lines)
        letters = [c for c in "svwr" if not {c, f"d{c}"} & {*self.equations.names}]
        counts = Counter(e for x in left for e in _sums(x.expr))
        for expr, count in counts.items():
            if count >= _OFTEN and letters:
                at = next((k for k, x in enumerate(left) if expr in set(_sums(x.expr))), None)
                if at is None:
                    continue  # it was a part of one that has a name by now
                name = Symbol(letters.pop(0))
                left = [Line(x.name, replaced(x.expr, {expr: name}), x.numbers) for x in left]
                left.insert(at, Line(name.name, expr, ()))
        return left

    @property
    def _at_output(self) -> Expr:
        """The gradient at the output from outside of the step: dy + dh_next."""
        return sum_of([Symbol(self.out), Symbol(f"d{self.h}_next")])


_OFTEN, _LARGE = 3, 7


def _sums(e: Expr) -> Iterator[Expr]:
    """Yield sums inside an expression that are large, as often as they stand there."""
    for a in e.args:
        if a.is_Add and (len(a.args) > 2 or sum(1 for _ in preorder_traversal(a)) >= _LARGE):
            yield a
        yield from _sums(a)


def _without(e: Expr, zeros: Set[Expr]) -> Expr:
    """Return an expression without what is zero in it: a gradient is a factor wherever it stands."""
    if e.is_Add:
        left = [t for t in (_without(a, zeros) for a in e.args) if t != 0]
        return e if left == list(e.args) else sum_of(left)
    if e.is_Mul:
        factors = [_without(a, zeros) for a in e.args]
        if 0 in factors:
            return Integer(0)
        return e if factors == list(e.args) else product_of(factors)
    if type(e).__name__ == "product":
        return Integer(0) if e.args[0] in zeros else e
    return Integer(0) if e in zeros else e
