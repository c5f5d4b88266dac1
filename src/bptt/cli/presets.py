"""``bptt presets``: the systems that have a name."""

import textwrap

import click


@click.command()
def presets() -> None:
    """List the presets of bptt train, and what each sets."""
    from bptt.training.presets import PRESETS

    width = max(map(len, PRESETS)) + 1
    for name, preset in PRESETS.items():
        click.echo(f"{name:{width}}{preset.about}")
        sets = ", ".join(
            f"{key.replace('_', '-')} {'none' if value is None else value}"
            for key, value in preset.settings.items()
        )
        click.echo(textwrap.fill(sets, 100, initial_indent=" " * width, subsequent_indent=" " * width))
