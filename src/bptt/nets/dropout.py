"""Dropout: the same factors on the way forward and back.

One draw for each step of each row (Zaremba et al. 2014), or one for each row that all of its steps share, the
variational dropout of Gal and Ghahramani 2016.
"""

from typing import Literal, TypeAlias, get_args

import numpy as np

from bptt.errors import ConfigError
from bptt.types import Array, Dtype, Generator

Per: TypeAlias = Literal["step", "sequence"]
"""What has a draw of its own: each step, or each row of a batch."""


def expect_part(name: str, p: float) -> None:
    """Raise a ConfigError unless p can be the part that is dropped."""
    if not 0 <= p < 1:
        raise ConfigError(f"{name} must be at least 0 and below 1, got {p}")


def expect_per(per: str) -> None:
    """Raise a ConfigError unless something has a draw of its own."""
    if per not in get_args(Per):
        raise ConfigError(f"dropout_per must be one of {', '.join(get_args(Per))}; got {per!r}")


def factors(
    rng: Generator | None, shape: tuple[int, ...], p: float, dtype: Dtype, per: Per = "step"
) -> Array | None:
    """Return factors 0 (with probability p) and 1/(1-p), or None where nothing is dropped.

    Of (T, N, D) they are (1, N, D) where a sequence has one draw.
    """
    if rng is None or p == 0:
        return None
    if per == "sequence":
        shape = (1, *shape[1:])
    drawn: Array = (rng.random(shape, dtype=np.float32) >= p).astype(dtype)
    drawn /= 1 - p
    return drawn


def apply(x: Array, drop: Array | None) -> Array:
    """Return x with its dropout; forward and backward alike."""
    return x if drop is None else x * drop
