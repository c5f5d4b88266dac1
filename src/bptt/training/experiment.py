"""What a run works with: data, model, optimiser, schedule, and the measure of success.

What kind of data they are, and what is learnt of them, is the job's: a file each in `bptt.training.jobs`.
"""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bptt.cells import Cell
from bptt.data.batches import Batches
from bptt.data.tasks import Verdict
from bptt.data.text import Vocabulary
from bptt.data.text.files import named
from bptt.derive import EquationCell
from bptt.errors import ConfigError, DataError, RunError
from bptt.nets.evaluate import ALONE, Turns
from bptt.nets.model import Model
from bptt.training import optim, schedules
from bptt.training.averaging import Average
from bptt.training.settings import Settings
from bptt.types import Params


class Validation(NamedTuple):
    """What is measured on validation data.

    Attributes
    ----------
    loss : float
        Mean per target, which training brings down.
    figures : dict of float
        What else is worth a look, such as an accuracy, by its name in the log.
    """

    loss: float
    figures: dict[str, float] = {}  # noqa: RUF012  a tuple's default, which nobody changes


@contextmanager
def on_the_word_of_a_run(data: str) -> Iterator[None]:
    """Read what a run names, which may be anybody's: where that fails nothing is said of what is in it."""
    try:
        yield
    except DataError:
        if not os.path.exists(data):  # noqa: PTH110  as in Run.open
            raise
        says = "cannot be read as what the model was trained on; where it is named as FILE it is said why"
        raise DataError(f"{data} {says}") from None


@dataclass(frozen=True, kw_only=True)
class Experiment(ABC):
    """All that a training run works with.

    Attributes
    ----------
    settings : Settings
    model : Model
    source : Batches
        Where batches come from.
    vocabulary : Vocabulary or None
        Of the tokens; None where there are none, or a task generates them.
    facts : dict
        What is known of the data, as JSON values: it goes into the run's configuration, and a resumed
        run must find the same.
    """

    settings: Settings
    model: Model
    source: Batches
    vocabulary: Vocabulary | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cell, given = self.model.stack.cell, [name for name, _ in self.settings.read_beside]
        reads = [name for name in cell.inputs if name != "x"]
        if sorted(reads) != sorted(given):
            wanted = ",".join(f"{name}=COLUMN" for name in reads)
            way = f": --beside {wanted}; {reads[0]}=elapsed is the time since the row before" if reads else ""
            if reads and self.settings.job != "labels":
                ones = wanted.replace("COLUMN", "1")
                way = f": --beside {ones}, a number; columns are for labelled sequences (--task, --series)"
                if self.settings.job == "series":
                    steps = wanted.replace("COLUMN", "elapsed")
                    way = f": --beside {steps}, steps since a value was known, or a column known ahead"
            raise ConfigError(
                f"{cell.name} reads {', '.join(reads) or 'nothing'} at each step beside its input{way}"
            )

    @classmethod
    @abstractmethod
    def of(cls, settings: Settings, known: Vocabulary | None = None) -> "Experiment":
        """Load the data and describe the model; BpttError if the data cannot be used.

        Tokens that are `known` keep their ids.
        """

    @property
    @abstractmethod
    def unit(self) -> str:
        """What a loss is taken of: the word after "per"."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """What is to be known of the data before training, in one line."""

    @property
    def notes(self) -> Iterable[str]:
        """What else is to be known of them, a line each."""
        return ()

    @property
    def measured(self) -> str:
        """How the validation loss is taken, where there is more than one way."""
        return ""

    @property
    def sampled(self) -> int | None:
        """How many tokens of the validation data are measured while training; None where all are."""
        return None

    @abstractmethod
    def validate(self, params: Params, turns: Turns = ALONE, *, whole: bool = False) -> Validation:
        """Measure the model on validation data: on a sample of them if there is one, or the whole.

        `turns` say who measures which piece, and may raise between two to end it.
        """

    def drawn(self) -> Params:
        """Return the parameters that a run begins with."""
        return self.model.init(np.random.default_rng([self.settings.seed, 0]))

    def verdict(self, params: Params, turns: Turns = ALONE) -> Verdict | None:
        """Return whether a generated task is solved; None for all other data."""
        return None

    def sample(self, params: Params) -> str | None:
        """Return some of what the model writes; None where it writes nothing."""
        return None

    @property
    def steps(self) -> int:
        """Training steps in all."""
        if self.settings.steps is not None:
            return self.settings.steps
        assert self.settings.epochs is not None  # Settings has the one or the other
        return math.ceil(self.settings.epochs * self.source.batches_per_epoch)

    def schedule(self) -> schedules.Schedule:
        """Return a new learning-rate schedule."""
        told = self.settings.of_part("schedule")
        told["warmup"] = min(told["warmup"], self.steps)  # a short run warms up all the way through
        if (name := told.pop("schedule")) == "plateau":
            told["patience"] = max(1, told.pop("keep"))
        return schedules.get(name, total_steps=max(1, self.steps), **told)

    def average(self) -> Average:
        """Return a mean of weights that has not begun, if one is wanted."""
        s = self.settings
        return Average(s.average, decay=s.average_decay, after=s.average_after)

    def optimizer(self) -> optim.Optimizer:
        """Return the optimiser."""
        told = self.settings.of_part("optimizer")
        return optim.get(told.pop("optimizer"), **told)

    def expect_sound(self, facts: dict[str, Any] | None) -> None:
        """Say what means nothing, or is no longer as `facts` of a run have it, before anything is written."""
        # the same data may lie in another place by now
        if facts is not None and (
            changed := [k for k in self.facts if k != "source" and k in facts and self.facts[k] != facts[k]]
        ):
            raise RunError(
                f"{named(self.settings.data)} is no longer what the run was trained on ({', '.join(changed)} "
                "differs): put it back, or start a new run (older versions kept carriage returns, now read "
                "as newlines)"
            )
        self.optimizer(), self.schedule()
        _try_out(self.model.stack.cell)


def _try_out(cell: Cell) -> None:
    """Take one step: a cell made of equations is derived and proven now."""
    H = 64 * (cell.equations.heads if isinstance(cell, EquationCell) else 1)
    a = np.random.default_rng(0).normal(size=(1, sum(cell.width(gate, H) for gate in cell.gates)))
    with np.errstate(all="ignore"):
        (h, *_), _ = cell.forward(a, cell.first_states(1, H, a.dtype))
    if not np.isfinite(h).any():
        raise ConfigError(
            f"{cell.name}: the first step gives no number: states start at zero, and the equations divide by "
            "one, or take its logarithm"
        )
