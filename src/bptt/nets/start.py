"""What the layers start from: their starts, states that are given, or features, as in captioning an image.

::

    (0)  h_0 = features W_0 + b_0    in every layer and direction, where sequences start from features

The starts are zeros, or parameters of the layers, which see to them.
"""

from dataclasses import dataclass

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import add, filled, matmul, repeated, side_by_side, sum_of_steps
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
        stack, W, b = self.stack, params["initial.W"], params["initial.b"]
        product = matmul(self.read(features, W.dtype), W, stack.backend)
        h_0 = add(product, np.broadcast_to(b, product.shape), stack.backend)
        N, H, found = len(h_0), stack.side, Params()
        for name in stack.state_names:
            k, state = len(found) // len(stack.cell.states), name.rpartition(".")[2]
            width, start = stack.cell.width(state, H), params.get(start_of(name))
            if name in self.outputs:
                found[name] = h_0[:, k * H : (k + 1) * H]
            elif start is None:
                first = stack.cell.starts.get(state, 0.0)
                found[name] = filled((N, width), first, h_0.dtype, stack.backend)
            else:
                found[name] = repeated(start.reshape(1, 1, width), N, stack.backend).reshape(N, width)
        return found

    @staticmethod
    def read(features: Array, dtype: Dtype) -> Array:
        """Return features as numbers of the layers' dtype; those that are complex as they are."""
        return features if features.dtype.kind == "c" else features.astype(dtype, copy=False)

    def backward(self, params: Params, features: Array | None, dstates: Params) -> Gradients[Params]:
        """Return the gradients of this part and at the features, from those at the states."""
        backend = self.stack.backend

        def summed(rows: Array) -> Array:
            return sum_of_steps(rows[:, None], backend).reshape(-1)

        if features is None:  # a later chunk: its states came from the one before
            own = ((name, params[name].dtype, shape) for name, shape in self.shapes().items())
            zeros = {name: filled(shape, 0.0, dtype, backend) for name, dtype, shape in own}
            return Gradients(zeros, None, dstates)
        dh_0, W = side_by_side([dstates[name] for name in self.outputs], backend), params["initial.W"]
        features = self.read(features, W.dtype)
        grads = {"initial.W": matmul(features.T, dh_0, backend), "initial.b": summed(dh_0)}
        grads |= {start: summed(dstates[name]) for name, start in self.others.items()}
        return Gradients(grads, None, dstates, matmul(dh_0, W.T, backend))
