"""What a file of another system holds of a run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bptt.data.text import Vocabulary
from bptt.errors import DataError, RunError
from bptt.nets.model import Model
from bptt.training.opening import config_of
from bptt.training.runs import format as run_format
from bptt.training.runs.format import PYTHON, Described
from bptt.training.saving import settings_of
from bptt.training.settings import Settings
from bptt.training.trained import Trained
from bptt.types import Params

RUN = "run"
"""The note that has a run's settings, its model, its cell and what is known of its data, as JSON."""


@dataclass(frozen=True)
class Content:
    """A model with its parameters, and what else a file can hold of a run.

    Attributes
    ----------
    model : Model
    params : dict of arrays
    vocabulary : Vocabulary or None
    notes : dict of str
        By name, as a file's metadata has them: ``run`` (see `described`), ``step``, the training steps
        behind the parameters, and ``source``, the run's name.
    """

    model: Model
    params: Params
    vocabulary: Vocabulary | None
    notes: dict[str, str]

    @classmethod
    def of(cls, trained: Trained) -> "Content":
        """Return what can be held of a run; where its data lie stays here, and maps become their matrices."""
        model, params = _plain(trained.model, trained.params)
        notes = {"source": name_of(trained.source), "step": str(trained.step)}
        notes[RUN] = _noted(model, trained.settings, trained.facts)
        return cls(model, params, trained.vocabulary, notes)

    def whole(self) -> "Content":
        """Return it with a note of the run, if it has none: that of a run made of the weights alone.

        What is made by maps is a matrix as any other, and so is an output with its projection.
        """
        if RUN in self.notes:
            return self
        model, params = _plain(self.model, self.params)
        return replace(
            self, model=model, params=params, notes=self.notes | {RUN: _noted(model, Settings(), {})}
        )

    @property
    def step(self) -> int:
        """The training steps behind the parameters; 0 where it is not known."""
        text = self.notes.get("step", "0")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _plain(model: Model, params: Params) -> tuple[Model, Params]:
    """Return a model and its parameters as other systems have them: each matrix by itself."""
    model, params = model.unmapped(params)
    return model.unprojected(params)


def _noted(model: Model, settings: Settings, facts: dict[str, Any]) -> str:
    config = config_of(model, settings_of(model, settings), facts | {"source": PYTHON})
    run = {part: config[part] for part in ("settings", "model", "cell", "data")}
    return json.dumps(run, ensure_ascii=False, allow_nan=False)


def name_of(path: str) -> str:
    """Return the last part of a path."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or "run"


def described(notes: Mapping[str, str]) -> Described | None:
    """Return the model, the settings and the facts that notes have; None where they have none.

    DataError where a value in them is not right. They are read with all the care that a run's files are, and
    nothing of them is run.
    """
    if RUN not in notes:
        return None
    try:
        return run_format.described(run_format.decode(notes[RUN].encode(), dict[str, Any]))
    except (RunError, ValueError, TypeError) as error:
        raise DataError(f"its notes of the run: {error}") from None


def vocabulary_of(text: str | None) -> Vocabulary | None:
    """Return the vocabulary that JSON describes, None for none; DataError where it is not right."""
    if text is None:
        return None
    try:
        return Vocabulary.from_json(run_format.decode(text.encode(), dict[str, Any]))
    except RunError as error:
        raise DataError(f"its vocabulary: {error}") from None
