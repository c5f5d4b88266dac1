"""A step that is prepared once: the bits of one that is not, few calls, and nobody's arrays but its own."""

import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import bptt
from bptt.errors import ShapeError
from bptt.training import optim
from bptt.training.step import FORMS
from bptt.types import Batch, Params
from optimizers import every, same_bits

V, STEPS = 11, 7


def made(**options: Any) -> tuple[bptt.Model, Params]:
    model = bptt.Model(**({"inputs": V, "outputs": V, "hidden": 12, "embedding": 7} | options))
    return model, model.init(np.random.default_rng(1))


def batches(T: int = 9, N: int = 3) -> list[Batch]:
    tokens = np.random.default_rng(2).integers(V, size=(STEPS, T + 1, N))
    return [Batch(each[:-1], each[1:]) for each in tokens]


def by_hand(
    model: bptt.Model, params: Params, optimizer: optim.Optimizer, slots: Params, **clips: float | None
) -> list[float]:
    """Return the losses of steps as one writes them: loss, gradients, clipping, update."""
    state, losses = None, []
    for batch in batches():
        loss, grads, state = model.loss_and_grads(params, batch, state=state)
        if (limit := clips["clip_value"]) is not None:
            optim.clip_values(grads, limit)
        if (limit := clips["clip_norm"]) is not None:
            optim.clip_norm(grads, limit)
        optimizer.update(params, grads, slots, 0.01)
        losses.append(loss)
    return losses


@every
@pytest.mark.parametrize("clip_value", [None, 0.01])
@pytest.mark.parametrize("clip_norm", [None, 0.05, 1e6])
def test_the_bits_of_a_step_by_hand(
    optimizer: optim.Optimizer, clip_value: float | None, clip_norm: float | None
) -> None:
    (model, params), (other, wanted) = made(), made()
    slots, wanted_slots = optimizer.init(params), optimizer.init(wanted)
    clips = {"clip_value": clip_value, "clip_norm": clip_norm}
    step = bptt.Step(model, params, optimizer, slots, **clips)
    state, losses = None, []
    for batch in batches():
        losses.append(step(batch, 0.01, state))
        state = step.state
    assert losses == by_hand(other, wanted, optimizer, wanted_slots, **clips)
    same_bits(params, wanted)
    same_bits(slots, wanted_slots)
    assert len(step._forms) == 1  # else none of it was prepared


@pytest.mark.parametrize("options", [{}, {"class_weights": tuple(range(1, V + 1))}, {"label_smoothing": 0.1}])
def test_sequences_of_any_lengths_have_one_form(options: dict[str, Any]) -> None:
    (model, params), (other, wanted) = made(**options), made(**options)
    rng, adam = np.random.default_rng(3), optim.Adam()
    step, slots = bptt.Step(model, params, adam), adam.init(wanted)
    for batch in batches():
        mask = np.arange(9)[:, None] < rng.integers(1, 10, 3)
        given = Batch(np.where(mask, batch.inputs, -1), np.where(mask, batch.targets, -1), mask)
        found = other.backprop(wanted, given)
        adam.update(wanted, found.grads.params, slots, 0.01)
        assert step(given, 0.01) == found.loss
        same_bits(params, wanted)
        np.testing.assert_array_equal(step.each, found.each)
    assert len(step._forms) == 1


@pytest.mark.parametrize("clip_value", [None, 0.01])
def test_norms_of_float64_are_not_read_as_float32(clip_value: float | None) -> None:
    model, params = made(backend="cpu")
    params = {name: array.astype(np.float64) for name, array in params.items()}
    wanted = {name: array.copy() for name, array in params.items()}
    adam = optim.Adam()
    step = bptt.Step(model, params, adam, clip_value=clip_value, clip_norm=0.05)
    slots, state, losses = adam.init(wanted), None, []
    for batch in batches():
        losses.append(step(batch, 0.01, state))
        state = step.state
    clips = {"clip_value": clip_value, "clip_norm": 0.05}
    assert losses == by_hand(model, wanted, adam, slots, **clips)
    same_bits(params, wanted)
    assert len(step._forms) == 1


def test_few_calls_and_arrays_that_stay() -> None:
    model, params = made()
    step, (batch, *_) = bptt.Step(model, params, optim.Adam(), clip_norm=1.0), batches()
    state = model.zero_state(3)
    for _ in range(3):
        step(batch, 0.01, state)
    before = [a.ctypes.data for a in (step.each, *step.grads.values(), *step.state.values())]
    calls: list[str] = []

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and "bptt" in frame.f_globals.get("__name__", "").split("."):
            calls.append(frame.f_code.co_name)

    sys.setprofile(count)
    step(batch, 0.01, state)
    sys.setprofile(None)
    assert 3 <= len(calls) < 10, calls
    assert before == [a.ctypes.data for a in (step.each, *step.grads.values(), *step.state.values())]


def test_parameters_that_are_exchanged_are_followed() -> None:
    model, params = made()
    step = bptt.Step(model, params, optim.SGD())
    for batch in batches():
        step(batch, 0.1)
    params["layers.0.U"] = params["layers.0.U"] * 2
    kept = {name: array.copy() for name, array in params.items()}
    batch = batches()[0]
    assert step(batch, 0.1) == model.loss_and_grads(kept, batch).loss
    assert not np.array_equal(params["layers.0.U"], kept["layers.0.U"])


def test_a_loss_that_is_not_finite_moves_nothing() -> None:
    model, params = made()
    step = bptt.Step(model, params, optim.Adam(), clip_norm=1.0)
    for batch in batches():
        step(batch, 0.01)
    params["output.b"][0] = np.nan
    kept = {name: array.copy() for name, array in (params | step.slots).items()}
    assert np.isnan(step(batches()[0], 0.01))
    same_bits(params | step.slots, kept)


def test_what_does_not_fit_is_told_as_before() -> None:
    model, params = made()
    step, state = bptt.Step(model, params), model.zero_state(3)
    (batch, *_) = batches()
    for _ in range(4):
        step(batch, state=state)
    wrong = batch.inputs.copy()
    wrong[2, 1] = V
    with pytest.raises(ShapeError, match="tokens must be in 0"):
        step(Batch(wrong, batch.targets), state=state)
    with pytest.raises(ShapeError, match="states must hold"):
        step(batch, state={"layers.0.h": state["layers.0.h"]})
    with pytest.raises(ShapeError, match="the initial h"):
        step(batch, state=model.zero_state(1))  # NumPy would repeat the one row
    with pytest.raises(ShapeError, match="the initial h"):
        step(batch, state=model.zero_state(4))


def test_a_mask_of_numbers_and_states_of_another_dtype_are_met_as_a_backprop_meets_them() -> None:
    model, params = made()
    step = bptt.Step(model, params)
    mask = np.arange(9)[:, None] < np.array([9, 4, 6])
    state = model.zero_state(3)
    for batch in batches():
        given = Batch(batch.inputs, batch.targets, mask, mask)
        step(given)
        step(given, state=state)
    assert len(step._forms) == 2
    for flags in (mask.astype(int), mask.astype(np.uint8)):
        with pytest.raises(ShapeError, match="mask must be bool"):
            step(Batch(batch.inputs, batch.targets, flags, mask))
    finer = {name: array + 1 / 3 for name, array in model.zero_state(3, np.float64).items()}
    found = step(given, state=finer)
    assert found == model.backprop(params, given, finer).loss
    same_bits(step.grads, model.backprop(params, given, finer).grads.params)


def test_many_forms_and_no_optimizer() -> None:
    model, params = made()
    step, kept = bptt.Step(model, params), {name: array.copy() for name, array in params.items()}
    for T in (*range(1, FORMS + 3), *range(1, FORMS + 3), *range(1, FORMS + 3)):
        for batch in batches(T, 2)[:2]:
            assert step(batch) == model.loss_and_grads(kept, batch).loss
            same_bits(step.grads, model.loss_and_grads(kept, batch).grads)
    assert len(step._forms) == FORMS
    same_bits(params, kept)


def test_what_is_drawn_is_of_each_step_and_masks_are_a_form_of_their_own() -> None:
    model, params = made(dropout=0.5)
    step = bptt.Step(model, params)
    (batch, *_) = batches()
    losses = [step(batch, rng=np.random.default_rng(k)) for k in (0, 0, 0, 1, 0)]
    assert losses[0] == losses[1] == losses[2] == losses[4] != losses[3]
    assert len(step._forms) == 1
    masked = Batch(batch.inputs, batch.targets, mask=np.arange(9)[:, None] < np.array([9, 4, 2]))
    assert len({step(masked) for _ in range(4)}) == 1
    assert len(step._forms) == 2


@pytest.mark.parametrize("clip_value", [None, 0.01])
@pytest.mark.parametrize("clip_norm", [None, 0.05, 1e6])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_the_norm_is_the_gradient_s_before_it_is_clipped(
    clip_value: float | None, clip_norm: float | None, backend: Any
) -> None:
    model, params = made(backend=backend)
    step = bptt.Step(model, params, optim.Adam(), clip_value=clip_value, clip_norm=clip_norm)
    assert np.isnan(step.norm)
    state = None
    for batch in batches():
        before = None if state is None else {name: array.copy() for name, array in state.items()}
        _, grads, _ = model.loss_and_grads(params, batch, state=before)
        wanted = np.sqrt(sum(np.square(g.astype(np.float64)).sum() for g in grads.values()))
        step(batch, 0.01, state)
        assert step.norm == pytest.approx(wanted, rel=1e-5)
        state = step.state
