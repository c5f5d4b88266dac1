"""The command ``bptt``: one file a verb, none with logic of its own.

Exit codes: 0 it worked, 1 it ran and the answer is no, 2 it could not run. Whatever goes wrong gets one line;
with ``BPTT_DEBUG=1`` in the environment, Python's traceback stands before it.
"""

import contextlib
import os
import signal
import sys
import traceback
import warnings

import click

from bptt import __version__
from bptt.cli import (
    bench,
    check,
    corpora,
    derive,
    export,
    flow,
    forecast,
    import_,
    look,
    predict,
    presets,
    report,
    sample,
    train,
    verify,
)
from bptt.cli.eval import evaluate
from bptt.cli.output import Visible, code_of, visible
from bptt.errors import BpttError, BpttWarning
from bptt.layer import threads


@click.group(
    invoke_without_command=True,
    # color: click takes no sequences out of what is written to a file or a pipe; `Visible` sees to terminals
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": True},
)
@click.version_option(__version__, "--version", prog_name="bptt")
@click.pass_context
def bptt(ctx: click.Context) -> None:
    """Recurrent networks with explicit backpropagation through time."""
    threads.count()  # what the environment says is looked at before anything is done
    if os.environ.get("BPTT_TARGET"):
        with contextlib.suppress(ImportError):  # without LLVM there is nothing to make for a target
            from bptt.kernels.llvm.host import host

            host()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (
    check.check,
    derive.derive,
    train.train,
    sample.sample,
    evaluate,
    predict.predict,
    forecast.forecast,
    flow.flow,
    look.look,
    export.export,
    import_.import_,
    report.report,
    verify.verify,
    corpora.corpora,
    presets.presets,
    bench.bench,
):
    bptt.add_command(command)


LONGEST = 2000
"""Characters of an error's line that are shown."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code."""
    from bptt_command import quit_at_once

    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            continue
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character gets a ? and goes on
        if name == "stderr" or stream.isatty():
            setattr(sys, name, Visible(stream))
    if not os.environ.get("BPTT_DEBUG"):
        sys.unraisablehook = lambda _: None  # such as an interruption of a finaliser
    is_ours = signal.getsignal(signal.SIGINT) is quit_at_once
    code = 1
    try:
        try:
            if is_ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            code = run(arguments)
        finally:
            if is_ours:
                signal.signal(signal.SIGINT, lambda *_: os._exit(code))  # only Python's end is left
    except KeyboardInterrupt:
        pass  # in the last moment, or a second one: the first is told already
    _give_up_streams()
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: whatever goes wrong is one line on standard error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", BpttWarning)
            warnings.showwarning = _Notes().show
            code = bptt.main(arguments, prog_name="bptt", standalone_mode=False)
        if sys.stdout is not None:  # as it is where it was closed
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BaseException as error:  # the last to see it
        return _tell(error)


class _Notes:
    """Says in a line what is to be known, once; warnings that are not ours speak to programmers."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def show(self, message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, BpttWarning) and str(message) not in self._said:
            self._said.add(str(message))
            _fail(f"note: {message}", 0)


def _tell(error: BaseException) -> int:
    """Say in a line what went wrong, and return the exit code."""
    if os.environ.get("BPTT_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError | SystemExit):  # click and rich turn the one into the other
        return 1  # whoever read the output has gone (as `| head` does): nothing is left to say, and to nobody
    if isinstance(error, click.UsageError):
        from bptt.training.engines import is_first

        if not is_first():
            return 2  # the first worker says it
        where = error.ctx.command_path if error.ctx else "bptt"
        return _fail(f"{error.format_message()} (see {where} --help)", 2)
    if isinstance(error, click.ClickException):
        return _fail(error.format_message(), 2)
    if isinstance(error, BpttError):
        return _fail(str(error), code_of(error))
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return _fail("interrupted", 1)
    if isinstance(error, MemoryError):
        return _fail(f"not enough memory ({error}): a smaller --hidden, --batch or --chunk needs less", 2)
    if isinstance(error, RecursionError):
        return _fail("a file is nested too deeply to be read; BPTT_DEBUG=1 shows where", 2)
    if isinstance(error, UnicodeError):
        return _fail(f"a name or a text is not UTF-8 ({error})", 2)
    if isinstance(error, OSError):
        return _fail(f"cannot go on: {error}", 2)
    kind = type(error).__name__
    try:
        says = str(error)
    except Exception:  # a class of the user's own
        says = ""
    return _fail(f"{kind}{': ' * bool(says)}{says} (this is a fault of bptt; BPTT_DEBUG=1 shows where)", 2)


def _fail(message: str, code: int) -> int:
    """Write a line on standard error, and return the code."""
    line = " ".join(message.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    with contextlib.suppress(OSError, ValueError):  # standard error may be full or closed
        click.echo(f"bptt: {visible(line)}", err=True)
    return code


def _give_up_streams() -> None:
    """Leave nothing in a full or broken stream for Python to fail on at its end."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
