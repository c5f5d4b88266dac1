"""A layer in one direction by compiled code, over tensors as they lie.

A `Plan` says all that the works depend on but the addresses of their arrays; its programs, forward and
backward, are laid out once and run over any tensors. Sequences that end early are as many plans as there are
batches, so there the works run as they are laid out.
"""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch

from bptt.cells import Cell
from bptt.kernels import backends
from bptt.kernels.backends import Precision
from bptt.kernels.cell.compiled import Compiled
from bptt.kernels.cell.rows import Packed, Rows, rows_of
from bptt.kernels.cell.sweep import Sweep
from bptt.kernels.runtime import memory
from bptt.kernels.runtime.program import Program
from bptt.layer import threads
from bptt.torch.tensors import Tensor, dtype_of, empty, whole
from bptt.types import Array


class How(NamedTuple):
    """What a layer in one direction is, apart from its tensors.

    Attributes
    ----------
    cell : Cell
    names : tuple of str
        What its parameters are: ``W``, ``U``, and of ``b``, ``b_h``, the units' own and ``start.h``, ...
        those that it has.
    by_rows : bool
        Whether W and U lie as PyTorch has them, a row for each unit of each gate.
    reverse : bool
    batch_sizes : tuple of int, optional
        Of packed sequences: how many run at each step; x is then (R, D).
    all_states : bool
        Whether the states after each step are wanted.
    """

    cell: Cell
    names: tuple[str, ...]
    by_rows: bool
    reverse: bool
    batch_sizes: tuple[int, ...] | None
    all_states: bool


class Plan:
    """What the works of a layer depend on, and those that were laid out.

    Attributes
    ----------
    dtype : dtype
        Of all arrays.
    kept : int
        How many numbers the backward wants kept.
    size : int
        How many numbers the matrices have, about.
    adds : bool
        Whether the two biases simply add.
    turns : bool
        Whether dW is written transposed: few columns would be part of a vector.
    reads : dict of list of (int, str, bool)
        Which parameters ``"forward"`` and ``"backward"`` read: the place, the works' name, whether of units.
    """

    def __init__(self, how: How, compiled: Compiled, T: int, N: int, D: int, H: int, rows: int) -> None:
        self.how, self.compiled = how, compiled
        self.T, self.N, self.D, self.H, self.rows = T, N, D, H, rows
        self.dtype = np.dtype(compiled.interface.dtype)
        self.size = (D + H) * compiled.interface.total(H)
        self.kept = sum(map(prod, compiled.shapes(rows, H).values()))
        cell = how.cell
        # the input's and the recurrent part of every gate simply add, and so do their biases
        self.adds = cell.from_x == cell.gates == cell.from_h + cell.from_q
        self.turns = how.by_rows and D < NARROW
        self.reads: dict[str, list[tuple[int, str, bool]]] = {"forward": [], "backward": []}
        for k, name in enumerate(how.names):
            is_unit, is_matrix = name in cell.units, name in ("W", "U")
            for which, own in self.reads.items():
                if is_unit or is_matrix or (which == "forward" and not name.startswith("start.")):
                    own.append((k, f"unit.{name}" if is_unit else name, is_unit))
        self._programs: dict[tuple[Any, ...], Program] = {}

    def run(
        self, which: str, arrays: Mapping[str, Array], rows: Rows | None = None, *, to_states: bool = True
    ) -> None:
        """Run the works over arrays by the names of `Sweep`, and ``kept``, in which some of these are."""
        given = {name: a.reshape(-1, a.shape[-1]) if a.ndim == 3 else a for name, a in arrays.items()}
        if which == "forward":
            biases = {str(name): given.pop(name) for name in ("b", "b_h") if name in given}
            given["bias"] = self.compiled.bias(biases, self.H, self.dtype)
        present, reset = (given.pop(name, None) for name in ("present", "reset"))
        rows = rows or Rows(self.T, self.N, self.how.reverse, present, reset)
        shapes = self.compiled.shapes(rows.total, self.H)
        kept = given.pop("kept", None)
        if kept is None:
            given |= {name: memory.empty(shape, self.dtype) for name, shape in shapes.items()}
        else:
            ends = np.cumsum([0, *map(prod, shapes.values())])
            for (name, shape), start, end in zip(shapes.items(), ends, ends[1:], strict=False):
                given[name] = kept[start:end].reshape(shape)
        if which == "backward":
            given.setdefault("da", given["a"])
        if self.how.by_rows:
            names = ("W", "U", "dU") if self.turns else ("W", "U", "dW", "dU")
            given |= {name: given[name].T for name in names if name in given}
        sweep = Sweep(self.compiled, rows, self.N, self.H, self.D)
        sweep.forward(given) if which == "forward" else sweep.backward(given, to_states=to_states)

    def play(
        self,
        which: str,
        names: list[str],
        tensors: list[Tensor],
        rows: Rows | None,
        *,
        to_states: bool = True,
    ) -> list[Tensor]:
        """Run the works, as a program where there can be one; return the tensors, as they are then.

        Of the backward, the gradients at the states before the first step are whole only with `to_states`.
        """
        if isinstance(rows, Packed):
            return self._run_packed(which, names, tensors, rows, to_states=to_states)
        given = tensors
        if rows is not None:
            flags = {"present": rows.present, "reset": rows.reset}
            names = names + [name for name, flag in flags.items() if flag is not None]
            given = tensors + [torch.from_numpy(flag) for flag in flags.values() if flag is not None]
        key = which, to_states, threads.count(), *names
        program = self._programs.get(key)
        if program is None:
            # not by its array: one that NumPy has seen cannot be resized any more
            shapes = {n: (tuple(t.shape), dtype_of(t.dtype)) for n, t in zip(names, given, strict=True)}
            program = Program.of(lambda **arrays: self.run(which, arrays, to_states=to_states), shapes)
            self._programs[key] = program
        program.run_at([*map(torch.Tensor.data_ptr, given)])
        return tensors

    def _run_packed(
        self, which: str, names: list[str], tensors: list[Tensor], rows: Packed, *, to_states: bool
    ) -> list[Tensor]:
        """Run the works over rows of sequences that end early."""
        arrays = {name: t.numpy() for name, t in zip(names, tensors, strict=True)}
        kinds = {name: name.partition(".")[0] for name in names}
        for name, array in arrays.items():
            if kinds[name] in ("x", "dy", "dafter"):
                arrays[name] = np.ascontiguousarray(rows.enter(array))
            elif kinds[name] in ("y", "after", "dx"):
                arrays[name] = memory.empty((rows.total, array.shape[-1]), self.dtype)
            elif kinds[name] in ("carry", "dcarry"):
                arrays[name] = rows.sort(array[0])
        self.run(which, arrays, rows, to_states=to_states)
        found = []
        for (name, array), t in zip(arrays.items(), tensors, strict=True):
            if kinds[name] in ("y", "after", "dx"):
                found.append(torch.from_numpy(rows.leave(array)))
            elif kinds[name] in ("carry", "dcarry"):
                found.append(torch.from_numpy(rows.unsort(array)[None]))
            else:
                found.append(t)
        return found


def plan_of(how: How, x: Tensor, N: int, H: int, precision: Precision) -> Plan:
    """Return a layer's plan for an input; a kernel is known to be there."""
    return _plan(how, tuple(x.shape), N, H, x.dtype, precision, os.environ.get("BPTT_TARGET", ""))


@lru_cache(512)
def _plan(how: How, shape: tuple[int, ...], N: int, H: int, dtype: Any, precision: Precision, _: str) -> Plan:
    compiled = backends.kernel("cpu", how.cell, dtype_of(dtype), precision)
    assert compiled is not None
    T, rows = (shape[0], shape[0] * N) if how.batch_sizes is None else (len(how.batch_sizes), shape[0])
    return Plan(how, compiled, T, N, shape[-1], H, rows)


def _rows(plan: Plan, mask: Tensor | None, resets: Tensor | None) -> Rows | None:
    """Return the rows, or None where all steps of all sequences are there, as they lie."""
    how = plan.how
    if how.batch_sizes is not None:
        return Packed(plan.T, plan.N, how.reverse, None, None, np.array(how.batch_sizes))
    if mask is None and resets is None:
        return None
    present, reset = (None if flags is None else flags.numpy() for flags in (mask, resets))
    # a state is held where its sequence has ended, so all states have all rows
    size = 0 if how.all_states else plan.size
    return rows_of(plan.T, plan.N, size, mask=present, reset=reset, reverse=how.reverse)


def forward(
    plan: Plan,
    x: Tensor,
    mask: Tensor | None,
    resets: Tensor | None,
    states: Sequence[Tensor | None],
    params: Sequence[Tensor],
    kept: Tensor | None,
) -> list[Tensor]:
    """Return y, the final states and, where wanted, all states; what the backward reads is in `kept` then.

    Parameters
    ----------
    plan : Plan
    x : (T, N, D), or (R, D) where sequences are packed
        Zero where the mask is False.
    mask, resets : (T, N) bool, optional
    states : sequence of (1, N, H), or None for zeros
    params : sequence of tensors
        By ``plan.how.names``.
    kept : (K,), optional
        Room for ``plan.kept`` numbers.
    """
    cell, shape = plan.how.cell, (*x.shape[:-1], plan.H)
    names, tensors = ["y", *(f"carry.{s}" for s in cell.states)], [empty(shape, x)]
    tensors += [_own(s, plan, x) for s in states]
    if plan.how.all_states:
        names += [f"after.{s}" for s in cell.states]
        tensors += [empty(shape, x) for _ in states]
    count, names, tensors = len(names), [*names, "x"], [*tensors, whole(x)]
    _read("forward", plan, params, names, tensors)
    if resets is not None:
        starts = _starts(plan, params, x)
        names += starts
        tensors += starts.values()
    if kept is not None:
        names.append("kept")
        tensors.append(kept)
    return plan.play("forward", names, tensors, _rows(plan, mask, resets))[:count]


def backward(
    plan: Plan,
    x: Tensor,
    mask: Tensor | None,
    resets: Tensor | None,
    params: Sequence[Tensor],
    kept: Tensor,
    grads: Sequence[Tensor | None],
    needs: Sequence[bool],
    *,
    overwrite: bool,
) -> list[Tensor | None]:
    """Return the gradients at x, at each state before the first step, and at each parameter.

    Parameters
    ----------
    grads : sequence of tensors
        At what `forward` returned; None for zeros.
    needs : sequence of bool
        Which are wanted, in that order.
    overwrite : bool
        Whether what was kept may be lost.
    """
    how, dtype, rows = plan.how, x.dtype, _rows(plan, mask, resets)
    states, count = how.cell.states, len(how.cell.states) + 1
    names = [f"dcarry.{s}" for s in states]
    tensors = [_own(d, plan, x) for d in grads[1:count]]
    names += "dy", "x", "kept"
    tensors += _full(grads[0], plan, x), whole(x), kept
    _read("backward", plan, params, names, tensors)
    if any(d is not None for d in grads[count:]):
        names += [f"dafter.{s}" for s in states]
        tensors += [_full(d, plan, x) for d in grads[count:]]
    if not overwrite:
        R = rows.total if isinstance(rows, Packed) else plan.rows
        names.append("da")
        tensors.append(empty((R, plan.compiled.interface.total(plan.H)), x))
    found: list[Tensor | None] = [None] * (count + len(params))
    if needs[0]:
        found[0] = empty(x.shape, x)
        names.append("dx")
        tensors.append(found[0])
    apart: dict[int, Tensor] = {}  # gradients of each sequence, to be summed
    for k, (name, param) in enumerate(zip(how.names, params, strict=True), count):
        is_unit = name in how.cell.units
        if is_unit or name.startswith("start."):
            made = apart[k] = torch.zeros((plan.N, plan.H), dtype=dtype)
            if not (is_unit or resets is not None):
                continue
        elif not needs[k]:
            continue
        elif name == "U" or (name == "W" and not plan.turns):
            made = found[k] = empty(param.shape, x)
        elif name == "W":
            made = empty(param.shape[::-1], x)
            found[k] = made.T
        elif name == "b_h" and plan.adds and names[-1] == "db":
            found[k] = found[k - 1]
            continue
        else:
            made = found[k] = torch.zeros(param.shape, dtype=dtype)
        names.append(f"dunit.{name}" if is_unit else f"d{name}")
        tensors.append(made)
    # a reset at the first step takes the gradient there to where states start
    to_states = any(needs[1:count]) or any(name.startswith("dstart.") for name in names)
    tensors = plan.play("backward", names, tensors, rows, to_states=to_states)
    for k in range(1, count):
        found[k] = tensors[k - 1] if needs[k] else None
    if needs[0]:
        found[0] = tensors[names.index("dx")]
    for k, each in apart.items():
        name, rows_of = how.names[k - count], each.numpy()
        total = how.cell.unit_sum(name, rows_of) if name in how.cell.units else rows_of.sum(axis=0)
        found[k] = torch.from_numpy(total)
    return found


NARROW = 32
"""Of an input narrower than this, dW is written transposed."""


def _read(which: str, plan: Plan, params: Sequence[Tensor], names: list[str], tensors: list[Tensor]) -> None:
    """Add the parameters that the works read, as they read them."""
    for k, name, is_unit in plan.reads[which]:
        names.append(name)
        tensors.append(whole(params[k].expand(plan.H) if is_unit else params[k]))


def _starts(plan: Plan, params: Sequence[Tensor], x: Tensor) -> dict[str, Any]:
    """Return where states start that do not start at zero, by the names of the works."""
    cell, named = plan.how.cell, dict(zip(plan.how.names, params, strict=True))
    found = {n: t.contiguous() for n, t in named.items() if n.startswith("start.")}
    if not found:
        found = {f"start.{s}": torch.full((plan.H,), v, dtype=x.dtype) for s, v in cell.starts.items() if v}
    return found


def _own(state: Tensor | None, plan: Plan, like: Tensor) -> Tensor:
    """Return a copy of a state, or of its gradient; zeros where there is none."""
    if state is None:
        return torch.zeros((1, plan.N, plan.H), dtype=like.dtype)
    return state.clone(memory_format=torch.contiguous_format)


def _full(d: Tensor | None, plan: Plan, x: Tensor) -> Tensor:
    """Return the gradient at an output, zeros where there is none."""
    return x.new_zeros((*x.shape[:-1], plan.H)) if d is None else d.resolve_neg().contiguous()
