"""How well a model predicts text: from a cold start, and with the state carried through.

The two are not the same figure, and reports must say which they give. A cold start scores windows of 256
tokens, each from a zero state; a carried state reads the text once from its beginning to its end and
flatters a recurrent network. Sequences by themselves, such as lines, start from a zero state each.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from bptt.data.sequences import Sequences
from bptt.data.text.streams import windows
from bptt.nets.model import Model
from bptt.types import Array, Params, Share

WINDOW = 256

Pause: TypeAlias = Callable[[], None]
"""What is called between two pieces of a text, some tenths of a second apart, and may raise to end it all."""


def go_on() -> None:
    """Do nothing between two pieces."""


class Turns:
    """How a measure is taken: one piece after the other, by this process."""

    def pause(self) -> None:
        """Do what is to be done between two pieces; what it raises ends it all."""

    def share(self, do: Callable[[Any], Array], pieces: Iterable[Any]) -> Iterator[Array]:
        """Yield what a function finds of each piece, (K,), in the order of the pieces."""
        return map(do, pieces)


ALONE = Turns()


MOST_NUMBERS = 1 << 22
"""Numbers in the largest array that reading a text makes: 16 MB in float32."""


def cold(
    model: Model,
    params: Params,
    ids: Array,
    window: int = WINDOW,
    *,
    pause: Pause = go_on,
    share: Share = map,
) -> float:
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
    share : callable
        As `map`: yields what a function finds of each piece, in their order.
    """
    rows = max(1, min(-(-(len(ids) - 1) // max(1, window)), steps_at_once(model, 16)))
    some = rows * window

    def of(start: int) -> Array:
        part = windows(ids[start : start + some + 1], window)  # which refuses what gives none
        return np.array([_total_loss(model, params, *part, rows, pause=pause)[0]])

    starts = range(0, max(1, len(ids) - 1), max(1, some))
    return sum(float(found[0]) for found in share(of, starts)) / (len(ids) - 1)


def sampled(
    model: Model,
    params: Params,
    ids: Array,
    chosen: Array,
    window: int = WINDOW,
    *,
    pause: Pause = go_on,
    share: Share = map,
) -> float:
    """Return nats per token over some of the windows that `cold` reads.

    Parameters
    ----------
    model, params, ids, window, pause, share
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
    rows = max(1, steps_at_once(model, 16))

    def of(some: Array) -> Array:
        each = np.stack([ids[k * window : (k + 1) * window + 1] for k in some], axis=1).astype(np.int32)
        mask = np.ones(each[1:].shape, bool)
        return np.array([_total_loss(model, params, each[:-1], each[1:], mask, len(some), pause=pause)[0]])

    pieces = [chosen[start : start + rows] for start in range(0, len(chosen), rows)]
    return sum(float(found[0]) for found in share(of, pieces)) / (len(chosen) * window)


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
    for which in sequences.alike(steps_at_once(model)):
        yield from zip(which.tolist(), _each(model, params, sequences, which, pause), strict=True)


def mean(
    model: Model, params: Params, sequences: Sequences, *, pause: Pause = go_on, share: Share = map
) -> float:
    """Return the loss per step over all sequences, each from a zero state or from its features."""

    def of(which: Array) -> Array:
        losses = _each(model, params, sequences, which, pause)
        return np.array([own.sum(dtype=np.float64) for own in losses])

    totals, pieces = np.zeros(len(sequences)), list(sequences.alike(steps_at_once(model)))
    for which, found in zip(pieces, share(of, pieces), strict=True):
        totals[which] = found
    return float(totals.sum() / sequences.lengths.sum())


def _each(model: Model, params: Params, sequences: Sequences, which: Array, pause: Pause) -> list[Array]:
    """Return the loss of each step of some sequences, (T,) each."""
    steps, parts = steps_at_once(model), list[Array]()
    state: Params | None = None
    for start in range(0, int(sequences.lengths[which].max()), steps):
        pause()
        losses, state = model.losses(params, sequences.batch(which, start, steps), state=state)
        parts.append(losses)
    whole = np.concatenate(parts)
    return [whole[: sequences.lengths[number], row] for row, number in enumerate(which.tolist())]


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
