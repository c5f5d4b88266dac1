"""What a derivation's page says, whatever it is printed as: headings, words, and lines of mathematics."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sympy import Add, Float, Function, Integer, Mul, Pow, Rational, Symbol, preorder_traversal

from bptt.derive import matrices
from bptt.derive.algebra import Expr, as_written, function, replaced
from bptt.derive.backward import Line
from bptt.derive.blocks import Block, Page, Section, Shown, Words, are, commas, named
from bptt.derive.equation_cell import EquationCell
from bptt.derive.equations import Statement
from bptt.derive.exact import DIGITS
from bptt.derive.names import latex_name
from bptt.derive.plain import factors
from bptt.derive.printed import prove_page
from bptt.derive.proof import TOLERANCE, Proof
from bptt.derive.terms import Index, signed
from bptt.derive.whole import Whole


def describe(cell: EquationCell) -> Page:
    """Return the page of a cell, with its proof.

    Raises
    ------
    ProofError
        If the gradients that its lines compute are not the numerical ones.
    """
    made = _Describer(Whole(cell.derivation))
    maps, back = matrices.sections(made.whole)
    step = (made.forward(), made.backward(), made.sums())
    sections = (made.symbols(), *maps, *step, *back, made.kept())
    page = Page(f"{cell.name}: backpropagation through time", cell.equations.doc, sections, made.whole)
    run = prove_page(page, cell.plain)
    return replace(page, sections=(*sections, _proof(run)), undecided=run.undecided > 0)


def step(cell: EquationCell) -> Page:
    """Return one step forward alone, which needs no proof."""
    made = _Describer(Whole(cell.derivation))
    return Page(cell.name, cell.equations.doc, (made.forward(),), made.whole)


_OVER = {
    "sum": "the sum over the {0}",
    "max": "the largest over the {0}",
    "cumsum": "the sum over the {0} up to and with this {1}",
    "backsum": "the sum over the {0} from this {1} on",
}
"""What goes over an axis, in words."""

_SHORT = 16
"""A function of more parts than this has an equation of its own, by the name that the reader gave it."""

_OFTEN = 3
"""And so has one of more than a name that stands so often, where lines have indices and are long by these."""


class _Describer:
    def __init__(self, whole: Whole) -> None:
        self.whole, self.eq = whole, whole.equations
        self.hoisted: dict[Expr, Expr] = {}  # tanh(c) for tanh_c, a name that the reader gave
        lines = (*whole.backward, *whole.of_units, *whole.products)
        back, read = {line.name for line in lines}, [line.expr for line in lines]
        read += [as_written(s.expr) for s in self.eq.statements]
        often = Counter(str(name) for e in read for name in factors(e))
        self.equations: list[Statement] = []
        for s in self.eq.statements:
            within = replaced(as_written(s.expr), self.hoisted)
            bare = self.eq.is_elementwise or all(a.is_Number or signed(a)[1].is_Symbol for a in within.args)
            is_long = len(list(preorder_traversal(within))) > _SHORT or (often[s.name] >= _OFTEN and not bare)
            # a quotient's derivative reads its value, which so has a line
            if s.written or s.function is None or f"d{s.name}" in back or is_long:
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

    def equation(self, s: Statement) -> Shown:
        return self.line(Line(s.name, as_written(s.expr), (s.number,)))

    def block(self, role: str, lines: Iterable[Line]) -> Block:
        return Block(role, tuple(map(self.line, lines)))

    def symbols(self) -> Section:
        whole, eq = self.whole, self.eq
        further = eq.states[1:]
        states = f"; {are(further, 'a further state', 'further states')}" if further else ""
        size = " [(N, H)]" if eq.is_elementwise else ""
        first = (
            f"At step [t] of [1 .. T], <{whole.x}> is the input [(N, D)]: [N] rows of [D] numbers; "
            f"<{whole.h}> is the output{size}{states}; {are(eq.before, 'that', 'those')} of the step "
            "before. "
        )
        products = "What is multiplied is multiplied unit by unit, but for the products with the matrices "
        products += "[W] [(D, H)] and [U] [(H, H)]."
        parts: list[str | Words | Block] = [first + (products if eq.is_elementwise else self._heads())]
        if not eq.is_elementwise:
            parts += self._shapes()
        if given := [n for n in eq.inputs if n != whole.x]:
            parts.append(f"{are(given, 'given', 'given')} at each step beside the input.")
        if whole.x in eq.inputs:
            parts.append("The equations read the input itself, too, so [D = H].")
        for of, names in {
            "of each hidden unit": [n for n in eq.params if n not in (*eq.scalars, *eq.shapes)],
            "of its shape": [n for n in eq.params if n in eq.shapes],
            "of the layer, one number for all units": eq.scalars,
        }.items():
            if names:
                parts.append(f"{are(names, 'a parameter', 'parameters')} {of}, the same at every step.")
        if eq.starts:
            starts: list[Words] = [(Symbol(n), " is ", Float(v)) for n, v in eq.starts.items()]
            parts.append(("Before the first step ", *commas(starts), "; states not named are zero."))
        if eq.constants:
            parts.append((*commas([(Shown(Symbol(n), Float(v)),) for n, v in eq.constants.items()]), "."))
        if eq.maps:
            parts.append(matrices.note(self.whole))
        at = eq.states[-1]
        parts.append(f"<d{at}> is the gradient of the loss at <{at}>, and so on for all names.")
        if meant := self._functions():
            parts.append(meant)
        return self.section("Symbols", *parts)

    @property
    def _has_keys(self) -> bool:
        return any("key" in a for a in self.eq.axes.values())

    def _heads(self) -> str:
        """Return how many heads, units and keys there are."""
        eq = self.eq
        keys = f"[K = {eq.keys}] keys" if eq.keys else "as many keys as units"
        if eq.heads == 1:
            return f"There are [H] units{f' and {keys}' if self._has_keys else ''}."
        more = f"; each has {keys}" if self._has_keys else ""
        return f"The [H] units are in {eq.heads} heads of [J = H / {eq.heads}]{more}."

    def _shapes(self) -> list[str]:
        """Return how many numbers each value has, and each matrix."""
        whole, eq = self.whole, self.eq
        a_head = " of each head" if eq.heads > 1 else ""
        each = {
            frozenset({"head", "unit"}): "for each unit",
            frozenset({"head", "key"}): f"for each key{a_head}",
            frozenset({"head", "unit", "key"}): f"for each unit and key{a_head}",
            frozenset({"head"}): "for each head" if a_head else "for all units",
            frozenset(): "for all of it",
        }
        shown = [*eq.columns, *eq.states, *(s.name for s in self.equations)]
        said = []
        for axes, words in each.items():
            names = [n for n in dict.fromkeys(shown) if eq.axes[n] == axes and n not in eq.scalars]
            if names:
                said.append(f"{words} [({whole.width(names[0]).replace(' *', '')})]: {named(names)}")
        matrices: dict[str, list[str]] = {}
        for name, shape in whole.shapes.items():
            if len(shape) == 2:
                matrices.setdefault(", ".join(shape).replace(" *", ""), []).append(name)
        of = "; ".join(f"{named(names)} [({shape})]" for shape, names in matrices.items())
        counts = f"[{whole.letters['unit'][0]}] counts the units{a_head}"
        counts += f", [{whole.letters['key'][0]}] the keys" if self._has_keys else ""
        return [
            f"In a row a value has one number {'; '.join(said)}. "
            "What is multiplied is multiplied number by number, and "
            "what has one number for several is the same for all of these. "
            f"Where values of several shapes meet they have indices: {counts}.",
            f"In products with matrices a row's numbers stand one after the other. The matrices are {of}.",
        ]

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
        some = "" if self.eq.heads == 1 else " of a head"
        for name, axis in ((f"{kind}_{axis}", axis) for axis in ("unit", "key", "head") for kind in _OVER):
            if name in used:
                many = f"{axis}s{some if axis != 'head' else ''}"
                said.append((function(name)(a), " is ", _OVER[name.split("_")[0]].format(many, axis)))
        return (*commas(said, last="; ", between="; "), ".") if said else ()

    def forward(self) -> Section:
        gates = [
            Shown(Symbol(name), self.whole.gate(name, like).expr, (), letter, members)
            for name, like, letter, members in self._grouped()
        ]
        once = [s for s in self.equations if s.name in self.whole.once]
        parts: list[str | Block] = []
        if once:
            parts = [
                "What parameters alone make is the same at every step, and computed once, before the first:",
                Block("forward", tuple(map(self.equation, once))),
                "At each step:",
            ]
        lines = [self.equation(s) for s in self.equations if s not in once]
        return self.section("One step forward", *parts, Block("forward", (*gates, *lines)))

    def backward(self) -> Section:
        whole, states = self.whole, self.eq.states
        carried, rest = whole.carried, [s for s in states if s not in whole.carried]
        passed = f"<{whole.out}> is what the loss of this step passes to <{whole.h}>; "
        if carried:
            comes, that = ("comes", "that is") if len(carried) == 1 else ("come", "those are")
            passed += f"{named(f'd{s}_next' for s in carried)} {comes} from the step after. "
            passed += f"At an inner step, [t < T], {that} what step [t + 1] has computed as its "
            passed += named(f"d{s}_prev" for s in carried)
        if rest:
            passed += "; " if carried else "at an inner step, [t < T], "
            passed += are([f"d{s}_next" for s in rest], "zero there" if carried else "zero")
            passed += f", since no step reads {named(f'{s}_prev' for s in rest)}"
        zero = are([f"d{s}_next" for s in states], "zero")
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
        over_units = self.eq.scalars and self.eq.is_elementwise  # else the line itself says so
        words += f"; {named(self.eq.scalars)} the sum over the units, too:" if over_units else ":"
        return self.section("The sums over time", words, Block("sums", tuple(lines)))

    def kept(self) -> Section:
        whole, eq, step = self.whole, self.eq, self.whole.derivation.step
        kept = [n for n in step.kept if n not in eq.params and n not in eq.constants]
        parts: list[str | Words | Block] = []
        if kept:
            parts.append(f"The step's backward reads {named(kept)}: {self._floats(kept)} per step and row.")
        sources = sorted({str(whole.source(g)) for g in eq.gates if g[0] in "au"} - set(kept))
        reads = [f"{named(sources)} ({self._floats(sources)})"] if sources else []
        if any(g[0] in "ax" for g in eq.gates):
            reads.append(f"<{whole.x}>")
        if reads:
            parts.append(f"The sums over time read {' and '.join(reads)}.")
        if gates := [g for g in eq.gates if g not in kept]:
            given = ": the functions' derivatives are written by their values." if kept else "."
            parts.append(f"{named(gates)} need not be kept{given}")
        if any(s.function for s in eq.statements if s.name in kept):
            parts.append("Values of functions are kept: to compute one again costs more than to read it.")
        if step.again:
            less = f"{self._floats([x.name for x in step.again])} less in memory."
            parts.append(f"Computed again, since it is arithmetic of what is kept: {less}")
            written = {s.name: as_written(s.expr) for s in eq.statements}
            parts.append(self.block("again", [replace(x, expr=written[x.name]) for x in step.again]))
        return self.section("What is kept from the forward", *parts)

    def _floats(self, names: Sequence[str]) -> str:
        """Return how many numbers these are, as in 6 H + 2 H K."""
        counts: dict[tuple[str, ...], int] = {}
        for name in names:
            factors = self.whole.width(name).split(" * ")
            count = math.prod(int(f) for f in factors if f.isdigit())
            letters = tuple(f for f in factors if not f.isdigit())
            counts[letters] = counts.get(letters, 0) + count
        terms = [
            " ".join([f"{count}"] * (count > 1 or not of) + [f"[{' '.join(of)}]"] * bool(of))
            for of, count in counts.items()
        ]
        return f"{' + '.join(terms)} floats"

    def _grouped(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return for gates made alike one name with a letter, one of them, the letter, and which they are.

        Those are put together whose matrices are called as they are, and whose names have no index.
        """
        whole, eq = self.whole, self.eq
        names = {*eq.names, *whole.shapes}
        if not eq.is_elementwise:
            names |= {*"".join(whole.letters.values())}
        letters = [c for c in "kjlmnpqgheabcf" if not any(n == c or n.endswith(f"_{c}") for n in names)]
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
        f"step{'s' * (run.steps > 1)} with small random matrices, and "
        f"{'' if run.drawn else 'all '}{run.compared} elements of all gradients were compared with the "
        "complex step through the forward. The largest difference, relative to the terms that are summed, is "
        f"{run.error:.1e}; {TOLERANCE:.0e} would be refused."
    )
    if run.undecided:
        words += f" Of {run.undecided} elements float64 keeps too few digits to tell; {DIGITS} digits did."
    return Section("The proof", ((words,),))
