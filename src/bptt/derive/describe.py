"""What a derivation's page says, whatever it is printed as: headings, words, and lines of mathematics."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sympy import Add, Integer, Pow, Symbol

from bptt.derive.algebra import Expr, as_written, function, replaced
from bptt.derive.backward import Line
from bptt.derive.cell import EquationCell
from bptt.derive.notation import Index
from bptt.derive.proof import TOLERANCE, Proof, prove
from bptt.derive.whole import Whole

Words = tuple[str | Expr, ...]
"""A paragraph: text, and names and expressions in it."""


@dataclass(frozen=True)
class Shown:
    """A line of mathematics.

    Attributes
    ----------
    left, right : expression
    numbers : tuple of int
        Of the equations it is, or comes from.
    note : Words
        What follows it.
    beside : str
        What it has in common with the lines that may stand beside it.
    """

    left: Expr
    right: Expr
    numbers: tuple[int, ...] = ()
    note: Words = ()
    beside: str = ""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it: paragraphs, and blocks of lines."""

    heading: str
    parts: tuple[Words | list[Shown], ...]


@dataclass(frozen=True)
class Page:
    """A derivation's page.

    Attributes
    ----------
    title, doc : str
        The cell's name, and what its author says of it.
    sections : tuple of Section
    whole : Whole
        What it is made from.
    proof : Proof
    """

    title: str
    doc: str
    sections: tuple[Section, ...]
    whole: Whole
    proof: Proof


def describe(cell: EquationCell) -> Page:
    """Return the page of a cell, with its proof.

    Raises
    ------
    ProofError
        If the derived backward is not the numerical gradient.
    """
    proof = prove(cell.derivation)
    made = _Describer(Whole(cell.derivation))
    sections = (made.symbols(), made.forward(), made.backward(), made.sums(), made.kept(), _proof(proof))
    return Page(f"{cell.name}: backpropagation through time", cell.equations.doc, sections, made.whole, proof)


class _Describer:
    def __init__(self, whole: Whole) -> None:
        self.whole, self.eq = whole, whole.equations
        self.hoisted: dict[Expr, Expr] = {}  # tanh(c) for tanh_c, a name that the reader gave
        named = {line.name for line in whole.backward}
        self.equations = [s for s in self.eq.statements if s.written or f"d{s.name}" in named]
        for s in self.eq.statements:
            if s not in self.equations:
                self.hoisted[Symbol(s.name)] = replaced(as_written(s.expr), self.hoisted)

    def line(self, x: Line) -> Shown:
        return Shown(Symbol(x.name), replaced(x.expr, self.hoisted), x.numbers)

    def symbols(self) -> Section:
        whole, eq = self.whole, self.eq
        x, h, further = Symbol(whole.x), Symbol(whole.h), _names(eq.states[1:])
        one = " is a further state" if len(further) == 1 else " are further states"
        states: Words = ("; ", *further, one) if further else ()
        first: Words = (
            "At step ", Index("t"), " of ", Index("1 .. T"), ", ", x, " is the input ", Index("(N, D)"), ": ",
            Index("N"), " rows of ", Index("D"), " numbers; ", h, " is the output ", Index("(N, H)"), *states,
            "; ",
            *_names(eq.before), " is that" if len(eq.states) == 1 else " are those", " of the step before. ",
            "What is multiplied is multiplied unit by unit, but for the products with the matrices ",
            Index("W"), " ", Index("(D, H)"), " and ", Index("U"), " ", Index("(H, H)"), ".",
        )  # fmt: skip
        parts: list[Words | list[Shown]] = [first]
        if eq.params:
            one = " is a parameter" if len(eq.params) == 1 else " are parameters"
            parts.append((*_names(eq.params), one, " of each hidden unit, the same at every step."))
        if eq.constants:
            parts.append((*_commas([(Symbol(n), f" = {v:g}") for n, v in eq.constants.items()]), "."))
        value = Symbol(eq.states[-1])
        gradient = Symbol(f"d{value}")
        parts.append((gradient, " is the gradient of the loss at ", value, ", and so on for all names."))
        if meant := self._functions():
            parts.append(meant)
        return Section("Symbols", tuple(parts))

    def _functions(self) -> Words:
        """Return what the functions mean that not everybody writes alike."""
        exprs = [*(s.expr for s in self.derived), *(as_written(s.expr) for s in self.eq.statements)]
        inside = {f for e in exprs for f in _functions_in(e)}
        used = {type(f).__name__ for f in inside}
        a, b, one = Index("a"), Index("b"), Integer(1)
        exp, log, largest = function("exp"), function("log"), function("max")
        meant = {
            "sigmoid": Pow(Add(one, exp(-a), evaluate=False), -1, evaluate=False),
            "softplus": log(Add(one, exp(a), evaluate=False)),
            "relu": largest(a, Integer(0)),
        }
        said: list[Words] = [(function(n)(a), " = ", e) for n, e in meant.items() if n in used]
        if any(type(f).__name__ == "where" and set(f.args[1:]) == {0, 1} for f in inside):
            above = function("where")(Add(a, -b, evaluate=False), one, Integer(0))
            said.append((above, " is 1 where ", Index("a > b"), ", else 0"))
        return (*_commas(said, last="; ", between="; "), ".") if said else ()

    @property
    def derived(self) -> Sequence[Line]:
        return (*self.whole.backward, *self.whole.own, *self.whole.products)

    def forward(self) -> Section:
        gates = []
        for name, like, note in self._grouped():
            line = self.whole.gate(name, like)
            gates.append(Shown(Symbol(line.name), line.expr, (), note))
        lines = [
            Shown(Symbol(s.name), replaced(as_written(s.expr), self.hoisted), (s.number,))
            for s in self.equations
        ]
        return Section("One step forward", ([*gates, *lines],))

    def backward(self) -> Section:
        whole, states = self.whole, self.eq.states
        carried = _names(f"d{s}_next" for s in states)
        one = len(states) == 1
        zero = {Symbol(f"d{s}_next"): Integer(0) for s in states}
        parts: tuple[Words | list[Shown], ...] = (
            (
                Symbol(whole.out), " is what the loss of this step passes to ", Symbol(whole.h), "; ",
                *carried, " comes" if one else " come", " from the step after. At an inner step, ",
                Index("t < T"), ", ", "that is what" if one else "those are what", " step ", Index("t + 1"),
                " has computed as its ", *_names(f"d{s}_prev" for s in states), ":",
            ),
            [self.line(x) for x in (*whole.backward, *whole.products)],
            (
                "At the last step, ", Index("t = T"), ", ", *carried, " is zero" if one else " are zero",
                " (or the gradient handed in at the final state, and then all is as above), which leaves:",
            ),
            [self.line(Line(x.name, _without(x.expr, zero), x.numbers)) for x in whole.carries],
        )  # fmt: skip
        return Section("The same step backward", parts)

    def sums(self) -> Section:
        lines = [
            Shown(Symbol(line.name), line.expr, (), note, beside=name)
            for name, like, note in self._grouped()
            for line in self.whole.sums(name, like)
        ]
        total = function("total")
        lines += [
            Shown(Symbol(x.name), total(replaced(x.expr, self.hoisted)), x.numbers) for x in self.whole.own
        ]
        words: Words = ("What all steps and rows share gets the sum over them:",)
        return Section("The sums over time", (words, lines))

    def kept(self) -> Section:
        whole, eq, step = self.whole, self.eq, self.whole.derivation.step
        kept = [n for n in step.kept if n not in eq.params and n not in eq.constants]
        shown = [replaced(Symbol(n), self.hoisted) for n in kept]
        parts: list[Words | list[Shown]] = []
        if shown:
            floats = (*_floats(kept), " per step and row.")
            parts.append(("The step's backward reads ", *_commas(shown), ": ", *floats))
        sources = {str(whole.source(g)) for g in eq.gates if g[0] in "au"} - set(kept)
        more: Words = (*_names(sorted(sources)), " (", *_floats(sources), ") and ") if sources else ()
        if any(g[0] in "ax" for g in eq.gates):
            parts.append(("The sums over time read ", *more, Symbol(whole.x), "."))
        elif sources:
            parts.append(("The sums over time read ", *more[:-1], ")."))
        if gates := [g for g in eq.gates if g not in kept]:
            given = ": the functions' derivatives are written by their values." if kept else "."
            parts.append((*_names(gates), " need not be kept", given))
        if any(s.function for s in eq.statements if s.name in kept):
            parts.append(("Values of functions are kept: to compute one again costs more than to read it.",))
        if step.again:
            said: Words = ("Computed again, since it is arithmetic of what is kept: ", *_floats(step.again))
            written = {s.name: as_written(s.expr) for s in eq.statements}
            parts.append((*said, " less in memory."))
            parts.append([self.line(Line(x.name, written[x.name], x.numbers)) for x in step.again])
        return Section("What is kept from the forward", tuple(parts))

    def _grouped(self) -> list[tuple[str, str, Words]]:
        """Return for gates made alike one name with an index, one of them, and which they are."""
        groups: dict[tuple[str, str], list[str]] = {}
        for gate in self.eq.gates:
            groups.setdefault((gate[0], self.eq.operand.get(gate, "")), []).append(gate)
        taken = {gate[2:] for gate in self.eq.gates}
        letters = [c for c in (*"kjlmnpq", *(f"k{n}" for n in range(len(taken) + 4))) if c not in taken]
        shown: list[tuple[str, str, Words]] = []
        for (kind, _), gates in groups.items():
            if len(gates) == 1:
                shown.append((gates[0], gates[0], ()))
                continue
            k = letters.pop(0)
            note = ("for ", Index(f"{k} ="), " ", *_commas([Index(g[2:]) for g in gates], last=", "))
            shown.append((f"{kind}_{k}", gates[0], note))
        return shown


def _proof(proof: Proof) -> Section:
    words = (
        f"The step, as code, was compared with the complex step through the forward, at {proof.points} "
        f"random points and by all arguments: {proof.compared} gradients. The largest difference, relative "
        f"to the terms that are summed, is {proof.error:.1e}; {TOLERANCE:.0e} would be refused."
    )
    return Section("The proof", ((words,),))


def _without(expr: Expr, zero: dict[Expr, Expr]) -> Expr:
    """Return a sum without its terms that are zero."""
    terms = [t for t in Add.make_args(expr) if t not in zero]
    return Add(*terms, evaluate=False) if len(terms) > 1 else terms[0] if terms else Integer(0)


def _functions_in(e: Expr) -> set[Expr]:
    inside = {f for a in e.args for f in _functions_in(a)}
    return inside | {e} if e.is_Function else inside


def _floats(values: Iterable[object]) -> Words:
    n = len(list(values))
    return (f"{n} " if n > 1 else "", Index("H"), " floats")


def _names(names: Iterable[str]) -> Words:
    return _commas([Symbol(n) for n in names])


def _commas(items: Sequence[Expr | Words], last: str = " and ", between: str = ", ") -> Words:
    """Return a, b and c."""
    listed: list[str | Expr] = []
    for k, item in enumerate(items):
        if k:
            listed.append(last if k == len(items) - 1 else between)
        listed.extend(item if isinstance(item, tuple) else (item,))
    return tuple(listed)


__all__ = ["Page", "Section", "Shown", "Words", "describe"]
