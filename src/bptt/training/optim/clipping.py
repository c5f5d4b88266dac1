"""Gradient clipping: each entry, or the norm of all together; in place."""

import math
from collections.abc import Iterator

import numpy as np

from bptt.errors import ConfigError
from bptt.kernels.backends import Backend, uses_kernels
from bptt.training.optim.blocks import blocks
from bptt.types import Array, Params


def clip_values(grads: Params, limit: float) -> int:
    """Clip each entry to [-limit, limit], in place, and return how many were beyond; nan stays nan.

    Parameters
    ----------
    grads : dict of real arrays
    limit : float above 0
        ConfigError if it is not. inf clips nothing.

    Examples
    --------
    >>> import numpy as np
    >>> grads = {"w": np.array([-7.0, 0.5, 6.0])}
    >>> clip_values(grads, 5.0), grads["w"]
    (2, array([-5. ,  0.5,  5. ]))
    """
    limit, clipped = _positive(limit), 0
    with np.errstate(over="ignore"):  # a limit beyond float32 is inf there
        for block in _all_blocks(grads):
            clipped += int(np.count_nonzero(np.abs(block) > limit))
            np.clip(block, -limit, limit, out=block)
    return clipped


def clip_norm(grads: Params, limit: float, backend: Backend = "auto") -> float:
    """Scale all gradients by limit / max(limit, ‖g‖), in place, and return the norm ‖g‖ before.

    Where the norm is inf or nan the gradients stay as they are: no factor mends them. Pascanu, Mikolov
    and Bengio, "On the difficulty of training recurrent neural networks" (ICML 2013).

    Parameters
    ----------
    grads : dict of real arrays
    limit : float above 0
        ConfigError if it is not. inf scales nothing.

    Examples
    --------
    >>> import numpy as np
    >>> grads = {"U": np.array([[3.0]]), "b": np.array([4.0])}
    >>> clip_norm(grads, 1.0), grads
    (5.0, {'U': array([[0.6]]), 'b': array([0.8])})
    """
    limit, norm = _positive(limit), global_norm(grads, backend)
    if limit < norm < math.inf:
        for g in grads.values():
            g *= limit / norm
    return norm


def global_norm(arrays: Params, backend: Backend = "auto") -> float:
    """Return the l2 norm of all entries of all arrays together; nan if any of them is.

    Summed in float64 and in units of the largest entry, so that no square overflows, and to the same
    bits whatever the number of threads and the order of the names.

    Examples
    --------
    >>> import numpy as np
    >>> global_norm({"U": np.full((2, 2), 2.0**126, np.float32)}) == 2.0**127
    True
    """
    if arrays and all(
        a.flags.c_contiguous and a.dtype == np.float32 and uses_kernels(backend, a.dtype)
        for a in arrays.values()
    ):
        from bptt.kernels.ops.update import squares

        # of float32 no square overflows a float64
        return math.sqrt(math.fsum(squares(list(arrays.values())).tolist()))
    peak = float(np.max([0.0, *(np.abs(block).max() for block in _all_blocks(arrays))]))
    if peak == 0 or not math.isfinite(peak):
        return peak
    scaled = (np.divide(block.astype(np.float64), peak) for block in _all_blocks(arrays))
    return peak * math.sqrt(math.fsum(np.square(block).sum() for block in scaled))


def _positive(limit: float) -> float:
    if not limit > 0:
        raise ConfigError(f"clip: limit must be above 0, got {limit!r}; to clip nothing, leave it out")
    return float(limit)


def _all_blocks(arrays: Params) -> Iterator[Array]:
    return (block for array in arrays.values() for (block,) in blocks(array))
