"""Dropout: the same factors on the way forward and back."""

import numpy as np

from bptt.errors import ConfigError
from bptt.types import Array, Dtype, Generator


def expect_part(name: str, p: float) -> None:
    """Raise a ConfigError unless p can be the part that is dropped."""
    if not 0 <= p < 1:
        raise ConfigError(f"{name} must be at least 0 and below 1, got {p}")


def factors(rng: Generator | None, shape: tuple[int, ...], p: float, dtype: Dtype) -> Array | None:
    """Return factors 0 (with probability p) and 1/(1-p), or None where nothing is dropped."""
    if rng is None or p == 0:
        return None
    drawn: Array = (rng.random(shape, dtype=np.float32) >= p).astype(dtype)
    drawn /= 1 - p
    return drawn


def apply(x: Array, drop: Array | None) -> Array:
    """Return x with its dropout; forward and backward alike."""
    return x if drop is None else x * drop
