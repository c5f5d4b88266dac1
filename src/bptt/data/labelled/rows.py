"""The sequences that a table's rows are.

A sequence is a row, with a text, or numbers with spaces between; or it is the rows that a column (`series`)
gives one name, a word or some numbers each. What is to be told, the label, is one for each sequence, or, for
tagging, one for each of its steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from bptt.data.labelled.columns import labels_in_rows, numbers_in_rows, numbers_of
from bptt.data.labelled.layout import ELAPSED, LABEL, NUMBERS, STEPWISE, TEXT, Layout, Task
from bptt.data.labelled.several import apart, with_sets
from bptt.data.tables import Table
from bptt.data.tables.conll import SENTENCE
from bptt.data.tables.numbers import ABSENT
from bptt.errors import DataError
from bptt.types import Array


@dataclass(frozen=True, eq=False)
class Labelled:
    """M sequences of a table with R rows, S steps in all.

    Attributes
    ----------
    table : Table
    task : str
    label : str or None
        The column that the labels are from.
    order : (R,) integers
        The rows, one sequence after the other; without those that are left out.
    counts : (M,) integers
        How many rows each sequence has.
    texts : list of M str, or None
        One text each.
    words : list of S str, or None
        Or a word for each step,
    numbers : (S, D) or None
        or numbers for each step,
    lengths : (M,) integers or None
        of so many steps each.
    labels : list of str, (M,) numbers, or None
        M, or where each step has one S; of several numbers (M, K) or (S, K), NaN where a step's is not known.
    by_character : bool
        Whether the words are the characters of a text.
    names : list of str
        All labels of which a sequence may have several; the columns of its several numbers.
    unknown : (M, K) bool, or None
        Of which of these it is not known whether it has them.
    separator : str
        What stands between these.
    beside : dict of (S,) numbers, or None
        What the cell reads at each step beside its input.
    elapsed : (S,) numbers, or None
        The time since the step before, zero at the first of each sequence; where times are not known, steps.
    """

    table: Table
    task: Task
    label: str | None
    order: Array
    counts: Array
    texts: list[str] | None = None
    words: list[str] | None = None
    numbers: Array | None = None
    lengths: Array | None = None
    labels: list[str] | Array | None = None
    by_character: bool = False
    names: list[str] = field(default_factory=list)
    unknown: Array | None = None
    separator: str = "|"
    beside: Mapping[str, Array] | None = None
    elapsed: Array | None = None

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def firsts(self) -> Array:
        """The first row of each sequence, (M,)."""
        firsts: Array = self.order[np.cumsum(self.counts) - self.counts]
        return firsts

    @property
    def sets(self) -> list[list[str]]:
        """The labels of each sequence, where it may have several."""
        return [apart(text, self.separator) for text in self.labels or ()]

    @property
    def left_out(self) -> int:
        """How many rows of the table are no part of any sequence."""
        return len(self.table) - len(self.order)

    def place(self, sequence: int) -> str:
        """Return where a sequence begins, as a person finds it."""
        return self.table.place(int(self.firsts[sequence]))

    def place_of_step(self, step: int) -> str:
        """Return where a step stands, or the sequence that it is of."""
        if self.texts is None and len(self.order) == (self.lengths.sum() if self.lengths is not None else 0):
            return self.table.place(int(self.order[step]))
        assert self.lengths is not None
        return self.place(int(np.searchsorted(np.cumsum(self.lengths), step, side="right")))


def read_labelled(
    table: str | Table, layout: Layout, *, by_character: bool = False, told: bool = True
) -> Labelled:
    """Read a table's sequences.

    Parameters
    ----------
    table : str or Table
        The path of one, or one that is read.
    layout : Layout
    by_character : bool
        For tagging rows: whether each character has a label, rather than each word.
    told : bool
        Whether the labels are read, too.

    Raises
    ------
    DataError
        A column is missing, or a row cannot be used: it is named.
    """
    if isinstance(table, str):
        table = layout.table(table)
    text, label, series = layout.text, layout.label, layout.series
    if layout.is_usual:
        text, label = TEXT, LABEL
    layout = layout.within(table)
    if SENTENCE in table.columns and layout.is_sentences(table.name):
        names = [name for name in table.columns if name != SENTENCE]
        if told and len(names) < 2:
            raise DataError(
                f"{table.name}: one value a line, and no label behind it: --task tag reads a word a line "
                "with its label, or --text and --label COLUMN of a table"
            )
        text = text or ("form" if "form" in names else names[0])
        label = label or ("upos" if "upos" in names else names[-1])
        series = SENTENCE
    elif told and label is None:
        label = layout.label_of(table)
    label, whole, names = label if told else None, table, list[str]()
    unknown = None
    if layout.task == "multilabel" and label is not None:
        table, names, unknown = with_sets(table, label, layout.separator, layout.missing)
    elif layout.task in NUMBERS and label is not None and label not in table.columns:
        names = table.across(label)
    if label is not None:
        layout.expect_apart(_read(whole, layout, text), [label] if label in whole.columns else names)
    told_of = names if layout.task in NUMBERS and names else [] if label is None else [label]
    kept = _kept(table, layout, text, told_of, series, unknown)
    some = table.take(kept) if len(kept) < len(table) else table
    if series is not None:
        found = _of_rows(some, layout, text, label, series)
    elif layout.task in STEPWISE:
        found = _tagged(some, text, layout, label, by_character)
    else:
        found = _of_each_row(some, layout, text, label)
    found = replace(found, names=names, separator=layout.separator, table=whole, order=kept[found.order])
    if unknown is None:
        return found
    starts = np.cumsum(found.counts) - found.counts  # what one row of a sequence knows is known of it
    return replace(found, unknown=np.logical_and.reduceat(unknown[found.order], starts, axis=0))


def _read(table: Table, layout: Layout, text: str | None) -> list[str]:
    """Return the columns that are read of each row: all of those that are named together, as a,b or a:c."""
    beside = (column for _, column in layout.beside if column != ELAPSED)
    named = (name for name in (text, *layout.inputs, *beside) if name is not None)
    return [each for name in named for each in table.across(name)]


def _kept(
    table: Table,
    layout: Layout,
    text: str | None,
    labels: list[str],
    series: str | None,
    unknown: Array | None,
) -> Array:
    """Return the rows that can be read: those without a label, or without a text, are left out.

    A number that means that there is none is no label. Of sequences of several rows only whole ones are: a
    step cannot be missing. DataError where none is left.
    """
    kept, task = np.ones(len(table), bool), layout.task
    for label in labels if task in NUMBERS and layout.missing else ():
        kept &= np.array([table.number(value) not in layout.missing for value in table.column(label)])
    if unknown is not None and unknown.shape[1]:
        kept &= ~unknown.all(axis=1)
    nothing = ABSENT if task in NUMBERS else () if task == "multilabel" else ("",)
    for name, absent in (*((label, nothing) for label in labels), (text if series is None else None, ("",))):
        if name is not None:
            kept &= np.array([value.strip().lower() not in absent for value in table.column(name)])
        if name is not None and not kept.any():
            raise table.empty(name, 0)
    if series is not None and not kept.all():
        if task == "tag":
            return np.arange(len(table))  # which row lacks its label is said
        whole = {name for name, is_kept in zip(table.column(series), kept, strict=True) if is_kept}
        kept = np.array([name in whole for name in table.column(series)])
    return np.flatnonzero(kept)


def _of_each_row(table: Table, layout: Layout, text: str | None, label: str | None) -> Labelled:
    """Return sequences that are a row each, with a label each."""
    every, once = np.arange(len(table)), np.ones(len(table), np.int64)
    labels = None if label is None else _labels(table, layout, label)
    if layout.inputs:
        numbers, lengths = numbers_in_rows(table, layout)
        found = Labelled(
            table, layout.task, label, every, once, numbers=numbers, lengths=lengths, labels=labels
        )
        return replace(found, elapsed=_steps_apart(lengths))
    assert text is not None
    return Labelled(table, layout.task, label, every, once, texts=table.filled(text), labels=labels)


def has_label_each(table: Table, layout: Layout) -> bool:
    """Return whether each character of a table's texts has a label, as where no text has a space in it."""
    if layout.task != "tag" or layout.text is None or layout.series is not None or layout.label is None:
        return False
    rows = list(zip(table.column(layout.text), table.column(layout.label), strict=True))
    return all(len(text) == len(label) and " " not in text.strip() for text, label in rows) and any(
        len(text) > 1 for text, _ in rows
    )


def _labels(table: Table, layout: Layout, label: str) -> list[str] | Array:
    task = layout.task
    if task == "multilabel":
        return table.column(label)
    if task in NUMBERS:
        names = [label] if label in table.columns else table.across(label)
        found = np.stack([table.numbers(name, absent=task == "track") for name in names], axis=1)
        found[np.isin(found, layout.missing)] = np.nan
        return found[:, 0] if label in table.columns else found
    return [text.strip() for text in table.filled(label)]


def _of_rows(table: Table, layout: Layout, text: str | None, label: str | None, series: str) -> Labelled:
    """Return the sequences of a table in which a column says which sequence a row is of."""
    codes: dict[str, int] = {}
    of = np.array([codes.setdefault(name, len(codes)) for name in table.filled(series)])
    order, counts = np.argsort(of, kind="stable"), np.bincount(of)
    elapsed = _steps_apart(counts)
    if layout.time is not None:
        table = table.with_joined(layout.time)
        times = table.times(layout.time, layout.dates)[order]
        _expect_in_order(table, times, layout.time, of, order)
        times = times if times.dtype.kind == "f" else times.astype("datetime64[us]").astype(float)
        elapsed[1:] = np.where(elapsed[1:] > 0, np.diff(times), 0)
    words = numbers = None
    if layout.inputs:
        numbers = np.stack([numbers_of(table, name, layout) for name in layout.inputs], axis=1)[order]
    else:
        assert text is not None
        column = table.filled(text)
        words = ["_".join(column[k].split()) for k in order]
    labels: list[str] | Array | None = None
    if label is not None:
        labels = _labels(table, layout, label)
        labels = labels[order] if isinstance(labels, np.ndarray) else [labels[k] for k in order]
        if layout.task not in STEPWISE:
            labels = _of_each(table, labels, label, order, counts, list(codes))
    beside = {
        name: elapsed if column == ELAPSED else table.numbers(column)[order] for name, column in layout.beside
    }
    found = Labelled(table, layout.task, label, order, counts, None, words, numbers, counts, labels)
    return replace(found, beside=beside or None, elapsed=elapsed)


def _steps_apart(lengths: Array) -> Array:
    """Return a one for each step that has one before it in its sequence, and a zero for the others, (S,)."""
    apart = np.ones(lengths.sum())
    apart[np.cumsum(lengths) - lengths] = 0
    return apart


def _of_each(
    table: Table, labels: list[str] | Array, label: str, order: Array, counts: Array, names: list[str]
) -> list[str] | Array:
    """Return the one label of each sequence; DataError where there are several."""
    firsts = np.cumsum(counts) - counts
    of = np.repeat(np.arange(len(counts)), counts)
    own = [*map(tuple, labels.tolist())] if isinstance(labels, np.ndarray) and labels.ndim > 1 else labels
    for k, at in enumerate(firsts[of]):
        if own[k] != own[at]:
            each = f"; --task {'track' if isinstance(labels, np.ndarray) else 'tag'} tells each row's"
            raise DataError(
                f"{table.place(int(order[k]))}: {label} is {own[k]!s:.40}, and was {own[at]!s:.40} "
                f"before in the same sequence, {names[of[k]]!r:.40}: want one for a sequence{each}"
            )
    return labels[firsts] if isinstance(labels, np.ndarray) else [labels[k] for k in firsts]


def _expect_in_order(table: Table, times: Array, name: str, of: Array, order: Array) -> None:
    for k in np.flatnonzero((of[order][1:] == of[order][:-1]) & ~(times[1:] > times[:-1]))[:1].tolist():
        what = "stands twice" if times[k + 1] == times[k] else f"comes after {table.columns[name][order[k]]}"
        raise DataError(
            f"{table.place(int(order[k + 1]))}: {name} {table.columns[name][order[k + 1]]:.40} {what} in one "
            "sequence: put the rows in order of time"
        )


def _tagged(
    table: Table, text: str | None, layout: Layout, label: str | None, by_character: bool
) -> Labelled:
    """Return sequences that are a row each, with as many labels as steps."""
    once, every = np.ones(len(table), np.int64), np.arange(len(table))
    labels: list[Any] | None = None
    if label is not None and layout.task == "track":
        labels = labels_in_rows(table, label, layout)
    elif label is not None:
        column = table.filled(label)
        labels = [list("".join(value.split())) if by_character else value.split() for value in column]
    if layout.inputs:
        numbers, lengths = numbers_in_rows(table, layout)
        rows = None
    else:
        assert text is not None
        rows = [list(value) if by_character else value.split() for value in table.filled(text)]
        lengths, numbers = np.array([len(row) for row in rows]), None
    what = "characters" if by_character else "numbers" if layout.inputs else "words"
    for k, (own, wanted) in enumerate(zip(labels or (), lengths.tolist(), strict=False)):
        if len(own) != wanted:
            raise DataError(f"{table.place(k)}: {wanted} {what} and {len(own)} labels: want a label for each")
    return Labelled(
        table,
        layout.task,
        label,
        every,
        once,
        words=None if rows is None else [word for row in rows for word in row],
        numbers=numbers,
        lengths=lengths,
        labels=labels and (np.concatenate(labels) if layout.task == "track" else [*chain(*labels)]),
        by_character=by_character,
        elapsed=None if rows is not None else _steps_apart(lengths),
    )
