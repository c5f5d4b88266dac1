"""A function that returns a loss and its gradients."""

from typing import Any

import numpy as np
import pytest

from bptt.checking.adapters import FunctionSubject
from bptt.checking.subject import Sizes, SubjectError
from bptt.types import Array
from judged.forms import right


@pytest.mark.parametrize("as_what", ["dict", "d-prefixed", "list", "flat"])
def test_a_function_of_parameters(as_what: str) -> None:
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(2, 3)), rng.normal(size=3)

    def gradients(W: Array, b: Array) -> tuple[Any, Array, Array]:
        a = np.tanh(W + b)
        d = 2 * a * (1 - a * a)
        return (a * a).sum(), d, d.sum(0)

    def function(params: Any) -> Any:
        if as_what == "list":
            loss, *grads = gradients(*params)
            return loss, grads
        loss, dW, db = gradients(params["W"], params["b"])
        params["W"] += 1  # what it does to its arguments must not reach the point
        if as_what == "flat":
            return loss, dW, db
        return (loss, {"W": dW, "b": db}) if as_what == "dict" else (loss, {"dW": dW, "db": db})

    params: Any = [W, b] if as_what == "list" else {"W": W, "b": b}
    subject = FunctionSubject(function, params)
    assert subject.gradients(subject.at, subject.cotangents).keys() == subject.at.keys()
    right(subject)
    right(subject.resized(Sizes(), rng))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "must return"),
        ((1.0, [np.zeros(2)] * 3), "1 parameters, but 3"),
        ((np.ones(2), {}), "one number"),
    ],
)
def test_a_function_that_returns_something_else(returned: Any, message: str) -> None:
    with pytest.raises(SubjectError, match=message):
        FunctionSubject(lambda p: returned, {"x": np.zeros(2)})
