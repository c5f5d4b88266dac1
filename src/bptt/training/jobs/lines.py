"""Sequences of text, each by itself: lines, documents, rows of a table. The state begins anew at each."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bptt.data.conditions import Conditions
from bptt.data.lists import Form, Parts, sequences
from bptt.data.sequences import SequenceBatches, Sequences, some
from bptt.data.text import Vocabulary
from bptt.data.text.files import named
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import ConfigError
from bptt.nets import evaluate
from bptt.nets.evaluate import ALONE, Turns
from bptt.nets.model import Model
from bptt.nets.writing import write
from bptt.training.experiment import Experiment, Validation
from bptt.training.jobs.stream import unknown_part, unknown_words
from bptt.training.settings import Settings
from bptt.types import Params

SHOWN, SHORT = 10, 100
"""Texts of a sample while training, and the most tokens of each."""


@dataclass(frozen=True, kw_only=True)
class Lines(Experiment):
    """Texts: the next token is predicted from those before it in the same text, and at last the end."""

    form: Form
    parts: Parts
    valid: Sequences
    conditions: Conditions = field(default_factory=lambda: Conditions({}))

    @classmethod
    def of(cls, settings: Settings, known: Vocabulary | None = None) -> "Lines":
        """Read the texts, make their vocabulary, and describe the model."""
        form = form_of(settings)
        parts = Parts.load(
            settings.data, form, valid=settings.valid, kind=settings.tokens, part=settings.part
        )
        if settings.vocabulary is not None and not tokenizer(parts.kind).is_sized:
            raise ConfigError(f"--vocabulary limits the words to know; the tokens are {parts.kind}s")
        vocabulary = parts.vocabulary(settings.vocabulary, known)
        columns = {
            name: [*values, *parts.valid.columns[name]] for name, values in parts.train.columns.items()
        }
        conditions = Conditions.of(parts.train.columns, columns, settings.data)
        train, valid = (
            sequences(part.texts, vocabulary, conditions.features(part.columns) if columns else None)
            for part in (parts.train, parts.valid)
        )
        facts: dict[str, Any] = {
            "source": parts.source,
            "tokens": parts.kind,
            "vocabulary": len(vocabulary),
            "train_tokens": len(train.targets),
            "valid_tokens": len(valid.targets),
            "sha256": parts.digest(),
            "train_sequences": len(train),
            "valid_sequences": len(valid),
        }
        if (unk := vocabulary.unknown) is not None:
            for name, part in (("train_unknown", train), ("valid_unknown", valid)):
                facts[name] = int((part.targets == unk).sum())
        if columns:
            facts["columns"] = conditions.to_json()
        V = len(vocabulary)
        told = settings.of_model(token_inputs=True) | {"features": conditions.size or None}
        return cls(
            settings=settings,
            model=Model(inputs=V, outputs=V, **told),
            source=SequenceBatches(train, settings.batch, settings.seed, chunk=settings.chunk),
            vocabulary=vocabulary,
            facts=facts,
            form=form,
            parts=parts,
            valid=valid,
            conditions=conditions,
        )

    @property
    def unit(self) -> str:
        """What a token is called."""
        assert self.vocabulary is not None
        return self.vocabulary.unit

    @property
    def summary(self) -> str:
        """How many texts there are."""
        facts, unit = self.facts, self.form.unit
        return (
            f"{named(self.settings.data)}: {facts['train_sequences']:,} {unit}s to train on, with their ends "
            f"{facts['train_tokens']:,} {self.unit}s, {facts['valid_sequences']:,} to validate, "
            f"{facts['vocabulary'] - 1:,} different {self.unit}s"
        )

    @property
    def notes(self) -> list[str]:
        """What was left out, and what is there more than once."""
        unit, (repeated, both) = self.form.unit, self.parts.repeated
        empty = self.parts.train.empty + self.parts.valid.empty
        said = [f"{empty:,} empty {unit}{'s are' if empty > 1 else ' is'} left out"] if empty else []
        if repeated:
            count = f"{both:,} of the {len(self.valid):,} to validate on"
            flatters = f", so that {count} are trained on, too, which flatters" if both else ""
            said.append(
                f"{repeated:,} {unit}{'s repeat' if repeated > 1 else ' repeats'} an earlier one{flatters}"
            )
        return [*said, *filter(None, [unknown_words(self.facts)])]

    @property
    def measured(self) -> str:
        """How the validation loss is taken."""
        start = "a learnt state" if self.model.learn_start else "a zero state"
        start = "its condition" if self.model.features else start
        return f"each {self.form.unit} from {start}, its end counted{unknown_part(self.facts)}"

    @cached_property
    def _some(self) -> Sequences:
        """What is validated on while training."""
        return some(self.valid, self.settings.valid_sample, self.settings.seed)

    @property
    def sampled(self) -> int | None:
        """How many steps that has; None where it is all."""
        return None if self._some is self.valid else int(self._some.lengths.sum())

    def validate(self, params: Params, turns: Turns = ALONE, *, whole: bool = False) -> Validation:
        """Measure nats per token, ends counted: of the sample, or of all."""
        valid = self.valid if whole else self._some
        return Validation(evaluate.mean(self.model, params, valid, pause=turns.pause, share=turns.share))

    def sample(self, params: Params) -> str:
        """Return some texts that the model writes, from conditions as they are in the validation data."""
        assert self.vocabulary is not None
        shown: list[str] = []
        for k in np.linspace(0, len(self.valid) - 1, SHOWN if self.form.documents is None else 1).astype(int):
            features = None if self.valid.features is None else self.valid.features[k]
            starts = ", ".join(values[k] for values in self.parts.valid.columns.values())
            written = write(
                self.model,
                params,
                self.vocabulary,
                seed=self.settings.seed + len(shown),
                count=1,
                features=features,
                length=SHORT,
                temperature=0.8,
            )
            shown += [f"{starts}: {text}" if starts else text for text, _ in written]
        return "\n".join(shown)


def form_of(settings: Settings) -> Form:
    """Return how the texts lie in the file; a ConfigError for what does not go together."""
    ways = {"--lines": settings.lines or None, "--documents": settings.documents, "--text": settings.text}
    if len(given := [option for option, value in ways.items() if value is not None]) > 1:
        raise ConfigError(f"{' and '.join(given)} are two ways to cut a text; give one")
    names = tuple(name.strip() for name in (settings.condition or "").split(",") if name.strip())
    if names and settings.text is None:
        raise ConfigError("--condition goes with --text, the column of the texts")
    if len({settings.text, *names}) < 1 + len(names):
        raise ConfigError("--text and --condition name a column twice")
    return Form(settings.documents, settings.text, names, settings.head, settings.encoding)
