"""``bptt eval``: how well a trained model predicts."""

import json

import click


@click.command("eval")
@click.argument("folder", metavar="DIR")
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
@click.pass_context
def evaluate(ctx: click.Context, folder: str, path: str | None, as_json: bool, last: bool) -> int:
    """Measure the model trained in DIR on its validation text, or on the text at PATH.

    Two figures: from a cold start in windows of 256 tokens, and with the state carried through the whole
    text. For a generated task: whether its criterion is met (exit code 1 if not).
    """
    from bptt.trained import Trained

    trained = Trained.load(folder, "last" if last else "best")
    if trained.vocabulary is None:
        if path is not None:
            raise click.UsageError("a generated task is measured on what it generates: leave PATH out", ctx)
        verdict = trained.verdict()
        shown = {"data": trained.settings.data, "met": verdict.met, "says": verdict.says}
        click.echo(json.dumps({**shown, "figure": verdict.figure}) if as_json else verdict.says)
        return 0 if verdict.met else 1
    scores = trained.scores(path)
    if as_json:
        click.echo(json.dumps({"step": trained.step, "scores": [score.to_json() for score in scores]}))
        return 0

    from rich.console import Console
    from rich.table import Table

    kind = trained.vocabulary.kind
    unit, other = ("word", "perplexity") if kind == "word" else (kind, f"bits per {kind}")
    table = Table(box=None, pad_edge=False)
    table.add_column("text", overflow="fold")
    table.add_column(f"{unit}s", justify="right", no_wrap=True)
    table.add_column("state")
    table.add_column(f"nats per {unit}", justify="right", no_wrap=True)
    table.add_column(other, justify="right", no_wrap=True)
    for score in scores:
        second = score.perplexity if kind == "word" else score.bits
        table.add_row(score.text, f"{score.tokens:,}", score.start, f"{score.nats:.4f}", f"{second:.4g}")
    Console().print(table)
    return 0
