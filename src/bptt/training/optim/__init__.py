"""Optimisers, each its equations, and gradient clipping; over a flat dict of arrays, in place."""

from bptt.training.optim.clipping import clip_norm, clip_values, global_norm
from bptt.training.optim.optimizer import Optimizer
from bptt.training.optim.rules import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, RMSProp, get

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSProp",
    "clip_norm",
    "clip_values",
    "get",
    "global_norm",
]
