"""What the layers start from: their starts, states that are given, or features, as in captioning an image.

::

    (0)  h_0 = features W_0 + b_0    in every layer and direction, where sequences start from features

The starts are zeros, or parameters of the layers, which see to them.
"""

from dataclasses import dataclass

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.nets.init import Init
from bptt.nets.stack import Stack, start_of
from bptt.types import Array, Dtype, Generator, Gradients, Params, Shapes


@dataclass(frozen=True)
class Start:
    """The part before the first step.

    Parameters
    ----------
    features : int, optional
        F. Without it sequences start as the layers do, or from the states that are given.
    stack : Stack
        The layers that start.
    """

    features: int | None
    stack: Stack

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the states that are outputs, one for each layer and direction."""
        first = self.stack.cell.states[0]
        return tuple(name for name in self.stack.state_names if name.endswith(f".{first}"))

    @property
    def others(self) -> dict[str, str]:
        """Other states that start where it is learnt, with the parameters, which are those of layers."""
        if self.features is None or not self.stack.learn_start:
            return {}
        return {name: start_of(name) for name in self.stack.state_names if name not in self.outputs}

    def shapes(self) -> Shapes:
        """Return the shape of every parameter of this part, by its name."""
        if self.features is None:
            return {}
        size = len(self.outputs) * self.stack.side
        return {"initial.W": (self.features, size), "initial.b": (size,)}

    def init(self, rng: Generator, draw: Init, dtype: Dtype) -> Params:
        """Return the parameters of this part, drawn from `rng`."""
        if self.features is None:
            return {}
        (F, size), _ = self.shapes().values()
        return {"initial.W": draw.output(rng, F, size, dtype), "initial.b": np.zeros(size, dtype)}

    def expect(self, features: Array | None, states: Params | None) -> None:
        """Raise a ConfigError unless sequences can start from these."""
        if features is not None and (states is not None or self.features is None):
            raise ConfigError("features give the first state: a model made for them, and no state")
        if self.features is not None and features is None and states is None:
            raise ConfigError("this model's sequences start from features, or from a state: give one of them")

    def forward(self, params: Params, features: Array | None, states: Params | None) -> Params | None:
        """Return the states before the first step, or None where the layers' starts are."""
        if features is None:
            return states
        if features.ndim != 2 or features.shape[1] != self.features:
            raise ShapeError(f"features must be (N, F = {self.features}), got {features.shape}")
        h_0 = features @ params["initial.W"] + params["initial.b"]
        states = self.stack.zero_states(len(features), h_0.dtype, params)
        return states | dict(zip(self.outputs, np.split(h_0, len(self.outputs), axis=1), strict=True))

    def backward(self, params: Params, features: Array | None, dstates: Params) -> Gradients[Params]:
        """Return the gradients of this part and at the features, from those at the states."""
        if features is None:  # a later chunk: its states came from the one before
            zeros = {name: np.zeros_like(params[name]) for name in self.shapes()}
            return Gradients(zeros, None, dstates)
        dh_0 = np.concatenate([dstates[name] for name in self.outputs], axis=1)
        grads = {"initial.W": features.T @ dh_0, "initial.b": dh_0.sum(axis=0)}
        grads |= {start: dstates[name].sum(axis=0) for name, start in self.others.items()}
        return Gradients(grads, None, dstates, dh_0 @ params["initial.W"].T)
