"""Label smoothing: its definition step by step, its gradient; and what is reported stays the loss itself."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from bptt import Batch, Model
from bptt.errors import ConfigError
from bptt.nets.losses import cross_entropy, weights
from bptt.types import Array, Params, Reduction
from gradcheck import assert_close, central_differences, complex_step
from model_cases import MASK, MODELS, case

T, N, K = 4, 2, 5
PART = 0.3
REDUCTIONS = pytest.mark.parametrize("reduction", get_args(Reduction))
MASKED = pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
CLASSES = np.array([0.5, 2.0, 1.0, 3.0, 0.1])


def example() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return 2 * rng.normal(size=(T, N, K)), rng.integers(K, size=(T, N))


@REDUCTIONS
@MASKED
@pytest.mark.parametrize("c", [None, CLASSES], ids=["", "classes"])
def test_a_target_s_part_is_spread_over_all(
    reduction: Reduction, mask: Array | None, c: Array | None
) -> None:
    z, targets = example()
    told: dict[str, Any] = {"reduction": reduction, "mask": mask, "class_weights": c}
    loss = cross_entropy(z, targets, smoothing=PART, **told)
    w = weights((T, N), reduction, mask)
    value = 0.0
    for t, n in np.ndindex(T, N):
        log_p = z[t, n] - np.log(np.exp(z[t, n]).sum())
        q = np.full(K, PART / K)
        q[targets[t, n]] += 1 - PART
        value -= w[t, n] * (1 if c is None else c[targets[t, n]]) * (q @ log_p)
    assert loss.value == pytest.approx(value, rel=1e-13)
    plain = cross_entropy(z, targets, **told)
    np.testing.assert_allclose(loss.each, plain.each, rtol=0, atol=1e-14)

    def of(p: Params) -> Any:
        return cross_entropy(p["z"], targets, smoothing=PART, **told).value

    assert_close({"z": loss.grad}, complex_step(of, {"z": z}), 1e-13)
    assert_close({"z": loss.grad}, central_differences(of, {"z": z}), 1e-8)


def test_none_is_the_same_bits_and_what_does_not_count_has_no_influence() -> None:
    z, targets = example()
    told: dict[str, Any] = {"reduction": "mean_over_time_and_batch", "mask": MASK}
    plain, none = cross_entropy(z, targets, **told), cross_entropy(z, targets, smoothing=0.0, **told)
    assert plain.value == none.value
    np.testing.assert_array_equal(plain.grad, none.grad)
    wanted = cross_entropy(z, targets, smoothing=PART, **told)
    z[~MASK] = np.nan
    for out in (None, z):
        found = cross_entropy(z, targets, smoothing=PART, out=out, **told)
        assert found.value == wanted.value
        np.testing.assert_array_equal(found.grad, wanted.grad)
        np.testing.assert_array_equal(found.each, wanted.each)


@MASKED
def test_torch_smooths_alike(mask: Array | None) -> None:
    torch = pytest.importorskip("torch")
    z, targets = example()
    ours = cross_entropy(z, targets, reduction="mean_over_time_and_batch", mask=mask, smoothing=PART)
    y, counts = torch.tensor(z, requires_grad=True), np.ones((T, N), bool) if mask is None else mask
    on = torch.tensor(np.where(counts, targets, -100))
    value = torch.nn.functional.cross_entropy(y.flatten(0, 1), on.flatten(), label_smoothing=PART)
    value.backward()
    assert ours.value == pytest.approx(value.item(), rel=1e-13)
    assert_close({"z": ours.grad}, {"z": y.grad.numpy()}, 1e-13)


@pytest.mark.parametrize("name", ["embedding, folded", "tied, unfolded", "no output bias", "3 layers"])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_every_gradient_of_a_smoothed_model(name: str, backend: Any) -> None:
    c = case(**MODELS[name], label_smoothing=PART)
    params, inputs, state, _ = c.parts(c.arrays)
    batch = Batch(inputs, c.targets, mask=MASK)
    found = replace(c.model, backend=backend).backprop(params, batch, state)

    def of(params: Params) -> Any:
        return replace(c.model, backend="reference").backprop(params, batch, state).loss

    assert_close({"loss": np.array(found.loss)}, {"loss": np.array(of(params))}, 1e-13)
    assert_close(found.grads.params, complex_step(of, params), 1e-12)
    assert_close(found.grads.params, central_differences(of, params), 1e-6)
    plain = replace(c.model, label_smoothing=0.0, backend=backend)
    wanted = plain.backprop(params, batch, state)
    assert abs(found.loss - wanted.loss) > 1e-3
    np.testing.assert_allclose(found.each, wanted.each, rtol=0, atol=1e-13)
    smoothed, _ = replace(c.model, backend=backend).losses(params, batch, state=state)
    np.testing.assert_array_equal(smoothed, plain.losses(params, batch, state=state)[0])


def test_what_means_nothing_is_told() -> None:
    with pytest.raises(ConfigError, match="label_smoothing must be at least 0 and below 1, got 1"):
        Model(inputs=2, outputs=2, hidden=2, label_smoothing=1.0)
    with pytest.raises(ConfigError, match="label_smoothing is for the loss cross_entropy, not squared_error"):
        Model(inputs=2, outputs=2, hidden=2, label_smoothing=0.1, loss="squared_error")


@pytest.mark.parametrize("own", [{"label_smoothing": PART}, {"activation_penalty": 2.0}])
def test_a_step_that_is_repeated_gives_the_same_bits(own: dict[str, Any]) -> None:
    """After some steps of the same shapes a smoothed one is a program; one with a cost is not."""
    rng = np.random.default_rng(0)
    model = Model(inputs=9, outputs=9, hidden=16, embedding=6, backend="cpu", **own)
    params, tokens = model.init(rng), rng.integers(9, size=(8, 3))
    first, *others = (model.backprop(params, Batch(tokens[:-1], tokens[1:])) for _ in range(5))
    for other in others:
        assert other.loss == first.loss
        np.testing.assert_array_equal(other.each, first.each)
        for name, array in first.grads.params.items():
            np.testing.assert_array_equal(other.grads.params[name], array)
