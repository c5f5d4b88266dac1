"""A layer through time by a compiled kernel, with the contract of :func:`bptt.unroll`.

The loops run in the kernel, their rows shared out over the threads; the sums over time for dW and dU, one
product each, come after.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from bptt import threads
from bptt.cells import States
from bptt.columns import Columns
from bptt.errors import ConfigError
from bptt.kernels import memory
from bptt.kernels.jit import Library, address
from bptt.kernels.layout import Layout, layout
from bptt.kernels.pool import Work, run
from bptt.kernels.products import matmul, parts_of
from bptt.kernels.sequence import SequenceKernel
from bptt.kernels.sums import column_sums, scatter_add
from bptt.types import Array, Params
from bptt.unroll import Gradients, expect


@dataclass(frozen=True)
class Compiled:
    """A cell's loops, as machine code too."""

    kernel: SequenceKernel
    library: Library

    @cached_property
    def works(self) -> dict[str, Work]:
        """``forward`` and ``backward``."""
        return {name: Work.of(self.library, name) for name in self.kernel.fields}

    def pack(self, B: Array) -> Array:
        """Return a matrix (K, N), of any strides, as the loops read it."""
        return parts_of("bfloat16" if self.kernel.is_narrow else B.dtype.char, self.kernel.host).packed(B)

    def narrow(self, N: int, H: int, D: int) -> Array | None:
        """Return room for the rows of any of the loops' products, rounded; None where they are not."""
        if not self.kernel.is_narrow:
            return None
        widest = max((run.count for found in self.kernel.products.values() for run in found), default=1)
        return memory.empty((N, (max(widest * H, D) + 1) // 2), self.kernel.dtype)


@cache
def _columns(kernel: SequenceKernel, H: int) -> Columns:
    return Columns.of(kernel.cell, H)


@dataclass(eq=False, repr=False)
class KernelRun:
    """A cell run through time by a kernel; see :class:`bptt.Unrolled`."""

    y: Array
    states: States
    _compiled: Compiled
    _params: Params
    _x: Array
    _cut: Array | None
    _layout: Layout
    _arrays: dict[str, Array] = field(default_factory=dict)

    def backward(
        self, dy: Array | None = None, dstates: States | None = None, *, overwrite: bool = False
    ) -> Gradients:
        """Backpropagate through time, as :meth:`bptt.Unrolled.backward` does.

        Parameters
        ----------
        overwrite : bool
            Whether what the forward kept may be lost: less memory, and this one backward only.
        """
        k, at, dtype = self._compiled.kernel, self._layout, self.y.dtype
        cell, (N, H) = k.cell, self.y.shape[1:]
        expect(cell, dy, dstates, self.y, self.states)
        if not self._arrays:
            raise ConfigError("a backward with overwrite=True has used up this run: run the forward again")
        arrays = dict(self._arrays)
        if overwrite:
            self._arrays = {}
        arrays["da"] = arrays["a"] if overwrite else memory.empty(arrays["a"].shape, dtype)
        arrays["dy"] = memory.zeros((at.rows, H), dtype) if dy is None else _as(at.enter(dy), dtype)
        has_x = self._x.ndim == 3
        arrays |= {n: self._compiled.pack(part.T) for n, part in parts(k, self._params, dtype, has_x)}
        if cell.from_q:
            arrays["dq"] = np.empty((N, H), dtype)
        if has_x:
            arrays["dx"] = memory.empty((at.rows, self._x.shape[2]), dtype)
        for i, s in enumerate(cell.states):
            given = np.zeros((N, H), dtype) if dstates is None else at.sort(self._end(dstates[i], dtype))
            arrays[f"dcarry.{s}"] = given
        for p in cell.units:
            arrays[f"dunit.{p}"] = np.zeros((N, H), dtype)
        self._call("backward", arrays)
        dx = at.leave(arrays["dx"]) if "dx" in arrays else None
        return Gradients(self._sums(arrays), dx, tuple(at.unsort(arrays[f"dcarry.{s}"]) for s in cell.states))

    def _forward(self, states: States | None) -> "KernelRun":
        k, at, params, x, dtype = self._compiled.kernel, self._layout, self._params, self._x, self.y.dtype
        cell, (N, H) = k.cell, self.y.shape[1:]
        arrays = {
            "a": memory.empty((at.rows, k.G * H), dtype),
            "slots": memory.empty((len(k.slots.extra), at.rows, H), dtype),
            "bias": bias(k, params, dtype),
            "y": memory.empty((at.rows, H), dtype),
            "input": at.enter(x),
        }
        if x.ndim == 3:
            arrays["x"] = arrays["input"] = _as(arrays["input"], dtype)
        else:
            arrays["tokens"] = arrays["input"] = _as(arrays["input"], np.int64)
            arrays["table"] = table(k, params, dtype)
        if cell.from_q:
            arrays["q"] = memory.empty((at.rows, H), dtype)
        arrays |= {f"unit.{p}": _as(params[p], dtype) for p in cell.units}
        arrays |= {f"prev.{s}": memory.empty((at.rows, H), dtype) for s in cell.states}
        for i, s in enumerate(cell.states):
            first = np.zeros((N, H), dtype) if states is None else np.array(at.sort(states[i]), dtype)
            arrays[f"carry.{s}"] = first
        packed = {n: self._compiled.pack(part) for n, part in parts(k, params, dtype, x.ndim == 3)}
        self._call("forward", arrays | packed)
        self.y = at.leave(arrays.pop("y"))
        self.states = tuple(self._end(at.unsort(arrays.pop(f"carry.{s}")), dtype) for s in cell.states)
        self._arrays = {n: a for n, a in arrays.items() if n not in ("bias", "tokens", "table", "x")}
        return self

    def _end(self, states: Array, dtype: np.dtype[Any]) -> Array:
        """Return final states, or their gradient, with zeros where the last border crossed is a reset."""
        states = np.array(states, dtype)
        if self._cut is not None:
            states[self._cut] = 0
        return states

    def _sums(self, arrays: dict[str, Array]) -> Params:
        """Return dW, dU, db (and db_h, and units'), the sums over time."""
        cell, params, x, da = self._compiled.kernel.cell, self._params, arrays["input"], arrays["da"]
        k = self._compiled.kernel
        columns = _columns(k, self.y.shape[-1])

        def product(a: Array, b: Array) -> Array:
            return matmul(a.T, b, bfloat16=k.is_narrow)

        da_x = columns.W.take(da)
        dU = product(arrays[f"prev.{cell.states[0]}"], columns.h.take(da))
        if cell.from_q:
            dU = np.concatenate([dU, product(arrays["q"], columns.q.take(da))], axis=-1)
        dW = scatter_add(x, da_x, len(params["W"])) if x.ndim == 1 else product(x, da_x)
        grads = {"W": dW, "U": dU}
        if "b" in params:
            # each row of da is in one row of dW where tokens choose them, and these are fewer
            grads["b"] = column_sums(dW if x.ndim == 1 and len(dW) < len(x) else da_x)
        if "b_h" in params:
            grads["b_h"] = column_sums(columns.U.take(da))
        return grads | {p: arrays[f"dunit.{p}"].sum(axis=0) for p in cell.units}

    def _call(self, which: str, arrays: dict[str, Array]) -> None:
        """Run the kernel, its sequences shared out over the threads."""
        compiled, at = self._compiled, self._layout
        fields = compiled.kernel.fields[which]
        (N, H), D = self.y.shape[1:], self._x.shape[-1] if self._x.ndim == 3 else 0
        sizes: dict[str, Any] = {"steps": at.T, "H": H, "D": D, "R": at.rows}
        sizes |= {"absent": at.absent, "reset": at.reset, "narrow": compiled.narrow(N, H, D)}
        given = sizes | arrays
        cuts = at.cuts(threads.count())
        pieces = np.tile(argument(fields, given), (len(cuts), 1))
        carried = ("carry.", "dcarry.", "dunit.", "dq", "narrow")
        of_sequences = [
            (k, given[name].strides[0])
            for k, name in enumerate(fields)
            if name.startswith(carried) and isinstance(given.get(name), np.ndarray)
        ]
        kept = []
        for words, cut in zip(pieces, cuts, strict=True):
            kept += [starts := at.starts(cut)]
            words[fields.index("starts")], words[fields.index("counts")] = map(address, starts)
            for k, stride in of_sequences:
                words[k] += cut.start * stride
        run(compiled.works[which], pieces)
        del kept  # whose addresses were in use


class OneStep:
    """A layer that takes one step at a time, on arrays that stay where they are.

    Attributes
    ----------
    input : (N, D), or (N,) integers
        To be filled before `run`.
    y : (N, H)
        The output, after it.
    """

    def __init__(
        self,
        compiled: Compiled,
        params: Params,
        states: States,
        dtype: np.dtype[Any],
        *,
        tokens: bool,
        x: Array | None = None,
    ) -> None:
        k = compiled.kernel
        cell, (N, H), D = k.cell, states[0].shape, len(params["W"])
        self.y = np.empty((N, H), dtype)
        self._arrays: dict[str, Any] = {
            "a": np.empty((N, k.G * H), dtype),
            "slots": np.empty((len(k.slots.extra), N, H), dtype),
            "bias": bias(k, params, dtype),
            "y": self.y,
        }
        if tokens:
            self.input = np.zeros(N, np.int64)
            self._arrays |= {"tokens": self.input, "table": table(k, params, dtype)}
        else:
            self.input = np.empty((N, D), dtype) if x is None else x
            self._arrays["x"] = self.input
        if cell.from_q:
            self._arrays["q"] = np.empty((N, H), dtype)
        self._arrays |= {f"unit.{p}": _as(params[p], dtype) for p in cell.units}
        for s, state in zip(cell.states, states, strict=True):
            self._arrays |= {f"prev.{s}": np.empty((N, H), dtype), f"carry.{s}": np.array(state, dtype)}
        self._arrays |= {name: compiled.pack(part) for name, part in parts(k, params, dtype, not tokens)}
        self._arrays["narrow"] = compiled.narrow(N, H, D)
        self._arrays |= {"starts": np.zeros(1, np.int64), "counts": np.full(1, N, np.int64)}
        sizes = {"steps": 1, "H": H, "D": D, "R": N}
        self._argument = argument(k.fields["forward"], self._arrays | sizes)
        self._at = self._argument.ctypes.data
        self._function = compiled.works["forward"].call

    def run(self) -> None:
        """Take the step."""
        self._function(self._at, 0)

    def state(self, name: str) -> Array:
        """Return a state as it is now, (N, H), where it lies."""
        state: Array = self._arrays[f"carry.{name}"]
        return state


def argument(fields: list[str], values: Mapping[str, Any]) -> Array:
    """Return what a kernel's one argument points to: the addresses and sizes that `fields` name."""
    found = (values.get(name) for name in fields)
    return np.array([address(v) if isinstance(v, np.ndarray) else v or 0 for v in found], np.int64)


def _as(array: Array, dtype: Any) -> Array:
    return np.ascontiguousarray(array, dtype)


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
) -> KernelRun:
    """Run a cell through time; the arrays are those that :func:`bptt.unroll` has checked."""
    T, N = x.shape[:2]
    at = layout(T, N, mask=mask, reset=reset, reverse=reverse)
    cut = reset[0] if reverse and reset is not None else None
    y = np.empty((T, N, len(params["U"])), dtype)
    return KernelRun(y, (), compiled, params, x, cut, at)._forward(states)


def parts(k: SequenceKernel, params: Params, dtype: np.dtype[Any], has_x: bool) -> list[tuple[str, Array]]:
    """Return the columns of U, and of W where there is an x, for each run of gates by the kernel's names."""
    H = len(params["U"])
    width = len(k.cell.from_h) * H
    whole = {"W": params["W"], "U": params["U"][:, :width], "Uq": params["U"][:, width:]}
    return [
        (
            f"{name}.{i}",
            whole[name][:, run.column * H : (run.column + run.count) * H].astype(dtype, copy=False),
        )
        for name, found in k.products.items()
        if has_x or name != "W"
        for i, run in enumerate(found)
    ]


def bias(k: SequenceKernel, params: Params, dtype: np.dtype[Any]) -> Array:
    """Return both biases in the places of their gates, (G·H,)."""
    H = len(params["U"])
    total = np.zeros((1, k.G * H), dtype)
    columns = _columns(k, H)
    if "b" in params:
        columns.W.add(total, params["b"].astype(dtype))
    if "b_h" in params:
        columns.U.add(total, params["b_h"].astype(dtype))
    first: Array = total[0]
    return first


def table(k: SequenceKernel, params: Params, dtype: np.dtype[Any]) -> Array:
    """Return W with its columns in the places of the gates that it feeds, (V, G·H)."""
    W, H = params["W"], len(params["U"])
    if W.shape[1] == k.G * H:
        return np.ascontiguousarray(W, dtype)
    wide = np.zeros((len(W), k.G * H), dtype)
    _columns(k, H).W.add(wide, W)
    return wide
