"""How a model is measured while it trains, in pieces, between which training may be stopped."""

import math
from collections.abc import Callable

import numpy as np

from bptt.data.tasks import Verdict
from bptt.errors import DivergedError
from bptt.nets.evaluate import Pause
from bptt.training.experiment import Experiment, Validation
from bptt.training.runs.folder import Run
from bptt.types import Params


class StoppedError(Exception):
    """A stop is asked for while the model is measured."""


def pause_of(should_stop: Callable[[], bool]) -> Pause:
    """Return what raises a StoppedError between two pieces of a measure where a stop is asked for."""

    def pause() -> None:
        if should_stop():
            raise StoppedError

    return pause


def measured(experiment: Experiment, params: Params, pause: Pause) -> tuple[Validation, Verdict | None]:
    """Return the validation and, of a task, the verdict; DivergedError where the loss is no number."""
    with np.errstate(all="ignore"):
        valid, verdict = experiment.validate(params, pause), experiment.verdict(params, pause)
    if not math.isfinite(valid.loss):
        raise DivergedError(f"the validation loss is {valid.loss}")
    return valid, verdict


def on_all(experiment: Experiment, run: Run, params: Params, is_best: bool, pause: Pause) -> float | None:
    """Return the loss on all validation data, of the run's best parameters, which may be `params`.

    None where that is what is measured anyway.
    """
    if experiment.sampled is None:
        return None
    if not is_best and run.has("best.safetensors"):
        params = run.load("best", experiment.model.shapes).weights
    return experiment.validate(params, pause, whole=True).loss
