"""What a derivation's page says, whatever it is printed as: headings, words, and lines of mathematics."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sympy import Add, Float, Function, Integer, Mul, Pow, Rational, Symbol, preorder_traversal

from bptt.derive.algebra import Expr, as_written, function, replaced
from bptt.derive.backward import Line
from bptt.derive.blocks import Block, Page, Section, Shown, Words, commas
from bptt.derive.equation_cell import EquationCell
from bptt.derive.equations import EquationError, Statement
from bptt.derive.exact import DIGITS
from bptt.derive.names import latex_name
from bptt.derive.notation import Index
from bptt.derive.printed import prove_page
from bptt.derive.proof import TOLERANCE, Proof
from bptt.derive.whole import Whole


def describe(cell: EquationCell) -> Page:
    """Return the page of a cell, with its proof.

    Raises
    ------
    ProofError
        If the gradients that its lines compute are not the numerical ones.
    """
    if cell.more:
        raise EquationError(f"{cell.name} has {cell.more}: its derivation runs, and is not printed yet")
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
            is_long = len(list(preorder_traversal(within))) > _SHORT
            # a quotient's derivative reads its value, which so has a line
            if s.written or s.function is None or f"d{s.name}" in named or is_long:
                self.equations.append(s)
            else:
                self.hoisted[Symbol(s.name)] = within

    def words(self, text: str) -> Words:
        """Return a text with the values that it names, as <c>, and the page's own symbols, as [T]."""
        said = list[str | Expr]()
        for piece in re.split(r"(<\w+>|\[.*?\])", text):
            inside = piece[1:-1]
            if piece.startswith("<"):
                said.append(replaced(Symbol(inside), self.hoisted))
            else:
                said.append(Index(self.whole.symbols(inside)) if piece.startswith("[") else piece)
        return tuple(said)

    def section(self, heading: str, *parts: str | Words | Block) -> Section:
        return Section(heading, tuple(self.words(p) if isinstance(p, str) else p for p in parts))

    def line(self, x: Line) -> Shown:
        return Shown(Symbol(x.name), replaced(x.expr, self.hoisted), x.numbers)

    def block(self, role: str, lines: Iterable[Line]) -> Block:
        return Block(role, tuple(map(self.line, lines)))

    def symbols(self) -> Section:
        whole, eq = self.whole, self.eq
        further = eq.states[1:]
        states = f"; {_are(further, 'a further state', 'further states')}" if further else ""
        first = (
            f"At step [t] of [1 .. T], <{whole.x}> is the input [(N, D)]: [N] rows of [D] numbers; "
            f"<{whole.h}> is the output [(N, H)]{states}; {_are(eq.before, 'that', 'those')} of the step "
            "before. What is multiplied is multiplied unit by unit, but for the products with the matrices "
            "[W] [(D, H)] and [U] [(H, H)]."
        )
        parts: list[str | Words | Block] = [first]
        for of, names in {
            "of each hidden unit": [n for n in eq.params if n not in eq.scalars],
            "of the layer, one number for all units": eq.scalars,
        }.items():
            if names:
                parts.append(f"{_are(names, 'a parameter', 'parameters')} {of}, the same at every step.")
        if eq.starts:
            starts: list[Words] = [(Symbol(n), " is ", Float(v)) for n, v in eq.starts.items()]
            parts.append(("Before the first step ", *commas(starts), "; states not named are zero."))
        if eq.constants:
            parts.append((*commas([(Shown(Symbol(n), Float(v)),) for n, v in eq.constants.items()]), "."))
        at = eq.states[-1]
        parts.append(f"<d{at}> is the gradient of the loss at <{at}>, and so on for all names.")
        if meant := self._functions():
            parts.append(meant)
        return self.section("Symbols", *parts)

    def _functions(self) -> Words:
        """Return what the functions mean that not everybody writes alike."""
        derived = (*self.whole.backward, *self.whole.of_units, *self.whole.products)
        exprs = [*(line.expr for line in derived), *(as_written(s.expr) for s in self.eq.statements)]
        inside = {f for e in exprs for f in e.atoms(Function)}
        used = {type(f).__name__ for f in inside}
        a, b, c, one = *map(Index, "abc"), Integer(1)
        exp, log, largest = function("exp"), function("log"), function("max")
        meant = {
            "sigmoid": Pow(Add(one, exp(-a), evaluate=False), -1, evaluate=False),
            "softplus": log(Add(one, exp(a), evaluate=False)),
            "relu": largest(a, Integer(0)),
            "Phi": Mul(
                Add(one, function("erf")(a / function("sqrt")(Integer(2))), evaluate=False), Rational(1, 2)
            ),
        }
        said: list[Words] = [(Shown(function(n)(a), e),) for n, e in meant.items() if n in used]
        if any(type(f).__name__ == "where" and set(f.args[1:]) == {0, 1} for f in inside):
            above = function("where")(Add(a, -b, evaluate=False), one, Integer(0))
            said.append((above, " is 1 where ", Index("a > b"), ", else 0"))
        of_its_own: dict[str, Words] = {
            "stop": (function("stop")(a), " is ", a, ", with the derivative 0"),
            "surrogate": (
                *(function("surrogate")(a, b, c), " is ", a, ", with the derivative ", b, " by ", c),
                ", whatever they are made of",
            ),
        }
        said += [words for name, words in of_its_own.items() if name in used]
        return (*commas(said, last="; ", between="; "), ".") if said else ()

    def forward(self) -> Section:
        gates = [
            Shown(Symbol(name), self.whole.gate(name, like).expr, (), letter, members)
            for name, like, letter, members in self._grouped()
        ]
        lines = [self.line(Line(s.name, as_written(s.expr), (s.number,))) for s in self.equations]
        return Section("One step forward", (Block("forward", (*gates, *lines)),))

    def backward(self) -> Section:
        whole, states = self.whole, self.eq.states
        carried, rest = whole.carried, [s for s in states if s not in whole.carried]
        passed = f"<{whole.out}> is what the loss of this step passes to <{whole.h}>; "
        if carried:
            comes, that = ("comes", "that is") if len(carried) == 1 else ("come", "those are")
            passed += f"{_names(f'd{s}_next' for s in carried)} {comes} from the step after. "
            passed += f"At an inner step, [t < T], {that} what step [t + 1] has computed as its "
            passed += _names(f"d{s}_prev" for s in carried)
        if rest:
            passed += "; " if carried else "at an inner step, [t < T], "
            passed += _are([f"d{s}_next" for s in rest], "zero there" if carried else "zero")
            passed += f", since no step reads {_names(f'{s}_prev' for s in rest)}"
        zero = _are([f"d{s}_next" for s in states], "zero")
        return self.section(
            "The same step backward",
            f"{passed}:",
            self.block("backward", (*whole.backward, *whole.products)),
            f"At the last step, [t = T], {zero} (or the gradient handed in at the final state, and then all "
            "is as above), which leaves:",
            self.block("last", whole.last),
        )

    def sums(self) -> Section:
        lines = [
            Shown(Symbol(line.name), line.expr, (), letter, members, beside=name)
            for name, like, letter, members in self._grouped()
            for line in self.whole.sums(name, like)
        ]
        total = function("total")
        lines += [self.line(replace(x, expr=total(x.expr))) for x in self.whole.of_units]
        words = "What all steps and rows share gets the sum over them"
        words += f"; {_names(self.eq.scalars)} the sum over the units, too:" if self.eq.scalars else ":"
        return self.section("The sums over time", words, Block("sums", tuple(lines)))

    def kept(self) -> Section:
        whole, eq, step = self.whole, self.eq, self.whole.derivation.step
        kept = [n for n in step.kept if n not in eq.params and n not in eq.constants]
        parts: list[str | Words | Block] = []
        if kept:
            parts.append(f"The step's backward reads {_names(kept)}: {_floats(kept)} per step and row.")
        sources = sorted({str(whole.source(g)) for g in eq.gates if g[0] in "au"} - set(kept))
        reads = [f"{_names(sources)} ({_floats(sources)})"] if sources else []
        if any(g[0] in "ax" for g in eq.gates):
            reads.append(f"<{whole.x}>")
        if reads:
            parts.append(f"The sums over time read {' and '.join(reads)}.")
        if gates := [g for g in eq.gates if g not in kept]:
            given = ": the functions' derivatives are written by their values." if kept else "."
            parts.append(f"{_names(gates)} need not be kept{given}")
        if any(s.function for s in eq.statements if s.name in kept):
            parts.append("Values of functions are kept: to compute one again costs more than to read it.")
        if step.again:
            less = f"{_floats(step.again)} less in memory."
            parts.append(f"Computed again, since it is arithmetic of what is kept: {less}")
            written = {s.name: as_written(s.expr) for s in eq.statements}
            parts.append(self.block("again", [replace(x, expr=written[x.name]) for x in step.again]))
        return self.section("What is kept from the forward", *parts)

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


def _proof(run: Proof) -> Section:
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


def _names(names: Iterable[str]) -> str:
    """Return a, b and c, as :meth:`_Describer.words` takes them."""
    *first, last = (f"<{n}>" for n in names)
    return f"{', '.join(first)} and {last}" if first else last


def _are(names: Sequence[str], one: str, many: str = "") -> str:
    return f"{_names(names)} is {one}" if len(names) == 1 else f"{_names(names)} are {many or one}"


def _floats(values: Sequence[object]) -> str:
    return f"{len(values)} [H] floats" if len(values) > 1 else "[H] floats"
