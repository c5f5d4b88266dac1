"""Reverse accumulation over named values: the backward pass of a step, line by line.

The gradient at a value y is called dy. It is the sum, over the equations that read y, of the gradient at what
they set, times the local derivative; a state's has one more term, what comes back from the step after
(``dc_next``). Going through the equations from the last to the first, each gradient is complete, and is
written down, once all of its readers have been passed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from sympy import Add, Integer, Mul, Symbol

from bptt.derive.algebra import (
    Expr,
    arrange,
    expression,
    function,
    inner_derivatives,
    local_derivatives,
    names_in,
    sum_of,
)
from bptt.derive.axes import NUMBERS, ONES, OVER, PLACES, Axes, axes_of, inside, result
from bptt.derive.equations import Equations, Statement
from bptt.derive.functions import FUNCTIONS


@dataclass(frozen=True)
class Line:
    """``name = expr``, and the numbers of the equations that it comes from."""

    name: str
    expr: Expr
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Pass:
    """A stretch of a step: its forward, and its backward from given gradients.

    Attributes
    ----------
    statements : tuple of Statement
    forward, backward : tuple of Line
    seeds : dict of str
        Name of a value to the name of the gradient that is handed in at it.
    gradients : dict of str
        Name of an argument to the name of the gradient at it, where there is one.
    kept : tuple of str
        What the backward reads of the forward, arguments among it, as it has to be kept.
    again : tuple of Line
        What is not kept, since it is arithmetic of what is: computed again.
    """

    statements: tuple[Statement, ...]
    forward: tuple[Line, ...]
    backward: tuple[Line, ...]
    seeds: dict[str, str]
    gradients: dict[str, str]
    kept: tuple[str, ...]
    again: tuple[Line, ...]


@dataclass(frozen=True)
class Derivation:
    """A cell's backward pass, derived from its equations."""

    equations: Equations

    @cached_property
    def step(self) -> Pass:
        """The whole step as it is read: through the operands' products too, where there are some."""
        eq = self.equations
        first = [s for q in eq.operands for s in eq.ancestors((q,))]  # each made of what came before
        statements = tuple(dict.fromkeys((*first, *eq.statements)))
        return _pass(eq, statements, self._seeds(), through=True)

    @cached_property
    def main(self) -> Pass:
        """What is computed once all gates are complete."""
        eq = self.equations
        statements = eq.ancestors(eq.states)
        return _pass(eq, statements, self._seeds())

    @cached_property
    def operands(self) -> tuple[Pass, ...]:
        """What each operand of a product is made of, before that product, in their order."""
        eq = self.equations
        return tuple(_pass(eq, eq.ancestors((q,)), {q: f"d{q}"}) for q in eq.operands)

    @property
    def passes(self) -> dict[tuple[str, str], Pass]:
        """What is computed at a step, by the names of its forward and its backward in code."""
        operands = {(f"operand_{k}", f"operand_{k}_backward"): p for k, p in enumerate(self.operands)}
        return {("forward", "backward"): self.main, **operands}

    @cached_property
    def axes(self) -> dict[str, Axes]:
        """The axes of all values and of the gradients at them."""
        axes = self.equations.axes
        back = {f"d{n}": a for n, a in axes.items()}
        return ONES | axes | back | {f"d{s}_next": axes[s] for s in self.equations.states}

    def _seeds(self) -> dict[str, str]:
        """Return the gradient that is handed in at each state: d{h} if that is all of it, else d{h}_next."""
        eq = self.equations
        read = {name for s in eq.statements for name in s.reads} | {*eq.operands}
        return {s: f"d{s}_next" if s in read else f"d{s}" for s in eq.states}


def _pass(
    eq: Equations, statements: Sequence[Statement], seeds: dict[str, str], *, through: bool = False
) -> Pass:
    order = _order(eq)
    forward = tuple(Line(s.name, arrange(expression(s.expr), order), (s.number,)) for s in statements)
    backward, gradients = _reverse(eq, statements, seeds, through=through)
    kept, again = _keep(statements, forward, backward, seeds, {*eq.constants, *NUMBERS})
    return Pass(tuple(statements), forward, backward, seeds, gradients, kept, again)


def _order(eq: Equations) -> dict[str, int]:
    """Return a place for each name: gradients first, then arguments and values in the order of the text."""
    names = eq.names
    listed = [*(f"d{n}_next" for n in names), *(f"d{n}" for n in names), *reversed(names)]
    appear = [n for s in eq.statements for n in (*s.reads, s.name)]
    return {name: k for k, name in enumerate(dict.fromkeys([*listed[: 2 * len(names)], *appear, *listed]))}


def _reverse(
    eq: Equations, statements: Sequence[Statement], seeds: Mapping[str, str], *, through: bool
) -> tuple[tuple[Line, ...], dict[str, str]]:
    order = _order(eq)
    readers = Counter(name for s in statements for name in s.reads)
    written = {s.name: s.written for s in statements}
    terms: dict[str, list[Expr]] = {name: [Symbol(seed)] for name, seed in seeds.items()}
    numbers: dict[str, list[int]] = {}
    whole: dict[str, Expr] = {}  # the gradient at each value, once complete
    lines: list[Line] = []
    seen: dict[Expr, Expr] = {}
    last = {*eq.before, *eq.params, *eq.inputs}  # more is added to these gradients outside of the step
    moving = _moving(eq)
    axes = _Known(eq)
    if through:
        readers.update(eq.operand.values())

    def complete(name: str) -> None:
        settle(name)
        if through and name in eq.operand:
            back = function("product")(whole[name], Symbol(f"U_{name[2:]}")) if name in whole else Integer(0)
            add(eq.operand[name], back, 0)

    def settle(name: str) -> None:
        total = Add(*terms.get(name, ()))
        if total == 0:
            return  # nothing of the loss comes this way, or all of it cancels
        # the gradient at a quotient has a line, so that no two divisors are multiplied
        few = any(len(s.reads) == 1 and s.function is not None for s in statements if s.name == name)
        if total.is_Symbol and name in seeds:
            whole[name] = total
            return
        alias = total.is_Symbol or (-total).is_Symbol
        if not written.get(name, True) and (few or alias):
            whole[name] = total  # a line of its own would have one reader, or give one thing two names
            return
        whole[name] = Symbol(f"d{name}")
        # what comes from the step after stands first; then the terms as the equations gave them
        first = [t for t in terms[name] if t.is_Symbol and t.name == seeds.get(name)]
        rest = [t for t in terms[name] if t not in first]
        if len(Add.make_args(total)) < len(terms[name]):  # SymPy has put equal terms together
            rest = [t for t in Add.make_args(total) if t not in first]
        ordered = [arrange(t, order) for t in (*first, *rest)]
        expr = sum_of(ordered)
        if total.is_Add:
            expr = seen.get(total, expr)  # a sum that has a name is written by its name
            if name not in last:
                seen.setdefault(total, whole[name])
        axes.made[f"d{name}"] = axes.of(expr)
        lines.append(Line(f"d{name}", expr, tuple(sorted(set(numbers.get(name, ())), reverse=True))))

    def add(name: str, term: Expr, number: int) -> None:
        if term != 0 and name in moving:
            terms.setdefault(name, []).append(term)
            if number:
                numbers.setdefault(name, []).append(number)
        readers[name] -= 1
        if readers[name] == 0:
            complete(name)

    for name in seeds:
        if readers[name] == 0:
            complete(name)
    for s in reversed(statements):
        dy = axes.back(s, whole[s.name]) if s.name in whole else Add()
        # a factor is the whole gradient at a value: no other reader adds to it, and it is no constant
        alone = {n for n in moving - last if readers[n] == 1 and n not in terms and axes.are_those_in(s, n)}
        shared = _shared(s, alone) if s.name in whole else None
        locals_ = local_derivatives(s)
        if shared is not None:  # y = f(a + ...): the gradient at a is a factor of all the others
            add(shared, Mul(dy, locals_.pop(shared)), s.number)
            dy = whole[shared]
            locals_ = {name: d for name, d in inner_derivatives(s).items() if name != shared}
        # a step's own values before the states that it read
        for name in sorted(locals_, key=lambda n: n in eq.before):
            add(
                name, axes.summed(Mul(dy, locals_[name]), s, name) if name in moving else Integer(0), s.number
            )
    gradients = {name: str(whole[name]) for name in eq.arguments if name in whole}
    return tuple(lines), gradients


class _Known:
    """The axes of a cell's values, and what they ask of gradients."""

    def __init__(self, eq: Equations) -> None:
        self.elementwise, self.axes, self.operand = eq.is_elementwise, eq.axes, eq.operand
        self.made: dict[str, Axes] = {}  # of gradients, which may have fewer than what they are at

    def are_those_in(self, s: Statement, name: str) -> bool:
        """Return whether a value has the axes of a statement's argument, and so of the gradient there."""
        return self.elementwise or (
            s.function not in OVER and self.axes[name] == inside(s.expr, self.axes) == self.axes[s.name]
        )

    def back(self, s: Statement, dy: Expr) -> Expr:
        """Return the gradient at what a statement's function gives, of that at its value."""
        if self.elementwise:
            return dy
        kind, _, axis = (s.function or "").partition("_")
        if s.function not in OVER:
            return dy
        for other in self._missing(self.axes[s.name] - axes_of(s.expr, self.axes)):  # it was broadcast
            dy = self._sum(dy, other)
        if kind == "max":  # the largest share it: a value that is broadcast is there many times
            largest = function("where")(Symbol(s.name) - Symbol(s.reads[0]), Integer(0), Integer(1))
            return dy / function(f"sum_{axis}")(largest)
        if kind not in ("cumsum", "backsum"):
            return dy
        whole = dy if axis in self.of(dy) else Mul(dy, Symbol(f"ones_{axis}"))
        return function(f"{'backsum' if kind == 'cumsum' else 'cumsum'}_{axis}")(whole)

    def summed(self, term: Expr, s: Statement, name: str) -> Expr:
        """Return what a statement adds to the gradient at a name: a sum over the axes that the name lacks."""
        if self.elementwise or term == 0:
            return term
        over = inside(s.expr, self.axes)
        if s.function not in OVER:
            over |= self.axes[s.name]  # a state's value may be broadcast
        for axis in self._missing(over - self.axes[name]):
            term = self._sum(term, axis)
        return term

    def _sum(self, term: Expr, axis: str) -> Expr:
        if axis in self.of(term):
            return function(f"sum_{axis}")(term)
        return Mul(term, Symbol(f"size_{axis}"))  # it is the same all along

    def of(self, e: Expr) -> Axes:
        """Return the axes of an expression of gradients."""
        if e.is_Symbol and e.name in self.made:
            return self.made[e.name]
        if e.is_Symbol:
            of = next((self.axes[n] for n in meant(e.name) if n in self.axes), None)
            return ONES.get(e.name, frozenset()) if of is None else of
        if type(e).__name__ == "product":  # the gradient at what the matrix was multiplied by
            gate = next(g for g in self.operand if f"U_{g[2:]}" == e.args[1].name)
            return self.axes[self.operand[gate]]
        return result(type(e).__name__, frozenset[str]().union(*map(self.of, e.args)))

    @staticmethod
    def _missing(axes: Axes) -> list[str]:
        return sorted(axes, key=lambda axis: PLACES[axis], reverse=True)


def meant(name: str) -> list[str]:
    """Return what a name may be of, the likeliest first: of dc_next itself, c_next, and c.

    A state may be called c_next: the gradient at it is dc_next, too.
    """
    return [name, name[1:], name[1:].removesuffix("_next")] if name[:1] == "d" else [name]


def _moving(eq: Equations) -> set[str]:
    """Return the names of what is no constant, and no step: a gradient at these is of no use."""
    moving = {*eq.columns, *eq.before}
    steps = {name for name, f in FUNCTIONS.items() if {*f.derivatives} == {"0"}}
    for s in eq.statements:
        if moving.intersection(s.reads) and s.function not in steps:
            moving.add(s.name)
    return moving


def _shared(statement: Statement, alone: Set[str]) -> str | None:
    """Return the name whose gradient is that at the function's whole argument, as a_o of σ(a_o + p c)."""
    if len(statement.reads) < 2 or statement.function is None:
        return None
    inner = inner_derivatives(statement)
    return next((n for n in statement.reads if inner.get(n) == 1 and n in alone), None)


def _keep(
    statements: Sequence[Statement],
    forward: Sequence[Line],
    backward: Sequence[Line],
    seeds: Mapping[str, str],
    constants: Set[str],
) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    """Return what to keep, and what to compute again: a value without a function in it, of values kept."""
    made = {line.name for line in backward} | set(seeds.values())
    read = names_in(line.expr for line in backward) - made
    lines = {line.name: line for line in forward}
    arithmetic = {s.name for s in statements if s.function is None}
    # which is the largest is seen by what was compared, to the last bit
    arithmetic -= {name for s in statements if (s.function or "").startswith("max_") for name in s.reads}
    again: list[Line] = []
    for s in reversed(statements):
        made_of = {*s.reads} | names_in(
            [lines[s.name].expr]
        )  # of x**0 a text has the x, and algebra has none
        if s.name in read & arithmetic and made_of <= read and made_of - constants:
            read.discard(s.name)
            again.append(lines[s.name])
    names = dict.fromkeys(n for s in statements for n in (*s.reads, s.name))
    return tuple(n for n in names if n in read - constants), tuple(reversed(again))
