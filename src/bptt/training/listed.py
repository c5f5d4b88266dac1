"""What a trained model makes of texts by themselves: its own again, their scores, and new ones."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt.data.lists import Parts, Texts, sequences
from bptt.data.sequences import Sequences
from bptt.data.text import Vocabulary
from bptt.data.text.packed import TooLongError
from bptt.errors import BpttWarning, ConfigError, DataError
from bptt.nets import evaluate, writing
from bptt.nets.writing import Written
from bptt.training.runs.folder import Run
from bptt.training.scoring import LineScore, Score, score_texts
from bptt.types import Array

if TYPE_CHECKING:
    from bptt.training.trained import Trained

TRIES = 100
"""Texts that are written at most for one that is new."""


def parts(trained: "Trained") -> Parts:
    """Return what a model was trained on, read as `Trained.corpus` is; DataError if it has changed."""
    trained.expect_data("text")
    s, kind = trained.settings, _vocabulary(trained).kind
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BpttWarning)
        try:
            found = Parts.load(
                Run(trained.source).place_of(s.data),
                trained.form,
                valid=s.valid,
                kind=kind,
                part=s.part,
                fetch=False,
                limit=trained.longest,
            )
        except TooLongError:
            raise trained.changed() from None
    if found.digest() != trained.sha256:
        raise trained.changed()
    return found


def scores(trained: "Trained", path: str | None) -> list[Score]:
    """Return how well a model predicts the texts that it was validated on, or those of a file."""
    unit, vocabulary = trained.form.unit, _vocabulary(trained)
    if path is not None:
        named = {path: trained.form.read(path, vocabulary.kind).without_empty()}
    else:
        own = parts(trained)
        named = {f"{trained.settings.data}, validation": own.valid}
        if own.test is not None:
            named[f"{trained.settings.data}, test"] = own.test
    found = []
    for name, texts in named.items():
        if not len(texts):
            raise DataError(f"{name}: holds no {unit} that is not empty")
        whole = read(trained, texts)
        start = f"{len(texts):,} {unit}s, each by itself"
        nats = evaluate.mean(trained.model, trained.params, whole)
        unk, kind = vocabulary.unknown, vocabulary.kind
        unknown = None if unk is None else float(np.mean(whole.targets == unk))
        characters = sum(map(len, texts.texts)) + len(texts) if kind == "bpe" else None
        found.append(Score(name, len(whole.targets), start, nats, characters, unknown))
    return found


def read(trained: "Trained", texts: Texts) -> Sequences:
    """Return texts as the sequences that a model reads and predicts."""
    return sequences(texts.texts, _vocabulary(trained), _features(trained, texts))


def together(texts: Sequence[str | bytes], conditions: Mapping[str, Sequence[str]]) -> Texts:
    """Return texts of a caller's; DataError where they are no such."""
    if isinstance(texts, str | bytes) or not all(isinstance(text, str | bytes) for text in texts):
        odd = texts if isinstance(texts, str | bytes) else [type(text).__name__ for text in texts[:5]]
        raise DataError(f"texts are a list of several, each a str or bytes; got {odd!r:.60}")
    columns = {name: list(values) for name, values in conditions.items()}
    return Texts(texts, range(1, len(texts) + 1), columns)


def score(
    trained: "Trained", texts: Texts, *, skip_unknown: bool, tokens: bool, words: bool
) -> Iterator[LineScore]:
    """Yield the score of each text."""
    return score_texts(
        trained.model,
        trained.params,
        _vocabulary(trained),
        texts.texts,
        texts.lines,
        features=_features(trained, texts),
        skip_unknown=skip_unknown,
        tokens=tokens,
        words=words,
    )


def write(
    trained: "Trained", count: int, seed: int, conditions: Mapping[str, str], new: bool, **how: Any
) -> Iterator[Written]:
    """Yield texts that a model writes, from conditions; those alone that it was not trained on, if asked."""
    for name, number in (("count", count), ("seed", seed)):
        if not isinstance(number, int | np.integer) or number < 0:
            raise ConfigError(f"{name} must be a whole number from 0, got {number!r:.40}")
    if not isinstance(how.get("prime", ""), str | bytes):
        raise ConfigError(f"prime must be a text, got {how['prime']!r:.40}")
    features, known = None, frozenset[str | bytes]()
    if conditions or trained.conditions.codings:
        features = trained.conditions.features({name: [value] for name, value in conditions.items()})[0]
    if new:
        if trained.settings.job != "lines":
            raise ConfigError("what is new among texts is told by a model of lines, documents or rows")
        known = frozenset(parts(trained).train.texts)
    told = {"seed": seed, "count": count * (TRIES if new else 1), "features": features, **how}
    found = writing.write(trained.model, trained.params, _vocabulary(trained), **told)
    prime = how.get("prime", "")

    def is_new(one: Written) -> bool:
        if isinstance(prime, bytes):
            return prime + one.text.encode() not in known
        return not {text := prime + one.text, text.encode()} & known

    return islice(filter(is_new, found), count)


def _features(trained: "Trained", texts: Texts) -> Array | None:
    return trained.conditions.features(texts.columns) if trained.conditions.codings else None


def _vocabulary(trained: "Trained") -> Vocabulary:
    assert trained.vocabulary is not None  # whoever asks has looked
    return trained.vocabulary
