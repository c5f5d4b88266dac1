r"""Losses, each with its gradient at the outputs, for sequences (T, N, ·).

Each loss is first computed for every step t of every row n, and then reduced::

    L = Σ_t Σ_n w_{tn} ℓ_{tn}

The weights w say how, by the name of the reduction and the mask (M counts the steps that the mask keeps,
M_n those of row n):

=====================================  ========================
``"sum_over_time_and_batch"``          w = 1
``"mean_over_time_and_batch"``         w = 1 / M
``"sum_over_time_mean_over_batch"``    w = 1 / N
``"mean_over_time_sum_over_batch"``    w = 1 / M_n
=====================================  ========================

and w = 0 where the mask is False. There is no other factor anywhere: the gradient is that of L.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bptt.elementwise import sigmoid, softplus
from bptt.errors import ConfigError, ShapeError
from bptt.nets.reduced import Loss, expect_sequence, reduced, weights
from bptt.types import Array, Reduction

__all__ = ["LOSSES", "Loss", "LossFunction", "absolute_error", "cross_entropy", "quantile"]
__all__ += ["sigmoid_cross_entropy", "softmax", "squared_error", "weights"]


def cross_entropy(
    logits: Array,
    targets: Array,
    *,
    reduction: Reduction,
    mask: Array | None = None,
    out: Array | None = None,
    class_weights: Array | None = None,
    smoothing: float = 0.0,
) -> Loss:
    r"""Return the softmax cross-entropy, from logits, and its gradient.

    ::

        ℓ = -log p[target]     p = softmax(logits)     dlogits = w (p - onehot(target))

    and with class weights c both multiplied by c[target]. With smoothing ε the part ε of each target is
    spread over all V classes (Szegedy et al., "Rethinking the Inception architecture for computer vision",
    CVPR 2016, section 7)::

        L = Σ w Σ_k q_k (-log p_k)     q = (1 - ε) onehot(target) + ε / V     dlogits = w (p - q)

    `Loss.each` is ℓ all the same: what a model predicts is measured alike, however it is trained.
    The largest logit is subtracted first, so that nothing overflows.

    Parameters
    ----------
    logits : (T, N, V)
    targets : (T, N) integers in 0 .. V-1
    reduction : str
        See the module's text.
    mask : (T, N) bool, optional
        Which steps count.
    out : (T, N, V), optional
        Where to write the gradient; `logits` itself may be given, which saves its memory.
    class_weights : (V,), optional
        c, what each class's loss is multiplied by.
    smoothing : float in [0, 1)
        ε.

    Returns
    -------
    Loss

    Raises
    ------
    ShapeError
        If the shapes do not fit, a target is not in 0 .. V-1, or no step counts.
    ConfigError
        If `smoothing` is not in [0, 1).

    Examples
    --------
    >>> loss = cross_entropy(np.zeros((1, 1, 4)), np.array([[2]]), reduction="mean_over_time_and_batch")
    >>> round(float(loss.value), 4)
    1.3863
    >>> loss.grad
    array([[[ 0.25,  0.25, -0.75,  0.25]]])
    """
    if logits.ndim != 3:
        raise ShapeError(f"logits must be (T, N, V), got {logits.shape}")
    T, N, V = logits.shape
    targets = counted_targets(targets, (T, N), V, mask)
    w = weights((T, N), reduction, mask).astype(logits.real.dtype)
    c: Any = 1 if class_weights is None else class_weights[targets].astype(w.dtype)
    if out is not None and (out.shape, out.dtype) != (logits.shape, logits.dtype):
        raise ShapeError(
            f"cross_entropy: out must be as the logits, {logits.dtype} {logits.shape}, "
            f"got {out.dtype} {out.shape}"
        )
    expect_smoothing(smoothing)
    # shift, exp, sum, gradient, in one array
    right = (*np.indices((T, N)), targets)
    p = np.subtract(logits, logits.real.max(axis=2, keepdims=True), out=out, order="C")
    shifted = p[right]
    spread = shifted - p.mean(axis=2) if smoothing else None  # Σ q (-log p) = ℓ + ε spread
    np.exp(p, out=p)
    total = p.sum(axis=2)
    p *= (w * c / total)[..., None]
    p[right] -= (1 - smoothing) * w * c
    each = c * (np.log(total) - shifted)
    if spread is None:
        return reduced(each, p, w, mask)
    p -= (smoothing / V * w * c)[..., None]
    own = each if mask is None else np.where(mask, each, 0)
    return reduced(each + smoothing * c * spread, p, w, mask)._replace(each=own)


def squared_error(outputs: Array, targets: Array, *, reduction: Reduction, mask: Array | None = None) -> Loss:
    r"""Return half the squared error, summed over the K outputs, and its gradient.

    ::

        ℓ = ½ Σ_k (y_k - target_k)²     dy = w (y - target)

    Parameters
    ----------
    outputs, targets : (T, N, K)
    reduction : str
        See the module's text.
    mask : (T, N) bool, optional
        Which steps count.

    Examples
    --------
    >>> loss = squared_error(np.ones((2, 1, 1)), np.zeros((2, 1, 1)), reduction="sum_over_time_and_batch")
    >>> float(loss.value), loss.grad.ravel().tolist()
    (1.0, [1.0, 1.0])
    """
    T, N, targets = expect_sequence("outputs", outputs, targets)
    w = weights((T, N), reduction, mask).astype(outputs.real.dtype)
    error = outputs - targets
    each = 0.5 * (error * error).sum(axis=2)
    return reduced(each, w[..., None] * error, w, mask)


def absolute_error(
    outputs: Array, targets: Array, *, reduction: Reduction, mask: Array | None = None
) -> Loss:
    r"""Return the absolute error, summed over the K outputs, and its gradient: the best output is the median.

    ::

        ℓ = Σ_k |y_k - target_k|     dy = w sign(y - target), 0 where both are equal

    Parameters
    ----------
    outputs, targets : (T, N, K)
    reduction : str
        See the module's text.
    mask : (T, N) bool, optional
        Which steps count.

    Examples
    --------
    >>> y, target = np.full((1, 1, 2), 3.0), np.array([[[1.0, 4.0]]])
    >>> loss = absolute_error(y, target, reduction="sum_over_time_and_batch")
    >>> float(loss.value), loss.grad.ravel().tolist()
    (3.0, [1.0, -1.0])
    """
    T, N, targets = expect_sequence("outputs", outputs, targets)
    w = weights((T, N), reduction, mask).astype(outputs.real.dtype)
    error = outputs - targets
    sign = np.sign(error.real)
    return reduced((sign * error).sum(axis=2), w[..., None] * sign, w, mask)


def quantile(
    outputs: Array,
    targets: Array,
    *,
    reduction: Reduction,
    levels: Sequence[float] | None = None,
    mask: Array | None = None,
) -> Loss:
    r"""Return the quantile loss, summed over the levels, and its gradient: the best outputs are quantiles.

    ::

        ℓ = Σ_k (1 - τ_k) max(0, y_k - target) + τ_k max(0, target - y_k)
        dy_k = w (1 - τ_k) above the target, -w τ_k below, 0 where both are equal

    Koenker and Bassett, "Regression Quantiles" (Econometrica 1978); also called the pinball loss.

    Parameters
    ----------
    outputs : (T, N, K)
        One for each level.
    targets : (T, N, 1)
    reduction : str
        See the module's text.
    levels : K floats between 0 and 1, optional
        τ; by default in even steps, (k + ½) / K.
    mask : (T, N) bool, optional
        Which steps count.

    Examples
    --------
    >>> y, target = np.full((1, 1, 2), 3.0), np.full((1, 1, 1), 4.0)
    >>> loss = quantile(y, target, levels=(0.5, 0.9), reduction="sum_over_time_and_batch")
    >>> float(loss.value), loss.grad.ravel().tolist()
    (1.4, [-0.5, -0.9])
    """
    if targets.ndim != 3 or targets.shape[2] != 1:
        raise ShapeError(f"quantile: targets must be (T, N, 1), got {targets.shape}")
    K = outputs.shape[-1]
    T, N, targets = expect_sequence("outputs", outputs, np.broadcast_to(targets, (*targets.shape[:2], K)))
    tau = levels_of(K, levels).astype(outputs.real.dtype)
    if tau.shape != (K,):
        raise ShapeError(f"quantile: {K} outputs are for as many levels, got {len(tau)}")
    w = weights((T, N), reduction, mask).astype(outputs.real.dtype)
    error = outputs - targets
    slope = np.where(error.real > 0, 1 - tau, np.where(error.real < 0, -tau, 0 * error.real))
    return reduced((slope * error).sum(axis=2), w[..., None] * slope, w, mask)


def sigmoid_cross_entropy(
    logits: Array,
    targets: Array,
    *,
    reduction: Reduction,
    mask: Array | None = None,
    class_weights: Array | None = None,
) -> Loss:
    r"""Return the cross-entropy of K independent yes-or-no outputs, from logits, and its gradient.

    ::

        ℓ = Σ_k log(1 + exp(z_k)) - target_k z_k     dz = w (σ(z) - target)

    and with class weights c, each of which multiplies what a yes costs::

        ℓ = Σ_k -c_k target_k log σ(z_k) - (1 - target_k) log σ(-z_k)
        dz = w ((1 - target) σ(z) - c target σ(-z))

    Parameters
    ----------
    logits, targets : (T, N, K)
        Targets are probabilities, 0 .. 1; one that is not known, NaN, counts for nothing.
    reduction : str
        See the module's text.
    mask : (T, N) bool, optional
        Which steps count.
    class_weights : (K,), optional
        c.

    Examples
    --------
    >>> loss = sigmoid_cross_entropy(
    ...     np.zeros((1, 1, 2)), np.ones((1, 1, 2)), reduction="sum_over_time_and_batch"
    ... )
    >>> round(float(loss.value), 4), loss.grad.ravel().tolist()
    (1.3863, [-0.5, -0.5])
    """
    T, N, targets = expect_sequence("logits", logits, targets)
    w = weights((T, N), reduction, mask).astype(logits.real.dtype)
    known = targets == targets
    targets = np.where(known, targets, 0)
    above = logits.real > 0
    u = np.where(above, -logits, logits)  # -|z|: no two terms below are large and cancel
    s = sigmoid(u)
    if class_weights is None:
        each = (known * ((above - targets) * logits + softplus(u))).sum(axis=2)
        error = known * ((above - targets) + np.where(above, -s, s))
        return reduced(each, w[..., None] * error, w, mask)
    yes, no = class_weights.astype(w.dtype) * targets, 1 - targets  # what weighs each
    each = (known * ((yes + no) * softplus(u) + np.where(above, no, -yes) * logits)).sum(axis=2)
    error = known * np.where(above, no * (1 - s) - yes * s, no * s - yes * (1 - s))
    return reduced(each, w[..., None] * error, w, mask)


def levels_of(K: int, levels: Sequence[float] | None) -> Array:
    """Return a quantile's levels τ (K,): in even steps where they are not given."""
    return np.array((np.arange(K) + 0.5) / K if levels is None else levels, np.float64)


def expect_numbers(loss: str, targets: Array, shape: tuple[int, int, int]) -> None:
    """Raise a ShapeError unless targets are what outputs of a shape are compared with."""
    wanted, last = (shape, "K") if loss != "quantile" else ((*shape[:2], 1), "1")
    if targets.shape != wanted:
        raise ShapeError(f"{loss}: targets must be (T, N, {last}) = {wanted}, got {targets.shape}")


def counted_targets(targets: Array, shape: tuple[int, int], V: int, mask: Array | None) -> Array:
    """Return the targets, 0 where they do not count, or raise a ShapeError."""
    if targets.shape != shape or not np.issubdtype(targets.dtype, np.integer):
        raise ShapeError(
            f"cross_entropy: targets must be (T, N) = {shape} integers, got {targets.dtype} {targets.shape}"
        )
    if mask is not None and mask.shape == shape:
        targets = np.where(mask, targets, 0)
    if targets.size and not (targets.min() >= 0 and targets.max() < V):
        raise ShapeError(
            f"cross_entropy: targets must be in 0 .. V-1 = {V - 1}, got {targets.min()} .. {targets.max()}"
        )
    return targets


def expect_smoothing(smoothing: float) -> None:
    """Raise a ConfigError unless it can be a part of a target."""
    if not 0 <= smoothing < 1:
        raise ConfigError(f"label_smoothing must be at least 0 and below 1, got {smoothing}")


def softmax(logits: Array) -> Array:
    """Return exp(z) / Σ exp(z) over the last axis."""
    p: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p


class LossFunction(NamedTuple):
    """A loss that has a name: its function, what it makes of outputs when they are read, and its unit."""

    function: Callable[..., Loss]
    predict: Callable[[Array], Array]
    unit: str = "nats"

    def __call__(self, outputs: Array, targets: Array, **options: Any) -> Loss:
        """Return the loss and its gradient at the outputs."""
        return self.function(outputs, targets, **options)


LOSSES = {
    "cross_entropy": LossFunction(cross_entropy, softmax),
    "squared_error": LossFunction(squared_error, np.asarray, "half squared error"),
    "absolute_error": LossFunction(absolute_error, np.asarray, "absolute error"),
    "quantile": LossFunction(quantile, np.sort, "quantile loss"),  # sorted: a model's may cross
    "sigmoid_cross_entropy": LossFunction(sigmoid_cross_entropy, sigmoid),
}
"""The losses by the name that a model has."""
