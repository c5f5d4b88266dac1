r"""The vanilla recurrent network (Elman 1990), with tanh or relu.

Equations, per hidden unit, with a = x_t W + h_{t-1} U + b::

    (1)  h = φ(a)           φ = tanh  or  φ(a) = max(a, 0)

Backward, given dh, the whole gradient at h_t (from the loss at t and from step t+1)::

    (1)  da = dh (1 - h²)          for tanh
         da = dh  where a > 0      for relu

h_{t-1} enters through a alone, so the cell itself passes nothing to the state before.
"""

from typing import Literal

import numpy as np

from bptt.cells.base import Cache, Cell, States
from bptt.elementwise import relu
from bptt.errors import ConfigError
from bptt.types import Array


class RNN(Cell):
    """Vanilla recurrent cell.

    Parameters
    ----------
    activation : "tanh" or "relu"
    """

    gates = ("a",)

    def __init__(self, activation: Literal["tanh", "relu"] = "tanh") -> None:
        if activation not in ("tanh", "relu"):
            raise ConfigError(f"the activation must be tanh or relu, got {activation!r}")
        self.activation = activation
        self.name = "rnn" if activation == "tanh" else "rnn-relu"

    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        h = np.tanh(a) if self.activation == "tanh" else relu(a)  # (1)
        return (h,), h

    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        (dh,), h = dstates, cache
        da = dh * (1 - h * h) if self.activation == "tanh" else np.where(h.real > 0, dh, 0)  # (1)
        return da, (np.zeros_like(dh),)
