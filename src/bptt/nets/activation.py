"""What the layers' outputs cost by themselves: activation regularisation.

::

    R = α mean h²  +  β mean (h_t - h_{t-1})²                                  over steps, rows and units
    dh_t = 2α/M h_t  +  2β/P ((h_t - h_{t-1}) - (h_{t+1} - h_t))               M, P: of how many the means are

Merity, McCann and Socher, "Revisiting activation regularization for language RNNs" (2017). h is what the
output reads, before its dropout; where the first mean of the paper is after dropout of p, on average it is
1 / (1 - p) as large. A step that the mask leaves out counts in neither mean, nor does a pair of steps with a
reset, or a chunk's border, between them.
"""

from typing import Any, TypeAlias

import numpy as np

from bptt.types import Array

Counts: TypeAlias = tuple[float, float]
"""M / H and P / H: of how many steps, and of how many pairs of steps, the means are."""


def counts(T: int, N: int, mask: Array | None = None, reset: Array | None = None) -> Counts:
    """Return how many steps of N rows there are, and pairs of neighbours; at least one.

    Examples
    --------
    >>> counts(3, 2, reset=np.array([[False, False], [True, False], [False, False]]))
    (6, 3)
    """
    steps, pairs = T * N if mask is None else int(mask.sum()), pairs_of(mask, reset)
    return max(1, steps), max(1, (T - 1) * N if pairs is None else int(pairs.sum()))


def penalty(
    h: Array,
    alpha: float,
    beta: float,
    mask: Array | None = None,
    reset: Array | None = None,
    of: Counts | None = None,
) -> tuple[Any, Array]:
    """Return R and its gradient at h.

    Parameters
    ----------
    h : (T, N, H)
        Zero where the mask is False.
    alpha, beta : float
    mask, reset : (T, N) bool, optional
        See :class:`bptt.Batch`.
    of : (float, float), optional
        Of what the means are, where these are some rows of a batch: its `counts`.

    Examples
    --------
    >>> penalty(np.array([[[1.0]], [[3.0]]]), alpha=1.0, beta=0.5)
    (7.0, array([[[-1.]],
    <BLANKLINE>
           [[ 5.]]]))
    """
    (a, b), pairs = numbers(h.shape, alpha, beta, mask, reset, of), pairs_of(mask, reset)
    dh = a * h
    if beta:
        d = b * (h[1:] - h[:-1])
        d = d if pairs is None else d * pairs
        dh[1:] += d
        dh[:-1] -= d
    value = np.sum(h * dh, dtype=np.result_type(h, np.float64)) / 2  # R is quadratic in h
    return value if np.iscomplexobj(value) else float(value), dh


def numbers(
    shape: tuple[int, ...],
    alpha: float,
    beta: float,
    mask: Array | None = None,
    reset: Array | None = None,
    of: Counts | None = None,
) -> Array:
    """Return 2α/M and 2β/P for an h of a shape, (2,); parameters are those of `penalty`."""
    T, N, H = shape
    found: Array = 2 * np.array([alpha, beta]) / (H * np.array(of or counts(T, N, mask, reset)))
    return found


def pairs_of(mask: Array | None, reset: Array | None) -> Array | None:
    """Return which steps have one before them that they go on from, (T - 1, N, 1) bool; None: all have."""
    if mask is None and reset is None:
        return None
    exists = np.ones_like(reset) if mask is None else mask
    pairs: Array = exists[1:] & exists[:-1] & (True if reset is None else ~reset[1:])
    return pairs[..., None]
