"""``bptt derive``: a cell's backpropagation through time, derived from its equations."""

from pathlib import Path

import click

from bptt.cli.output import shown_or_file
from bptt.derive.render import FORMATS

SUFFIXES = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
"""What a file's name says of its form, by what it ends in: the longest that fits."""


@click.command()
@click.argument("cell", metavar="NAME|FILE.py[:NAME]|MODULE:NAME", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help=f"Default: what --out ends in ({', '.join(SUFFIXES)}), else text.",
)
@click.option("--out", metavar="FILE", callback=shown_or_file, help="Write there, not to the terminal.")
@click.option("--list", "lists", is_flag=True, help="Name the cells that there are, and what each is.")
@click.option(
    "--notation",
    metavar="[WORD]",
    is_flag=False,
    flag_value="",
    help="Say how cells are written; of WORD alone, an option or a function.",
)
def derive(cell: str | None, form: str | None, out: str | None, lists: bool, notation: str | None) -> None:
    """Print how a cell's gradients are computed, from its equations to the sums over time.

    NAME is a cell of the zoo (lstm, gru, slstm, ...); FILE.py is run and defines cells with bptt.cell; a
    MODULE of a package, such as mine.cells, is imported. The derived backward is compared with the numerical
    gradient before anything is printed.
    """
    from bptt.derive import page
    from bptt.errors import ConfigError
    from bptt.files import write_atomically
    from bptt.zoo import load
    from bptt.zoo.loading import split

    if lists or notation is not None:
        click.echo(_cells() if lists else _notation(str(notation)), nl=False)
        return
    if cell is None:
        raise click.UsageError("name a cell, or ask for --list or --notation")
    ends = max((s for s in SUFFIXES if out and out.lower().endswith(s)), key=len, default="")
    text = page(load(cell), form or SUFFIXES.get(ends, "text"))
    if out is None:
        click.echo(text, nl=False)
        return
    source = split(cell)[0]
    if source is not None and Path(out).resolve() == Path(source).resolve():
        raise ConfigError(f"{out} is the file that the cell comes from: choose another name")
    write_atomically(Path(out), text.encode())


def _cells() -> str:
    from bptt.zoo.papers import EVERY

    return "".join(f"{name:20} {made.equations.doc.splitlines()[0]}\n" for name, made in EVERY.items())


def _notation(word: str) -> str:
    from bptt.derive.manual import notation
    from bptt.errors import ConfigError

    if not (found := notation(word)):
        raise ConfigError(
            f"how cells are written says nothing of {word!r}; bptt derive --notation prints it all"
        )
    return found
