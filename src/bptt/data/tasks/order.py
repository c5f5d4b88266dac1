"""Temporal order: tell in which order two symbols came, many distractors ago."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bptt.data.tasks.base import HOLDING, Task, masks
from bptt.types import Array, Batch, Generator

SYMBOLS = "EBabcdXY"
START, TRIGGER, DISTRACTORS, RELEVANT = 0, 1, 2, 6


@dataclass(kw_only=True, eq=False)
class TemporalOrder(Task):
    """Classify a sequence by its two relevant symbols: XX, XY, YX or YY.

    A sequence starts with E, ends with the trigger B, and is otherwise made of a, b, c and d, but for
    an X or Y at each of the steps t1 and t2, counted from 0 at E. The class, 0 to 3, is the target at
    the last step alone. t1 is uniform over T/10, ..., T/5, and t2 over T/2, ..., 3T/5.

    Parameters
    ----------
    batch, seed : int
        As in `Task`.
    T : int
        Shortest length, 10 or more; lengths are uniform over T, ..., T + T // 10.

    Notes
    -----
    Hochreiter and Schmidhuber (1997), "Long short-term memory", task 6a, at T = 100. They train four
    sigmoid outputs; here the four are one softmax. They also ask for a mean training error below 0.1.

    Examples
    --------
    >>> task = TemporalOrder(batch=1, seed=0, T=10)
    >>> "".join(SYMBOLS[s] for s in task.next().inputs[:, 0])
    'EcYbaaYadcB'
    """

    name = "temporal-order"
    summary = "tell the order of two symbols among many distractors"
    loss = "cross_entropy"
    rule = "with all outputs within 0.3"
    least: ClassVar = {"T": 10}
    settings = HOLDING | {"hidden": 32, "steps": 8000}
    input_tokens = len(SYMBOLS)
    output_size = 4
    optimum = 0.0
    baseline = math.log(4)

    T: int = 100

    def draw(self, rng: Generator, rows: int) -> Batch:
        """Return a fresh batch: inputs (T, N) and targets (T, N), int64, T the longest length."""
        T, steps, n = self.T, self.T + self.T // 10, np.arange(rows)
        lengths = rng.integers(T, steps, size=rows, endpoint=True)
        mask, last = masks(lengths, steps)

        tokens = rng.integers(DISTRACTORS, RELEVANT, size=(steps, rows))
        one, two = rng.integers(2, size=(2, rows))
        tokens[rng.integers(T // 10, T // 5, size=rows, endpoint=True), n] = RELEVANT + one
        tokens[rng.integers(T // 2, 3 * T // 5, size=rows, endpoint=True), n] = RELEVANT + two
        tokens[0], tokens[lengths - 1, n] = START, TRIGGER

        targets = np.where(last, 2 * one + two, 0)
        return Batch(np.where(mask, tokens, 0), targets, mask, last)

    def right(self, batch: Batch, y: Array) -> Array:
        """Ask for all four outputs within 0.3."""
        wanted = batch.targets[..., None] == np.arange(self.output_size)
        return np.asarray(np.all(np.abs(y - wanted) < 0.3, axis=-1))
