"""An adapter of ten lines, for code that is not recognised."""

from typing import Any

import numpy as np
import pytest

from bptt.checking.adapters import from_adapter
from bptt.checking.subject import Sizes, SubjectError
from bptt.types import Array
from judged.forms import right, rnn_sequence


def test_an_adapter_of_ten_lines() -> None:
    names = rnn_sequence("TND")

    def subject(rng: np.random.Generator, T: int, N: int, D: int, H: int) -> Any:
        at = {"x": rng.normal(size=(T, N, D)), "U": rng.normal(size=(H, H)), "W": rng.normal(size=(D, H))}

        def outputs(x: Array, U: Array, W: Array) -> Any:
            return {"y": names["rnn_forward"](x, np.zeros((N, H)), W, U, np.zeros(H))[0]}

        def gradients(dy: Array, x: Array, U: Array, W: Array) -> Any:
            cache = names["rnn_forward"](x, np.zeros((N, H)), W, U, np.zeros(H))[1]
            dx, _, dW, dU, _ = names["rnn_backward"](dy, cache)
            return {"x": dx, "U": dU, "W": dW}

        return at, outputs, gradients, {"x": "x", "W": "W", "U": "U"}, {"x": 0, "y": 0}

    made = from_adapter({"subject": subject}, np.random.default_rng(0))
    assert made.time_axis == {"x": 0, "y": 0}
    right(made)
    right(made.resized(Sizes(T=1), np.random.default_rng(1)))


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (None, "define subject"),
        (lambda rng, K: None, "not K"),
        (lambda rng: 3, "must return"),
        (lambda rng: ({"x": np.ones(2)}, lambda x: [x], lambda x: x), "dict of arrays"),
    ],
)
def test_an_adapter_that_is_none(subject: Any, message: str) -> None:
    with pytest.raises(SubjectError, match=message):
        from_adapter({"subject": subject}, np.random.default_rng(0))
