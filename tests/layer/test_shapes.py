"""What does not fit a layer is told: which array, what it must be, what it is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.cells import CELLS
from bptt.errors import ShapeError
from bptt.layer.reference import unroll
from gradcheck import random_layer


def broken(**changes: Any) -> Callable[[], object]:
    """Return a run of an LSTM (T, N, D, H = 5, 2, 4, 3) with some arrays replaced; None removes."""

    def run() -> object:
        arrays: dict[str, Any] = dict(random_layer(np.random.default_rng(0), CELLS["lstm"]).arrays)
        arrays["states"] = (arrays.pop("h0"), arrays.pop("c0"))
        arrays = {name: value for name, value in (arrays | changes).items() if value is not None}
        flags = {name: arrays.pop(name) for name in ("mask", "reset") if name in arrays}
        x, states = arrays.pop("x"), arrays.pop("states")
        return unroll(CELLS["lstm"], arrays, x, states, **flags)

    return run


def broken_backward(**cotangents: Any) -> Callable[[], object]:
    return lambda: random_layer(np.random.default_rng(0), CELLS["lstm"]).run().backward(**cotangents)


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "U turned": (broken(U=np.zeros((12, 3))), "lstm: U must be (H, 4H) = (12, 48), got (12, 3)"),
    "U of another cell": (broken(U=np.zeros((3, 9))), "lstm: U must be (H, 4H) = (3, 12), got (3, 9)"),
    "W of another D": (broken(W=np.zeros((5, 12))), "lstm: x must be (T, N, D) = (5, 2, 5), got (5, 2, 4)"),
    "W of another H": (broken(W=np.zeros((4, 16))), "lstm: W must be (D, 4H) = (4, 12), got (4, 16)"),
    "b": (broken(b=np.zeros(3)), "lstm: b must be (4H,) = (12,), got (3,)"),
    "b as a row": (broken(b=np.zeros((1, 12))), "lstm: b must be (4H,) = (12,), got (1, 12)"),
    "b_h": (broken(b_h=np.zeros(13)), "lstm: b_h must be (4H,) = (12,), got (13,)"),
    "unknown parameter": (
        broken(Wx=np.zeros(1)),
        "lstm: params must be W, U and at most b, b_h, start.h, start.c; got W, U, b, b_h, Wx",
    ),
    "no W": (broken(W=None), "lstm: params must be W, U and at most b, b_h, start.h, start.c; got U, b, b_h"),
    "no U": (broken(U=None), "lstm: params must be W, U and at most b, b_h, start.h, start.c; got W, b, b_h"),
    "start": (broken(**{"start.c": np.zeros((2, 3))}), "start.c must be (H,) = (3,), got (2, 3)"),
    "x of two axes": (
        broken(x=np.zeros((5, 2))),
        "x must be (T, N, D), or (T, N) integers; got float64 (5, 2)",
    ),
    "x of one axis": (broken(x=np.zeros(5, int)), "x must be (T, N, D), or (T, N) integers; got int64 (5,)"),
    "x of no steps": (broken(x=np.zeros((0, 2, 4))), "lstm: x has no time steps: (0, 2, 4)"),
    "token too large": (broken(x=np.full((5, 2), 4)), "tokens must be in 0 .. D-1 = 3, got 4 .. 4"),
    "token negative": (broken(x=np.full((5, 2), -1)), "tokens must be in 0 .. D-1 = 3, got -1 .. -1"),
    "state missing": (broken(states=(np.zeros((2, 3)),)), "lstm: states must be (h, c), got 1 arrays"),
    "h": (
        broken(states=(np.zeros((3, 2)), np.zeros((2, 3)))),
        "the initial h must be (N, H) = (2, 3), got (3, 2)",
    ),
    "c": (broken(states=(np.zeros((2, 3)), np.zeros(3))), "the initial c must be (N, H) = (2, 3), got (3,)"),
    "mask batch-major": (
        broken(mask=np.ones((2, 5), bool)),
        "lstm: mask must be (T, N) = (5, 2), got (2, 5)",
    ),
    "mask of lengths": (broken(mask=np.array([5, 3])), "lstm: mask must be (T, N) = (5, 2), got (2,)"),
    "mask of floats": (broken(mask=np.zeros((5, 2))), "lstm: mask must be bool, got float64"),
    "reset": (broken(reset=np.zeros(5, bool)), "lstm: reset must be (T, N) = (5, 2), got (5,)"),
    "reset of integers": (broken(reset=np.zeros((5, 2), int)), "lstm: reset must be bool, got int64"),
    "dy": (broken_backward(dy=np.zeros((2, 5, 3))), "lstm: dy must be (T, N, H) = (5, 2, 3), got (2, 5, 3)"),
    "dy of one step": (
        broken_backward(dy=np.zeros((1, 2, 3))),
        "dy must be (T, N, H) = (5, 2, 3), got (1, 2, 3)",
    ),
    "dstates missing": (broken_backward(dstates=(np.zeros((2, 3)),)), "dstates must hold 2 arrays, got 1"),
    "dc": (
        broken_backward(dstates=(np.zeros((2, 3)), np.zeros((1, 3)))),
        "gradient at the final c must be (N, H) = (2, 3)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_told(name: str) -> None:
    call, text = WRONG[name]
    with pytest.raises(ShapeError) as told:
        call()
    assert text in str(told.value)


def test_gru_shapes_are_told_by_the_blocks_each_product_feeds() -> None:
    H, params = 3, {"W": np.zeros((4, 9)), "U": np.zeros((3, 9))}
    for name in ("gru", "gru-cho"):
        assert unroll(CELLS[name], params, np.zeros((1, 2, 4))).y.shape == (1, 2, H)
        with pytest.raises(ShapeError, match=r"W must be \(D, 3H\) = \(4, 9\), got \(4, 12\)"):
            unroll(CELLS[name], params | {"W": np.zeros((4, 12))}, np.zeros((1, 2, 4)))
