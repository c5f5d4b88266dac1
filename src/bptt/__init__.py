"""Recurrent networks with explicit backpropagation through time.

The rooms, from the equations up: :mod:`bptt.cells`, :mod:`bptt.unroll` (the reference time loop),
:mod:`bptt.stack`, :mod:`bptt.losses`, :mod:`bptt.model`; :mod:`bptt.text`, :mod:`bptt.tasks`;
:mod:`bptt.optim`, :mod:`bptt.schedules`, :mod:`bptt.train`, :mod:`bptt.sample`, :mod:`bptt.evaluate`;
and :mod:`bptt.check`, the judge of anybody's backward pass.
"""

__version__ = "0.1.0"

from bptt import cells, conventions, evaluate, losses, optim, schedules, tasks, text
from bptt.backends import unroll
from bptt.check import Judgement, assert_gradients, check
from bptt.derive import cell
from bptt.errors import BpttError, ConfigError, DataError, DivergedError, RunError, ShapeError
from bptt.init import Init
from bptt.model import LossAndGrads, Model, ModelGradients, ModelRun
from bptt.sample import sample
from bptt.settings import PRESETS, Settings
from bptt.stack import Stack, StackRun, layer_params
from bptt.train import Report, Trainer
from bptt.trained import Trained
from bptt.unroll import Gradients, Unrolled

__all__ = [
    "PRESETS",
    "BpttError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "Gradients",
    "Init",
    "Judgement",
    "LossAndGrads",
    "Model",
    "ModelGradients",
    "ModelRun",
    "Report",
    "RunError",
    "Settings",
    "ShapeError",
    "Stack",
    "StackRun",
    "Trained",
    "Trainer",
    "Unrolled",
    "assert_gradients",
    "cell",
    "cells",
    "check",
    "conventions",
    "evaluate",
    "layer_params",
    "losses",
    "optim",
    "sample",
    "schedules",
    "tasks",
    "text",
    "unroll",
]
