"""The proof of what is printed: the lines of a page, or a module's text, run through time and compared.

A page's lines are a program: a step forward, the same step backward, the sums over time. They are run as they
stand, with small matrices, and every element of every gradient is compared with the complex step through the
forward as it is printed, which is itself compared with the cell's. The NumPy module is run as text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bptt.derive import as_if_jax, exact
from bptt.derive.as_if_torch import Steps, namespace
from bptt.derive.as_jax import function_name
from bptt.derive.as_torch import class_name
from bptt.derive.axes import max_along
from bptt.derive.blocks import Page
from bptt.derive.functions import NAMESPACE
from bptt.derive.lines import Arrays, ModuleProgram, PageProgram, States, value
from bptt.derive.proof import DRAWS, STEP, TOLERANCE, Proof, ProofError, relative, same
from bptt.derive.whole import Whole
from bptt.layer.reference import unroll
from bptt.types import Array, Generator

if TYPE_CHECKING:
    from bptt.derive.equation_cell import EquationCell

ROWS, D = 24, 2
SIZES = ((3, 3), (2, 2), (1, 1))
"""How many steps and hidden units: the first with which the equations give numbers."""
MOST = 256
"""How many elements of a parameter are moved, drawn where there are more: one line makes all of them."""
_LANES = 32
_NUMPY = SimpleNamespace(**vars(np) | {"max": lambda a, axis, keepdims: max_along(a, axis)})
"""NumPy, but of several complex numbers that are the largest, the mean."""


Program: TypeAlias = PageProgram | ModuleProgram | Steps
"""What runs through time, forward and backward: a page's lines, or what a module defines."""

_Made = Callable[[bool, bool], Program]
"""Makes the program: whether in exact numbers, and with the last step as it is printed."""


@dataclass(frozen=True)
class _Problem:
    """Numbers to run with, and the gradients at the outputs and the final states.

    The arrays are the parameters by their names and what is given at each step, the input "x", and the
    states before, "0" and so on.
    """

    params: tuple[str, ...]
    given: tuple[str, ...]
    arrays: Arrays
    dy: Array
    dfinal: States

    def at(self, arrays: Arrays) -> tuple[Arrays, Any, States]:
        """Return arguments of a forward, from arrays by name."""
        states = tuple(arrays[f"{k}"] for k in range(len(self.dfinal)))
        return {n: arrays[n] for n in (*self.params, *self.given)}, arrays["x"], states

    def steps(self) -> set[str]:
        """Return the names of the arrays that have a time step."""
        return {"x", *self.given}

    def gradients(self, program: Program) -> Arrays:
        """Return the gradients at all arrays, by name."""
        params, x, states = self.at(self.arrays)
        _, _, tape = program.forward(params, x, states)
        grads, dx, dstates = program.backward(params, tape, self.dy, self.dfinal)
        return {n: 0 * a for n, a in params.items()} | grads | _named(dx, dstates)


def _named(x: Any, states: States) -> Arrays:
    return {"x": x} | {f"{k}": s for k, s in enumerate(states)}


def prove_page(page: Page, cell: "EquationCell") -> Proof:
    """Run a page's lines, forward and backward, and compare their gradients.

    Raises
    ------
    ProofError
        If the lines are not a program, or not the cell's; if a gradient is not the numerical one.
    """
    _prove_remarks(page)
    ends = (False, True) if page.lines("last") else (False,)
    return _prove(cell, page.whole, lambda exactly, end: PageProgram(page, exactly=exactly, end=end), ends)


def prove_module(text: str, page: Page, cell: "EquationCell") -> Proof:
    """Run a module's text as :func:`prove_page` runs the lines of a page."""
    source = text.replace("\nimport numpy as np\n", "\n", 1)

    def made(exactly: bool, end: bool) -> Program:
        names: Arrays = {"__name__": "printed", "np": exact.NAMESPACE["np"] if exactly else _NUMPY}
        exec(compile(source, f"<the module of {cell.name}>", "exec"), names)
        if exactly:  # of the functions that are approximated, too
            names |= {n: f for n, f in exact.NAMESPACE.items() if callable(names.get(n))}
        return ModuleProgram(page.whole, names["forward"], names["backward"])

    return _prove(cell, page.whole, made, (False,))


def prove_function(text: str, page: Page, cell: "EquationCell") -> Proof:
    """Run the text of a torch.autograd.Function as :func:`prove_module` runs a module's.

    It runs in NumPy under PyTorch's names, and so on every machine; where torch is installed, in it, too,
    against autograd, as the module checks itself.
    """
    name, source = class_name(cell.name), text.replace("\nimport torch\n", "\n", 1)

    def made(exactly: bool, end: bool) -> Program:
        names: Arrays = {"__name__": "printed", "torch": namespace(exact.NAMESPACE if exactly else NAMESPACE)}
        exec(compile(source, f"<the step of {cell.name}>", "exec"), names)
        return Steps(page.whole, names[name])

    proof = _prove(cell, page.whole, made, (False,))
    _prove_in_torch(text, page)
    return proof


def prove_vjp(text: str, page: Page, cell: "EquationCell") -> Proof:
    """Run the text of a jax.custom_vjp as :func:`prove_module` does: in NumPy under JAX's names."""
    name = function_name(cell.name)
    source = text.replace("\nimport jax\nimport jax.numpy as jnp\n", "\n\n", 1)

    def made(exactly: bool, end: bool) -> Program:
        names: Arrays = {"__name__": "printed"}
        names["jax"] = as_if_jax.namespace(exact.NAMESPACE if exactly else NAMESPACE)
        names["jnp"] = names["jax"].numpy
        exec(compile(source, f"<the step of {cell.name}>", "exec"), names)
        function = as_if_jax.Function(names[f"{name}_forward"], names[f"{name}_backward"])
        return Steps(page.whole, function)

    return _prove(cell, page.whole, made, (False,))


def _prove_in_torch(text: str, page: Page) -> None:
    """Let the module check itself, as it does when it is run; where there is no torch, nothing is said."""
    try:
        import torch
    except (ImportError, OSError):  # not there, or without a library of its own
        return
    names: Arrays = {"__name__": "printed"}
    exec(compile(text, f"<the step of {page.whole.equations.name}>", "exec"), names)
    with torch.random.fork_rng(devices=[]):
        heads = page.whole.equations.heads
        drawn = [names["draw"](*sizes) for sizes in ((3, 2, 2, 3 * heads), (1, 1, 1, heads))]
    error = max((names["difference"](given) for given in drawn if given), default=0.0)
    if not (error < TOLERANCE or page.undecided):
        raise ProofError(f"{page.title}: autograd's gradients differ by {error:.1e} from those of the text")


def _prove_remarks(page: Page) -> None:
    """Compare what the page says that a function is with what it is."""
    point = {"a": np.linspace(-3, 3, 13)}
    for r in page.remarks():
        left, right = (value(e, point) if not r.left.is_Symbol else 0.0 for e in (r.left, r.right))
        if not np.allclose(left, right, 1e-13, 1e-13):
            raise ProofError(f"{page.title}: {r.left} is not {r.right}")


@np.errstate(all="ignore")  # what is no number is looked for
def _prove(cell: "EquationCell", whole: Whole, made: _Made, ends: Sequence[bool]) -> Proof:
    made = cache(made)
    problem = _draw(cell, whole, made(False, False))
    _is_the_cell(cell, whole, problem, made)
    zeros = tuple(np.zeros_like(d) for d in problem.dfinal)
    problems = [replace(problem, dfinal=zeros) if end else problem for end in ends]
    error, compared, undecided = 0.0, 0, 0
    for end, p, rises in zip(ends, problems, _rises(made(False, False), problems), strict=True):
        got = p.gradients(made(False, end))
        off = {name: relative(got[name], *rise) for name, rise in rises.items()}
        unsure = {name: float(d.max()) for name, d in off.items() if np.any(d > TOLERANCE)}
        if unsure:
            rows = [off[n].max(axis=(0, 2)) for n in problem.steps()]
            rows += [off[n].max(axis=1) for n in off if n.isdigit()]
            worst = np.argsort(-np.max(rows, axis=0), kind="stable")
            # where sums over rows alone are off, no row is the worst
            _appeal(cell, made(True, end), p, unsure, worst[: 6 if np.max(rows) > TOLERANCE else None])
        error = max(error, *(float(np.max(d, initial=0)) for n, d in off.items() if n not in unsure), 0.0)
        compared += sum(int(np.sum(~np.isnan(rise))) for rise, _ in rises.values())
        undecided += sum(int(np.sum(d > TOLERANCE)) for d in off.values())
    steps, rows = problem.dy.shape[:2]
    drawn = any(problem.arrays[n].size > MOST for n in problem.params)
    return Proof(error, rows, compared, steps, undecided, drawn)


def _rises(program: Program, problems: Sequence[_Problem]) -> list[dict[str, tuple[Array, Array]]]:
    """Return the gradients by complex step, each with the size of the terms of which it is the sum.

    Elements are moved at once, each in a lane of its own. Rows do not meet: an element of x or of a state
    is moved in all rows. Where none was moved the gradient is nan.
    """
    first, arrays, rng = problems[0], problems[0].arrays, np.random.default_rng(0)
    lanes: list[tuple[str, tuple[Any, ...]]] = [
        (name, at if name in first.params else (*at[:-2], slice(None), at[-1]))
        for name, array in arrays.items()
        for at in (_drawn(array, rng) if name in first.params else np.ndindex(array.shape))
        if name in first.params or at[-2] == 0
    ]
    found: list[dict[str, tuple[Array, Array]]] = [
        {n: (np.full_like(a, np.nan), np.ones_like(a)) for n, a in arrays.items()} for _ in problems
    ]
    for start in range(0, len(lanes), _LANES):
        some = lanes[start : start + _LANES]
        moved = {n: np.repeat(a[None].astype(complex), len(some), axis=0) for n, a in arrays.items()}
        for k, (name, at) in enumerate(some):
            moved[name][(k, *at)] += STEP * 1j
        moved |= {n: moved[n].swapaxes(0, 1) for n in first.steps()}
        for name in first.params:
            if moved[name].ndim == 2:
                moved[name] = moved[name][:, None]  # one row for all
        outputs, final, _ = program.forward(*first.at(moved))
        for p, by_name in zip(problems, found, strict=True):
            terms = [d * np.imag(s) / STEP for d, s in zip(p.dfinal, final, strict=True)]
            terms = [*(p.dy[:, None] * np.imag(outputs) / STEP), *terms]  # each (lanes, N, ·)
            rise, size = (np.sum([t.sum(axis=-1) for t in ts], axis=0) for ts in (terms, map(np.abs, terms)))
            for k, (name, at) in enumerate(some):
                rows = np.sum if name in first.params else np.asarray
                by_name[name][0][at] = rows(rise[k])
                by_name[name][1][at] += rows(size[k])
    return found


def _drawn(array: Array, rng: Generator) -> Iterable[tuple[int, ...]]:
    """Return the places of an array's elements, of some where they are many."""
    if array.size <= MOST:
        return np.ndindex(array.shape)
    places = np.unravel_index(rng.choice(array.size, MOST, replace=False), array.shape)
    return zip(*(axis.tolist() for axis in places), strict=True)


def _appeal(
    cell: "EquationCell", program: Program, p: _Problem, unsure: Mapping[str, float], order: Array
) -> None:
    """Raise unless the gradients at some arrays are right in many digits, along a random direction.

    What is wrong in any element is wrong along almost every direction, and in so many digits that is seen: in
    the first row as a rule, else in another.
    """
    for rows in (order[:1], order[1:]):
        part = replace(
            p,
            arrays={n: exact.numbers(a if n in p.params else a[..., rows, :]) for n, a in p.arrays.items()},
            dy=exact.numbers(p.dy[:, rows]),
            dfinal=tuple(exact.numbers(d[rows]) for d in p.dfinal),
        )
        right = False
        with suppress(*exact.UNDECIDED):
            right = _is_right(program, part, list(unsure))
        if not right:
            name = max(unsure, key=lambda n: unsure[n])
            where = {"x": "the input"} | {f"{k}": f"{s}_prev" for k, s in enumerate(cell.states)}
            raise ProofError(
                f"{cell.name}: the printed gradient at {where.get(name, name)} is off by {unsure[name]:.1e}: "
                "this is a fault of bptt; please report the equations"
            )


def _is_right(program: Program, p: _Problem, names: Sequence[str]) -> bool:
    rng = np.random.default_rng(0)
    along = {n: exact.numbers(rng.normal(size=p.arrays[n].shape)) for n in names}
    losses = []
    with exact.held():
        got = p.gradients(program)
        for h in (exact.STEP, -exact.STEP):
            moved = {n: p.arrays[n] + h * along[n] for n in names}
            with exact.moved():
                outputs, final, _ = program.forward(*p.at(p.arrays | moved))
            pairs = [(outputs, p.dy), *zip(final, p.dfinal, strict=True)]
            losses.append(sum((s * d).sum() for s, d in pairs))
    parts = np.concatenate([(got[n] * along[n]).ravel() for n in names])
    rise = (losses[0] - losses[1]) / (2 * exact.STEP)
    return exact.agree(parts.sum(), rise, np.abs(parts).sum())


def _draw(cell: "EquationCell", whole: Whole, program: Program) -> _Problem:
    """Draw numbers with which the program gives numbers; rows in which it gives none are left out."""
    rng, eq = np.random.default_rng(0), whole.equations
    given = tuple(n for n in eq.inputs if n != "x")
    for T, J in SIZES:
        H = J * eq.heads
        inputs = H if "x" in eq.inputs else D
        for _ in range(DRAWS):
            shapes = whole.sized(inputs, partial(eq.width, H=H), 1)
            params = {n: rng.normal(size=shape) for n, shape in shapes.items()}
            x = rng.normal(size=(T, 16 * ROWS, inputs))
            states = tuple(rng.normal(size=(16 * ROWS, eq.width(s, H))) for s in cell.states)
            at = {n: rng.normal(size=(T, 16 * ROWS, eq.width(n, H))) for n in given}
            outputs, final, _ = program.forward(params | at, x, states)
            lifted = {n: a.astype(complex) for n, a in (params | at).items()}
            beside = program.forward(lifted, x.astype(complex), tuple(s.astype(complex) for s in states))
            pairs = zip((*outputs, *final), (*beside[0], *beside[1]), strict=True)
            finite = [same(a, c).all(axis=-1) for a, c in pairs]
            rows = np.flatnonzero(np.logical_and.reduce(finite))[:ROWS]
            if len(rows) > 1:
                x, states = x[:, rows], tuple(s[rows] for s in states)
                at = {n: a[:, rows] for n, a in at.items()}
                dy, *dfinal = (rng.normal(size=s.shape) for s in (outputs[:, rows], *states))
                arrays = params | at | _named(x, states)
                return _Problem(tuple(params), given, arrays, dy, tuple(dfinal))
    points = 16 * ROWS * DRAWS * len(SIZES)
    raise ProofError(f"{cell.name}: the lines give no number at {points:,} random points from N(0, 1)")


def _is_the_cell(cell: "EquationCell", whole: Whole, p: _Problem, made: _Made) -> None:
    """Raise unless the forward, as it is printed, gives what the cell's own gives."""
    layer = {"W": np.zeros((p.arrays["x"].shape[-1], 0)), "U": np.zeros((p.dy.shape[-1], 0))}
    layer |= whole.joined(p.arrays) | {n: p.arrays[n] for n in p.given}

    def both(program: Program, cell: "EquationCell", exactly: Any = np.asarray) -> list[tuple[Array, Array]]:
        arrays = {n: exactly(a) for n, a in p.arrays.items()}
        outputs, final, _ = program.forward(*p.at(arrays))
        ran = unroll(cell, {n: exactly(a) for n, a in layer.items()}, *p.at(arrays)[1:])
        return [(outputs, ran.y), *zip(final, ran.states, strict=True)]

    for k, (a, b) in enumerate(both(made(False, False), cell)):
        if not np.all(np.abs(a - b) <= TOLERANCE * (1 + np.abs(b))):
            same = False
            with suppress(*exact.UNDECIDED):
                a, b = both(made(True, False), cell.exactly(), exact.numbers)[k]
                same = exact.agree(a, b, b)
            if not same:
                name = ("y", *cell.states)[k]
                raise ProofError(f"{cell.name}: {name}, as it is printed, is not the cell's")
