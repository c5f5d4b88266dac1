"""A model's training step and its evaluation as programs, by the shapes of what they are given.

The functions are the model's own; here is what they depend on, as arrays by name, and what must be seen to
each time: that tokens are in the vocabulary. Whatever else is asked of the arrays their shapes tell, and the
function has been asked once before its program is made.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bptt.kernels.runtime.programs import Programs
from bptt.types import NONE, Array, Batch, Params

if TYPE_CHECKING:
    from bptt.kernels.runtime import program


class Planned:
    """The programs of a model of tokens with the cross-entropy.

    Parameters
    ----------
    function : callable
        ``function(arrays, what)``: the model's own, of arrays by the names of `arrays`.
    inputs : int or None
        V, where inputs are tokens.
    outputs : int
        K.
    """

    def __init__(
        self, function: Callable[..., Mapping[str, Array]], inputs: int | None, outputs: int
    ) -> None:
        self._programs, self.inputs, self.outputs = Programs(function), inputs, outputs

    @property
    def reasons(self) -> list[str]:
        """Why some steps have no program."""
        return self._programs.reasons

    def run(
        self, what: str, params: Params, batch: Batch, state: Params | None
    ) -> Mapping[str, Array] | None:
        """Return what the function finds, or None where there is no program, or arrays are not right."""
        if batch.mask is not None or batch.target_mask is not None:
            return None
        arrays = self._arrays(params, batch, state)
        program = self._programs.find(arrays, what)
        if program is None or not _are_below(arrays["targets"], self.outputs):
            return None
        if self.inputs is not None and not _are_below(arrays["inputs"], self.inputs):
            return None
        return program.run(list(arrays.values()))

    def bind(self, params: Params, batch: Batch, state: Params | None) -> "Bound | None":
        """Return a step over arrays of its own but for the parameters, where a backprop has a program."""
        if batch.mask is not None or batch.target_mask is not None:
            return None
        arrays = self._arrays(params, batch, state)
        if self._programs.find(arrays, "backprop") is None:
            return None
        own = {name: array if name in params else np.empty_like(array) for name, array in arrays.items()}
        return Bound(self, self._programs.bind(own, "step"), own)

    def met(self, what: str, params: Params, batch: Batch, state: Params | None) -> None:
        """Count that the function has run over such arrays."""
        if batch.mask is None and batch.target_mask is None:
            self._programs.met(self._arrays(params, batch, state), what)

    def _arrays(self, params: Params, batch: Batch, state: Params | None) -> Params:
        arrays = {**params, "inputs": _whole(batch.inputs), "targets": _whole(batch.targets)}
        if batch.reset is not None:
            arrays["reset"] = batch.reset
        if batch.features is not None:
            arrays["features"] = batch.features
        for name, array in (state or {}).items():
            arrays["first." + name] = array
        return arrays


class Bound:
    """A model's program over parameters that stay where they are, for batches of one form.

    Attributes
    ----------
    results : dict of arrays
        What the last run found; the next writes over it.
    """

    def __init__(self, planned: Planned, program: "program.Bound", arrays: Params) -> None:
        self._program, self.results = program, program.results
        self._tokens = [(arrays["targets"], planned.outputs)]
        if planned.inputs is not None:
            self._tokens.append((arrays["inputs"], planned.inputs))
        self._arrays = arrays
        self._first = [(arrays[name], name.removeprefix("first.")) for name in arrays if name[:6] == "first."]

    def run(self, batch: Batch, state: Params | None) -> bool:
        """Run over a batch of the form; False where it does not, for something is not as it must be."""
        arrays, state = self._arrays, state or {}
        if len(state) != len(self._first):
            return False
        for own, name in self._first:
            if (given := state.get(name, NONE)).shape != own.shape:  # NumPy would repeat a single row
                return False
            np.copyto(own, given)
        for name, given in (("inputs", batch.inputs), ("targets", batch.targets)):
            np.copyto(arrays[name], given)
        for name, flag in (("reset", batch.reset), ("features", batch.features)):
            if flag is not None:
                if flag.shape != arrays[name].shape:
                    return False
                np.copyto(arrays[name], flag)
        for tokens, size in self._tokens:
            if tokens.view(np.uint64).max() >= size:
                return False
        self._program.run()
        return True


def _whole(array: Array) -> Array:
    """Return tokens as compiled code reads them."""
    return np.ascontiguousarray(array, np.int64) if array.dtype.kind in "iu" else array


def _are_below(tokens: Array, size: int) -> bool:
    """Return whether there are tokens, all in 0 .. size-1: a negative one is a large one without its sign."""
    return tokens.size > 0 and bool(tokens.view(np.uint64).max() < size)
