"""``bptt check``: whether a backward pass is correct, and if not, which term is wrong."""

import os

import click

from bptt.cli.output import to_json, visible
from bptt.errors import BpttError


@click.command()
@click.argument("file", metavar="FILE.py[:NAME]")
@click.option("--adapter", metavar="FILE.py", help="A file that says how the code is called.")
@click.option("--run", is_flag=True, help="Execute the whole file, not only its definitions.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def check(file: str, adapter: str | None, run: bool, seed: int, as_json: bool) -> int:
    """Judge the recurrent code in a file: a step, a sequence, a chunk with its loss, a class.

    Exit code 0: the gradients are right. 1: they are wrong. 2: it cannot tell, or could not run.
    """
    from bptt.checking import check_file, text

    path, colon, name = file.rpartition(":")
    if not colon or os.path.exists(file) or len(path) < 2:  # noqa: PTH110  C:\\x.py has a colon, too
        path, name = file, ""
    try:
        judgements = check_file(path, name or None, adapter=adapter, run=run, seed=seed)
    except BpttError as error:
        if as_json:
            click.echo(to_json({"verdict": "cannot tell", "reason": str(error)}))
            return 2
        if "\n" in str(error).replace(path, ""):  # the adapter to write is shown as it stands
            click.echo(f"bptt: {visible(str(error))}", err=True)
            return 2
        raise
    order = {"wrong": 0, "cannot tell": 1, "right": 2}
    worst = min(judgements, key=lambda judgement: order[judgement.verdict])
    if as_json:
        more = {"subjects": [j.to_json() for j in judgements]} if len(judgements) > 1 else {}
        click.echo(to_json(worst.to_json() | more))
    else:
        click.echo("\n\n".join(text(judgement) for judgement in judgements))
    return {"right": 0, "wrong": 1, "cannot tell": 2}[worst.verdict]
