"""``bptt check``: whether a backward pass is right, which statement is wrong, what mends it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bptt.cli.output import misused, to_json
from bptt.errors import BpttError, ConfigError, RunError

if TYPE_CHECKING:
    from bptt.checking.report import Report

CODES = {"right": 0, "wrong": 1, "cannot tell": 2}


def _gone(*_: Any) -> None:
    if _[-1] is not None:
        raise misused("--adapter is gone: --example takes a few lines that call the code once")


@click.command()
@click.argument("file", metavar="FILE.py[:NAME]")
@click.option("--example", metavar="FILE|CODE", help="Lines that call the code once; ; is a new line.")
@click.option("--write-example", metavar="FILE", help="Keep the example that was judged, to be changed.")
@click.option("--fix", is_flag=True, help="Print the diff, and take all the time to find it.")
@click.option("--write", is_flag=True, help="With --fix: change the file; the old one is kept beside it.")
@click.option("--trace", is_flag=True, help="What each statement of the backward is the gradient at.")
@click.option("--run", is_flag=True, help="Execute the file's main program, too, as an example.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--seconds", type=click.FloatRange(1), help="How long it may take: 60, with --fix 300.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.option("--sarif", "as_sarif", is_flag=True, help="SARIF 2.1.0 for editors and servers.")
@click.option("--adapter", hidden=True, callback=_gone, expose_value=False)
def check(
    file: str,
    example: str | None,
    write_example: str | None,
    fix: bool,
    write: bool,
    trace: bool,
    run: bool,
    seed: int,
    seconds: float | None,
    as_json: bool,
    as_sarif: bool,
) -> int:
    """Judge the backward pass in a file, from a few lines that call it: its own, yours, or written ones.

    Exit code 0: the gradients are right. 1: they are wrong. 2: it cannot tell, or could not run.
    """
    if write and not fix:
        raise misused("--write belongs to --fix")
    if as_json + as_sarif + fix + trace > 1:
        raise misused("of --json, --sarif, --fix and --trace one is taken")
    path, colon, name = file.rpartition(":")
    if not colon or os.path.exists(file) or len(path) < 2:  # noqa: PTH110  C:\\x.py has a colon, too
        path, name = file, ""
    from bptt.checking import check_file
    from bptt.checking.report import head, patch, sarif, text, traced, worst

    begun: list[str] = []  # the verdict is told before it is known what is wrong, which takes its time

    def told(report: "Report") -> None:
        if not (begun or as_json or as_sarif or fix):
            begun.append(head(report))
            click.echo(begun[0])

    seconds = seconds or (300 if fix else 60)
    try:
        reports = check_file(
            path, name or None, example=example, run=run, seed=seed, seconds=seconds, told=told
        )
    except BpttError as error:
        if not as_json:
            raise
        click.echo(to_json({"verdict": "cannot tell", "reason": str(error)}))
        return 2
    verdict = worst(reports)
    if write_example:
        _keep(write_example, reports)
    if as_json:
        click.echo(to_json({"verdict": verdict, "reports": [report.to_json() for report in reports]}))
    elif as_sarif:
        click.echo(to_json(sarif(reports)))
    elif fix:
        for report in reports:
            click.echo(patch(report) if report.diff else text(report))
        if write:
            _write(reports)
    else:
        whole = "\n\n".join(f"{text(one)}\n\n{traced(one)}" if trace else text(one) for one in reports)
        rest = whole.removeprefix(begun[0]).removeprefix("\n") if begun else whole
        click.echo(rest, nl=bool(rest))
    return CODES[verdict]


def _keep(path: str, reports: "list[Report]") -> None:
    """Write the examples into a file, which `--example` takes."""
    found = [report.example for report in reports if report.example]
    if not found:
        raise ConfigError("there is no example to write: none was found that runs")
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(f"{found[0]}\n")
    except OSError as error:
        raise RunError(
            f"{path} cannot be written ({error.strerror}); --write-example takes a new file"
        ) from error


def _write(reports: "list[Report]") -> None:
    """Write what the mends make of the files, where nothing else is still wrong."""
    from bptt.checking.file import read

    fixed: dict[str, str] = {}
    for report in reports:
        if set(fixed) & set(report.fixed):
            raise RunError(f"{report.file}: two pieces of it are to be changed; judge one with FILE:NAME")
        fixed |= report.fixed
    for path, text in fixed.items():
        source = read(path)
        new = source.replaced(text)
        if not any(source.diff(new) in report.diff for report in reports):
            raise RunError(f"{path} has changed since it was judged: judge it again")
        kept = new.write()
        click.echo(f"written: {path}; what it was: {kept}")
