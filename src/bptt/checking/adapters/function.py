# ruff: noqa: D102 the methods are described in the base class
"""A function of parameters that returns a loss and its gradients: the form that needs no recognition."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import Path, array_at, call, walk
from bptt.checking.adapters.matching import match_gradients
from bptt.checking.subject import Sizes, Subject, SubjectError
from bptt.types import Generator, Params


class FunctionSubject(Subject):
    """A function from parameters to a loss and its gradients.

    Parameters
    ----------
    function : callable
        ``function(params) -> loss, gradients``; the gradients in a dict by the parameters' names (or with
        a ``d`` before them), or in a sequence in the parameters' order. What comes after is passed over.
    params : dict or sequence of arrays
        The point.
    name : str, optional

    Raises
    ------
    SubjectError
        If the function fails or does not return a loss and gradients.

    Examples
    --------
    >>> W = np.array([0.5, -1.0])
    >>> subject = FunctionSubject(lambda p: ((p["W"] ** 2).sum(), {"W": 2 * p["W"]}), {"W": W})
    >>> subject.outputs(subject.at)["loss"].item(), subject.gradients(subject.at, subject.cotangents)["W"]
    (1.25, array([ 1., -2.]))
    """

    form = "function"

    def __init__(
        self,
        function: Callable[..., Any],
        params: Mapping[str, Any] | Sequence[Any],
        name: str | None = None,
    ) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.sizes = Sizes()
        self.sequence = None if isinstance(params, Mapping) else type(params)
        named = (
            params.items() if isinstance(params, Mapping) else ((f"[{k}]", p) for k, p in enumerate(params))
        )
        self.at = {key: np.array(array) for key, array in named}
        if not self.at:
            raise SubjectError(f"{self.name}: there are no parameters to judge the gradients at")
        for key, array in self.at.items():
            if array.dtype.kind != "f":
                raise SubjectError(
                    f"{self.name}: {key} must be a real array, got {array.dtype} {array.shape}"
                )
        self.roles, self.time_axis = {}, {}
        self.cotangents = {"loss": np.array(1.0)}
        self.paths = self._paths(self._result(self.at))

    def _result(self, at: Params) -> tuple[Any, ...]:
        given: Any = at if self.sequence is None else [at[key] for key in self.at]
        result = call(self.function, tuple(given) if self.sequence is tuple else given)
        if not isinstance(result, tuple) or len(result) < 2:
            raise SubjectError(
                f"{self.name} must return (loss, gradients), got {type(result).__name__}; "
                "the gradients in a dict by the parameters' names"
            )
        if np.size(result[0]) != 1:
            raise SubjectError(f"{self.name}: the loss must be one number, got shape {np.shape(result[0])}")
        return result

    def _paths(self, result: tuple[Any, ...]) -> dict[str, Path]:
        gradients = result[1]
        if isinstance(gradients, Mapping):
            gradients = {key: np.asarray(array) for key, array in gradients.items()}
            exact = {key: (1, key) for key in self.at if key in gradients}
            others = {key: array for key, array in gradients.items() if key not in exact}
            missing = {key: array for key, array in self.at.items() if key not in exact}
            found = match_gradients(list(walk(others)), missing, {}, list(missing)) if missing else {}
            return exact | {key: (1, *path) for key, path in found.items()}
        rest: Any = result[1:] if len(result) == len(self.at) + 1 else gradients
        paths = [path for path, _, _ in walk(rest)]
        if len(paths) != len(self.at):
            raise SubjectError(f"{self.name}: {len(self.at)} parameters, but {len(paths)} gradients")
        lead: Path = () if rest is not gradients else (1,)
        return {
            key: (path[0] + 1, *path[1:]) if not lead else (*lead, *path)
            for key, path in zip(self.at, paths, strict=True)
        }

    def outputs(self, at: Params) -> Params:
        return {"loss": np.sum(array_at(self._result(at), (0,)))}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        result = self._result(at)
        return {key: array_at(result, path) * cotangents["loss"] for key, path in self.paths.items()}

    def resized(self, sizes: Sizes, rng: Generator) -> "FunctionSubject":
        """Return the function at another random point; its sizes are its own."""
        moved = {key: array + rng.normal(0, 0.1, array.shape) for key, array in self.at.items()}
        again = FunctionSubject.__new__(FunctionSubject)
        again.__dict__ |= self.__dict__ | {"at": moved}
        return again
