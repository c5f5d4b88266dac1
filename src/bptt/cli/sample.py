"""``bptt sample``: read what a model writes."""

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bptt.cli.output import misused, to_json
from bptt.data.text.tokenizers import Kind, tokenizer
from bptt.errors import BpttWarning

if TYPE_CHECKING:
    from bptt.training.trained import Trained

MOST = 1 << 24
"""The most bytes of a prime, 16 MiB: a model reads them one after the other."""

COUNT = 10
"""How many texts a model writes that has learnt where they end, unless they are documents."""


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--prime", default="", help="Text that the model reads first.")
@click.option("--prime-file", metavar="FILE", help="A file of such text; - is standard input.")
@click.option("--count", type=click.IntRange(0), help="Texts to write, each by itself.  [of lines: 10]")
@click.option(
    "--condition", multiple=True, metavar="COLUMN=VALUE", help="What each text starts from; for each column."
)
@click.option("--new", is_flag=True, help="Leave out texts that the model was trained on.")
@click.option("--length", default=500, show_default=True, help="Tokens to write, of each text at most.")
@click.option("--stop", metavar="TEXT", multiple=True, help="End before this text; of several, the first.")
@click.option(
    "--temperature", default=1.0, show_default=True, help="Below 1 likelier, above 1 wilder, 0 likeliest."
)
@click.option("--top-k", type=int, help="Draw from the K likeliest tokens only.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens of total probability P.")
@click.option("--no-unk", "unk", is_flag=True, flag_value=False, default=True, help="Never write <unk>.")
@click.option("--seed", type=click.IntRange(0), help="The same seed writes the same text.")
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for each text.")
def sample(
    folder: str,
    prime: str,
    prime_file: str | None,
    count: int | None,
    condition: tuple[str, ...],
    new: bool,
    seed: int | None,
    last: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Write text with the model trained in DIR: where it has learnt lines or documents, whole ones."""
    import numpy as np

    from bptt.errors import RunError
    from bptt.nets.sample import normalised
    from bptt.training.trained import Trained

    if prime and prime_file is not None:
        raise misused("--prime and --prime-file are two ways to say one thing; give one")
    if "" in how["stop"]:
        raise misused("--stop is the text to end before, and is empty")
    trained = Trained.load(folder, "last" if last else "best")
    job = trained.settings.job
    if job == "series":
        raise RunError(f"{folder} holds a model of series, and writes no text: bptt forecast DIR")
    if job == "labels":
        raise RunError(f"{folder} holds a model that tells labels, and writes no text: bptt predict DIR FILE")
    if trained.vocabulary is None:
        of = "without a vocabulary" if job == "stream" else f"of the task {trained.settings.data}"
        raise RunError(f"{folder} holds a model {of}, which writes no text")
    first: str | bytes = prime if prime_file is None else _read(prime_file, trained.vocabulary.kind)
    if isinstance(first, str):
        first, form = normalised(first, trained.vocabulary)
        if form is not None:
            note = f"the model knows the prime in the Unicode form {form} and reads it so"
            warnings.warn(note, BpttWarning, stacklevel=2)
    shown = first.decode(errors="replace") if isinstance(first, bytes) else first
    if shown and not shown[-1].isspace():
        shown += tokenizer(trained.vocabulary.kind).space
    if trained.vocabulary.end is None and count is None and not (new or as_json):
        _stream(trained, first, shown, np.random.default_rng(seed), **how)
        return
    if count is None:
        one = trained.vocabulary.end is None or trained.settings.documents is not None
        count = 1 if one else COUNT
    if seed is None:
        seed = int(np.random.default_rng().integers(1 << 53))
    told = dict(_condition(given) for given in condition)
    if len(told) < len(condition):
        raise misused("--condition is given once for each column")
    cut, several = 0, trained.vocabulary.end is None or trained.settings.documents is not None
    for k, (text, ended) in enumerate(
        trained.write(count, seed=seed, prime=first, conditions=told, new=new, **how)
    ):
        cut += not ended
        if as_json:
            click.echo(to_json({"text": shown + text, "ended": ended}))
            continue
        if k and several:
            click.echo(_between(trained.settings.documents))
        click.echo(shown + text, color=True)
    if cut and trained.vocabulary.end is not None:
        note = f"{cut:,} of {count:,} were cut at {how['length']:,} tokens, before their end: --length"
        warnings.warn(note, BpttWarning, stacklevel=2)


def _stream(
    trained: "Trained", first: str | bytes, shown: str, rng: Any, stop: tuple[str, ...], **how: Any
) -> None:
    """Write one text, piece by piece as it is drawn."""
    from bptt.nets.sample import sample as draw
    from bptt.nets.writing import until

    assert trained.vocabulary is not None
    pieces = draw(trained.model, trained.params, trained.vocabulary, rng=rng, prime=first, **how)
    # color=True: what is written goes out as it is, where click would take what looks like colours out of it
    click.echo(shown, nl=False, color=True)
    for piece in until(pieces, stop) if stop else pieces:
        click.echo(piece, nl=False, color=True)
    click.echo()


def _between(documents: str | None) -> str:
    """Return the line that stands between two texts of several lines."""
    return "---" if documents is None else "" if documents == "file" else documents


def _condition(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise misused(f"--condition is COLUMN=VALUE, got {given!r}")
    return name.strip(), value.strip()


def _read(name: str, kind: Kind) -> str | bytes:
    from bptt.data.text.files import read_file, unpacked_text
    from bptt.errors import DataError

    if name != "-":
        return unpacked_text(read_file(Path(name), MOST), kind, name, MOST)
    if sys.stdin is None:  # as it is where it was closed
        raise DataError("standard input: is closed; name a file, or give --prime")
    data = sys.stdin.buffer.read(MOST + 1)
    if len(data) > MOST:
        raise DataError("standard input: holds more than 16 MiB, the most of a prime; give its end alone")
    return unpacked_text(data, kind, "standard input", MOST)
