"""Embedded Reber grammar: predict what may come next, and remember the second symbol until the end."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bptt.data.tasks.base import Task
from bptt.errors import DataError
from bptt.types import Array, Batch, Generator

SYMBOLS = "BTPSXVE"

# Reber's automaton: in each state, the legal symbols and the state that each leads to; 7 is the end.
_REBER: tuple[dict[str, int], ...] = (
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
)


def _embed() -> list[dict[str, int]]:
    """Return the automaton with two copies of Reber's, each of which leads to its own T or P."""
    size = len(_REBER) + 1
    inner = {"T": 2, "P": 2 + size}
    states: list[dict[str, int]] = [{"B": 1}, inner]
    for kept, start in inner.items():
        states += [{symbol: start + to for symbol, to in arcs.items()} for arcs in _REBER]
        states.append({kept: 2 + 2 * size})
    return [*states, {"E": 3 + 2 * size}, {}]


_STATES = _embed()
_LEGAL = np.array([[symbol in arcs for symbol in SYMBOLS] for arcs in _STATES])
_NEXT = np.array([[arcs.get(symbol, -1) for symbol in SYMBOLS] for arcs in _STATES])


def legal_next(prefix: str) -> frozenset[str]:
    """Return the symbols that may follow a prefix of an embedded Reber string; none after a whole one.

    Raises
    ------
    DataError
        If no string starts with `prefix`.

    Examples
    --------
    >>> sorted(legal_next("BT"))
    ['B']
    >>> sorted(legal_next("BTBTSSXXTVVE"))
    ['T']
    """
    state = 0
    for t, symbol in enumerate(prefix):
        if symbol not in _STATES[state]:
            wanted = " or ".join(sorted(_STATES[state])) or "nothing more"
            raise DataError(
                f"reber: {prefix!r} starts no embedded Reber string: symbol {t} is {symbol!r}, not {wanted}"
            )
        state = _STATES[state][symbol]
    return frozenset(_STATES[state])


def reber_string(rng: Generator) -> str:
    """Draw an embedded Reber string; where two symbols are legal they are equally likely.

    Examples
    --------
    >>> reber_string(np.random.default_rng(0))
    'BPBPVPXTTTTVVEPE'
    """
    string, state = "", 0
    while arcs := _STATES[state]:
        symbol = list(arcs)[rng.integers(len(arcs))] if len(arcs) > 1 else next(iter(arcs))
        string, state = string + symbol, arcs[symbol]
    return string


@dataclass(kw_only=True, eq=False)
class EmbeddedReber(Task):
    """Predict every symbol of an embedded Reber string from those before it.

    A string is B, then T or P, then a string of Reber's grammar, then the same T or P, then E. Up to
    two symbols may come next; the last but one is settled by the second.

    Parameters
    ----------
    batch, seed : int
        As in `Task`. A batch's rows are drawn from the training strings with replacement.
    strings : int
        Training strings, and as many test strings. Test strings are none of the training strings;
        within each set strings may repeat, as short ones are likely.
    data_seed : int
        Where both sets come from, apart from `seed` so that runs can share them.

    Notes
    -----
    Hochreiter and Schmidhuber (1997), "Long short-term memory", experiment 1; the grammar is of
    Cleeremans, Servan-Schreiber and McClelland (1989). `optimum` is that of fresh strings: a model that
    learns the training strings by heart has a lower loss on them.

    Examples
    --------
    >>> task = EmbeddedReber(batch=4, seed=0)
    >>> len(task.training_strings), len(task.test_strings)
    (256, 256)
    """

    name = "reber"
    summary = "predict the legal symbols of the embedded Reber grammar"
    loss = "cross_entropy"
    rule = "with the legal symbols on top"
    least: ClassVar = {"strings": 1, "data_seed": 0}
    settings: ClassVar = {"hidden": 16, "steps": 4000, "eval_every": 200}
    input_tokens = len(SYMBOLS)
    output_size = len(SYMBOLS)
    # A string has 12 symbols on average, so 11 targets; 7 of them are a choice of two.
    optimum = 7 * math.log(2) / 11
    # Whoever forgets the second symbol guesses the last but one.
    baseline = 8 * math.log(2) / 11

    strings: int = 256
    data_seed: int = 1997

    def __post_init__(self, seed: int) -> None:
        super().__post_init__(seed)
        rng = np.random.default_rng(self.data_seed)
        self.training_strings = [reber_string(rng) for _ in range(self.strings)]
        seen = set(self.training_strings)
        self.test_strings: list[str] = []
        while len(self.test_strings) < self.strings:
            if (string := reber_string(rng)) not in seen:
                self.test_strings.append(string)

    def draw(self, rng: Generator, rows: int) -> Batch:
        """Return training strings at random: inputs and targets (T, N), int64, T the longest of them."""
        return as_batch([self.training_strings[k] for k in rng.integers(self.strings, size=rows)])

    def test_batches(self) -> Iterator[Batch]:
        """Yield the test strings, the same for every training seed."""
        yield as_batch(self.test_strings)

    def exam(self) -> Iterator[Batch]:
        """Yield the training strings and the test strings."""
        yield as_batch(self.training_strings)
        yield from self.test_batches()

    def right(self, batch: Batch, y: Array) -> Array:
        """Ask that the legal symbols have the highest outputs."""
        legal = legal_symbols(batch.inputs)
        lowest = np.where(legal, y, np.inf).min(axis=-1)
        highest = np.where(legal, -np.inf, y).max(axis=-1)
        return np.asarray(lowest > highest)


def as_batch(strings: Sequence[str]) -> Batch:
    """Return strings as tokens, inputs and targets (T, N), padded to the longest.

    Examples
    --------
    >>> as_batch(["BTBTXSETE"]).inputs[:, 0]
    array([0, 1, 0, 1, 4, 3, 6, 1])
    """
    tokens = np.zeros((max(map(len, strings)), len(strings)), dtype=np.int64)
    for n, string in enumerate(strings):
        tokens[: len(string), n] = [SYMBOLS.index(symbol) for symbol in string]
    lengths = np.array([len(string) - 1 for string in strings])
    return Batch(tokens[:-1], tokens[1:], mask=np.arange(len(tokens) - 1)[:, None] < lengths)


def legal_symbols(inputs: Array) -> Array:
    """Return, as (T, N, 7) bool, what may come after each step of strings (T, N).

    Examples
    --------
    >>> legal_symbols(np.array([[0], [1]]))[1, 0].astype(int)
    array([1, 0, 0, 0, 0, 0, 0])
    """
    legal = np.zeros((*inputs.shape, len(SYMBOLS)), dtype=np.bool_)
    state = np.zeros(inputs.shape[1], dtype=np.int64)
    for t, tokens in enumerate(inputs):
        state = _NEXT[state, tokens]
        legal[t] = _LEGAL[state]
    return legal
