"""A model's steps on the matrices that its cell's maps make: maps before, their pullbacks after."""

import numpy as np

from bptt.nets.planned import Bound, Done
from bptt.nets.stack import Stack
from bptt.types import Batch, Generator, Gradients, Params


def gradients(stack: Stack, params: Params, grads: Gradients[Params]) -> Gradients[Params]:
    """Return gradients with those at the parameters taken back through the maps."""
    return grads._replace(params=stack.pulled_back(params, grads.params))


class MappedBound(Bound):
    """A model's program over the matrices that maps make anew at each step, as `Bound` is.

    Attributes
    ----------
    results : dict of arrays
        What the last run found, with the gradients at the parameters themselves; the next writes over it.
    """

    def __init__(self, stack: Stack, params: Params, made: Params, bound: Bound) -> None:
        self._stack, self._params, self._made, self._bound = stack, params, made, bound
        self.counted, self.size = bound.counted, bound.size
        left = {name: array for name, array in bound.results.items() if name not in self._names(made)}
        self._own = {f"d.{name}": np.empty_like(array) for name, array in params.items()}
        self.results = {name: array for name, array in left.items() if name != "squares"} | self._own

    @staticmethod
    def _names(made: Params) -> set[str]:
        return {f"d.{name}" for name in made}

    def run(
        self, batch: Batch, state: Params | None, rng: Generator | None = None, done: Done | None = None
    ) -> bool:
        """Run over a batch of the form; False where it does not, for something is not as it must be.

        Gradients are there when all are, so `done` is not called.
        """
        for name, array in self._stack.made(self._params).items():
            if array is not self._made[name]:
                np.copyto(self._made[name], array)
        if not self._bound.run(batch, state, rng):
            return False
        self.counted = self._bound.counted
        found = {name[2:]: self._bound.results[name] for name in self._names(self._made)}
        for name, array in self._stack.pulled_back(self._params, found).items():
            np.copyto(self._own[f"d.{name}"], array)
        return True
