"""Linked state objects: a network that is fed by ``x_list_add`` and differentiated by ``y_list_is``.

The loss layer that such a network is given asks for nothing but ``loss`` and ``bottom_diff``. Ours is
linear in the predictions, so that the gradient at each h is whatever is wanted there: with it, the network is
a sequence like any other.
"""

import copy
from typing import Any

import numpy as np

from bptt.checking.adapters.constructing import made
from bptt.checking.adapters.objects import Object
from bptt.checking.adapters.pair import PairSubject
from bptt.checking.adapters.sequence import sequence_subject
from bptt.checking.subject import Sizes, SubjectError
from bptt.types import Array, Generator


class Layer:
    """A loss layer: the loss is pred · label, the gradient at pred is label."""

    def __init__(self) -> None:
        self.seen: list[Array] = []

    def loss(self, pred: Array, label: Array) -> Any:
        """Return the loss at one step, and remember the prediction."""
        self.seen.append(np.array(pred))
        return np.sum(pred * label)

    def bottom_diff(self, pred: Array, label: Array) -> Array:
        """Return the gradient at the prediction."""
        return np.zeros_like(pred) + label


class Network:
    """Such a network as a sequence: forward(x) -> h and backward(dh)."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def forward(self, x: Array) -> Any:
        """Run all steps and return the states (T, H)."""
        for row in x:
            self.network.x_list_add(row)
        layer, trial = Layer(), copy.deepcopy(self.network)
        trial.y_list_is([np.zeros(1)] * len(x), layer)
        return np.array(layer.seen[::-1])

    def backward(self, dh: Array) -> None:
        """Put in the gradients at all states; those at the parameters stay in the network."""
        self.network.y_list_is(list(dh), Layer())


class _Linked(Object):
    def __init__(self, cls: type) -> None:
        self.network = cls
        super().__init__(Network, {"forward": "forward", "backward": "backward"})

    def prototype(self, sizes: Sizes, inputs: str = "D") -> Any:
        if (sizes, inputs) not in self.made:
            self.made[sizes, inputs] = Network(made(self.network, sizes, inputs))
        return self.made[sizes, inputs]


def linked_subject(cls: type, rng: Generator) -> PairSubject | None:
    """Return such a network as a subject, or None where the class is none.

    Parameters
    ----------
    cls : type
    rng : Generator
    """
    if not (hasattr(cls, "x_list_add") and hasattr(cls, "y_list_is")):
        return None
    try:
        home = _Linked(cls)
    except SubjectError:
        return None
    prototype = home.prototype(Sizes())
    subject = sequence_subject(prototype.forward, prototype.backward, rng, None, home)
    if subject is not None:
        subject.name = f"{cls.__name__}.y_list_is"
    return subject
