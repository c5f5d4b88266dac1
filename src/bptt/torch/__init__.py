"""Recurrent layers in PyTorch by compiled code: its LSTM, GRU and RNN, and any cell that is equations.

``LSTM``, ``GRU`` and ``RNN`` take the place of ``torch.nn``'s: the same constructors, parameters, initial
values, inputs, outputs and errors, and a ``state_dict`` loads either way. On the CPU in float32, float64 and
bfloat16, also under autocast, compiled code runs them; elsewhere (CUDA, half precision, ``proj_size``, traced
exports, a few steps) PyTorch's own operator does, and under the transforms of ``torch.func`` a loop of its
operations. ``layer.runs_on`` says which it was, and why. Second derivatives are those of that loop. One step
of any cell, with its derived backward, as a ``torch.autograd.Function``: `function`.
"""

import torch as _torch

from bptt.torch.cell import Cell
from bptt.torch.layers import GRU, LSTM, RNN
from bptt.torch.steps import function

__all__ = ["GRU", "LSTM", "RNN", "Cell", "function"]

# models are saved as objects, too, and loaded with weights_only: these hold parameters and plain values
_torch.serialization.add_safe_globals([LSTM, GRU, RNN])
