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
        """Return W (D, Gx·H), U (H, Gh·H), the biases, and the units' own parameters of one layer."""
        draw_U = self._orthogonal if self.name == "orthogonal" else self._recurrent
        W = (self._matrix(rng, D, cell.width(g, H), H, H + D) for g in cell.from_x)
        params = {"W": np.hstack([np.empty((D, 0)), *W])}
        for operand, gates in ((cell.states[0], cell.from_h), *cell.operands):
            rows, matrix = cell.width(operand, H), cell.matrix(operand)
            parts = [params.get(matrix, np.empty((rows, 0)))]
            params[matrix] = np.hstack([*parts, *(draw_U(rng, rows, cell.width(g, H), D) for g in gates)])
        wished = cell.start(rng, H)
        if bias not in get_args(BiasCount):
            raise ConfigError(f"bias must be one of {', '.join(get_args(BiasCount))}; got {bias!r}")
        starts = {g: np.zeros(cell.width(g, H)) for g in cell.gates}
        if "f" in starts:
            starts["f"] = np.full(cell.width("f", H), self.forget_bias)
        if bias != "none" and cell.bias:
            params["b"] = np.concatenate([np.empty(0), *((starts | wished)[g] for g in cell.from_x)])
            if bias == "two":
                # a gate that W feeds, too, has its start in b
                own = {g: np.zeros_like(array) for g, array in starts.items()}
                own |= {g: array for g, array in wished.items() if g not in cell.from_x}
                params["b_h"] = np.concatenate([np.empty(0), *(own[g] for g in cell.from_h + cell.from_q)])
        params |= {name: wished[name] for name in cell.units if name not in cell.given}
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

    def _recurrent(self, rng: Generator, rows: int, columns: int, D: int) -> Array:
        return self._matrix(rng, rows, columns, rows, rows + D)

    def _orthogonal(self, rng: Generator, rows: int, columns: int, D: int) -> Array:
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        # with the signs of R's diagonal taken out, Q is uniform over the orthogonal matrices
        signs: Array = np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(q * signs if rows >= columns else (q * signs).T)
