"""Everything that decides a training run, and the presets: settings that have a name.

A run's settings are the neutral ones below, overlaid by what its generated task is known to need or, for
text, by the preset (``"default"`` where none is named), and then by what the user asks for.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from bptt.cells import Cell
from bptt.data.text.vocabulary import Kind
from bptt.errors import ConfigError
from bptt.kernels.backends import Backend, Precision
from bptt.nets.init import InitName
from bptt.nets.stack import MOST_LAYERS
from bptt.types import BiasCount, Reduction
from bptt.zoo import get


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides a run: the same settings on the same machine give the same bits.

    Attributes
    ----------
    data : str
        A corpus, a task, or the path of a file or folder.
    valid : str or None
        A file or folder to validate on; None: what the corpus has, or its last tenth.
    tokens : "char", "byte", "word" or None
        None: what suits the corpus.
    vocabulary : int or None
        The most words to know; None: all.
    cell : str or Cell
        A name, ``"FILE.py:NAME"``, or a cell (see :func:`bptt.zoo.get`).
    hidden, layers, embedding, bias, output_bias, tied, dropout, input_dropout
        As in :class:`bptt.Model`; embedding 0 is one-hot input.
    backend, precision
        As in :mod:`bptt.kernels.backends`.
    init, init_scale, forget_bias
        As in :class:`bptt.Init`.
    reduction : str
        The loss that is differentiated (see :mod:`bptt.nets.losses`); what is reported is the mean per token.
    batch, chunk : int
        N rows of T steps in a training step.
    steps, epochs
        How long: training steps, or passes over the data; epochs count where steps is None.
    optimizer, lr, momentum, beta2, weight_decay
        See :mod:`bptt.training.optim`; momentum is SGD's, beta2 Adam's and AdamW's, weight_decay AdamW's.
    schedule, warmup, keep, factor
        See :mod:`bptt.training.schedules`; warmup in steps; keep is how many epochs (step) or evaluations
        (plateau) the rate is held before each multiplication by factor.
    clip_norm, clip_value : float or None
        The most that the norm of all gradients, or each entry, may be.
    seed : int
    report_every, eval_every : int
        Steps between lines of the log, and between evaluations on validation data.
    patience : int or None
        Evaluations without a better one after which training stops early.
    """

    data: str = "pydoc"
    valid: str | None = None
    tokens: Kind | None = None
    vocabulary: int | None = None

    cell: str | Cell = "lstm"
    hidden: int = 128
    layers: int = 1
    embedding: int = 64
    bias: BiasCount = "one"
    output_bias: bool = True
    tied: bool = False
    dropout: float = 0.0
    input_dropout: float = 0.0
    init: InitName = "uniform"
    init_scale: float | None = None
    forget_bias: float = 1.0
    backend: Backend = "auto"
    precision: Precision = "float32"
    reduction: Reduction = "mean_over_time_and_batch"

    batch: int = 32
    chunk: int = 64
    steps: int | None = 3000
    epochs: float | None = None
    optimizer: str = "adam"
    lr: float = 5e-3
    momentum: float = 0.0
    beta2: float = 0.999
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: int = 0
    keep: int = 4
    factor: float = 0.5
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    seed: int = 0
    report_every: int = 50
    eval_every: int = 500
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("hidden", "batch", "chunk"):
            self._whole(name, 1, _MOST)
        self._whole("layers", 1, MOST_LAYERS)
        self._whole("embedding", 0, _MOST)
        for name in ("report_every", "eval_every", "vocabulary", "patience"):
            self._whole(name, 1)
        for name in ("steps", "seed", "warmup", "keep"):
            self._whole(name, 0)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) == math.inf:  # no limit, which JSON cannot say
                object.__setattr__(self, name, None)
            self._number(name, above=0)
        for name in _NUMBERS:
            self._number(name)
        for field in fields(self):
            value, is_text = getattr(self, field.name), isinstance(field.default, str)
            if field.name == "cell":
                if not isinstance(value, str | Cell):
                    raise ConfigError(f"cell must be a str or a cell, got {value!r}")
                continue
            if not isinstance(value, str) and (is_text or (field.name == "valid" and value is not None)):
                raise ConfigError(f"{field.name} must be a str, got {value!r}")
        if self.steps is None and self.epochs is None:
            raise ConfigError("say how long to train: steps or epochs")
        if self.epochs is not None and not 0 < self.epochs < float("inf"):
            raise ConfigError(f"epochs must be above 0, got {self.epochs}")

    def _whole(self, name: str, least: int, most: int | None = None) -> None:
        value = getattr(self, name)
        if value is None and name in _OPTIONAL:
            return
        if type(value) is not int or value < least or (most is not None and value > most):
            wanted = f"a whole number from {least}" + (f" to {most:,}" if most else "")
            raise ConfigError(f"{name.replace('_', '-')} must be {wanted}, got {value!r}")

    def _number(self, name: str, above: float | None = None) -> None:
        value = getattr(self, name)
        if value is None and name in _OPTIONAL:
            return
        wanted = "a finite number" + ("" if above is None else f" above {above}")
        is_one = type(value) in (int, float) and math.isfinite(value)
        if not is_one or (above is not None and not value > above):
            raise ConfigError(f"{name.replace('_', '-')} must be {wanted}, got {value!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values; of a cell its name (see :mod:`bptt.zoo.record`)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"cell": self.cell.name if isinstance(self.cell, Cell) else self.cell}

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
        asked = _known({name: value for name, value in asked.items() if value is not None})
        if "steps" in asked and "epochs" in asked:
            raise ConfigError("give --steps or --epochs, not both")
        if preset is None and asked.get("data") not in TASK_SETTINGS:
            preset = "default"
        chosen = PRESETS[preset].settings if preset else {}
        data = asked.get("data", chosen.get("data", cls.data))
        overlay = TASK_SETTINGS.get(data, {}) | chosen | asked
        if "epochs" in overlay and "steps" not in asked:
            overlay["steps"] = None
        settings = replace(cls(), **overlay)
        _check_effect(settings, asked)
        return settings


_MOST = 10**8
"""A size beyond it would be more than NumPy can count, let alone keep."""

_NUMBERS = (
    "dropout",
    "input_dropout",
    "init_scale",
    "forget_bias",
    "epochs",
    "lr",
    "momentum",
    "beta2",
    "weight_decay",
    "factor",
)
_OPTIONAL = ("vocabulary", "steps", "patience", "epochs", "init_scale", "clip_norm", "clip_value")


@dataclass(frozen=True)
class Preset:
    """Settings under a name.

    Attributes
    ----------
    about : str
        What it is, in a line.
    settings : dict
        What it changes.
    """

    about: str
    settings: dict[str, Any]


TASK_SETTINGS: dict[str, dict[str, Any]] = {
    "reber": {"hidden": 16, "steps": 4000, "eval_every": 200},
    # a forget gate that starts at σ(4) = 0.98 holds a tenth of the cell state over 100 steps
    "adding": {"hidden": 32, "batch": 50, "forget_bias": 4.0, "steps": 4000, "eval_every": 250},
    "temporal-order": {
        "hidden": 32,
        "embedding": 0,
        "batch": 50,
        "init": "orthogonal",
        "forget_bias": 6.0,
        "lr": 1e-2,
        "steps": 8000,
        "eval_every": 500,
    },
    "copy": {
        "hidden": 128,
        "embedding": 0,
        "batch": 50,
        "init": "orthogonal",
        "forget_bias": 6.0,
        "lr": 1e-2,
        "steps": 12000,
        "eval_every": 500,
    },
    "ar2": {"hidden": 16, "steps": 1500, "eval_every": 250},
}
"""What each task is known to need."""


_NEEDS = {
    "momentum": ("optimizer", ("sgd",)),
    "beta2": ("optimizer", ("adam", "adamw")),
    "weight_decay": ("optimizer", ("adamw",)),
    "keep": ("schedule", ("step", "plateau")),
    "factor": ("schedule", ("step", "plateau")),
}


def _check_effect(settings: Settings, asked: dict[str, Any]) -> None:
    """Raise a ConfigError for what is asked for and would have no effect."""
    for name in asked:
        option = "--" + name.replace("_", "-")
        if settings.data in TASK_SETTINGS and name in ("tokens", "vocabulary", "valid", "chunk"):
            raise ConfigError(f"{settings.data} is a generated task: {option} has no meaning for it")
        other, values = _NEEDS.get(name, (None, ()))
        if other is not None and getattr(settings, other) not in values:
            raise ConfigError(
                f"{option} goes with --{other} {' or '.join(values)}, not {getattr(settings, other)}"
            )
    if asked.get("bias", "none") != "none" and not get(settings.cell).bias:
        raise ConfigError(f"{get(settings.cell).name} has no biases: --bias has no meaning for it")
    if "forget_bias" in asked and not _takes_forget_bias(get(settings.cell), settings.bias):
        raise ConfigError(
            f"--forget-bias goes with a gate f that has a bias and no start of its own; "
            f"{get(settings.cell).name} has none"
        )


def _takes_forget_bias(cell: Cell, bias: BiasCount) -> bool:
    own = cell.start(np.random.default_rng(0), 1)
    return cell.bias and bias != "none" and "f" in cell.from_x and "f" not in own


def _known(values: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(Settings)}
    if odd := sorted(values.keys() - names):
        raise ConfigError(f"no setting is called {', '.join(odd)}; there are {', '.join(sorted(names))}")
    return values


PRESETS: dict[str, Preset] = {
    "default": Preset(
        "what is taken for text when no preset is named: an LSTM that learns Tiny Shakespeare well",
        {
            "init": "orthogonal",
            "dropout": 0.1,
            "optimizer": "adamw",
            "lr": 1e-2,
            "beta2": 0.99,
            "weight_decay": 0.1,
            "warmup": 100,
        },
    ),
    "vanilla": Preset(
        "the vanilla-RNN character model: chunks of 25, one row, Adagrad, entries clipped at 5",
        {
            "cell": "rnn",
            "hidden": 100,
            "embedding": 0,
            "init": "normal",
            "init_scale": 0.01,
            "forget_bias": 0.0,
            "reduction": "sum_over_time_and_batch",
            "batch": 1,
            "chunk": 25,
            "steps": 40000,
            "optimizer": "adagrad",
            "lr": 0.1,
            "schedule": "constant",
            "clip_norm": None,
            "clip_value": 5.0,
            "eval_every": 4000,
            "report_every": 400,
        },
    ),
    "minibatch": Preset(
        "the mini-batch LSTM written as step functions: loss summed over time, mean over the batch",
        {
            "cell": "lstm",
            "hidden": 128,
            "embedding": 64,
            "init": "fan-in",
            "forget_bias": 0.0,
            "reduction": "sum_over_time_mean_over_batch",
            "batch": 50,
            "chunk": 32,
            "optimizer": "adam",
            "lr": 2e-3,
            "schedule": "constant",
            "clip_norm": None,
        },
    ),
    "shakespeare": Preset(
        "the bias-free LSTM with output matrix V of the Shakespeare derivation, on Tiny Shakespeare",
        {
            "data": "tinyshakespeare",
            "cell": "lstm",
            "hidden": 128,
            "embedding": 0,
            "bias": "none",
            "output_bias": False,
            "forget_bias": 0.0,
            "batch": 32,
            "chunk": 50,
            "optimizer": "rmsprop",
            "lr": 2e-3,
            "schedule": "step",
            "keep": 4,
            "factor": 0.9,
            "epochs": 10.0,
            "clip_norm": None,
            "clip_value": 5.0,
        },
    ),
    "ptb": Preset(
        "the word-level Penn Treebank LSTM: V = 10,000, H = 128, one-hot words, weights divided by √(Z/2)",
        {
            "data": "ptb",
            "tokens": "word",
            "cell": "lstm",
            "hidden": 128,
            "embedding": 0,
            "init": "scaled",
            "forget_bias": 0.0,
            "reduction": "sum_over_time_mean_over_batch",
            "batch": 20,
            "chunk": 35,
            "epochs": 13.0,
            "optimizer": "sgd",
            "lr": 1.0,
            "schedule": "step",
            "keep": 4,
            "factor": 0.5,
            "clip_norm": 5.0,
            "report_every": 20,
            "eval_every": 700,
        },
    ),
    "forecast": Preset(
        "the squared-error variant: a vanilla RNN that forecasts a noisy oscillation one step ahead",
        {
            "data": "ar2",
            "cell": "rnn",
            "hidden": 16,
            "init": "normal",
            "init_scale": 0.1,
            "forget_bias": 0.0,
            "lr": 5e-3,
            "steps": 1500,
            "eval_every": 250,
        },
    ),
}
"""The systems that public explanations describe, each with its own sizes, initialisation and training."""
