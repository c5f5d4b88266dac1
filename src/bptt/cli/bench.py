"""``bptt bench``: how fast this machine takes a training step, ours and its peers'."""

import click

from bptt.cli.output import to_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@click.option("--setting", "settings", multiple=True, metavar="A..G", help="Only this; may be repeated.")
@click.option("--cell", default="lstm", show_default=True, help="A cell's name, FILE.py:NAME or MODULE:NAME.")
@click.option("--contenders", metavar="NAME,...", help="Only these: bptt, reference, torch, torch-bf16, jax.")
@click.option("--seconds", default=5.0, show_default=True, help="For each contender and measurement.")
def bench(
    as_json: bool, settings: tuple[str, ...], cell: str, contenders: str | None, seconds: float
) -> None:
    """Measure a training step of a language model at seven sizes, beside the peers that are installed.

    Each contender has a process of its own, and they take turns. Also measured: the memory of a step,
    sequences of unequal length (at C), and writing (at B and D). Quiet the machine first.
    """
    from bptt.bench import bench as measured
    from bptt.bench import report

    names = [name.strip() for name in contenders.split(",")] if contenders else ()
    found = measured(settings, cell, names, seconds, say=lambda text: click.echo(text, err=True))
    click.echo(to_json(found.to_json()) if as_json else report.text(found))
