"""One step with its products: what a page prints and what a student's module runs.

A :class:`~bptt.derive.backward.Derivation` holds the arithmetic of one hidden unit. Here stand around it the
products with W and U, the gradient at the output, the carry to the step before, and the sums over time.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
from sympy import Add, Integer, Symbol

from bptt.derive.algebra import Expr, function, names_in, replaced, sum_of
from bptt.derive.axes import PLACES, Axes, result
from bptt.derive.backward import Derivation, Line, meant
from bptt.derive.equations import Equations
from bptt.derive.names import unlike
from bptt.derive.plain import named, over_one, plain, without

Size = TypeVar("Size", int, str)


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
            if wanted != "x" or "x" not in eq.inputs:  # where equations read the input itself it is that x
                wanted = unlike(wanted, taken)
            names[kind, gate] = wanted
            taken |= {wanted, f"d{wanted}"}
        return names

    @cached_property
    def once(self) -> set[str]:
        """The values that parameters alone make, the same at every step."""
        eq = self.equations
        each = {*eq.gates, *eq.before, *eq.inputs, *eq.states, *eq.operands}
        return {s.name for s in eq.statements if each.isdisjoint((s.name, *eq.made_of(s.name)))}

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
        return self.sized("D", self.width, "1")

    def sized(self, D: Size, width: Callable[[str], Size], one: Size) -> dict[str, tuple[Size, ...]]:
        """Return each parameter's shape, of the size of the input and of a value's width."""
        shapes = dict[str, tuple[Size, ...]]()
        for (kind, gate), name in self.names.items():
            if gate:
                takes = D if kind == "W" else width(str(self.source(gate)))
                shapes[name] = (width(gate),) if kind == "b" else (takes, width(gate))
        eq = self.equations
        return shapes | {n: (one,) if n in eq.scalars else (width(n),) for n in eq.params}

    def width(self, name: str, J: str = "J", K: str = "K") -> str:
        """Return how many numbers a value has for each row, in letters or what else the sizes are called.

        Of a value with units and keys these are H K; of one with keys alone in two heads 2 K.
        """
        eq = self.equations
        axes = frozenset({"head", "unit"}) if eq.is_elementwise else eq.axes[name]
        K = (J if eq.heads > 1 else "H") if eq.keys is None else K
        heads = [f"{eq.heads}"] if "head" in axes and "unit" not in axes and eq.heads > 1 else []
        factors = [*(["H"] if "unit" in axes else heads), *([K] if "key" in axes else [])]
        if factors == [f"{eq.heads}", J]:
            factors = ["H"]
        return " * ".join(factors) or "1"

    def value_of(self, name: str) -> str:
        """Return of a value of the equations, or of a gradient at one, the value's name; else nothing."""
        return next((n for n in meant(name) if n in self.equations.axes), "")

    @cached_property
    def layer(self) -> dict[str, list[str]]:
        """The names of the gates' parts of each of a layer's matrices and of b, in their order there."""
        eq, found = self.equations, dict[str, list[str]]()
        first = [g for g in eq.gates if g not in eq.operand]
        ordered = [*first, *(g for fed in eq.operands.values() for g in fed)]
        for kind in "WUb":
            for gate in ordered if kind == "U" else eq.gates:
                if (kind, gate) in self.names:
                    q = eq.operand.get(gate, "")
                    own = kind == "U" and q and eq.axes[q] != eq.axes[self.h]
                    found.setdefault(f"U_{q}" if own else kind, []).append(self.names[kind, gate])
        return found

    def joined(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Return a layer's W, U, b, such as there are, and the units' own, by their names here."""
        joined = {k: np.concatenate([arrays[n] for n in names], axis=-1) for k, names in self.layer.items()}
        return joined | {n: arrays[n] for n in self.equations.params}

    def parted(self, layer: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
        """Return what :meth:`joined` was given, arrays of such sizes."""
        arrays = {n: layer[n] for n in self.equations.params}
        for kind, names in self.layer.items():
            ends = np.cumsum([like[n].shape[-1] for n in names])[:-1]
            arrays |= dict(zip(names, np.split(layer[kind], ends, axis=-1), strict=True))
        return arrays

    @cached_property
    def letters(self) -> dict[str, str]:
        """The indices of units, keys and heads, two of each, that no name of the cell's ends in."""
        names = {*self.equations.names, *self.shapes}
        free = [c for c in "jikluvrswyzbcdefgopqnma" if not any(n == c or n.endswith(f"_{c}") for n in names)]
        found = dict.fromkeys(PLACES, "")
        for axis, wished in (("unit", "j"), ("key", "kl"), ("unit", "i"), ("key", "l"), ("head", "m")):
            letter = next((c for c in (*wished, *free) if c in free), wished[0])
            found[axis] += letter
            free = [c for c in free if c != letter]
        for axis in ("unit", "key"):  # of sums in sums; the rest is for gates made alike
            letter = next((c for c in free if c in "yzuvwrs"), "")
            found[axis] += letter
            free = [c for c in free if c != letter]
        return found

    @cached_property
    def axes(self) -> dict[str, Axes]:
        """The axes of what a page names: a gradient has those alone along which its numbers differ."""
        return self._made[1]

    def axes_of(self, e: Expr) -> Axes:
        """Return the axes of an expression on the page."""
        if self.equations.is_elementwise:
            return frozenset()
        return self._of(e, self.axes)

    def _of(self, e: Expr, axes: Mapping[str, Axes]) -> Axes:
        if e.is_Symbol:
            return axes.get(e.name, frozenset())
        if type(e).__name__ == "product":  # the gradient at what the matrix was multiplied by
            kind, gate = next(at for at, name in self.names.items() if name == e.args[1].name)
            return axes.get(str(self.source(gate)) if kind == "U" else self.x, frozenset())
        return result(type(e).__name__, frozenset[str]().union(*(self._of(a, axes) for a in e.args)))

    @cached_property
    def sizes(self) -> dict[str, str]:
        """What the sizes of axes are called here: J units of a head, or H, and K keys."""
        eq = self.equations
        J = self.symbols("J" if eq.heads > 1 else "H")
        K = J if eq.keys is None else self.symbols("K")
        return {"size_unit": J, "size_key": K, "size_head": f"{eq.heads}"}

    def symbols(self, text: str) -> str:
        """Return words with the page's own t, T, N, D, H, J, K, unlike the cell's names: T_ beside a T."""
        taken = {*self.equations.names, *self.shapes}

        def free(found: re.Match[str]) -> str:
            name = found[0]
            while name in taken:
                name += "_"
            return name

        return re.sub(r"\b[tTNDHJK]\b", free, text)

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
            expr = without(line.expr, zeros)
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
        skip = {line.name for line in self.of_units} | {f"d{self.h}_prev", f"d{self.x}"}
        return tuple(line for line in lines if line.name not in skip)

    @cached_property
    def products(self) -> tuple[Line, ...]:
        """The gradients at the output before and at the input, through the products."""
        eq, product = self.equations, function("product")
        reached = [g for g in eq.gates if g in self.derivation.step.gradients]
        before, own = f"d{self.h}_prev", {line.name: line for line in self._lines}
        to_h = [
            product(Symbol(f"d{g}"), self.matrix("U", g))
            for g in reached
            if g[0] in "au" and g not in eq.operand
        ]
        to_x = [product(Symbol(f"d{g}"), self.matrix("W", g)) for g in reached if g[0] in "ax"]
        lines = []
        for name, through in {before: to_h, f"d{self.x}": to_x}.items():
            line = own.get(name)
            first = list(Add.make_args(line.expr)) if line else []
            lines.append(Line(name, sum_of([*first, *through]), line.numbers if line else ()))
        no_h = before not in own and not to_h
        return tuple(lines[1:] if no_h else lines)  # where no step reads h_prev there is nothing to say

    @property
    def _lines(self) -> tuple[Line, ...]:
        """The step's lines, with the names that the matrices have here, and the output's gradient whole."""
        return self._made[0]

    @cached_property
    def _made(self) -> tuple[tuple[Line, ...], dict[str, Axes]]:
        """The lines, and the axes of what is named."""
        product, lines = function("product"), self.derivation.step.backward
        dh = f"d{self.h}"
        whole = self._at_output if dh in {line.name for line in lines} else Symbol(dh)
        at = {Symbol(self.derivation.step.seeds[self.h]): whole} | {
            product(Symbol(f"d{g}"), Symbol(f"U_{g[2:]}")): product(Symbol(f"d{g}"), self.matrix("U", g))
            for g in self.equations.operand
        }
        made = [Line(x.name, over_one(replaced(x.expr, at)), x.numbers) for x in lines]
        if self.equations.is_elementwise:
            return tuple(named(made, {*self.equations.names})), {}
        whole_axes = self.derivation.axes | {self.out: self.equations.axes[self.h]}
        axes = dict(whole_axes)
        for k, x in enumerate(made):
            # in code a gradient has all axes of its value: what has so few stays within a sum
            expr = over_one(plain(x.expr, partial(self._of, axes=whole_axes), self.equations.heads))
            made[k], axes[x.name] = replace(x, expr=expr), self._of(expr, axes)
        lines = tuple(named(made, {*self.equations.names, *"".join(self.letters.values())}))
        return lines, axes | {x.name: self._of(x.expr, axes) for x in lines if x.name not in axes}

    @property
    def _at_output(self) -> Expr:
        """The gradient at the output from outside of the step: dy + dh_next."""
        return sum_of([Symbol(self.out), Symbol(f"d{self.h}_next")])
