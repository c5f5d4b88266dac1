"""From settings to what training needs: data, model, optimiser, schedule, and the measure of success."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells import Cell
from bptt.data import tasks
from bptt.data.batches import Batches
from bptt.data.tasks import Task, Verdict
from bptt.data.text import Corpus, TextStream, Vocabulary, load
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import ConfigError, DataError, RunError
from bptt.nets import evaluate
from bptt.nets.losses import LOSSES
from bptt.nets.model import Model
from bptt.training import optim, schedules
from bptt.training.settings import Settings
from bptt.types import Array, Params


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """All that a training run works with.

    Attributes
    ----------
    settings : Settings
    model : Model
    source : Batches
        Where batches come from.
    vocabulary : Vocabulary or None
        None where the data are a task's.
    facts : dict
        What is known of the data, as JSON values: it goes into the run's configuration, and a resumed
        run must find the same.
    """

    settings: Settings
    model: Model
    source: Batches
    vocabulary: Vocabulary | None = None
    facts: dict[str, Any]
    _valid: Array | None = None
    _task: Task | None = None

    @classmethod
    def of(cls, settings: Settings, *, facts: dict[str, Any] | None = None) -> "Experiment":
        """Load the data and describe the model.

        BpttError if the data cannot be used, a setting means nothing, or the data are no longer those of
        `facts`, which are from the configuration of a run that is resumed.
        """
        made = cls._of_task(settings) if settings.data in tasks.TASKS else cls._of_text(settings)
        facts = made.facts if facts is None else facts
        # the same data may lie in another place by now
        if changed := [key for key in made.facts if key != "source" and made.facts[key] != facts.get(key)]:
            raise RunError(
                f"{settings.data} is no longer what the run was trained on ({', '.join(changed)} differs): "
                "put it back, or start a new run (older versions kept carriage returns, now read as newlines)"
            )
        # what means nothing is said before anything is written
        made.optimizer(), made.schedule()
        _try_out(made.model.stack.cell)
        return made

    @classmethod
    def _of_text(cls, settings: Settings) -> "Experiment":
        corpus = load(settings.data, valid=settings.valid, kind=settings.tokens)
        if settings.vocabulary is not None and tokenizer(corpus.kind).unknown is None:
            raise ConfigError(f"--vocabulary limits the words to know; the tokens are {corpus.kind}s")
        vocabulary = corpus.vocabulary(settings.vocabulary)
        train, valid = (vocabulary.encode(part, compact=True) for part in (corpus.train, corpus.valid))
        if len(valid) < 2:  # said now rather than after an hour
            raise DataError(
                f"{settings.valid or corpus.name}: there is nothing to predict in {len(valid)} tokens to "
                "validate on; give a longer text, or --valid PATH"
            )
        return cls(
            settings=settings,
            model=Model(
                inputs=len(vocabulary), outputs=len(vocabulary), **settings.of_model(token_inputs=True)
            ),
            source=TextStream(train, settings.batch, settings.chunk, name=corpus.name),
            vocabulary=vocabulary,
            facts={
                "source": corpus.source,
                "tokens": corpus.kind,
                "vocabulary": len(vocabulary),
                "train_tokens": len(train),
                "valid_tokens": len(valid),
                "sha256": digest(corpus),
            },
            _valid=valid,
        )

    @classmethod
    def _of_task(cls, settings: Settings) -> "Experiment":
        task = tasks.make(settings.data, batch=settings.batch, seed=settings.seed)
        size, tokens = task.input_tokens or task.input_size, task.input_tokens is not None
        assert size is not None  # a task has the one or the other
        told = settings.of_model(token_inputs=tokens)
        model = Model(inputs=size, outputs=task.output_size, token_inputs=tokens, loss=task.loss, **told)
        facts = {"source": f"generated: {task.summary}"}
        return cls(settings=settings, model=model, source=task, facts=facts, _task=task)

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

    def optimizer(self) -> optim.Optimizer:
        """Return the optimiser."""
        told = self.settings.of_part("optimizer")
        return optim.get(told.pop("optimizer"), **told)

    def validate(self, params: Params) -> float:
        """Return the loss on validation data: nats per token from cold windows of 256, or a task's."""
        if self._valid is not None:
            return evaluate.cold(self.model, params, self._valid)
        assert self._task is not None
        total, count = 0.0, 0
        for batch in self._task.test_batches():
            outputs, mask = self.model.forward(params, batch).outputs, tasks.counted(batch)
            total += float(self.model.loss_of(outputs, batch.targets, mask=mask).each.sum(dtype=np.float64))
            count += int(mask.sum())
        return total / count

    def verdict(self, params: Params) -> Verdict | None:
        """Return whether the task is solved; None where the data are text."""
        if self._task is None:
            return None
        predict = LOSSES[self.model.loss].predict
        return self._task.criterion(lambda batch: predict(self.model.forward(params, batch).outputs))


def _try_out(cell: Cell) -> None:
    """Take one step: a cell made of equations is derived and proven now."""
    H = 64
    a = np.random.default_rng(0).normal(size=(1, len(cell.gates) * H))
    with np.errstate(all="ignore"):
        (h, *_), _ = cell.forward(a, tuple(np.zeros((1, H)) for _ in cell.states))
    if not np.isfinite(h).any():
        raise ConfigError(
            f"{cell.name}: the first step gives no number: states start at zero, and the equations divide by "
            "one, or take its logarithm"
        )


def digest(corpus: Corpus) -> str:
    """Return the sha256 of a corpus's training and validation texts."""
    summed = hashlib.sha256()
    for part in (corpus.train, corpus.valid):
        summed.update(part.encode() if isinstance(part, str) else part)
        summed.update(b"\0")
    return summed.hexdigest()
