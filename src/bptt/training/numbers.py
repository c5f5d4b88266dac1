"""How near numbers are told."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.data.tables import Number, Numbers
from bptt.types import Array


@dataclass(frozen=True)
class NumberScore:
    """How near numbers are told, in the label's own units.

    Attributes
    ----------
    text : str
        Which part of which file.
    loss : float
        Half the squared error of the standardised label, on average.
    count : int
    rmse, mae : float
        The root of the mean squared error; the mean absolute error.
    rmse_of_mean, mae_of_mean : float
        Those of telling always the mean of the labels that were trained on.
    """

    text: str
    loss: float
    count: int
    rmse: float
    mae: float
    rmse_of_mean: float
    mae_of_mean: float

    @classmethod
    def told(cls, text: str, loss: float, found: Array, right: Array, scale: Number) -> "NumberScore":
        """Measure what was told of each sequence, as it is learnt, against what is right, (M,)."""
        guess, right = scale.decode(found), scale.decode(right)
        return cls(text, loss, len(right), *_errors(guess - right), *_errors(scale.mean - right))

    @property
    def figures(self) -> dict[str, float]:
        """What the log has."""
        names = ("rmse", "mae", "rmse_of_mean", "mae_of_mean")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        return {"text": self.text, "count": self.count, "loss": self.loss, **self.figures}


@dataclass(frozen=True)
class NumberScores:
    """How near several numbers are told, each in its own units.

    Attributes
    ----------
    text : str
        Which part of which file.
    loss : float
        Half the squared errors of the standardised numbers together, on average.
    count : int
    each : dict of NumberScore
        By their columns; its loss is that of the number alone.
    """

    text: str
    loss: float
    count: int
    each: Mapping[str, NumberScore]

    @classmethod
    def told(cls, text: str, loss: float, found: Array, right: Array, scales: Numbers) -> "NumberScores":
        """Measure what was told of each sequence, as it is learnt, against what is right, (M, K)."""
        columns = zip(scales.each.items(), found.T, right.T, strict=True)
        each = {
            name: NumberScore.told(text, float(np.mean((a - b) ** 2, dtype=np.float64)) / 2, a, b, scale)
            for (name, scale), a, b in columns
        }
        return cls(text, loss, len(right), each)

    @property
    def figures(self) -> dict[str, float]:
        """What the log has: the root of the mean squared error of each."""
        return {f"rmse_{name}": score.rmse for name, score in self.each.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        own = {"text": self.text, "count": self.count, "loss": self.loss}
        return own | {"numbers": {name: score.figures for name, score in self.each.items()}}


def _errors(off: Array) -> tuple[float, float]:
    return math.sqrt(np.mean(off * off)), float(np.abs(off).mean())
