"""What a model says of sequences, in bounded memory: many short ones at once, a long one piece by piece.

A piece after a piece, each direction of a layer by itself: of a long sequence what one layer gives is held,
and nothing of what a backward pass would need.
"""

import numpy as np

from bptt.kernels.backends import unroll
from bptt.layer.threads import one_blas_thread
from bptt.nets.evaluate import steps_at_once
from bptt.nets.model import Model
from bptt.nets.stack import StackRun, layer_params
from bptt.types import Array, Batch, Params


def outputs(model: Model, params: Params, batch: Batch) -> Array:
    """Return a model's outputs, those of :meth:`bptt.Model.forward`, in bounded memory."""
    T, N = batch.inputs.shape[:2]
    some = steps_at_once(model, N)
    if some >= T:
        return model.forward(params, batch).outputs
    model, params = model.unmapped(params)
    pieces = [slice(start, start + some) for start in range(0, T, some)]
    mask = np.ones((T, N), bool) if batch.mask is None else batch.mask
    states: Params = {}
    with one_blas_thread():
        y = np.empty((0, 0, 0))
        for layer in range(model.layers):
            x, sides = y, []
            for direction in model.stack.directions:
                own, kept = layer_params(params, layer, reverse=direction != ""), None
                sides.append(np.empty((T, N, model.stack.side), own["U"].dtype))
                for piece in pieces if direction == "" else reversed(pieces):
                    below = x[piece] if layer else _input(model, params, batch, piece)
                    run = unroll(
                        model.stack.cell,
                        own,
                        below,
                        kept,
                        mask=mask[piece],
                        reverse=direction != "",
                        inputs={name: array[piece] for name, array in (batch.given or {}).items()},
                        backend=model.backend,
                        precision=model.precision,
                    )
                    kept, sides[-1][piece] = run.states, run.y
                assert kept is not None
                names = (f"layers.{layer}.{direction}{name}" for name in model.stack.cell.states)
                states |= dict(zip(names, kept, strict=True))
            y = sides[0] if len(sides) == 1 else np.concatenate(sides, axis=-1)
        shares = model.pooling.shares(mask, y.shape, y.dtype) if model.pool == "mean" else None
        h = model.pooling.forward(StackRun(y, states, model.stack, [], []), shares)
        if model.pool is not None:
            return model.output.forward(params, h).outputs
        return np.concatenate([model.output.forward(params, h[piece]).outputs for piece in pieces])


def _input(model: Model, params: Params, batch: Batch, piece: slice) -> Array:
    """Return some steps of what the first layer reads."""
    mask = None if batch.mask is None else batch.mask[piece]
    if model.embedding is not None:
        tokens = batch.inputs[piece]
        x: Array = params["embedding"][tokens if mask is None else np.where(mask, tokens, 0)]
        return x
    return model.input.forward(
        params, model.input.checked(Batch(batch.inputs[piece], mask=mask))
    ).batch.inputs
