"""A layer through time by a compiled kernel, with the contract of :func:`bptt.unroll`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import ConfigError
from bptt.kernels.cell.compiled import Compiled, columns_of
from bptt.kernels.cell.planned import USED_UP, Layer, PlannedRun
from bptt.kernels.cell.rows import is_small, rows_of
from bptt.kernels.cell.sweep import Sweep
from bptt.kernels.ops.rows import add, copy, take, zeros
from bptt.kernels.ops.sums import column_sums, scatter_add
from bptt.kernels.runtime import memory
from bptt.kernels.runtime.program import Shaped
from bptt.kernels.runtime.programs import Known
from bptt.kernels.runtime.tape import recording
from bptt.layer.columns import Part
from bptt.layer.shapes import expect
from bptt.shown import Shown
from bptt.types import Array, Gradients, Params


def unroll(
    compiled: Compiled,
    params: Params,
    x: Array,
    states: States | None,
    dtype: np.dtype[Any],
    *,
    mask: Array | None,
    reset: Array | None,
    reverse: bool,
) -> "KernelRun | PlannedRun":
    """Run a cell through time; the arrays are those that :func:`bptt.unroll` has checked."""
    T, N = x.shape[:2]
    is_known = mask is None or is_small(T, N, size_of(params))
    if not is_known or recording.tape is not None:  # how many rows there are is in the mask
        return run(compiled, params, x, states, dtype, mask=mask, reset=reset, reverse=reverse)
    x = np.ascontiguousarray(x, np.int64 if x.ndim == 2 else dtype)
    arrays = {f"p.{name}": array for name, array in params.items()} | {"x": x}
    arrays |= {f"s.{k}": array for k, array in enumerate(states or ())}
    for name, flags in (("mask", mask), ("reset", reset)):
        if flags is not None:
            arrays[name] = np.ascontiguousarray(flags)
    known = _known(compiled)
    layer = known.find(arrays, reverse)
    if layer is not None:
        return layer.run(arrays)
    found = run(compiled, params, x, states, dtype, mask=mask, reset=reset, reverse=reverse)
    known.met(arrays, reverse)
    return found


@cache
def _known(compiled: Compiled) -> Known[Layer]:
    return Known(partial(layer_of, compiled))


def layer_of(compiled: Compiled, shapes: Mapping[str, Shaped], reverse: bool) -> Layer:
    """Return the programs of a layer whose arrays have these shapes, by the names of `unroll`."""

    def own(arrays: Params) -> KernelRun:
        params = {name[2:]: array for name, array in arrays.items() if name.startswith("p.")}
        states = tuple(array for name, array in arrays.items() if name.startswith("s.")) or None
        x, dtype = arrays["x"], params["W"].dtype
        mask, reset = arrays.get("mask"), arrays.get("reset")
        return run(compiled, params, x, states, dtype, mask=mask, reset=reset, reverse=reverse)

    return Layer(compiled.interface.cell, own, shapes)


def run(
    compiled: Compiled,
    params: Params,
    x: Array,
    states: States | None,
    dtype: np.dtype[Any],
    *,
    mask: Array | None,
    reset: Array | None,
    reverse: bool,
) -> "KernelRun":
    """Run a cell through time as the works are laid out."""
    (T, N), cell = x.shape[:2], compiled.interface.cell
    H = cell.hidden(params)
    rows = rows_of(T, N, size_of(params), mask=mask, reset=reset, reverse=reverse)
    is_reset = reset[0] if reverse and reset is not None else None  # (N,): at the last border
    tokens = x.ndim == 2
    sweep = Sweep(compiled, rows, N, H, 0 if tokens else x.shape[2])
    given = np.ascontiguousarray(rows.enter(x), np.int64 if tokens else dtype)
    kept, starts = compiled.room(rows.total, H, dtype), compiled.starts(params, H, dtype)
    for i, s in enumerate(cell.states):
        start, own = starts.get(f"start.{s}"), None if states is None else rows.sort(states[i])
        kept[f"carry.{s}"] = _own(own, N, cell.width(s, H), dtype, start)
    weights = compiled.small(params, dtype)
    weights |= {name: params[name].astype(dtype, copy=False) for name in compiled.matrices}
    if tokens:
        weights["table"] = compiled.table(weights["W"], H)
    for name in cell.given:
        if _is_x(name, cell):
            each = take(np.eye(len(params["W"]), dtype=dtype), given) if tokens else given
        else:
            each = rows.enter(params[name])
        weights[f"unit.{name}"] = np.ascontiguousarray(each, dtype)
    sweep.forward(kept | weights | starts | {"tokens" if tokens else "x": given})
    y = rows.leave(kept.pop("y"))
    final = tuple(
        _cut(rows.unsort(kept.pop(f"carry.{s}")), is_reset, starts.get(f"start.{s}", 0.0))
        for s in cell.states
    )
    kept |= {name: array for name, array in weights.items() if name.startswith("unit.")}
    return KernelRun(y, final, sweep, is_reset, params, given, kept, states is None)


def size_of(params: Params) -> int:
    """Return how many numbers the matrices of a layer have."""
    return sum(array.size for array in params.values() if array.ndim == 2)


def _is_x(name: str, cell: Cell) -> bool:
    """Return whether what is given at each step is the layer's input itself."""
    return name == "x" and name in cell.inputs


def _own(states: Array | None, N: int, width: int, dtype: np.dtype[Any], start: Array | None = None) -> Array:
    """Return a copy of states, or of their gradient, (N, w); their start, or zeros, where there are none."""
    if states is not None:
        return copy(states.astype(dtype, copy=False))
    return zeros((N, width), dtype) if start is None else copy(np.broadcast_to(start, (N, width)))


def _cut(states: Array, is_reset: Array | None, start: Array | float = 0.0) -> Array:
    """Make final states, or their gradient, as they start where the last border of the loop is a reset."""
    if is_reset is not None:
        states[is_reset] = start
    return states


def _put(dstates: Array, is_reset: Array | None) -> Array:
    """Return the gradient at what the last border of the loop has put into final states, (N, H)."""
    put = zeros(dstates.shape, dstates.dtype)
    if is_reset is not None:
        put[is_reset] = dstates[is_reset]
    return put


def _taken(part: Part, da: Array) -> Array:
    """Return a product's columns of `da`, side by side."""
    if len(part.runs) <= 1:
        return part.take(da)
    out = memory.empty((len(da), part.width), da.dtype)
    for columns, own in part.runs:
        copy(da[:, columns], out[:, own])
    return out


@dataclass(eq=False, repr=False)
class KernelRun(Shown, text="bptt.layer.shapes:run_text"):
    """A cell run through time by a kernel; see :class:`bptt.Unrolled`."""

    y: Array
    states: States
    _sweep: Sweep
    _is_reset: Array | None
    _params: Params
    _x: Array  # as the loops read it: a row for each step
    _kept: dict[str, Array]
    _begins: bool  # at the starts, no states having been given

    def backward(
        self, dy: Array | None = None, dstates: States | None = None, *, overwrite: bool = False
    ) -> Gradients[States]:
        """Backpropagate through time, as :meth:`bptt.Unrolled.backward` does.

        Parameters
        ----------
        overwrite : bool
            Whether what the forward kept may be lost: less memory, and this one backward only.

        Raises
        ------
        ShapeError
            If `dy` or `dstates` do not fit.
        ConfigError
            If a backward with `overwrite` has used up the run.
        """
        sweep, rows, dtype, params = self._sweep, self._sweep.rows, self.y.dtype, self._params
        N, H, k, tokens = sweep.N, sweep.H, sweep.compiled.interface, self._x.ndim == 1
        cell = k.cell
        expect(cell, dy, dstates, self.y, self.states)
        if not self._kept:
            raise ConfigError(USED_UP)
        arrays = dict(self._kept)
        if overwrite:
            self._kept = {}
        arrays["da"] = arrays["a"] if overwrite else memory.empty(arrays["a"].shape, dtype)
        if dy is None:
            arrays["dy"] = zeros((rows.total, self.y.shape[2]), dtype)
        else:
            dy = rows.enter(dy).astype(dtype, copy=False)
            arrays["dy"] = dy if dy.flags.c_contiguous else copy(dy)
        matrices = sweep.compiled.matrices
        arrays |= {name: params[name].astype(dtype, copy=False) for name in matrices}
        for i, s in enumerate(cell.states):
            own = _own(None if dstates is None else dstates[i], N, cell.width(s, H), dtype)
            if (start := f"start.{s}") in params:
                arrays[f"d{start}"] = _put(own, self._is_reset)
            arrays[f"dcarry.{s}"] = rows.sort(own if dstates is None else _cut(own, self._is_reset))
        arrays |= {f"dunit.{p}": zeros((N, cell.width(p, H)), dtype) for p in k.learnt}
        arrays |= {f"dgiven.{p}": memory.empty((rows.total, cell.width(p, H)), dtype) for p in cell.inputs}
        sums = {f"d{name}": memory.empty(params[name].shape, dtype) for name in matrices if name != "W"}
        if not tokens:
            made = memory.empty if cell.from_x else zeros  # where no product writes it
            arrays |= {"x": self._x, "dx": made((rows.total, sweep.D), dtype)}
            sums["dW"] = memory.empty(params["W"].shape, dtype)
        sums |= {f"d{name}": zeros(len(params[name]), dtype) for name in ("b", "b_h") if name in params}
        # each row of da is in one row of dW where tokens choose them, and these are fewer
        by_dW = tokens and "b" in params and len(params["W"]) < len(self._x)
        sweep.backward(arrays | {name: out for name, out in sums.items() if not (by_dW and name == "db")})
        if tokens:
            da_x = _taken(columns_of(k, H).W, arrays["da"])
            sums["dW"] = scatter_add(self._x, da_x, len(params["W"]))
            if by_dW:
                column_sums(sums["dW"], sums["db"])
        grads = {name: sums[f"d{name}"] for name in (*matrices, "b", "b_h") if name in params}
        grads |= {p: column_sums(arrays[f"dunit.{p}"]) for p in k.learnt}
        grads |= {p: column_sums(grads[p].reshape(-1, 1)) for p in k.learnt if p in cell.scalars}
        for start in (f"start.{s}" for s in cell.states if f"start.{s}" in params):
            grads[start] = column_sums(arrays[f"d{start}"])
            if self._begins:
                column_sums(arrays[f"dcarry.{start.removeprefix('start.')}"], grads[start])
        dx = None if tokens else arrays["dx"]
        for p in cell.inputs:
            if not _is_x(p, cell):
                grads[p] = rows.leave(arrays[f"dgiven.{p}"]).reshape(params[p].shape)
            elif dx is not None:
                add(dx, arrays[f"dgiven.{p}"], dx)
        states = tuple(rows.unsort(arrays[f"dcarry.{s}"]) for s in cell.states)
        return Gradients(grads, None if dx is None else rows.leave(dx), states)
