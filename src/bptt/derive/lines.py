"""A page's lines as a program: run as they stand, forward and backward through time, in NumPy."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from bptt.derive import axes, exact
from bptt.derive.algebra import Expr, names_in
from bptt.derive.axes import NUMBERS, numbers
from bptt.derive.blocks import Page
from bptt.derive.functions import FUNCTIONS, NAMESPACE, in_numpy
from bptt.derive.proof import ProofError
from bptt.derive.whole import Whole

Arrays = dict[str, Any]
States = tuple[Any, ...]
Function = Callable[..., Any]


class Matrix(NamedTuple):
    """A gate's matrix, and for one row the shapes of what it is multiplied by and of what it gives."""

    array: Any
    takes: tuple[int, ...]
    gives: tuple[int, ...]


def flat(a: Any) -> Any:
    """Return a value (..., heads, units, keys) with one axis for these."""
    return a.reshape(*a.shape[:-3], -1)


def shaped(a: Any, shape: tuple[int, ...]) -> Any:
    """Return what :func:`flat` was given."""
    return a.reshape(*a.shape[:-1], *shape)


SHAPED = {
    "affine": lambda x, W: shaped(flat(x) @ W.array, W.gives),
    "product": lambda da, U: shaped(flat(da) @ np.swapaxes(U.array, -1, -2), U.takes),
    "outer": lambda x, da: np.swapaxes(flat(x), -1, -2) @ flat(da),
}
"""The products of values that have an axis each for heads, units and keys."""


NONE: Mapping[str, Expr] = MappingProxyType({})
WHOLE = "with all axes"
"""What is put to a gradient's name: it is written with as few axes as it has numbers for."""


def _functions(namespace: Mapping[str, Any]) -> dict[str, Function]:
    """Return what the functions of expressions are."""
    return (
        {name: in_numpy(name, namespace) for name in FUNCTIONS}
        | axes.NAMESPACE
        | {
            "where": lambda u, v, w: np.multiply(np.where(u > 0, v, w), 1.0),  # no quotient of whole numbers
            "affine": lambda x, W: x @ W,
            "product": lambda da, U: da @ np.swapaxes(U, -1, -2),
            "outer": lambda x, da: np.swapaxes(x, -1, -2) @ da,
        }
    )


FLOATS = _functions(NAMESPACE) | {"number": lambda e: int(e) if e.is_Integer else float(e)}
EXACT = _functions(exact.NAMESPACE) | {"number": lambda e: exact.numbers(e).item()}


def value(e: Expr, names: Mapping[str, Any], functions: Mapping[str, Function] = FLOATS) -> Any:
    """Return what an expression is, as it stands."""
    if e.is_Symbol:
        return names[e.name]
    if e.is_Number:
        return functions["number"](e)
    arguments = [value(a, names, functions) for a in e.args]
    if type(e).__name__ in SHAPED:
        arguments = [names.get(f"{a} {WHOLE}", v) for a, v in zip(e.args, arguments, strict=True)]
    if e.is_Pow:
        return arguments[0] ** arguments[1]
    if e.is_Add or e.is_Mul:
        return reduce(operator.add if e.is_Add else operator.mul, arguments)
    return functions[type(e).__name__](*arguments)


class PageProgram:
    """A page's lines, run in NumPy. A value is (..., N, H), whatever it is made of.

    Of a cell with values of other shapes each is (..., N, heads, units, keys) within a step.

    Parameters
    ----------
    page : Page
    exactly : bool
        Whether in numbers of many digits (see :mod:`bptt.derive.exact`).
    end : bool
        Whether the last step is the page's last step, with zeros from a step after; else one like the others.
    """

    def __init__(self, page: Page, *, exactly: bool = False, end: bool = False) -> None:
        functions = EXACT if exactly else FLOATS
        self.whole, self.eq = page.whole, page.whole.equations
        self.functions = functions if self.eq.is_elementwise else functions | SHAPED
        self.end = end
        constants = {r.left.name: r.right for r in page.remarks() if r.left.is_Symbol}
        self.constants = {name: value(e, {}, functions) for name, e in constants.items()}
        self.step, self.gradients, self.last, self.sums, self.again = (
            [named for line in page.lines(role) for named in line.each()]
            for role in ("forward", "backward", "last", "sums", "again")
        )
        given = {
            self.whole.x,
            *self.whole.shapes,
            *self.constants,
            *self.eq.before,
            *self.eq.inputs,
            *NUMBERS,
        }
        self.step = self._in_order(self.step, given)
        unknown = {n for n, _ in self.last} - {n for n, _ in self.gradients}
        if unknown:
            raise ProofError(f"{self.eq.name}: {', '.join(unknown)} is set in the last step alone")

    def _in_order(self, lines: Sequence[tuple[str, Expr]], given: set[str]) -> list[tuple[str, Expr]]:
        """Return equations so that each stands below those that it reads: the gates are shown first."""
        left, ordered = list(lines), []
        while left:
            ready = next((x for x in left if names_in([x[1]]) <= given), None)
            if ready is None:
                raise ProofError(f"{self.eq.name}: {left[0][0]} is printed by a name that is set nowhere")
            left.remove(ready)
            ordered.append(ready)
            given.add(ready[0])
        return ordered

    def _run(
        self, lines: Iterable[tuple[str, Expr]], names: Arrays, like: Any, last: Mapping[str, Expr] = NONE
    ) -> None:
        """Set the names that lines set; `last` are those that are others at the last step."""
        for name, e in lines:
            made = self._value(name, e, names)
            if name in last:  # with the axes that it has at the others
                made = np.broadcast_to(self._value(name, last[name], names), np.shape(made))
            shape = names[self.whole.x].shape if name == f"d{self.whole.x}" else like.shape
            if not self.eq.is_elementwise:
                made = np.broadcast_to(made, np.broadcast_shapes(np.shape(made), (1, 1, 1)))
                shape = self._shape(name, like.shape[:-3]) or made.shape
            try:
                whole = np.broadcast_to(made, shape)
                names[name] = whole if self.eq.is_elementwise or name in self.eq.axes else made
                names[f"{name} {WHOLE}"] = whole
            except ValueError as error:  # an axis too many
                raise ProofError(f"{self.eq.name}: {name} = {e} has another shape: {error}") from None

    def _shape(self, name: str, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a value of the equations, or of a gradient at one."""
        own = self.whole.value_of(name)
        if name == f"d{self.whole.x}" and own not in self.eq.inputs:
            return (*rows, 1, 1, self.D)
        return (*rows, *self.eq.shape(own, self.H)) if own else ()

    def _value(self, name: str, e: Expr, names: Arrays) -> Any:
        try:
            return value(e, names, self.functions)
        except (KeyError, ValueError) as error:  # no such name; shapes that do not fit
            raise ProofError(f"{self.eq.name}: {name} = {e} cannot be computed: {error}") from None

    def _shaped(self, name: str, a: Any) -> Any:
        """Return what is handed in flat as it is within a step."""
        return a if self.eq.is_elementwise else shaped(a, self.eq.shape(name, self.H))

    def _flat(self, a: Any) -> Any:
        return a if self.eq.is_elementwise else flat(a)

    def _sizes(self, params: Arrays, inputs: Any, states: States) -> Arrays:
        """Note the sizes, and return all that is the same at every step."""
        eq = self.eq
        if eq.is_elementwise:
            return params | self.constants
        widths = {s: a.shape[-1] for s, a in zip(eq.states, states, strict=True)}
        widths |= {g: params[n].shape[-1] for (kind, g), n in self.whole.names.items() if kind in "WU"}
        widths |= {n: params[n].shape[-1] for n in (*eq.params, *eq.inputs) if n in params}
        names = [n for n in widths if n not in eq.scalars]
        self.H, self.D = eq.hidden(names, sum(widths[n] for n in names)), inputs.shape[-1]
        at_x = eq.shape("x", self.H) if "x" in eq.inputs else (1, 1, self.D)
        made = params | self.constants | numbers(*eq.sizes(self.H))
        for (kind, gate), name in self.whole.names.items():
            if kind in "WU" and gate:
                source = str(self.whole.source(gate))
                takes = at_x if kind == "W" else eq.shape(source, self.H)
                made[name] = Matrix(params[name], takes, eq.shape(gate, self.H))
            elif gate:
                made[name] = self._shaped(gate, params[name])
        return made | {n: self._shaped(n, params[n]) for n in eq.params}

    def forward(self, params: Arrays, inputs: Any, states: States) -> tuple[Any, States, Any]:
        """Run the step forward through time; `params` has what is given at each step, too, (T, ..., N, ·)."""
        eq, x = self.eq, self.whole.x
        same = self._sizes(params, inputs, states)
        given = [n for n in eq.inputs if n != x]
        tape, outputs = [], []
        states = tuple(map(self._shaped, eq.states, states))
        for t, at in enumerate(inputs):
            names = same | dict(zip(eq.before, states, strict=True))
            names |= {n: self._shaped(n, params[n][t]) for n in given}
            names[x] = (
                at if eq.is_elementwise else self._shaped(x, at) if x in eq.inputs else at[..., None, None, :]
            )
            self._run(self.step, names, states[0])
            states = tuple(names[s] for s in eq.states)
            tape.append(names)
            outputs.append(self._flat(states[0]))
        return np.stack(outputs), tuple(map(self._flat, states)), tape

    def backward(
        self, params: Arrays, tape: Any, doutputs: Any, dstates: States
    ) -> tuple[Arrays, Any, States]:
        """Run the step backward through time."""
        eq = self.eq
        grads = {name: np.zeros_like(array) for name, array in params.items()}
        dinputs = []
        last = dict(self.last) if self.end else {}
        dstates = tuple(map(self._shaped, eq.states, dstates))
        for t in reversed(range(len(tape))):
            forward, dy = tape[t], self._shaped(eq.states[0], doutputs[t])
            names = forward | {self.whole.out: dy}
            names |= {f"d{s}_next": d for s, d in zip(eq.states, dstates, strict=True)}
            self._run(self.again, names, dy)
            if not all(np.all(names[n] == forward[n]) for n, _ in self.again):
                raise ProofError(f"{eq.name}: what is computed again is not what it was")
            self._run(self.gradients, names, dy, last)
            for name, e in self.sums:
                inner = names.get(f"{e.args[0]} {WHOLE}", self._value(name, e.args[0], names))
                if inner.ndim > 2:
                    own = self._shape(name, inner.shape[:-3]) or inner.shape
                    inner = self._flat(np.broadcast_to(inner, own))
                total = inner if grads[name[1:]].ndim == 2 else inner.sum(axis=0)
                grads[name[1:]] += total.sum(keepdims=True) if name[1:] in eq.scalars else total
            for n in grads.keys() & {*eq.inputs}:
                if f"d{n}" in names:
                    grads[n][t] = self._flat(names[f"d{n} {WHOLE}"])
            dinputs.append(self._flat(names[f"d{self.whole.x} {WHOLE}"]))
            zeros = (np.zeros_like(d) for d in dstates)
            dstates = tuple(names.get(f"d{s}_prev {WHOLE}", z) for s, z in zip(eq.states, zeros, strict=True))
            last = {}
        return grads, np.stack(dinputs[::-1]), tuple(map(self._flat, dstates))


@dataclass(frozen=True)
class ModuleProgram:
    """What a module of NumPy defines, called as a page's lines are."""

    whole: Whole
    runs_forward: Any
    runs_backward: Any

    def forward(self, params: Arrays, inputs: Any, states: States) -> tuple[Any, States, Any]:
        """Run the module's forward through time."""
        own = {n: params[n] for n in self.whole.shapes}
        given = tuple(params[n] for n in self._given)
        made: tuple[Any, States, Any] = self.runs_forward(own, inputs, states, *([given] if given else []))
        return made

    def backward(
        self, params: Arrays, tape: Any, doutputs: Any, dstates: States
    ) -> tuple[Arrays, Any, States]:
        """Run its backward."""
        own = {n: params[n] for n in self.whole.shapes}
        grads, dinputs, dstates, *more = self.runs_backward(own, tape, doutputs, dstates)
        return grads | dict(zip(self._given, *more, strict=True) if more else {}), dinputs, dstates

    @property
    def _given(self) -> list[str]:
        return [n for n in self.whole.equations.inputs if n != self.whole.x]
