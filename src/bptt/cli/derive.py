"""``bptt derive``: a cell's backpropagation through time, derived from its equations."""

import click


@click.command()
@click.argument("cell", metavar="NAME|FILE.py[:NAME]|MODULE:NAME")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "latex", "markdown", "html", "numpy"]),
    help="Default: what --out ends in (.tex, .md, .html, .py), else text.",
)
@click.option("--out", metavar="FILE", help="Write there, not to the terminal.")
def derive(cell: str, form: str | None, out: str | None) -> None:
    """Print how a cell's gradients are computed, from its equations to the sums over time.

    NAME is a cell of the zoo (lstm, gru, slstm, ...); FILE.py is run and defines cells with bptt.cell; a
    MODULE of a package, such as mine.cells, is imported. The derived backward is compared with the numerical
    gradient before anything is printed.
    """
    from bptt.derive import page
    from bptt.derive.render import write

    if out is None:
        click.echo(page(cell, form or "text"), nl=False)
    else:
        write(cell, out, form)
