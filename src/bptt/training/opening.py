"""How a run is begun in a new folder, and how one is found again; what is refused has written nothing.

Nothing here trains; :class:`bptt.training.trainer.Trainer` does, with what is returned.
"""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from bptt import __version__
from bptt.data.tasks import TASKS
from bptt.data.text import describe
from bptt.errors import ConfigError, RunError
from bptt.kernels.backends import running
from bptt.layer import threads
from bptt.training.experiment import Experiment
from bptt.training.runs.folder import RUNS, Checkpoint, Run
from bptt.training.runs.format import FORMAT, Progress, due, note
from bptt.training.settings import Settings
from bptt.types import Params
from bptt.zoo import record


def begin(settings: Settings, folder: str | Path | None) -> tuple[Experiment, Run, Params]:
    """Make a run's folder, which is held, and draw the first parameters."""
    _expect_apart(settings, RUNS if folder is None else Path(folder))
    threads.count()  # a BPTT_THREADS that means nothing is said now
    experiment = Experiment.of(settings)
    config = _config_of(experiment)
    params = drawn(experiment)  # what takes too much memory leaves no folder behind
    if odd := [name for name, array in params.items() if not np.isfinite(array).all()]:
        raise ConfigError(f"{', '.join(odd)}: initial values are not finite; a smaller --init-scale?")
    vocabulary = None if experiment.vocabulary is None else experiment.vocabulary.to_json()
    name = f"{Path(settings.data).stem or 'text'}-{experiment.model.stack.cell.name}"
    return experiment, Run.create(folder, config, vocabulary, name=name), params


def find(run: Run, changed: dict[str, Any]) -> tuple[Experiment, Checkpoint | None]:
    """Return what a run works with, with changed settings, and its last checkpoint if it wrote any."""
    kept = run.describe()
    settings = kept.settings.changed(**changed)
    found = run.load("last", kept.model.shapes) if run.has("last.safetensors") else None
    experiment = Experiment.of(settings, facts=kept.facts)
    own_cell = "equations" in record.to_json(experiment.model.stack.cell)
    if found is None and (own_cell or run.has("best.safetensors") or run.log.lines()):
        raise RunError(  # before anything is drawn
            f"{run.folder} has no last.safetensors, so it is not known where to go on: put it back, "
            "or copy best.safetensors to that name to go on from the best step"
        )
    return experiment, found


def go_on(run: Run, experiment: Experiment, progress: Progress, *, is_changed: bool) -> float:
    """Make a run's files those of its checkpoint, and return the seconds of training until then."""
    if is_changed and experiment.steps < progress.step:
        raise ConfigError(
            f"the run is at step {progress.step:,} already: it cannot end at {experiment.steps:,}"
        )
    before, now = run.config(), _config_of(experiment)
    if (code := before.get("runs_on", now["runs_on"])) != now["runs_on"]:
        note(f"the run was {code} and is now {now['runs_on']}: its bits may differ from here on")
    run.log.read()  # what cannot be read is told before anything is written
    run.sweep()
    if experiment.vocabulary is not None:
        run.restore_vocabulary(experiment.vocabulary.to_json())
    seconds = run.log.rewind(progress.step, *due(experiment.settings, progress.step, progress.count))
    if is_changed or before["format"] < FORMAT:
        run.write_config(now)
    return seconds


def drawn(experiment: Experiment) -> Params:
    """Return the parameters that a run begins with."""
    return experiment.model.init(np.random.default_rng([experiment.settings.seed, 0]))


def _expect_apart(settings: Settings, folder: Path) -> None:
    """Refuse to write among the files that are read: the data would not be the same when resumed."""
    named = {*TASKS, *(info.name for info in describe())}
    for data in {settings.data, settings.valid or settings.data} - named:
        # os.path, because Path.resolve raises where links go in a circle
        source, place = Path(os.path.realpath(data)), Path(os.path.realpath(folder))
        if not os.path.isdir(source) or not place.is_relative_to(source):  # noqa: PTH112  as in Run.open
            continue
        if not any(part.startswith(".") for part in place.relative_to(source).parts):  # hidden: not read
            raise ConfigError(f"{folder} lies in {data}, and would become data; give an --out elsewhere")


def _config_of(experiment: Experiment) -> dict[str, Any]:
    model = experiment.model
    kept = record.to_json(model.stack.cell)
    name = {"cell": kept["name"]}
    return {
        "bptt": __version__,
        "settings": experiment.settings.to_json() | name,
        "model": {field.name: getattr(model, field.name) for field in fields(model)} | name,
        "cell": kept,
        "data": experiment.facts,
        "runs_on": running(model.backend, model.stack.cell, model.precision),
    }
