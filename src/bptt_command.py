"""Where the command starts: whatever comes from the outside ends it with a line, also while it is imported.

It is no part of the package, whose import takes some tenths of a second. What can still show a traceback is
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


def quit_at_once(number: int, frame: FrameType | None) -> None:
    """End the process with a line: nothing has begun."""
    with contextlib.suppress(OSError):
        os.write(2, b"\nbptt: interrupted\n")
    os._exit(1)


def main() -> None:
    """Run the command ``bptt``."""
    try:
        from bptt.cli import main as command
    except Exception as error:
        if os.environ.get("BPTT_DEBUG"):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        with contextlib.suppress(OSError):
            os.write(
                2, f"bptt: cannot start: {reason} (BPTT_DEBUG=1 shows where)\n".encode("ascii", "replace")
            )
        sys.exit(2)
    command()


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # whoever starts it may have it ignored
    signal.signal(signal.SIGINT, quit_at_once)
if not os.environ.get("BPTT_DEBUG"):
    warnings.simplefilter("ignore")  # they speak to programmers; PYTHONWARNINGS would make errors of them
for number in range(3):
    try:
        os.fstat(number)
    except OSError:  # closed: the next file that is opened would take its place, and its output
        os.open(os.devnull, os.O_RDWR)
