"""A forward over a sequence that gives probabilities, and a backward that takes the targets.

The two are joined to what `chunk` knows: one function from inputs and targets to the loss, here the
cross-entropy of the forward's probabilities, summed over time, and the backward's gradients.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bptt.check.adapters.calls import Tree, is_number, returned
from bptt.check.adapters.chunk import ChunkSubject, chunk_subject
from bptt.check.adapters.home import RATE, Home, Module
from bptt.check.adapters.names import part, parts
from bptt.check.adapters.signature import parameters
from bptt.check.guard import guarded
from bptt.check.subject import Sizes, SubjectError
from bptt.types import Array, Generator, Params

PROBABILITIES = (
    "p",
    "ps",
    "prob",
    "probs",
    "y_hat",
    "yhat",
    "y_hats",
    "y_pred",
    "y_preds",
    "o",
    "out",
    "outputs",
)
"""What a backward calls them, where the forward's return statement calls them something else."""


def whole_subject(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    rng: Generator,
    source: str | None = None,
    home: Home | None = None,
) -> ChunkSubject | None:
    """Return the two as a subject, or None where they are not such.

    Parameters
    ----------
    forward, backward : callable
        As ``forward(x) -> probabilities, states`` and ``backward(x, targets) -> dU, dV, dW``, or with what
        the forward returned, or kept in its object.
    rng : Generator
    source : str, optional
        The text of their file, for the names in their return statements.
    home : Home, optional
        Where the two live, if they are methods.
    """
    target = next((p.name for p in parameters(backward) if "target" in parts(p.name)), None)
    if target is None:
        return None
    joined = _Joined(home or Module({"forward": forward, "backward": backward}), target, forward, source)
    taken = [p for p in parameters(forward) if p.name != target]
    wanted = inspect.Parameter(target, inspect.Parameter.KEYWORD_ONLY)
    names = ["loss", returned(backward, source)]

    def run() -> None: ...

    run.__name__ = forward.__name__
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in taken] + [wanted]
    )
    return chunk_subject(run, rng, source, joined, names)


class _Joined(Home):
    """A home where "forward" is the two functions in one."""

    def __init__(self, home: Home, target: str, forward: Callable[..., Any], source: str | None) -> None:
        super().__init__()
        self.home, self.target, self.names = home, target, returned(forward, source)
        self.matrices, self.biases, self.ndims = home.matrices, home.biases, home.ndims
        self.places = home.places
        self.keeps = home.keeps  # type: ignore[misc]

    @contextlib.contextmanager
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> Iterator[Mapping[str, Callable[..., Any]]]:
        with self.home.opened(at, sizes, inputs) as functions:
            self.functions = functions

            def run(**arguments: Any) -> Any:
                targets = arguments.pop(self.target)
                result = guarded(functions["forward"], **arguments)
                probabilities, as_given = _probabilities(result, sizes)
                loss = -sum(np.log(probabilities[t, k]) for t, k in enumerate(targets))
                given = self._back_arguments(functions["backward"], result, as_given, arguments, targets)
                return loss, guarded(functions["backward"], **given)

            yield {"forward": run}

    def kept(self, functions: Mapping[str, Callable[..., Any]], at: Params) -> Params:
        return self.home.kept(self.functions, at)

    def _back_arguments(
        self,
        backward: Callable[..., Any],
        result: Any,
        probabilities: Any,
        arguments: dict[str, Any],
        targets: Any,
    ) -> dict[str, Any]:
        names: Tree = self.names
        labels = dict(zip(names, result, strict=False)) if isinstance(names, list) else {names: result}
        given: dict[str, Any] = {}
        for p in parameters(backward):
            if p.name in labels:
                given[p.name] = labels[p.name]
            elif p.name == self.target:
                given[p.name] = list(targets)
            elif p.name in arguments:
                given[p.name] = arguments[p.name]
            elif p.name in PROBABILITIES:
                given[p.name] = probabilities
            elif part(p.name) == "x":
                given[p.name] = next(v for n, v in arguments.items() if part(n) == "x")
            elif part(p.name) == "cache" and isinstance(result, (tuple, list)):
                given[p.name] = result[-1]
            elif part(p.name) == "rate":
                given[p.name] = RATE
            elif p.default is p.empty:
                raise SubjectError(f"what the backward wants for {p.name} is not known")
        return given


def _probabilities(result: Any, sizes: Sizes) -> tuple[Array, Any]:
    """Return the probabilities (T, V) among what a forward returned, and the same as it was returned."""
    candidates = [result, *result] if isinstance(result, (tuple, list)) else [result]
    for candidate in candidates:
        entries = list(candidate.values()) if isinstance(candidate, dict) else candidate
        if isinstance(entries, (list, tuple)) and not all(is_number(e) for e in entries):
            continue
        try:
            array = np.squeeze(np.asarray(entries))
        except ValueError:
            continue
        array = np.reshape(array, (sizes.T, sizes.V)) if array.size == sizes.T * sizes.V else array
        if array.shape == (sizes.T, sizes.V) and np.allclose(array.sum(1), 1) and (array.real > 0).all():
            return array, candidate
    raise SubjectError("the forward returned no probabilities for each time step")
