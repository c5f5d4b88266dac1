"""Recurrent networks with explicit backpropagation through time.

=====================================  ==================================================================
:mod:`bptt.cells`, :mod:`bptt.unroll`  a cell's equations, forward and backward; the reference time loop
:func:`bptt.check`                     whether anybody's backward pass is correct, and if not, which term
:func:`bptt.cell`, :mod:`bptt.derive`  a cell written as its equations; its backward derived and proven
:mod:`bptt.flow`                       how far back, and along which path, a gradient goes
:mod:`bptt.model`, :mod:`bptt.losses`  layers, losses, ``loss_and_grads``
:mod:`bptt.backends`                   which code runs a cell: the reference, or a compiled kernel
:mod:`bptt.text`, :mod:`bptt.tasks`    corpora and streams; generated tasks
:mod:`bptt.train`, :mod:`bptt.sample`  training; writing; and what they need (optim, schedules, runs)
=====================================  ==================================================================
"""

__version__ = "0.1.0"

import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] == "bptt":
    from bptt_command import begin

    begin()  # python -m bptt: an interruption of what is imported below is the command's
    del begin

from bptt import cells, conventions, evaluate, losses, optim, schedules, tasks, text
from bptt.backends import unroll
from bptt.check import Judgement, assert_gradients, check
from bptt.derive import cell
from bptt.errors import BpttError, BpttWarning, ConfigError, DataError, DivergedError, RunError, ShapeError
from bptt.init import Init
from bptt.model import LossAndGrads, Model
from bptt.model_run import ModelGradients, ModelRun
from bptt.sample import sample
from bptt.settings import PRESETS, Settings
from bptt.stack import Stack, StackRun, layer_params
from bptt.train import Report, Trainer
from bptt.trained import Trained
from bptt.unroll import Gradients, Unrolled

__all__ = [
    "PRESETS",
    "BpttError",
    "BpttWarning",
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
