"""One long text, read as streams: the state goes on from chunk to chunk."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bptt.data.lists import looks_like_list
from bptt.data.text import Corpus, TextStream, Vocabulary, describe, load
from bptt.data.text.files import named
from bptt.data.text.packed import plain_name
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import ConfigError, DataError
from bptt.nets import evaluate
from bptt.nets.evaluate import ALONE, Turns
from bptt.nets.model import Model
from bptt.nets.sample import sample
from bptt.training.experiment import Experiment, Validation
from bptt.training.settings import Settings
from bptt.types import Array, Params


@dataclass(frozen=True, kw_only=True)
class Stream(Experiment):
    """A text: the next token is predicted from all before it."""

    valid: Array
    hint: str | None = None

    @classmethod
    def of(cls, settings: Settings, known: Vocabulary | None = None) -> "Stream":
        """Read the text, make its vocabulary, and describe the model."""
        corpus = load(settings.data, valid=settings.valid, kind=settings.tokens, encoding=settings.encoding)
        if settings.vocabulary is not None and not tokenizer(corpus.kind).is_sized:
            raise ConfigError(f"--vocabulary limits the words to know; the tokens are {corpus.kind}s")
        vocabulary = corpus.vocabulary(settings.vocabulary, known)
        train, valid = (vocabulary.encode(part, compact=True) for part in (corpus.train, corpus.valid))
        unk = vocabulary.unknown
        parts = {"train_unknown": train, "valid_unknown": valid}
        unknown = {} if unk is None else {name: int((part == unk).sum()) for name, part in parts.items()}
        if len(valid) < 2:  # said now rather than after an hour
            raise DataError(
                f"{settings.valid or corpus.name}: there is nothing to predict in {len(valid)} tokens to "
                "validate on; give a longer text, or --valid PATH"
            )
        hint = _hint(settings.data, corpus)
        try:
            source = TextStream(
                train,
                settings.batch,
                settings.chunk,
                name=corpus.name,
                jitter=settings.chunk_jitter,
                half=settings.chunk_half,
                seed=settings.seed,
            )
        except DataError as error:
            raise DataError(f"{error}{f'; {hint}' if hint else ''}") from None
        return cls(
            settings=settings,
            model=Model(
                inputs=len(vocabulary), outputs=len(vocabulary), **settings.of_model(token_inputs=True)
            ),
            source=source,
            vocabulary=vocabulary,
            facts={
                "source": corpus.source,
                "tokens": corpus.kind,
                "vocabulary": len(vocabulary),
                "train_tokens": len(train),
                "valid_tokens": len(valid),
                "sha256": digest(corpus),
                **unknown,
            },
            valid=valid,
            hint=hint,
        )

    @property
    def unit(self) -> str:
        """What a token is called."""
        assert self.vocabulary is not None
        return self.vocabulary.unit

    @property
    def summary(self) -> str:
        """How much there is of the text."""
        facts = self.facts
        return (
            f"{named(self.settings.data)}: {facts['train_tokens']:,} {self.unit}s to train on, "
            f"{facts['valid_tokens']:,} to validate, {facts['vocabulary']:,} different ones"
        )

    @property
    def notes(self) -> list[str]:
        """How much of it is not known, and what it may be rather than one text."""
        return [note for note in (unknown_words(self.facts), self.hint) if note]

    @property
    def measured(self) -> str:
        """How the validation loss is taken."""
        return f"cold windows of {evaluate.WINDOW}{unknown_part(self.facts)}"

    @cached_property
    def _chosen(self) -> Array | None:
        """Which windows of the validation text are read while training; None where all are."""
        most = (self.settings.valid_sample or 0) // evaluate.WINDOW
        if not 0 < most < (there := (len(self.valid) - 1) // evaluate.WINDOW):
            return None
        drawn = np.random.default_rng([self.settings.seed, 3]).choice(there, most, replace=False)
        return np.sort(drawn)

    @property
    def sampled(self) -> int | None:
        """How many tokens are measured while training; None where all are."""
        return None if self._chosen is None else len(self._chosen) * evaluate.WINDOW

    def validate(self, params: Params, turns: Turns = ALONE, *, whole: bool = False) -> Validation:
        """Measure nats per token, from cold windows of 256: of the sample, or of all."""
        pause, share = turns.pause, turns.share
        if whole or self._chosen is None:
            return Validation(evaluate.cold(self.model, params, self.valid, pause=pause, share=share))
        return Validation(
            evaluate.sampled(self.model, params, self.valid, self._chosen, pause=pause, share=share)
        )

    def sample(self, params: Params) -> str:
        """Return 200 tokens that the model writes."""
        assert self.vocabulary is not None
        rng = np.random.default_rng([self.settings.seed, 2])
        return "".join(sample(self.model, params, self.vocabulary, rng=rng, length=200, temperature=0.8))


TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""How the names of files end that are tables."""


def _hint(data: str, corpus: Corpus) -> str | None:
    """Return what a user's file may be rather than one text, which is how it is read."""
    if data in (info.name for info in describe()):
        return None
    if plain_name(data).endswith(TABLES):
        return "it is read as one text, not as a table: --text COLUMN and --task take its columns"
    if isinstance(corpus.train, str) and looks_like_list(corpus.train):
        return (
            "it looks like a list, and is read as one text: --lines takes each line by itself, in any order"
        )
    return None


def unknown_words(facts: dict[str, Any]) -> str | None:
    """Return how much of a text in words is `<unk>`, as a line; None where it is not in words."""
    if "valid_unknown" not in facts:
        return None
    trains, validates = (facts[f"{part}_unknown"] / facts[f"{part}_tokens"] for part in ("train", "valid"))
    return f"<unk>, for all other words, is {trains:.1%} to train on and {validates:.1%} to validate"


def unknown_part(facts: dict[str, Any]) -> str:
    """Return how much of the validation text is `<unk>`, to stand beside its loss."""
    if "valid_unknown" not in facts:
        return ""
    return f"; {facts['valid_unknown'] / facts['valid_tokens']:.1%} <unk>"


def digest(corpus: Corpus) -> str:
    """Return the sha256 of a corpus's training and validation texts."""
    summed = hashlib.sha256()
    for part in (corpus.train, corpus.valid):
        summed.update(part.encode() if isinstance(part, str) else part)
        summed.update(b"\0")
    return summed.hexdigest()
