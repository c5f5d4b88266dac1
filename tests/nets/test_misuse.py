"""What a caller hands over that is no array, or one that would be misread, is said in a line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Batch, ConfigError, Model, ShapeError
from bptt.types import Params

MODEL = Model(inputs=5, outputs=4, hidden=3, embedding=2, backend="reference")
REAL = Model(inputs=2, outputs=1, hidden=3, token_inputs=False, loss="squared_error", backend="reference")
RNG = np.random.default_rng(0)
PARAMS, OWN = MODEL.init(RNG, np.float64), REAL.init(RNG, np.float64)
X, Y = RNG.integers(5, size=(6, 2)), RNG.integers(4, size=(6, 2))
REALS, TARGETS = RNG.normal(size=(6, 2, 2)), RNG.normal(size=(6, 2, 1))


def step(params: Params = PARAMS, batch: Any = None, **how: Any) -> float:
    return bptt.Step(MODEL, params, bptt.optim.Adam())(Batch(X, Y) if batch is None else batch, **how)


def fixed(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a list": (lambda: MODEL.loss_and_grads(PARAMS, X.tolist(), Y), "inputs must be an array, got a list"),
    "nothing": (lambda: MODEL.loss_and_grads(PARAMS, None, Y), "inputs must be an array, got a NoneType"),  # type: ignore[arg-type]
    "a list of flags": (
        lambda: MODEL.loss_and_grads(PARAMS, X, Y, mask=[[True] * 2] * 6),  # type: ignore[arg-type]
        "mask must be an array, got a list",
    ),
    "masked tokens": (
        lambda: MODEL.loss_and_grads(PARAMS, np.ma.masked_equal(X, 2), Y),
        "inputs is a masked array, and its mask would not be looked at",
    ),
    "masked targets": (
        lambda: REAL.loss_and_grads(OWN, REALS, np.ma.masked_greater(TARGETS, 0)),
        "targets is a masked array",
    ),
    "masked weights": (
        lambda: MODEL.loss_and_grads({k: np.ma.masked_array(a) for k, a in PARAMS.items()}, X, Y),
        "embedding is a masked array",
    ),
    "a list of weights": (
        lambda: MODEL.loss_and_grads([*PARAMS.values()], X, Y),  # type: ignore[arg-type]
        "params must be arrays by their names, a dict; got a list",
    ),
    "lists for weights": (
        lambda: MODEL.loss_and_grads({k: a.tolist() for k, a in PARAMS.items()}, X, Y),
        "embedding must be an array, got a list",
    ),
    "whole weights": (
        lambda: MODEL.loss_and_grads({k: a.astype(int) for k, a in PARAMS.items()}, X, Y),
        "embedding must be numbers with a point",
    ),
    "a list of states": (
        lambda: MODEL.loss_and_grads(PARAMS, X, Y, [np.zeros((2, 3))]),  # type: ignore[arg-type]
        "state must be arrays by their names",
    ),
    "a layer's list": (
        lambda: bptt.unroll("lstm", bptt.layer_params(OWN), REALS.tolist()),
        "x must be an array, got a list",
    ),
    "a seed": (lambda: MODEL.init(3), "rng must be a generator of NumPy, .* got 3"),  # type: ignore[arg-type]
    "a seed for dropout": (
        lambda: Model(inputs=5, outputs=4, hidden=3, dropout=0.5).forward(
            Model(inputs=5, outputs=4, hidden=3).init(RNG),
            X,
            rng=3,  # type: ignore[arg-type]
        ),
        "rng must be a generator of NumPy, .* got 3",
    ),
    "whole numbers drawn": (lambda: MODEL.init(RNG, int), "parameters are drawn as float32 or float64"),
    "a step of two": (lambda: step(batch=(X, Y)), "a step takes a batch, .* got a tuple"),
    "a rate that is none": (lambda: step(lr=float("nan")), "lr must be a finite number, got nan"),
    "weights that stay": (
        lambda: step({k: fixed(a) for k, a in PARAMS.items()}),
        "embedding cannot be written",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_array_or_would_be_misread_is_said(name: str) -> None:
    call, says = WRONG[name]
    with pytest.raises((ShapeError, ConfigError), match=says):
        call()


def test_arrays_of_any_form_are_the_same_numbers() -> None:
    wanted, real = MODEL.loss_and_grads(PARAMS, X, Y).loss, REAL.loss_and_grads(OWN, REALS, TARGETS).loss
    for kind in (np.int8, np.uint64, ">i4"):
        assert MODEL.loss_and_grads(PARAMS, X.astype(kind), Y.astype(kind)).loss == wanted
    for form in (fixed, np.asfortranarray, lambda a: a.astype(">f8"), lambda a: a[::-1].copy()[::-1]):
        assert REAL.loss_and_grads(OWN, form(REALS), form(TARGETS)).loss == real
