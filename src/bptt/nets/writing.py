"""Whole texts that a model writes, several at once: each until its end, or until some text stands in it.

A text depends on the seed and on which one it is, not on how many there are: always as many rows are
written at once, and each draws from a generator of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bptt.data.text.vocabulary import Vocabulary
from bptt.errors import ConfigError
from bptt.nets.model import Model
from bptt.nets.sample import begin, check_options, drawn, never_drawn, probabilities
from bptt.nets.stepper import Stepper
from bptt.types import Array, Params

ROWS = 32
"""Texts that are written at once."""


class Written(NamedTuple):
    """A text that a model wrote.

    Attributes
    ----------
    text : str
        What follows the prime.
    ended : bool
        Whether it came to its end, rather than to the most tokens that it may have.
    """

    text: str
    ended: bool


def write(
    model: Model,
    params: Params,
    vocabulary: Vocabulary,
    *,
    seed: int,
    count: int,
    prime: str | bytes = "",
    features: Array | None = None,
    length: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    unk: bool = True,
    stop: str | Sequence[str] | None = None,
) -> Iterator[Written]:
    """Yield texts, in their order; the k-th one is the same however many there are.

    Parameters
    ----------
    model : Model
        With token inputs and as many outputs.
    params : dict of arrays
    vocabulary : Vocabulary
        Where it has an end, each text stops there.
    seed : int
    count : int
        How many.
    prime : str, or for bytes also bytes
        What each begins with; not repeated in what is yielded.
    features : (F,), optional
        What each starts from, for a model that is made for it.
    length : int
        The most tokens to draw for each.
    temperature, top_k, top_p, unk
        As in :func:`bptt.sample`.
    stop : str, or several, optional
        A text before which each stops: the first of several that stands there.

    Raises
    ------
    DataError
        If `prime` holds a character that the model never saw.
    ConfigError
        If an option means nothing.
    """
    check_options(length, temperature, top_k, top_p)
    if count < 0:
        raise ConfigError(f"count must be at least 0, got {count}")
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if "" in stops:
        raise ConfigError("stop must be a text to stop at, and is empty")
    never = never_drawn(vocabulary, unk)
    state, logits = begin(model, params, vocabulary, prime, features)
    for first in range(0, count, ROWS):
        tiled = {name: np.repeat(array, ROWS, axis=0) for name, array in state.items()}
        stepper = Stepper(model, params, tiled, batch=ROWS)
        rows = [_Row(vocabulary, seed, first + k, stops) for k in range(min(ROWS, count - first))]
        now = np.repeat(logits[None], ROWS, axis=0)
        read = np.zeros(ROWS, np.int64)
        for k in range(length):
            if never is not None:
                now[:, never] = -np.inf
            for row, own in zip(rows, now, strict=False):
                if not row.ended:
                    row.take(probabilities(own, temperature, top_k, top_p))
            if k + 1 == length or all(row.ended for row in rows):
                break
            read[: len(rows)] = [row.token for row in rows]
            now = stepper.read(read)
        yield from (row.written() for row in rows)


def until(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    r"""Yield a text piece by piece, up to where the first of some texts stands in it.

    Examples
    --------
    >>> "".join(until(["one", "\n", "\ntwo"], ["two", "\n\n"]))
    'one'
    """
    held, longest = "", max(map(len, stops))
    for piece in pieces:
        held += piece
        if (at := _first(held, stops)) is not None:
            yield held[:at]
            return
        sure = max(0, len(held) - longest + 1)
        yield held[:sure]
        held = held[sure:]
    yield held


def _first(text: str, stops: Sequence[str], start: int = 0) -> int | None:
    """Return where the first of some texts stands in another, from a place on; None where none does."""
    return min((at for stop in stops if (at := text.find(stop, start)) >= 0), default=None)


class _Row:
    """A text that is being written."""

    def __init__(self, vocabulary: Vocabulary, seed: int, number: int, stops: Sequence[str]) -> None:
        self._rng = np.random.default_rng([seed, number])
        self._decoder, self._end, self._stops = vocabulary.decoder(), vocabulary.end, stops
        self._text = ""
        self.token, self.ended = 0, False

    def take(self, p: Array) -> None:
        """Draw a token."""
        self.token = drawn(p, self._rng.random())
        before, self.ended = len(self._text), self.token == self._end
        self._text += self._decoder.feed(self.token)  # an end has what was left of a character's bytes
        if self._stops:
            longest = max(map(len, self._stops))
            at = _first(self._text, self._stops, max(0, before - longest + 1))
            if at is not None:
                self._text, self.ended = self._text[:at], True

    def written(self) -> Written:
        """Return what there is."""
        return Written(self._text + ("" if self.ended else self._decoder.finish()), self.ended)
