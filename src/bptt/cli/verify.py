"""``bptt verify``: whether a run's files are as they were written."""

from dataclasses import asdict

import click

from bptt.cli.output import to_json


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def verify(folder: str, as_json: bool) -> int:
    """Check the files of the run in DIR against their digests, their types and each other.

    Exit code 0: all are as they were written, or are of an earlier version that wrote no digests. 1: one is
    damaged or missing. 2: there is no run.
    """
    from bptt.training.runs.verify import verify as checked

    found = checked(folder)
    is_damaged = any(finding.state == "damaged" for finding in found)
    if as_json:
        files = [asdict(finding) for finding in found]
        click.echo(to_json({"verdict": "damaged" if is_damaged else "whole", "files": files}))
    else:
        for finding in found:
            click.echo(f"{finding.file:17} {finding.state:9} {finding.says}")
    return 1 if is_damaged else 0
