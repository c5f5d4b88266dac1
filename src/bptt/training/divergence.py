"""When training has come apart: how that is seen, and what is advised.

A loss that is not finite says so, but may come late: in float32 a loss grows to 1e38 before. So it is also
watched how far the loss is above its own start. A model that knows nothing gives each of K tokens the same
probability, ln K nats; training starts there, and a loss far above is that of a model which is surely wrong.
Sound training may be so for a while: plain descent at a rate of 1000 took a small model to 6 ln K, as a mean
over its first hundred steps, and down to 0.006 nats in the next. What is called divergence is therefore a
loss of more than `FAR` times its start for each of `LONG` steps in a row. At 10 ln K the right token has the
probability K to the power of -10, which is no model on its way, and no run that went on to learn has been
seen to stay there for a hundred steps.

Where numbers are forecast the start may be no measure: a series may begin small and grow. So the loss must
also be far above that of an output of zeros for the very batch.
"""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bptt.errors import DivergedError
from bptt.nets.model import Model
from bptt.training.again import SIZES
from bptt.training.experiment import Experiment
from bptt.training.runs.folder import Run
from bptt.training.runs.format import Progress
from bptt.training.settings import SETTINGS, Settings
from bptt.types import Batch, Params

FAR = 10.0
"""How many times its start a loss must be."""

LONG = 100
"""For how many steps in a row."""


def seen(progress: Progress, mean: float, of_nothing: Callable[[], float]) -> str | None:
    """Count a training step's mean loss, and say so where it has been far above its start for long.

    Examples
    --------
    >>> progress = Progress.none()
    >>> losses = [3.0, *[31.0] * 99, 5.0, *[31.0] * 100]
    >>> [k for k, loss in enumerate(losses) if seen(progress, loss, lambda: 3.0)]
    [200]
    """
    if progress.start is None:
        progress.start = mean
    far = mean > FAR * progress.start and mean > FAR * of_nothing()
    progress.far = progress.far + 1 if far else 0
    if progress.far < LONG:
        return None
    return f"the training loss has been above {FAR:g} times its start, {progress.start:.4g}, for {LONG} steps"


def not_finite(arrays: dict[str, Params]) -> str | None:
    """Say what of a checkpoint's arrays is not finite."""
    whats = {"params": "parameter", "optimizer": "slot of the optimiser", "state": "state"}
    whats["average"] = "averaged parameter"
    for group, what in whats.items():
        if not all(np.isfinite(array).all() for array in arrays.get(group, {}).values()):
            return f"a {what} is not finite"
    return None


def of_nothing(model: Model, batch: Batch) -> float:
    """Return the mean loss of outputs that are zero: of a model that knows nothing."""
    zeros = np.zeros((*batch.targets.shape[:2], model.outputs), np.float32)
    each = model.loss_of(zeros, batch.targets, mask=batch.counted).each
    count = each.size if batch.counted is None else int(batch.counted.sum())
    return float(each.sum(dtype=np.float64)) / count


def kept(run: Run, saved: int) -> str:
    """Say at which step the last checkpoint was written; -1: none was."""
    if saved < 0:
        return "no checkpoint was written yet"
    return f"{run.path('last.safetensors')} keeps step {saved}"


def error(what: str, run: Run, experiment: Experiment, step: int, saved: int) -> DivergedError:
    """Return the error that says what has come apart at a step, what is kept, and what to do."""
    again = advice(experiment.settings, run.folder, experiment.steps - saved)
    return DivergedError(f"{what} at step {step}; {kept(run, saved)}; try a smaller --lr from there: {again}")


def advice(settings: Settings, folder: Path, steps: int) -> str:
    """Return a command that goes on from a run's last checkpoint at a quarter of the rate, so many steps."""
    usual = Settings.of(data=settings.data)
    own = {
        name: getattr(settings, name)
        for name, declared in SETTINGS.items()
        if declared.part != "data" and name not in SIZES and getattr(settings, name) != getattr(usual, name)
    }
    own |= {"lr": float(f"{settings.lr / 4:.2g}"), "steps": max(1, steps)}
    if settings.clip_norm is None and settings.clip_value is None:
        own["clip_norm"] = 1.0
    own.pop("epochs", None)
    words = ["bptt", "train", "--from", str(folder), "--from-last"]
    for name, value in own.items():
        if value is None and not SETTINGS[name].unlimited:
            continue
        words += [SETTINGS[name].option, "inf" if value is None else str(value)]
    return shlex.join(words)
