"""Truncation changes nothing but what is asked: chunks that pass states on and gradients back are the whole.

Forward, each chunk starts from the states that the one before ended with. Backward, each chunk gets, as
the gradient at its final states, what the one after gave at its initial states; the gradients at the
parameters are summed over chunks.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt.cells import CELLS
from bptt.nets.stack import Stack
from bptt.types import Array, Params
from gradcheck import Layer, assert_close, random_layer

TOLERANCE = 1e-11  # rounding alone: sums are taken in another order
BIAS = st.sampled_from(["none", "one", "two"])
SIZE = st.integers(1, 4)
Slices = list[slice]


def chunks_of(lengths: list[int]) -> Slices:
    """Return slices of these lengths, one after the other."""
    ends = np.cumsum(lengths).tolist()
    return [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]


CHUNKS = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(chunks_of)


def flags(rng: np.random.Generator, shape: tuple[int, int], wanted: bool, part: float) -> Array | None:
    return rng.random(shape) < part if wanted else None


def by_chunks(layer: Layer, chunks: Slices) -> Params:
    """Return outputs and gradients as `Layer` names them, computed chunk by chunk."""
    states = layer.cell.states
    runs = []
    for steps in reversed(chunks) if layer.reverse else chunks:
        part = layer.during(steps)
        run = part.run()
        runs.append((part, run))
        layer = replace(
            layer, arrays=layer.arrays | {f"{s}0": a for s, a in zip(states, run.states, strict=True)}
        )
    found = {s: layer.arrays[f"{s}0"] for s in states}
    dstates = tuple(layer.cotangents[s] for s in states)
    y, dx = [run.y for _, run in runs], []
    for part, run in reversed(runs):
        grads = run.backward(part.cotangents["y"], dstates)
        dstates = grads.states
        dx.append(grads.inputs)
        found |= {name: array + found.get(name, 0) for name, array in grads.params.items()}
    y, dx = (y[::-1], dx) if layer.reverse else (y, dx[::-1])
    found |= {"y": np.concatenate(y), "x": np.concatenate([d for d in dx if d is not None])}
    return found | {f"{s}0": d for s, d in zip(states, dstates, strict=True)}


@settings(deadline=None, max_examples=200)
@given(
    cell=st.sampled_from(list(CELLS.values())),
    chunks=CHUNKS,
    sizes=st.tuples(SIZE, SIZE, SIZE),
    bias=BIAS,
    masked=st.booleans(),
    resets=st.booleans(),
    reverse=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_layer_in_chunks_is_the_layer(
    cell: Any,
    chunks: Slices,
    sizes: tuple[int, int, int],
    bias: Literal["none", "one", "two"],
    masked: bool,
    resets: bool,
    reverse: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    T, (N, D, H) = chunks[-1].stop, sizes
    mask, reset = flags(rng, (T, N), masked, 0.7), flags(rng, (T, N), resets, 0.3)
    layer = random_layer(rng, cell, T=T, N=N, D=D, H=H, bias=bias, mask=mask, reset=reset, reverse=reverse)
    assert_close(by_chunks(layer, chunks), layer.outputs() | layer.grads(), TOLERANCE)


def tokens_or_reals(rng: np.random.Generator, shape: tuple[int, int], D: int, tokens: bool) -> Array:
    return rng.integers(D, size=shape) if tokens else rng.normal(size=(*shape, D))


@settings(deadline=None, max_examples=100)
@given(
    cell=st.sampled_from(list(CELLS.values())),
    layers=st.integers(1, 3),
    chunks=CHUNKS,
    sizes=st.tuples(SIZE, SIZE, SIZE),
    bias=BIAS,
    tokens=st.booleans(),
    masked=st.booleans(),
    resets=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_stack_in_chunks_is_the_stack(
    cell: Any,
    layers: int,
    chunks: Slices,
    sizes: tuple[int, int, int],
    bias: Literal["none", "one", "two"],
    tokens: bool,
    masked: bool,
    resets: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    T, (N, D, H) = chunks[-1].stop, sizes
    mask, reset = flags(rng, (T, N), masked, 0.7), flags(rng, (T, N), resets, 0.3)
    stack = Stack(cell, inputs=D, hidden=H, layers=layers, bias=bias)
    params = {k: rng.normal(0, 0.6, v.shape) for k, v in stack.init(rng).items()}
    x, dy = tokens_or_reals(rng, (T, N), D, tokens), rng.normal(size=(T, N, H))
    states, dfinal = ({k: rng.normal(size=(N, H)) for k in stack.state_names} for _ in range(2))

    whole = stack.forward(params, x, states, mask=mask, reset=reset)
    dparams, dx, dstates, *_ = whole.backward(dy, dfinal)

    runs = []
    for steps in chunks:
        m, r = (None if array is None else array[steps] for array in (mask, reset))
        runs.append(stack.forward(params, x[steps], states, mask=m, reset=r))
        states = runs[-1].states
    summed: Params = {}
    parts: list[Any] = []
    for steps, run in zip(reversed(chunks), reversed(runs), strict=True):
        more, part_dx, dfinal, *_ = run.backward(dy[steps], dfinal)
        summed = {name: array + summed.get(name, 0) for name, array in more.items()}
        parts.append(part_dx)

    assert_close({"y": np.concatenate([run.y for run in runs])}, {"y": whole.y}, TOLERANCE)
    assert_close(states, whole.states, TOLERANCE)
    assert_close(summed, dparams, TOLERANCE)
    assert_close(dfinal, dstates, TOLERANCE)
    if dx is None:
        assert tokens
        assert parts == [None] * len(chunks)
    else:
        assert_close({"x": np.concatenate(parts[::-1])}, {"x": dx}, TOLERANCE)
