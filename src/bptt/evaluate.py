"""How well a model predicts text: from a cold start, and with the state carried through.

The two are not the same figure, and reports must say which they give. A cold start scores windows of 256
tokens, each from a zero state; a carried state reads the text once from its
beginning to its end and flatters a recurrent network.
"""

import numpy as np

from bptt.model import Model
from bptt.text.streams import windows
from bptt.types import Array, Params

WINDOW = 256

MOST_NUMBERS = 1 << 22
"""Numbers in the largest array that an evaluation makes: 16 MB in float32."""


def cold(model: Model, params: Params, ids: Array, window: int = WINDOW) -> float:
    """Return nats per token over consecutive windows, each from a zero state.

    Every token but the first is predicted once.

    Parameters
    ----------
    model : Model
        With token inputs and the cross-entropy.
    params : dict of arrays
    ids : (L,) integers
    window : int
        Tokens in a window.
    """
    inputs, targets, mask = windows(ids, window)
    return _mean_loss(model, params, inputs, targets, mask)


def carried(model: Model, params: Params, ids: Array) -> float:
    """Return nats per token over the whole text, the state carried from its first token to its last."""
    inputs, targets, mask = windows(ids, len(ids) - 1)
    return _mean_loss(model, params, inputs, targets, mask)


def _mean_loss(model: Model, params: Params, inputs: Array, targets: Array, mask: Array) -> float:
    """Return the mean over all targets, some rows and steps at a time so that memory stays bounded."""
    T, N = inputs.shape
    widest = max(model.outputs, 8 * model.hidden)
    rows = max(1, min(N, MOST_NUMBERS // (widest * 16)))
    total = 0.0
    for first in range(0, N, rows):
        columns = slice(first, first + rows)
        state: Params | None = None
        steps = max(1, MOST_NUMBERS // (widest * rows))
        for start in range(0, T, steps):
            part = slice(start, start + steps), columns
            each, state = model.losses(params, inputs[part], targets[part], state)
            total += float(np.sum(each, where=mask[part], dtype=np.float64))
    return total / int(mask.sum())
