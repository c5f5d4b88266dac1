"""What a model tells of labelled sequences, and how often it is right."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from bptt.data.labelled import NUMBERS, STEPWISE, Coding, Labelled, Layout, read_labelled, together
from bptt.data.sequences import Sequences
from bptt.data.tables import Added, Category, Number, Numbers, Table
from bptt.data.tables.conll import Conll
from bptt.data.tables.forms import Kept
from bptt.elementwise import sigmoid
from bptt.errors import BpttWarning, RunError
from bptt.nets.evaluate import ALONE, Turns, steps_at_once
from bptt.nets.losses import softmax
from bptt.nets.model import Model
from bptt.nets.reading import outputs
from bptt.shown import Shown
from bptt.training.label_sets import SetScore
from bptt.training.numbers import NumberScore, NumberScores
from bptt.training.spans import SpanScore, are_spans, counted
from bptt.types import Array, Params

SEVERAL = "sigmoid_cross_entropy"
"""The loss of labels of which a sequence may have several: a yes or a no of each."""


@dataclass(frozen=True, eq=False)
class ClassScore:
    """How often classes are told right.

    Attributes
    ----------
    text : str
        Which part of which file.
    loss : float
        Mean in nats, of classes that are weighed with their weights.
    classes : list of K str
    confusion : (K, K) integers
        How many of each class (row) were told to be each (column).
    spans : SpanScore or None
        How well spans are told, where the classes are those of spans.
    """

    text: str
    loss: float
    classes: Sequence[str]
    confusion: Array
    spans: SpanScore | None = None

    @property
    def count(self) -> int:
        """How many were told."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The part that was told right."""
        return float(np.trace(self.confusion) / self.count)

    @property
    def most_frequent(self) -> tuple[str, float]:
        """The most frequent class, and how often it would be right to tell always that one."""
        of_each = self.confusion.sum(axis=1)
        return self.classes[int(of_each.argmax())], float(of_each.max() / self.count)

    @property
    def by_class(self) -> Array:
        """Precision, recall and F1 of each class, (K, 3); zero where there is none."""
        right = np.diag(self.confusion).astype(float)
        told, are = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return np.stack([right / np.maximum(of, 1e-9) for of in (told, are, (told + are) / 2)], axis=1)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that are there or were told."""
        some = (self.confusion.sum(axis=0) + self.confusion.sum(axis=1)) > 0
        return float(self.by_class[some, 2].mean())

    @property
    def figures(self) -> dict[str, float]:
        """What the log has."""
        spans = {} if self.spans is None else {"span_f1": self.spans.of()[2]}
        return {"accuracy": self.accuracy, "macro_f1": self.macro_f1, **spans}

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        name, share = self.most_frequent
        keys = ("precision", "recall", "f1")
        by_class = [dict(zip(keys, row, strict=True)) for row in self.by_class.tolist()]
        return {
            "text": self.text,
            "count": self.count,
            "loss": self.loss,
            **self.figures,
            "most_frequent": {"class": name, "accuracy": share},
            "classes": dict(zip(self.classes, by_class, strict=True)),
            "confusion": self.confusion.tolist(),
            **({} if self.spans is None else {"spans": self.spans.to_json()}),
        }


LabelScore: TypeAlias = ClassScore | SetScore | NumberScore | NumberScores


def outputs_of(model: Model, params: Params, sequences: Sequences, turns: Turns = ALONE) -> Array:
    """Return the outputs, (M, K), or (S, K) where each step has one, in the order of the sequences."""
    count = len(sequences) if model.pool else len(sequences.inputs)
    found = np.empty((count, model.outputs), np.float32)
    starts, lengths = sequences.starts, sequences.lengths
    pieces = list(sequences.alike(steps_at_once(model)))

    def of(which: Array) -> Array:
        turns.pause()
        y = outputs(model, params, sequences.batch(which))
        own = [y[0]] if model.pool else [y[: lengths[k], n] for n, k in enumerate(which.tolist())]
        return np.concatenate(own).ravel()

    for which, some in zip(pieces, turns.share(of, pieces), strict=True):
        rows = which
        if not model.pool:
            rows = np.concatenate([starts[k] + np.arange(lengths[k]) for k in which.tolist()])
        found[rows] = some.reshape(len(rows), -1)
    return found


def measured(
    model: Model, params: Params, sequences: Sequences, coding: Coding, text: str, turns: Turns = ALONE
) -> LabelScore:
    """Return how well the model tells the labels of some sequences."""
    found, targets = outputs_of(model, params, sequences, turns), sequences.targets
    if sequences.mask is not None:  # steps of which it is not known what is to be told
        found, targets = found[sequences.mask], targets[sequences.mask]
    each = model.loss_of(found[None], targets[None]).each
    loss = float(each.mean(dtype=np.float64))
    if model.loss == SEVERAL and isinstance(coding.target, Category):
        return SetScore.of(text, loss, coding.target.values, found > 0, targets > 0.5, np.isfinite(targets))
    if isinstance(coding.target, Category):
        names, told = coding.target.values, found.argmax(axis=1)
        K = len(names)
        pairs = np.bincount(targets * K + told, minlength=K * K).reshape(K, K)
        has_spans = not model.pool and are_spans(names)
        spans = counted(names, sequences.lengths, targets, told) if has_spans else None
        return ClassScore(text, loss, names, pairs, spans)
    if isinstance(coding.target, Numbers):
        return NumberScores.told(text, loss, found, targets, coding.target)
    return NumberScore.told(text, loss, found[:, 0], targets[:, 0], coding.target)


def without(labelled: Labelled) -> str:
    """Return what is to be said of rows that are left out; nothing where there are none."""
    count = labelled.left_out
    what = "label or text" if labelled.texts is not None or labelled.words is not None else "label"
    return f"{count:,} {'rows have' if count > 1 else 'row has'} no {what}: left out" if count else ""


@dataclass(frozen=True, eq=False, repr=False)
class Predictions(Shown, text="bptt.training.labelling:in_words"):
    """What a model tells of the sequences of a table.

    Attributes
    ----------
    labelled : Labelled
        The sequences.
    labels : list of str, or (M,) numbers, or (M, K) of several
        What was told of each; for `tag` and `track` of each step; where there may be several labels those of
        which the probability is above one half, with what stands between. Rows without a text are no
        sequences: they have none, and `columns` has an empty one for them.
    classes : list of K str
        None for a number; of several their columns.
    probabilities : (M, K), for tagging (S, K)
        Of each class, or of each label by itself where there may be several; of numbers without columns.
    unknown : (int, int)
        How many tokens the model does not know, of how many: characters that were skipped, words <unk>.
    states : (M, W), or None
        What the output reads of each sequence, where it was asked for.
    decimals : tuple of int
        So many of each number are written.
    """

    labelled: Labelled
    labels: list[str] | Array
    classes: list[str]
    probabilities: Array
    unknown: tuple[int, int] = (0, 0)
    states: Array | None = None
    decimals: tuple[int, ...] = ()

    def columns(self) -> Added:
        """Return columns for each row of the table: `prediction`, `p_NAME` for each class, `h_1`, ...

        Where a row has several steps, the labels of all, and `p`, the probability of each.
        """
        labelled, labels = self.labelled, self.labels
        is_stepwise = labelled.task in STEPWISE
        if is_stepwise and len(labels) != len(labelled.order):
            return self._of_rows()
        at = np.full(len(labelled.table), -1)
        of = np.arange(len(labels)) if is_stepwise else np.repeat(np.arange(len(labels)), labelled.counts)
        at[labelled.order] = of
        h = {} if self.states is None else _each("h", range(1, len(self.states.T) + 1), self.states, at)
        if isinstance(labels, np.ndarray):
            names = [f"prediction_{name}" for name in self.classes] or ["prediction"]
            values = np.where(at[:, None] >= 0, labels.reshape(len(labels), -1)[at], np.nan).T.tolist()
            numbers = zip(names, values, self.decimals, strict=True)
            return {name: [Kept(round(x, places)) for x in own] for name, own, places in numbers} | h
        told: dict[str, list[str] | list[float]] = {"prediction": [labels[k] if k >= 0 else "" for k in at]}
        if isinstance(labelled.table.form, Conll):  # it has no head to say what is what
            return told
        return told | _each("p", self.classes, self.probabilities, at) | h

    def _of_rows(self) -> Added:
        assert self.labelled.lengths is not None
        ends = np.cumsum(self.labelled.lengths)
        parts = [slice(end - length, end) for end, length in zip(ends, self.labelled.lengths, strict=True)]
        if isinstance(self.labels, np.ndarray):
            return self._numbers_of_rows(parts)
        best = self.probabilities.max(axis=1)
        between = "" if self.labelled.by_character else " "
        found = {"prediction": [""] * len(self.labelled.table), "p": [""] * len(self.labelled.table)}
        for row, part in zip(self.labelled.order.tolist(), parts, strict=True):
            found["prediction"][row] = between.join(self.labels[part])
            found["p"][row] = " ".join(f"{p:.4g}" for p in best[part])
        return found

    def _numbers_of_rows(self, parts: list[slice]) -> Added:
        """Return columns of lists of numbers, one for each step of a row."""
        values = np.asarray(self.labels).reshape(len(self.labels), -1)
        found = dict[str, list[str]]()
        for name, own, places in zip(self.classes or [""], values.T, self.decimals, strict=True):
            column = found[f"prediction_{name}".removesuffix("_")] = [""] * len(self.labelled.table)
            for row, part in zip(self.labelled.order.tolist(), parts, strict=True):
                column[row] = " ".join(repr(round(x, places)) for x in own[part].tolist())
        return found


def _each(letter: str, names: Iterable[object], values: Array, at: Array) -> dict[str, list[float]]:
    """Return columns of the values of the sequences that rows are of; NaN where a row is of none."""
    rows = np.where(at[:, None] >= 0, values[at], np.nan)
    return {f"{letter}_{name}": rows[:, k].tolist() for k, name in enumerate(names)}


def in_words(told: Predictions) -> str:
    """Return in a line what was told."""
    few = ", ".join(map(str, told.labels[:5])) + (", ..." if len(told.labels) > 5 else "")
    return f"<{len(told.labels):,} predictions, {few}: labels, classes, probabilities, columns()>"


@dataclass(frozen=True)
class Labeller:
    """A trained model that tells labels.

    Parameters
    ----------
    model : Model
    params : dict of arrays
    layout : Layout
        Which columns it reads.
    coding : Coding
        What they are to it.

    Raises
    ------
    RunError
        If they do not fit together.
    """

    model: Model
    params: Params
    layout: Layout
    coding: Coding

    def __post_init__(self) -> None:
        coding, target = self.coding, self.coding.target
        size = 1 if isinstance(target, Number) else len(coding.told)
        inputs = coding.width
        if (self.model.inputs, self.model.outputs) != (inputs, size):
            raise RunError(
                f"its model has {self.model.inputs} inputs and {self.model.outputs} outputs, its columns "
                f"{inputs} and {size}"
            )
        several = self.model.loss == SEVERAL, self.layout.task == "multilabel"
        if isinstance(target, Category) == (self.layout.task in NUMBERS) or several[0] != several[1]:
            raise RunError(f"its labels are not those of --task {self.layout.task}")

    def read(self, table: str | Table, *, told: bool) -> Labelled:
        """Read a table's sequences, with their labels or without; DataError if they cannot be read."""
        vocabulary = self.coding.vocabulary
        by_character = vocabulary is not None and vocabulary.kind == "char"
        layout = replace(self.layout, inputs=tuple(self.coding.inputs)) if self.coding.inputs else self.layout
        return read_labelled(table, layout, by_character=by_character, told=told)

    def score(self, table: str | Table, *, skip_unknown: bool = False) -> LabelScore:
        """Return how well the labels of a table are told; a BpttWarning says how many rows are left out."""
        labelled = self.read(table, told=True)
        if said := without(labelled):
            warnings.warn(f"{labelled.table.name}: {said}", BpttWarning, stacklevel=2)
        sequences = self.coding.sequences(labelled, skip_unknown=skip_unknown)
        return measured(self.model, self.params, sequences, self.coding, labelled.table.name)

    def predict(self, table: str | Table, *, skip_unknown: bool = False) -> Predictions:
        """Tell the labels of a table's sequences, which need not be in it.

        A BpttWarning says how many rows have no text, and so no label.
        """
        labelled, target = self.read(table, told=False), self.coding.target
        if (count := labelled.left_out) > 0:
            says = f"{count:,} {'rows have' if count > 1 else 'row has'} no text, and no prediction"
            warnings.warn(f"{labelled.table.name}: {says}", BpttWarning, stacklevel=2)
        found = outputs_of(
            self.model, self.params, self.coding.sequences(labelled, skip_unknown=skip_unknown)
        )
        unknown = self.coding.unknown(labelled) if self.coding.vocabulary else (0, 0)
        if not isinstance(target, Category):
            none, one = np.empty((len(found), 0)), isinstance(target, Number)
            names = [] if one else self.coding.told
            values = target.decode(found[:, 0] if one else found)
            each = [target] if isinstance(target, Number) else target.each.values()
            decimals = tuple(number.decimals for number in each)
            return Predictions(labelled, values, names, none, unknown, decimals=decimals)
        names = target.values
        if self.model.loss == SEVERAL:
            sets = ([n for n, z in zip(names, row, strict=True) if z > 0] for row in found)
            told = [together(own, self.layout.separator) for own in sets]
            return Predictions(labelled, told, names, sigmoid(found.astype(np.float64)), unknown)
        best = found.argmax(axis=1)
        p = softmax(found.astype(np.float64))
        return Predictions(labelled, [names[k] for k in best], names, p, unknown)
