"""Where the command starts: whatever comes from outside ends it with a line, also while the rest is imported.

This is no part of the package, whose import takes some tenths of a second. What can still show a traceback is
Python's own start, before the first line here.
"""

try:
    import contextlib
    import os
    import signal
    import sys
    import warnings
    from types import FrameType
except KeyboardInterrupt:
    raise SystemExit(1) from None


def main() -> None:
    """Run the command ``bptt``."""
    begin()
    try:
        from bptt.cli import main as command
    except Exception as error:
        if os.environ.get("BPTT_DEBUG"):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _say(f"bptt: cannot start: {reason} (BPTT_DEBUG=1 shows where)")
        sys.exit(2)
    command()


def begin() -> None:
    """See to interruptions, warnings and closed streams, for a process that is the command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # whoever starts it may have it ignored
        signal.signal(signal.SIGINT, quit_at_once)
    if not os.environ.get("BPTT_DEBUG"):
        warnings.simplefilter("ignore")  # they speak to programmers; PYTHONWARNINGS makes errors of them
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would take its place, and its output
            os.open(os.devnull, os.O_RDWR)


def quit_at_once(number: int, frame: FrameType | None) -> None:
    """End the process with a line: nothing has begun."""
    _say("\nbptt: interrupted")  # below the terminal's ^C
    os._exit(1)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode("ascii", "replace"))
