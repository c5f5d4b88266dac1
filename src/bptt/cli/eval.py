"""``bptt eval``: how well a trained model predicts."""

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bptt.cli.output import (
    encoding_option,
    expect_free,
    expect_place,
    misused,
    shown_or_file,
    table_end,
    to_json,
)
from bptt.errors import BpttWarning

if TYPE_CHECKING:
    from bptt.data.text import Vocabulary
    from bptt.training.scoring import LineScore, Score
    from bptt.training.trained import Trained


@click.command("eval")
@click.argument("folder", metavar="DIR")
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@encoding_option
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
@click.option("--since", metavar="TIME", help="Of series: the first time that is forecast.")
@click.option("--each-line", is_flag=True, help="Each line of PATH, or each document or row, by itself.")
@click.option("--tokens", is_flag=True, help="With --each-line: the loss of each token, too.")
@click.option(
    "--words", is_flag=True, help="With --each-line: the loss of each word, of its tokens together."
)
@click.option(
    "--text", metavar="COLUMN", help="With --each-line: the column of a table that holds the texts."
)
@click.option("--skip-unknown", is_flag=True, help="Leave out and count what the model does not know.")
@click.option(
    "--format", "form", type=click.Choice(["json", "csv"]), help="With --each-line: JSON lines, or CSV."
)
@click.option(
    "--out",
    metavar="FILE",
    callback=shown_or_file,
    help="With --each-line: where to write. Of series: a table of all windows that are forecast.",
)
@click.option("--dynamic", is_flag=True, help="Also by a model that learns from what it has predicted.")
@click.option("--rule", type=click.Choice(["sgd", "rms"]), help="With --dynamic: how it learns.  [sgd]")
@click.option("--rate", type=float, metavar="X", help="With --dynamic: its rate; otherwise one is chosen.")
@click.option("--decay", type=float, metavar="X", help="With --dynamic: back to the trained weights.")
@click.option(
    "--segment", type=int, metavar="T", help="With --dynamic: tokens that it learns from at a time."
)
def evaluate(
    folder: str,
    path: str | None,
    as_json: bool,
    encoding: str | None,
    last: bool,
    since: str | None,
    each_line: bool,
    tokens: bool,
    words: bool,
    text: str | None,
    skip_unknown: bool,
    form: str | None,
    out: str | None,
    dynamic: bool,
    **how: Any,
) -> int:
    """Measure the model trained in DIR on its validation text, or on the text at PATH.

    Two figures: from a cold start in windows of 256 tokens, and with the state carried through the whole
    text. For a generated task: whether its criterion is met. Exit code 1: it is not, or a figure is not
    finite. Of a model of lines or documents one figure: each from a cold start, its end counted. Of one of
    labels: how often they are told right, and which are told for which; or how near numbers are told.

    Of series: the errors of rolling windows of the part that was held out, or of FILE after the run's own
    end, beside those of the seasonal naive forecast. --out: each window's forecasts, and what came.

    --each-line: for each line its loss in nats, in all and per token, from a cold start. --words: the
    surprisal of each word, with the white space before it.

    --dynamic: of one long text also the figure of dynamic evaluation, where each segment, once predicted,
    moves the weights before the next. The run stays as it is. The rate is chosen on its validation text,
    unless it is given.
    """
    from bptt.training.dynamic import scores as dynamic_scores
    from bptt.training.trained import Trained

    if not dynamic and any(value is not None for value in how.values()):
        raise misused("--rule, --rate, --decay and --segment go with --dynamic")
    if not each_line and (tokens or words or text or form):
        raise misused("--tokens, --words, --text and --format go with --each-line")
    if tokens and words:
        raise misused("--tokens and --words are two ways to cut a text; give one")
    if each_line and path is None:
        raise misused("--each-line measures the lines of a file: give its PATH")
    trained = Trained.load(folder, "last" if last else "best", encoding=encoding)
    if dynamic and (each_line or trained.settings.job != "stream"):
        raise misused("--dynamic measures one long text, with a model of one")
    if since is not None and trained.settings.job != "series":
        raise misused("--since is for series, where a window begins at a time")
    if trained.settings.job == "series" and not each_line:
        return _of_series(trained, path, since, as_json, out)
    if out is not None and not each_line:
        raise misused("--out goes with --each-line, or with a model of series")
    if trained.settings.job == "labels" and not each_line:
        from bptt.cli.predict import shown as in_words

        label_score = trained.label_score(path, skip_unknown=skip_unknown)
        whole = {"step": trained.step, "score": label_score.to_json()}
        click.echo(to_json(whole) if as_json else in_words(label_score))
        return 0 if math.isfinite(label_score.loss) else 1
    if skip_unknown and not each_line:
        raise misused("--skip-unknown goes with --each-line, or with a model of labels")
    if each_line:
        assert path is not None
        form = form or ("json" if as_json else None)
        if out is not None:
            expect_free("--out", out, folder, path)
            if form is None:
                expect_place("--out", out, ".csv", ".jsonl", ".json")
        return _each_line(
            trained, path, text, form, out, skip_unknown=skip_unknown, tokens=tokens, words=words
        )
    if trained.settings.job == "generated":
        if path is not None:
            raise misused("a generated task is measured on what it generates: leave PATH out")
        verdict = trained.verdict()
        shown = {"data": trained.settings.data, "met": verdict.met, "says": verdict.says}
        click.echo(to_json({**shown, "figure": verdict.figure}) if as_json else verdict.says)
        return 0 if verdict.met else 1
    vocabulary, scores = trained.expect_text("reads"), trained.scores(path)
    given = {name: value for name, value in how.items() if value is not None}
    moved = dynamic_scores(trained, path, **given) if dynamic else None
    every = [*scores, *(moved.scores if moved else [])]
    code = 0 if all(math.isfinite(score.nats) for score in every) else 1
    if as_json:
        shown = {"step": trained.step, "scores": [score.to_json() for score in scores]}
        click.echo(to_json(shown | ({"dynamic": moved.to_json()} if moved else {})))
        return code
    _show(scores, vocabulary)
    if moved is not None:
        click.echo(f"dynamic evaluation, by weights that learn from what they have predicted: {moved.says}")
        _show(moved.scores, vocabulary)
    return code


def _show(scores: "list[Score]", vocabulary: "Vocabulary") -> None:
    """Write a table of scores for each text."""
    from bptt.data.text.tokenizers import tokenizer

    unit, is_words = vocabulary.unit, tokenizer(vocabulary.kind).unknown is not None
    other = "perplexity" if is_words else f"bits per {'char' if scores[0].characters else unit}"
    wide = max(22, *(len(score.start) for score in scores))
    for k, score in enumerate(scores):
        if not k or score.text != scores[k - 1].text:
            unk = "" if score.unknown is None else f", {score.unknown:.1%} of them <unk>"
            click.echo(f"{score.text}: {score.tokens:,} {unit}s predicted{unk}")
            click.echo(f"  {'state':{wide}} {f'nats per {unit}':>14} {other:>14}")
        second = score.perplexity if is_words else score.bits_per_character or score.bits
        click.echo(f"  {score.start:{wide}} {score.nats:14.4f} {second:14.4g}")


def _of_series(
    trained: "Trained", path: str | None, since: str | None, as_json: bool, out: str | None
) -> int:
    from bptt.data.tables.writing import written
    from bptt.data.text.packed import packed
    from bptt.files import write_atomically
    from bptt.training.forecasting import Forecaster

    forecaster, source = Forecaster(trained), path or trained.settings.data
    end = "" if out is None else table_end(out, source)
    if out is not None:
        expect_place("--out", out)
        expect_free("--out", out, trained.source, source, trained.settings.data)
    found, table, form = forecaster.measured(path, since)
    if as_json:
        shown = {"windows": found.windows, "values": found.values, "loss": found.loss, **found.figures}
        each = {name: errors.tolist() for name, errors in found.by_step.items()}
        click.echo(to_json({"step": trained.step, **shown, "by_step": each}))
    else:
        click.echo(f"{source}: {found.says}")
    if out is not None:
        write_atomically(Path(out), packed(written(table, form, end), out))
        if not as_json:
            click.echo(f"all windows, a row for each step: {out}")
    return 0 if all(map(math.isfinite, (found.loss, *found.figures.values()))) else 1


def _each_line(
    trained: "Trained",
    path: str,
    text: str | None,
    form: str | None,
    out: str | None,
    *,
    skip_unknown: bool,
    tokens: bool,
    words: bool,
) -> int:
    """Write the scores of a file's texts, and what they are together."""
    from bptt.errors import DataError
    from bptt.files import write_atomically

    texts = trained.texts_of(path, text)
    if out is not None and form is None:
        form = "json" if out.endswith((".json", ".jsonl")) else "csv"
    try:
        scores = list(trained.score_lines(texts, skip_unknown=skip_unknown, tokens=tokens, words=words))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    shown = (
        _table(scores, trained) if form is None else _as_csv(scores) if form == "csv" else _as_json(scores)
    )
    if out is None:
        click.echo(shown, nl=False, color=True)
    else:
        write_atomically(Path(out), shown.encode())
    if out is not None or form is None:
        click.echo(_together(scores, trained))
    if skip_unknown and (left_out := sum(score.unknown for score in scores)):
        lines = sum(score.unknown > 0 for score in scores)
        note = f"{path}: {left_out:,} unknown, in {lines:,} of {len(scores):,} lines, left out of the losses"
        warnings.warn(note, BpttWarning, stacklevel=2)
    return 0 if all(math.isfinite(score.total) for score in scores) else 1


def _together(scores: "list[LineScore]", trained: "Trained") -> str:
    """Return the scores' sum in a line."""
    from bptt.data.text.tokenizers import tokenizer

    assert trained.vocabulary is not None
    kind, unit = trained.vocabulary.kind, trained.vocabulary.unit
    count, total = sum(score.tokens for score in scores), math.fsum(score.total for score in scores)
    is_words = tokenizer(kind).unknown is not None
    share = sum(score.unknown for score in scores) / max(1, count)
    unknown = f", of which {share:.1%} are {tokenizer(kind).unknown}" if is_words else ""
    return (
        f"{len(scores):,} lines, {count:,} {unit}s{unknown}: {total:,.4f} nats, "
        f"{total / count if count else math.nan:.4f} per {unit}"
    )


def _table(scores: "list[LineScore]", trained: "Trained") -> str:
    rows = [f"{'line':>8} {'tokens':>8} {'total':>12} {'mean':>9} {'unknown':>8}  text\n"]
    for score in scores:
        text = " ".join(score.text[:61].split())
        text = text if len(score.text) <= 60 else f"{text[:57]}..."
        figures = f"{score.line:>8,} {score.tokens:>8,} {score.total:>12.4f} {score.mean:>9.4f}"
        rows.append(f"{figures} {score.unknown:>8,}  {text}\n")
        rows += [f"{'':30} {loss:>9.4f}           {_named(token)}\n" for token, loss in score.each or []]
    return "".join(rows)


def _named(token: str) -> str:
    return repr(token) if not token.isprintable() or token.isspace() else token or "(end)"


def _as_json(scores: "list[LineScore]") -> str:
    return "".join(to_json(score.to_json()) + "\n" for score in scores)


def _as_csv(scores: "list[LineScore]") -> str:
    """Return a row for each text, or for each of its tokens where their losses are asked for."""
    import csv
    import io

    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    if any(score.each is not None for score in scores):
        table.writerow(("line", "position", "token", "loss"))
        table.writerows(
            (s.line, k, token, loss) for s in scores for k, (token, loss) in enumerate(s.each or [], 1)
        )
        return file.getvalue()
    table.writerow(("line", "tokens", "total", "mean", "unknown", "text"))
    table.writerows((s.line, s.tokens, s.total, s.mean, s.unknown, s.text) for s in scores)
    return file.getvalue()
