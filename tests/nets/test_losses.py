"""A loss's gradient is that of its value, its value is what its reduction says, and neither overflows."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest

from bptt.errors import ConfigError, ShapeError
from bptt.nets.losses import LOSSES, Loss, cross_entropy, sigmoid_cross_entropy, weights
from bptt.types import Array, Reduction
from gradcheck import assert_close, central_differences, complex_step

T, N, K = 4, 3, 5
# row 1 counts at one step alone, row 2 at none, step 2 for nobody
MASK = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)

EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)
REDUCTIONS = get_args(Reduction)
EVERY_REDUCTION = pytest.mark.parametrize("reduction", REDUCTIONS)
MASKED = pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
SUM: Reduction = "sum_over_time_and_batch"


def example(name: str, seed: int = 0) -> tuple[Array, Array]:
    """Return outputs and targets."""
    rng = np.random.default_rng(seed)
    outputs = 2 * rng.normal(size=(T, N, K))
    targets: dict[str, Array] = {
        "cross_entropy": rng.integers(K, size=(T, N)),
        "squared_error": rng.normal(size=(T, N, K)),
        "absolute_error": rng.normal(size=(T, N, K)),
        "quantile": rng.normal(size=(T, N, 1)),
        "sigmoid_cross_entropy": rng.random((T, N, K)),
    }
    return outputs, targets[name]


@EVERY_LOSS
@EVERY_REDUCTION
@MASKED
def test_gradient_is_that_of_the_value(name: str, reduction: Reduction, mask: Array | None) -> None:
    outputs, targets = example(name)

    def value(p: dict[str, Array]) -> Any:
        return LOSSES[name](p["y"], targets, reduction=reduction, mask=mask).value

    grads = {"y": LOSSES[name](outputs, targets, reduction=reduction, mask=mask).grad}
    assert_close(grads, complex_step(value, {"y": outputs}), 1e-13)
    assert_close(grads, central_differences(value, {"y": outputs}), 1e-8)


# The losses and their reductions as the papers write them, one step of one row at a time.

PLAINLY: dict[str, Callable[[Array, Any], float]] = {
    "cross_entropy": lambda z, target: -np.log(np.exp(z[target]) / sum(np.exp(z))),
    "squared_error": lambda y, target: sum((y - target) ** 2) / 2,
    "absolute_error": lambda y, target: sum(abs(y - target)),
    "quantile": lambda y, target: sum(
        max(tau * (target[0] - y_k), (tau - 1) * (target[0] - y_k))
        for tau, y_k in zip([0.1, 0.3, 0.5, 0.7, 0.9], y, strict=True)
    ),
    "sigmoid_cross_entropy": lambda z, target: (
        -sum(target * np.log(1 / (1 + np.exp(-z))) + (1 - target) * np.log(1 - 1 / (1 + np.exp(-z))))
    ),
}


@EVERY_LOSS
@EVERY_REDUCTION
@MASKED
def test_value_is_what_the_reduction_says(name: str, reduction: Reduction, mask: Array | None) -> None:
    outputs, targets = example(name)
    rows = [
        [PLAINLY[name](outputs[t, n], targets[t, n]) for t in range(T) if mask is None or mask[t, n]]
        for n in range(N)
    ]
    counted = sum(len(row) for row in rows)
    wanted = {
        "sum_over_time_and_batch": sum(sum(row) for row in rows),
        "mean_over_time_and_batch": sum(sum(row) for row in rows) / counted,
        "sum_over_time_mean_over_batch": sum(sum(row) for row in rows) / N,
        "mean_over_time_sum_over_batch": sum(sum(row) / len(row) for row in rows if row),
    }
    loss = LOSSES[name](outputs, targets, reduction=reduction, mask=mask)
    assert loss.value == pytest.approx(wanted[reduction], rel=1e-13)
    assert isinstance(loss.value, float)
    each = [[PLAINLY[name](outputs[t, n], targets[t, n]) for n in range(N)] for t in range(T)]
    wanted_each = each if mask is None else np.where(mask, each, 0)
    assert np.allclose(loss.each, wanted_each, rtol=1e-13, atol=0)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
def test_reductions_differ_by_their_factor_alone(mask: Array | None) -> None:
    """The gradient has the factor of its reduction once, and no other: no hidden 1/T, 1/N or 1/M."""
    outputs, targets = example("cross_entropy")
    summed = cross_entropy(outputs, targets, reduction=SUM, mask=mask).grad
    M = T * N if mask is None else 4
    rows = np.array([T, T, T] if mask is None else [3, 1, 1])  # a row of no steps has no gradient to scale
    factors = {
        "mean_over_time_and_batch": 1 / M,
        "sum_over_time_mean_over_batch": 1 / N,
        "mean_over_time_sum_over_batch": 1 / rows[:, None],
    }
    for reduction, factor in factors.items():
        grad = LOSSES["cross_entropy"](outputs, targets, reduction=reduction, mask=mask).grad
        assert np.allclose(grad, factor * summed, rtol=1e-14, atol=0), reduction


@EVERY_LOSS
@EVERY_REDUCTION
def test_what_is_masked_counts_for_nothing(name: str, reduction: Reduction) -> None:
    outputs, targets = example(name)
    others, other_targets = example(name, seed=1)
    where = MASK[..., None]
    first = LOSSES[name](outputs, targets, reduction=reduction, mask=MASK)
    changed = np.where(where if targets.ndim == 3 else MASK, targets, other_targets)
    second = LOSSES[name](np.where(where, outputs, 1e3 * others), changed, reduction=reduction, mask=MASK)
    assert first.value == second.value
    assert np.array_equal(first.grad, second.grad)
    assert not first.grad[~MASK].any()
    assert first.grad[MASK].all()


@EVERY_LOSS
@EVERY_REDUCTION
@MASKED
def test_dtype_is_kept(name: str, reduction: Reduction, mask: Array | None) -> None:
    outputs, targets = example(name)
    wanted = LOSSES[name](outputs, targets, reduction=reduction, mask=mask)
    small = targets if name == "cross_entropy" else targets.astype(np.float32)
    loss = LOSSES[name](outputs.astype(np.float32), small, reduction=reduction, mask=mask)
    assert {loss.grad.dtype, loss.each.dtype} == {np.dtype(np.float32)}
    assert loss.value == pytest.approx(wanted.value, rel=1e-6)
    assert np.allclose(loss.grad, wanted.grad, rtol=1e-5, atol=1e-7)


@EVERY_LOSS
def test_nothing_given_is_changed(name: str) -> None:
    outputs, targets = example(name)
    before = outputs.copy(), targets.copy(), MASK.copy()
    loss = LOSSES[name](outputs, targets, reduction=SUM, mask=MASK)
    assert all(np.array_equal(a, b) for a, b in zip(before, (outputs, targets, MASK), strict=True))
    assert not any(np.shares_memory(loss.grad, array) for array in (outputs, targets))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e4, -1e4, 1e30])
def test_large_logits_do_not_overflow(dtype: type, scale: float) -> None:
    logits = np.array([[[0, 1, -1], [1, 1, 0]]], dtype) * dtype(scale)
    top = logits.max(axis=2)
    for target in range(3):
        targets = np.full((1, 2), target)
        loss = cross_entropy(logits, targets, reduction=SUM)
        # softmax is shared out among the largest logits, exp of the differences being zero
        p = (logits == top[..., None]) / (logits == top[..., None]).sum(axis=2, keepdims=True)
        each = top - logits[..., target] + np.log((logits == top[..., None]).sum(axis=2))
        assert np.allclose(loss.each, each, rtol=1e-6)
        assert np.allclose(loss.grad, p - np.eye(3)[targets], rtol=1e-6)
        assert np.isfinite(loss.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", [0, 1])
def test_large_single_logits_do_not_overflow(dtype: type, target: int) -> None:
    z: Array = np.array([[[1e4], [-1e4], [0], [1e30], [-1e30]]], dtype)
    targets: Array = np.full(z.shape, target, dtype)
    loss = LOSSES["sigmoid_cross_entropy"](z, targets, reduction=SUM)
    p = np.where(z == 0, 0.5, z > 0)
    assert np.array_equal(loss.grad, p - target)
    assert np.allclose(loss.each, np.where(z == 0, np.log(2), np.maximum(0, -z if target else z))[..., 0])


@EVERY_REDUCTION
@MASKED
def test_class_weights_are_what_a_yes_costs(reduction: Reduction, mask: Array | None) -> None:
    z, targets = example("sigmoid_cross_entropy")
    how: dict[str, Any] = {"reduction": reduction, "mask": mask}
    c = np.linspace(0.3, 4, K)

    def value(p: dict[str, Array]) -> Any:
        return sigmoid_cross_entropy(p["y"], targets, class_weights=c, **how).value

    loss = sigmoid_cross_entropy(z, targets, class_weights=c, **how)
    assert_close({"y": loss.grad}, complex_step(value, {"y": z}), 1e-13)
    p = 1 / (1 + np.exp(-z))
    each = -(c * targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=2)
    np.testing.assert_allclose(loss.each, each if mask is None else np.where(mask, each, 0))
    ones = sigmoid_cross_entropy(z, targets, class_weights=np.ones(K), **how)
    np.testing.assert_allclose(ones.grad, sigmoid_cross_entropy(z, targets, **how).grad, atol=1e-15)
    far = sigmoid_cross_entropy(
        np.array([[[1e30, -1e30]]]), np.zeros((1, 1, 2)), reduction=SUM, class_weights=c[:2]
    )
    assert far.grad.tolist() == [[[1.0, 0.0]]]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_yes_or_no_that_is_not_known_counts_for_nothing(weighted: bool) -> None:
    z, targets = example("sigmoid_cross_entropy")
    c = np.linspace(0.3, 4, K) if weighted else None
    gone = np.random.default_rng(2).random(z.shape) < 0.4
    loss = sigmoid_cross_entropy(z, np.where(gone, np.nan, targets), reduction=SUM, class_weights=c)
    whole = sigmoid_cross_entropy(z, targets, reduction=SUM, class_weights=c)
    assert np.array_equal(loss.grad, np.where(gone, 0, whole.grad))
    p, w = 1 / (1 + np.exp(-z)), np.ones(K) if c is None else c
    each = -(w * targets * np.log(p) + (1 - targets) * np.log(1 - p))
    np.testing.assert_allclose(loss.each, np.where(gone, 0, each).sum(axis=2))


def test_cross_entropy_does_not_see_a_shift() -> None:
    logits, targets = example("cross_entropy")
    plain, shifted = (cross_entropy(logits + shift, targets, reduction=SUM) for shift in (0, 2.0**20))
    assert shifted.value == pytest.approx(plain.value, rel=1e-8)
    assert np.allclose(shifted.grad, plain.grad, rtol=0, atol=1e-8)


def test_small_losses_keep_their_digits() -> None:
    """Log p where p is all but one, and its gradient, to relative precision."""
    z = np.array([[[40.0]]])
    loss = LOSSES["sigmoid_cross_entropy"](-z, 0 * z, reduction=SUM)
    assert loss.value == pytest.approx(np.exp(-40), rel=1e-12, abs=0)
    assert loss.grad.item() == pytest.approx(np.exp(-40), rel=1e-12, abs=0)


# ---------------------------------------------------------------------- out, order in memory


@EVERY_REDUCTION
@MASKED
def test_gradient_may_take_the_place_of_the_logits(reduction: Reduction, mask: Array | None) -> None:
    logits, targets = example("cross_entropy")
    wanted = cross_entropy(logits, targets, reduction=reduction, mask=mask)
    elsewhere = np.full_like(logits, np.nan)
    for out in (elsewhere, logits):
        loss = cross_entropy(logits, targets, reduction=reduction, mask=mask, out=out)
        assert loss.value == wanted.value
        assert np.array_equal(loss.grad, wanted.grad)
        assert np.array_equal(out, wanted.grad)
        assert np.shares_memory(out, loss.grad)
    assert np.array_equal(logits, wanted.grad)


def test_order_in_memory_does_not_matter() -> None:
    logits, targets = example("cross_entropy")
    wanted = cross_entropy(logits, targets, reduction=SUM, mask=MASK)
    turned = [np.asfortranarray(array) for array in (logits, targets, MASK)]
    loss = cross_entropy(turned[0], turned[1], reduction=SUM, mask=turned[2])
    assert loss.value == wanted.value
    assert np.array_equal(loss.grad, wanted.grad)


def test_out_is_written_whatever_its_order_in_memory() -> None:
    logits, targets = example("cross_entropy")
    out = np.zeros((N, T, K)).swapaxes(0, 1)
    wanted = cross_entropy(logits, targets, reduction=SUM).grad
    assert np.shares_memory(cross_entropy(logits, targets, reduction=SUM, out=out).grad, out)
    assert np.array_equal(out, wanted)


# ---------------------------------------------------------------------- what does not fit

y, tokens, z = np.zeros((T, N, K)), np.zeros((T, N), int), np.zeros
WRONG: dict[str, tuple[str, tuple[Any, Any], dict[str, Any], str]] = {
    "target too large": ("cross_entropy", (y, tokens + K), {}, "in 0 .. V-1 = 4, got 5 .. 5"),
    "target negative": ("cross_entropy", (y, tokens - 1), {}, "in 0 .. V-1 = 4, got -1 .. -1"),
    "one-hot targets": (
        "cross_entropy",
        (y, y),
        {},
        "must be (T, N) = (4, 3) integers, got float64 (4, 3, 5)",
    ),
    "float targets": ("cross_entropy", (y, z((T, N))), {}, "(4, 3) integers, got float64 (4, 3)"),
    "batch-major targets": ("cross_entropy", (y, tokens.T), {}, "(T, N) = (4, 3) integers, got"),
    "flat logits": ("cross_entropy", (y.reshape(-1, K), tokens), {}, "logits must be (T, N, V), got (12, 5)"),
    "flat outputs": ("squared_error", (y[0], y[0]), {}, "outputs must be (T, N, ·), got (3, 5)"),
    "targets of one output": ("squared_error", (y, y[..., :1]), {}, "(4, 3, 5); got (4, 3, 1)"),
    "targets of every level": ("quantile", (y, y), {}, "targets must be (T, N, 1), got (4, 3, 5)"),
    "levels of other outputs": (
        "quantile",
        (y, y[..., :1]),
        {"levels": [0.5]},
        "5 outputs are for as many levels, got 1",
    ),
    "targets without K": ("sigmoid_cross_entropy", (y, tokens), {}, "of the logits, (4, 3, 5); got (4, 3)"),
}
WRONG |= {
    f"mask of {what}: {name}": (name, example(name), {"mask": mask}, text)
    for name in LOSSES
    for what, mask, text in (
        ("no steps", z((T, N), bool), "mask keeps no step"),
        ("another shape", z((N, T), bool), "mask must be (T, N) = (4, 3) bool, got bool (3, 4)"),
        ("rows", np.ones(N, bool), "mask must be (T, N) = (4, 3) bool, got bool (3,)"),
    )
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_told(what: str) -> None:
    name, given, options, text = WRONG[what]
    with pytest.raises(ShapeError) as told:
        LOSSES[name](*given, reduction=SUM, **options)
    assert text in str(told.value)


@EVERY_LOSS
def test_unknown_reduction_is_told_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=r"reduction must be one of sum_over_time_and_batch, .*got 'mean'"):
        LOSSES[name](*example(name), reduction="mean")


def test_mask_must_be_bool() -> None:
    with pytest.raises(ShapeError, match="bool"):
        weights((T, N), SUM, np.full((T, N), 2))


@pytest.mark.parametrize("name", ["absolute_error", "quantile"])
def test_gradient_at_a_kink_is_zero(name: str) -> None:
    loss = LOSSES[name](y, y[..., :1] if name == "quantile" else y, reduction=SUM)
    assert loss.value == 0
    assert not loss.grad.any()


def test_a_constant_that_minimises_the_quantile_loss_is_the_quantile() -> None:
    drawn = np.random.default_rng(0).normal(size=(999, 1, 1))
    levels = np.array([0.1, 0.5, 0.9])
    at = np.broadcast_to(np.quantile(drawn, levels), (999, 1, 3))
    best = LOSSES["quantile"](at, drawn, levels=levels, reduction=SUM)
    for shift in (-0.05, 0.05):
        assert best.value < LOSSES["quantile"](at + shift, drawn, levels=levels, reduction=SUM).value
    assert np.all(abs(best.grad.sum(axis=(0, 1))) <= 1)  # of 999 values, one may be at the kink


def test_quantiles_are_read_in_rising_order() -> None:
    assert LOSSES["quantile"].predict(np.array([[[3.0, 1.0, 2.0]]])).tolist() == [[[1.0, 2.0, 3.0]]]


# ---------------------------------------------------------------------- torch


@EVERY_REDUCTION
@MASKED
@EVERY_LOSS
def test_torch_agrees(name: str, reduction: Reduction, mask: Array | None) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    outputs, targets = example(name)
    ours: Loss = LOSSES[name](outputs, targets, reduction=reduction, mask=mask)

    y, on = torch.tensor(outputs, requires_grad=True), torch.tensor(targets)
    if name == "cross_entropy":
        each = functional.cross_entropy(y.permute(0, 2, 1), on, reduction="none")
    elif name == "squared_error":
        each = functional.mse_loss(y, on, reduction="none").sum(2) / 2
    elif name == "absolute_error":
        each = functional.l1_loss(y, on, reduction="none").sum(2)
    elif name == "quantile":  # it has none
        tau = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
        each = torch.maximum(tau * (on - y), (tau - 1) * (on - y)).sum(2)
    else:
        each = functional.binary_cross_entropy_with_logits(y, on, reduction="none").sum(2)
    value = (torch.tensor(weights((T, N), reduction, mask)) * each).sum()
    value.backward()
    assert ours.value == pytest.approx(value.item(), rel=1e-13)
    assert_close({"y": ours.grad}, {"y": y.grad.numpy()}, 1e-13)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("junk", [np.nan, -1.0])
def test_what_stands_at_steps_that_do_not_count_has_no_influence(name: str, junk: float) -> None:
    outputs, targets = example(name)
    before = LOSSES[name](outputs, targets, reduction=SUM, mask=MASK)
    outputs[~MASK] = junk
    targets[~MASK] = -1 if name == "cross_entropy" else junk
    after = LOSSES[name](outputs, targets, reduction=SUM, mask=MASK)
    assert before.value == after.value
    assert np.array_equal(before.grad, after.grad)
    assert not after.grad[~MASK].any()


@pytest.mark.parametrize("name", ["squared_error", "sigmoid_cross_entropy"])
def test_targets_do_not_widen_the_gradient(name: str) -> None:
    outputs, targets = example(name)
    assert LOSSES[name](outputs.astype(np.float32), targets, reduction=SUM).grad.dtype == np.float32
