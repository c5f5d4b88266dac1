"""``bptt bench``: how fast this machine takes a training step, or runs a layer, ours and its peers'."""

from dataclasses import asdict

import click

from bptt.cli.output import to_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@click.option("--layers", is_flag=True, help="Layers alone, bptt.torch's beside torch.nn's.")
@click.option(
    "--cells", "side_by_side", is_flag=True, help="One layer of each cell of the zoo, at one setting."
)
@click.option(
    "--workers",
    is_flag=True,
    help="A step that workers share, at one setting; beside PyTorch's DistributedDataParallel.",
)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="A..G",
    help="Only this; may be repeated. Layers: A..D, S. Cells: one, by default B; workers: C.",
)
@click.option(
    "--cell",
    "cells",
    multiple=True,
    metavar="CELL",
    help="A cell's name, FILE.py:NAME or MODULE:NAME; by default lstm. Layers and --cells take several; by "
    "default lstm, gru, rnn, slstm, and all that there are.",
)
@click.option(
    "--contenders",
    metavar="NAME,...",
    help="Only these: bptt, bptt-bf16, reference, torch, torch-bf16, jax; and torch-compiled, a loop over a "
    "compiled step. Of layers: bptt.torch, torch.nn; and scripted, compiled. Loops that are compiled are "
    "measured only where they are named.",
)
@click.option(
    "--seconds", type=float, help="For each contender and measurement; by default 5, and 1 with --cells."
)
def bench(
    as_json: bool,
    layers: bool,
    side_by_side: bool,
    workers: bool,
    settings: tuple[str, ...],
    cells: tuple[str, ...],
    contenders: str | None,
    seconds: float | None,
) -> None:
    """Measure a training step of a language model at seven sizes, beside the peers that are installed.

    Each contender has a process of its own, and they take turns. Also measured: the memory of a step,
    sequences of unequal length (at C), and writing (at B and D). Quiet the machine first.

    With --layers it is layers alone, in PyTorch, over sequences of equal length, packed ones, and rows that
    begin anew within them; forward and backward, and forward alone; at A to D, and at S, single steps of one
    sequence. Where torch.nn has no such cell, it is a loop of PyTorch's operations; scripted and compiled are
    that loop by torch.jit.trace and by torch.compile, which takes minutes.

    With --cells it is one layer of each cell over inputs of size E, forward and backward, in kernels where it
    has them; beside it parameters, and how much of the machine's limit is reached.

    With --workers it is one process, and 2, 4, 8 of them on this machine, as many as it has cores.
    """
    from bptt.bench import bench as measured
    from bptt.bench import bench_cells, bench_layers, machine, report, together
    from bptt.errors import ConfigError

    names = [name.strip() for name in contenders.split(",")] if contenders else ()

    def say(text: str) -> None:
        click.echo(text, err=True)

    if workers:
        if layers or side_by_side or len(settings) > 1 or len(cells) > 1:
            raise ConfigError("--workers measures one cell's step at one --setting")
        told = (*settings, "C")[0], (*cells, "lstm")[0], names, 5.0 if seconds is None else seconds, say
        setting, steps = together.measure(*told)
        if as_json:
            click.echo(to_json({"machine": machine(), "steps": [asdict(step) for step in steps]}))
        else:
            click.echo(report.shared(machine(), setting, told[1], steps))
        return
    if side_by_side:
        if layers or names or len(settings) > 1:
            raise ConfigError("--cells measures bptt's layers at one --setting: no --layers, no --contenders")
        cells_found = bench_cells((*settings, "B")[0], cells, 1.0 if seconds is None else seconds, say)
        click.echo(to_json(cells_found.to_json()) if as_json else report.cells(cells_found))
        return
    seconds = 5.0 if seconds is None else seconds
    if layers:
        benches = bench_layers(settings, cells, names, seconds, say)
        click.echo(to_json({"layers": [b.to_json() for b in benches]}) if as_json else report.layers(benches))
        return
    if len(cells) > 1:
        raise ConfigError(f"one cell's step is measured at a time, got --cell {' --cell '.join(cells)}")
    found = measured(settings, (*cells, "lstm")[0], names, seconds, say)
    click.echo(to_json(found.to_json()) if as_json else report.text(found))
