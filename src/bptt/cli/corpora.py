"""``bptt corpora``: what there is to train on."""

import click


@click.command()
def corpora() -> None:
    """List the texts and the generated tasks that bptt train knows by name."""
    from rich.console import Console
    from rich.table import Table

    from bptt.tasks import TASKS
    from bptt.text import describe

    texts = Table(title="texts", title_justify="left", box=None, pad_edge=False)
    for column in ("name", "tokens", "size", "what it is", "where"):
        texts.add_column(column, overflow="fold")
    for info in describe():
        texts.add_row(info.name, info.kind, info.size, info.about, info.where)
    generated = Table(title="generated tasks", title_justify="left", box=None, pad_edge=False)
    for column in ("name", "what is asked"):
        generated.add_column(column, overflow="fold")
    for name, task in TASKS.items():
        generated.add_row(name, task.summary)
    console = Console()
    console.print(texts)
    console.print()
    console.print(generated)
    console.print("\nAny other name is the path of a text file or a folder of them.")
