"""A layer through time by a compiled kernel, with the contract of :func:`bptt.unroll`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells import States
from bptt.errors import ConfigError
from bptt.kernels.cell.compiled import Compiled, columns_of
from bptt.kernels.cell.rows import rows_of
from bptt.kernels.cell.sweep import Sweep
from bptt.kernels.ops.sums import column_sums, scatter_add
from bptt.kernels.runtime import memory
from bptt.layer.shapes import expect
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
) -> "KernelRun":
    """Run a cell through time; the arrays are those that :func:`bptt.unroll` has checked."""
    (T, N), H, cell = x.shape[:2], len(params["U"]), compiled.interface.cell
    rows = rows_of(T, N, mask=mask, reset=reset, reverse=reverse)
    is_reset = reset[0] if reverse and reset is not None else None  # (N,): at the last border
    tokens = x.ndim == 2
    sweep = Sweep(compiled, rows, N, H, 0 if tokens else x.shape[2])
    given = np.ascontiguousarray(rows.enter(x), np.int64 if tokens else dtype)
    kept = compiled.room(rows.total, H, dtype)
    first = cell.first_states(N, H, dtype)
    for i, s in enumerate(cell.states):
        kept[f"carry.{s}"] = first[i] if states is None else np.array(rows.sort(states[i]), dtype, order="C")
    weights = compiled.small(params, dtype) | {name: params[name].astype(dtype, copy=False) for name in "WU"}
    if tokens:
        weights["table"] = compiled.table(weights["W"], H)
    sweep.forward(kept | weights | {"tokens" if tokens else "x": given})
    y = rows.leave(kept.pop("y"))
    starts = [cell.starts.get(s, 0.0) for s in cell.states]
    final = tuple(
        _cut(rows.unsort(kept.pop(f"carry.{s}")), dtype, is_reset, start)
        for s, start in zip(cell.states, starts, strict=True)
    )
    kept |= {name: array for name, array in weights.items() if name.startswith("unit.")}
    return KernelRun(y, final, sweep, is_reset, params, given, kept)


def _cut(states: Array, dtype: np.dtype[Any], is_reset: Array | None, start: float = 0.0) -> Array:
    """Return final states, or their gradient: where the loop's last border is a reset, their start."""
    states = np.array(states, dtype, order="C")
    if is_reset is not None:
        states[is_reset] = start
    return states


@dataclass(eq=False, repr=False)
class KernelRun:
    """A cell run through time by a kernel; see :class:`bptt.Unrolled`."""

    y: Array
    states: States
    _sweep: Sweep
    _is_reset: Array | None
    _params: Params
    _x: Array  # as the loops read it: a row for each step
    _kept: dict[str, Array]

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
        N, H, cell, tokens = sweep.N, sweep.H, sweep.compiled.interface.cell, self._x.ndim == 1
        expect(cell, dy, dstates, self.y, self.states)
        if not self._kept:
            raise ConfigError("a backward with overwrite=True has used up this run: run the forward again")
        arrays = dict(self._kept)
        if overwrite:
            self._kept = {}
        arrays["da"] = arrays["a"] if overwrite else memory.empty(arrays["a"].shape, dtype)
        if dy is None:
            arrays["dy"] = memory.zeros((rows.total, H), dtype)
        else:
            arrays["dy"] = np.ascontiguousarray(rows.enter(dy), dtype)
        arrays |= {name: params[name].astype(dtype, copy=False) for name in "WU"}
        for i, s in enumerate(cell.states):
            if dstates is None:
                given = np.zeros((N, H), dtype)
            else:
                given = rows.sort(_cut(dstates[i], dtype, self._is_reset))
            arrays[f"dcarry.{s}"] = given
        arrays |= {f"dunit.{p}": np.zeros((N, H), dtype) for p in cell.units}
        sums = {"dU": memory.empty(params["U"].shape, dtype)}
        if not tokens:
            arrays |= {"x": self._x, "dx": memory.empty((rows.total, sweep.D), dtype)}
            sums["dW"] = memory.empty(params["W"].shape, dtype)
        sums |= {f"d{name}": np.zeros(len(params[name]), dtype) for name in ("b", "b_h") if name in params}
        # each row of da is in one row of dW where tokens choose them, and these are fewer
        by_dW = tokens and "b" in params and len(params["W"]) < len(self._x)
        sweep.backward(arrays | {name: out for name, out in sums.items() if not (by_dW and name == "db")})
        if tokens:
            da_x = columns_of(sweep.compiled.interface, H).W.take(arrays["da"])
            sums["dW"] = scatter_add(self._x, da_x, len(params["W"]))
            if by_dW:
                column_sums(sums["dW"], sums["db"])
        grads = {str(name): sums[f"d{name}"] for name in ("W", "U", "b", "b_h") if name in params}
        grads |= {p: cell.unit_sum(p, arrays[f"dunit.{p}"]) for p in cell.units}
        dx = None if tokens else rows.leave(arrays["dx"])
        return Gradients(grads, dx, tuple(rows.unsort(arrays[f"dcarry.{s}"]) for s in cell.states))
