"""What there is in one step in PyTorch, and what it is called: the arrays, their blocks, and their sizes."""

import builtins
import re
from collections.abc import Sequence

from sympy import Add, Symbol

from bptt.derive.algebra import Expr, sum_of
from bptt.derive.arrays import Arrays
from bptt.derive.axes import NUMBERS, UNIT
from bptt.derive.equations import Statement
from bptt.derive.names import unlike
from bptt.derive.torch_code import TorchCode
from bptt.derive.whole import Whole


class TorchNames:
    """The names and arrays of one step.

    Parameters
    ----------
    whole : Whole
    own : names
        What stands around the step: a cell's names that are alike get an underscore.

    Attributes
    ----------
    numbers : list of Statement
        What is made of constants alone and is no state: it stands outside of the functions.
    x, h : str
        The input, and the output before the step.
    inputs : list of str
        What is given at each step beside the input, by the names of the equations.
    before, states : list of str
        The states before and after the step.
    arrays : dict of str
        The parameters by name, each with its shape.
    incoming : list of str
        The gradients that autograd hands in, each of a state: dh, or dh_next where the step adds to it.
    """

    def __init__(self, whole: Whole, own: Sequence[str]) -> None:
        self.whole, self.reached = whole, whole.derivation.step
        self.eq = eq = whole.equations
        self.from_x = [g for g in eq.gates if g[0] in "ax"]
        self.from_h = [g for g in eq.gates if g[0] in "au" and g not in eq.operand]
        self.from_q = [g for fed in eq.operands.values() for g in fed]
        self.inputs = [n for n in eq.inputs if n != whole.x]
        self.numbers = self._numbers()
        self.fixed = {*eq.constants, *(s.name for s in self.numbers)}
        self._taken = {*own, *eq.names, *whole.names.values(), *(line.name for line in whole.backward)}
        self._taken |= {f"d{n}" for n in eq.names} | {f"d{s}_next" for s in eq.states}
        clash = [n for n in eq.names if n in own or (n in self.fixed and hasattr(builtins, n))]
        self._names = {n: self._new(f"{n}_") for n in clash}
        self.x, self.h = whole.x, self.called(f"{whole.h}_prev")
        self.before, self.states = ([self.called(s) for s in names] for names in (eq.before, eq.states))
        self.axes = Arrays(whole, self._taken)
        self.layer = {name: self._new(name) for name in dict.fromkeys(["W", "U", "b", *whole.layer])}
        self.W, self.U, self.b, self.H = (*(self.layer[n] for n in "WUb"), self._new("H"))
        self.arrays = self._shapes()
        self.given = [self.x, *self.at_steps, *self.before, *self.arrays]
        self.blocks = self._blocks()
        parts = [*(("x", g) for g in self.from_x), *(("u", g) for g in self.from_h)]
        self._part = {(k, g): g if g[0] == k else self._new(f"{k}{g[1:]}") for k, g in parts}
        self._together = self.from_x == self.from_h
        self.da_x = self._joint("da" if self._together else "da_x", self.from_x)
        self.da_h = self.da_x if self._together else self._joint("da_h", self.from_h)
        self.incoming = self._incoming()
        self._code = TorchCode(self.fixed, self._names, self.h, self.axes)
        self._back = TorchCode(self.fixed, self._names, self.incoming[0], self.axes)

    def called(self, name: str) -> str:
        """Return what a name of the equations, or of the page, is in the code."""
        return self._names.get(name, name)

    def constants(self) -> list[str]:
        """Return the lines that stand outside of the functions."""
        lines = [f"{self.called(n)} = {value!r}" for n, value in self.eq.constants.items()]
        return lines + [
            f"{self.called(s.name)} = {self._code.written(s)}  # ({s.number})" for s in self.numbers
        ]

    @property
    def at_steps(self) -> list[str]:
        """What is given at each step beside the input, as it is called."""
        return [*map(self.called, self.inputs)]

    def _new(self, name: str) -> str:
        name = unlike(name, self._taken)
        self._taken |= {name, f"d{name}"}
        return name

    def _joint(self, name: str, gates: Sequence[str]) -> str:
        return f"d{gates[0]}" if len(gates) == 1 else self._new(name)

    def _numbers(self) -> list[Statement]:
        moving, found = {*self.eq.columns, *self.eq.before, *NUMBERS}, []
        for s in self.reached.statements:
            if moving.isdisjoint(s.reads) and s.name not in (*self.eq.states, *self.eq.operands):
                found.append(s)
            else:
                moving.add(s.name)
        return found

    def width(self, name: str) -> str:
        """Return how many numbers a value has, in H and numbers."""
        eq = self.eq
        return self.whole.width(name, f"(H // {eq.heads})" if eq.heads > 1 else "H", f"{eq.keys}")

    def _widths(self, names: Sequence[str]) -> str:
        widths = [*map(self.width, names)]
        return _times(len(widths), "H") if {*widths} <= {"H"} else " + ".join(widths)

    def _shapes(self) -> dict[str, str]:
        arrays, gates = dict[str, str](), {name: g for (_, g), name in self.whole.names.items()}
        for array, parts in self.whole.layer.items():
            columns = self._widths([gates[n] for n in parts])
            takes = self.width(str(self.whole.source(gates[parts[0]]))) if array[0] == "U" else "D"
            arrays[self.layer[array]] = f"({columns},)" if array == "b" else f"({takes}, {columns})"
        one = {n: "1" if n in self.eq.scalars else self.width(n) for n in self.eq.params}
        return arrays | {self.called(n): f"({width},)" for n, width in one.items()}

    def _blocks(self) -> dict[str, dict[str, list[str]]]:
        """Return the blocks of U and its like, with their gates: for h_prev, and for each other product."""
        blocks: dict[str, dict[str, list[str]]] = {}
        if self.from_h:
            blocks["U"] = {self._new("U_h"): self.from_h}
        of = {name: array for array, names in self.whole.layer.items() for name in names}
        for g in self.from_q:
            name = str(self.whole.matrix("U", g))
            blocks.setdefault(of[name], {})[name] = [g]
        for array, parts in blocks.items():
            if len(parts) == 1:
                self._names |= dict.fromkeys(parts, self.layer[array])  # it is all of U
        return blocks

    @property
    def U_h(self) -> str:  # noqa: N802  the matrix's name
        """The block of U for h_prev."""
        return self.called(next(iter(self.blocks["U"])))

    def _incoming(self) -> list[str]:
        lines = {line.name: self._handed(line.expr) for line in self.whole.backward}
        nexts = [f"d{s}_next" for s in self.eq.states]
        return [n.removesuffix("_next") if lines.get(n[:-5]) == Symbol(n) else n for n in nexts]

    def _handed(self, expr: Expr) -> Expr:
        """Return an expression without dy, which autograd has added to what comes from the step after."""
        return sum_of([t for t in Add.make_args(expr) if t != Symbol(self.whole.out)])

    def _parts(self, names: Sequence[str], gates: Sequence[str], product: str) -> str:
        """Return the line that gives the parts of a product their names."""
        widths = [*map(self.width, gates)]
        if len(names) == 1 or {*widths} == {widths[0]}:
            return chunks(names, product)
        return (
            f"{', '.join(names)} = torch.split({product}, [{', '.join(widths).replace('H', self.H)}], dim=-1)"
        )

    def _split(self, there: Sequence[str], measured: bool = False) -> list[str]:
        """Return the lines that give U's blocks their names, of arrays that are there to measure."""
        several = {a: parts for a, parts in self.blocks.items() if len(parts) > 1}
        lines = []
        for array, parts in several.items():
            sizes = ", ".join(self._widths(gates).replace("H", self.H) for gates in parts.values())
            lines.append(f"{', '.join(parts)} = torch.split({self.layer[array]}, [{sizes}], dim=-1)")
        if any(re.search(rf"\b{self.H}\b", line) for line in lines) or measured:
            lines.insert(0, f"{self.H} = {self.axes.known(self._units(there))}")
        return lines

    def _unlike(self) -> bool:
        """Return whether a product's parts are not all of one size."""
        return any(len({*map(self.width, gates)}) > 1 for gates in (self.from_x, self.from_h))

    def _units(self, there: Sequence[str]) -> str:
        """Return how many units there are, of the states or the gradients at them."""
        for name, array in zip(
            self.eq.states, there, strict=False
        ):  # after these have their axes none is there
            if self.axes.plain or self.eq.axes[name] == UNIT:
                return f"{array}.shape[-1]"
            if self.eq.keys is None and self.eq.axes[name] == UNIT | {"key"}:  # J by J in each head
                heads, flat = self.eq.heads, f"{array}.shape[-1]"
                each = f"({flat} // {heads})" if heads > 1 else flat
                return f"{heads} * round({each} ** 0.5)" if heads > 1 else f"round({each} ** 0.5)"
        products = {"W": (self.from_x, self.W)} if self.from_x else {}
        for array, parts in self.blocks.items():
            products[array] = [g for fed in parts.values() for g in fed], self.layer[array]
        return self.axes.units(products)


def _times(k: int, H: str) -> str:
    return H if k == 1 else f"{k} * {H}"


def chunks(names: Sequence[str], product: str) -> str:
    """Return the line that gives as many parts of a product their names."""
    if len(names) == 1:
        return f"{names[0]} = {product}"
    return f"{', '.join(names)} = torch.chunk({product}, {len(names)}, dim=-1)"
