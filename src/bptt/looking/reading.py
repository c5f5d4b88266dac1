"""What a trained model is seen on: the first steps of its validation data, or of other data of that kind."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bptt.data.labelled import Coding
from bptt.data.sequences import Sequences
from bptt.data.tables import Category, Number, Numbers
from bptt.data.tasks.reber import SYMBOLS
from bptt.data.text import Vocabulary
from bptt.data.text.files import named
from bptt.errors import DataError
from bptt.looking.forward import NUMBERS, Piece
from bptt.looking.view import Kind
from bptt.nets.model import Model
from bptt.training import listed
from bptt.training.experiment import on_the_word_of_a_run
from bptt.training.forecasting import Forecaster
from bptt.training.jobs import experiment
from bptt.training.jobs.generated import Generated
from bptt.training.jobs.labels import Labels, labeller_of
from bptt.training.trained import Trained
from bptt.types import Array, Batch

START, END = "‹start›", "‹end›"
"""What is shown of the token that begins and ends texts by themselves."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What is read, and in which words.

    Attributes
    ----------
    kind : str
    name : str
        What the data are called.
    pieces : list of Piece
    outputs : list of K str
        What the outputs stand for; none for numbers.
    columns : list of str
        What the real inputs are called, where there are a few.
    """

    kind: Kind
    name: str
    pieces: list[Piece]
    outputs: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


def reading_of(trained: Trained, path: str | None, steps: int) -> Reading:
    """Return what a trained model is seen on: so many steps, of whole sequences where there are several.

    Parameters
    ----------
    trained : Trained
    path : str, optional
        A text, a list or a table, as the model reads them; - is standard input.
    steps : int
        The most steps; of the first sequence at least one.

    Raises
    ------
    DataError
        If the data cannot be read, or are no longer those that it was validated on.
    """
    of: Callable[[Trained, str | None, int], Reading] = {
        "stream": _stream, "lines": _lines, "labels": _labels, "series": _series, "generated": _generated,
    }[trained.settings.job]  # fmt: skip
    return of(trained, path, steps)


def spelt(vocabulary: Vocabulary, ids: Sequence[int] | Array) -> list[str]:
    """Return the part of a text that each token is; joined they are the text."""
    decoder = vocabulary.decoder()
    return [decoder.feed(int(k)) for k in ids]


def written(vocabulary: Vocabulary) -> list[str]:
    """Return how each token is written by itself."""
    return [END if k == vocabulary.end else vocabulary.written(k) for k in range(len(vocabulary))]


def text_piece(vocabulary: Vocabulary, ids: Array, steps: int) -> Piece:
    """Return the first tokens of a text, each with the next one as what was to come."""
    if len(ids) == 0:
        raise DataError("there is nothing to look at: the text holds no token")
    known = written(vocabulary)
    own, after = ids[:steps].astype(np.int64), ids[1 : steps + 1].astype(np.int64)
    text, T = spelt(vocabulary, own), len(own)
    truth: list[str | None] = [known[k] for k in after]
    has_next = np.arange(T) < len(after)
    return Piece(
        own,
        np.concatenate([after, np.zeros(T - len(after), np.int64)]),
        has_next,
        [part or known[k] for part, k in zip(text, own, strict=True)],
        truth + [None] * (T - len(after)),
        text,
    )


def _stream(trained: Trained, path: str | None, steps: int) -> Reading:
    vocabulary = trained.expect_text("reads")
    name, ids = next(iter(trained.ids_of(path).items()))
    return Reading("text", named(name), [text_piece(vocabulary, ids, steps)], written(vocabulary))


def _lines(trained: Trained, path: str | None, steps: int) -> Reading:
    vocabulary = trained.expect_text("reads")
    if path is None:
        name, texts = f"{named(trained.settings.data)}, validation", listed.parts(trained).valid
    else:
        name, texts = path, trained.form.read(path, vocabulary.kind).without_empty()
    if not len(texts):
        raise DataError(f"{name}: holds no {trained.form.unit} that is not empty")
    sequences, known = listed.read(trained, texts), written(vocabulary)

    def piece(own: Sequences, k: int) -> Piece:
        ids, targets = own.inputs.astype(np.int64), own.targets.astype(np.int64)
        text = ["\n", *spelt(vocabulary, ids[1:])]
        tokens = [START, *(part or known[k] for part, k in zip(text[1:], ids[1:], strict=True))]
        truth: list[str | None] = [known[k] for k in targets]
        return Piece(ids, targets, np.ones(len(ids), bool), tokens, truth, text)

    return Reading("lists", name, _pieces(sequences, steps, piece), known)


def _labels(trained: Trained, path: str | None, steps: int) -> Reading:
    labeller, settings = labeller_of(trained), trained.settings
    coding, told = labeller.coding, True
    if path is None:
        trained.expect_data("table")
        with on_the_word_of_a_run(settings.data):
            now = Labels.of(settings)
        if now.facts["sha256"] != trained.sha256:
            raise DataError(
                f"{settings.data} is no longer the table that the model was trained on: give the FILE of one"
            )
        name, sequences = settings.valid or f"{settings.data}, validation", now.valid
    else:
        try:
            labelled = labeller.read(path, told=True)
        except DataError:
            labelled, told = labeller.read(path, told=False), False  # without labels, or it says why not
        name, sequences = labelled.table.name, coding.sequences(labelled)
    if isinstance(coding.target, Numbers):
        raise DataError(f"a model that tells several numbers of a sequence ({coding.label}) is not looked at")
    classes = coding.target.values if isinstance(coding.target, Category) else []

    def piece(own: Sequences, k: int) -> Piece:
        T, targets = len(own.inputs), own.targets if told else None
        counts = T if trained.model.pool is None else 1
        truth: list[str | None] = [None] * T
        scale = None
        if told and isinstance(coding.target, Number):
            truth[T - len(own.targets) :] = [f"{y:.6g}" for y in coding.target.decode(own.targets[:, 0])]
        elif told:
            truth[T - len(own.targets) :] = [_said(y, classes) for y in own.targets]
        if isinstance(coding.target, Number):
            scale = np.full(T, coding.target.mean), np.full(T, coding.target.scale)
        tokens, text = _read(coding, own.inputs)
        counted = np.full(counts, told)
        return Piece(own.inputs, targets, counted, tokens, truth, text, given=own.given, scale=scale)

    return Reading("labels", name, _pieces(sequences, steps, piece), [*classes], coding.columns)


def _read(coding: Coding, inputs: Array) -> tuple[list[str], list[str] | None]:
    """Return in words what is read of a labelled sequence, and the text that it is."""
    vocabulary = coding.vocabulary
    if vocabulary is None:
        columns = [c.decode(inputs[:, d]) for d, c in enumerate(coding.inputs.values())]
        return [", ".join(f"{v:.4g}" for v in row) for row in np.stack(columns, axis=1)], None
    text, known = spelt(vocabulary, inputs), written(vocabulary)
    text[0] = f"\n{text[0].lstrip()}"
    tokens = [part or known[k] for part, k in zip([text[0][1:], *text[1:]], inputs, strict=True)]
    return tokens, text


def _series(trained: Trained, path: str | None, steps: int) -> Reading:
    (windows, origins), H = Forecaster(trained).held_out(path), trained.settings.horizon
    W, panel = windows.window, windows.panel
    some = origins.take(np.unique(np.linspace(0, len(origins) - 1, max(1, steps // (W + H))).astype(int)))
    of, pieces = windows.at(some, H), []
    batch = of.batch
    for n in range(len(some)):
        there = slice(0, None) if batch.mask is None else slice(int(np.argmax(batch.mask[:, n])), None)
        y = np.concatenate([of.past[:, n] * of.scale[n] + of.level[n], of.actual[:, n]])
        base = np.concatenate([np.zeros(W), of.base[:, n]])
        counts = batch.counted[:, n] if batch.counted is not None else np.ones(W + H, bool)
        tokens = [f"{v:.6g}" if t < W else "?" for t, v in enumerate(y)]
        truth = [f"{v:.6g}" if c else None for v, c in zip(y, counts, strict=True)]
        pieces.append(
            Piece(
                batch.inputs[there, n],
                batch.targets[there, n],
                counts[there],
                tokens[there],
                truth[there],
                scale=(base[there], np.full(W + H, of.scale[n])[there]),
            )
        )
    columns = ["value before", "is known", "linear forecast", "error", "drift", "place after the origin"]
    columns += [f"covariate {k + 1}" for k in range(batch.inputs.shape[2] - len(columns))]
    return Reading("series", panel.name, pieces, columns=columns)


def _generated(trained: Trained, path: str | None, steps: int) -> Reading:
    if path is not None:
        raise DataError("a generated task is looked at on what it generates: leave TEXT out")
    trained.expect_data("task")
    made = experiment(trained.settings)
    assert isinstance(made, Generated)
    batch, task = next(made.task.test_batches()), made.task
    names = [*SYMBOLS] if task.name == "reber" else []
    rows = (row_of(trained.model, batch, n, names) for n in range(batch.inputs.shape[1]))
    pieces = first_of((part_of(row, slice(steps)) for row in rows), steps)
    columns = [] if task.input_tokens else [f"input {d + 1}" for d in range(batch.inputs.shape[2])]
    return Reading("steps", made.facts["source"], pieces, outputs_of(trained.model, names), columns)


def outputs_of(model: Model, names: Sequence[str]) -> list[str]:
    """Return what a model's outputs stand for, by the names of its inputs; none for numbers."""
    if model.loss in NUMBERS:
        return []
    known = [*names[: model.outputs]]
    return known + [str(k) for k in range(len(known), model.outputs)]


def row_of(model: Model, batch: Batch, n: int, names: Sequence[str]) -> Piece:
    """Return a row of a batch, whose tokens have these names, or their numbers."""
    there = np.ones(len(batch.inputs), bool) if batch.mask is None else batch.mask[:, n]
    x, T, pooled = batch.inputs[there, n], int(there.sum()), model.pool is not None
    steps = np.ones(1, bool) if pooled else there
    y = None if batch.targets.size == 0 else batch.targets[:, n][steps]
    if batch.target_mask is not None:
        counted = batch.target_mask[:, n][steps]
    else:
        counted = np.full(len(y) if y is not None else 1 if pooled else T, y is not None)
    if model.token_inputs:
        tokens = [names[k] if k < len(names) else str(k) for k in x.tolist()]
    else:
        tokens = [", ".join(f"{v:.4g}" for v in row) for row in x]
    truth: list[str | None] = [None] * T
    if y is not None:
        known = outputs_of(model, names)
        said = [_said(row, known) if c else None for row, c in zip(y, counted, strict=True)]
        truth[T - len(said) :] = said
    return Piece(
        x,
        y,
        counted,
        tokens,
        truth,
        tokens if names and model.token_inputs else None,
        None if batch.features is None else batch.features[n],
        {name: array[there, n] for name, array in (batch.given or {}).items()} or None,
        (np.zeros(T), np.ones(T)) if model.loss in NUMBERS else None,
    )


def _said(target: Array, names: list[str]) -> str:
    """Return a target in words: a number, a name, or all names that may come."""
    if not names:
        return ", ".join(f"{v:.4g}" for v in target)
    if np.ndim(target) == 0:
        return names[target] if 0 <= target < len(names) else f"{target}"  # which the loss refuses
    return " or ".join(name for name, p in zip(names, target, strict=True) if p > 0.5)


def _pieces(sequences: Sequences, steps: int, piece: Callable[[Sequences, int], Piece]) -> list[Piece]:
    """Return the first sequences; of a longer first one a part, unless it is told of as a whole."""

    def each() -> Iterator[Piece]:
        for k in range(len(sequences)):
            own = sequences.take(np.array([k]))
            features = None if own.features is None else own.features[0]
            made = replace(piece(own, k), features=features)
            yield part_of(made, slice(steps)) if own.is_stepwise else made

    return first_of(each(), steps)


def first_of(pieces: Iterable[Piece], steps: int) -> list[Piece]:
    """Return the first pieces that have steps, so many that they have no more than so many; one at least."""
    found, left = list[Piece](), steps
    for piece in pieces:
        if found and len(piece.inputs) > left:
            break
        if len(piece.inputs):
            found.append(piece)
            left -= len(piece.inputs)
    if not found:
        raise DataError("there is nothing to look at: no sequence has a step")
    return found


def part_of(piece: Piece, some: slice) -> Piece:
    """Return some of the steps of a piece in which each step has its target."""
    return replace(
        piece,
        inputs=piece.inputs[some],
        targets=None if piece.targets is None else piece.targets[some],
        counted=piece.counted[some],
        tokens=piece.tokens[some],
        truth=piece.truth[some],
        text=None if piece.text is None else piece.text[some],
        given=None if piece.given is None else {name: a[some] for name, a in piece.given.items()},
        scale=None if piece.scale is None else (piece.scale[0][some], piece.scale[1][some]),
    )
