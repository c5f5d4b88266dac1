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
from bptt.nets.output import Counted
from bptt.types import Array, Batch, Generator, Params

if TYPE_CHECKING:
    from bptt.kernels.runtime import program

Done: TypeAlias = Callable[[Params], None]
"""What is given gradients, by their parameters' names, that are there while others are computed."""

Given: TypeAlias = Callable[[Batch, Params | None], "tuple[Params, Counted | None]"]
"""Returns all that a step depends on beside the parameters, by name, and what targets count, if not alike."""

Requests: TypeAlias = tuple[dropout.Request, ...]
"""What a step draws, in its order."""


class Planned:
    """The programs of a model.

    Parameters
    ----------
    function : callable
        ``function(arrays, what, rng, done)``: the model's own, of arrays by the names of `arrays`.
    inputs : int or None
        V, where inputs are tokens.
    outputs : int or None
        K, where targets are tokens.
    """

    def __init__(
        self, function: Callable[..., Mapping[str, Array]], inputs: int | None, outputs: int | None
    ) -> None:
        self._function, self.inputs, self.outputs = function, inputs, outputs
        sizes = ("targets", outputs), ("inputs", inputs)
        self.tokens = [(name, size) for name, size in sizes if size is not None]
        self._programs: Known[program.Program] = Known(self._made)
        self._requests: dict[Hashable, Requests] = {}

    def __reduce__(self) -> Any:  # a copy, or another process, has its own
        return Planned, (self._function, self.inputs, self.outputs)

    @property
    def reasons(self) -> list[str]:
        """Why some steps have no program."""
        return self._programs.reasons

    def run(self, what: str, arrays: Params, rng: Generator | None = None) -> Mapping[str, Array] | None:
        """Return what the function finds, or None where there is no program, or arrays are not right.

        Nothing has been drawn then.
        """
        requests = self._asked(arrays, rng)
        if requests is None:
            return None
        found = self._programs.find(arrays, what, requests)
        if found is None or not all(_are_below(arrays[name], size) for name, size in self.tokens):
            return None
        drawn = [request.drawn(rng) for request in requests] if rng is not None else []
        return found.run([*arrays.values(), *drawn])

    def bind(
        self,
        given: Given,
        params: Params,
        batch: Batch,
        state: Params | None,
        counted: Counted,
        rng: Generator | None = None,
    ) -> "Bound | None":
        """Return a step over arrays of its own but for the parameters, where a backprop has a program.

        `counted` is what targets count where `given` does not say.
        """
        beside, _ = given(batch, state)
        arrays = params | beside
        requests = self._asked(arrays, rng)
        if requests is None or self._programs.find(arrays, "backprop", requests) is None:
            return None
        own = {name: np.empty_like(array) for name, array in beside.items()}
        draws = [np.empty(request.shape, request.dtype) for request in requests]
        made = self._made(shapes_of(arrays), "step", requests, stays=True)
        program = made.bind([*(params | own).values(), *draws])
        return Bound(self, given, program, own, list(zip(requests, draws, strict=True)), counted)

    def met(self, what: str, arrays: Params, requests: Sequence[dropout.Request] = ()) -> None:
        """Count that the function has run over such arrays, and has asked for such draws."""
        if requests:
            self._requests[_form(arrays)] = tuple(requests)
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

    def _asked(self, arrays: Params, rng: Generator | None) -> "Requests | None":
        """Return what a step draws, in its order; None where that is not known yet."""
        return () if rng is None else self._requests.get(_form(arrays))


class Bound:
    """A model's program over parameters that stay where they are, for batches of one form.

    Attributes
    ----------
    results : dict of arrays
        What the last run found; the next writes over it.
    counted : Counted
        What the last run's targets count.
    size : int
        Bytes of its own room.
    """

    def __init__(
        self,
        planned: Planned,
        given: Given,
        program: "program.Bound",
        arrays: Params,
        draws: "list[tuple[dropout.Request, Array]]",
        counted: Counted,
    ) -> None:
        self._program, self.results, self._draws = program, program.results, draws
        self.size = program.size
        self._tokens = [(arrays[name], size) for name, size in planned.tokens]
        self._given, self._arrays, self.counted = given, arrays, counted

    def run(
        self, batch: Batch, state: Params | None, rng: Generator | None = None, done: Done | None = None
    ) -> bool:
        """Run over a batch of the form; False where it does not, for something is not as it must be.

        `done` is called with gradients that are there.
        """
        given, counted = self._given(batch, state)
        if given.keys() != self._arrays.keys():
            return False
        for name, own in self._arrays.items():
            # NumPy would repeat a single row, and round what is finer
            if given[name].shape != own.shape or given[name].dtype != own.dtype:
                return False
            np.copyto(own, given[name])
        for tokens, size in self._tokens:
            if tokens.view(np.uint64).max() >= size:
                return False
        if rng is not None:
            for request, array in self._draws:
                request.fill(rng, array)
        self.counted, found = counted or self.counted, self.results
        self._program.run(done and (lambda names: done({name: found["d." + name] for name in names})))
        return True


def _form(arrays: Params) -> Hashable:
    """Return what a step's draws depend on."""
    return arrays["inputs"].shape, arrays["layers.0.U"].dtype


def _are_below(tokens: Array, size: int) -> bool:
    """Return whether there are tokens, all in 0 .. size-1: a negative one is a large one without its sign."""
    return tokens.size > 0 and bool(tokens.view(np.uint64).max() < size)
