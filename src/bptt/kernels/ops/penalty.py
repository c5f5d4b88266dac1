"""What the layers' outputs cost by themselves, as works; :mod:`bptt.nets.activation` has the equations."""

import numpy as np

from bptt.kernels.ops import rows
from bptt.kernels.ops.errors import row_sums
from bptt.kernels.ops.update import update
from bptt.kernels.runtime import memory
from bptt.types import Array


def penalty(h: Array, numbers: Array, pairs: Array | None, *, temporal: bool) -> tuple[Array, Array]:
    """Return each row's part of R, and R's gradient at h.

    Parameters
    ----------
    h : (T, N, H)
        float32 or float64, without gaps.
    numbers : (2,)
        2α/M and 2β/P, float64.
    pairs : (T - 1, N, 1), optional
        Of h's dtype: 1 where a step goes on from the one before it, else 0; by default all do.
    temporal : bool
        Whether there is a β.

    Returns
    -------
    each : (T N,)
    dh : (T, N, H)

    Examples
    --------
    >>> penalty(np.array([[[1.0]], [[3.0]]]), np.array([1.0, 1.0]), None, temporal=True)
    (array([-0.5,  7.5]), array([[[-1.]],
    <BLANKLINE>
           [[ 5.]]]))
    """
    dh, each = memory.empty(h.shape, h.dtype), memory.empty(h.shape, h.dtype)
    update(("g = a*h",), {"g": dh, "h": h}, ("a",), numbers[:1])
    if temporal and len(h) > 1:
        now, before = h[1:], h[:-1]
        d = memory.empty(now.shape, h.dtype)
        update(("d = b*(u - v)",), {"d": d, "u": now, "v": before}, ("b",), numbers[1:])
        d = d if pairs is None else rows.multiply(d, np.broadcast_to(pairs, d.shape))
        update(("g = g + d",), {"g": dh[1:], "d": d})
        update(("g = g - d",), {"g": dh[:-1], "d": d})
    update(("e = 0.5*h*g",), {"e": each, "h": h, "g": dh})
    return row_sums(each.reshape(-1, h.shape[-1])), dh
