"""A page's lines as a program: run as they stand, forward and backward through time, in NumPy."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from bptt.derive import exact
from bptt.derive.algebra import Expr, names_in
from bptt.derive.blocks import Page
from bptt.derive.functions import FUNCTIONS, NAMESPACE, in_numpy
from bptt.derive.proof import ProofError

Arrays = dict[str, Any]
States = tuple[Any, ...]
Function = Callable[..., Any]


def _functions(namespace: Mapping[str, Any]) -> dict[str, Function]:
    """Return what the functions of expressions are."""
    return {name: in_numpy(name, namespace) for name in FUNCTIONS} | {
        "where": lambda u, v, w: np.where(u > 0, v, w),
        "affine": lambda x, W: x @ W,
        "product": lambda da, U: da @ np.swapaxes(U, -1, -2),
        "outer": lambda x, da: np.swapaxes(x, -1, -2) @ da,
    }


FLOATS = _functions(NAMESPACE) | {"number": lambda e: int(e) if e.is_Integer else float(e)}
EXACT = _functions(exact.NAMESPACE) | {"number": lambda e: exact.numbers(e).item()}


def value(e: Expr, names: Mapping[str, Any], functions: Mapping[str, Function] = FLOATS) -> Any:
    """Return what an expression is, as it stands."""
    if e.is_Symbol:
        return names[e.name]
    if e.is_Number:
        return functions["number"](e)
    arguments = [value(a, names, functions) for a in e.args]
    if e.is_Pow:
        return arguments[0] ** arguments[1]
    if e.is_Add or e.is_Mul:
        return reduce(operator.add if e.is_Add else operator.mul, arguments)
    return functions[type(e).__name__](*arguments)


class PageProgram:
    """A page's lines, run in NumPy. A value is (..., N, H), whatever it is made of.

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
        self.whole, self.eq, self.functions = page.whole, page.whole.equations, functions
        self.end = end
        constants = {r.left.name: r.right for r in page.remarks() if r.left.is_Symbol}
        self.constants = {name: value(e, {}, functions) for name, e in constants.items()}
        self.step, self.gradients, self.last, self.sums, self.again = (
            [named for line in page.lines(role) for named in line.each()]
            for role in ("forward", "backward", "last", "sums", "again")
        )
        given = {self.whole.x, *self.whole.shapes, *self.constants, *self.eq.before}
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

    def _run(self, lines: Iterable[tuple[str, Expr]], names: Arrays, like: Any) -> None:
        for name, e in lines:
            shape = names[self.whole.x].shape if name == f"d{self.whole.x}" else like.shape
            names[name] = np.broadcast_to(self._value(name, e, names), shape)

    def _value(self, name: str, e: Expr, names: Arrays) -> Any:
        try:
            return value(e, names, self.functions)
        except (KeyError, ValueError) as error:  # no such name; shapes that do not fit
            raise ProofError(f"{self.eq.name}: {name} = {e} cannot be computed: {error}") from None

    def forward(self, params: Arrays, inputs: Any, states: States) -> tuple[Any, States, Any]:
        """Run the step forward through time."""
        tape, outputs = [], []
        for x in inputs:
            before = dict(zip(self.eq.before, states, strict=True))
            names = params | self.constants | before | {self.whole.x: x}
            self._run(self.step, names, states[0])
            states = tuple(names[s] for s in self.eq.states)
            tape.append(names)
            outputs.append(states[0])
        return np.stack(outputs), states, tape

    def backward(
        self, params: Arrays, tape: Any, doutputs: Any, dstates: States
    ) -> tuple[Arrays, Any, States]:
        """Run the step backward through time."""
        grads = {name: np.zeros_like(array) for name, array in params.items()}
        dinputs = []
        last = dict(self.last) if self.end else {}
        for dy, forward in zip(doutputs[::-1], tape[::-1], strict=True):
            names = forward | {self.whole.out: dy}
            names |= {f"d{s}_next": d for s, d in zip(self.eq.states, dstates, strict=True)}
            self._run(self.again, names, dy)
            if not all(np.all(names[n] == forward[n]) for n, _ in self.again):
                raise ProofError(f"{self.eq.name}: what is computed again is not what it was")
            self._run([(n, last.get(n, e)) for n, e in self.gradients], names, dy)
            for name, e in self.sums:
                inner = self._value(name, e.args[0], names)
                total = inner if grads[name[1:]].ndim == 2 else inner.sum(axis=0)
                grads[name[1:]] += total.sum(keepdims=True) if name[1:] in self.eq.scalars else total
            dinputs.append(names[f"d{self.whole.x}"])
            dstates = tuple(names.get(f"d{s}_prev", np.zeros_like(dy)) for s in self.eq.states)
            last = {}
        return grads, np.stack(dinputs[::-1]), dstates
