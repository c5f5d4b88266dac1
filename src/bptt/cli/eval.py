"""``bptt eval``: how well a trained model predicts."""

import math

import click

from bptt.cli.output import misused, to_json


@click.command("eval")
@click.argument("folder", metavar="DIR")
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def evaluate(folder: str, path: str | None, as_json: bool, last: bool) -> int:
    """Measure the model trained in DIR on its validation text, or on the text at PATH.

    Two figures: from a cold start in windows of 256 tokens, and with the state carried through the whole
    text. For a generated task: whether its criterion is met. Exit code 1: it is not, or a figure is not
    finite.
    """
    from bptt.data.text.tokenizers import tokenizer
    from bptt.training.trained import Trained

    trained = Trained.load(folder, "last" if last else "best")
    if trained.vocabulary is None:
        if path is not None:
            raise misused("a generated task is measured on what it generates: leave PATH out")
        verdict = trained.verdict()
        shown = {"data": trained.settings.data, "met": verdict.met, "says": verdict.says}
        click.echo(to_json({**shown, "figure": verdict.figure}) if as_json else verdict.says)
        return 0 if verdict.met else 1
    scores = trained.scores(path)
    code = 0 if all(math.isfinite(score.nats) for score in scores) else 1
    if as_json:
        click.echo(to_json({"step": trained.step, "scores": [score.to_json() for score in scores]}))
        return code

    kind = trained.vocabulary.kind
    is_words = tokenizer(kind).unknown is not None
    other = "perplexity" if is_words else f"bits per {kind}"
    for score in scores:
        if score.start == scores[0].start:
            click.echo(f"{score.text}: {score.tokens:,} {kind}s predicted")
            click.echo(f"  {'state':22} {f'nats per {kind}':>14} {other:>14}")
        second = score.perplexity if is_words else score.bits
        click.echo(f"  {score.start:22} {score.nats:14.4f} {second:14.4g}")
    return code
