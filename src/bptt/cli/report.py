"""``bptt report``: runs beside each other, as a table or as a page."""

import click

from bptt.cli.output import expect_free, expect_place, to_json


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "--out",
    metavar="FILE",
    help="Write a page, .html: charts, settings, samples in one file; or a table, .csv, .tex or .md.",
)
@click.option("--tensorboard", metavar="DIR", help="Write the logs into DIR as TensorBoard reads them.")
@click.option("--samples/--no-samples", default=True, help="Have each write some text.  [yes]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def report(
    runs: tuple[str, ...], out: str | None, tensorboard: str | None, samples: bool, as_json: bool
) -> int:
    """Compare runs: their losses, settings that differ, gradient norms, and what they write.

    RUN is a run's folder, or a folder of runs; without any, all in bptt-runs. A run that is being trained is
    read as far as it is. Exit code 1: one cannot be read.
    """
    from bptt.reporting import report as compare
    from bptt.reporting.reading import TABLES
    from bptt.reporting.tensorboard import expect_writer, write
    from bptt.training.runs.folder import RUNS

    if out is not None:
        expect_place("--out", out, ".html", ".htm", *TABLES)
    if tensorboard is not None:
        expect_writer()
    found = compare(runs or RUNS, samples=samples)
    if out is not None:
        for run in found.runs:
            expect_free("--out", out, run.folder, run.settings.data if run.settings else None)
    click.echo(to_json(found.to_json()) if as_json else str(found))
    written = []
    if out is not None:
        found.save(out)
        written.append(f"shown in {out}")
    if tensorboard is not None:
        write(found, tensorboard)
        written.append(f"for TensorBoard in {tensorboard}: tensorboard --logdir {tensorboard}")
    if written and not as_json:
        click.echo("\n".join(["", *written]))
    return 1 if found.broken else 0
