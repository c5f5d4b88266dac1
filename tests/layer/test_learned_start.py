"""States that sequences start from are parameters: their gradients, in every backend, whatever the flags."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.layer.shapes import layer_shapes
from bptt.types import Array, Params
from bptt.zoo import get
from gradcheck import assert_close, complex_step, dot

T, N, D, H = 5, 3, 4, 3
HELD = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 0], [1, 0, 1]], bool)
ENDED = np.arange(T)[:, None] < np.array([2, 5, 3])
RESET = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0]], bool)
FLAGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "held": {"mask": HELD},
    "reset": {"reset": RESET},
    "held, reset": {"mask": HELD, "reset": RESET},
    "ended, reset": {"mask": ENDED, "reset": RESET & ENDED},
}


@pytest.mark.parametrize("cell", ["lstm", "gru-cho", "slstm"])
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("begins", [True, False], ids=["begins", "goes on"])
def test_every_gradient_where_starts_are_learnt(
    cell: str, flags: dict[str, Any], reverse: bool, begins: bool
) -> None:
    rng, made, how = np.random.default_rng(3), get(cell), flags | {"reverse": reverse}
    shapes = layer_shapes(made, D, H, "two", learn_start=True)
    arrays = {name: rng.normal(0, 0.7, shape) for name, shape in shapes.items()}
    arrays |= {"x": rng.normal(size=(T, N, D))} | {
        f"{s}0": rng.normal(size=(N, H)) for s in made.states if not begins
    }
    cotangents = {"y": rng.normal(size=(T, N, H))} | {s: rng.normal(size=(N, H)) for s in made.states}

    def run(arrays: Params, backend: Any) -> Any:
        states = None if begins else tuple(arrays[f"{s}0"] for s in made.states)
        params = {name: arrays[name] for name in shapes}
        return bptt.unroll(made, params, arrays["x"], states, backend=backend, **how)

    def loss(arrays: Params) -> Any:
        found = run(arrays, "reference")
        return dot({"y": found.y} | dict(zip(made.states, found.states, strict=True)), cotangents)

    def grads(found: Any) -> dict[str, Array]:
        back = found.backward(cotangents["y"], tuple(cotangents[s] for s in made.states))
        first = {f"{s}0": d for s, d in zip(made.states, back.states, strict=True) if not begins}
        params: Params = back.params
        return params | {"x": back.inputs} | first

    wanted = complex_step(loss, arrays)
    if "reset" in flags or begins:
        assert min(np.abs(wanted[f"start.{s}"]).max() for s in made.states) > 0.05
    else:
        assert not any(wanted[f"start.{s}"].any() for s in made.states)
    assert_close(grads(run(arrays, "reference")), wanted, 1e-12)
    for _ in range(3):  # as it is laid out, and as a program
        assert_close(grads(run(arrays, "cpu")), wanted, 1e-12)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_start_at_zero_changes_nothing(backend: Any) -> None:
    rng = np.random.default_rng(0)
    params = {n: rng.normal(size=s) for n, s in layer_shapes(get("gru"), D, H).items()}
    x = rng.normal(size=(T, N, D))
    without, with_it = (
        bptt.unroll("gru", params | more, x, reset=RESET, backend=backend)
        for more in ({}, {"start.h": np.zeros(H)})
    )
    assert without.y.tobytes() == with_it.y.tobytes()
    assert "start.h" not in without.backward(x[..., :H]).params
