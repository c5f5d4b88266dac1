"""The command ``bptt``: one file a verb, none with logic of its own.

Exit codes: 0 it worked, 1 it ran and the answer is no, 2 it could not run. A user's mistake gets one line.
"""

import sys
import warnings

import click

from bptt import __version__
from bptt.cli.bench import bench
from bptt.cli.check import check
from bptt.cli.corpora import corpora
from bptt.cli.derive import derive
from bptt.cli.eval import evaluate
from bptt.cli.flow import flow
from bptt.cli.presets import presets
from bptt.cli.sample import sample
from bptt.cli.train import train
from bptt.cli.verify import verify
from bptt.errors import BpttError, DivergedError


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", prog_name="bptt")
@click.pass_context
def bptt(ctx: click.Context) -> None:
    """Recurrent networks with explicit backpropagation through time."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for verb in (check, derive, train, sample, evaluate, flow, verify, corpora, presets, bench):
    bptt.add_command(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character gets a ? and goes on
    warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of overflow: the figures say it
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: a mistake is one line on standard error."""
    try:
        code = bptt.main(arguments, prog_name="bptt", standalone_mode=False)
        if sys.stdout is not None:  # as it is where it was closed
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "bptt"
        return _fail(f"{' '.join(error.format_message().split())} (see {where} --help)", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except DivergedError as error:
        return _fail(str(error), 1)
    except BpttError as error:
        return _fail(str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", 1)
    except MemoryError as error:
        return _fail(f"not enough memory ({error}): a smaller --hidden, --batch or --chunk needs less", 2)
    except (BrokenPipeError, SystemExit):  # click and rich turn the one into the other
        return 1  # whoever read the output has gone (as `| head` does): nothing is left to say, and to nobody
    except OSError as error:
        return _fail(f"cannot go on: {error}", 2)


def _fail(message: str, code: int) -> int:
    click.echo(f"bptt: {' '.join(message.split())}", err=True)
    return code
