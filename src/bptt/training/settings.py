"""Everything that decides a training run, each setting declared once (see :mod:`bptt.training.setting`).

A run's settings are the neutral ones below, overlaid by what its generated task is known to need or, for
text, by the preset (``"default"`` where none is named), and then by what the user asks for.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, get_args

import numpy as np

from bptt.cells import Cell
from bptt.errors import ConfigError
from bptt.kernels.backends import Backend, Precision
from bptt.nets.dropout import Per
from bptt.nets.init import InitName
from bptt.nets.pool import PoolName
from bptt.nets.stack import MOST_LAYERS
from bptt.shown import Shown
from bptt.training.averaging import Averaging
from bptt.training.data_settings import MOST, READ, DataSettings, paths_of
from bptt.training.optim import OPTIMIZERS
from bptt.training.presets import JOB_SETTINGS, PRESETS, TASK_SETTINGS
from bptt.training.schedules import SCHEDULES
from bptt.training.setting import Job, Part, declared_in, documented, setting
from bptt.types import BiasCount, Reduction
from bptt.zoo import get
from bptt.zoo.step import with_equations

_FALLS = ("schedule", ("step", "plateau"))

WORDS: dict[Job, str] = {
    "stream": "one long text",
    "lines": "sequences of text (--lines, --documents, --text)",
    "labels": "labelled sequences (--task classify, multilabel, regress, tag, track)",
    "series": "series (--task forecast)",
    "generated": "a generated task",
}
"""The jobs, as an error names them."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings(Shown, DataSettings, html="bptt.training.shown:settings_html", text="bptt.nets.shown:text"):
    """All that decides a run: the same settings on the same machine give the same bits."""

    cell: str | Cell = setting(
        "lstm", "The recurrent cell, or FILE.py:NAME or MODULE:NAME of your own", "model"
    )
    hidden: int = setting(128, "Hidden units in a layer", "model", "H", least=1, most=MOST)
    layers: int = setting(1, "Layers", "model", "L", least=1, most=MOST_LAYERS)
    embedding: int = setting(64, "Embedding size; 0 is one-hot input", "model", "E", least=0, most=MOST)
    tied: bool = setting(False, "Output matrix = embedding transposed", "model")
    projection: int = setting(
        0, "Size that h is projected to before the output; 0 is none", "model", "R", least=0, most=MOST
    )
    dropout: float = setting(0.0, "Part dropped of each layer's output", "model", "P", least=0, below=1)
    input_dropout: float = setting(0.0, "Part dropped of the embedding", "model", "P", least=0, below=1)
    dropout_per: Per = setting("step", "What these two draw for: each step, or a whole sequence", "model")
    embedding_dropout: float = setting(0.0, "Part of the words dropped", "model", "P", least=0, below=1)
    weight_dropout: float = setting(
        0.0, "Part dropped of U's entries: weight-drop", "model", "P", least=0, below=1
    )
    recurrent_dropout: float = setting(0.0, "Part dropped of what U reads", "model", "P", least=0, below=1)
    zoneout: float = setting(0.0, "Part of h that keeps its value: zoneout", "model", "P", least=0, below=1)
    zoneout_cell: float = setting(0.0, "That of the other states, as c", "model", "P", least=0, below=1)
    label_smoothing: float = setting(
        0.0, "Part of each target spread over all tokens or labels", "model", "P", least=0, below=1
    )
    activation_penalty: float = setting(0.0, "Cost of the outputs' mean square", "model", "A", least=0)
    temporal_penalty: float = setting(0.0, "Cost of the mean square of their steps", "model", "B", least=0)
    bias: BiasCount = setting("one", "Biases: none, one, or two as PyTorch has them", "model")
    output_bias: bool = setting(True, "A bias of the output", "model")
    learn_start: bool = setting(False, "Learn the states that sequences start from", "model")
    bidirectional: bool = setting(False, "Layers in both directions", "model", jobs=("labels",))
    pool: PoolName = setting(
        "last",
        "Where a label is read: last, at the sequence's end, or mean, of its steps",
        "model",
        needs=("task", ("classify", "multilabel", "regress")),
        jobs=("labels",),
    )
    init: InitName = setting(
        "uniform", f"Initial weights: {', '.join(get_args(InitName))}", "model", keyword="init_name"
    )
    init_scale: float | None = setting(None, "For uniform and normal", "model")
    backend: Backend = setting("auto", "auto, reference (NumPy) or cpu (compiled)", "model")
    precision: Precision = setting("float32", "Of products: float32 or bfloat16", "model")
    forget_bias: float = setting(1.0, "Where a forget gate's bias starts", "model")

    batch: int = setting(32, "Rows in a training step", "loop", "N", least=1, most=MOST)
    shards: int = setting(
        1, "Parts of these, a power of two, that workers share; the bits depend on it", "loop", "S", least=1
    )
    chunk: int = setting(
        64, "Time steps in a training step", "loop", "T", least=1, most=MOST, jobs=("stream", "lines")
    )
    chunk_jitter: float = setting(
        0.0, "Deviation of chunks' lengths", "loop", "T", least=0, most=MOST, jobs=("stream",)
    )
    chunk_half: float = setting(
        0.0, "Part of the chunks half as long", "loop", "P", least=0, most=1, jobs=("stream",)
    )
    steps: int | None = setting(3000, "Training steps", "loop", "S", least=0, may_change=True)
    epochs: float | None = setting(
        None, "Passes over the text, instead of steps", "loop", "E", above=0, may_change=True
    )
    optimizer: str = setting("adam", ", ".join(OPTIMIZERS), "optimizer")
    lr: float = setting(5e-3, "Learning rate", "schedule", "X", above=0)
    momentum: float = setting(0.0, "Momentum", "optimizer", needs=("optimizer", ("sgd",)))
    beta2: float = setting(
        0.999, "Decay of the squares' mean", "optimizer", needs=("optimizer", ("adam", "adamw"))
    )
    weight_decay: float = setting(0.0, "Decay of matrices", "optimizer", needs=("optimizer", ("adamw",)))
    schedule: str = setting("cosine", ", ".join(SCHEDULES), "schedule")
    warmup: int = setting(0, "Steps of linear warm-up", "schedule", "S", least=0)
    keep: int = setting(4, "Epochs, or evaluations, before the rate falls", "schedule", least=0, needs=_FALLS)
    factor: float = setting(0.5, "What the rate is multiplied by", "schedule", needs=_FALLS)
    reduction: Reduction = setting("mean_over_time_and_batch", "The loss differentiated", "model")
    clip_norm: float | None = setting(
        1.0, "The most the gradient's norm may be", "loop", above=0, unlimited=True
    )
    clip_value: float | None = setting(
        None, "The most an entry of the gradient may be", "loop", above=0, unlimited=True
    )
    patience: int | None = setting(
        None, "Evaluations without a better one before stopping early", "loop", least=1
    )
    average: Averaging = setting(
        "none", "Weights that are measured and kept, a mean of them: none, ema or nt-asgd", "loop"
    )
    average_decay: float = setting(
        0.999, "Decay of the mean", "loop", "D", least=0, below=1, needs=("average", ("ema",))
    )
    average_after: int = setting(
        5,
        "Evaluations without a better one before it begins",
        "loop",
        least=1,
        needs=("average", ("nt-asgd",)),
    )
    seed: int = setting(0, "Same seed, same bits", "loop", "K", least=0)
    report_every: int = setting(50, "Steps between lines of the log", "loop", "S", least=1)
    eval_every: int = setting(500, "Steps between evaluations", "loop", "S", least=1)

    def __post_init__(self) -> None:
        for name, declared in SETTINGS.items():
            if declared.unlimited and getattr(self, name) == math.inf:
                object.__setattr__(self, name, None)  # JSON has no infinity
            declared.check(getattr(self, name))
        if self.shards & (self.shards - 1) or self.batch % self.shards:
            raise ConfigError(
                f"--shards must be 1, 2, 4, 8, ... equal parts of --batch {self.batch}, got {self.shards}"
            )
        if self.steps is None and self.epochs is None:
            raise ConfigError("say how long to train: steps or epochs")

    @property
    def job(self) -> Job:
        """What the run learns, as the data and what is said of them have it."""
        return _job({name: getattr(self, name) for name in ("data", "task", "lines", "documents", "text")})

    def rate_of(self, steps: int) -> float:
        """Return what the learning rate is multiplied by in a chunk of so many steps, where lengths vary."""
        varies = (self.chunk_jitter or self.chunk_half) and self.job == "stream"
        return steps / self.chunk if varies else 1.0

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values; of a cell its name (see :mod:`bptt.zoo.record`)."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return values | {"cell": self.cell.name if isinstance(self.cell, Cell) else self.cell}

    def of_part(self, part: Part) -> dict[str, Any]:
        """Return the settings that go to a part of the run and have an effect, by its names for them."""
        return {
            declared.keyword or name: getattr(self, name)
            for name, declared in SETTINGS.items()
            if declared.part == part and not self._idle(name)
        }

    def of_model(self, *, token_inputs: bool) -> dict[str, Any]:
        """Return the settings of a model by the names of its parameters; real inputs have no embedding."""
        told = self.of_part("model")
        if self.fixed:
            told["cell"] = with_equations(told["cell"]).fixed(**self.fixed)
        return told | {
            "embedding": self.embedding or None if token_inputs else None,
            "projection": self.projection or None,
        }

    def changed(self, **asked: Any) -> "Settings":
        """Return the settings of a run that is resumed with what is asked for.

        Raises
        ------
        ConfigError
            For a setting that is unknown, or cannot change within a run, or a value that means nothing.
        """
        _expect_known(asked)
        if fixed := [SETTINGS[name].option for name in asked if not SETTINGS[name].may_change]:
            free = [declared.option for declared in SETTINGS.values() if declared.may_change]
            raise ConfigError(
                f"a run goes on as it was set up: only {', '.join(free)} can be given anew, "
                f"not {', '.join(fixed)}"
            )
        return replace(self, **_ended(asked))

    @classmethod
    def of(cls, preset: str | None = None, **asked: Any) -> "Settings":
        """Return neutral settings, overlaid by the task's, the preset's, and what is asked for.

        Parameters
        ----------
        preset : str, optional
            A name in `PRESETS`; for text, ``"default"`` where none is given.
        **asked
            Attributes of Settings; None means not asked for.

        Raises
        ------
        ConfigError
            For an unknown preset or setting, a size or rate that means nothing, or a setting that would
            have no effect. Unknown names of cells, optimisers and so on are told where they are used.

        Examples
        --------
        >>> Settings.of("vanilla", hidden=50).optimizer
        'adagrad'
        """
        if preset is not None and preset not in PRESETS:
            raise ConfigError(f"no preset is called {preset!r}; there are {', '.join(PRESETS)}")
        given = {name: value for name, value in asked.items() if value is not None}
        asked = _ended(
            {n: value.item() if isinstance(value, np.generic) else value for n, value in given.items()}
        )
        asked |= {name: paths_of(name, asked[name]) for name in ("data", "valid") if name in asked}
        if preset is None and str(asked.get("data")) not in TASK_SETTINGS:
            preset = "default"
        chosen = PRESETS[preset].settings if preset else {}
        data = asked.get("data", chosen.get("data", SETTINGS["data"].default))
        job = _job(asked | {"data": data})
        own = JOB_SETTINGS.get(job, {}) | JOB_SETTINGS.get(str(asked.get("task")), {})
        own = own if preset in (None, "default") else {}
        sample = PRESETS["default"].settings["valid_sample"] if job in READ else None
        base = TASK_SETTINGS.get(str(data), {"valid_sample": sample})
        overlay = base | _ended(chosen) | own | asked
        _expect_known(overlay)
        settings = cls(**overlay)
        settings._expect_effect(name for name, value in asked.items() if value is not None)
        return settings

    def means(self, name: str) -> bool:
        """Return whether a setting has an effect beside the others."""
        return self._idle(name) is None

    def _idle(self, name: str) -> str | None:
        """Return why a setting has no effect beside the others; None where it has one."""
        option, needs = SETTINGS[name].option, SETTINGS[name].needs
        if (jobs := SETTINGS[name].jobs) and self.job not in jobs:
            if self.job == "generated":
                return f"{self.data} is a generated task: {option} has no meaning for it"
            either = " or ".join(WORDS[job] for job in jobs)
            return f"{option} has no meaning for {WORDS[self.job]}; it goes with {either}"
        if needs is not None and (found := getattr(self, needs[0])) not in needs[1]:
            return f"{option} goes with {SETTINGS[needs[0]].option} {' or '.join(needs[1])}, not {found}"
        return None

    def _expect_effect(self, asked: Iterable[str]) -> None:
        """Raise a ConfigError for what is asked for and would have no effect."""
        for name in asked:
            if why := self._idle(name):
                raise ConfigError(why)
            if name == "dropout_per" and not (self.dropout or self.input_dropout):
                raise ConfigError("--dropout-per goes with --dropout or --input-dropout, and both are 0")
            if name in ("bias", "forget_bias"):
                cell = get(self.cell)
                if name == "bias" and self.bias != "none" and not cell.bias:
                    raise ConfigError(f"{cell.name} has no biases: --bias has no meaning for it")
                if name == "forget_bias" and not _takes_forget_bias(cell, self.bias):
                    raise ConfigError(
                        "--forget-bias goes with a gate f that has a bias and no start of its own; "
                        f"{cell.name} has none"
                    )


def _job(told: Mapping[str, Any]) -> Job:
    if told["data"] in TASK_SETTINGS:
        return "generated"
    if (task := told.get("task")) is not None:
        return "series" if task == "forecast" else "labels"
    ways = ("lines", "documents", "text")  # an empty text is a line between documents, too
    return "lines" if any(told.get(name) not in (None, False) for name in ways) else "stream"


SETTINGS = declared_in(Settings)
"""What is declared of each setting."""


def _ended(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what is asked for, with the one end of training in the place of the other."""
    if "steps" in asked and "epochs" in asked:
        raise ConfigError("give --steps or --epochs, not both")
    return {"steps": None, **asked} if "epochs" in asked else asked


def _takes_forget_bias(cell: Cell, bias: BiasCount) -> bool:
    own = cell.start(np.random.default_rng(0), 1)
    return cell.bias and bias != "none" and "f" in cell.from_x and "f" not in own


def _expect_known(names: Iterable[str]) -> None:
    if odd := sorted({*names} - {*SETTINGS}):
        meant = "".join(f": is {name} meant?" for name in get_close_matches(odd[0], SETTINGS, 1))
        raise ConfigError(
            f"no setting is called {', '.join(odd)}{meant}; there are {', '.join(sorted(SETTINGS))}"
        )


Settings.__doc__ = documented(Settings, SETTINGS)
