"""A forward over a sequence that gives predictions, and a backward that takes the targets.

The two are joined to what `chunk` knows: one function from inputs and targets to the loss (summed over time:
the cross-entropy, or what else the backward turns out to differentiate) and the backward's gradients.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import Tree, is_number, returned, walk
from bptt.checking.adapters.chunk import ChunkSubject, chunk_subject
from bptt.checking.adapters.constructing import RATE
from bptt.checking.adapters.home import Home, Module
from bptt.checking.adapters.losses import CROSS_ENTROPY, SOFTMAX, SQUARE, agrees, loss
from bptt.checking.adapters.names import part, parts
from bptt.checking.adapters.shapes import Shape
from bptt.checking.adapters.signature import parameters
from bptt.checking.guard import guarded, ours
from bptt.checking.subject import Sizes, SubjectError
from bptt.types import Array, Generator, Params

ours.add(__file__)

KINDS = (CROSS_ENTROPY, SQUARE, SOFTMAX)

PREDICTIONS = (
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
        As ``forward(x) -> predictions, states`` and ``backward(x, targets) -> dU, dV, dW``, or with what
        the forward returned, or kept in its object.
    rng : Generator
    source : str, optional
        The text of their file, for the names in their return statements.
    home : Home, optional
        Where the two live, if they are methods.
    """
    given = returned(forward, source)
    asked = [p.name for p in parameters(backward) if "target" in parts(p.name) and p.name not in given]
    target = next(iter(asked), None)
    if target is None:
        return None
    joined = _Joined(home or Module({"forward": forward, "backward": backward}), target, forward, source)
    taken = [p for p in parameters(forward) if p.name != target and "target" not in parts(p.name)[:1]]
    joined.forward_target = next((p.name for p in parameters(forward) if p not in taken), "")
    wanted = inspect.Parameter(target, inspect.Parameter.KEYWORD_ONLY)
    names = ["loss", returned(backward, source)]

    def run() -> None: ...

    run.__name__ = forward.__name__
    run.__wrapped__ = forward  # type: ignore[attr-defined]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in taken] + [wanted]
    )
    found: list[tuple[str, ChunkSubject]] = []
    for kind in (Home.loss,) if joined.forward_target else KINDS:
        joined.loss = kind
        subject = chunk_subject(run, rng, source, joined, names)
        if subject is not None:
            found.append((joined.loss, subject))
            if agrees(subject):
                return subject
    if not found:
        return None
    joined.loss, subject = found[0]
    return subject


class _Joined(Home):
    """A home where "forward" is the two functions in one."""

    def __init__(self, home: Home, target: str, forward: Callable[..., Any], source: str | None) -> None:
        super().__init__()
        self.home, self.target, self.names = home, target, returned(forward, source)
        self.forward_target = ""
        self.matrices, self.biases, self.ndims = home.matrices, home.biases, home.ndims
        self.places = home.places
        self.keeps = home.keeps

    @contextlib.contextmanager
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> Iterator[Mapping[str, Callable[..., Any]]]:
        with self.home.opened(at, sizes, inputs) as functions:
            self.functions = functions

            def run(**arguments: Any) -> Any:
                targets = arguments.pop(self.target)
                if self.forward_target:
                    result = guarded(functions["forward"], **arguments, **{self.forward_target: targets})
                    given = self._back_arguments(functions["backward"], result, None, arguments, targets)
                    return _number(result), guarded(functions["backward"], **given)
                result = guarded(functions["forward"], **arguments)
                predictions, as_given = _predictions(result, sizes, self.steps(targets, sizes))
                tokens = np.asarray(targets).dtype.kind in "iu"
                wanted = np.reshape(np.eye(sizes.V)[targets] if tokens else targets, predictions.shape)
                total = loss(self.loss, predictions, wanted, axis=1)
                given = self._back_arguments(functions["backward"], result, as_given, arguments, targets)
                return total, guarded(functions["backward"], **given)

            yield {"forward": run}

    def steps(self, targets: Any, sizes: Sizes) -> int:
        """Return for how many steps there are targets."""
        classes = np.asarray(targets).dtype.kind in "iu"
        return 1 if (np.ndim(targets) == 0 if classes else np.size(targets) == sizes.V) else sizes.T

    def natural(self, sizes: Sizes, inputs: str = "D") -> dict[str, Shape]:
        return self.home.natural(sizes, inputs)

    def kept(self, functions: Mapping[str, Callable[..., Any]], at: Params) -> Params:
        return self.home.kept(self.functions, at)

    def _back_arguments(
        self,
        backward: Callable[..., Any],
        result: Any,
        predictions: Any,
        arguments: dict[str, Any],
        targets: Any,
    ) -> dict[str, Any]:
        names: Tree = self.names
        named = zip(names, result, strict=False) if isinstance(names, list) else [(names, result)]
        labels = {name: value for name, value in named if isinstance(name, str)}
        given: dict[str, Any] = {}
        for p in parameters(backward):
            if p.name in labels:
                given[p.name] = labels[p.name]
            elif p.name == self.target:
                given[p.name] = list(targets) if isinstance(targets, list) else targets
            elif p.name in arguments:
                given[p.name] = arguments[p.name]
            elif p.name in PREDICTIONS:
                given[p.name] = predictions
            elif part(p.name) == "x":
                given[p.name] = next(v for n, v in arguments.items() if part(n) == "x")
            elif part(p.name) == "cache" and isinstance(result, (tuple, list)):
                given[p.name] = result[-1]
            elif part(p.name) == "rate":
                given[p.name] = RATE
            elif p.default is p.empty:
                raise SubjectError(f"what the backward wants for {p.name} is not known")
        return given


def _number(result: Any) -> Any:
    """Return the loss among what a forward returned."""
    for _, _, leaf in walk(result):
        if leaf.size == 1:
            return np.sum(leaf)
    raise SubjectError("the forward takes the targets and returned no loss")


def _predictions(result: Any, sizes: Sizes, T: int) -> tuple[Array, Any]:
    """Return the predictions (T, V) among what a forward returned, and the same as it was returned.

    Probabilities if there are any; else the last numbers of that shape.
    """
    found: list[tuple[Array, Any]] = []
    for candidate in [result, *result] if isinstance(result, (tuple, list)) else [result]:
        if T == 1 and is_number(candidate) and np.ndim(candidate) > 2:
            continue
        entries = list(candidate.values()) if isinstance(candidate, dict) else candidate
        if isinstance(entries, (list, tuple)) and not all(is_number(e) for e in entries):
            continue
        try:
            array = np.squeeze(np.asarray(entries))
        except ValueError:
            continue
        if array.size != T * sizes.V:
            continue
        array = np.reshape(array, (T, sizes.V))
        if np.allclose(array.sum(1), 1) and (array.real > 0).all():
            return array, candidate
        if not np.isin(array, (0, 1)).all():  # not the inputs, one-hot
            found.append((array, candidate))
    if not found:
        raise SubjectError("the forward returned no predictions for each time step")
    return found[-1]
