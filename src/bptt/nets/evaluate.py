"""How well a model predicts text: from a cold start, and with the state carried through.

The two are not the same figure, and reports must say which they give. A cold start scores windows of 256
tokens, each from a zero state; a carried state reads the text once from its
beginning to its end and flatters a recurrent network.
"""

import numpy as np

from bptt.data.text.streams import windows
from bptt.nets.model import Model
from bptt.types import Array, Params

WINDOW = 256

MOST_NUMBERS = 1 << 22
"""Numbers in the largest array that reading a text makes: 16 MB in float32."""


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
    rows = max(1, min(-(-(len(ids) - 1) // max(1, window)), steps_at_once(model, 16)))
    total, some = 0.0, rows * window
    for start in range(0, max(1, len(ids) - 1), max(1, some)):  # windows refuses what gives none
        total += _total_loss(model, params, *windows(ids[start : start + some + 1], window), rows)[0]
    return total / (len(ids) - 1)


def carried(model: Model, params: Params, ids: Array) -> float:
    """Return nats per token over the whole text, the state carried from its first token to its last."""
    total, steps = 0.0, steps_at_once(model)
    state: Params | None = None
    for start in range(0, max(1, len(ids) - 1), steps):
        part = ids[start : start + steps + 1]
        some, state = _total_loss(model, params, *windows(part, max(1, len(part) - 1)), 1, state)
        total += some
    return total / (len(ids) - 1)


def steps_at_once(model: Model, rows: int = 1) -> int:
    """Return how many steps of so many rows are read at once, so that memory stays bounded; at least one."""
    widest = max(model.outputs, 8 * model.hidden)
    return max(1, MOST_NUMBERS // (widest * rows))


def _total_loss(
    model: Model,
    params: Params,
    inputs: Array,
    targets: Array,
    mask: Array,
    rows: int,
    state: Params | None = None,
) -> tuple[float, Params | None]:
    """Return the sum over all targets, and the last state; some steps at a time, so memory stays bounded."""
    total, steps = 0.0, steps_at_once(model, rows)
    for start in range(0, len(inputs), steps):
        part = slice(start, start + steps)
        each, state = model.losses(params, inputs[part], targets[part], state)
        total += float(np.sum(each, where=mask[part], dtype=np.float64))
    return total, state
