"""Labelled sequences: a class or a number is told of each, or of each of its steps."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from bptt.data.labelled import (
    NUMBERS,
    Coding,
    Labelled,
    Layout,
    has_label_each,
    kind_of,
    mark_within,
    read_labelled,
    split,
)
from bptt.data.sequences import SequenceBatches, Sequences, some
from bptt.data.tables import Category, Numbers
from bptt.data.tables.numbers import as_number, far_off
from bptt.data.text import Vocabulary
from bptt.data.text.tokenizers import Kind, tokenizer
from bptt.errors import ConfigError, DataError
from bptt.nets.evaluate import ALONE, Turns
from bptt.nets.model import Model
from bptt.training.experiment import Experiment, Validation, on_the_word_of_a_run
from bptt.training.labelling import SEVERAL, Labeller, LabelScore, measured, without
from bptt.training.settings import WORDS, Settings
from bptt.types import Array, Params

if TYPE_CHECKING:
    from bptt.training.trained import Trained

MOST_BYTES = 1 << 30
"""What a training step may keep for its backward pass: of longer sequences there are fewer in a batch."""


LOSS_OF: dict[str, str] = {"multilabel": SEVERAL, **dict.fromkeys(NUMBERS, "squared_error")}
"""The losses of tasks that tell no one class."""

MANY = 20
"""So many numbers are hardly classes."""

FEW = 5
"""A label that stands there less often is hardly learnt."""


@dataclass(frozen=True, kw_only=True)
class Labels(Experiment):
    """Sequences with labels; those to validate on are every tenth, or a table of their own."""

    valid: Sequences
    coding: Coding
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, known: Vocabulary | None = None) -> "Labels":
        """Read the table, learn its coding, and describe the model."""
        layout = layout_of(settings)
        table = layout.table(settings.data)
        layout = layout.within(table)
        by_character = settings.tokens == "char" or (
            settings.tokens is None and has_label_each(table, layout)
        )
        whole = read_labelled(table, layout, by_character=by_character)
        more = None
        if settings.valid is not None:
            more = read_labelled(settings.valid, layout, by_character=by_character)
        kind = settings.tokens or ("char" if whole.by_character else kind_of(whole))
        _expect_kind(settings, whole, kind)
        part = settings.part
        train, held = (np.arange(len(whole)), np.arange(0)) if more else split(whole, part)
        coding = Coding.of(
            whole,
            train,
            layout.inputs,
            kind=kind,
            most=settings.vocabulary,
            more=more,
            known=known,
            holds=layout.absent == "hold",
        )
        all_of_it = coding.sequences(whole)
        valid = coding.sequences(more) if more else all_of_it.take(held)
        source = all_of_it.take(train)
        model = _model(settings, coding, source)
        facts = {
            "source": settings.data,
            "sha256": hashlib.sha256(
                "".join([table.sha256, more.table.sha256 if more else ""]).encode()
            ).hexdigest(),
            "train_sequences": len(source),
            "valid_sequences": len(valid),
            "train_tokens": len(source.inputs),
            "valid_tokens": len(valid.inputs),
            "columns": coding.to_json(),
        }
        if coding.unit != 1:
            facts["unit"] = coding.unit
        if coding.vocabulary is not None:
            facts |= {"tokens": kind, "vocabulary": len(coding.vocabulary)}
        return cls(
            settings=settings,
            model=model,
            source=SequenceBatches(source, settings.batch, settings.seed, most=_most_steps(model)),
            vocabulary=coding.vocabulary,
            facts=facts,
            valid=valid,
            coding=coding,
            remarks=tuple(_remarks(whole, train, held, more, valid, coding)),
        )

    @property
    def unit(self) -> str:
        """What a loss is taken of."""
        return "sequence" if self.settings.task == "multilabel" else "label"

    @property
    def summary(self) -> str:
        """How many sequences there are, and what is told of them."""
        facts, target = self.facts, self.coding.target
        steps = facts["train_tokens"] / facts["train_sequences"]
        what = f"{len(target.values):,} labels" if isinstance(target, Category) else "numbers"
        read = f"{facts['tokens']}s, {facts['vocabulary']:,} different ones" if self.vocabulary else "steps"
        return (
            f"{self.settings.data}: {facts['train_sequences']:,} sequences to train on, "
            f"{facts['valid_sequences']:,} to validate, of {steps:,.1f} {read}; {self.coding.label}: {what}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be known of them."""
        return self.remarks

    @cached_property
    def _some(self) -> Sequences:
        """What is validated on while training."""
        return some(self.valid, self.settings.valid_sample, self.settings.seed)

    @property
    def sampled(self) -> int | None:
        """How many steps that has; None where it is all."""
        return None if self._some is self.valid else int(self._some.lengths.sum())

    def validate(self, params: Params, turns: Turns = ALONE, *, whole: bool = False) -> Validation:
        """Measure the loss of each label, and how often it is right, or how near."""
        valid = self.valid if whole else self._some
        score = measured(self.model, params, valid, self.coding, "", turns)
        return Validation(score.loss, score.figures)


def layout_of(settings: Settings) -> Layout:
    """Return which columns of the table are what."""
    inputs = tuple(name.strip() for name in (settings.inputs or "").split(",") if name.strip())
    assert settings.task is not None
    assert settings.task != "forecast"
    told = settings.text, inputs, settings.series, settings.time, settings.label, settings.read_beside
    how = settings.head, settings.absent, settings.encoding, settings.date_format
    return Layout(settings.task, *told, *how, settings.separator, settings.no_numbers)


def labeller_of(trained: "Trained") -> Labeller:
    """Return a trained model as one that tells labels; DataError where it is none, RunError if damaged."""
    if trained.settings.job != "labels":
        way_out = ": bptt forecast tells how they go on" if trained.settings.job == "series" else ""
        raise DataError(f"a model of {WORDS[trained.settings.job]} tells no labels{way_out}")
    layout, facts = layout_of(trained.settings), trained.facts
    more = {"unit": facts.get("unit", 1.0), "holds": layout.absent == "hold"}
    coding = Coding.from_json(facts.get("columns") or {}, trained.vocabulary, **more)
    return Labeller(trained.model, trained.params, layout, coding)


def held_out_score(trained: "Trained") -> LabelScore:
    """Return how well a trained model tells labels of what it was validated on; DataError if that is gone."""
    labeller, settings = labeller_of(trained), trained.settings
    with on_the_word_of_a_run(settings.data):
        now = Labels.of(settings)
    if now.facts["sha256"] != trained.sha256:
        raise DataError(
            f"{settings.data} is no longer the table that the model was trained on, so what it has to "
            "validate may have been trained on: give the FILE of a table to measure"
        )
    name = settings.valid or f"{settings.data}, validation"
    return measured(trained.model, trained.params, now.valid, labeller.coding, name)


def _model(settings: Settings, coding: Coding, source: Sequences) -> Model:
    weights, size = None, 1
    if isinstance(coding.target, Category):
        size = len(coding.target.values)
        if settings.class_weights == "balanced" and settings.task == "multilabel":
            there = np.nansum(source.targets, axis=0, dtype=np.float64)
            others = np.isfinite(source.targets).sum(axis=0) - there
            weights = tuple((np.maximum(others, 1) / np.maximum(there, 1)).tolist())
        elif settings.class_weights == "balanced":
            counts = np.maximum(np.bincount(source.targets, minlength=size), 1)
            weights = tuple((len(source.targets) / (size * counts)).tolist())
    elif isinstance(coding.target, Numbers):
        size = len(coding.target.each)
    if settings.task in NUMBERS and settings.class_weights != "none":
        raise ConfigError(f"--class-weights are for labels that are names, not for --task {settings.task}")
    tokens = coding.vocabulary is not None
    return Model(
        inputs=coding.width,
        outputs=size,
        token_inputs=tokens,
        loss=LOSS_OF.get(settings.task or "", "cross_entropy"),
        class_weights=weights,
        **settings.of_model(token_inputs=tokens),
    )


def _most_steps(model: Model) -> int:
    """Return how many steps times rows a batch may have."""
    cell = model.stack.cell
    kept = len(cell.gates) + 2 * len(cell.states) + 4  # of each unit, about
    return MOST_BYTES // (4 * kept * model.layers * model.stack.width)


def _expect_kind(settings: Settings, whole: Labelled, kind: Kind) -> None:
    """Raise a ConfigError for tokens that the sequences cannot have."""
    if whole.numbers is not None:
        if settings.tokens is not None or settings.vocabulary is not None:
            raise ConfigError("--tokens and --vocabulary are for texts; these inputs are numbers")
        return
    if whole.words is not None and kind != ("char" if whole.by_character else "word"):
        raise ConfigError(f"a label for each step goes with --tokens word or char, not {kind}")
    if settings.vocabulary is not None and tokenizer(settings.tokens or kind).unknown is None:
        raise ConfigError(f"--vocabulary limits the words to know; the tokens are {kind}s")


def _remarks(
    whole: Labelled, train: Array, held: Array, more: Labelled | None, valid: Sequences, coding: Coding
) -> Iterator[str]:
    """Yield what of the data is to be known besides."""
    for labelled in (whole, more):
        if labelled is not None and (said := without(labelled)):
            yield said
    if whole.texts is not None:
        known = {whole.texts[k] for k in train}
        other = (more.texts or []) if more else [whole.texts[k] for k in held]
        if both := sum(text in known for text in other):
            yield f"{both:,} of the {len(other):,} texts to validate on are trained on, too, which flatters"
    if coding.vocabulary is not None and (unk := coding.vocabulary.unknown) is not None:
        unknown = float(np.mean(valid.inputs == unk))
        yield f"{unknown:.1%} of the words to validate on are <unk>: not twice in what is trained on"
    if whole.numbers is not None and whole.lengths is not None and whole.lengths.max() == 1:
        yield (
            "each sequence has one step: --series COLUMN says of which sequence a row is a step, --inputs "
            "FIRST:LAST takes a row's columns from one to another for its steps"
        )
    if whole.numbers is not None and not coding.holds:
        for name, column in zip(coding.inputs, whole.numbers.T, strict=True):
            if (odd := far_off(column)) is not None:
                often = "once" if odd[1] == 1 else f"{odd[1]:,} times"
                yield (
                    f"column {name}: {odd[0]:.15g} stands {often}, far from all others: where it is none, "
                    f"--missing {odd[0]:.15g} --absent hold"
                )
    numbers = np.asarray(whole.labels if whole.task in NUMBERS else np.empty(0))
    several = zip(whole.names, numbers.T, strict=True) if numbers.ndim > 1 else [(whole.label, numbers)]
    for which, column in several:
        if (odd := far_off(column)) is None:
            continue
        often = "once" if odd[1] == 1 else f"{odd[1]:,} times"
        yield (
            f"column {which}: {odd[0]:.15g} stands {often} as what is to be told, far from all others: "
            "where it is none, leave it empty"
        )
    if whole.task == "track" and (empty := int(np.isnan(numbers).reshape(len(numbers), -1).any(1).sum())):
        yield f"{empty:,} of {len(numbers):,} steps have no label, and count for nothing"
    if whole.task == "tag" and len(coding.told) > MANY and np.isfinite([*map(as_number, coding.told)]).all():
        yield f"the {len(coding.told):,} labels are numbers, and learnt as names: --task track tells numbers"
    if whole.unknown is not None and (empty := int(whole.unknown.sum())):
        yield f"{empty:,} of {whole.unknown.size:,} labels are not known, and count for nothing"
    if whole.task == "multilabel" and (none := sum(not own for own in whole.sets)):
        yield f"{none:,} of {len(whole):,} sequences have no label"
    if whole.task == "classify" and (mark := mark_within([*{*map(str, whole.labels or ())}])):
        yield f"{mark!r} seems to stand between labels: --task multilabel --separator {mark!r} tells each"
    if whole.task in ("classify", "multilabel"):
        each = [*chain(*whole.sets)] if whole.task == "multilabel" else list(whole.labels or ())
        rare = [name for name, count in Counter(each).items() if count < FEW]
        if rare:
            names = ", ".join(sorted(rare)[:5]) + (", ..." if len(rare) > 5 else "")
            yield f"{len(rare):,} labels stand there less than {FEW} times ({names})"
