"""What operations make of what flows through a graph: see :mod:`bptt.exchange.graphs.values`."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bptt.exchange.graphs.foreign import Found
from bptt.exchange.graphs.graph import Node
from bptt.exchange.graphs.values import (
    Flow,
    Head,
    NotUnderstoodError,
    Sizes,
    Value,
    Zeros,
    axes_of,
    expect_constant,
    slice_of,
)
from bptt.nets.pool import PoolName
from bptt.types import Array

_ONE_STEP = "of one direction it takes what has seen one step alone"

Rule = Callable[[Found, Node, list[Value], Flow], Value | list[Value]]


def _same(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    if node.op == "Cast" and node.attributes.get("to") not in (1, 6, 7, 11):
        raise NotUnderstoodError("it rounds")
    return flow


def _transpose(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    perm = node.attributes.get("perm") or [*range(len(flow.axes))][::-1]
    if sorted(perm) != [*range(len(flow.axes))]:
        raise NotUnderstoodError(f"it exchanges the axes {perm} of {len(flow.axes)}"[:200])
    return replace(flow, axes=tuple(flow.axes[k] for k in perm))


def _is_one(found: Found, flow: Flow, axis: str) -> bool:
    """Return whether an axis is of size one."""
    if axis == "unit":
        return flow.head is not None and flow.head.W.shape[1] == 1
    return axis == "one" or (axis == "way" and len(flow.ways) == 1) or found.static.get(axis) == 1


def _squeeze(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    gone = axes_of(node, values, len(flow.axes))
    if gone is None:
        gone = [k for k, axis in enumerate(flow.axes) if _is_one(found, flow, axis)]
    if not all(_is_one(found, flow, flow.axes[k]) for k in gone):
        raise NotUnderstoodError("the axis is of another size than one")
    return replace(flow, axes=tuple(axis for k, axis in enumerate(flow.axes) if k not in gone))


def _unsqueeze(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    count = len(np.atleast_1d(node.attributes.get("axes") or expect_constant(values[1], "axes")))
    new, axes = axes_of(node, values, len(flow.axes) + count) or [], list(flow.axes)
    for k in sorted(new):
        axes.insert(k, "one")
    return replace(flow, axes=tuple(axes))


def _reshape(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    wanted, axes = values[1], flow.axes
    if node.op == "Flatten":
        if node.attributes.get("axis", 1) % len(axes) != len(axes) - 1:
            raise NotUnderstoodError("it puts steps and features into one axis")
        rank = 2
    elif isinstance(wanted, np.ndarray):
        rank = wanted.size
        same = [n in (0, found.static.get(axis)) for n, axis in zip(wanted.tolist(), axes, strict=False)]
        if rank == len(axes) and sum(same) < rank - 1:
            raise NotUnderstoodError("it may exchange what its axes are")
    else:
        rank = (wanted.length if isinstance(wanted, Sizes) else None) or 0
    if rank < len(axes) and axes[-2:] == ("way", "unit"):  # the directions side by side
        axes = (*axes[:-2], "unit")
    if rank == 4 and flow.what == "last" and axes[0] == "way" and len(axes) == 3:
        return replace(flow, axes=("layer", *axes))
    ones = [axis for axis in axes if _is_one(found, flow, axis)]
    if rank == len(axes):
        return replace(flow, axes=axes)
    if rank == 3 and axes == ("0", "unit"):  # one sequence, by itself
        return replace(flow, axes=("0", "one", "unit"))
    if rank == len(axes) - len(ones):
        return replace(flow, axes=tuple(axis for axis in axes if axis not in ones))
    if rank == 2 and len(axes) == 3 and axes[2] == "unit" and set(axes[:2]) == {"0", "1"}:
        return replace(flow, axes=("*".join(axes[:2]), "unit"))
    if rank == 3 and axes in (("0*1", "unit"), ("1*0", "unit")):
        return replace(flow, axes=(*axes[0].split("*"), "unit"))
    raise NotUnderstoodError("its axes are put together in another way than a layer's")


def _gather(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    table, index = values[:2]
    if isinstance(table, np.ndarray):
        if flow.what != "tokens" or table.ndim != 2 or node.attributes.get("axis", 0) != 0:
            raise NotUnderstoodError("it is no embedding of tokens")
        return _embedded(found, table, flow)
    index = expect_constant(index, "index")
    if table is not flow or index.size != 1:
        raise NotUnderstoodError("what it takes is no constant, or several")
    axis = node.attributes.get("axis", 0) % len(flow.axes)
    place = int(index.ravel()[0])
    return _taken(found, flow, axis, slice(place, place + 1 or None), keep=index.ndim > 0)


def _embedded(found: Found, table: Array, flow: Flow) -> Flow:
    if found.embedding is not None:
        raise NotUnderstoodError("it is a second embedding")
    found.embedding = table
    axes = flow.axes if flow.what == "hot" else (*flow.axes, "unit")
    return Flow("x", axes)


def _taken(found: Found, flow: Flow, axis: int, part: slice, *, keep: bool = True) -> Flow:
    """Return what is left when a part of an axis is taken."""
    name, step = flow.axes[axis], part.step or 1
    axes = flow.axes if keep else (*flow.axes[:axis], *flow.axes[axis + 1 :])
    one = axes if not keep else (*flow.axes[:axis], "one", *flow.axes[axis + 1 :])
    start, stop = part.start or 0, part.stop
    size = found.static.get(name, math.inf)
    if keep and step == 1 and start == 0 and (stop is None or stop >= min(size, 1 << 31)):
        return flow  # all of it
    if flow.what == "last" and name == "way":
        return replace(flow, axes=axes, ways=flow.ways[part])
    if flow.what == "last" and name == "layer":
        layers = sorted({layer for layer, _ in flow.ways})[part]
        return replace(flow, axes=axes, ways=tuple(way for way in flow.ways if way[0] in layers))
    if name == "unit" and len(flow.ways) == 2 and flow.what in ("y", "end", "begin"):
        return _direction(found, flow, part)
    is_end = (start == -1 or start == size - 1 > 0) and step == 1 and (stop is None or stop > start)
    if flow.what in ("y", "out") and name == found.time and (is_end or (start, stop) == (0, 1) != (0, size)):
        if len(flow.ways) == 2 and flow.head is None:
            return replace(flow, what="end" if is_end else "begin", axes=one)
        if is_end != (flow.ways[0][1] == 0) or len(flow.ways) == 2:
            raise NotUnderstoodError(_ONE_STEP)
        return _pooled(found, replace(flow, axes=one), "last")
    if _is_one(found, flow, name):
        return replace(flow, axes=axes)
    if flow.what in ("inputs", "state"):
        return replace(flow, what="state", axes=axes)
    raise NotUnderstoodError("it takes a part of what no output here is made of")


def _direction(found: Found, flow: Flow, part: slice) -> Flow:
    """Return one of two directions that stand side by side; of a single step its state after the sequence."""
    H = len(found.layers[flow.layer - 1].ways[0]["U"])
    which = {(0, H): 0, (H, 2 * H): 1}.get(part.indices(2 * H)[:2])
    if which is None or part.step not in (None, 1):
        raise NotUnderstoodError("it takes some features alone")
    if flow.what != "y" and flow.what != ("end", "begin")[which]:
        raise NotUnderstoodError(_ONE_STEP)
    return replace(flow, what="y" if flow.what == "y" else "last", ways=(flow.ways[which],))


def _slice(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    if values[0] is not flow:
        raise NotUnderstoodError
    for axis, part in slice_of(node, values).items():
        if not -len(flow.axes) <= axis < len(flow.axes):
            raise NotUnderstoodError("it has no such axis")
        flow = _taken(found, flow, axis % len(flow.axes), part)
    return flow


def _split(found: Found, node: Node, values: list[Value], flow: Flow) -> list[Value]:
    axis, count = node.attributes.get("axis", 0) % len(flow.axes), len(node.outputs)
    if flow.what == "last" and flow.axes[axis] == "way" and count == len(flow.ways):
        return [replace(flow, ways=(way,)) for way in flow.ways]
    if flow.what in ("inputs", "state"):
        return [replace(flow, what="state")] * count
    raise NotUnderstoodError("it splits what no output here is made of")


def _concat(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    flows = [value for value in values if isinstance(value, Flow)]
    if all(value.what in ("inputs", "state") for value in flows):
        return replace(flow, what="state")
    alike = all((v.what, v.axes) == ("last", flow.axes) for v in flows) and len(flows) == len(values)
    axis = flow.axes[node.attributes.get("axis", 0) % len(flow.axes)]
    side_by_side = axis == "unit" and all(len(value.ways) == 1 for value in flows)
    if not alike or not (axis == "way" or side_by_side):
        raise NotUnderstoodError("it puts together what no output here is made of")
    return replace(flow, ways=tuple(way for value in flows for way in value.ways))


def _mean(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    axes = axes_of(node, values, len(flow.axes))
    if flow.what not in ("y", "out") or axes is None or [flow.axes[k] for k in axes] != [found.time]:
        raise NotUnderstoodError("it is no mean over a sequence's steps")
    kept = ("one",) if node.attributes.get("keepdims", 1) else ()
    axes_left = (*flow.axes[: axes[0]], *kept, *flow.axes[axes[0] + 1 :])
    return _pooled(found, replace(flow, axes=axes_left), "mean")


def _pooled(found: Found, flow: Flow, pool: PoolName) -> Flow:
    """Return the last of the outputs, or their mean; after the output layer, which is the same."""
    if found.masked:
        raise NotUnderstoodError("it takes what lies beyond a sequence's end, too")
    if flow.head is None:
        return replace(flow, what=pool)
    if flow.head.loss is not None:
        raise NotUnderstoodError("it is of probabilities")
    return replace(flow, head=replace(flow.head, pool=pool))


def _one_hot(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    values_of = expect_constant(values[2], "values").tolist()
    last = node.attributes.get("axis", -1) in (-1, len(flow.axes))
    if flow.what != "tokens" or values_of != [0, 1] or not last:
        raise NotUnderstoodError("it is not one and zeros for each token")
    return Flow("hot", (*flow.axes, "unit"))


def _equal(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    numbers = expect_constant(next((v for v in values if v is not flow), None), "range").ravel()
    if flow.what != "tokens" or flow.axes[-1] != "one" or (numbers != np.arange(len(numbers))).any():
        raise NotUnderstoodError("it is not one and zeros for each token")
    return Flow("hot", (*flow.axes[:-1], "unit"))


def _product(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    if values[0] is not flow:
        raise NotUnderstoodError("it multiplies from the left")
    W = expect_constant(values[1], "matrix")
    a = node.attributes
    if node.op == "Gemm":
        if a.get("transA") or a.get("alpha", 1.0) != 1 or a.get("beta", 1.0) != 1:
            raise NotUnderstoodError("it multiplies by more than a matrix")
        W = W.T if a.get("transB") else W
    if W.ndim != 2 or flow.axes[-1] != "unit":
        raise NotUnderstoodError("it is no product of features with a matrix")
    bias = values[2] if len(values) > 2 else None
    if flow.what == "hot" and bias is None:
        return _embedded(found, W, flow)
    if flow.what in ("tokens", "hot", "inputs", "x"):
        raise NotUnderstoodError("a layer before the recurrent ones is no part of a model here")
    if flow.what in ("end", "begin"):
        raise NotUnderstoodError(_ONE_STEP)
    if flow.what == "out":
        raise NotUnderstoodError("a second layer after the recurrent ones is no part of a model here")
    L = len(found.layers)
    ends = tuple((L, k) for k in range(len(found.layers[-1].ways)))
    if {"way", "layer"} & {*flow.axes} or (flow.ways != ends if flow.what == "last" else flow.layer != L):
        raise NotUnderstoodError("it does not read what the last layer gives, forward before reverse")
    pools: dict[str, PoolName] = {"last": "last", "mean": "mean"}
    out = replace(flow, what="out", head=Head(W, pool=pools.get(flow.what)))
    return out if bias is None else _plus(found, node, [out, bias], out)


def _plus(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    b = next((value for value in values if value is not flow), None)
    if isinstance(b, Zeros):
        return flow
    b, head = expect_constant(b, "bias"), flow.head
    if head is None or head.b is not None or (b.size, *b.shape[-1:]) != (head.W.shape[1],) * 2:
        raise NotUnderstoodError("it adds what is no bias of the output")
    return replace(flow, head=replace(head, b=b.ravel()))


def _told_as(found: Found, node: Node, values: list[Value], flow: Flow) -> Value:
    if flow.head is None or node.attributes.get("axis", -1) not in (-1, len(flow.axes) - 1):
        raise NotUnderstoodError
    loss = "sigmoid_cross_entropy" if node.op == "Sigmoid" else "cross_entropy"
    return replace(flow, head=replace(flow.head, loss=loss))


RULES: dict[str, Rule] = {
    "Identity": _same,
    "Cast": _same,
    "Dropout": _same,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "ReduceMean": _mean,
    "OneHot": _one_hot,
    "Equal": _equal,
    "MatMul": _product,
    "Gemm": _product,
    "Add": _plus,
    "Softmax": _told_as,
    "LogSoftmax": _told_as,
    "Sigmoid": _told_as,
}
"""By the operation's name."""
