"""What every loss has in common: the weights of its steps, and what they add up to."""

from typing import Any, NamedTuple, get_args

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.types import Array, Reduction


class Loss(NamedTuple):
    """A loss and its gradient.

    Attributes
    ----------
    value : scalar
        L, in nats for the cross-entropies: what is differentiated.
    grad : (T, N, ·)
        dL at the outputs.
    each : (T, N)
        ℓ at every step, before weights and without smoothing; zero where the mask is False.
    """

    value: Any
    grad: Array
    each: Array


def weights(shape: tuple[int, int], reduction: Reduction, mask: Array | None = None) -> Array:
    """Return w (T, N), what each step's loss counts in the whole.

    Examples
    --------
    >>> weights((2, 2), "mean_over_time_sum_over_batch", np.array([[True, True], [True, False]]))
    array([[0.5, 1. ],
           [0.5, 0. ]])
    """
    if reduction not in get_args(Reduction):
        raise ConfigError(f"reduction must be one of {', '.join(get_args(Reduction))}; got {reduction!r}")
    if mask is not None and (mask.shape != shape or mask.dtype != np.bool_):
        raise ShapeError(f"the loss's mask must be (T, N) = {shape} bool, got {mask.dtype} {mask.shape}")
    w: Array = np.ones(shape) if mask is None else mask.astype(np.float64)
    kept = w.sum(axis=0)
    if not kept.any():
        raise ShapeError("the loss's mask keeps no step: there is nothing to take the loss of")
    if reduction == "mean_over_time_and_batch":
        w /= kept.sum()
    elif reduction == "sum_over_time_mean_over_batch":
        w /= shape[1]
    elif reduction == "mean_over_time_sum_over_batch":
        w /= np.maximum(kept, 1)
    return w


def expect_sequence(name: str, outputs: Array, targets: Array) -> tuple[int, int, Array]:
    """Return T, N and the targets in the outputs' precision."""
    if outputs.ndim != 3:
        raise ShapeError(f"{name} must be (T, N, ·), got {outputs.shape}")
    if targets.shape != outputs.shape:
        raise ShapeError(f"targets must have the shape of the {name}, {outputs.shape}; got {targets.shape}")
    T, N, _ = outputs.shape
    return T, N, targets if np.iscomplexobj(targets) else targets.astype(outputs.real.dtype, copy=False)


def reduced(each: Array, grad: Array, w: Array, mask: Array | None) -> Loss:
    """Return the loss, of its steps and of their gradients with their weights."""
    if mask is not None:  # whatever stands at the steps that do not count, nan too
        each[~mask] = 0
        grad[~mask] = 0
    # summed in double precision whatever the arrays are: a sum over 100,000 steps keeps its digits
    value = np.sum(w * each, dtype=np.result_type(each, np.float64))
    return Loss(value if np.iscomplexobj(value) else float(value), grad, each)
