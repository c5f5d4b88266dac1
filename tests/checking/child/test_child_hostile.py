"""Whatever the code in the child does: one line, in time, and nothing of it is left."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bptt.checking.child import ChildError, Message, run

SECONDS = 1.0
ENOUGH = 20.0  # for what ends before, however busy the machine is
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell of processes")


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Look for processes that were started with this test's environment, and for folders."""
    mark = f"BPTT_TEST={tmp_path}"
    monkeypatch.setenv(*mark.split("="))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    assert list(tmp_path.glob("bptt-*")) == []
    assert [path for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)] == []


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def outcome(code: str, seconds: float = ENOUGH, **bounds: Any) -> tuple[list[Message], ChildError | None]:
    messages: list[Message] = []
    began = float("inf")
    bounds = {"seconds": seconds, "processes": 12, **bounds}
    try:
        for message in run("child_targets:execute", {"code": code}, **bounds):
            began = min(began, time.monotonic())
            messages.append(message)
    except ChildError as error:
        return messages, error
    finally:
        assert time.monotonic() - began < seconds + 2
    return messages, None


HANGS = {
    "loops": "while True: pass",
    "catches everything": """
while True:
    try:
        while True: sum(range(1000))
    except BaseException: pass
""",
    "waits in C": "import ctypes; ctypes.CDLL(None).pause()",
    "waits for input that never comes": "import os; os.read(os.pipe()[0], 1)",
    "prints without end": "while True: print('x' * 1000)",
    "prints without end from C": "import ctypes\nwhile True: ctypes.CDLL(None).write(1, b'x' * 1000, 1000)",
    "stops itself": "import os, signal; os.kill(0, signal.SIGSTOP)",
    "writes files": "open('a', 'wb').write(bytes(10**6))\nwhile True: open('a').read()",
    "takes over all signals": """
import signal
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, lambda *_: None)
while True: pass
""",
}


@pytest.mark.parametrize("code", HANGS.values(), ids=HANGS)
def test_what_does_not_end_is_ended(code: str) -> None:
    messages, error = outcome(code, SECONDS)
    assert error is not None
    assert str(error) == f"the code did not finish within {SECONDS:g} s: a smaller example is quicker"
    assert error.reason == "time"
    assert messages == [("began", None)]


ENDS = {
    "os._exit(3)": ("os._exit(3)", "exit", "ended its own process (exit code 3)"),
    "sys.exit()": ("import sys; sys.exit('usage: net FILE')", "exit", "(sys.exit(usage: net FILE))"),
    "a crash": ("import ctypes; ctypes.string_at(0)", "crash", "that it imports, crashed: SIGSEGV"),
    "abort": ("os.abort()", "crash", "crashed: SIGABRT"),
    "a signal to its group": ("os.kill(0, 15)", "crash", "crashed: SIGTERM"),
    "one great array": ("import numpy; numpy.ones(10**9)", "memory", "took more than 0.5 GiB"),
    "many small ones": ("a = []\nwhile True: a.append('x' * 10**5)", "memory", "took more than 0.5 GiB"),
    "a failure": ("1 / 0", "failed", "the code failed: ZeroDivisionError: division by zero"),
    "an endless text": ("raise ValueError('x\\n' * 10**6)", "failed", "ValueError: x x"),
}


@pytest.mark.parametrize(("code", "reason", "text"), ENDS.values(), ids=ENDS)
def test_an_end_before_the_time_says_which(code: str, reason: str, text: str) -> None:
    messages, error = outcome(f"import os\n{code}", memory=1 << 29)
    assert error is not None
    assert text in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 700
    assert error.reason == reason
    assert messages == [("began", None)]


@LINUX
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True: os.fork()", "processes"),
        ("while True:\n  if os.fork(): os._exit(0)\n  os.setsid()", "exit"),
        ("while True: subprocess.Popen(['sleep', '60'], start_new_session=True)", "processes"),
        ("if not os.fork():\n  while True: os.fork()\nwhile True: pass", "processes"),
        ("for _ in range(3):\n  if not os.fork(): a = b'x' * (3 << 25)\nwhile True: pass", "memory"),
    ],
)
def test_bombs_are_bounded(code: str, reason: str) -> None:
    _, error = outcome(f"import os, subprocess\n{code}", memory=1 << (28 if reason == "memory" else 30))
    assert error is not None
    assert error.reason == reason


HARMLESS = {
    "an orphan in a session of its own": """
import os, time
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    os.close(1); os.close(2)
    time.sleep(60)
os.wait()
""",
    "a copy that sends": "import os, time\nif os.fork(): time.sleep(0.5)\nelse: send(1, 1)",
    "threads that never end": """
import threading, time
for _ in range(5): threading.Thread(target=time.sleep, args=(60,)).start()
""",
    "atexit": "import atexit, time; atexit.register(time.sleep, 60)",
    "closes all descriptors": "import os; os.closerange(0, 5000)",
    "writes to all descriptors": """
import os
for d in map(int, os.listdir('/dev/fd')):
    try: os.write(d, b'null\\n{"kind": 3}\\n')
    except OSError: pass
""",
    "writes into our pipe": "import glob; open(glob.glob('../messages')[0], 'wb').write(b'[1]\\n\\xff[[[')",
    "deletes its folder": "import os, shutil; shutil.rmtree(os.getcwd())",
    "signals to its parent": """
import os, signal, time
for name in 'SIGTERM SIGINT SIGHUP SIGUSR1'.split(): os.kill(os.getppid(), getattr(signal, name))
time.sleep(0.5)
""",
    "other functions in their places": """
import os, json, sys
os._exit = os.write = os.open = os.getpid = json.dumps = sys.excepthook = None
sys.stdout = sys.stderr = sys.path = None
""",
    "prints what is no text": "import os; os.write(1, bytes(range(256)))",
    "a recursion": "def f(): f()\ntry: f()\nexcept RecursionError: pass",
}


@pytest.mark.parametrize("code", HARMLESS.values(), ids=HARMLESS)
def test_what_is_no_end_changes_nothing(code: str) -> None:
    assert outcome(f"{code}\nanswer = 7") == ([("began", None), ("answer", 7)], None)


@LINUX
@pytest.mark.parametrize("end", ["os.kill(os.getppid(), 9)", "os.kill(os.getppid(), 19)"])
def test_a_supervisor_that_is_ended_or_stopped_is_told(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr("bptt.checking.child.parent.GRACE", 0.2)
    _, error = outcome(f"import os, time; {end}; time.sleep(60)", seconds=0.5)
    assert error is not None
    assert "the process that watches it was ended" in str(error)
    time.sleep(0.1)  # the system ends the worker, then
