"""Activation regularisation: what it adds to the loss, and its gradient at everything below."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Batch, Model
from bptt.errors import ConfigError
from bptt.types import Array, Params
from gradcheck import assert_close, central_differences, complex_step
from model_cases import EVERY_MODEL, FLAGS, MODELS, Options, case

ALPHA, BETA = 2.0, 3.0
COSTS = {"both": (ALPHA, BETA), "alpha": (ALPHA, 0.0), "beta": (0.0, BETA)}


def cost(h: Array, alpha: float, beta: float, flags: Options) -> float:
    """Return what the papers say, one number at a time."""
    T, N, H = h.shape
    mask = flags.get("mask", np.ones((T, N), bool))
    reset = flags.get("reset", np.zeros((T, N), bool))
    squares = [h[t, n, k] ** 2 for t, n, k in np.ndindex(T, N, H) if mask[t, n]]
    changes = [
        (h[t, n, k] - h[t - 1, n, k]) ** 2
        for t, n, k in np.ndindex(T, N, H)
        if t and mask[t, n] and mask[t - 1, n] and not reset[t, n]
    ]
    return float(alpha * np.mean(squares) + beta * np.mean(changes))


@EVERY_MODEL
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_every_gradient_of_the_loss_with_its_cost(name: str, flags: Options) -> None:
    options = dict(MODELS[name]) | {"activation_penalty": ALPHA, "temporal_penalty": BETA}
    c = case(flags=flags, **options)

    def run(arrays: Params, model: Model = c.model) -> Any:
        params, inputs, state, told = c.parts(arrays)
        return model.backprop(params, Batch(inputs, c.targets, **told), state)

    found = run(c.arrays)
    grads = dict(found.grads.params) | {f"state.{key}": d for key, d in found.grads.states.items()}
    if found.grads.inputs is not None:
        grads["inputs"] = found.grads.inputs
    if found.grads.features is not None:
        grads = {key: d for key, d in grads.items() if not key.startswith("state.")}
        grads["features"] = found.grads.features
    assert_close(grads, complex_step(lambda arrays: run(arrays).loss, c.arrays), 1e-12)
    if name == "one-hot":
        assert_close(grads, central_differences(lambda arrays: run(arrays).loss, c.arrays), 1e-6)
    plain = run(c.arrays, replace(c.model, activation_penalty=0.0, temporal_penalty=0.0))
    np.testing.assert_array_equal(found.each, plain.each)
    assert found.loss > plain.loss


@pytest.mark.parametrize("which", COSTS)
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_cost_is_that_of_the_papers(which: str, flags: Options, dropout: float) -> None:
    """The outputs of the layers are those of a model whose output matrix is the identity."""
    alpha, beta = COSTS[which]
    c = case(flags=flags, outputs=3, dropout=dropout)
    params, inputs, state, told = c.parts(c.arrays)
    seen = params | {"output.W": np.eye(3), "output.b": np.zeros(3)}
    h = c.model.forward(seen, inputs, state, **told).outputs
    batch = Batch(inputs, c.targets, **told)
    model = replace(c.model, activation_penalty=alpha, temporal_penalty=beta)
    plain, dear = (m.backprop(params, batch, state, rng=np.random.default_rng(1)) for m in (c.model, model))
    assert dear.loss - plain.loss == pytest.approx(cost(h, alpha, beta, flags), rel=1e-12)


@pytest.mark.parametrize("which", COSTS)
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_compiled_code_gives_the_same(which: str, flags: Options) -> None:
    alpha, beta = COSTS[which]
    c = case(flags=flags, activation_penalty=alpha, temporal_penalty=beta, layers=2)
    params, inputs, state, told = c.parts(c.arrays)
    right, fast = (
        replace(c.model, backend=backend).backprop(params, Batch(inputs, c.targets, **told), state)
        for backend in ("reference", "cpu")
    )
    assert fast.loss == pytest.approx(right.loss, rel=1e-12)
    step = bptt.Step(replace(c.model, backend="cpu"), params)
    losses = [step(Batch(inputs, c.targets, **told), state=state) for _ in range(3)]  # the last is planned
    assert losses == [fast.loss] * 3
    assert_close(fast.grads.params, right.grads.params, 1e-13)
    small = {name: array.astype(np.float32) for name, array in params.items()}
    found = c.model.backprop(small, Batch(inputs, c.targets), None)
    assert {array.dtype for array in found.grads.params.values()} == {np.dtype(np.float32)}


def test_one_step_has_no_change_and_a_pool_no_steps() -> None:
    model = Model(inputs=3, outputs=3, hidden=2, temporal_penalty=BETA)
    params = model.init(np.random.default_rng(0))
    token = np.ones((1, 2), int)
    assert model.loss_and_grads(params, token, token).loss == pytest.approx(
        replace(model, temporal_penalty=0.0).loss_and_grads(params, token, token).loss
    )
    pooled = replace(model, pool="last", temporal_penalty=0.0, activation_penalty=ALPHA)
    dear, plain = (
        m.loss_and_grads(params, np.ones((3, 2), int), token)
        for m in (pooled, replace(pooled, activation_penalty=0.0))
    )
    h = plain.state["layers.0.h"]
    assert dear.loss - plain.loss == pytest.approx(ALPHA * float(np.mean(h**2)), rel=1e-5)
    whole = pooled.loss_and_grads(params, np.ones((3, 2), int), token, reset=np.zeros((3, 2), bool))
    assert whole.loss == pytest.approx(dear.loss)  # resets are of steps
    with pytest.raises(ConfigError, match="a pool leaves one of each sequence"):
        replace(pooled, temporal_penalty=BETA)
    with pytest.raises(ConfigError, match="activation_penalty must be a finite number from 0, got -1"):
        replace(model, activation_penalty=-1.0)
