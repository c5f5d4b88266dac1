"""``bptt corpora``: what there is to train on."""

import click


@click.command()
def corpora() -> None:
    """List the texts and the generated tasks that bptt train knows by name."""
    from bptt.data.tasks import TASKS
    from bptt.data.text import describe

    click.echo("Texts:")
    for info in describe():
        click.echo(f"  {info.name:16} {info.about}")
        click.echo(f"  {'':16} {info.kind}s; {info.size}; {info.where}")
    click.echo("Generated tasks:")
    for name, task in TASKS.items():
        click.echo(f"  {name:16} {task.summary}")
    click.echo(
        "Any other name is the path of a text file, of a folder of them, or of a table, of at most 1 GiB."
    )
