"""Any cell as a loop of PyTorch's own operations: where compiled code cannot run, and second derivatives."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from bptt.cells import Cell
from bptt.errors import ShapeError
from bptt.torch.native import How
from bptt.torch.tensors import Tensor
from bptt.zoo.step import step_of, with_equations


def run(
    how: How,
    x: Tensor,
    mask: Tensor | None,
    resets: Tensor | None,
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    beside: Mapping[str, Tensor] = MappingProxyType({}),
) -> list[Tensor]:
    """Return what :func:`bptt.torch.native.forward` does, for autograd to go through.

    What the cell reads at each step `beside` x is (T, N, H), or (T, N, 1).
    """
    step, named = _step(how.cell), dict(zip(how.names, params, strict=True))
    if how.by_rows:
        named |= {name: named[name].T for name in ("W", "U")}
    a_x = x @ named["W"]
    if "b" in named:
        a_x = a_x + named["b"]
    if how.batch_sizes is not None:
        return _packed(how, a_x, states, named)
    T, first = x.shape[0], starts(how.cell, named, x, how.cell.hidden(named))
    if mask is not None:
        beside = {name: t.masked_fill(~mask.unsqueeze(-1), 0) for name, t in beside.items()}
    each = {**beside, "x": x} if "x" in how.cell.inputs else beside
    y: list[Any] = [None] * T
    after: list[Any] = [None] * T
    now = tuple(states)
    for t in reversed(range(T)) if how.reverse else range(T):
        if resets is not None and not how.reverse:
            now = begun(now, resets[t], first)
        new = step(a_x[t], now, named, {name: values[t] for name, values in each.items()})
        y[t] = new[0]
        if mask is not None:
            is_there = mask[t, :, None]
            y[t] = torch.where(is_there, new[0], torch.zeros_like(new[0]))
            new = tuple(torch.where(is_there, s, before) for s, before in zip(new, now, strict=True))
        now = after[t] = new
        if resets is not None and how.reverse:
            now = begun(now, resets[t], first)
    all_states = [torch.stack(each) for each in zip(*after, strict=True)] if how.all_states else []
    return [torch.stack(y), *now, *all_states]


def _packed(how: How, a_x: Tensor, states: Sequence[Tensor], named: dict[str, Tensor]) -> list[Tensor]:
    step, now = _step(how.cell), list(states)
    assert how.batch_sizes is not None
    rows = list(a_x.split(how.batch_sizes))
    after: list[Any] = [None] * len(rows)
    for t in reversed(range(len(rows))) if how.reverse else range(len(rows)):
        n = len(rows[t])
        after[t] = step(rows[t], tuple(s[:n] for s in now), named)
        now = [torch.cat([new, s[n:]]) for new, s in zip(after[t], now, strict=True)]
    joined = [torch.cat(each) for each in zip(*after, strict=True)]
    return [joined[0], *now, *(joined if how.all_states else [])]


def beside(
    cell: Cell, inputs: Mapping[str, Tensor], x: Tensor, H: int, *, batch_first: bool
) -> dict[str, Tensor]:
    """Return what a cell reads at each step beside an input x as it is given: (T, N, H), or (T, N, 1)."""
    wanted = [name for name in cell.inputs if name != "x"]
    if sorted(wanted) != sorted(inputs):
        reads, got = ", ".join(wanted) or "nothing", ", ".join(inputs) or "nothing"
        raise ShapeError(f"{cell.name} reads {reads} at each step beside its input; got {got}")
    found = {}
    for name, given in inputs.items():
        steps, width = list(x.shape[:-1]), cell.width(name, H)
        if list(given.shape) != [*steps, width] and not (width == 1 and list(given.shape) == steps):
            raise ShapeError(f"{cell.name}: {name} must be {(*steps, width)}, got {tuple(given.shape)}")
        values = given.to(x.dtype).reshape(*steps, width)
        if x.dim() == 2:
            values = values.unsqueeze(1)
        found[name] = values.transpose(0, 1) if batch_first and x.dim() == 3 else values
    return found


def begun(states: Sequence[Tensor], where: Tensor, first: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return states (..., N, H), some of whose rows start anew, (N,) bool; `first` is from `starts`."""
    first = first or [torch.zeros_like(s) for s in states]
    return tuple(torch.where(where[:, None], f, s) for s, f in zip(states, first, strict=True))


def starts(cell: Cell, named: Mapping[str, Tensor], like: Tensor, H: int) -> list[Tensor]:
    """Return where each state starts, (H,) in the dtype of `like`; none where all start at zero."""
    # its length: what is empty is not false to PyTorch's compiler
    if len(cell.starts) == 0 and not any(name.startswith("start.") for name in named):
        return []
    dtype = like.dtype
    wide = dtype if dtype == torch.float64 else torch.float32  # which has room for what half has not
    return [
        named[f"start.{s}"].to(dtype)
        if f"start.{s}" in named
        else torch.full((cell.width(s, H),), cell.starts.get(s, 0.0), dtype=wide, device=like.device).to(
            dtype
        )
        for s in cell.states
    ]


_STEPS: dict[str, Any] = {}


def prepare(cell: Cell) -> Any:
    """Return a cell's step, made once; what PyTorch compiles finds it by the text of its equations."""
    made = with_equations(cell)
    step = step_of(made, functions(), lambda a, count: a.chunk(count, -1))
    _STEPS[made.equations.text] = step
    return step


def _step(cell: Cell) -> Any:
    found = _STEPS.get(_text(cell))
    return prepare(cell) if found is None else found


@torch.compiler.assume_constant_result
def _text(cell: Cell) -> str:
    return with_equations(cell).equations.text


def functions() -> dict[str, Any]:
    """Return the functions of the equations' notation, over tensors."""

    def as_tensors(function: Any) -> Any:
        def called(*values: Any) -> Any:
            like = next(v for v in values if isinstance(v, torch.Tensor))
            return function(*(torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in values))

        return called

    own = {f: getattr(torch, f) for f in ("sigmoid", "tanh", "relu", "exp", "log", "sqrt", "abs")}
    own |= {f: getattr(torch, f) for f in ("sin", "cos", "erf", "sign", "floor")}
    return own | {
        "sum": lambda a, at: a.sum(at, keepdim=True),
        "largest": lambda a, at: a.amax(at, keepdim=True),
        "cumsum": torch.cumsum,
        "broadcast_to": torch.broadcast_to,
        "Phi": torch.special.ndtr,
        "stop": torch.Tensor.detach,
        "surrogate": as_tensors(lambda v, d, u: v.detach() + d.detach() * (u - u.detach())),
        "softplus": torch.nn.functional.softplus,
        "max": as_tensors(torch.maximum),
        "min": as_tensors(torch.minimum),
        "where": as_tensors(lambda u, v, w: torch.where(u > 0, v, w)),
    }
