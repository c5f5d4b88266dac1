# ruff: noqa: D102 the methods are described in the base class
"""An adapter file, for code that is not recognised: ten lines that say how it is called.

The file defines ``subject``. It is given a generator of random numbers and the sizes that it asks for, and
returns the point and how to run the code there. Where the code has its loss inside, one function does it::

    import numpy as np
    from theirs import lossFun                                 # the code under judgement

    def subject(rng, T, H, V):
        at = {"W": rng.normal(size=(H, V)), "U": rng.normal(size=(H, H)), "V": rng.normal(size=(V, H))}
        x, y = rng.integers(V, size=T), rng.integers(V, size=T)

        def run(W, U, V):
            loss, dW, dU, dV = lossFun(x, y, W, U, V)
            return loss, {"W": dW, "U": dU, "V": dV}

        return at, run

Where a backward takes what comes back to the outputs, there are two::

        def outputs(x, W):                                     # named arrays, from the forward
            return {"y": forward(x, W)[0]}

        def gradients(dy, x, W):                               # the cotangents, d-prefixed, then the point
            dx, dW = backward(dy, forward(x, W)[1])
            return {"x": dx, "W": dW}

        return at, outputs, gradients

``outputs`` may return a single number, a loss, too; then `gradients` takes the point alone. Arrays of
integers in `at` are given to the functions and not differentiated. For parameters that an object or a module
holds and updates, `bptt.checking` has `weights`, `put`, `gradients` and `change`.

The part of an array may be told as another value, a dict such as ``{"x": "x", "W": "WU"}`` (see
`Subject.roles`), and the axis of time as one more, ``{"x": 0, "y": 0}``: with these the checker finds the
cell, the gate, the time step and the wrong term.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import call, is_number
from bptt.checking.adapters.clipping import before_clipping
from bptt.checking.adapters.signature import parameters
from bptt.checking.subject import Form, Sizes, Subject, SubjectError
from bptt.types import Generator, Params


class CustomSubject(Subject):
    """What an adapter file makes of somebody's code."""

    form: Form = "function"

    def __init__(self, make: Callable[..., Any], sizes: Sizes, rng: Generator) -> None:
        self.make, self.sizes = make, sizes
        place = getattr(make, "__globals__", {})
        self.name = Path(place.get("__file__", "adapter")).name
        self.notes: list[str] = []
        self.places = list(_places(place))
        asked = {p.name for p in parameters(make)} - {"rng"}
        wrong = asked - {"T", "N", "D", "H", "V"}
        if wrong:
            raise SubjectError(f"adapter: subject() takes rng, T, N, D, H, V; not {', '.join(sorted(wrong))}")
        self._asked = {symbol: getattr(sizes, symbol) for symbol in asked}
        made = call(make, rng, **self._asked)
        vars(make)["latest"] = self
        count = _functions(made)
        if not count:
            raise SubjectError(
                "adapter: subject() must return (at, run[, roles[, time_axis]]) "
                "or (at, outputs, gradients[, roles[, time_axis]])"
            )
        self._run, more = made[1 : 1 + count], made[1 + count :]
        point = {name: np.array(array) for name, array in made[0].items()}
        self._order = list(point)
        self.fixed = {name: array for name, array in point.items() if array.dtype.kind in "iub"}
        self.at = {n: array.astype(np.float64) for n, array in point.items() if n not in self.fixed}
        self.roles = dict(more[0]) if more else {}
        self.time_axis = dict(more[1]) if len(more) > 1 else {}
        self.cotangents = {}
        first = self.outputs(self.at)
        if self.loss and "T" in asked:
            self.form = "chunk"
        elif self.roles:
            self.form = "sequence" if self.time_axis else "step"
        self.cotangents = {
            name: np.array(1.0) if self.loss else rng.normal(size=array.shape)
            for name, array in first.items()
        }

    def outputs(self, at: Params) -> Params:
        self._settle()
        returned = call(self._run[0], **self._all(at))
        if len(self._run) == 1:
            returned = _of_two(returned)[0]
        self.loss = is_number(returned) and np.size(returned) == 1
        if self.loss:
            return {"loss": np.sum(np.asarray(returned))}
        if len(self._run) == 1:
            raise SubjectError(f"adapter: run() must return (loss, gradients), got {_kind(returned)} as loss")
        return _arrays(returned, "outputs")

    def gradients(self, at: Params, cotangents: Params) -> Params:
        def run() -> Params:
            if len(self._run) == 1:
                return _arrays(_of_two(call(self._run[0], **self._all(at)))[1], "run")
            given = {} if self.loss else {f"d{name}": c for name, c in cotangents.items()}
            return _arrays(call(self._run[1], **given, **self._all(at)), "gradients")

        self._settle()
        gradients = before_clipping(self.places, self.notes, run)
        if self.loss:
            return {name: array * cotangents["loss"] for name, array in gradients.items()}
        return gradients

    def _settle(self) -> None:
        """Set the sizes again that an adapter sets in a module, where it was asked for others meanwhile."""
        if vars(self.make).get("latest") is not self:
            call(self.make, np.random.default_rng(0), **self._asked)
            vars(self.make)["latest"] = self

    def _all(self, at: Params) -> Params:
        """Return all arrays of the point in the adapter's own order."""
        return {name: self.fixed[name] if name in self.fixed else at[name] for name in self._order}

    def resized(self, sizes: Sizes, rng: Generator) -> "CustomSubject":
        return CustomSubject(self.make, sizes, rng)


def from_adapter(namespace: Mapping[str, Any], rng: Generator) -> CustomSubject:
    """Return the subject that an adapter file defines.

    Parameters
    ----------
    namespace : dict
        What the adapter file defines.
    rng : Generator

    Raises
    ------
    SubjectError
        If it defines no ``subject``, or this does not return what it should.

    Examples
    --------
    >>> def subject(rng, N):
    ...     at = {"x": rng.normal(size=N)}
    ...     return at, lambda x: (x**2).sum(), lambda x: {"x": 2 * x}
    >>> from_adapter({"subject": subject}, np.random.default_rng(0)).at["x"].shape
    (2,)
    """
    make = namespace.get("subject")
    if not callable(make):
        raise SubjectError("adapter: define subject(rng, T, N, D, H) -> at, run; or at, outputs, gradients")
    return CustomSubject(make, Sizes(), rng)


def _functions(made: Any) -> int:
    """Return how many functions come after the point in what an adapter returns; 0 where it is none."""
    if not (
        isinstance(made, tuple) and len(made) >= 2 and isinstance(made[0], Mapping) and callable(made[1])
    ):
        return 0
    return 2 if len(made) > 2 and callable(made[2]) else 1


def _places(place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the globals of an adapter and of what it imports."""
    yield place
    for value in list(place.values()):
        if isinstance(value, ModuleType) and value is not np:
            yield vars(value)
        elif inspect.isfunction(value):
            yield value.__globals__
        elif inspect.isclass(value):
            yield from (m.__globals__ for m in vars(value).values() if inspect.isfunction(m))


def _of_two(returned: Any) -> tuple[Any, Any]:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise SubjectError(f"adapter: run() must return (loss, gradients), got {_kind(returned)}")
    return returned


def _kind(value: Any) -> str:
    return type(value).__name__


def _arrays(returned: Any, what: str) -> Params:
    if not isinstance(returned, Mapping) or not all(is_number(v) for v in returned.values()):
        raise SubjectError(f"adapter: {what}() must return a dict of arrays, got {type(returned).__name__}")
    return {name: np.array(array) for name, array in returned.items()}
