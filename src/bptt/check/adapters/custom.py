# ruff: noqa: D102 the methods are described in the base class
"""An adapter file, for code that is not recognised: ten lines that say how it is called.

The file defines ``subject``. It is given a generator of random numbers and the sizes, and returns the
point and two functions::

    import numpy as np
    from lstm import forward, backward                         # the code under judgement

    def subject(rng, T, N, D, H, V):
        at = {"x": rng.normal(size=(T, N, D)), "W": rng.normal(size=(D + H, 4 * H))}

        def outputs(x, W):                                     # named arrays, from the forward
            return {"y": forward(x, W)[0]}

        def gradients(dy, x, W):                               # the cotangents, d-prefixed, then the point
            dx, dW = backward(dy, forward(x, W)[1])
            return {"x": dx, "W": dW}

        return at, outputs, gradients

``outputs`` may return a single number, a loss; then `gradients` takes the point alone. A part of an array
may be told as a fourth value, a dict such as ``{"x": "x", "W": "WU"}`` (see `Subject.roles`), and the axis
of time as a fifth, ``{"x": 0, "y": 0}``: with these the checker finds the time step and the gate.
``subject`` may take fewer of the sizes, in any order.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bptt.check.adapters.calls import call, is_number
from bptt.check.adapters.signature import parameters
from bptt.check.subject import Sizes, Subject, SubjectError
from bptt.types import Generator, Params


class CustomSubject(Subject):
    """What an adapter file makes of somebody's code."""

    form = "function"

    def __init__(self, make: Callable[..., Any], sizes: Sizes, rng: Generator) -> None:
        self.make, self.sizes = make, sizes
        self.name = getattr(make, "__module__", None) or "adapter"
        asked = {p.name for p in parameters(make)} - {"rng"}
        wrong = asked - {"T", "N", "D", "H", "V"}
        if wrong:
            raise SubjectError(f"adapter: subject() takes rng, T, N, D, H, V; not {', '.join(sorted(wrong))}")
        made = call(make, rng, **{symbol: getattr(sizes, symbol) for symbol in asked})
        if not (isinstance(made, tuple) and len(made) >= 3 and callable(made[1]) and callable(made[2])):
            raise SubjectError(
                "adapter: subject() must return (at, outputs, gradients[, roles[, time_axis]])"
            )
        at, self._outputs, self._gradients, *more = made
        self.at = {name: np.array(array, np.float64) for name, array in at.items()}
        self.roles = dict(more[0]) if more else {}
        self.time_axis = dict(more[1]) if len(more) > 1 else {}
        self.cotangents = {}
        first = self.outputs(self.at)
        self.cotangents = {
            name: np.array(1.0) if self.loss else rng.normal(size=array.shape)
            for name, array in first.items()
        }

    def outputs(self, at: Params) -> Params:
        returned = call(self._outputs, **at)
        self.loss = is_number(returned) and np.size(returned) == 1
        if self.loss:
            return {"loss": np.sum(np.asarray(returned))}
        return _arrays(returned, "outputs")

    def gradients(self, at: Params, cotangents: Params) -> Params:
        given = {} if self.loss else {f"d{name}": c for name, c in cotangents.items()}
        gradients = _arrays(call(self._gradients, **given, **at), "gradients")
        if self.loss:
            return {name: array * cotangents["loss"] for name, array in gradients.items()}
        return gradients

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
        raise SubjectError("adapter: define subject(rng, T, N, D, H) -> at, outputs, gradients")
    return CustomSubject(make, Sizes(), rng)


def _arrays(returned: Any, what: str) -> Params:
    if not isinstance(returned, Mapping) or not all(is_number(v) for v in returned.values()):
        raise SubjectError(f"adapter: {what}() must return a dict of arrays, got {type(returned).__name__}")
    return {name: np.array(array) for name, array in returned.items()}
