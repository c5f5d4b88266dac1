"""Recurrent networks with explicit backpropagation through time."""

__version__ = "0.1.0"

from bptt import cells, losses
from bptt.model import LossAndGrads, Model, ModelGradients, ModelRun
from bptt.stack import Stack, StackRun
from bptt.unroll import Gradients, Unrolled, unroll

__all__ = ["Gradients", "Unrolled", "cells", "unroll"]
