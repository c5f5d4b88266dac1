"""A layer in one direction as an operation of PyTorch: within autograd, and within what it compiles."""

import json
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import torch

from bptt.cells import Cell
from bptt.errors import ShapeError
from bptt.kernels.backends import Precision, kernel
from bptt.layer.shapes import layer_shapes
from bptt.torch import loop, native
from bptt.torch.native import How
from bptt.torch.tensors import Tensor, dtype_of, empty
from bptt.types import Shapes
from bptt.zoo import get, record


def run(
    how: How,
    precision: Precision,
    x: Tensor,
    mask: Tensor | None,
    resets: Tensor | None,
    states: Sequence[Tensor | None],
    params: Sequence[Tensor],
    N: int,
    batch_sizes: Tensor | None,
) -> Sequence[Tensor]:
    """Return y, the final states and, where ``how.all_states``, those after each step.

    States are (1, N, H), or None for zeros. `batch_sizes` is ``how.batch_sizes`` where this is
    traced and nobody knows them.
    """
    H = params[how.names.index("U")].shape[-1 if how.by_rows else 0]
    if torch.compiler.is_compiling():
        given = [x.new_zeros(1, N, H) if s is None else s for s in states]
        keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *given, *params))
        *traced, _ = torch.ops.bptt.layer(
            x, mask, resets, given, list(params), batch_sizes, keep,
            _text(how.cell), ",".join(how.names), how.by_rows, how.reverse, how.all_states, precision,
        )  # fmt: skip
        return traced
    plan = native.plan_of(how, x, N, H, precision)
    if not torch.is_grad_enabled():
        return native.forward(plan, x, mask, resets, states, params, None)
    # not its own `apply`: what that looks for before, transforms, `Recurrent` has looked for
    found: Sequence[Tensor] = super(torch.autograd.Function, _Layer).apply(
        plan, x, mask, resets, *states, *params
    )
    return found


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: native.Plan,
        x: Tensor,
        mask: Tensor | None,
        resets: Tensor | None,
        *tensors: Tensor | None,
    ) -> tuple[Tensor, ...]:
        count, kept = len(plan.how.cell.states), None
        if any(ctx.needs_input_grad):
            kept = empty((plan.kept,), x)
            ctx.save_for_backward(x, mask, resets, *tensors)
            ctx.set_materialize_grads(False)
            ctx.plan, ctx.kept = plan, kept
        return tuple(native.forward(plan, x, mask, resets, tensors[:count], tensors[count:], kept))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        plan, needs = ctx.plan, ctx.needs_input_grad[1:]
        given = ctx.saved_tensors
        _expect(plan, given[0], given[3 + len(plan.how.cell.states) :], ctx.kept)
        if torch.is_grad_enabled():
            return (None, *_differentiable(plan, given, grads, needs))
        x, mask, resets, *tensors = given
        params, needs = tensors[len(plan.how.cell.states) :], (needs[0], *needs[3:])
        kept, overwrite = ctx.kept, not _keeps_graph()
        if overwrite:
            ctx.kept = None
        dx, *found = native.backward(plan, x, mask, resets, params, kept, grads, needs, overwrite=overwrite)
        return None, dx, None, None, *found


def _expect(plan: native.Plan, x: Tensor, params: Sequence[Tensor], kept: Tensor) -> None:
    """Raise a ShapeError where a tensor is no longer what the forward read: it would be read as that."""
    for name, tensor, shape in zip(("input", *plan.how.names), (x, *params), _forms(plan), strict=True):
        if tensor.shape != shape or tensor.dtype != kept.dtype:
            raise ShapeError(
                f"{plan.how.cell.name}: {name} was {kept.dtype} {shape} in the forward and is {tensor.dtype} "
                f"{tuple(tensor.shape)} in its backward; convert a layer before the one or after the other"
            )


@lru_cache(512)
def _forms(plan: native.Plan) -> list[tuple[int, ...]]:
    """Return the shapes of a plan's input and parameters."""
    how, turned = plan.how, -1 if plan.how.by_rows else 1
    found, steps = shapes(how.cell, plan.D, plan.H), (plan.rows,) if how.batch_sizes else (plan.T, plan.N)
    return [(*steps, plan.D), *(found[name][::turned] for name in how.names)]


def _differentiable(
    plan: native.Plan, tensors: Sequence[Any], grads: Sequence[Tensor | None], needs: Sequence[bool]
) -> list[Tensor | None]:
    """Return gradients that can be differentiated again: those of PyTorch's own operations."""
    x, mask, resets, *more = tensors
    how, count = plan.how, len(plan.how.cell.states)
    states = [x.new_zeros(plan.N, plan.H) if s is None else s[0] for s in more[:count]]
    found = loop.run(how, x, mask, resets, states, more[count:])
    pairs = [(y, d.reshape(y.shape)) for y, d in zip(found, grads, strict=True) if d is not None]
    wanted = [t for t, is_wanted in zip(tensors, needs, strict=True) if is_wanted]
    outputs, seeds = zip(*pairs, strict=True)
    made = iter(torch.autograd.grad(outputs, wanted, seeds, create_graph=True, allow_unused=True))
    return [next(made) if is_wanted else None for is_wanted in needs]


def _keeps_graph() -> bool:
    """Return whether a later backward may come: what the forward kept must then stay."""
    try:
        return bool(torch._C._autograd._get_current_graph_task_keep_graph())
    except (AttributeError, RuntimeError):
        return True


# ---- within torch.compile and torch.export: operators with tensors and plain values alone


@torch.compiler.assume_constant_result
def shapes(cell: Cell, D: int, H: int) -> Shapes:
    """Return the shapes that a layer's parameters may have."""
    return layer_shapes(cell, D, H, "two", learn_start=True)


@torch.compiler.assume_constant_result
def _text(cell: Cell) -> str:
    return json.dumps(record.to_json(cell))


@lru_cache(256)
def _cell(text: str) -> Cell:
    return get(record.from_json(json.loads(text)))


def _how(
    cell: str, names: str, by_rows: bool, reverse: bool, all_states: bool, batch_sizes: Tensor | None
) -> How:
    sizes = None if batch_sizes is None else tuple(batch_sizes.tolist())
    return How(_cell(cell), tuple(names.split(",")), by_rows, reverse, sizes, all_states)


def _precision(name: str) -> Precision:
    return "bfloat16" if name == "bfloat16" else "float32"


@torch.library.custom_op("bptt::layer", mutates_args=())
def layer(
    x: torch.Tensor,
    mask: torch.Tensor | None,
    resets: torch.Tensor | None,
    states: list[torch.Tensor],
    params: list[torch.Tensor],
    batch_sizes: torch.Tensor | None,
    keep: bool,
    cell: str,
    names: str,
    by_rows: bool,
    reverse: bool,
    all_states: bool,
    precision: str,
) -> list[torch.Tensor]:
    """Return what `run` does, and what the backward reads."""
    how, kind = _how(cell, names, by_rows, reverse, all_states, batch_sizes), _precision(precision)
    plan = native.plan_of(how, x, states[0].shape[-2], states[0].shape[-1], kind)
    kept = empty((plan.kept * keep,), x)
    found = native.forward(plan, x, mask, resets, states, params, kept if keep else None)
    return [*found, kept]


@layer.register_fake
def _(
    x: Tensor,
    mask: Any,
    resets: Any,
    states: Any,
    params: Any,
    batch_sizes: Any,
    keep: bool,
    cell: str,
    names: str,
    by_rows: bool,
    reverse: bool,
    all_states: bool,
    precision: str,
) -> list[Tensor]:
    """Return tensors of the shapes that `layer` returns."""
    (N, H), count = states[0].shape[-2:], len(states)
    rows = x.shape[0] * (1 if batch_sizes is not None else N)
    compiled = kernel("cpu", _cell(cell), dtype_of(x.dtype), _precision(precision))
    assert compiled is not None
    kept = sum(prod(shape) for shape in compiled.shapes(rows, H).values()) if keep else 0
    y = (*x.shape[:-1], H)
    after = [x.new_empty(y) for _ in range(count * all_states)]
    return [x.new_empty(y), *(x.new_empty(s.shape) for s in states), *after, x.new_empty((kept,))]


@torch.library.custom_op("bptt::layer_backward", mutates_args=())
def layer_backward(
    grads: Sequence[torch.Tensor | None],
    x: torch.Tensor,
    mask: torch.Tensor | None,
    resets: torch.Tensor | None,
    states: list[torch.Tensor],
    params: list[torch.Tensor],
    batch_sizes: torch.Tensor | None,
    kept: torch.Tensor,
    needs: list[bool],
    cell: str,
    names: str,
    by_rows: bool,
    reverse: bool,
    all_states: bool,
    precision: str,
) -> list[torch.Tensor]:
    """Return the gradients at x, the states and the parameters; nothing where none is wanted."""
    how, kind = _how(cell, names, by_rows, reverse, all_states, batch_sizes), _precision(precision)
    plan = native.plan_of(how, x, states[0].shape[-2], states[0].shape[-1], kind)
    _expect(plan, x, params, kept)
    made: Any = native.backward(plan, x, mask, resets, params, kept, grads, needs, overwrite=False)
    # an operator's results are tensors of their own, and lie as they are said to
    return [
        (t.clone() if any(t is u for u in made[:k]) else t.contiguous()) if is_wanted else x.new_empty(0)
        for k, (t, is_wanted) in enumerate(zip(made, needs, strict=True))
    ]


@layer_backward.register_fake
def _(
    grads: Any,
    x: Tensor,
    mask: Any,
    resets: Any,
    states: Any,
    params: Any,
    batch_sizes: Any,
    kept: Any,
    needs: Any,
    *_: Any,
) -> list[Tensor]:
    return [
        torch.empty_like(t, memory_format=torch.contiguous_format) if is_wanted else x.new_empty(0)
        for t, is_wanted in zip((x, *states, *params), needs, strict=True)
    ]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, mask, resets, states, params, batch_sizes, _, *plain = inputs
    ctx.count, ctx.plain = len(states), plain
    ctx.save_for_backward(x, mask, resets, batch_sizes, output[-1], *states, *params)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    x, mask, resets, batch_sizes, kept, *tensors = ctx.saved_tensors
    states, params = tensors[: ctx.count], tensors[ctx.count :]
    at_x, _, _, at_states, at_params = ctx.needs_input_grad[:5]
    needs = [at_x, *at_states, *at_params]
    found = torch.ops.bptt.layer_backward(
        grads[:-1], x, mask, resets, states, params, batch_sizes, kept, needs, *ctx.plain
    )
    dx, *made = [d if is_wanted else None for d, is_wanted in zip(found, needs, strict=True)]
    return dx, None, None, made[: ctx.count], made[ctx.count :], *(None,) * 8


layer.register_autograd(_backward, setup_context=_setup)
