"""Dropout: the same factors on the way forward and back.

One draw for each step of each row (Zaremba et al. 2014), or one for each row that all of its steps share, the
variational dropout of Gal and Ghahramani 2016.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from bptt.errors import ConfigError
from bptt.kernels.backends import Backend, multiply
from bptt.types import Array, Dtype, Generator, expect_generator

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


class Request(NamedTuple):
    """Numbers that a step draws: 0, and where it `keeps` 1 (with probability p), else 1/(1-p) (with 1-p)."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    p: float
    keeps: bool

    def drawn(self, rng: Generator) -> Array:
        """Return them."""
        return self.fill(rng, np.empty(self.shape, self.dtype))

    def fill(self, rng: Generator, out: Array) -> Array:
        """Draw them into an array, and return it."""
        u = out if out.dtype == np.float32 else np.empty(self.shape, np.float32)
        rng.random(out=u, dtype=np.float32)
        if self.keeps:
            np.less(u, self.p, out=out)
        else:
            np.greater_equal(u, self.p, out=out)
            out /= 1 - self.p
        return out


class Noting(np.random.Generator):
    """A generator that goes on with another's numbers and keeps what is asked of it."""

    def __init__(self, rng: Generator) -> None:
        expect_generator(rng)
        super().__init__(rng.bit_generator)
        self.requests: list[Request] = []


class Drawn(np.random.Generator):
    """What stands in a generator's place where all has been drawn before: arrays in the order of requests."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        super().__init__(np.random.PCG64(0))
        self.arrays = iter(arrays)


def factors(
    rng: Generator | None, shape: tuple[int, ...], p: float, dtype: Dtype, per: Per = "step"
) -> Array | None:
    """Return factors 0 (with probability p) and 1/(1-p), or None where nothing is dropped.

    Of (T, N, D) they are (1, N, D) where a sequence has one draw.
    """
    if rng is None or p == 0:
        return None
    return _asked(rng, Request((1, *shape[1:]) if per == "sequence" else shape, np.dtype(dtype), p, False))


def kept(rng: Generator, shape: tuple[int, ...], p: float, dtype: Dtype) -> Array:
    """Return 1 (with probability p) and 0."""
    return _asked(rng, Request(shape, np.dtype(dtype), p, True))


def _asked(rng: Generator, request: Request) -> Array:
    if isinstance(rng, Drawn):
        return next(rng.arrays)
    expect_generator(rng)
    if isinstance(rng, Noting):
        rng.requests.append(request)
    return request.drawn(rng)


def apply(x: Array, drop: Array | None, backend: Backend = "auto") -> Array:
    """Return x with its dropout; forward and backward alike."""
    return x if drop is None else multiply(x, drop, backend)
