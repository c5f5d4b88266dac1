"""What a cell reads at each step beside the layer's input: gradients, padding, and what is refused."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive.functions import exp, softplus, tanh
from bptt.errors import ShapeError
from bptt.layer.shapes import layer_shapes
from bptt.types import Params
from gradcheck import assert_close, complex_step, dot

T, N, H = 4, 3, 5


@bptt.cell(state="h c", inputs="t z x", shapes={"t": "row"})
def timed(a_h, a_g, c, t, z, x):  # type: ignore[no-untyped-def]
    """Forget by the time that has passed."""
    k = exp(-softplus(a_g) * t)
    c = k * c + (1 - k) * tanh(a_h + x * z)
    h = tanh(c) * z
    return h, c


def drawn() -> Params:
    rng = np.random.default_rng(0)
    arrays = {name: 0.6 * rng.normal(size=shape) for name, shape in layer_shapes(timed, H, H, "two").items()}
    arrays |= {"in": rng.normal(size=(T, N, H)), "h0": rng.normal(size=(N, H)), "c0": rng.normal(size=(N, H))}
    return arrays | {"t": rng.random((T, N)), "z": rng.normal(size=(T, N, H))}


def ran(arrays: Params, **how: Any) -> Any:
    given, own = dict(arrays), ("in", "h0", "c0", "t", "z")
    x, *states, t, z = (given.pop(name) for name in own)
    return bptt.unroll(timed, given, x, tuple(states), inputs={"t": t, "z": z}, **how)


@pytest.mark.parametrize("flags", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_at_what_is_read_beside_x(flags: bool, reverse: bool) -> None:
    arrays, rng = drawn(), np.random.default_rng(1)
    how: dict[str, Any] = {"reverse": reverse}
    cotangents = {"y": rng.normal(size=(T, N, H))} | {s: rng.normal(size=(N, H)) for s in "hc"}
    if flags:
        how |= {"mask": rng.random((T, N)) < 0.7, "reset": rng.random((T, N)) < 0.4}

    def loss(arrays: Params) -> Any:
        run = ran(arrays, **how)
        return dot({"y": run.y, "h": run.states[0], "c": run.states[1]}, cotangents)

    grads = ran(arrays, **how).backward(cotangents["y"], (cotangents["h"], cotangents["c"]))
    found = grads.params | {"in": grads.inputs} | dict(zip(("h0", "c0"), grads.states, strict=True))
    assert found["t"].shape == (T, N)
    assert_close(found, complex_step(loss, arrays), 1e-12)


def test_what_is_padded_beside_x_is_not_read() -> None:
    arrays, mask = drawn(), np.arange(T)[:, None] < np.array([2, 4, 3])
    right = ran(arrays, mask=mask).backward(arrays["in"])
    bad = arrays | {
        name: np.where(mask if name == "t" else mask[..., None], arrays[name], np.nan) for name in "tz"
    }
    found = ran(bad, mask=mask).backward(arrays["in"])
    assert all(np.array_equal(found.params[name], g) for name, g in right.params.items())
    assert not found.params["t"][~mask].any()


def test_real_numbers_beside_x_become_the_layers_own() -> None:
    arrays = {name: array.astype(np.float32) for name, array in drawn().items()}
    run = ran(arrays | {"t": np.ones((T, N), int), "z": drawn()["z"]})
    assert run.y.dtype == np.float32
    assert {g.dtype for g in run.backward(run.y).params.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (None, "timed reads t, z at each step beside its input"),
        ({"t": np.ones((T, N))}, "timed reads z at each step beside its input"),
        ({"t": 1, "z": 1, "s": 1}, "timed reads t, z at each step beside its input; got s"),
        ({"t": np.ones((T, N)), "z": np.ones((T, N, 1))}, r"z must be \(T, N, H\) = "),
        ({"t": np.ones((T, N, 2)), "z": np.ones((T, N, H))}, r"t must be \(T, N, H\) = \(4, 3, 1\)"),
    ],
)
def test_what_a_cell_does_not_read_is_told(inputs: Any, says: str) -> None:
    params = {name: np.ones(shape) for name, shape in layer_shapes(timed, H, H).items()}
    with pytest.raises(ShapeError, match=says):
        bptt.unroll(timed, params, np.ones((T, N, H)), inputs=inputs)


def test_a_cell_that_reads_nothing_beside_x_says_so() -> None:
    params = {name: np.ones(shape) for name, shape in layer_shapes(bptt.zoo.get("lstm"), H, H).items()}
    with pytest.raises(ShapeError, match="lstm reads nothing at each step beside its input; got t"):
        bptt.unroll("lstm", params, np.ones((T, N, H)), inputs={"t": np.ones((T, N))})
