"""What of a sequence is read where one thing is told of all of it: a class, a number.

::

    "last"    h = the output state after the sequence, of each direction: the reverse one, too, has read all
    "mean"    h = Σ_t m_t h_t / Σ_t m_t, with m the mask: over each row's own steps
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from bptt.errors import ConfigError
from bptt.kernels.backends import add, filled, multiply, repeated, side_by_side, sum_of_steps
from bptt.nets.stack import Stack, StackRun
from bptt.types import Array, Params

PoolName: TypeAlias = Literal["last", "mean"]


@dataclass(frozen=True)
class Pool:
    """The part between the layers and the output.

    Parameters
    ----------
    name : "last", "mean" or None
        None: every step has its output.
    stack : Stack
        The layers below.
    """

    name: PoolName | None
    stack: Stack

    def __post_init__(self) -> None:
        if self.name is not None and self.name not in get_args(PoolName):
            raise ConfigError(f"pool must be one of {', '.join(get_args(PoolName))}; got {self.name!r}")

    @property
    def _ends(self) -> tuple[str, ...]:
        """The names of the last layer's output states, one for each direction."""
        last, first = self.stack.layers - 1, self.stack.cell.states[0]
        return tuple(f"layers.{last}.{direction}{first}" for direction in self.stack.directions)

    @staticmethod
    def shares(mask: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return what each step counts in a mean, (T, N, 1)."""
        m = np.ones(shape[:2]) if mask is None else mask.astype(np.float64)
        shares: Array = (m / np.maximum(m.sum(axis=0), 1))[..., None].astype(dtype)
        return shares

    def forward(self, layers: StackRun, shares: Array | None) -> Array:
        """Return what the outputs are made from: (T, N, H), or (1, N, H) where it is pooled."""
        if self.name is None:
            return layers.y
        if shares is not None:
            return sum_of_steps(multiply(layers.y, shares, self.stack.backend), self.stack.backend)
        return side_by_side([layers.states[name] for name in self._ends], self.stack.backend)[None]

    def backward(
        self, layers: StackRun, shares: Array | None, dh: Array | None, dstates: Params | None
    ) -> tuple[Array | None, Params | None]:
        """Return the gradients at the layers' outputs and final states, from those at `h` and the latter."""
        backend, H = self.stack.backend, self.stack.side
        if self.name is None or dh is None:
            return dh, dstates
        if shares is not None:
            return multiply(repeated(dh, len(shares), backend), shares, backend), dstates
        last = layers.states.items()
        found = {name: filled(a.shape, 0.0, a.dtype, backend) for name, a in last} | (dstates or {})
        for k, name in enumerate(self._ends):
            found[name] = add(found[name], dh[0][:, k * H : (k + 1) * H], backend)
        return None, found
