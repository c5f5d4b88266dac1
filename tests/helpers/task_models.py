"""Models of tasks: those that know the answer, those with one fault, those that forget."""

from collections.abc import Callable, Iterable

import numpy as np

from bptt.data.tasks import Task, legal_next, make
from bptt.data.tasks.base import counted
from bptt.data.tasks.reber import SYMBOLS, as_batch, reber_string
from bptt.types import Array, Batch

Predict = Callable[[Batch], Array]


def fresh(name: str) -> tuple[Task, list[Batch]]:
    """Return a task, and batches of which nobody has seen one: of Reber's few strings, other ones."""
    if name == "reber":
        rng = np.random.default_rng(5)
        return task_of(name), [as_batch([reber_string(rng) for _ in range(1500)])]
    task = task_of(name, batch=10_000 if name == "adding" else 1000)
    return task, [task.next() for _ in range(3)]


def task_of(name: str, seed: int = 0, batch: int = 32) -> Task:
    return make(name, batch=batch, seed=seed)


def mean_loss(task: Task, batches: Iterable[Batch], predict: Predict) -> float:
    """Return the mean loss of a target that counts, as the tasks define it, in the plainest way."""
    losses: list[Array] = []
    for batch in batches:
        y, on = predict(batch)[counted(batch)], batch.targets[counted(batch)]
        if task.loss == "cross_entropy":
            losses.append(-np.log(y[np.arange(len(on)), on]))
        else:
            losses.append(0.5 * ((y - on) ** 2).sum(axis=-1))
    return float(np.concatenate(losses).mean())


def reber_oracle(batch: Batch) -> Array:
    y = np.zeros((*batch.inputs.shape, 7))
    steps = counted(batch)
    for n in range(batch.inputs.shape[1]):
        for t in range(int(steps[:, n].sum())):
            legal = legal_next("".join(SYMBOLS[s] for s in batch.inputs[: t + 1, n]))
            y[t, n, [SYMBOLS.index(s) for s in legal]] = 1 / len(legal)
    return y


def adding_oracle(batch: Batch) -> Array:
    value, marker = batch.inputs[..., 0].astype(np.float64), batch.inputs[..., 1]
    return 0.5 + np.cumsum(np.where(marker == 1, value, 0), axis=0)[..., None] / 4


def order_oracle(batch: Batch) -> Array:
    y = np.full((*batch.inputs.shape, 4), 0.25)
    for n, row in enumerate(batch.inputs.T):
        relevant = "".join("EBabcdXY"[s] for s in row if s >= 6)
        y[:, n] = np.eye(4)[["XX", "XY", "YX", "YY"].index(relevant)]
    return y


def copy_oracle(batch: Batch) -> Array:
    symbols = 8
    y = np.zeros((*batch.inputs.shape, symbols + 1))
    for n, row in enumerate(batch.inputs.T):
        y[:, n, symbols] = 1
        asked = int(np.flatnonzero(row == symbols + 1)[0])
        y[asked + 1 :, n] = np.eye(symbols + 1)[row[row < symbols]]
    return y


def ar2_oracle(batch: Batch) -> Array:
    x = batch.inputs.astype(np.float64)
    return 1.5 * x - 0.75 * np.concatenate([np.zeros_like(x[:1]), x[:-1]])


ORACLES: dict[str, Predict] = {
    "reber": reber_oracle,
    "adding": adding_oracle,
    "temporal-order": order_oracle,
    "copy": copy_oracle,
    "ar2": ar2_oracle,
}


def reber_forgetful(batch: Batch) -> Array:
    """Knows the grammar, but not the second symbol when it is to be repeated."""
    y = reber_oracle(batch)
    after_inner_end = (batch.inputs == SYMBOLS.index("E")) & counted(batch)
    y[after_inner_end] = 0
    y[after_inner_end, 1] = y[after_inner_end, 2] = 0.5
    return y


def one_row(predict: Predict, spoil: Callable[[Array], Array]) -> Predict:
    """Be right but for the last row of every batch."""

    def faulty(batch: Batch) -> Array:
        y = predict(batch)
        y[:, -1] = spoil(y[:, -1])
        return y

    return faulty


def wrong_at(t: int) -> Callable[[Array], Array]:
    """Be right but for the symbol at step t of a row (T, K)."""

    def spoil(y: Array) -> Array:
        y[t] = np.roll(y[t], 1)
        return y

    return spoil


def copy_talkative(batch: Batch) -> Array:
    """Copies well, but writes symbols where blanks belong."""
    y = copy_oracle(batch)
    y[:-10] = np.eye(9)[0]
    return y


FAULTY: dict[str, list[Predict]] = {
    "reber": [reber_forgetful, lambda batch: np.ones((*batch.inputs.shape, 7))],
    "adding": [one_row(adding_oracle, lambda y: y + 0.041), one_row(adding_oracle, lambda y: y - 0.041)],
    "temporal-order": [one_row(order_oracle, lambda y: 0.59 * y + 0.1025)],
    "copy": [one_row(copy_oracle, wrong_at(-1)), one_row(copy_oracle, wrong_at(-10))],
    "ar2": [lambda batch: ar2_oracle(batch) + 0.1, lambda batch: 6 / 7 * batch.inputs],
}


def constant(*y: float) -> Predict:
    return lambda b: np.broadcast_to(y, (*b.inputs.shape[:2], len(y)))


def any_symbol(batch: Batch) -> Array:
    y = copy_oracle(batch)
    y[-10:] = [1 / 8] * 8 + [0]
    return y


FORGETFUL: dict[str, Predict] = {
    "reber": reber_forgetful,
    "adding": constant(0.5),
    "temporal-order": constant(0.25, 0.25, 0.25, 0.25),
    "copy": any_symbol,
    "ar2": lambda batch: 6 / 7 * batch.inputs,
}
