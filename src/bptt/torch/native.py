"""A layer in one direction by compiled code, over tensors as they lie.

A `Plan` says all that the works depend on but the addresses of their arrays; its programs, forward and
backward, are laid out once and run over any tensors. Sequences that end early are as many plans as there are
batches, so there the works run as they are laid out.
"""

import os
from collections.abc import Collection, Mapping, Sequence
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
from bptt.kernels.llvm.jit import address
from bptt.kernels.runtime import memory
from bptt.kernels.runtime.program import Program
from bptt.layer import threads
from bptt.types import Array

Tensor = Any
"""A torch.Tensor."""


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
    """

    def __init__(self, how: How, compiled: Compiled, T: int, N: int, D: int, H: int, rows: int) -> None:
        self.how, self.compiled = how, compiled
        self.T, self.N, self.D, self.H, self.rows = T, N, D, H, rows
        self.dtype = np.dtype(compiled.interface.dtype)
        self.size = (D + H) * compiled.interface.total(H)
        self.kept = sum(map(product, compiled.shapes(rows, H).values()))
        cell = how.cell
        # the input's and the recurrent part of every gate simply add, and so do their biases
        self.adds = cell.from_x == cell.gates == cell.from_h + cell.from_q
        self._programs: dict[tuple[Any, ...], Program] = {}

    def run(self, which: str, arrays: Mapping[str, Array], rows: Rows | None = None) -> None:
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
            ends = np.cumsum([0, *map(product, shapes.values())])
            for (name, shape), start, end in zip(shapes.items(), ends, ends[1:], strict=False):
                given[name] = kept[start:end].reshape(shape)
        if which == "backward":
            given.setdefault("da", given["a"])
        turned = given.pop("turned dW", None)
        if self.how.by_rows:
            given |= {name: given[name].T for name in ("W", "U", "dW", "dU") if name in given}
        if turned is not None:
            given["dW"] = turned
        sweep = Sweep(self.compiled, rows, self.N, self.H, self.D)
        sweep.forward(given) if which == "forward" else sweep.backward(given)

    def play(self, which: str, arrays: dict[str, Any], rows: Rows | None) -> None:
        """Run the works as a program; what is given are tensors, or arrays."""
        if rows is not None:
            flags = {"present": rows.present, "reset": rows.reset}
            arrays |= {name: array for name, array in flags.items() if array is not None}
        key = which, threads.count(), *arrays
        program = self._programs.get(key)
        if program is None:
            shapes = {name: (tuple(a.shape), _kind(a)) for name, a in arrays.items()}
            program = Program.of(lambda **given: self.run(which, given), shapes)
            self._programs[key] = program
        program.run([address(a) if type(a) is np.ndarray else a.data_ptr() for a in arrays.values()])


def _kind(array: Any) -> Any:
    return array.dtype if isinstance(array, np.ndarray) else array.numpy().dtype


def plan_of(how: How, x: Tensor, N: int, H: int, precision: Precision) -> Plan:
    """Return a layer's plan for an input; a kernel is known to be there."""
    return _plan(how, tuple(x.shape), N, H, x.dtype, precision, os.environ.get("BPTT_TARGET", ""))


@lru_cache(512)
def _plan(how: How, shape: tuple[int, ...], N: int, H: int, dtype: Any, precision: Precision, _: str) -> Plan:
    compiled = backends.kernel("cpu", how.cell, dtype_of(dtype), precision)
    assert compiled is not None
    T, rows = (shape[0], shape[0] * N) if how.batch_sizes is None else (len(how.batch_sizes), shape[0])
    return Plan(how, compiled, T, N, shape[-1], H, rows)


def dtype_of(dtype: Any) -> np.dtype[Any]:
    """Return NumPy's name of float32 or float64."""
    return _F4 if dtype == torch.float32 else _F8


_F4, _F8 = np.dtype("f4"), np.dtype("f8")


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
    rows, names, all_states = _rows(plan, mask, resets), plan.how.cell.states, plan.how.all_states
    given = _params(plan, params, forward=True)
    if resets is not None:
        given |= _starts(plan, params, x)
    if kept is not None:
        given["kept"] = kept
    final = [_own(s, plan, x) for s in states]
    if not isinstance(rows, Packed):
        shape = (*x.shape[:-1], plan.H)
        given["x"], given["y"] = x.contiguous(), empty(shape, x)
        after = [empty(shape, x) for _ in names] if all_states else []
        for s, carry in zip(names, final, strict=True):
            given["carry." + s] = carry
        for s, each in zip(names, after, strict=False):
            given["after." + s] = each
        plan.play("forward", given, rows)
        return [given["y"], *final, *after]
    own = {f"carry.{s}": rows.sort(carry.numpy()[0]) for s, carry in zip(names, final, strict=True)}
    wanted = ["y", *(f"after.{s}" for s in names if all_states)]
    own |= {name: memory.empty((rows.total, plan.H), plan.dtype) for name in wanted}
    given |= own | {"x": np.ascontiguousarray(rows.enter(x.numpy()))}
    plan.run("forward", {name: _array(a) for name, a in given.items()}, rows)
    y, *after = (rows.leave(own[name]) for name in wanted)
    return [torch.from_numpy(a) for a in (y, *(rows.unsort(own[f"carry.{s}"])[None] for s in names), *after)]


def backward(
    plan: Plan,
    x: Tensor,
    mask: Tensor | None,
    resets: Tensor | None,
    params: Sequence[Tensor],
    kept: Tensor,
    grads: Sequence[Tensor | None],
    wants: Collection[str],
    *,
    overwrite: bool,
) -> dict[str, Tensor]:
    """Return the gradients by name: at `INPUT`, at each state `before` the first step, at each parameter.

    Parameters
    ----------
    grads : sequence of tensors
        At what `forward` returned; None for zeros.
    wants : collection of str
        Which of `INPUT` and the parameters are wanted.
    overwrite : bool
        Whether what was kept may be lost.
    """
    how, dtype, rows = plan.how, plan.dtype, _rows(plan, mask, resets)
    names, packed = how.cell.states, rows if isinstance(rows, Packed) else None
    given = _params(plan, params)
    out: dict[str, Any] = {}
    for name, param in zip(how.names, params, strict=True):
        if name in how.cell.units:
            out[name] = given[f"dunit.{name}"] = np.zeros((plan.N, plan.H), dtype)
        elif name.startswith("start."):
            out[name] = np.zeros((plan.N, plan.H), dtype)
            given |= {} if resets is None else {f"d{name}": out[name]}
        elif name not in wants:
            continue
        elif name == "U" or (name == "W" and not (how.by_rows and plan.D < NARROW)):
            out[name] = given["d" + name] = empty(param.shape, x)
        elif name == "W":
            out[name] = given["turned dW"] = empty(param.shape[::-1], x)
        elif name == "b_h" and "b" in out and plan.adds:
            out[name] = out["b"]
        else:
            out[name] = given["d" + name] = torch.zeros(param.shape, dtype=x.dtype)
    for s, d in zip(names, grads[1:], strict=False):
        out[before(s)] = made = _own(d, plan, x)
        given["dcarry." + s] = made if packed is None else packed.sort(made.numpy()[0])
    seeds, dafter = {"dy": grads[0]}, grads[1 + len(names) :]
    if any(d is not None for d in dafter):
        seeds |= {f"dafter.{s}": d for s, d in zip(names, dafter, strict=True)}
    for name, d in seeds.items():
        full = torch.zeros((*x.shape[:-1], plan.H), dtype=x.dtype) if d is None else d.contiguous()
        given[name] = full if packed is None else np.ascontiguousarray(packed.enter(full.numpy()))
    given["kept"] = kept
    given["x"] = x.contiguous() if packed is None else np.ascontiguousarray(packed.enter(x.numpy()))
    if INPUT in wants:
        out[INPUT] = given["dx"] = (
            empty(x.shape, x) if packed is None else memory.empty(given["x"].shape, dtype)
        )
    if not overwrite:
        total = plan.rows if packed is None else packed.total
        given["da"] = memory.empty((total, plan.compiled.interface.total(plan.H)), dtype)
    if packed is None:
        plan.play("backward", given, rows)
    else:
        plan.run("backward", {name: _array(a) for name, a in given.items()}, packed)
        for s in names:
            out[before(s)] = torch.from_numpy(packed.unsort(given["dcarry." + s])[None])
        if INPUT in out:
            out[INPUT] = torch.from_numpy(packed.leave(out[INPUT]))
    for p in how.cell.units:
        out[p] = torch.from_numpy(how.cell.unit_sum(p, out[p]))
    for start in (name for name in out if name.startswith("start.")):
        out[start] = torch.from_numpy(out[start].sum(axis=0))
    if "turned dW" in given:
        out["W"] = out["W"].T
    return out


INPUT = "the input"
"""What no parameter can be called: x may be one."""


def before(state: str) -> str:
    """Return what stands for a state before the first step: a parameter may be called as the state is."""
    return f"{state} before"


def product(sizes: Sequence[Any]) -> Any:
    """Return the product of sizes, which may be symbols."""
    return prod(sizes)


NARROW = 32
"""Of an input narrower than this, dW is computed the other way: its few columns would be part of a panel."""


def _params(plan: Plan, params: Sequence[Tensor], *, forward: bool = False) -> dict[str, Any]:
    """Return the parameters as the works read them; biases are the forward's alone."""
    found: dict[str, Any] = {}
    for name, t in zip(plan.how.names, params, strict=True):
        if name in plan.how.cell.units:
            found[f"unit.{name}"] = t.expand(plan.H).contiguous()
        elif name in ("W", "U") or (forward and not name.startswith("start.")):
            found[name] = t.contiguous()
    return found


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


def empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return a tensor, in memory that is used again where it is large."""
    if product(shape) < LARGE:
        return torch.empty(shape, dtype=like.dtype)
    return torch.from_numpy(memory.empty(tuple(shape), dtype_of(like.dtype)))


LARGE = 1 << 17
"""Numbers above which the system gives a tensor's memory out as new pages each time."""


def _array(values: Any) -> Array:
    array: Array = values.numpy() if isinstance(values, torch.Tensor) else values
    return array
