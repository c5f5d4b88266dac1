"""How a run is begun in a new folder, and how one is found again; what is refused has written nothing.

Nothing here trains; :class:`bptt.training.trainer.Trainer` does, with what is returned.
"""

import hashlib
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bptt import __version__
from bptt.data.tasks import TASKS
from bptt.data.text import describe
from bptt.data.text.files import INPUT, paths, standard_input
from bptt.errors import ConfigError, DataError, RunError
from bptt.kernels.backends import running
from bptt.layer import threads
from bptt.nets.model import Model
from bptt.training.again import begun_with
from bptt.training.experiment import Experiment
from bptt.training.jobs import experiment as experiment_of
from bptt.training.runs.folder import RUNS, Checkpoint, Run
from bptt.training.runs.format import FORMAT, PYTHON, Progress, begun, canonical, due, note
from bptt.training.settings import Settings
from bptt.training.trained import Trained
from bptt.training.workers import Workers
from bptt.types import Params
from bptt.zoo import get, record


def begin(
    settings: Settings, folder: str | Path | None, weights: Trained | None, workers: Workers
) -> tuple[Experiment, Run, Params]:
    """Make a run's folder, which the first worker holds; parameters are drawn, or those of other weights."""
    workers.expect_to_share(settings.shards)
    experiment, config, params = workers.each(lambda: _described(settings, folder, weights))
    meet(workers, experiment, params, {})
    vocabulary = None if experiment.vocabulary is None else experiment.vocabulary.to_json()
    is_input = settings.data == INPUT
    stem = "stdin" if is_input else Path(paths(settings.data)[0]).stem or "text"
    name = f"{stem}-{experiment.model.stack.cell.name}"
    made: list[Run] = []

    def make() -> str:
        made.append(Run.create(folder, config, vocabulary, name=name))
        return str(made[0].folder)

    where = workers.once(make, str)
    run = made[0] if made else Run(where)
    if is_input:
        run.keep_input(standard_input())
        standard_input.cache_clear()
    return experiment, run, params


def _described(
    settings: Settings, folder: str | Path | None, weights: Trained | None
) -> tuple[Experiment, dict[str, Any], Params]:
    """Return what a run is to be; what takes too much memory leaves no folder behind."""
    _expect_apart(settings, RUNS if folder is None else Path(folder))
    if settings.data == INPUT and (settings.job in ("labels", "series") or settings.text is not None):
        raise DataError(
            "standard input: a table to train on is read again: write it into a file, and give its PATH"
        )
    threads.count()  # a BPTT_THREADS that means nothing is said now
    experiment = experiment_of(settings, known=weights.vocabulary if weights else None)
    config = config_of(experiment.model, settings, experiment.facts)
    params = experiment.drawn()
    if odd := [name for name, array in params.items() if not np.isfinite(array).all()]:
        raise ConfigError(f"{', '.join(odd)}: initial values are not finite; a smaller --init-scale?")
    if weights is not None:
        params = begun_with(weights, experiment, params)
        config["from"] = begun(weights.source, weights.step, weights.params)
    return experiment, config, params


def find(run: Run, changed: dict[str, Any]) -> tuple[Experiment, Checkpoint | None]:
    """Return what a run works with, with changed settings, and its last checkpoint if it wrote any."""
    kept = run.describe()
    settings = kept.settings.changed(**changed)
    if settings.data == PYTHON:
        raise RunError(
            f"{run.folder} was saved from Python, without an optimiser or data to go on with: "
            f"bptt train TEXT --from {run.folder} begins a run with its weights"
        )
    _expect_there(settings, run)
    found = run.load("last", kept.model.shapes) if run.has("last.safetensors") else None
    known = run.vocabulary_of(kept) if run.has("vocabulary.json") else None
    reachable = replace(settings, data=run.place_of(settings.data))
    experiment = replace(experiment_of(reachable, facts=kept.facts, known=known), settings=settings)
    own_start = "equations" in record.to_json(get(experiment.model.cell)) or "from" in run.config()
    if found is None and (own_start or run.has("best.safetensors") or run.log.lines()):
        raise RunError(  # before anything is drawn
            f"{run.folder} has no last.safetensors, so it is not known where to go on: put it back, "
            "or copy best.safetensors to that name to go on from the best step"
        )
    return experiment, found


def expect_own(run: Run, kept: Checkpoint, progress: Progress, experiment: Experiment, slots: Params) -> None:
    """Raise a RunError unless a checkpoint is of the run's optimiser, of its model and of its averaging."""

    def kinds(arrays: Params) -> dict[str, tuple[tuple[int, ...], str]]:
        return {name: (array.shape, array.dtype.str) for name, array in arrays.items()}

    params, state = kept.arrays["params"], kept.arrays.get("state", {})
    rows = experiment.settings.batch
    if state and experiment.settings.job not in ("stream", "generated"):  # a batch may be of fewer sequences
        rows = min(rows, len(next(iter(state.values()))))
    zeros = experiment.model.zero_state(rows) if state else {}
    if (progress.average is None) != (experiment.settings.average == "none"):
        raise RunError(f"the checkpoint in {run.folder} does not hold the averaging of its config.json")
    for what, group, own in (
        ("optimiser", "optimizer", slots),
        ("states", "state", zeros),
        ("averaged weights", "average", params if (progress.average or {}).get("count") else {}),
    ):
        if kinds(kept.arrays.get(group, {})) != kinds(own):
            raise RunError(f"the checkpoint in {run.folder} does not hold the {what} of its config.json")
    if int(kept.arrays["optimizer"]["t"]) != progress.step:
        raise RunError(f"the checkpoint in {run.folder} is of another step than its optimiser")
    if any(array.dtype != np.float32 for array in params.values()):
        raise RunError(f"the checkpoint in {run.folder} has parameters that are not float32")


def go_on(run: Run, experiment: Experiment, progress: Progress, *, is_changed: bool) -> float:
    """Make a run's files those of its checkpoint, and return the seconds of training until then."""
    if is_changed and experiment.steps < progress.step:
        raise ConfigError(
            f"the run is at step {progress.step:,} already: it cannot end at {experiment.steps:,}"
        )
    before, now = run.config(), config_of(experiment.model, experiment.settings, experiment.facts)
    if (code := before.get("runs_on", now["runs_on"])) != now["runs_on"]:
        note(f"the run was {code} and is now {now['runs_on']}: its bits may differ from here on")
    run.log.read()  # what cannot be read is told before anything is written
    run.sweep()
    if experiment.vocabulary is not None:
        run.restore_vocabulary(experiment.vocabulary.to_json())
    seconds = run.log.rewind(progress.reported, *due(experiment.settings, progress.step, progress.count))
    if is_changed or before["format"] < FORMAT:
        run.write_config(now)
    return seconds


def meet(workers: Workers, experiment: Experiment, params: Params, slots: Params) -> None:
    """See that workers have the same run before them, before anything is written.

    What a cell draws for itself may be another in each: the parameters become those of the first.
    """
    if workers.size == 1:
        return
    model, same = experiment.model, "all workers must read the same data with the same settings"
    runs = running(model.backend, model.stack.cell, model.precision)
    way = "BPTT_TARGET=avx2, or baseline, in the environment of all gives them the same bits"
    if not runs.startswith("compiled"):
        runs += f" with {threads.products()}"
        way = "OPENBLAS_CORETYPE in the environment of all gives them the same bits, if NumPy's loops do, too"
    workers.expect_alike(
        {
            "bptt": (__version__, "install the same version for all"),
            "NumPy": (np.__version__, "install the same version for all"),
            "code": (runs, way),
            "settings": (_digest(experiment.settings.to_json() | {"data": "", "valid": ""}), same),
            "data": (_digest(experiment.facts | {"source": ""}), same),
            "step": (str(slots.get("t", 0)), "all workers must see the same folder"),
        }
    )
    workers.share(params)
    workers.expect_same(int(slots.get("t", 0)), params, slots)


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(values)).hexdigest()[:16]


def _expect_apart(settings: Settings, folder: Path) -> None:
    """Refuse to write among the files that are read: the data would not be the same when resumed."""
    for data in {*paths(settings.data), *paths(settings.valid or INPUT)} - _names():
        # os.path, because Path.resolve raises where links go in a circle
        source, place = Path(os.path.realpath(data)), Path(os.path.realpath(folder))
        if not os.path.isdir(source) or not place.is_relative_to(source):  # noqa: PTH112  as in Run.open
            continue
        if not any(part.startswith(".") for part in place.relative_to(source).parts):  # hidden: not read
            raise ConfigError(f"{folder} lies in {data}, and would become data; give an --out elsewhere")


def _expect_there(settings: Settings, run: Run) -> None:
    """Say what to do where a run or its data have moved."""
    for option, data in (("PATH", settings.data), ("--valid PATH", settings.valid or INPUT)):
        for path in paths(data):
            if path not in _names() and not os.path.exists(path):  # noqa: PTH110  as in Run.open
                moved = f"if it has moved: bptt train {option} --resume {run.folder}"
                raise DataError(f"{path}: no such file or corpus; {moved}")


def _names() -> set[str]:
    """Return what means data and is no path."""
    return {*TASKS, *(info.name for info in describe()), INPUT}


def config_of(model: Model, settings: Settings, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's configuration says of it."""
    kept = record.to_json(get(model.cell))
    name = {"cell": kept["name"]}
    return {
        "bptt": __version__,
        "settings": settings.to_json() | name,
        "model": {field.name: getattr(model, field.name) for field in fields(model)} | name,
        "cell": kept,
        "data": facts,
        "runs_on": running(model.backend, model.stack.cell, model.precision),
    }
