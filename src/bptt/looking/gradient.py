"""The gradient of each step's loss, followed back through time: how much of it arrives where.

For the loss L_t of every step t of a sequence, each a row of its own::

    norm[t, k, p] = ‖ ∂L_t / ∂s_{t-k} ‖      the Euclidean norm over all of a layer's states after step t-k

A layer's states after a step are what the rest of the network goes on with, taken as independent of each
other: c_t is what step t+1 reads of it, and not what h_t has been made of. So ∂L_t/∂c_t is zero, and k = 0
shows the gradient at h_t. The paths:

everything
    The whole gradient, as automatic differentiation has it: in a stack also by way of the layers above and
    their own way through time, with several directions by way of each of them.
within the layer
    Below the top of a stack: begins with everything's gradient at t, which comes from the loss through the
    layers above at that step alone, and goes on within the layer by all its connections from step to step.
    (In a stack that reads in both directions the layers above bring the gradient at t from other steps, too.)
direct, every gate, gate i, ...
    The same along some of these connections, the others cut at every step: see :mod:`bptt.flow`. Of a cell
    that `flow` does not take (values over axes, several operands) there are the direct ways, through no
    weight matrix, and all others together.

With a pool a sequence has one loss, at its last step, of the direction that reads from the end at its first;
it enters where the pool reads, and paths begin at each of these steps.

All rows are followed at once, from the last step to the first: what arrives at a step is multiplied by that
step's Jacobian, whose factors all rows share. So a sequence of T steps takes T products of (K+1, H) rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import DivergedError
from bptt.flow.connections import (
    DIRECT,
    ELEMENTWISE,
    EVERYTHING,
    PRODUCTS,
    Path,
    all_connections,
    paths_of,
    refusal,
    steps_of,
    transposed,
)
from bptt.flow.connections import back as step_back
from bptt.layer.reference import Unrolled
from bptt.layer.threads import one_blas_thread
from bptt.looking.forward import LayerRun, Ran, enters
from bptt.types import Array

WITHIN = "within the layer"

MOST_NUMBERS = 1 << 24
"""Numbers of what arrives at a layer below that are held at once: 128 MB."""


@dataclass(frozen=True, eq=False)
class Reach:
    """How far the losses' gradients reach in one direction of a layer.

    Attributes
    ----------
    paths : list of str
        Everything first.
    norm : (T, K+1, P)
    inputs : (T, K+1)
        The norm at the layer's input at t-k, of everything.
    """

    paths: list[str]
    norm: Array
    inputs: Array


@dataclass(frozen=True)
class _Rows:
    """The losses of steps `first` to `stop`, a row each, as one direction follows them.

    Where there is a gradient of a row at any step, before it and after it, it is `everywhere`.
    """

    first: int
    stop: int
    lags: int
    reverse: bool
    everywhere: bool

    def __len__(self) -> int:
        return self.stop - self.first

    def active(self, at: int) -> slice:
        """Return the rows that have a gradient at a step, or may have."""
        if self.everywhere:
            return slice(0, len(self))
        low, high = (at - self.lags, at) if self.reverse else (at, at + self.lags)
        return slice(max(low - self.first, 0), min(high + 1 - self.first, len(self)))

    def steps(self, T: int) -> range:
        """Return the steps in the order of the backward."""
        first, stop = (0, T) if self.everywhere else self.span(T)
        return range(first, stop) if self.reverse else range(stop - 1, first - 1, -1)

    def span(self, T: int) -> tuple[int, int]:
        """Return the first step that the rows reach, and that after the last."""
        if self.reverse:
            return self.first, min(self.stop + self.lags, T)
        return max(self.first - self.lags, 0), self.stop

    def lag(self, at: int, active: slice) -> tuple[Array, Array]:
        """Return the steps of the losses that are 0 to K steps from a step, and how many."""
        t = self.first + np.arange(active.start, active.stop)
        k = at - t if self.reverse else t - at
        seen = (k >= 0) & (k <= self.lags)
        return t[seen], k[seen]


def reach(ran: Ran, lags: int, which: Sequence[int], *, paths: bool = True) -> list[list[Reach]]:
    """Return how far gradients reach in some layers.

    Parameters
    ----------
    ran : Ran
    lags : int
        K, the most steps to go back.
    which : sequence of int
        The layers.
    paths : bool
        Whether along each path, or everything alone.

    Returns
    -------
    list of list of Reach
        For each of these layers, by direction.

    Raises
    ------
    DivergedError
        If the states, or their derivatives, do not stay finite.
    """
    sides = ran.layers[0]
    if not all(np.isfinite(a).all() for sides in ran.layers for own in sides for a in own.states.values()):
        raise DivergedError(f"{sides[0].cell.name}: the states do not stay finite: there is nothing to see")
    kept = _Kept(ran, lags, min(which))
    with one_blas_thread(), np.errstate(all="ignore"):
        for first, stop in kept.blocks():
            kept.follow(first, stop)
        found = list[list[Reach]]()
        for layer in which:
            found.append([])
            for d, own in enumerate(ran.layers[layer]):
                norms = {EVERYTHING: kept.norm[layer, d]}
                if paths:
                    norms |= _along(own, kept, layer, d)
                norm = np.stack([*norms.values()], axis=2)
                found[-1].append(Reach([*norms], norm, kept.inputs[layer, d]))
    return found


class _Kept:
    """What is found of everything, layer by layer."""

    def __init__(self, ran: Ran, lags: int, lowest: int) -> None:
        self.ran, self.lags, self.lowest = ran, lags, lowest
        self.T, self.pooled = len(ran.layers[0][0].a), ran.model.pool is not None
        self.is_stack = lowest < len(ran.layers) - 1
        both = len(ran.layers[0]) > 1
        self.everywhere = self.pooled or (both and self.is_stack)
        at = [(layer, d) for layer in range(lowest, len(ran.layers)) for d in range(1 + both)]
        self.norm = {of: np.full((self.T, lags + 1), np.nan) for of in at}
        self.inputs = {of: np.full((self.T, lags + 1), np.nan) for of in at}
        # what a path begins with: by state, at each step
        self.begins = {of: [np.zeros((self.T, w)) for w in ran.layers[of[0]][of[1]].widths] for of in at}
        self.pool = enters(ran) if self.pooled else []

    def rows(self, first: int, stop: int, reverse: bool) -> _Rows:
        if self.pooled:  # the one loss stands where this direction ends
            first, stop = (0, 1) if reverse else (self.T - 1, self.T)
        return _Rows(first, stop, self.lags, reverse, self.everywhere)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the losses to follow together: as many as what they leave below a layer may be."""
        if self.pooled:
            yield 0, 1
            return
        rows = self.T
        if self.is_stack:
            steps = self.T if self.everywhere else min(self.T, 4 * self.lags + 1)
            rows = max(1, MOST_NUMBERS // (steps * self.ran.model.stack.width))
            rows = rows if self.everywhere else min(rows, 3 * self.lags + 1)
        for first in range(0, self.T, rows):
            yield first, min(first + rows, self.T)

    def follow(self, first: int, stop: int) -> None:
        """Follow everything from some losses down to the lowest layer."""
        ran, T = self.ran, self.T
        low, high = (0, T) if self.everywhere else self.rows(first, stop, False).span(T)
        if not self.everywhere and len(ran.layers[0]) > 1:
            low, high = 0, T  # of one layer alone: nothing is left below
        brought: Array | None = None
        for layer in range(len(ran.layers) - 1, self.lowest - 1, -1):
            below = None
            if layer > self.lowest:
                below = np.zeros((stop - first, high - low, ran.layers[layer][0].x.shape[-1]))
            for d, own in enumerate(ran.layers[layer]):
                self._sweep(self.rows(first, stop, own.reverse), layer, d, brought, below, low)
            brought = below

    def _sweep(
        self, rows: _Rows, layer: int, d: int, brought: Array | None, below: Array | None, low: int
    ) -> None:
        """Follow everything through one direction of a layer."""
        own, side, begins = self.ran.layers[layer][d], self.ran.model.stack.side, self.begins[layer, d]
        part, narrow = slice(d * side, (d + 1) * side), own.run if below is not None else _narrow(own)

        def enter(at: int, active: slice, states: list[Array]) -> None:
            dh = states[0]
            if brought is not None:
                dh[active] += brought[active, at - low, part]
            elif self.pooled:
                dh[active] += self.pool[d][at]
            elif rows.first <= at < rows.stop:
                dh[at - rows.first] += self.ran.dh[at, part]
            if self.pooled:
                begins[0][at] = self.pool[d][at] if brought is None else brought[0, at - low, part]

        def back(at: int, active: slice, states: States) -> States:
            if not self.pooled and rows.first <= at < rows.stop:
                for begin, state in zip(begins, states, strict=True):
                    begin[at] = state[at - rows.first - active.start]
            da, before = own.run.step_backward(at, states)
            dx = narrow.input_backward(da)
            t, k = rows.lag(at, active)
            self.inputs[layer, d][t, k] = _norm(dx)[t - rows.first - active.start]
            if below is not None:
                below[active, at - low] += dx
            return before

        _followed(rows, self.T, own.widths, enter, back, self.norm[layer, d])


def _followed(
    rows: _Rows,
    T: int,
    widths: Sequence[int],
    enter: Callable[[int, slice, list[Array]], None],
    back: Callable[[int, slice, States], States],
    norm: Array,
) -> None:
    """Follow rows through the steps, and note the norm of each at 0 to K steps before its loss."""
    states = [np.zeros((len(rows), w)) for w in widths]
    for at in rows.steps(T):
        active = rows.active(at)
        enter(at, active, states)
        some = tuple(state[active].copy() for state in states)
        t, k = rows.lag(at, active)
        norm[t, k] = _norm(*some)[t - rows.first - active.start]
        for state, before in zip(states, back(at, active, some), strict=True):
            state[active] = before


def _norm(*arrays: Array) -> Array:
    """Return the Euclidean norm of each row over all arrays; infinity for what has grown beyond numbers."""
    norm: Array = np.sqrt(sum(np.einsum("rh,rh->r", a, a) for a in arrays))
    return np.where(np.isnan(norm), np.inf, norm)


def _narrow(own: LayerRun) -> Unrolled:
    """Return a run whose gradient at the input has the same norm, and no more numbers than the gates have."""
    W = own.params["W"]
    if len(W) <= W.shape[1] or "x" in own.cell.inputs:
        return own.run
    R: Array = np.linalg.qr(W, mode="r")  # type: ignore[assignment]  # W = Q R: Q keeps lengths
    return replace(own.run, _params=own.params | {"W": R})


def paths_in(cell: Cell, *, below: bool) -> list[Path]:
    """Return the paths besides everything: by each gate where the cell's connections can be told apart.

    Others, as of values over axes, have the direct one and that through any weight matrix.
    """
    if refusal(cell) is None:
        found = [p for p in paths_of(cell)[1:] if DIRECT not in p.connections or len(p.connections) == 1]
    elif (products := (*cell.from_h, *cell.from_q)) and _has_direct(cell):
        found = [Path(ELEMENTWISE, (DIRECT,)), Path(PRODUCTS, (products,))]
    else:  # one of the two is everything
        found = []
    return [Path(WITHIN, tuple(all_connections(cell))), *found] if below else found


def _has_direct(cell: Cell) -> bool:
    """Return whether a step reads the states before it other than through a weight matrix."""
    rng, H = np.random.default_rng(0), 3 * cell.heads
    a = rng.normal(size=(64, sum(cell.width(gate, H) for gate in cell.gates)))
    states = tuple(rng.uniform(0.5, 1.5, (64, cell.width(s, H))) for s in cell.states)
    new, cache = cell.forward(a, states)
    _, before = cell.backward(tuple(np.ones_like(s) for s in new), cache)
    return any((np.isfinite(d) & (d != 0)).any() for d in before)


def _along(own: LayerRun, kept: _Kept, layer: int, d: int) -> dict[str, Array]:
    """Return the norms along each path of a layer."""
    cell, begins, found = own.cell, kept.begins[layer, d], dict[str, Array]()
    rows = replace(kept.rows(0, kept.T, own.reverse), everywhere=kept.pooled)

    def enter(at: int, active: slice, states: list[Array]) -> None:
        if kept.pooled or rows.first <= at < rows.stop:
            for state, begin in zip(states, begins, strict=True):
                state[0 if kept.pooled else at - rows.first] += begin[at]

    paths = paths_in(cell, below=layer < len(kept.ran.layers) - 1)
    for name, back in _backs(own, paths).items():
        found[name] = norm = np.full((kept.T, kept.lags + 1), np.nan)
        _followed(rows, kept.T, own.widths, enter, back, norm)
    return found


def _backs(own: LayerRun, paths: list[Path]) -> dict[str, Callable[[int, slice, States], States]]:
    """Return for each path what takes gradients at the states after a step to those before it."""
    cell, ran = own.cell, own.run

    def by_products(at: int, _: slice, states: States) -> States:
        whole, direct = ran.step_backward(at, states)[1], ran.direct_backward(at, states)
        return tuple(a - b for a, b in zip(whole, direct, strict=True))

    known = {
        WITHIN: lambda at, _, states: ran.step_backward(at, states)[1],
        ELEMENTWISE: lambda at, _, states: ran.direct_backward(at, states),
        PRODUCTS: by_products,
    }
    if refusal(cell) is not None or not paths:
        return {path.name: known[path.name] for path in paths}
    turn = slice(None, None, -1 if own.reverse else 1)
    given = {name: own.params[name][turn] for name in cell.given if name in own.params}
    steps = steps_of(cell, own.params | given, own.x[turn], own.first)[turn]
    UT, zero = transposed(cell, own.params["U"]), np.zeros(1)

    def along(path: Path) -> Callable[[int, slice, States], States]:
        def back(at: int, _: slice, states: States) -> States:
            J = {name: state[None] for name, state in zip(cell.states, states, strict=True)}
            new = step_back(cell, steps[at], UT, list(path.connections), J)
            return tuple(new[name][0] if name in new else zero for name in cell.states)

        return back

    return {path.name: known[WITHIN] if path.name == WITHIN else along(path) for path in paths}
