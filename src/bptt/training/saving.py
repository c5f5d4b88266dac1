"""A run made of weights that were trained in Python."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import asdict

from bptt.data.text import Vocabulary
from bptt.errors import ShapeError
from bptt.nets.model import Model, expect_params
from bptt.training.opening import config_of
from bptt.training.runs.folder import Checkpoint, Run
from bptt.training.runs.format import PYTHON, Progress, begun
from bptt.training.settings import SETTINGS, Settings
from bptt.types import Params


def save_run(
    folder: str | os.PathLike[str],
    model: Model,
    params: Params,
    vocabulary: Vocabulary | None = None,
    *,
    step: int = 0,
) -> Path:
    """Keep weights that were trained in Python as a run, and return its folder.

    `bptt sample`, `bptt eval DIR PATH`, `bptt flow`, `bptt verify`, `bptt train --from` and
    :meth:`bptt.Trained.load` read it; it has no optimiser to be resumed with.

    Parameters
    ----------
    folder : path
        A new one, or one without a run.
    model : Model
    params : dict of arrays
        As `model` names them, float32 or float64, all finite.
    vocabulary : Vocabulary, optional
        The tokens, where the model reads text.
    step : int
        Training steps behind the parameters.

    Raises
    ------
    ShapeError
        If `params` are not the model's, or not finite; if the vocabulary is not as large as its inputs and
        outputs.
    ConfigError
        If the cell is a class of its own and not equations.
    RunError
        If the folder holds a run, or cannot be written.

    Examples
    --------
    >>> import tempfile, numpy as np, bptt
    >>> vocabulary = bptt.text.Vocabulary.build("hello", "char")
    >>> model = bptt.Model(inputs=4, outputs=4, hidden=8)
    >>> params = model.init(np.random.default_rng(0))
    >>> folder = bptt.save_run(tempfile.mkdtemp() + "/run", model, params, vocabulary)
    >>> bptt.Trained.load(folder).vocabulary == vocabulary
    True
    """
    if vocabulary is not None and not (
        len(vocabulary) == model.inputs == model.outputs and model.token_inputs
    ):
        raise ShapeError(
            f"a vocabulary of {len(vocabulary)} tokens is for a model of as many token inputs and outputs; "
            f"got {model.inputs} in, {model.outputs} out"
        )
    return keep(folder, model, params, vocabulary, step=step)


def settings_of(model: Model, settings: Settings) -> Settings:
    """Return settings of a run that was made of weights, with what the model says of itself."""
    told = {
        name: getattr(model, declared.keyword or name)
        for name, declared in SETTINGS.items()
        if declared.part == "model" and not declared.jobs  # others are a job's own, and of no effect here
    }
    sizes = {"embedding": model.embedding or 0, "projection": model.projection or 0}
    return replace(settings, **told | {"data": PYTHON, "valid": None} | sizes)


def keep(
    folder: str | os.PathLike[str] | None,
    model: Model,
    params: Params,
    vocabulary: Vocabulary | None,
    *,
    step: int,
    settings: Settings | None = None,
    facts: dict[str, Any] | None = None,
    name: str = "run",
) -> Path:
    """Keep weights as a run, with the settings and facts that they were trained with, if these are known.

    Without a folder it is the first of ``bptt-runs/NAME-1``, ... that is not there. See `save_run`.
    """
    expect_params(params, model.shapes)
    for key, array in params.items():
        if array.dtype not in (np.float32, np.float64) or not np.isfinite(array).all():
            raise ShapeError(f"{key} must be finite float32 or float64 numbers, got {array.dtype}")
    settings = settings_of(model, settings or Settings())
    facts = (facts or {}) | {"source": "trained in Python"}
    if vocabulary is not None:
        facts |= {"tokens": vocabulary.kind, "vocabulary": len(vocabulary)}
    progress = Progress.none()
    progress.step = step
    checkpoint = Checkpoint({"params": params}, asdict(progress))
    config = config_of(model, settings, facts) | {"from": begun(PYTHON, step, params)}
    run = Run.create(folder, config, None if vocabulary is None else vocabulary.to_json(), name=name)
    try:
        run.save("last", checkpoint)
    finally:
        run.release()
    return run.folder
