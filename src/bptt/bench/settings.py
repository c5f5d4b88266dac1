"""What is measured: sizes of a language model and of its batch, and the arithmetic that a step must do."""

from dataclasses import dataclass

import numpy as np

from bptt.cells import Cell
from bptt.kernels.backends import Backend, Precision
from bptt.nets.model import Model
from bptt.nets.noise import Noise
from bptt.types import Array, Params
from bptt.zoo import get
from bptt.zoo.step import with_equations

DROPS = 4
"""The seed of what is dropped."""


@dataclass(frozen=True)
class Setting:
    """A language model and the batch of its training step.

    Attributes
    ----------
    name : str
    V, E, H, layers : int
        Vocabulary, embedding, hidden units, layers.
    N, T : int
        Rows, and steps of each.
    lengths, sampling : bool
        Whether sequences of unequal length are measured here, too, and how fast the model writes.
    recurrent_dropout : float
        The part dropped of what U reads, drawn for each row of each batch.

    Examples
    --------
    >>> SETTINGS["C"].H
    256
    """

    name: str
    V: int
    E: int
    H: int
    layers: int
    N: int
    T: int
    lengths: bool = False
    sampling: bool = False
    recurrent_dropout: float = 0.0

    def model(self, cell: str | Cell, backend: Backend = "auto", precision: Precision = "float32") -> Model:
        """Return the model."""
        return Model(
            inputs=self.V,
            outputs=self.V,
            hidden=self.H,
            cell=cell,
            layers=self.layers,
            embedding=self.E,
            recurrent_dropout=self.recurrent_dropout,
            backend=backend,
            precision=precision,
        )

    def drops(self, cell: str | Cell) -> "Drops":
        """Return what is dropped of what a cell's U reads."""
        return Drops(Noise(get(cell), self.recurrent_dropout))

    def tokens(self) -> Array:
        """Return the inputs and, one step on, the targets: (T + 1, N)."""
        return np.random.default_rng(1).integers(self.V, size=(self.T + 1, self.N))

    def row_lengths(self) -> Array:
        """Return unequal lengths of the rows, uniform from T / 4 to T: (N,)."""
        return np.random.default_rng(2).integers(max(1, self.T // 4), self.T + 1, size=self.N)

    def resets(self) -> Array:
        """Return where rows begin anew, each once, at any of its steps: bool (T, N)."""
        at = np.random.default_rng(3).integers(self.T, size=self.N)
        found: Array = np.arange(self.T)[:, None] == at
        return found

    def has(self, kind: str) -> bool:
        """Return whether a kind of work is measured here."""
        if kind.startswith(("packed", "resets")):
            return self.T > 1
        return bool(getattr(self, kind)) if kind in ("lengths", "sampling") else True

    def multiply_adds(self, cell: Cell, *, layers_alone: bool = False) -> int:
        """Return how many multiply-adds a training step cannot do without, in matrix products.

        With `layers_alone` those of the embedding and the output do not count, nor, where the first layer's
        inputs are rows of E W, the products that made these.

        Each product of the forward has two of the same size in the backward. Of the first layer's inputs only
        as many rows must be multiplied as there are different tokens, at most V.

        Examples
        --------
        >>> import bptt
        >>> Setting("", V=10, E=3, H=4, layers=1, N=2, T=7).multiply_adds(bptt.zoo.get("rnn"))
        2712
        """
        steps, H = self.N * self.T, self.H
        inputs, recurrent = len(cell.from_x) * H, (len(cell.from_h) + len(cell.from_q)) * H
        first = min(self.V, steps) * self.E * inputs
        if layers_alone and self.folds:
            first = 0
        output = 0 if layers_alone else steps * H * self.V
        later = (self.layers - 1) * steps * H * inputs
        return 3 * (first + later + self.layers * steps * H * recurrent + output)

    @property
    def folds(self) -> bool:
        """Whether there are fewer tokens in the vocabulary than in the batch."""
        return self.V < self.N * self.T


class Drops:
    """What peers drop of what U reads: for each batch the factors that a model draws, from the same seed.

    Attributes
    ----------
    cell : EquationCell
        That reads the factors, as units' parameters.
    """

    def __init__(self, noise: Noise) -> None:
        self._noise, self._rng = noise, np.random.default_rng(DROPS)
        self.cell = with_equations(
            noise.draw(np.random.default_rng(0), (1, 1, noise.cell.heads), "float32")[0]
        )

    def draw(self, N: int, H: int) -> Params:
        """Return a layer's factors for a batch, (N, ·) by their names."""
        _, given = self._noise.draw(self._rng, (1, N, H), "float32", "reference")
        return {name: np.array(m[0]) for name, m in given.items()}


SETTINGS: dict[str, Setting] = {
    s.name: s
    for s in (
        Setting("A", V=65, E=65, H=100, layers=1, N=1, T=25),
        Setting("B", V=65, E=128, H=128, layers=1, N=32, T=64, sampling=True),
        Setting("C", V=65, E=256, H=256, layers=1, N=32, T=64, lengths=True),
        Setting("D", V=65, E=512, H=512, layers=2, N=64, T=64, sampling=True),
        Setting("E", V=10_000, E=128, H=128, layers=1, N=20, T=35),
        Setting("F", V=10_000, E=200, H=200, layers=2, N=20, T=35),
        Setting("G", V=10_000, E=650, H=650, layers=2, N=20, T=35),
    )
}
"""Seven sizes, from the tutorials' character model to the medium word model of Penn Treebank."""

LAYER_SETTINGS: dict[str, Setting] = {name: SETTINGS[name] for name in "ABCD"} | {
    "S": Setting("S", V=65, E=256, H=256, layers=1, N=1, T=1)
}
"""Where layers are measured alone, on inputs of size E; S is a single step of one sequence."""
