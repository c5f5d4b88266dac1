"""How labelled sequences become arrays: a vocabulary or scales, and the labels' names or their scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bptt.data.labelled.layout import NUMBERS, STEPWISE
from bptt.data.labelled.rows import Labelled
from bptt.data.labelled.words import of_words, steps_of, vocabulary_of
from bptt.data.sequences import Sequences, few_parts
from bptt.data.sequences import split as drawn
from bptt.data.tables import Category, Number, Numbers
from bptt.data.text import Kind, Vocabulary
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import DataError, RunError
from bptt.types import Array

LONG = 60
"""Characters on average from which texts are read as words, where they have some."""

MOST_CLASSES = 2000
"""The most names of a label: a model has an output for each."""


def kind_of(labelled: Labelled) -> Kind:
    """Return the kind of token that suits texts: words where they are long and there are spaces."""
    if labelled.texts is None:
        return "word"
    characters = sum(map(len, labelled.texts)) / len(labelled)
    words = sum(len(text.split()) for text in labelled.texts) / len(labelled)
    return "word" if characters > LONG and characters < 20 * words else "char"


def split(labelled: Labelled, part: tuple[int, int] | None = None) -> tuple[Array, Array]:
    """Return which sequences to train on and which to validate on: the same at any seed.

    Each tenth, or one `part` of so many, in the order of their labels, so that both have as many of each
    class, or as large numbers.
    """
    M = len(labelled)
    if labelled.task in STEPWISE or labelled.labels is None or M < 2:
        return drawn(M, part)
    order = np.random.default_rng(np.random.SeedSequence(1997, spawn_key=(3,))).permutation(M)
    labels = np.asarray(labelled.labels)
    _, ranks = np.unique(labels if labels.ndim == 1 else labels[:, 0], return_inverse=True)
    order = order[np.argsort(ranks[order], kind="stable")]
    if part is not None and part[1] > M:
        raise few_parts(M, part[1])
    k, every = part or (min(10, M) // 2 + 1, 10)
    held = order[k - 1 :: every]
    return np.setdiff1d(order, held), np.sort(held)


@dataclass(frozen=True)
class Coding:
    """How sequences and their labels become arrays; learnt from those to train on, and kept with the run.

    Parameters
    ----------
    inputs : dict of Number
        The scale of each column of numbers.
    label : str
        The column of the labels.
    target : Category, Number or Numbers
        Their names, or the scale of numbers.
    vocabulary : Vocabulary or None
        Of the tokens, where words or texts are read.
    unit : float
        The time between two steps that is usual, which is 1.
    holds : bool
        Whether a number that is not there is the last one that was. Then there are three inputs for each
        column: the number, whether it is there, and the logarithm of 1 and how long ago it was.
    """

    inputs: dict[str, Number]
    label: str
    target: Category | Number | Numbers
    vocabulary: Vocabulary | None = None
    unit: float = 1.0
    holds: bool = False

    @property
    def width(self) -> int:
        """How many inputs a step has, or tokens there are."""
        return len(self.vocabulary or self.columns)

    @property
    def told(self) -> list[str]:
        """The names of the classes, or of the numbers where there are several; none of one."""
        if isinstance(self.target, Number):
            return []
        return self.target.values if isinstance(self.target, Category) else [*self.target.each]

    @property
    def columns(self) -> list[str]:
        """What the inputs are, of numbers."""
        names = [*self.inputs]
        return names + [f"{n}: {what}" for what in ("is there", "how old") for n in names if self.holds]

    @classmethod
    def of(
        cls,
        whole: Labelled,
        train: Array,
        names: tuple[str, ...],
        *,
        kind: Kind,
        most: int | None = None,
        more: Labelled | None = None,
        known: Vocabulary | None = None,
        holds: bool = False,
    ) -> "Coding":
        """Learn the coding.

        Parameters
        ----------
        whole : Labelled
        train : (m,) integers
            Which of the sequences are trained on: scales and words are theirs, classes and characters those
            of all.
        names : tuple of str
            Of the columns of numbers.
        kind : str
            Of the tokens, where there are any.
        most : int, optional
            The most words to know; words that stand there once are <unk>, so that it is trained.
        more : Labelled, optional
            What else is validated on: its characters are known, too.
        known : Vocabulary, optional
            Its tokens keep their ids.
        holds : bool
            As the coding has it.

        Raises
        ------
        DataError
            All labels are the same, or there are too many.
        """
        assert whole.labels is not None
        assert whole.label is not None
        if whole.task in NUMBERS:
            values = np.asarray(whole.labels)[steps_of(whole, train) if whole.task in STEPWISE else train]
            values = values[known_numbers(values)]
            target: Category | Number | Numbers = (
                Number.of(values) if values.ndim == 1 else Numbers.of(values, whole.names)
            )
        elif whole.task == "multilabel":
            target = Category(whole.names)
            if (count := len(whole.names)) > MOST_CLASSES:
                raise DataError(
                    f"{whole.table.name}, column {whole.label}: {count:,} labels, more than {MOST_CLASSES:,}"
                )
        else:
            target = Category.of(list(whole.labels))
            count, name = len(target.values), f"{whole.table.name}, column {whole.label}"
            if count < 2:
                raise DataError(
                    f"{name}: has one label alone, {target.values[0]!r:.60}: nothing is to be told"
                )
            if count > MOST_CLASSES or (whole.task == "classify" and count > len(whole) / 2 and count > 20):
                other = "track" if whole.task == "tag" else "regress"
                raise DataError(
                    f"{name}: {count:,} different labels in {len(whole):,} sequences are no classes; of "
                    f"numbers --task {other}"
                )
        unit = 1.0
        if whole.elapsed is not None and (apart := whole.elapsed[steps_of(whole, train)]).any():
            unit = float(np.median(apart[apart > 0]))
        if whole.numbers is not None:
            read = whole.numbers[steps_of(whole, train)]
            scales = {name: _scale(whole, name, read[:, d]) for d, name in enumerate(names)}
            return cls(scales, whole.label, target, unit=unit, holds=holds)
        return cls({}, whole.label, target, vocabulary_of(whole, train, kind, most, more, known), unit)

    def to_json(self) -> dict[str, Any]:
        """Return the coding but for the vocabulary as JSON values; the label is the last one."""
        coded: dict[str, Any] = msgspec.to_builtins(self.inputs | {self.label: self.target})
        return coded

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], vocabulary: Vocabulary | None, **more: Any) -> "Coding":
        """Return what `to_json` gave, with `unit` and `holds`."""
        coded = msgspec.convert(facts, dict[str, Category | Number | Numbers])
        if not coded:
            raise RunError("it has no columns, and so no labels")
        *names, label = coded
        inputs = {name: coding for name in names if isinstance(coding := coded[name], Number)}
        return cls(inputs, label, coded[label], vocabulary, **more)

    def sequences(self, labelled: Labelled, *, skip_unknown: bool = False) -> Sequences:
        """Return the sequences as arrays, without labels with zeros for targets.

        Raises
        ------
        DataError
            A label or a character is not known, or nothing is left of a sequence.
        """
        elapsed = None if labelled.elapsed is None else (labelled.elapsed / self.unit).astype(np.float32)
        if labelled.numbers is not None:
            numbers, lengths = labelled.numbers, labelled.lengths
            known = np.isfinite(numbers)
            if self.holds:
                assert elapsed is not None
                numbers, since = _held(numbers, known, elapsed)
            columns = [
                c.encode(np.where(np.isfinite(own), own, c.mean), f"{labelled.table.name}, column {name}")
                for own, (name, c) in zip(numbers.T, self.inputs.items(), strict=True)
            ]
            inputs = np.stack(columns, axis=1)
            if self.holds:
                inputs = np.concatenate([inputs, known, np.log1p(since)], axis=1, dtype=np.float32)
        else:
            inputs, lengths = self._tokens(labelled, skip_unknown)
        assert lengths is not None
        given = labelled.beside and {
            n: elapsed if a is labelled.elapsed and elapsed is not None else a
            for n, a in labelled.beside.items()
        }
        targets, counted = self._targets(labelled, len(inputs)), None
        if labelled.task == "track" and labelled.labels is not None:
            counted = known_numbers(np.asarray(labelled.labels))
        return Sequences(inputs, lengths, targets, mask=counted, given=given)

    def _targets(self, labelled: Labelled, steps: int) -> Array:
        count = steps if labelled.task in STEPWISE else len(labelled)
        if labelled.task == "multilabel":
            return self._marks(labelled)
        if isinstance(self.target, Number):
            values = np.zeros(count) if labelled.labels is None else np.asarray(labelled.labels)
            return self.target.encode(np.where(np.isfinite(values), values, self.target.mean))[:, None]
        if isinstance(self.target, Numbers):
            means = [number.mean for number in self.target.each.values()]
            rows = np.tile(means, (count, 1)) if labelled.labels is None else np.asarray(labelled.labels)
            return self.target.encode(np.where(np.isfinite(rows), rows, means))
        if labelled.labels is None:
            return np.zeros(count, np.int32)
        known = {value: k for k, value in enumerate(self.target.values)}
        found = np.array([known.get(value, -1) for value in labelled.labels], np.int32)
        if (found < 0).any():
            at = int(np.argmax(found < 0))
            place = labelled.place_of_step(at) if labelled.task == "tag" else labelled.place(at)
            raise self._not_learnt(labelled, place, str(labelled.labels[at]))
        return found

    def _marks(self, labelled: Labelled) -> Array:
        """Return a one for each label that a sequence has, (M, K), zeros for others, NaN where unknown."""
        assert isinstance(self.target, Category)
        known = {name: k for k, name in enumerate(self.target.values)}
        marks = np.zeros((len(labelled), len(known)), np.float32)
        for m, names in enumerate(labelled.sets):
            for name in names:
                if name not in known:
                    raise self._not_learnt(labelled, labelled.place(m), name)
                marks[m, known[name]] = 1
        for k, name in enumerate(labelled.names if labelled.unknown is not None else ()):
            assert labelled.unknown is not None
            if labelled.unknown[:, k].any():
                marks[labelled.unknown[:, k], known[name]] = np.nan
        return marks

    def _not_learnt(self, labelled: Labelled, place: str, name: str) -> DataError:
        assert isinstance(self.target, Category)
        values = self.target.values
        few = ", ".join(values[:8]) + (", ..." if len(values) > 8 else "")
        return DataError(
            f"{place}, column {labelled.label}: {name!r:.60} is none of the {len(values)} labels that were "
            f"learnt ({few})"
        )

    def _tokens(self, labelled: Labelled, skip_unknown: bool) -> tuple[Array, Array]:
        vocabulary = self.vocabulary
        assert vocabulary is not None
        if labelled.words is not None:
            assert labelled.lengths is not None
            return of_words(labelled, vocabulary), labelled.lengths
        texts = labelled.texts
        assert texts is not None
        if odd := vocabulary.lacks("".join(texts)):
            if not skip_unknown:
                k = next(k for k, text in enumerate(texts) if odd & set(text))
                which = min(odd & set(texts[k]), key=texts[k].index)
                raise DataError(
                    f"{labelled.place(k)}: {which!r} (U+{ord(which):04X}) is none of the characters that "
                    "were learnt; --skip-unknown leaves such out and counts them"
                )
            texts = [text.translate(dict.fromkeys(map(ord, odd))) for text in texts]
        if (its := tokenizer(vocabulary.kind)).is_each:  # at once, which for many short texts is far faster
            inputs = vocabulary.encode("".join(texts))
            lengths = np.array([len(text.encode() if its.reads_bytes else text) for text in texts])
        else:
            tokens = [vocabulary.encode(text) for text in texts]
            inputs, lengths = np.concatenate(tokens), np.array([len(own) for own in tokens])
        if not lengths.all():
            raise DataError(f"{labelled.place(int(np.argmin(lengths)))}: nothing of its text is known")
        return inputs, lengths

    def unknown(self, labelled: Labelled) -> tuple[int, int]:
        """Return how many tokens are not known, of how many: characters that are left out, words <unk>."""
        assert self.vocabulary is not None
        if labelled.texts is not None and (odd := self.vocabulary.lacks("".join(labelled.texts))):
            missing = sum(character in odd for text in labelled.texts for character in text)
            return missing, sum(map(len, labelled.texts))
        if (unk := tokenizer(self.vocabulary.kind).unknown) is None:
            return 0, 0
        tokens, _ = self._tokens(labelled, skip_unknown=True)
        return int((tokens == self.vocabulary.tokens.index(unk)).sum()), len(tokens)


def known_numbers(values: Array) -> Array:
    """Return of which steps all numbers that are told are known, (S,), of (S,) or (S, K)."""
    known = np.isfinite(values)
    return known if known.ndim == 1 else np.asarray(known.all(axis=1))


def _scale(whole: Labelled, name: str, values: Array) -> Number:
    """Return the scale of those numbers of a column that are there."""
    if not (known := np.isfinite(values)).any():
        raise DataError(f"{whole.table.name}, column {name}: no number is there to be learnt from")
    return Number.of(values[known])


def _held(numbers: Array, known: Array, elapsed: Array) -> tuple[Array, Array]:
    """Return the last numbers of their sequence that are known, (S, D), and how long ago they were.

    Where none is known yet it is NaN, since the sequence's first step.
    """
    at, when = np.arange(len(numbers))[:, None], np.cumsum(elapsed, dtype=np.float64)[:, None]
    last = np.maximum.accumulate(np.where(known | (elapsed == 0)[:, None], at, 0), axis=0)
    since: Array = when - np.take_along_axis(np.broadcast_to(when, numbers.shape), last, axis=0)
    return np.take_along_axis(numbers, last, axis=0), since
