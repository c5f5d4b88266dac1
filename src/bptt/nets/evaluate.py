"""How well a model predicts text: from a cold start, and with the state carried through.

The two are not the same figure, and reports must say which they give. A cold start scores windows of 256
tokens, each from a zero state; a carried state reads the text once from its beginning to its end and
flatters a recurrent network. Sequences by themselves, such as lines, start from a zero state each.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from bptt.data.sequences import Sequences
from bptt.data.text.streams import windows
from bptt.nets.model import Model
from bptt.types import Array, Params

WINDOW = 256

Pause: TypeAlias = Callable[[], None]
"""What is called between two pieces of a text, some tenths of a second apart, and may raise to end it all."""


def go_on() -> None:
    """Do nothing between two pieces."""


MOST_NUMBERS = 1 << 22
"""Numbers in the largest array that reading a text makes: 16 MB in float32."""


def cold(model: Model, params: Params, ids: Array, window: int = WINDOW, *, pause: Pause = go_on) -> float:
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
    pause : callable
        Called between pieces of the work; what it raises ends it.
    """
    rows = max(1, min(-(-(len(ids) - 1) // max(1, window)), steps_at_once(model, 16)))
    total, some = 0.0, rows * window
    for start in range(0, max(1, len(ids) - 1), max(1, some)):  # windows refuses what gives none
        total += _total_loss(
            model, params, *windows(ids[start : start + some + 1], window), rows, pause=pause
        )[0]
    return total / (len(ids) - 1)


def sampled(
    model: Model, params: Params, ids: Array, chosen: Array, window: int = WINDOW, *, pause: Pause = go_on
) -> float:
    """Return nats per token over some of the windows that `cold` reads.

    Parameters
    ----------
    model, params, ids, window, pause
        As in `cold`.
    chosen : (W,) integers
        The windows, by their numbers from 0; each has all its tokens.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> model = bptt.Model(inputs=5, outputs=5, hidden=4)
    >>> params = model.init(np.random.default_rng(0))
    >>> ids = np.arange(41) % 5
    >>> first, last = (sampled(model, params, ids, np.arange(k, k + 2), 10) for k in (0, 2))
    >>> bool(np.isclose((first + last) / 2, cold(model, params, ids, 10)))
    True
    """
    rows, total = max(1, steps_at_once(model, 16)), 0.0
    for start in range(0, len(chosen), rows):
        some = chosen[start : start + rows]
        each = np.stack([ids[k * window : (k + 1) * window + 1] for k in some], axis=1).astype(np.int32)
        mask = np.ones(each[1:].shape, bool)
        total += _total_loss(model, params, each[:-1], each[1:], mask, len(some), pause=pause)[0]
    return total / (len(chosen) * window)


def carried(model: Model, params: Params, ids: Array) -> float:
    """Return nats per token over the whole text, the state carried from its first token to its last."""
    total, steps = 0.0, steps_at_once(model)
    state: Params | None = None
    for start in range(0, max(1, len(ids) - 1), steps):
        part = ids[start : start + steps + 1]
        some, state = _total_loss(model, params, *windows(part, max(1, len(part) - 1)), 1, state)
        total += some
    return total / (len(ids) - 1)


def each(
    model: Model, params: Params, sequences: Sequences, *, pause: Pause = go_on
) -> Iterator[tuple[int, Array]]:
    """Yield the number of each sequence, the shortest first, with the loss of each of its steps, (T,).

    Each is read from a zero state, or from its features.
    """
    steps = steps_at_once(model)
    for which in sequences.alike(steps):
        parts: list[Array] = []
        state: Params | None = None
        for start in range(0, int(sequences.lengths[which].max()), steps):
            pause()
            losses, state = model.losses(params, sequences.batch(which, start, steps), state=state)
            parts.append(losses)
        whole = np.concatenate(parts)
        for row, number in enumerate(which.tolist()):
            yield number, whole[: sequences.lengths[number], row]


def mean(model: Model, params: Params, sequences: Sequences, *, pause: Pause = go_on) -> float:
    """Return the loss per step over all sequences, each from a zero state or from its features."""
    totals = np.zeros(len(sequences))
    for number, losses in each(model, params, sequences, pause=pause):
        totals[number] = losses.sum(dtype=np.float64)
    return float(totals.sum() / sequences.lengths.sum())


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
    pause: Pause = go_on,
) -> tuple[float, Params | None]:
    """Return the sum over all targets, and the last state; some steps at a time, so memory stays bounded."""
    total, steps = 0.0, steps_at_once(model, rows)
    for start in range(0, len(inputs), steps):
        pause()
        part = slice(start, start + steps)
        each, state = model.losses(params, inputs[part], targets[part], state)
        total += float(np.sum(each, where=mask[part], dtype=np.float64))
    return total, state
