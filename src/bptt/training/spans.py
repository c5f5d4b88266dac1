"""Spans of labels, as names in a sentence have them: how many are found whole and with the right type.

A label is O, outside all spans, or has a place and a type: B-PER begins a person, I-PER goes on with one;
where they are told apart, E-PER (L-PER) ends one and S-PER (U-PER) is one alone. A span also begins where its
type is another than that of the label before, so that I-PER after O begins one. So the script of the
CoNLL-2000 shared task counts, and seqeval.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bptt.types import Array

_LABEL = re.compile("([BIESLU])-(.+)")
_ALONE = {"L": "E", "U": "S"}


@dataclass(frozen=True)
class SpanScore:
    """How many spans there are, how many were told, and how many of these are right, by type.

    Attributes
    ----------
    are, told, right : dict of int
    """

    are: Counter[str]
    told: Counter[str]
    right: Counter[str]

    def of(self, kind: str | None = None) -> tuple[float, float, float]:
        """Return precision, recall and F1, of one type or of all spans together; zero where there is none."""
        are, told, right = (c.total() if kind is None else c[kind] for c in (self.are, self.told, self.right))
        return right / max(told, 1), right / max(are, 1), 2 * right / max(are + told, 1)

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        keys = ("precision", "recall", "f1")
        by_type = {
            kind: dict(zip(keys, self.of(kind), strict=True)) | {"count": self.are[kind]}
            for kind in sorted(self.are | self.told)
        }
        return dict(zip(keys, self.of(), strict=True)) | {"count": self.are.total(), "types": by_type}


def are_spans(labels: Sequence[str]) -> bool:
    """Return whether labels are those of spans: O, and places with types.

    Examples
    --------
    >>> are_spans(["O", "B-PER", "I-PER"]), are_spans(["NOUN", "VERB"])
    (True, False)
    """
    typed = [_LABEL.fullmatch(label) for label in labels if label != "O"]
    return bool(typed) and all(typed) and len(typed) < len(labels)


def spans(labels: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield where the spans of a sequence begin, where they have ended, and their types.

    Examples
    --------
    >>> list(spans(["O", "I-PER", "I-PER", "B-PER", "I-LOC", "O"]))
    [(1, 3, 'PER'), (3, 4, 'PER'), (4, 5, 'LOC')]
    """
    begun, place, kind = 0, "O", ""
    for k, label in enumerate([*labels, "O"]):
        found = _LABEL.fullmatch(label)
        now, its = (_ALONE.get(found[1], found[1]), found[2]) if found else ("O", "")
        new = now in "BS" or place in "OES" or its != kind
        if place != "O" and (new or now == "O"):
            yield begun, k, kind
        if new:
            begun = k
        place, kind = now, its


def counted(classes: Sequence[str], lengths: Array, targets: Array, told: Array) -> SpanScore:
    """Return how well the spans of sequences are told.

    Parameters
    ----------
    classes : list of K str
    lengths : (M,) integers
    targets, told : (S,) integers
        The classes of all steps.
    """
    are, found, right = Counter[str](), Counter[str](), Counter[str]()
    end = 0
    for length in lengths.tolist():
        begin, end = end, end + length
        own, its = (set(spans([classes[k] for k in ids[begin:end].tolist()])) for ids in (targets, told))
        for counts, of in ((are, own), (found, its), (right, own & its)):
            counts.update(kind for _, _, kind in of)
    return SpanScore(are, found, right)
