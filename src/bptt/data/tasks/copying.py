"""Copy: repeat a short message after a long delay."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bptt.data.tasks.base import HOLDING, Task
from bptt.types import Array, Batch, Generator


@dataclass(kw_only=True, eq=False)
class Copy(Task):
    """Write a message of random symbols again when the delimiter asks for it.

    The input is the message, delay - 1 blanks, the delimiter and as many blanks as the message is
    long; the target is a blank at each step up to and with the delimiter's, then the message. Tokens:
    the symbols 0, ..., symbols - 1, then the blank, then the delimiter, which is never a target.

    Parameters
    ----------
    batch, seed : int
        As in `Task`.
    delay : int
        Steps from the end of the message to the start of its copy, 1 or more.
    length : int
        Symbols in the message.
    symbols : int
        Different symbols, 2 or more.

    Notes
    -----
    Arjovsky, Shah and Bengio (2016), "Unitary evolution recurrent neural networks", with delays of
    100 to 500.

    Examples
    --------
    >>> batch = Copy(batch=1, seed=0, delay=3, length=2, symbols=4).next()
    >>> print(batch.inputs[:, 0], batch.targets[:, 0])
    [3 2 4 4 5 4 4] [4 4 4 4 4 3 2]
    """

    name = "copy"
    summary = "repeat a short message after a long delay"
    loss = "cross_entropy"
    rule = "copied without a fault"
    least: ClassVar = {"delay": 1, "length": 1, "symbols": 2}
    settings = HOLDING | {"hidden": 128, "steps": 12000}
    optimum = 0.0

    delay: int = 100
    length: int = 10
    symbols: int = 8

    @property
    def input_tokens(self) -> int:
        """Size of the vocabulary: the symbols, the blank and the delimiter."""
        return self.symbols + 2

    @property
    def output_size(self) -> int:
        """Size K of the outputs: the symbols and the blank."""
        return self.symbols + 1

    @property
    def baseline(self) -> float:
        """The loss of knowing when to write, and writing any symbol."""
        return self.length * math.log(self.symbols) / (self.delay + 2 * self.length)

    def draw(self, rng: Generator, rows: int) -> Batch:
        """Return a fresh batch: inputs (T, N) and targets (T, N), int64, T = delay + 2 length."""
        blank, delimiter = self.symbols, self.symbols + 1
        message = rng.integers(self.symbols, size=(self.length, rows))
        inputs = np.full((self.delay + 2 * self.length, rows), blank)
        targets = inputs.copy()
        inputs[: self.length] = targets[-self.length :] = message
        inputs[-self.length - 1] = delimiter
        return Batch(inputs, targets)

    def right(self, batch: Batch, y: Array) -> Array:
        """Ask for every symbol of the message; where a blank is wanted, anything is right."""
        return np.asarray((y.argmax(axis=-1) == batch.targets) | (batch.targets == self.symbols))
