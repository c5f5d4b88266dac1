"""``bptt export``: a run's model as a file of another system."""

import click

from bptt.cli.output import expect_free, misused


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--to", metavar="SYSTEM", help="torch, onnx or keras; otherwise what --out ends in.")
@click.option("--out", metavar="FILE", help="Where to write.  [the run's name, in the current folder]")
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def export(folder: str, to: str | None, out: str | None, last: bool) -> None:
    """Write the model trained in DIR as a file of another system, with its vocabulary and settings.

    torch: safetensors with the names of PyTorch's modules, and the lines of Python that load it. onnx: a
    graph with the states as inputs and outputs. keras: the weights of a Keras model. What a system cannot
    hold is refused, and which one can is said.
    """
    from bptt.exchange import export_run, read
    from bptt.exchange.formats import format_of
    from bptt.exchange.torch_file import lines

    if to is None and out is None:
        raise misused("say for which system: --to torch, onnx or keras")
    if out is not None:
        expect_free("--out", out, folder)
    path = export_run(folder, to, out, last=last)
    known = format_of(to, out, "--to")
    click.echo(f"{folder} for {known.title} is in {path}, {path.stat().st_size:,} bytes")
    if known.name == "torch":
        click.echo(
            "\n".join(["in PyTorch:", "", *(f"    {line}" for line in lines(read(path, "torch"), path))])
        )
