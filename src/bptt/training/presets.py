"""Settings that go together: presets, which have a name, and what each generated task says that it needs."""

from dataclasses import dataclass
from typing import Any

from bptt.data.tasks import TASKS


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


TASK_SETTINGS = {name: task.settings for name, task in TASKS.items()}
"""What each task is known to need."""

JOB_SETTINGS: dict[str, dict[str, Any]] = {
    # passes, not steps: after more of them 500 names are learnt by heart, and 30,000 are learnt well
    "lines": {"steps": None, "epochs": 20.0, "batch": 64, "dropout": 0.2, "eval_every": 200},
    # both directions tell more than one; of small tables the best is found early, and patience ends there
    "labels": {"bidirectional": True, "dropout": 0.2, "eval_every": 100, "patience": 10},
    # what comes after a step tells what is to be told at it, as how long a machine still ran
    "track": {"bidirectional": False},
    # selected by what is held out, so that evaluations are frequent, and the first of them near the linear
    # forecast: small series are soon learnt by heart
    "series": {"hidden": 32, "loss": "absolute", "lr": 5e-3, "warmup": 200, "steps": 1000, "eval_every": 25},
}
"""What a job, or one of its tasks, is known to need beside the preset "default", by its name."""

PRESETS: dict[str, Preset] = {
    "default": Preset(
        "what is taken for text when no preset is named: an LSTM that learns Tiny Shakespeare well",
        {"init": "orthogonal", "dropout": 0.1, "valid_sample": 1 << 17}
        | {"optimizer": "adamw", "lr": 1e-2, "beta2": 0.99, "weight_decay": 0.1, "warmup": 100},
    ),
    "vanilla": Preset(
        "the vanilla-RNN character model: chunks of 25, one row, Adagrad, entries clipped at 5",
        {"cell": "rnn", "hidden": 100, "embedding": 0}
        | {"init": "normal", "init_scale": 0.01, "forget_bias": 0.0}
        | {"reduction": "sum_over_time_and_batch", "batch": 1, "chunk": 25, "steps": 40000}
        | {"optimizer": "adagrad", "lr": 0.1, "schedule": "constant", "clip_norm": None, "clip_value": 5.0}
        | {"eval_every": 4000, "report_every": 400},
    ),
    "minibatch": Preset(
        "the mini-batch LSTM written as step functions: loss summed over time, mean over the batch",
        {"cell": "lstm", "hidden": 128, "embedding": 64, "init": "fan-in", "forget_bias": 0.0}
        | {"reduction": "sum_over_time_mean_over_batch", "batch": 50, "chunk": 32}
        | {"optimizer": "adam", "lr": 2e-3, "schedule": "constant", "clip_norm": None},
    ),
    "shakespeare": Preset(
        "the bias-free LSTM with output matrix V of the Shakespeare derivation, on Tiny Shakespeare",
        {"data": "tinyshakespeare", "cell": "lstm", "hidden": 128, "embedding": 0}
        | {"bias": "none", "output_bias": False, "forget_bias": 0.0, "batch": 32, "chunk": 50}
        | {"optimizer": "rmsprop", "lr": 2e-3, "schedule": "step", "keep": 4, "factor": 0.9, "epochs": 10.0}
        | {"clip_norm": None, "clip_value": 5.0},
    ),
    "shakespeare-256": Preset(
        "a short recipe for Tiny Shakespeare: 2 x 256 units, a high rate, 1.5 epochs; more with --epochs",
        {"data": "tinyshakespeare", "hidden": 256, "layers": 2, "embedding": 128, "init": "orthogonal"}
        | {"dropout": 0.2, "batch": 32, "chunk": 64, "epochs": 1.5, "eval_every": 250}
        | {"optimizer": "adamw", "lr": 8e-3, "beta2": 0.99, "weight_decay": 0.1, "warmup": 50},
    ),
    "shakespeare-384": Preset(
        "a longer recipe for Tiny Shakespeare: 2 x 384 units, 15 epochs",
        {"data": "tinyshakespeare", "hidden": 384, "layers": 2, "embedding": 128, "init": "orthogonal"}
        | {"dropout": 0.4, "input_dropout": 0.1, "batch": 32, "chunk": 64, "epochs": 15.0, "eval_every": 2000}
        | {"optimizer": "adamw", "lr": 6e-3, "beta2": 0.99, "weight_decay": 0.1, "warmup": 200}
        | {"report_every": 200},
    ),
    "ptb": Preset(
        "the word-level Penn Treebank LSTM: V = 10,000, H = 128, one-hot words, weights divided by √(Z/2)",
        {"data": "ptb", "tokens": "word", "cell": "lstm", "hidden": 128, "embedding": 0}
        | {"init": "scaled", "forget_bias": 0.0}
        | {"reduction": "sum_over_time_mean_over_batch", "batch": 20, "chunk": 35, "epochs": 13.0}
        | {"optimizer": "sgd", "lr": 1.0, "schedule": "step", "keep": 4, "factor": 0.5, "clip_norm": 5.0}
        | {"report_every": 20, "eval_every": 700},
    ),
    "ptb-256": Preset(
        "a short recipe for Penn Treebank: 2 x 256 units, tied, SGD at 40 along a cosine, 8 epochs",
        {"data": "ptb", "tokens": "word", "hidden": 256, "layers": 2, "embedding": 256, "tied": True}
        | {"init": "uniform", "init_scale": 0.05, "dropout": 0.3, "input_dropout": 0.2}
        | {"batch": 20, "chunk": 35, "epochs": 8.0, "eval_every": 1328, "valid_sample": 1 << 14}
        | {"optimizer": "sgd", "lr": 40.0, "schedule": "cosine", "warmup": 50, "clip_norm": 0.25},
    ),
    "ptb-400": Preset(
        "a longer recipe for Penn Treebank: 2 x 400 units, tied, SGD at 40 along a cosine, 14 epochs",
        {"data": "ptb", "tokens": "word", "hidden": 400, "layers": 2, "embedding": 400, "tied": True}
        | {"init": "uniform", "init_scale": 0.05, "dropout": 0.4, "input_dropout": 0.3}
        | {"batch": 20, "chunk": 35, "epochs": 14.0, "eval_every": 1328, "valid_sample": 1 << 14}
        | {"optimizer": "sgd", "lr": 40.0, "schedule": "cosine", "warmup": 50, "clip_norm": 0.25},
    ),
    "awd-lstm": Preset(
        "the AWD-LSTM of words of Merity et al. 2018, 3 x 400 units, with what it drops, costs and averages",
        {"data": "ptb", "tokens": "word", "cell": "lstm", "hidden": 400, "layers": 3, "embedding": 400}
        | {"tied": True, "forget_bias": 0.0, "dropout": 0.3, "input_dropout": 0.4, "dropout_per": "sequence"}
        | {"embedding_dropout": 0.1, "weight_dropout": 0.5, "batch": 20, "chunk": 70, "epochs": 40.0}
        | {"activation_penalty": 2.0, "temporal_penalty": 1.0, "chunk_jitter": 5.0, "chunk_half": 0.05}
        | {"optimizer": "sgd", "lr": 30.0, "schedule": "constant", "average": "nt-asgd", "clip_norm": 0.25}
        | {"eval_every": 650},
    ),
    "forecast": Preset(
        "the squared-error variant: a vanilla RNN that forecasts a noisy oscillation one step ahead",
        {"data": "ar2", "cell": "rnn", "hidden": 16, "init": "normal", "init_scale": 0.1, "forget_bias": 0.0}
        | {"lr": 5e-3, "steps": 1500, "eval_every": 250},
    ),
}
"""The systems that public explanations describe, each with its own sizes and training; and recipes."""
