"""What every task has: batches without end, a best and a poor loss that are known, a verdict.

T time, N batch, K outputs. Arrays are time-major, rows are examples; shorter rows are padded on the
right with zeros and masked.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from bptt.data.batches import is_count
from bptt.errors import ConfigError, RunError, ShapeError
from bptt.types import Array, Batch, Generator, Share

Predict: TypeAlias = Callable[[Batch], Array]

HOLDING: dict[str, Any] = {
    "embedding": 0,
    "batch": 50,
    "init": "orthogonal",
    "forget_bias": 6.0,
    "lr": 1e-2,
    "eval_every": 500,
}
"""Settings for what is to be held over some 100 steps: a forget gate that starts at σ(6) = 0.998."""

TEST_SEQUENCES = 2000
TEST_BATCH = 250


@dataclass(frozen=True)
class Verdict:
    """Whether a task is solved.

    Attributes
    ----------
    met : bool
        Whether the task's criterion holds.
    says : str
        One line: what was counted, and what was wanted.
    figure : float
        The number behind it, as the task's `criterion` defines it.
    """

    met: bool
    says: str
    figure: float


@dataclass(kw_only=True, eq=False)
class Task(ABC):
    """A generated task: batches without end, and when they are mastered.

    Parameters
    ----------
    batch : int
        Rows N of a training batch.
    seed : int
        Where the training batches start; test batches do not depend on it.

    Attributes
    ----------
    name, summary : str
        The name in `bptt.tasks.TASKS`, and one line that says what is asked.
    loss : {"cross_entropy", "squared_error", "sigmoid_cross_entropy"}
        What to train with, of `bptt.losses`. `optimum` and `baseline` are means of it over the
        targets that count: nats, or half the squared error.
    rule : str
        What is wanted of each sequence, in the words of a verdict.
    least : dict of int
        The least of each of its sizes that is a whole number.
    settings : dict
        What training is known to need: attributes of `bptt.Settings`.
    batches_per_epoch : int
        1,000: batches are drawn without end, and so many count as a pass.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    loss: ClassVar[str]
    rule: ClassVar[str]
    least: ClassVar[dict[str, int]] = {}
    settings: ClassVar[dict[str, Any]] = {}
    batches_per_epoch: ClassVar[int] = 1000

    batch: int
    seed: InitVar[int]

    def __post_init__(self, seed: int) -> None:
        sizes = [("batch", self.batch, 1), ("seed", seed, 0)]
        for what, given, least in sizes + [(size, getattr(self, size), n) for size, n in self.least.items()]:
            if not isinstance(given, int | np.integer) or given < least:
                raise ConfigError(
                    f"{self.name}: {what} must be a whole number, {least} or more, got {given!r}"
                )
        self._rng = np.random.default_rng(seed)

    @property
    def input_tokens(self) -> int | None:
        """Size of the vocabulary where inputs are tokens, otherwise None."""
        return None

    @property
    def input_size(self) -> int | None:
        """Size D of the inputs where they are real, otherwise None."""
        return None

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Size K of the outputs."""

    @property
    @abstractmethod
    def optimum(self) -> float | None:
        """Lowest mean loss per target that can be reached on fresh data; None where unknown."""

    @property
    @abstractmethod
    def baseline(self) -> float:
        """Mean loss per target without the memory that the task is about."""

    @abstractmethod
    def draw(self, rng: Generator, rows: int) -> Batch:
        """Return a fresh batch of `rows` sequences.

        Parameters
        ----------
        rng : numpy.random.Generator
            All randomness.
        rows : int
            N, the sequences wanted.
        """

    def criterion(self, predict: Predict, share: Share = map) -> Verdict:
        """Say whether a model solves the task; the same model always gets the same verdict.

        All sequences of `exam` must be right at every step that counts; figure: the share of those that are.

        Parameters
        ----------
        predict : callable
            From a `Batch` to outputs (T, N, K): probabilities where `loss` is a cross-entropy,
            values where it is the squared error.
        share : callable
            As `map`: yields what a function finds of each batch, in their order.

        Raises
        ------
        ShapeError
            If `predict` returns another shape.
        """
        marks = [*share(lambda batch: self._marks(batch, self._outputs(predict, batch)), self.exam())]
        return self._verdict(*(sum(column) for column in np.array(marks).T.tolist()))

    def _marks(self, batch: Batch, y: Array) -> Array:
        """Return two numbers of outputs (T, N, K), whose sums over the exam make the verdict."""
        steps = self.right(batch, y) | ~counted(batch)
        return np.array([steps.all(axis=0).sum(), steps.shape[1]], np.float64)

    def _verdict(self, good: float, wanted: float) -> Verdict:
        says = f"{self.name}: {good:,.0f} of {wanted:,.0f} sequences {self.rule}; all are wanted"
        return Verdict(good == wanted, says, good / wanted)

    def exam(self) -> Iterator[Batch]:
        """Yield what a model is examined on: the test set."""
        return self.test_batches()

    def right(self, batch: Batch, y: Array) -> Array:
        """Return, as (T, N) bool, where outputs (T, N, K) are right."""
        raise TypeError(f"{self.name}: a task defines right(), or a criterion() of its own")

    def next(self) -> Batch:
        """Return the next training batch."""
        return self.draw(self._rng, self.batch)

    def state(self) -> dict[str, Any]:
        """Return the place reached, as JSON values."""
        return {"task": repr(self), "rng": self._rng.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` returned.

        Raises
        ------
        RunError
            If another task, or the same with other sizes, saved it.
        """
        if not isinstance(state, dict) or not _is_generator(state.get("rng")):
            raise RunError(f"{self.name}: the state lacks that of a PCG64 generator, as the task saves it")
        if (saved := state.get("task")) != repr(self):
            by = saved if isinstance(saved, str) and saved.isprintable() else "something else"
            raise RunError(
                f"{self.name}: the state was saved by {by:.200}, this is {self!r}; "
                "make the task with the sizes it was saved with"
            )
        self._rng.bit_generator.state = state["rng"]

    def test_batches(self) -> Iterator[Batch]:
        """Yield the test set, the same on every call and for every training seed."""
        # The spawn key keeps this stream apart from that of any seed a user may give.
        rng = np.random.default_rng(np.random.SeedSequence(1997, spawn_key=(1,)))
        for _ in range(TEST_SEQUENCES // TEST_BATCH):
            yield self.draw(rng, TEST_BATCH)

    def _outputs(self, predict: Predict, batch: Batch) -> Array:
        wanted = (*batch.inputs.shape[:2], self.output_size)
        if (y := np.asarray(predict(batch))).shape != wanted:
            raise ShapeError(f"{self.name}: predict must return (T, N, K) = {wanted}, got {y.shape}")
        return y


def _is_generator(state: Any) -> bool:
    """Return whether a state is one of NumPy's PCG64, which raises whatever it likes at others."""
    if not isinstance(state, dict) or state.keys() != {"bit_generator", "state", "has_uint32", "uinteger"}:
        return False
    place = state["state"]
    if state["bit_generator"] != "PCG64" or not isinstance(place, dict) or place.keys() != {"state", "inc"}:
        return False
    bits = ((place["state"], 128), (place["inc"], 128), (state["has_uint32"], 1), (state["uinteger"], 32))
    return all(is_count(value, size) for value, size in bits) and bool(place["inc"] % 2)


def counted(batch: Batch) -> Array:
    """Return the (T, N) bool mask of the targets that count, whichever masks a batch has.

    Examples
    --------
    >>> tokens = np.zeros((2, 1), dtype=np.int64)
    >>> counted(Batch(tokens, tokens, mask=np.array([[True], [False]]))).tolist()
    [[True], [False]]
    """
    every = np.ones(batch.inputs.shape[:2], dtype=np.bool_)
    return every if batch.counted is None else batch.counted


def masks(lengths: Array, T: int) -> tuple[Array, Array]:
    """Return, as (T, N) bool, the steps within each row's length and each row's last step.

    Examples
    --------
    >>> steps, last = masks(np.array([1, 2]), T=2)
    >>> steps.tolist(), last.tolist()
    ([[True, True], [False, True]], [[True, False], [False, True]])
    """
    t = np.arange(T)[:, None]
    return t < lengths, t == lengths - 1
