"""`run`: a function of ours is called in a child process, and its messages come as it sends them."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from bptt import errors
from bptt.errors import BpttError, ConfigError

MEMORY = 4 << 30  # bytes that the child's processes may hold together
PROCESSES = 64  # that the child may have at one time
GRACE = 5.0  # seconds after the time is up at which a supervisor that says nothing is taken for dead
START = 60.0  # seconds that the start of the child may take; they are not its time

_LONGEST = 1 << 26  # bytes of one message; what is longer is no message of ours
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # sets are in the same order each time
    "PYTHONDONTWRITEBYTECODE": "1",  # nothing is written beside the user's files
    "MPLBACKEND": "Agg",
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "VECLIB_MAXIMUM_THREADS": "1",
} | {f"{name}_NUM_THREADS": "1" for name in _THREADS}


class Message(NamedTuple):
    """What the function in the child has sent."""

    kind: str
    payload: Any


class ChildError(BpttError):
    """The child did not come to its end; the text says why, in one line.

    The reason is ``time``, ``memory``, ``processes``, ``crash``, ``exit``, or ``failed`` where it has raised.
    """

    def __init__(self, text: str, reason: str = "failed") -> None:
        super().__init__(text)
        self.reason = reason


def run(
    target: str,
    arguments: Mapping[str, Any],
    *,
    seconds: float,
    memory: int = MEMORY,
    processes: int = PROCESSES,
) -> Iterator[Message]:
    """Call ``target(arguments, send)`` in a child process, and yield what it sends as it comes.

    The target is ``"module:function"``, called with the arguments and ``send(kind, payload)``; both are JSON,
    with NumPy's numbers and arrays. `seconds` is how long it may take, the imports of its module apart, and
    runs on while the caller thinks; `memory` is how many bytes its processes may hold together.

    The child has an empty current folder, no input, one thread of BLAS, no GPU, our ``sys.path``; sets are
    in the same order each time. Whatever has been started there has ended when this returns, raises or is
    closed; on macOS all but what has left the process group. Raises ChildError where the function does not
    return, errors of ours as it has raised them, and ConfigError if a bound is none.
    """
    if not (0 < seconds < 1e6 and memory > 0 and processes > 0):
        got = f"{seconds!r}, {memory!r} and {processes!r}"
        raise ConfigError(f"run: seconds (< 1e6), memory and processes must be above 0, got {got}")
    mark = os.urandom(8).hex()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory("", "bptt-", ignore_cleanup_errors=True))
        for name in ("here", "tmp"):
            Path(folder, name).mkdir()
        pipe = f"{folder}/messages"  # it has a name: the code finds no descriptor to close or to write to
        os.mkfifo(pipe, 0o600)
        messages = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, messages)
        stack.callback(os.close, os.open(pipe, os.O_WRONLY))  # or the pipe ends whenever the child closes it
        bounds = {"seconds": seconds, "memory": memory, "processes": processes, "parent": os.getpid()}
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 ("" is the current folder)
        said = {"target": target, "arguments": dict(arguments), "folder": folder, "mark": mark, "path": path}
        Path(folder, "said").write_text(json.dumps(bounds | said))
        supervisor = subprocess.Popen(
            [sys.executable, str(_SUPERVISOR), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours
            cwd="/",
            env={**os.environ, **_ENVIRONMENT, "TMPDIR": f"{folder}/tmp"},
        )
        stack.callback(_ended, supervisor)
        assert supervisor.stdin is not None
        status, reason, text = bytearray(), "", ""
        for kind, payload in _messages(messages, supervisor, mark, seconds + GRACE, status):
            if kind is not None:
                yield Message(kind, payload)
                continue
            reason, text = payload
            supervisor.stdin.close()  # the function has returned or raised: the rest is to end, too
        if reason != "returned":
            raise _error(reason, text, json.loads(status or "{}"), bounds)


def _messages(
    pipe: int, supervisor: "subprocess.Popen[bytes]", mark: str, seconds: float, status: bytearray
) -> Iterator[tuple[str | None, Any]]:
    """Yield what comes through the pipe until the supervisor has ended all, and told its status."""
    assert supervisor.stdout is not None
    told, buffer = supervisor.stdout.fileno(), b""
    watched, until = [pipe, told], time.monotonic() + START + seconds
    while ready := select.select(watched, [], [], max(0.0, until - time.monotonic()))[0]:
        if told in ready:
            data = os.read(told, 1 << 16)
            status += data
            if not data:  # all has ended, so that nothing is to come but what the pipe holds
                watched, until = [pipe], 0.0
            continue
        until = min(until, time.monotonic() + seconds)
        *lines, buffer = (buffer + os.read(pipe, 1 << 16))[-_LONGEST:].split(b"\n")
        for line in lines:
            _, found, text = line.partition(mark.encode())
            with suppress(ValueError, RecursionError):  # else the code has written here
                yield from [json.loads(text)] if found else []


def _ended(supervisor: "subprocess.Popen[bytes]") -> None:
    """Have the supervisor end all, and wait for it."""
    assert supervisor.stdin is not None
    supervisor.stdin.close()
    with supervisor:
        try:
            supervisor.wait(GRACE)
        except subprocess.TimeoutExpired:
            supervisor.kill()


def _error(reason: str, text: str, status: Mapping[str, Any], bounds: Mapping[str, Any]) -> BpttError:
    """Return what is raised where the function has not returned."""
    if hasattr(errors, reason):
        return getattr(errors, reason)(text)  # type: ignore[no-any-return]
    code = status.get("status") or 0
    if not reason:  # the worker has not said it
        reason, text = status.get("how", "crash"), "the process that watches it was ended"
    if reason == "ended" and code < 0:
        reason, text = "crash", {-one: one.name for one in signal.Signals}.get(code, f"signal {-code}")
    elif reason == "ended":
        reason, text = "exit", f"exit code {code}"
    says = {
        "time": f"the code did not finish within {bounds['seconds']:g} s: a smaller example is quicker",
        "memory": f"the code took more than {bounds['memory'] / 2**30:.3g} GiB: a smaller example takes less",
        "processes": f"the code had more than {bounds['processes']} processes at a time: let it start fewer",
        "crash": f"the code, or an extension that it imports, crashed: {text}",
        "exit": f"the code ended its own process ({text}): let it return",
    }
    return ChildError(says.get(reason, f"the code failed: {text}"), reason)
