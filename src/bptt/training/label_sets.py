"""How well labels are told of which a sequence may have several, one or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.types import Array

KEYS = ("precision", "recall", "f1")


@dataclass(frozen=True, eq=False)
class SetScore:
    """How often labels are told right, each by itself.

    Attributes
    ----------
    text : str
        Which part of which file.
    loss : float
        Mean in nats of a sequence's labels together.
    classes : list of K str
    right, told, are : (K,) integers
        How many sequences have a label and were told to; were told to have it; have it.
    whole : int
        How many sequences had all labels told right.
    count : int
        How many sequences there are.
    known : (K,) integers
        Of how many it is known whether they have a label; others count for nothing.
    """

    text: str
    loss: float
    classes: Sequence[str]
    right: Array
    told: Array
    are: Array
    whole: int
    count: int
    known: Array

    @classmethod
    def of(
        cls, text: str, loss: float, classes: Sequence[str], told: Array, are: Array, known: Array
    ) -> "SetScore":
        """Count what was told of each sequence, what it has, and what is known of it: (M, K) booleans."""
        told = told & known
        sums = ((told & are).sum(axis=0), told.sum(axis=0), are.sum(axis=0))
        whole = int(((told == are) | ~known).all(axis=1).sum())
        return cls(text, loss, classes, *sums, whole, len(are), known.sum(axis=0))

    @property
    def exact(self) -> float:
        """The part of the sequences that had all labels told right."""
        return self.whole / self.count

    @property
    def micro(self) -> tuple[float, float, float]:
        """Precision, recall and F1 of all labels counted together."""
        return _of(*(int(each.sum()) for each in (self.right, self.told, self.are)))

    @property
    def by_class(self) -> Array:
        """Precision, recall and F1 of each label, (K, 3); zero where there is none."""
        rows = zip(self.right.tolist(), self.told.tolist(), self.are.tolist(), strict=True)
        return np.array([_of(*row) for row in rows])

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the labels that are there or were told."""
        some = self.told + self.are > 0
        return float(self.by_class[some, 2].mean()) if some.any() else 0.0

    @property
    def most_frequent(self) -> tuple[str, float]:
        """The most frequent label, and the micro-F1 of telling always that one alone."""
        k = int(self.are.argmax())
        return self.classes[k], _of(int(self.are[k]), int(self.known[k]), int(self.are.sum()))[2]

    @property
    def figures(self) -> dict[str, float]:
        """What the log has."""
        return {"micro_f1": self.micro[2], "macro_f1": self.macro_f1, "exact": self.exact}

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        name, f1 = self.most_frequent
        rows = zip(self.by_class.tolist(), self.are.tolist(), self.told.tolist(), strict=True)
        each = [dict(zip(KEYS, row, strict=True)) | {"there": are, "told": told} for row, are, told in rows]
        return {
            "text": self.text,
            "count": self.count,
            "loss": self.loss,
            **self.figures,
            "micro": dict(zip(KEYS, self.micro, strict=True)),
            "most_frequent": {"class": name, "micro_f1": f1},
            "classes": dict(zip(self.classes, each, strict=True)),
        }


def _of(right: int, told: int, are: int) -> tuple[float, float, float]:
    """Return precision, recall and F1, zero where there is none."""
    return right / max(told, 1), right / max(are, 1), 2 * right / max(told + are, 1)
