"""``bptt predict``: a table, with what a model tells of its rows."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from bptt.cli.output import encoding_option, expect_free, misused, shown_or_file, table_end
from bptt.errors import BpttWarning

if TYPE_CHECKING:
    from bptt.training.label_sets import SetScore
    from bptt.training.labelling import ClassScore, LabelScore
    from bptt.training.spans import SpanScore

MOST_SHOWN = 12
"""The most classes whose whole confusion is shown; of more, the largest."""

LARGEST = 10
"""Confusions of more classes that are shown."""

WIDEST = 30
"""Characters of a class that are shown."""


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("path", metavar="FILE")
@click.option(
    "--out", metavar="FILE", callback=shown_or_file, help="Where to write; otherwise to standard output."
)
@click.option("--skip-unknown", is_flag=True, help="Leave out and count characters that it does not know.")
@click.option("--states", is_flag=True, help="Add what the output reads of each sequence: h_1, h_2, ...")
@encoding_option
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def predict(
    folder: str,
    path: str,
    out: str | None,
    skip_unknown: bool,
    states: bool,
    encoding: str | None,
    last: bool,
) -> None:
    """Tell the labels of the table in FILE with the model trained in DIR.

    The table is written as it is, or in the form that --out ends in (.csv, .tsv, .jsonl, .json, .parquet,
    .feather), with a column `prediction` and, for classes, `p_NAME`, the probability of each. The column of
    the labels need not be there.
    """
    from bptt.data.text.packed import packed
    from bptt.files import write_atomically
    from bptt.training.trained import Trained

    end = ""
    if out is not None:
        end = table_end(out, path)
        expect_free("--out", out, folder, path)
    trained = Trained.load(folder, "last" if last else "best", encoding=encoding)
    found = trained.predict(path, skip_unknown=skip_unknown, states=states)
    table = found.labelled.table
    if out is None and not table.form.is_text:
        raise misused(f"{path} is no text, and so is what is written: name a file, --out FILE")
    data = table.written(found.columns(), end)
    if out is None:
        click.echo(data, nl=False)
    else:
        write_atomically(Path(out), packed(data, out))
        click.echo(f"{len(table):,} rows with their predictions are in {out}")
    unknown, tokens = found.unknown
    if unknown:
        share = (
            f"{path}: {unknown:,} of {tokens:,} ({unknown / tokens:.1%}) tokens are not known to the model"
        )
        warnings.warn(share, BpttWarning, stacklevel=2)


def shown(score: "LabelScore") -> str:
    """Return a score in words."""
    from bptt.training.label_sets import SetScore
    from bptt.training.labelling import ClassScore
    from bptt.training.numbers import NumberScore

    if isinstance(score, ClassScore):
        return _of_classes(score)
    if isinstance(score, SetScore):
        return _of_sets(score)
    each = {"": score} if isinstance(score, NumberScore) else score.each
    lines = [f"{score.text}: {score.count:,} numbers told", f"  {'':24} {'RMSE':>12} {'MAE':>12}"]
    for name, own in each.items():
        head = f"{_short(name)}, " if name else ""
        lines.append(f"  {head + 'the model':24} {own.rmse:12.6g} {own.mae:12.6g}")
        lines.append(f"  {head + 'always the mean':24} {own.rmse_of_mean:12.6g} {own.mae_of_mean:12.6g}")
    return "\n".join(lines)


def _short(name: str) -> str:
    return name if len(name) <= WIDEST else f"{name[: WIDEST - 1]}…"


def _of_classes(score: "ClassScore") -> str:
    name, share = score.most_frequent
    lines = [
        f"{score.text}: {score.count:,} labels told, {score.loss:.4f} nats each",
        f"  accuracy {score.accuracy:.4f} (always {name}: {share:.4f}), macro-F1 {score.macro_f1:.4f}",
    ]
    if score.spans is not None:
        lines += _of_spans(score.spans)
    return "\n".join(lines + (_matrix(score) if len(score.classes) <= MOST_SHOWN else _largest(score)))


def _of_sets(score: "SetScore") -> str:
    name, f1 = score.most_frequent
    order = (-score.are).argsort(kind="stable")[: 2 * MOST_SHOWN].tolist()
    rows = [("all", score.are.sum(), score.told.sum(), score.micro)]
    rows += [(score.classes[k], score.are[k], score.told[k], score.by_class[k]) for k in order]
    lines = [
        f"{score.text}: {score.count:,} sequences, {len(score.classes):,} labels, {score.loss:.4f} nats each",
        f"  F1 of all labels {score.micro[2]:.4f} (always {name}: {f1:.4f}), macro-F1 {score.macro_f1:.4f}; "
        f"{score.exact:.4f} of the sequences have all told right",
    ]
    return "\n".join([*lines, *_counted("labels", rows)])


def _counted(head: str, rows: "Sequence[tuple[str, int, int, Sequence[float]]]") -> list[str]:
    """Return a table: how many there are of each, how many were told, and how well."""
    named = [_short(name) for name, *_ in rows]
    wide = max(len(head), *map(len, named))
    lines = [f"  {head:{wide}} {'there':>8} {'told':>8} {'precision':>9} {'recall':>8} {'F1':>8}"]
    for name, (_, are, told, (precision, recall, f1)) in zip(named, rows, strict=True):
        lines.append(f"  {name:{wide}} {are:>8,} {told:>8,} {precision:9.4f} {recall:8.4f} {f1:8.4f}")
    return lines


def _of_spans(spans: "SpanScore") -> list[str]:
    kinds = sorted(spans.are, key=lambda kind: -spans.are[kind])[:MOST_SHOWN]
    rows = [("all", spans.are.total(), spans.told.total(), spans.of())]
    return _counted(
        "spans", rows + [(kind, spans.are[kind], spans.told[kind], spans.of(kind)) for kind in kinds]
    )


def _matrix(score: "ClassScore") -> list[str]:
    named = [*map(_short, score.classes)]
    first = max(15, *map(len, named))
    width = 1 + max(4, min(10, max(map(len, named))), len(f"{score.confusion.max():,}"))
    heads = "".join(f"{name[: width - 1]:>{width}}" for name in named)
    lines = [f"  {'is | told to be':{first}}{heads} {'recall':>8}"]
    for name, row, (_, recall, _) in zip(named, score.confusion, score.by_class, strict=True):
        cells = "".join(f"{count:>{width},}" for count in row)
        lines.append(f"  {name:{first}}{cells} {recall:8.4f}")
    return lines


def _largest(score: "ClassScore") -> list[str]:
    wrong = score.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:LARGEST]
    pairs = [divmod(int(at), len(score.classes)) for at in order]
    of_each = score.confusion.sum(axis=1)
    names = [*map(_short, score.classes)]
    lines = [
        f"    {wrong[k, j]:6,} of {of_each[k]:6,} {names[k]} told to be {names[j]}"
        for k, j in pairs
        if wrong[k, j]
    ]
    return [f"  the largest confusions of {len(score.classes)} labels:", *lines] if lines else []
