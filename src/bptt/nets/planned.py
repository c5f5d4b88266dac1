"""A model's training step and its evaluation as programs, by the shapes of what they are given.

The functions are the model's own; here is what they depend on, as arrays by name, and what must be seen to
each time: that tokens are in the vocabulary. Whatever else is asked of the arrays their shapes tell, and the
function has been asked once before its program is made.
"""

from collections.abc import Callable, Mapping

import numpy as np

from bptt.kernels.runtime.programs import Programs
from bptt.types import Array, Batch, Params


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
        self._programs, self._inputs, self._outputs = Programs(function), inputs, outputs

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
        if program is None or not _are_below(arrays["targets"], self._outputs):
            return None
        if self._inputs is not None and not _are_below(arrays["inputs"], self._inputs):
            return None
        return program.run(list(arrays.values()))

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


def _whole(array: Array) -> Array:
    """Return tokens as compiled code reads them."""
    return np.ascontiguousarray(array, np.int64) if array.dtype.kind in "iu" else array


def _are_below(tokens: Array, size: int) -> bool:
    """Return whether there are tokens, all in 0 .. size-1: a negative one is a large one without its sign."""
    return tokens.size > 0 and bool(tokens.view(np.uint64).max() < size)
