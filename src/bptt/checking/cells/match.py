"""The cell that was recognised, its names in the code, and its backward in their terms."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from bptt.checking.cells.recording import Recorded, Recording, Series
from bptt.checking.cells.search import Bound, Part, Search
from bptt.derive import EquationCell, Equations
from bptt.derive.backward import Derivation
from bptt.derive.numpy_code import code
from bptt.derive.whole import Whole
from bptt.zoo.equations import ZOO


@dataclass(frozen=True)
class Match:
    """A forward that is a known cell.

    Its equations have each gate in the sense that it has in the code; `bound` is what was recorded of their
    names, `parts` are the gates' matrices and biases.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> W, U, h, records = rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), np.zeros((2, 4)), []
    >>> for t in range(3):
    ...     x = rng.normal(size=(2, 3))
    ...     a, b = x @ W, h @ U
    ...     new = np.tanh(a + b)
    ...     values = {"W": W, "U": U, "x": x, "s": h, "x @ W": a, "s @ U": b, "pre": a + b, "new": new}
    ...     records += [Recorded(text, 7, value, t) for text, value in values.items()]
    ...     h = new
    >>> found = recognise(records)
    >>> found.sentence()
    'the forward is the cell rnn: h = tanh(a_h)'
    >>> found.equation("pre"), found.equation("U")
    ('da_h = dh * (1 - h ** 2)', 'd(U) += s.T @ da_h')
    """

    cell: str
    equations: Equations
    bound: Bound
    parts: list[Part]
    recording: Recording

    def sentence(self) -> str:
        """Return what the forward is, in one line."""
        inner: dict[str, str] = {}
        said = []
        for s in self.equations.statements:
            text = _renamed(ast.unparse(s.expr), inner)
            said += [f"{s.name} = {text}"] * s.written
            inner |= {} if s.written else {s.name: text}
        return f"the forward is the cell {self.cell}: {', '.join(said)}"

    def equation(self, text: str, line: int | None = None) -> str | None:
        """Return the gradient at an expression in the cell's terms: ``do = dh * np.tanh(c)``.

        At a matrix or a bias it is what each step adds, with the code's names for what has none in the cell;
        at an array of several gates, all of theirs; at a state, after the step. None for anything else. The
        line is where it stands, if its text stands at several places.
        """
        names = [n for n, series in self.bound.items() if _is(series, text, line)]
        name = min(names, key=lambda n: n.endswith("_prev"), default=None)  # of a state's, after the step
        if name in self._lines:
            return f"d{name} = {self._lines[name]}"
        arrays = [s.blocks[0] for s in self.recording.series if len(s.blocks) == 1 and _is(s, text, line)]
        for array, turned in product(arrays, (False, True)):
            its = array.T if turned else array
            if parts := [p for p in self.parts if np.array_equal(p.parameter.blocks[0], its)]:
                return f"d({text}) += {_added(sorted(parts, key=lambda p: p.start), turned)}"
        whole = {g: self.bound[g].wholes for g in self.equations.gates}
        gates = [g for g, its in whole.items() if any(_is(w, text, line) for w, _ in its)]
        return "; ".join(f"d{g} = {self._lines[g]}" for g in gates) or None

    @cached_property
    def _lines(self) -> dict[str | None, str]:
        """The gradients' right sides, by name of the value, which need have none in the equations."""
        inner, whole = dict[str, str](), Whole(Derivation(self.equations))
        for s, made in zip(self.equations.statements, whole.derivation.step.forward, strict=True):
            if not s.written:
                inner[made.name] = _renamed(code(made.expr), inner)
        every = tuple(replace(s, written=True) for s in self.equations.statements)
        wholes = (Whole(Derivation(replace(self.equations, statements=every))), whole)
        found = dict[str | None, str]()
        for one in wholes:
            # a sum that stands often has a name there, and none in the code
            sums = {x.name: _renamed(code(x.expr), inner) for x in one.backward if x.name[0] != "d"}
            for x in (*one.backward, *one.products):
                found[x.name[1:]] = _renamed(code(x.expr), inner | sums)
        return found


def _renamed(text: str, known: Mapping[str, str]) -> str:
    """Return an expression with others in the place of names."""
    put = re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda name: f"({known.get(name[0], name[0])})", text)
    return ast.unparse(ast.parse(put, mode="eval"))


@np.errstate(all="ignore")  # much of what is tried is no number
def recognise(recorded: Iterable[Recorded], cells: Sequence[EquationCell] | None = None) -> Match | None:
    """Return which cell a forward is, from the values of its expressions; None if it is none of them.

    What was recorded is one execution of several steps, in the order of evaluation: names that are read
    among them, each expression after its parts. Of the cells that fit, the one with most equations is meant.
    """
    recording = Recording(recorded)
    ordered = sorted(ZOO.values() if cells is None else cells, key=lambda c: -len(c.equations.names))
    tried = set[str]()
    for cell in ordered:
        eq = cell.equations
        same = repr([[(s.name, ast.unparse(s.expr)) for s in eq.statements], eq.states, eq.operand])
        for group, turned in product(recording.groups, senses(eq)) if same not in tried else ():
            alone = len(group.series[0].blocks) == 1  # a single step: of so simple a cell it may be any layer
            if len(group.series) >= len(eq.statements) and not (alone and len(eq.statements) < 3):
                search = Search(turned, recording, group)
                for bound, parts in search.solutions():
                    return Match(cell.name, turned, bound, parts, recording)
        tried.add(same)
    return None


def senses(equations: Equations) -> Iterator[Equations]:
    """Yield the equations, and for each gate z that is read as 1 - z, those with 1 - z and z exchanged."""
    yield equations
    texts = {s.name: ast.unparse(s.expr) for s in equations.statements}
    for z in (z for z in texts if any(f"(1 - {z})" in text for text in texts.values())):
        made = {n: re.sub(rf"\b{z}\b", f"(1 - {z})", text) for n, text in texts.items()}
        made = {n: text.replace(f"(1 - (1 - {z}))", z) for n, text in made.items()}
        new = [replace(s, expr=ast.parse(made[s.name], mode="eval").body) for s in equations.statements]
        yield replace(equations, statements=tuple(new))


def _is(series: Series, text: str, line: int | None) -> bool:
    return any(its == text and line in (None, at) for its, at in series.texts)


def _added(parts: list[Part], turned: bool) -> str:
    """Return what the gradients at gates add to their matrix's, or the transpose's, or to their bias's."""
    gates = list(dict.fromkeys(f"d{p.gate}" for p in parts))
    d = gates[0] if len(gates) == 1 else f"[{', '.join(gates)}]"
    factor, left = parts[0].factor, parts[0].left
    if factor is None:
        return f"{d}, summed over examples"
    z = min((text for text, _ in factor.texts), key=lambda t: (not t.replace(".", "").isidentifier(), len(t)))
    first, second = (d, z) if left != turned else (z, d)
    if factor.blocks[0].ndim == 1:
        return f"np.outer({first}, {second})"
    return f"{first} @ {second}.T" if left else f"{first}.T @ {second}"
