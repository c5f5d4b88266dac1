"""What a value of somebody's graph is, as far as a recurrent model has such: known without running anything.

A node's operation is applied to what its inputs are. Constants are computed, as far as weights are made of
them; sizes are counted; of what flows from an input to an output, `Flow` says how far it is and what its axes
are. What is something else is `Odd`, and says which node made it so.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bptt.derive.source import printable
from bptt.errors import DataError
from bptt.exchange.graphs.graph import Node
from bptt.nets.pool import PoolName
from bptt.types import Array


@dataclass(frozen=True, eq=False)
class Head:
    """An output layer.

    Attributes
    ----------
    W : (H, K)
    b : (K,) or None
    pool : "last", "mean" or None
    loss : str or None
        That whose probabilities are given, where they are.
    """

    W: Array
    b: Array | None = None
    pool: PoolName | None = None
    loss: str | None = None


@dataclass(frozen=True, eq=False)
class Flow:
    """What comes from an input.

    Attributes
    ----------
    what : str
        ``tokens``; ``inputs``, which are real; ``hot``, tokens in a vector each; ``x``, what the layers read;
        ``y``, what they give at each step; ``end``, ``begin``, both directions' at one of them; ``last``, the
        output states after the sequence; ``mean``; ``out``.
    axes : tuple of str
        ``0`` and ``1`` are the first two of the input, ``0*1`` both in one, ``one`` is of size one, ``way``
        has a place for each of `ways`, ``layer`` for each layer of them, ``unit`` are the features.
    layer : int
        How many layers it went through.
    ways : tuple of (int, int)
        Of ``last``: which layers' and directions' states there are.
    head : Head or None
        Of ``out``.
    """

    what: str
    axes: tuple[str, ...]
    layer: int = 0
    ways: tuple[tuple[int, int], ...] = ()
    head: Head | None = None


@dataclass(frozen=True)
class Sizes:
    """Numbers that are made of the sizes of others: so many of them, 0 for one by itself, None if unknown."""

    length: int | None


@dataclass(frozen=True)
class Zeros:
    """A state of zeros."""


@dataclass(frozen=True)
class Odd:
    """What is not understood, and why."""

    why: str


Value: TypeAlias = Array | Flow | Sizes | Zeros | Odd | None
"""None is an input that is left out."""


class NotUnderstoodError(Exception):
    """A node does what no model here does; the text says what, or is empty."""


def told(node: Node) -> str:
    """Return a node by its operation and its name."""
    op = f"{node.domain}.{node.op}" if node.domain else node.op
    return f"the node {printable(op):.80}" + (f" {node.name!r:.80}" if node.name else "")


def axes_of(node: Node, values: list[Value], rank: int) -> list[int] | None:
    """Return the axes that a node names, in an attribute or, later, in an input; None where it names none."""
    axes = node.attributes.get("axes")
    if axes is None and len(values) > 1 and values[1] is not None:
        if not isinstance(values[1], np.ndarray):
            raise NotUnderstoodError("its axes are no constants")
        axes = np.atleast_1d(values[1]).tolist()
    if axes is None:
        return None
    if not all(-rank <= a < rank for a in axes):
        raise NotUnderstoodError(f"it names the axes {axes} of {rank}")
    return [a % rank for a in axes]


def slice_of(node: Node, values: list[Value]) -> dict[int, slice]:
    """Return what a Slice takes of each axis that it names."""
    given = [node.attributes.get(name) for name in ("starts", "ends", "axes", "steps")]
    for k, value in enumerate(values[1:5]):
        if value is not None:
            if not isinstance(value, np.ndarray):
                raise NotUnderstoodError("what it takes is no constant")
            given[k] = np.atleast_1d(value).tolist()
    starts, ends, axes, steps = given
    if starts is None or ends is None or len(starts) != len(ends):
        raise NotUnderstoodError("it does not say what it takes")
    axes, steps = axes or range(len(starts)), steps or [1] * len(starts)
    return {a: slice(s, e, t) for a, s, e, t in zip(axes, starts, ends, steps, strict=False) if t}


def constant(node: Node, arrays: list[Array], limit: int) -> Array | None:
    """Return what a node makes of constants, of at most so many bytes; None where that is not worked out."""
    first = arrays[0] if arrays else np.empty(0)
    inputs: list[Value] = [*arrays]
    match node.op:
        case "Constant":
            value = next(iter(node.attributes.values()), None)
            return None if value is None or isinstance(value, str) else _typed(value)
        case "Identity":
            return first
        case "Cast":
            kinds = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
            kind = kinds.get(node.attributes.get("to", 0))
            fits = kind is not None and first.size * np.dtype(kind).itemsize <= limit
            return first.astype(kind) if fits else None
        case "Transpose":
            return first.transpose(node.attributes.get("perm"))
        case "Unsqueeze":
            axes = node.attributes.get("axes") or np.atleast_1d(arrays[1]).tolist()
            return np.expand_dims(first, tuple(axes))
        case "Squeeze":
            axes = axes_of(node, inputs, first.ndim)
            return first.squeeze(None if axes is None else tuple(axes))
        case "Reshape":
            wanted = arrays[1].tolist()
            return first.reshape([first.shape[k] if n == 0 else n for k, n in enumerate(wanted)])
        case "Slice":
            taken = slice_of(node, inputs)
            return first[
                tuple(taken.get(k, taken.get(k - first.ndim, slice(None))) for k in range(first.ndim))
            ]
        case "Gather":
            if arrays[1].size * first.nbytes // max(1, len(first)) <= limit:
                return np.take(first, arrays[1], axis=node.attributes.get("axis", 0))
        case "Concat":
            if sum(array.nbytes for array in arrays) <= limit:
                return np.concatenate(arrays, axis=node.attributes.get("axis", 0))
        case "Neg":
            return -first
    return None


def _typed(value: object) -> Array:
    """Return a constant's value as an array; numbers by themselves are float32 or int64."""
    if isinstance(value, np.ndarray):
        return value
    array = np.asarray(value)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def sizes(node: Node, values: list[Value]) -> Value:
    """Return what a node makes of sizes; zeros where it fills a state with them."""
    if node.op == "ConstantOfShape":
        value = node.attributes.get("value", np.zeros(1, np.float32))
        if not isinstance(value, np.ndarray):
            raise NotUnderstoodError("its value is none")
        if value.dtype.kind != "f":
            return Sizes(None)
        if value.any():
            raise NotUnderstoodError("it is no state of zeros")
        return Zeros()
    lengths = [
        (v.size if v.ndim else 0) if isinstance(v, np.ndarray) else v.length if isinstance(v, Sizes) else None
        for v in values
    ]
    if None in lengths:
        return Sizes(None)
    known = [n for n in lengths if n is not None]
    match node.op:
        case "Concat":
            return Sizes(sum(known))
        case "Unsqueeze":
            return Sizes(1)
        case "Squeeze":
            return Sizes(0)
        case "Reshape" if isinstance(values[1], np.ndarray) and values[1].tolist() in ([-1], []):
            return Sizes(max(known) if values[1].size else 0)
        case "Gather":
            return Sizes(known[1])
        case "Slice":
            return Sizes(len(range(known[0])[slice_of(node, values).get(0, slice(None))]))
        case "Cast" | "Identity" | "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min":
            return Sizes(max(known))
    return Sizes(None)


def expect_constant(value: Value, what: str) -> Array:
    """Return a weight, or raise a DataError."""
    if isinstance(value, Odd):
        raise DataError(f"{what} {value.why}")
    if not isinstance(value, np.ndarray):
        raise NotUnderstoodError(f"its {what} is no constant")
    return value
