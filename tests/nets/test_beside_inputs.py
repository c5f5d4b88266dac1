"""Models of cells that read something at each step beside their input: gradients, pieces, and refusals."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Batch, Model, Step
from bptt.derive.functions import exp, softplus, tanh
from bptt.errors import ConfigError, ShapeError
from bptt.nets import reading
from bptt.nets.stepper import Stepper
from bptt.types import Params
from gradcheck import assert_close, complex_step, dot

T, N, H, V = 4, 2, 3, 5


@bptt.cell(state="h c", inputs="t z", shapes={"t": "row"})
def elapsed(a_h, a_g, c, t, z):  # type: ignore[no-untyped-def]
    """Forget by the time that has passed."""
    k = exp(-softplus(a_g) * t)
    c = k * c + (1 - k) * tanh(a_h + z)
    h = tanh(c) * (1 + z)
    return h, c


@bptt.cell(state="h", inputs="x")
def highway(a_h, a_g, x, h):  # type: ignore[no-untyped-def]
    """Pass the input on."""
    g = exp(-softplus(a_g))
    return g * tanh(a_h) + (1 - g) * x * h


RNG = np.random.default_rng(5)
TOKENS = RNG.integers(V, size=(T, N))
GIVEN = {"t": RNG.random((T, N)), "z": RNG.normal(size=(T, N, H))}
FLAGS: dict[str, Any] = {
    "mask": np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool),
    "reset": np.array([[0, 1], [0, 0], [1, 0], [0, 1]], bool),
}
MODELS: dict[str, dict[str, Any]] = {
    "two layers, both directions": {"cell": elapsed, "layers": 2, "bidirectional": True},
    "learnt starts": {"cell": elapsed, "embedding": 2, "learn_start": True},
    "x": {"cell": highway, "embedding": H, "layers": 2, "inputs": 2},
    "x of real numbers": {"cell": highway, "token_inputs": False, "inputs": H},
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("flags", [{}, FLAGS], ids=["plain", "flags"])
def test_every_gradient_of_a_model_that_reads_beside_its_input(name: str, flags: dict[str, Any]) -> None:
    rng, model = np.random.default_rng(1), Model(**{"inputs": V, "outputs": 4, "hidden": H} | MODELS[name])
    arrays = {n: rng.normal(0, 0.6, shape) for n, shape in model.shapes.items()}
    arrays |= {} if model.cell is highway else GIVEN
    arrays |= {} if model.token_inputs else {"inputs": rng.normal(size=(T, N, H))}

    def run(arrays: Params) -> Any:
        inputs = arrays.get("inputs", TOKENS % model.inputs)
        given = {n: arrays[n] for n in GIVEN if n in arrays}
        return model.forward({n: arrays[n] for n in model.shapes}, Batch(inputs, given=given, **flags))

    ran = run(arrays)
    seeds = {n: rng.normal(size=a.shape) for n, a in {"outputs": ran.outputs, **ran.state}.items()}
    back = ran.backward(seeds["outputs"], {n: seeds[n] for n in ran.state})
    found = back.params | (back.given or {}) | ({} if back.inputs is None else {"inputs": back.inputs})

    def loss(arrays: Params) -> Any:
        ran = run(arrays)
        return dot({"outputs": ran.outputs} | ran.state, seeds)

    assert_close(found, complex_step(loss, arrays), 1e-12)


def test_a_step_learns_from_what_is_read_beside() -> None:
    model = Model(inputs=V, outputs=V, hidden=H, cell=elapsed, layers=2)
    params = model.init(np.random.default_rng(0))
    step, batch = Step(model, params, bptt.optim.OPTIMIZERS["adam"]()), Batch(TOKENS, TOKENS, given=GIVEN)
    losses = [step(batch, 0.05) for _ in range(100)]
    assert losses[-1] < 0.7 * losses[0]


def test_pieces_read_their_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(inputs=V, outputs=4, hidden=H, cell=elapsed, layers=2, bidirectional=True)
    params, batch = model.init(np.random.default_rng(0), np.float64), Batch(TOKENS, given=GIVEN)
    wanted = reading.outputs(model, params, batch)
    monkeypatch.setattr(reading, "steps_at_once", lambda *_: 3)
    np.testing.assert_allclose(reading.outputs(model, params, batch), wanted, rtol=0, atol=1e-12)


def test_what_a_model_cannot_read_is_told() -> None:
    model = Model(inputs=V, outputs=V, hidden=H, cell=elapsed)
    params = model.init(np.random.default_rng(0))
    with pytest.raises(ShapeError, match="elapsed reads t, z at each step beside its input"):
        model.forward(params, TOKENS)
    with pytest.raises(
        ConfigError, match="elapsed reads t, z at each step, which nobody gives to what is written"
    ):
        Stepper(model, params)
    with pytest.raises(
        ConfigError, match=r"highway: its equations read x, so every layer's input must be H = 3"
    ):
        Model(inputs=V, outputs=V, hidden=H, cell=highway)
    assert Model(inputs=V, outputs=V, hidden=H, cell=elapsed, zoneout=0.1).stack.cell.inputs == ("t", "z")
