"""A layer through time by a compiled kernel, with the contract of :func:`bptt.unroll`.

The loops run in the kernel, their rows shared out over the threads; the sums over time for dW and dU, one
product each, come after.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells import States
from bptt.errors import ConfigError
from bptt.kernels.cell.compiled import Compiled, columns_of
from bptt.kernels.cell.rows import Rows, rows_of
from bptt.kernels.llvm.jit import address
from bptt.kernels.ops.products import matmul
from bptt.kernels.ops.sums import column_sums, scatter_add
from bptt.kernels.runtime import memory, pool
from bptt.layer import threads
from bptt.layer.shapes import expect
from bptt.types import Array, Gradients, Params

_OF_SEQUENCES = ("carry.", "dcarry.", "dunit.", "dq", "narrow")
"""Names of arrays that have a row for each sequence, not for each step of each."""


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
    loops = _Loops(compiled, rows, N, H, 0 if tokens else x.shape[2])
    given = np.ascontiguousarray(rows.enter(x), np.int64 if tokens else dtype)
    kept = compiled.room(rows.total, H, dtype)
    for i, s in enumerate(cell.states):
        first = (
            np.zeros((N, H), dtype) if states is None else np.array(rows.sort(states[i]), dtype, order="C")
        )
        kept[f"carry.{s}"] = first
    weights = compiled.weights(params, dtype, tokens=tokens)
    loops.run("forward", kept | weights | {"tokens" if tokens else "x": given})
    y = rows.leave(kept.pop("y"))
    final = tuple(_cut(rows.unsort(kept.pop(f"carry.{s}")), dtype, is_reset) for s in cell.states)
    kept |= {name: array for name, array in weights.items() if name.startswith("unit.")}
    return KernelRun(y, final, loops, is_reset, params, given, kept)


def _cut(states: Array, dtype: np.dtype[Any], is_reset: Array | None) -> Array:
    """Return final states, or their gradient: zeros where the last border of the loop is a reset."""
    states = np.array(states, dtype, order="C")
    if is_reset is not None:
        states[is_reset] = 0
    return states


@dataclass(frozen=True)
class _Loops:
    """A cell's loops over some sequences."""

    compiled: Compiled
    rows: Rows
    N: int
    H: int
    D: int

    def run(self, which: str, arrays: dict[str, Array]) -> None:
        """Run the forward or the backward, its sequences shared out over the threads."""
        compiled, rows, places = self.compiled, self.rows, self.compiled.interface.fields[which].places
        given: dict[str, Array | int | None] = {"steps": rows.T, "H": self.H, "D": self.D, "R": rows.total}
        given |= {"absent": rows.absent, "reset": rows.reset}
        given |= arrays | {"narrow": compiled.narrow(self.N, self.H, self.D)}
        of_sequences = [
            (places[name], array.strides[0])
            for name, array in given.items()
            if name.startswith(_OF_SEQUENCES) and isinstance(array, np.ndarray) and name in places
        ]
        cuts = rows.cuts(threads.count())
        pieces, kept = compiled.words(which, given, len(cuts)), []
        for piece, cut in zip(pieces, cuts, strict=True):
            kept += [starts := rows.starts(cut)]
            piece[places["starts"]], piece[places["counts"]] = map(address, starts)
            for k, stride in of_sequences:
                piece[k] += cut.start * stride
        pool.run(compiled.works[which], pieces)
        del kept, given  # whose addresses were in use


@dataclass(eq=False, repr=False)
class KernelRun:
    """A cell run through time by a kernel; see :class:`bptt.Unrolled`."""

    y: Array
    states: States
    _loops: _Loops
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
        loops, rows, dtype = self._loops, self._loops.rows, self.y.dtype
        compiled, N, H = loops.compiled, loops.N, loops.H
        cell, tokens = compiled.interface.cell, self._x.ndim == 1
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
        arrays |= compiled.transposed(self._params, dtype, tokens=tokens)
        if cell.from_q:
            arrays["dq"] = np.empty((N, H), dtype)
        if not tokens:
            arrays["dx"] = memory.empty((rows.total, loops.D), dtype)
        for i, s in enumerate(cell.states):
            if dstates is None:
                given = np.zeros((N, H), dtype)
            else:
                given = rows.sort(_cut(dstates[i], dtype, self._is_reset))
            arrays[f"dcarry.{s}"] = given
        for p in cell.units:
            arrays[f"dunit.{p}"] = np.zeros((N, H), dtype)
        loops.run("backward", arrays)
        dx = None if tokens else rows.leave(arrays["dx"])
        return Gradients(
            self._sums(arrays), dx, tuple(rows.unsort(arrays[f"dcarry.{s}"]) for s in cell.states)
        )

    def _sums(self, arrays: dict[str, Array]) -> Params:
        """Return the sums over time: dU = Σ h_prevᵀ da (qᵀ da for U_q), dW = Σ xᵀ da, db = Σ da."""
        k, params, x, da = self._loops.compiled.interface, self._params, self._x, arrays["da"]
        cell, columns = k.cell, columns_of(k, self._loops.H)

        dU = memory.empty((self._loops.H, columns.U.width), da.dtype)
        edge = columns.h.width
        for operand, part, out in (
            ("prev." + cell.states[0], columns.h, dU[:, :edge]),
            ("q", columns.q, dU[:, edge:]),
        ):
            for gates, own in part.runs:
                matmul(arrays[operand].T, da[:, gates], out[:, own], bfloat16=k.is_narrow)
        da_x = columns.W.take(da)
        if x.ndim == 1:
            dW = scatter_add(x, da_x, len(params["W"]))
        else:
            dW = matmul(x.T, da_x, bfloat16=k.is_narrow)
        grads = {"W": dW, "U": dU}
        if "b" in params:
            # each row of da is in one row of dW where tokens choose them, and these are fewer
            grads["b"] = column_sums(dW if x.ndim == 1 and len(dW) < len(x) else da_x)
        if "b_h" in params:
            grads["b_h"] = np.empty_like(params["b_h"], da.dtype)
            for gates, own in columns.U.runs:
                grads["b_h"][own] = column_sums(da[:, gates])
        return grads | {p: arrays[f"dunit.{p}"].sum(axis=0) for p in cell.units}
