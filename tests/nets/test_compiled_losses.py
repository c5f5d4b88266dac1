"""Losses of numbers, and means over steps, by compiled code and in a program: those of the reference."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.layer import threads
from bptt.types import Array, Params
from poison import poison

LOSSES: dict[str, dict[str, Any]] = {
    "squared_error": {},
    "absolute_error": {},
    "quantile": {"quantiles": (0.1, 0.5, 0.8)},
    "sigmoid_cross_entropy": {},
    "weighted": {"class_weights": (1.0, 2.5, 0.3)},
}
TOLERANCE = {"float64": 1e-13, "float32": 3e-6}
K = 3


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has written is no number."""
    poison(monkeypatch)


def case(name: str, dtype: str, masked: bool, **model: Any) -> tuple[dict[str, Any], bptt.Batch]:
    """Return what a model is made of, and a batch; targets that do not count are no numbers."""
    loss = name if name != "weighted" else "sigmoid_cross_entropy"
    rng, (T, N, D) = np.random.default_rng(len(name)), (5, 3, 4)
    x = rng.normal(size=(T, N, D)).astype(dtype)
    mask = np.arange(T)[:, None] < np.array([5, 2, 4]) if masked else None
    steps = T if model.get("pool") is None else 1
    targets = rng.normal(size=(steps, N, 1 if loss == "quantile" else K))
    if loss == "sigmoid_cross_entropy":
        targets = np.where(rng.random(targets.shape) < 0.3, np.nan, rng.random(targets.shape))
    if mask is not None and steps == T:
        targets[~mask] = np.nan
    shape = {"inputs": D, "outputs": K, "hidden": 6, "token_inputs": False, "loss": loss}
    return shape | LOSSES[name] | model, bptt.Batch(x, targets.astype(dtype), mask=mask)


def found(model: bptt.Model, params: Params, batch: bptt.Batch) -> dict[str, Array]:
    """Return all that a step finds, and an evaluation."""
    back, (each, state) = model.backprop(params, batch), model.losses(params, batch)
    grads = {f"d.{name}": array for name, array in back.grads.params.items()}
    assert back.grads.inputs is not None
    grads |= {"dx": back.grads.inputs, "loss": np.array(back.loss), "each": back.each, "alone": each}
    return grads | {f"last.{name}": array for name, array in state.items()}


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_numbers_is_the_references(name: str, dtype: str, masked: bool) -> None:
    for pool in (None, "last", "mean"):
        made, batch = case(name, dtype, masked, pool=pool)
        right, fast = (bptt.Model(**made, backend=backend) for backend in ("reference", "cpu"))
        params = right.init(np.random.default_rng(1), np.dtype(dtype))
        wanted, runs = found(right, params, batch), [found(fast, params, batch) for _ in range(4)]
        assert not fast._planned.reasons
        for key, array in wanted.items():
            np.testing.assert_allclose(runs[0][key], array, rtol=0, atol=TOLERANCE[dtype], err_msg=key)
            for run in runs[1:]:  # the last ones by a program
                assert run[key].tobytes() == runs[0][key].tobytes(), key


def test_the_bits_are_those_of_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for count in (1, 2, 3, 4):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        for name in LOSSES:
            made, batch = case(name, "float32", True, pool="mean", bidirectional=True)
            model = bptt.Model(**made)
            runs.append((name, found(model, model.init(np.random.default_rng(1)), batch)))
    for k, (name, run) in enumerate(runs):
        assert all(run[key].tobytes() == a.tobytes() for key, a in runs[k % len(LOSSES)][1].items()), name


def test_a_step_of_training_is_a_program() -> None:
    made, batch = case("squared_error", "float32", False, pool="mean")
    model = bptt.Model(**made)
    params = model.init(np.random.default_rng(1))
    step = bptt.Step(model, params, bptt.optim.Adam())
    losses = [step(batch, lr=0.01) for _ in range(30)]
    assert losses[-1] < losses[0] / 2
    assert len(step._forms) == 1


def test_targets_of_another_shape_are_refused() -> None:
    for name, wanted in (("squared_error", "(5, 3, 3)"), ("quantile", "(5, 3, 1)")):
        made, batch = case(name, "float32", True)
        model = bptt.Model(**made)
        params = model.init(np.random.default_rng(1))
        wrong = bptt.Batch(batch.inputs, batch.targets[:, :, :1].repeat(2, 2), mask=batch.mask)
        with pytest.raises(bptt.ShapeError, match="targets") as caught:
            model.backprop(params, wrong)
        assert wanted in str(caught.value)


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "quantile"])
def test_a_target_that_is_no_number_where_it_counts_is_seen_in_the_gradient_too(name: str) -> None:
    made, batch = case(name, "float64", False)
    assert batch.targets is not None
    batch.targets[1, 2, 0] = np.nan
    for backend in ("reference", "cpu"):
        model = bptt.Model(**made, backend=backend)
        run = model.backprop(model.init(np.random.default_rng(1), np.float64), batch)
        assert np.isnan(run.loss)
        assert np.isnan(run.grads.params["output.b"][0])
