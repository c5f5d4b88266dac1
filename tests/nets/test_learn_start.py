"""A model learns where its sequences start: gradients, carried states, programs, and one token at a time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptt import Batch, Model, Step
from bptt.nets import reading
from bptt.nets.stack import start_of
from bptt.nets.stepper import Stepper
from bptt.types import Params
from gradcheck import assert_close, complex_step, dot
from model_cases import MASK, RESET, SIZES, F, N, Options, T

RNG = np.random.default_rng(5)
TOKENS, REAL, GIVEN = RNG.integers(5, size=(T, N)), RNG.normal(size=(T, N, 5)), RNG.normal(size=(N, F))

MODELS: dict[str, Options] = {
    "one-hot": {},
    "gru, both directions, 2 layers": {"cell": "gru", "bidirectional": True, "layers": 2, "hidden": 2},
    "slstm, real inputs": {"cell": "slstm", "token_inputs": False},
    "tied": {"embedding": 3, "outputs": 5, "tied": True, "cell": "rnn"},
    "features": {"features": F, "layers": 2, "hidden": 2},
    "pooled": {"pool": "last", "bidirectional": True},
}


def drawn(model: Model, dtype: Any = np.float64) -> Params:
    rng = np.random.default_rng(1)
    return {name: rng.normal(0, 0.6, shape).astype(dtype) for name, shape in model.shapes.items()}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("flags", [{}, {"mask": MASK, "reset": RESET}], ids=["plain", "flags"])
def test_every_gradient_of_a_model_that_learns_its_starts(name: str, flags: Options) -> None:
    model = Model(**(SIZES | MODELS[name]), learn_start=True)
    params, inputs = drawn(model), TOKENS if model.token_inputs else REAL
    batch = Batch(inputs, features=GIVEN if model.features else None, **flags)
    run, rng = model.forward(params, batch), np.random.default_rng(2)
    seeds = {n: rng.normal(size=a.shape) for n, a in {"outputs": run.outputs, **run.state}.items()}

    def loss(params: Params) -> Any:
        run = model.forward(params, batch)
        return dot({"outputs": run.outputs} | run.state, seeds)

    grads = run.backward(seeds["outputs"], {n: seeds[n] for n in run.state}).params
    states = [start_of(name) for name in run.state]
    assert {n for n in params if ".start." in n} == {*states}
    learnt = [n for n in states if not (model.features and n.endswith(".h") and not flags)]
    assert all(grads[n].any() for n in learnt)
    assert_close(grads, complex_step(loss, params), 1e-12)


def test_a_carried_state_is_no_start() -> None:
    model = Model(**SIZES, learn_start=True)
    params, state = drawn(model), model.zero_state(N, np.float64)
    targets = TOKENS % 4
    _, grads, _ = model.loss_and_grads(params, TOKENS, targets, state)
    assert not any(grads[f"layers.0.start.{s}"].any() for s in "hc")
    first = model.zero_state(N, np.float64, params)
    assert first["layers.0.c"].tobytes() == np.tile(params["layers.0.start.c"], (N, 1)).tobytes()
    losses = [model.loss_and_grads(params, TOKENS, targets, s)[0] for s in (None, first, state)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("flags", [{}, {"reset": RESET}], ids=["plain", "resets"])
def test_programs_learn_the_starts_too(flags: Options) -> None:
    """Steps that are laid out once, over arrays that stay, move them as the reference does."""
    model = Model(**(SIZES | {"embedding": 2, "layers": 2}), learn_start=True)
    params = drawn(model, np.float32)
    wanted = {name: a.astype(np.float64) for name, a in params.items()}
    batch = Batch(TOKENS, TOKENS % 4, **flags)
    step, slow = Step(model, params), replace(model, backend="reference")
    for k in range(4):
        state = None if k % 2 == 0 else step.state
        step(batch, state=state)
        given = None if state is None else {n: s.astype(np.float64) for n, s in state.items()}
        _, grads, _ = slow.loss_and_grads(wanted, batch, state=given)
        assert grads["layers.1.start.c"].any() == (state is None or bool(flags))
        assert_close({n: a.astype(np.float64) for n, a in step.grads.items()}, grads, 1e-5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_one_token_after_another_begins_at_the_starts(backend: Any) -> None:
    model = Model(**SIZES, embedding=2, layers=2, learn_start=True, backend=backend)
    params = drawn(model, np.float32)
    stepper, whole = Stepper(model, params, batch=N), model.forward(params, TOKENS).outputs
    for tokens, wanted in zip(TOKENS, whole, strict=True):
        np.testing.assert_allclose(stepper.read(tokens), wanted, rtol=0, atol=1e-5)


def test_reading_in_pieces_begins_at_the_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(**SIZES, bidirectional=True, layers=2, learn_start=True)
    params, batch = drawn(model), Batch(TOKENS)
    wanted = reading.outputs(model, params, batch)
    monkeypatch.setattr(reading, "steps_at_once", lambda *_: 3)
    np.testing.assert_allclose(reading.outputs(model, params, batch), wanted, rtol=0, atol=1e-12)
