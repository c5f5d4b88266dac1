r"""Initial weights: named ways to draw them, from an explicit generator.

================  ============================================================  ==========================
``"uniform"``     each matrix U(-s, s), s = 1/√H unless given                   PyTorch; Zaremba et al. 2014
``"normal"``      all N(0, s²), s = 0.01 unless given                           the vanilla character model
``"fan-in"``      each matrix N(0, 1/rows)                                      the mini-batch LSTM
``"scaled"``      W, U N(0, 2/(H + D)); the output matrix N(0, 2/V)             the word-level model
``"orthogonal"``  each gate's block of U a random orthogonal matrix; each       Saxe et al. 2014
                  block of W, and the output, as Glorot and Bengio 2010
================  ============================================================  ==========================

An embedding is U(-1/√E, 1/√E) for ``"uniform"`` and N(0, 1/E) for ``"scaled"``, N(0, s²) for ``"normal"``,
N(0, 1) for ``"fan-in"`` and ``"orthogonal"``. Biases start at zero, but the bias of a gate f may start
above: at 1 the cell state is kept until the network learns to forget (Gers et al. 2000; Jozefowicz et al.
2015). Where a cell itself says how its biases and its units' own parameters start, that is how they start.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from bptt.cells import Cell
from bptt.errors import ConfigError
from bptt.layer import mapped
from bptt.types import Array, BiasCount, Dtype, Generator, Params

InitName: TypeAlias = Literal["uniform", "normal", "fan-in", "scaled", "orthogonal"]


@dataclass(frozen=True)
class Init:
    """A way to draw initial weights.

    Parameters
    ----------
    name : str
        A row of the module's table.
    scale : float, optional
        s, for ``"uniform"`` and ``"normal"``.
    forget_bias : float
        Where the bias of a gate f starts.

    Raises
    ------
    ConfigError
        If there is no such way, or it takes no scale.

    Examples
    --------
    >>> import bptt
    >>> p = Init("normal", 0.01).layer(np.random.default_rng(0), bptt.zoo.get("lstm"), 3, 4)
    >>> {name: array.shape for name, array in p.items()}
    {'W': (3, 16), 'U': (4, 16), 'b': (16,)}
    """

    name: InitName = "uniform"
    scale: float | None = None
    forget_bias: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in get_args(InitName):
            raise ConfigError(f"init must be one of {', '.join(get_args(InitName))}; got {self.name!r}")
        if self.scale is not None and self.name not in ("uniform", "normal"):
            raise ConfigError(f"init {self.name!r} takes no scale; got {self.scale}")
        if not np.isfinite(self.forget_bias):
            raise ConfigError(f"forget_bias must be finite, got {self.forget_bias}")
        if self.scale is not None and not self.scale >= 0:
            raise ConfigError(f"the scale of init must not be negative, got {self.scale}")

    def layer(
        self,
        rng: Generator,
        cell: Cell,
        D: int,
        H: int,
        bias: BiasCount = "one",
        dtype: Dtype = np.float32,
    ) -> Params:
        """Return W (D, Gx·H), U (H, Gh·H), the biases, and the units' own parameters of one layer.

        Where matrices have maps: what these are made of, and the columns of W and U that have none.
        """
        x_gates, h_gates = cell.from_x, cell.from_h + cell.from_q
        draw_U = self._orthogonal if self.name == "orthogonal" else self._recurrent
        params = {
            "W": np.hstack([np.empty((D, 0)), *(self._matrix(rng, D, H, H, H + D) for _ in x_gates)]),
            "U": np.hstack([np.empty((H, 0)), *(draw_U(rng, D, H) for _ in h_gates)]),
        }
        if cell.maps:
            params = mapped.start(cell, rng, params)
        wished = cell.start(rng, H)
        if bias not in get_args(BiasCount):
            raise ConfigError(f"bias must be one of {', '.join(get_args(BiasCount))}; got {bias!r}")
        starts = {"f": np.full(H, self.forget_bias)} | wished
        if bias != "none" and cell.bias:
            params["b"] = np.concatenate([starts.get(gate, np.zeros(H)) for gate in x_gates] or [np.empty(0)])
            if bias == "two":
                # a gate that W feeds, too, has its start in b
                own = {g: array for g, array in wished.items() if g not in x_gates}
                params["b_h"] = np.concatenate([own.get(g, np.zeros(H)) for g in h_gates] or [np.empty(0)])
        params |= {name: wished[name] for name in cell.units}
        return {name: array.astype(dtype) for name, array in params.items()}

    def output(self, rng: Generator, H: int, K: int, dtype: Dtype = np.float32) -> Array:
        """Return the output matrix (H, K)."""
        return self._matrix(rng, H, K, H, K).astype(dtype)

    def embedding(self, rng: Generator, V: int, E: int, dtype: Dtype = np.float32) -> Array:
        """Return the embedding (V, E)."""
        if self.name in ("fan-in", "orthogonal"):
            return rng.normal(size=(V, E)).astype(dtype)
        return self._matrix(rng, V, E, E, 2 * E).astype(dtype)

    def _matrix(self, rng: Generator, rows: int, columns: int, H: int, Z: int) -> Array:
        shape = (rows, columns)
        if self.name == "uniform":
            s = 1 / np.sqrt(H) if self.scale is None else self.scale
            return rng.uniform(-s, s, shape)
        if self.name == "normal":
            return rng.normal(0, 0.01 if self.scale is None else self.scale, shape)
        if self.name == "fan-in":
            return rng.normal(0, 1 / np.sqrt(rows), shape)
        if self.name == "scaled":
            return rng.normal(0, np.sqrt(2 / Z), shape)
        s = np.sqrt(6 / (rows + columns))
        return rng.uniform(-s, s, shape)

    def _recurrent(self, rng: Generator, D: int, H: int) -> Array:
        return self._matrix(rng, H, H, H, H + D)

    def _orthogonal(self, rng: Generator, D: int, H: int) -> Array:
        q, r = np.linalg.qr(rng.normal(size=(H, H)))
        # with the signs of R's diagonal taken out, Q is uniform over the orthogonal matrices
        signs: Array = np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(q * signs)
