"""A generated task: whether it is solved, beside the loss."""

from dataclasses import dataclass

import numpy as np

from bptt.data import tasks
from bptt.data.tasks import Task, Verdict
from bptt.data.text import Vocabulary
from bptt.nets.evaluate import ALONE, Turns
from bptt.nets.losses import LOSSES
from bptt.nets.model import Model
from bptt.training.experiment import Experiment, Validation
from bptt.training.settings import Settings
from bptt.types import Array, Batch, Params


@dataclass(frozen=True, kw_only=True)
class Generated(Experiment):
    """A task that has a name, and batches without end."""

    task: Task

    @classmethod
    def of(cls, settings: Settings, known: Vocabulary | None = None) -> "Generated":
        """Make the task, and describe the model that it takes."""
        task = tasks.make(settings.data, batch=settings.batch, seed=settings.seed)
        size, tokens = task.input_tokens or task.input_size, task.input_tokens is not None
        assert size is not None  # a task has the one or the other
        told = settings.of_model(token_inputs=tokens)
        model = Model(inputs=size, outputs=task.output_size, token_inputs=tokens, loss=task.loss, **told)
        facts = {"source": f"generated: {task.summary}"}
        return cls(settings=settings, model=model, source=task, facts=facts, task=task)

    @property
    def unit(self) -> str:
        """What a loss is taken of."""
        return "target"

    @property
    def summary(self) -> str:
        """What the task is."""
        return f"{self.settings.data}: {self.facts['source']}"

    def validate(self, params: Params, turns: Turns = ALONE, *, whole: bool = False) -> Validation:
        """Measure the model on the task's test set."""

        def of(batch: Batch) -> Array:
            turns.pause()
            outputs, mask = self.model.forward(params, batch).outputs, tasks.counted(batch)
            each = self.model.loss_of(outputs, batch.targets, mask=mask).each
            return np.array([each.sum(dtype=np.float64), mask.sum()])

        found = np.array([*turns.share(of, self.task.test_batches())])
        return Validation(sum(found[:, 0].tolist()) / float(found[:, 1].sum()))

    def verdict(self, params: Params, turns: Turns = ALONE) -> Verdict:
        """Return whether the task is solved."""
        predict = LOSSES[self.model.loss].predict

        def outputs(batch: Batch) -> Array:
            turns.pause()
            return predict(self.model.forward(params, batch).outputs)

        return self.task.criterion(outputs, turns.share)
