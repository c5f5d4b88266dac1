"""What a derivation's page says, whatever it is printed as: headings, words, and lines of mathematics."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sympy import Add, Float, Integer, Pow, Symbol

from bptt.derive.algebra import Expr, as_written, function, replaced
from bptt.derive.backward import Line
from bptt.derive.blocks import Block, Page, Section, Shown, Words, commas
from bptt.derive.equation_cell import EquationCell
from bptt.derive.equations import Statement
from bptt.derive.exact import DIGITS
from bptt.derive.names import latex_name
from bptt.derive.notation import Index
from bptt.derive.printed import Run, prove_page
from bptt.derive.proof import TOLERANCE
from bptt.derive.whole import Whole


def describe(cell: EquationCell) -> Page:
    """Return the page of a cell, with its proof.

    Raises
    ------
    ProofError
        If the gradients that its lines compute are not the numerical ones.
    """
    made = _Describer(Whole(cell.derivation))
    sections = (made.symbols(), made.forward(), made.backward(), made.sums(), made.kept())
    page = Page(f"{cell.name}: backpropagation through time", cell.equations.doc, sections, made.whole)
    run = prove_page(page, cell)
    return replace(page, sections=(*sections, _proof(run)), undecided=run.undecided > 0)


_SHORT = 16
"""A function of more parts than this has an equation of its own, by the name that the reader gave it."""


class _Describer:
    def __init__(self, whole: Whole) -> None:
        self.whole, self.eq = whole, whole.equations
        self.hoisted: dict[Expr, Expr] = {}  # tanh(c) for tanh_c, a name that the reader gave
        named = {line.name for line in whole.backward}
        self.equations: list[Statement] = []
        for s in self.eq.statements:
            within = replaced(as_written(s.expr), self.hoisted)
            # a quotient's derivative reads its value, which so has a line
            if s.written or s.function is None or f"d{s.name}" in named or _size(within) > _SHORT:
                self.equations.append(s)
            else:
                self.hoisted[Symbol(s.name)] = within

    def index(self, text: str) -> Index:
        """Return something of the page's own, as T or t < T."""
        return Index(self.whole.symbols(text))

    def floats(self, values: Iterable[object]) -> Words:
        """Return how many floats they are."""
        n = len(list(values))
        return (f"{n} " if n > 1 else "", self.index("H"), " floats")

    def line(self, x: Line) -> Shown:
        return Shown(Symbol(x.name), replaced(x.expr, self.hoisted), x.numbers)

    def symbols(self) -> Section:
        whole, eq = self.whole, self.eq
        x, h, further = Symbol(whole.x), Symbol(whole.h), _names(eq.states[1:])
        one = " is a further state" if len(further) == 1 else " are further states"
        states: Words = ("; ", *further, one) if further else ()
        index = self.index
        first: Words = (
            "At step ", index("t"), " of ", index("1 .. T"), ", ", x, " is the input ", index("(N, D)"), ": ",
            index("N"), " rows of ", index("D"), " numbers; ", h, " is the output ", index("(N, H)"), *states,
            "; ",
            *_names(eq.before), " is that" if len(eq.states) == 1 else " are those", " of the step before. ",
            "What is multiplied is multiplied unit by unit, but for the products with the matrices ",
            Index("W"), " ", index("(D, H)"), " and ", Index("U"), " ", index("(H, H)"), ".",
        )  # fmt: skip
        parts: list[Words | Block] = [first]
        if eq.params:
            one = " is a parameter" if len(eq.params) == 1 else " are parameters"
            parts.append((*_names(eq.params), one, " of each hidden unit, the same at every step."))
        if eq.constants:
            parts.append((*commas([(Shown(Symbol(n), Float(v)),) for n, v in eq.constants.items()]), "."))
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
        said: list[Words] = [(Shown(function(n)(a), e),) for n, e in meant.items() if n in used]
        if any(type(f).__name__ == "where" and set(f.args[1:]) == {0, 1} for f in inside):
            above = function("where")(Add(a, -b, evaluate=False), one, Integer(0))
            said.append((above, " is 1 where ", Index("a > b"), ", else 0"))
        return (*commas(said, last="; ", between="; "), ".") if said else ()

    @property
    def derived(self) -> Sequence[Line]:
        return (*self.whole.backward, *self.whole.of_units, *self.whole.products)

    def forward(self) -> Section:
        gates = []
        for name, like, letter, members in self._grouped():
            line = self.whole.gate(name, like)
            gates.append(Shown(Symbol(line.name), line.expr, (), letter, members))
        lines = [
            Shown(Symbol(s.name), replaced(as_written(s.expr), self.hoisted), (s.number,))
            for s in self.equations
        ]
        return Section("One step forward", (Block("forward", (*gates, *lines)),))

    def backward(self) -> Section:
        whole, states = self.whole, self.eq.states
        carried, rest = whole.carried, [s for s in states if s not in whole.carried]
        every = _names(f"d{s}_next" for s in states)
        passed: Words = (
            Symbol(whole.out),
            " is what the loss of this step passes to ",
            Symbol(whole.h),
            "; ",
        )
        if carried:
            one = len(carried) == 1
            passed += (
                *_names(f"d{s}_next" for s in carried), " comes" if one else " come",
                " from the step after. At an inner step, ", self.index("t < T"), ", ",
                "that is what" if one else "those are what", " step ",
                self.index("t + 1"), " has computed as its ", *_names(f"d{s}_prev" for s in carried),
            )  # fmt: skip
        if rest:
            passed += ("; ",) if carried else ("at an inner step, ", self.index("t < T"), ", ")
            passed += (*_names(f"d{s}_next" for s in rest), " is" if len(rest) == 1 else " are")
            passed += (" zero there" if carried else " zero", ", since no step reads ")
            passed += _names(f"{s}_prev" for s in rest)
        parts: tuple[Words | Block, ...] = (
            (*passed, ":"),
            Block("backward", tuple(self.line(x) for x in (*whole.backward, *whole.products))),
            (
                "At the last step, ", self.index("t = T"), ", ", *every,
                " is zero" if len(states) == 1 else " are zero",
                " (or the gradient handed in at the final state, and then all is as above), which leaves:",
            ),
            Block("last", tuple(self.line(x) for x in whole.last)),
        )  # fmt: skip
        return Section("The same step backward", parts)

    def sums(self) -> Section:
        lines = [
            Shown(Symbol(line.name), line.expr, (), letter, members, beside=name)
            for name, like, letter, members in self._grouped()
            for line in self.whole.sums(name, like)
        ]
        total = function("total")
        lines += [
            Shown(Symbol(x.name), total(replaced(x.expr, self.hoisted)), x.numbers)
            for x in self.whole.of_units
        ]
        words: Words = ("What all steps and rows share gets the sum over them:",)
        return Section("The sums over time", (words, Block("sums", tuple(lines))))

    def kept(self) -> Section:
        whole, eq, step = self.whole, self.eq, self.whole.derivation.step
        kept = [n for n in step.kept if n not in eq.params and n not in eq.constants]
        shown = [replaced(Symbol(n), self.hoisted) for n in kept]
        parts: list[Words | Block] = []
        if shown:
            floats = (*self.floats(kept), " per step and row.")
            parts.append(("The step's backward reads ", *commas(shown), ": ", *floats))
        sources = {str(whole.source(g)) for g in eq.gates if g[0] in "au"} - set(kept)
        more: Words = (*_names(sorted(sources)), " (", *self.floats(sources), ") and ") if sources else ()
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
            said = "Computed again, since it is arithmetic of what is kept: "
            written = {s.name: as_written(s.expr) for s in eq.statements}
            parts.append((said, *self.floats(step.again), " less in memory."))
            again = (self.line(Line(x.name, written[x.name], x.numbers)) for x in step.again)
            parts.append(Block("again", tuple(again)))
        return Section("What is kept from the forward", tuple(parts))

    def _grouped(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return for gates made alike one name with a letter, one of them, the letter, and which they are.

        Those are put together whose matrices are called as they are, and whose names have no index.
        """
        whole, eq = self.whole, self.eq
        names = {*eq.names, *whole.shapes}
        letters = [c for c in "kjlmnpq" if not any(n == c or n.endswith(f"_{c}") for n in names)]
        groups: dict[tuple[str, str], list[str]] = {}
        for gate in eq.gates:
            plain = all(n == f"{kind}_{gate[2:]}" for (kind, g), n in whole.names.items() if g == gate)
            alone = "" if plain and "_" not in latex_name(gate[2:], "") else gate
            groups.setdefault((gate[0] + alone, eq.operand.get(gate, "")), []).append(gate)
        shown: list[tuple[str, str, str, tuple[str, ...]]] = []
        for gates in groups.values():
            if len(gates) > 1 and letters:
                k = letters.pop(0)
                shown.append((f"{gates[0][0]}_{k}", gates[0], k, tuple(g[2:] for g in gates)))
            else:
                shown += [(g, g, "", ()) for g in gates]
        return shown


def _proof(run: Run) -> Section:
    words = (
        f"The expressions behind the lines above were run, forward and backward through {run.steps} "
        f"step{'s' * (run.steps > 1)} with small random matrices, and all {run.compared} elements of all "
        "gradients were compared with the complex step through the forward. "
        "The largest difference, relative to the terms that are summed, is "
        f"{run.error:.1e}; {TOLERANCE:.0e} would be refused."
    )
    if run.undecided:
        words += f" Of {run.undecided} elements float64 keeps too few digits to tell; {DIGITS} digits did."
    return Section("The proof", ((words,),))


def _size(e: Expr) -> int:
    return 1 + sum(map(_size, e.args))


def _functions_in(e: Expr) -> set[Expr]:
    inside = {f for a in e.args for f in _functions_in(a)}
    return inside | {e} if e.is_Function else inside


def _names(names: Iterable[str]) -> Words:
    return commas([Symbol(n) for n in names])
