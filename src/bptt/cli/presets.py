"""``bptt presets``: the systems that have a name."""

import click


@click.command()
def presets() -> None:
    """List the presets of bptt train, and what each changes."""
    from bptt.settings import PRESETS

    for name, preset in PRESETS.items():
        changes = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in preset.settings.items())
        click.echo(f"{name:12} {preset.about}\n{'':12} {changes}")
