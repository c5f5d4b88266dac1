"""``bptt sample``: read what a model writes."""

import sys
import warnings
from pathlib import Path
from typing import Any

import click

from bptt.cli.output import misused
from bptt.data.text.tokenizers import Kind, tokenizer
from bptt.errors import BpttWarning

MOST = 1 << 24
"""The most bytes of a prime, 16 MiB: a model reads them one after the other."""


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--prime", default="", help="Text that the model reads first.")
@click.option("--prime-file", metavar="FILE", help="A file of such text; - is standard input.")
@click.option("--length", default=500, show_default=True, help="Tokens to write.")
@click.option(
    "--temperature", default=1.0, show_default=True, help="Below 1 likelier, above 1 wilder, 0 likeliest."
)
@click.option("--top-k", type=int, help="Draw from the K likeliest tokens only.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens of total probability P.")
@click.option("--seed", type=click.IntRange(0), help="The same seed writes the same text.")
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def sample(folder: str, prime: str, prime_file: str | None, seed: int | None, last: bool, **how: Any) -> None:
    """Write text with the model trained in DIR."""
    import numpy as np

    from bptt.errors import RunError
    from bptt.nets.sample import normalised
    from bptt.nets.sample import sample as draw
    from bptt.training.trained import Trained

    if prime and prime_file is not None:
        raise misused("--prime and --prime-file are two ways to say one thing; give one")
    trained = Trained.load(folder, "last" if last else "best")
    if trained.vocabulary is None:
        raise RunError(f"{folder} holds a model of the task {trained.settings.data}, which writes no text")
    kind = trained.vocabulary.kind
    first: str | bytes = prime if prime_file is None else _read(prime_file, kind)
    if isinstance(first, str):
        first, form = normalised(first, trained.vocabulary)
        if form is not None:
            note = f"the model knows the prime in the Unicode form {form} and reads it so"
            warnings.warn(note, BpttWarning, stacklevel=2)
    rng = np.random.default_rng(seed)
    pieces = draw(trained.model, trained.params, trained.vocabulary, rng=rng, prime=first, **how)
    shown = first.decode(errors="replace") if isinstance(first, bytes) else first
    if shown and not shown[-1].isspace():
        shown += tokenizer(kind).space
    # color=True: what is written goes out as it is, where click would take what looks like colours out of it
    click.echo(shown, nl=False, color=True)
    for piece in pieces:
        click.echo(piece, nl=False, color=True)
    click.echo()


def _read(name: str, kind: Kind) -> str | bytes:
    from bptt.data.text.files import decode, read_file
    from bptt.errors import DataError

    if name != "-":
        return decode(read_file(Path(name), MOST), kind, name)
    if sys.stdin is None:  # as it is where it was closed
        raise DataError("standard input: is closed; name a file, or give --prime")
    data = sys.stdin.buffer.read(MOST + 1)
    if len(data) > MOST:
        raise DataError("standard input: holds more than 16 MiB, the most of a prime; give its end alone")
    return decode(data, kind, "standard input")
