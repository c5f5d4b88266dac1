"""``bptt sample``: read what a model writes."""

import click


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--prime", default="", help="Text that the model reads first.")
@click.option("--length", default=500, show_default=True, help="Tokens to write.")
@click.option(
    "--temperature", default=1.0, show_default=True, help="Below 1 likelier, above 1 wilder, 0 likeliest."
)
@click.option("--top-k", type=int, help="Draw from the K likeliest tokens only.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens of total probability P.")
@click.option("--seed", type=click.IntRange(0), help="The same seed writes the same text.")
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def sample(
    folder: str,
    prime: str,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    last: bool,
) -> None:
    """Write text with the model trained in DIR."""
    import numpy as np

    from bptt.errors import RunError
    from bptt.sample import sample as draw
    from bptt.trained import Trained

    trained = Trained.load(folder, "last" if last else "best")
    if trained.vocabulary is None:
        raise RunError(f"{folder} holds a model of the task {trained.settings.data}, which writes no text")
    pieces = draw(
        trained.model,
        trained.params,
        trained.vocabulary,
        rng=np.random.default_rng(seed),
        prime=prime,
        length=length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
    )
    click.echo(prime, nl=False)
    if prime and trained.vocabulary.kind == "word" and not prime[-1].isspace():
        click.echo(" ", nl=False)
    for piece in pieces:
        click.echo(piece, nl=False)
    click.echo()
