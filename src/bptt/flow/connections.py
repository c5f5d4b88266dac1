"""The connections from one step to the next, their derivatives, and products of them through time."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bptt.cells import Cache, Cell, States, blocks
from bptt.errors import ConfigError, DivergedError
from bptt.layer.reference import unroll
from bptt.types import Array, Params

Connection: TypeAlias = tuple[str, ...]
"""One way from a step to the next: the gates whose products it goes through, in the forward's order."""

DIRECT: Connection = ()

EVERYTHING, ELEMENTWISE, PRODUCTS = "everything", "direct", "every gate"


@dataclass(frozen=True)
class Path:
    """Connections that are kept while all the others are cut.

    Attributes
    ----------
    name : str
        "everything"; "direct", all that is elementwise; "every gate", all but direct; "gate i", by this
        gate's product at every step; "gate r then n", where n's operand comes through r; "direct or gate
        i", at each step the one or the other.
    connections : tuple of tuple of str
    """

    name: str
    connections: tuple[Connection, ...]


Factors: TypeAlias = dict[str, Array]
"""Elementwise derivatives (N, H) by what bears the name; those that are zero are not there."""


@dataclass(frozen=True)
class Step:
    """One step's elementwise derivatives. Gates and states have each a dict: they may share their names.

    Attributes
    ----------
    states : of each state by the states before
    gates : of each state by the gates
    q_states : of the operand q by the states before
    q_gates : of the operand q by the gates
    """

    states: dict[str, Factors]
    gates: dict[str, Factors]
    q_states: Factors
    q_gates: Factors

    def rows(self, rows: slice) -> "Step":
        """Return some of the N rows."""

        def some(factors: Factors) -> Factors:
            return {name: d[rows] for name, d in factors.items()}

        states, gates = ({to: some(by) for to, by in of.items()} for of in (self.states, self.gates))
        return Step(states, gates, some(self.q_states), some(self.q_gates))


def refusal(cell: Cell) -> str | None:
    """Return why a cell's connections cannot be told apart; None where they can."""
    if cell.more in ("", "inputs at each step"):
        return None
    return (
        f"{cell.name} has {cell.more}: flow follows cells of one number for each unit; bptt look shows "
        "this one's gradients"
    )


class Observed(Cell):
    """A cell that keeps the derivatives of every step while it runs."""

    def __init__(self, cell: Cell) -> None:
        if (reason := refusal(cell)) is not None:
            raise ConfigError(reason)
        self.name, self.gates, self.states = cell.name, cell.gates, cell.states
        self.from_x, self.from_h, self.from_q = cell.from_x, cell.from_h, cell.from_q
        self.operands = cell.operands
        self.units, self.scalars, self.starts, self.bias = cell.units, cell.scalars, cell.starts, cell.bias
        self.given, self.inputs = cell.given, cell.inputs
        self.steps: deque[Step] = deque()
        self.is_finite = True  # the states and their derivatives, so far
        self._cell = cell
        self._q: tuple[Factors, Factors] = {}, {}

    def operand(self, a: Array, states: States, k: int = 0) -> tuple[Array, Cache]:  # noqa: D102
        q, cache = self._cell.operand(a, states)
        da = np.zeros_like(a)
        before = self._cell.operand_backward(np.ones_like(q), cache, da)
        self._q = _named(self.states, before), _named(self.gates, blocks(da, len(self.gates)))
        self.is_finite &= all(np.isfinite(array).all() for array in (q, da, *before))
        return q, cache

    def forward(self, a: Array, states: States) -> tuple[States, Cache]:  # noqa: D102
        new, cache = self._cell.forward(a, states)
        step = Step({}, {}, *self._q)
        for state in self.states:
            one = tuple(
                np.ones_like(s) if name == state else np.zeros_like(s)
                for name, s in zip(self.states, new, strict=True)
            )
            da, before = self._cell.backward(one, cache)
            step.states[state] = _named(self.states, before)
            step.gates[state] = _named(self.gates, blocks(da, len(self.gates)))
            self.is_finite &= all(np.isfinite(array).all() for array in (da, *before))
        self.is_finite &= all(np.isfinite(array).all() for array in (a, *new))
        self.steps.append(step)
        return new, cache

    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:  # noqa: D102
        return self._cell.backward(dstates, cache)


def _named(names: tuple[str, ...], arrays: Iterable[Array]) -> Factors:
    return {name: array for name, array in zip(names, arrays, strict=True) if array.any()}


def steps_of(cell: Cell, params: Params, x: Array, states: States | None) -> list[Step]:
    """Run the cell over x, as :func:`bptt.unroll` does, and return every step's derivatives.

    Raises
    ------
    DivergedError
        If the states, or these derivatives, do not stay finite.
    """
    observed = Observed(cell)
    with np.errstate(all="ignore"):
        unroll(observed, params, x, states)
    if not observed.is_finite:
        raise DivergedError(
            f"{cell.name}: the states, or their derivatives, do not stay finite: "
            "there is no gradient to follow"
        )
    return list(observed.steps)


def all_connections(cell: Cell) -> list[Connection]:
    """Return every way that there can be from a step to the next."""
    inner = [(), *((r,) for r in cell.from_h)]
    return [DIRECT, *((g,) for g in cell.from_h), *((*r, n) for n in cell.from_q for r in inner)]


def probe(cell: Cell) -> Step:
    """Return a step's derivatives at random points."""
    rng = np.random.default_rng(0)
    # of several sizes, beyond many a threshold, too; a normaliser has to be positive
    size = np.repeat([1.0, 3.0, 10.0], 64)[:, None]
    a = size * rng.normal(size=(len(size), len(cell.gates)))
    states = tuple(size * rng.uniform(0.5, 1.5, (len(size), 1)) for _ in cell.states)
    observed = Observed(cell)
    with np.errstate(all="ignore"):
        if cell.from_q:
            observed.operand(a, states)
        observed.forward(a, states)
    return observed.steps[0]


def connections_of(cell: Cell) -> list[Connection]:
    """Return the ways that this cell has: those whose derivatives are not zero at all random points."""
    step = probe(cell)

    def names(factors: Factors) -> set[str]:  # a point where one is not finite says nothing
        return {name for name, d in factors.items() if (np.isfinite(d) & (d != 0)).any()}

    def there(connection: Connection) -> bool:
        if connection == DIRECT:
            return any(map(names, step.states.values()))
        *inner, gate = connection
        q = names(step.q_gates) & set(inner) if inner else names(step.q_states)
        return (gate in cell.from_h or bool(q)) and any(gate in names(by) for by in step.gates.values())

    return [connection for connection in all_connections(cell) if there(connection)]


def paths_of(cell: Cell) -> list[Path]:
    """Return the cell's paths that are worth telling apart: no two of them the same."""
    connections = connections_of(cell)
    products = [c for c in connections if c != DIRECT]
    names = {c: "gate " + " then ".join(c) for c in products}
    kept = {EVERYTHING: connections}
    if DIRECT in connections:
        kept |= {ELEMENTWISE: [DIRECT], PRODUCTS: products}
    kept |= {name: [c] for c, name in names.items()}
    if DIRECT in connections:
        kept |= {f"direct or {name}": [DIRECT, c] for c, name in names.items()}
    paths: dict[tuple[Connection, ...], Path] = {}
    for name, some in kept.items():
        if some or name == EVERYTHING:
            paths.setdefault(tuple(some), Path(name, tuple(some)))
    return list(paths.values())


def products_of(step: Step, paths: list[Path]) -> int:
    """Return how many products of a Jacobian and a derivative it takes to go a step back along each path."""

    def of(connection: Connection) -> int:
        if connection == DIRECT:
            return sum(map(len, step.states.values()))
        return sum(connection[-1] in by for by in step.gates.values()) + max(1, len(step.q_states))

    return sum(of(connection) for path in paths for connection in path.connections)


def products(cell: Cell, steps: list[Step], U: Array, path: Path, start: Array) -> Iterator[dict[str, Array]]:
    """Yield the rows of `start` times J_1, J_2, ... along a path, from the last step back.

    Parameters
    ----------
    start : (N, M, H)
        Gradients at a state at t, each in turn at each of the S states.

    Yields
    ------
    dict of (N, S·M, H)
        By the state at t-k. One that is not there is zero.
    """
    H, S = len(U), len(cell.states)
    N, M, _ = start.shape
    UT = transposed(cell, U)
    # everything is everything, also a way that was zero where the cell was probed
    connections = all_connections(cell) if path.name == EVERYTHING else list(path.connections)
    J = {}
    for s, state in enumerate(cell.states):
        J[state] = np.zeros((N, S * M, H))
        J[state][:, s * M : (s + 1) * M] = start
    for step in reversed(steps):
        J = back(cell, step, UT, connections, J)
        yield J


def transposed(cell: Cell, U: Array) -> dict[str, Array]:
    """Return each gate's columns of U, transposed."""
    H, fed = len(U), (*cell.from_h, *cell.from_q)
    return {g: np.ascontiguousarray(U[:, k * H : (k + 1) * H].T) for k, g in enumerate(fed)}


def back(
    cell: Cell, step: Step, UT: dict[str, Array], connections: list[Connection], J: dict[str, Array]
) -> dict[str, Array]:
    """Return J times one step's Jacobian, of these connections alone.

    Parameters
    ----------
    cell : Cell
    step : Step
        Of N rows.
    UT : dict of (H, H)
        Of :func:`transposed`.
    connections : list
    J : dict of (N, M, H)
        Gradients at the states after the step, M for each row.

    Returns
    -------
    dict of (N, M, H)
        At the states before it; one that is not there is zero.
    """
    h = cell.states[0]
    new: dict[str, Array] = {}

    def add(state: str, part: Array) -> None:
        new[state] = new[state] + part if state in new else part

    for connection in connections:
        if connection == DIRECT:
            for to, part in J.items():
                for of, d in step.states[to].items():
                    add(of, part * d[:, None])
            continue
        *inner, gate = connection
        das = [part * step.gates[to][gate][:, None] for to, part in J.items() if gate in step.gates[to]]
        if not das:
            continue
        dproduct = _times(sum(das[1:], das[0]), UT[gate])
        if gate not in cell.from_q:
            add(h, dproduct)
        elif inner:
            (r,) = inner
            if r in step.q_gates:
                add(h, _times(dproduct * step.q_gates[r][:, None], UT[r]))
        else:
            for of, d in step.q_states.items():
                add(of, dproduct * d[:, None])
    return new


def _times(J: Array, UT: Array) -> Array:
    """Return J (N, S·M, H) times UT (H, H)."""
    product: Array = J.reshape(-1, J.shape[-1]) @ UT
    return product.reshape(J.shape)
