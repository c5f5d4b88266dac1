"""A model's training step and its evaluation as programs, by the shapes of what they are given.

The functions are the model's own; here is what they depend on, as arrays by name, and what must be seen to
each time: that tokens are in the vocabulary. Whatever else is asked of the arrays their shapes tell, and the
function has been asked before its program is made. What a step draws is drawn as the function asks for it, in
that order, and given to the program.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bptt.kernels.runtime.programs import Known, shapes_of
from bptt.nets import dropout
from bptt.types import NONE, Array, Batch, Generator, Params

if TYPE_CHECKING:
    from bptt.kernels.runtime import program

Done: TypeAlias = Callable[[Params], None]
"""What is given gradients, by their parameters' names, that are there while others are computed."""

Requests: TypeAlias = tuple[dropout.Request, ...]
"""What a step draws, in its order."""


class Planned:
    """The programs of a model of tokens with the cross-entropy.

    Parameters
    ----------
    function : callable
        ``function(arrays, what, rng, done)``: the model's own, of arrays by the names of `arrays`.
    inputs : int or None
        V, where inputs are tokens.
    outputs : int
        K.
    """

    def __init__(
        self, function: Callable[..., Mapping[str, Array]], inputs: int | None, outputs: int
    ) -> None:
        self._function, self.inputs, self.outputs = function, inputs, outputs
        self._programs: Known[program.Program] = Known(self._made)
        self._requests: dict[Hashable, Requests] = {}

    def __reduce__(self) -> Any:  # a copy, or another process, has its own
        return Planned, (self._function, self.inputs, self.outputs)

    @property
    def reasons(self) -> list[str]:
        """Why some steps have no program."""
        return self._programs.reasons

    def run(
        self, what: str, params: Params, batch: Batch, state: Params | None, rng: Generator | None = None
    ) -> Mapping[str, Array] | None:
        """Return what the function finds, or None where there is no program, or arrays are not right.

        Nothing has been drawn then.
        """
        arrays, requests = self._arrays(params, batch, state), self._asked(params, batch, rng)
        if arrays is None or requests is None:
            return None
        found = self._programs.find(arrays, what, requests)
        if found is None or not _are_below(arrays["targets"], self.outputs):
            return None
        if self.inputs is not None and not _are_below(arrays["inputs"], self.inputs):
            return None
        drawn = [request.drawn(rng) for request in requests] if rng is not None else []
        return found.run([*arrays.values(), *drawn])

    def bind(
        self, params: Params, batch: Batch, state: Params | None, rng: Generator | None = None
    ) -> "Bound | None":
        """Return a step over arrays of its own but for the parameters, where a backprop has a program."""
        arrays, requests = self._arrays(params, batch, state), self._asked(params, batch, rng)
        if arrays is None or requests is None or self._programs.find(arrays, "backprop", requests) is None:
            return None
        own = {name: array if name in params else np.empty_like(array) for name, array in arrays.items()}
        draws = [np.empty(request.shape, request.dtype) for request in requests]
        made = self._made(shapes_of(arrays), "step", requests, stays=True)
        return Bound(self, made.bind([*own.values(), *draws]), own, list(zip(requests, draws, strict=True)))

    def met(
        self,
        what: str,
        params: Params,
        batch: Batch,
        state: Params | None,
        requests: Sequence[dropout.Request] = (),
    ) -> None:
        """Count that the function has run over such arrays, and has asked for such draws."""
        arrays = self._arrays(params, batch, state)
        if arrays is not None:
            if requests:
                self._requests[_form(params, batch)] = tuple(requests)
            self._programs.met(arrays, what, tuple(requests))

    def _made(
        self, shapes: "Mapping[str, program.Shaped]", what: str, requests: "Requests", *, stays: bool = False
    ) -> Any:
        from bptt.kernels.runtime.program import Program
        from bptt.kernels.runtime.tape import recording

        def function(**arrays: Array) -> Mapping[str, Array]:
            drawn, tape = [arrays.pop(f"draw.{k}") for k in range(len(requests))], recording.tape
            assert tape is not None
            return self._function(arrays, what, dropout.Drawn(drawn) if drawn else None, tape.mark)

        draws = {f"draw.{k}": (request.shape, request.dtype) for k, request in enumerate(requests)}
        return Program.of(function, {**shapes, **draws}, stays=stays)

    def _asked(self, params: Params, batch: Batch, rng: Generator | None) -> "Requests | None":
        """Return what a step draws, in its order; None where that is not known yet."""
        return () if rng is None else self._requests.get(_form(params, batch))

    def _arrays(self, params: Params, batch: Batch, state: Params | None) -> Params | None:
        if batch.mask is not None or batch.target_mask is not None:
            return None
        arrays = {**params, "inputs": _whole(batch.inputs), "targets": _whole(batch.targets)}
        if batch.reset is not None:
            arrays["reset"] = batch.reset
        if batch.features is not None:
            arrays["features"] = batch.features
        dtype = params["layers.0.U"].dtype  # in which the layers read what is beside their input
        for name, array in (batch.given or {}).items():
            arrays["given." + name] = np.ascontiguousarray(array, dtype)
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

    def __init__(
        self,
        planned: Planned,
        program: "program.Bound",
        arrays: Params,
        draws: "list[tuple[dropout.Request, Array]]",
    ) -> None:
        self._program, self.results, self._draws = program, program.results, draws
        self._tokens = [(arrays["targets"], planned.outputs)]
        if planned.inputs is not None:
            self._tokens.append((arrays["inputs"], planned.inputs))
        self._arrays = arrays
        self._first = [(arrays[name], name.removeprefix("first.")) for name in arrays if name[:6] == "first."]

    def run(
        self, batch: Batch, state: Params | None, rng: Generator | None = None, done: Done | None = None
    ) -> bool:
        """Run over a batch of the form; False where it does not, for something is not as it must be.

        `done` is called with gradients that are there.
        """
        arrays, state = self._arrays, state or {}
        if len(state) != len(self._first):
            return False
        for own, name in self._first:
            if (given := state.get(name, NONE)).shape != own.shape:  # NumPy would repeat a single row
                return False
            np.copyto(own, given)
        for name, given in (("inputs", batch.inputs), ("targets", batch.targets)):
            np.copyto(arrays[name], given)
        beside = (("given." + name, array) for name, array in (batch.given or {}).items())
        for name, flag in (("reset", batch.reset), ("features", batch.features), *beside):
            if flag is not None:
                if flag.shape != arrays[name].shape:
                    return False
                np.copyto(arrays[name], flag)
        for tokens, size in self._tokens:
            if tokens.view(np.uint64).max() >= size:
                return False
        if rng is not None:
            for request, array in self._draws:
                request.fill(rng, array)
        found = self.results
        self._program.run(done and (lambda names: done({name: found["d." + name] for name in names})))
        return True


def _form(params: Params, batch: Batch) -> Hashable:
    """Return what a step's draws depend on."""
    return batch.inputs.shape, params["layers.0.U"].dtype


def _whole(array: Array) -> Array:
    """Return tokens as compiled code reads them."""
    return np.ascontiguousarray(array, np.int64) if array.dtype.kind in "iu" else array


def _are_below(tokens: Array, size: int) -> bool:
    """Return whether there are tokens, all in 0 .. size-1: a negative one is a large one without its sign."""
    return tokens.size > 0 and bool(tokens.view(np.uint64).max() < size)
