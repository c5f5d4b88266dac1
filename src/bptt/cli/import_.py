"""``bptt import``: a file of another system as a run."""

from typing import Any

import click


@click.command("import")
@click.argument("path", metavar="FILE")
@click.option("--from", "origin", metavar="SYSTEM", help="torch, onnx or keras; otherwise what FILE ends in.")
@click.option("--out", metavar="DIR", help="The run's folder.  [bptt-runs/NAME-1]")
@click.option("--vocabulary", metavar="FILE", help="The tokens: JSON, or one a line.  [those in FILE]")
@click.option("--cell", metavar="NAME", help="Of PyTorch: the cell.  [lstm, gru or rnn, by the gates]")
@click.option("--pool", type=click.Choice(["last", "mean"]), help="Of PyTorch: one output for a sequence.")
@click.option("--numbers", is_flag=True, help="Of PyTorch: the input is numbers, and no one-hot tokens.")
def import_(path: str, origin: str | None, out: str | None, **told: Any) -> None:
    """Keep the model in FILE, which another system wrote, as a run.

    `bptt sample`, `eval`, `flow` and `train --from` take it. FILE is data: nothing in it is unpickled or
    run. A PyTorch file is any module's state in safetensors, of an embedding at most, recurrent layers and
    a linear output, whatever they are called.
    """
    from bptt.exchange import import_run
    from bptt.exchange.moving import writes
    from bptt.training.trained import Trained

    found = Trained.load(folder := import_run(path, origin, out, **told))
    model, vocabulary = found.model, found.vocabulary
    reads = f"{model.inputs:,} {'tokens' if model.token_inputs else 'numbers'}"
    ways = " in both directions" * model.bidirectional
    parts = [f"{model.stack.cell.name}, {model.layers} x {model.hidden} units{ways}", f"reads {reads}"]
    if model.token_inputs:
        parts.append(f"embedding {model.embedding}" if model.embedding else "one-hot")
    parts += ["tied"] * model.tied + [f"{model.outputs:,} outputs"]
    parts.append(f"{sum(array.size for array in found.params.values()):,} parameters")
    click.echo(f"{path}: {', '.join(parts)}")
    if vocabulary is not None:
        click.echo(f"it knows {len(vocabulary):,} {vocabulary.unit}s")
    elif writes(model):
        click.echo("it has no vocabulary, and so writes no text: --vocabulary FILE gives it one")
    click.echo(f"the run is kept in {folder}")
