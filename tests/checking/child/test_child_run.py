"""A function in a child process: what it gets, what it sends, and who ends it."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bptt.checking.child import ChildError, Message, run
from bptt.errors import ConfigError, ShapeError
from processes import start

QUICK = 20.0


def answer(code: str, **arguments: Any) -> Any:
    *_, last = run("child_targets:execute", {"code": code, **arguments}, seconds=QUICK)
    return last.payload


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_messages_are_json_with_numpys_numbers() -> None:
    code = "import numpy as np; answer = [np.float32(0.5), np.arange(4).reshape(2, 2), float('inf')]"
    assert answer(code) == [0.5, [[0, 1], [2, 3]], float("inf")]
    assert len(answer("answer = 'ä\\n' * 500_000")) == 10**6


def test_messages_come_as_they_are_sent() -> None:
    code = "import os, time\nsend('verdict', os.getpid())\ntime.sleep(60)"
    messages = run("child_targets:execute", {"code": code}, seconds=1.0)
    assert next(messages) == Message("began", None)
    kind, pid = next(messages)
    assert kind == "verdict"
    assert alive(pid)
    with pytest.raises(ChildError, match="did not finish within 1 s"):
        next(messages)
    assert not alive(pid)


def test_the_child_is_a_quiet_place(capfd: pytest.CaptureFixture[str]) -> None:
    found = answer("""
import os, sys, tempfile
print(1)
os.system("echo 2 >&2")
temporary = os.path.dirname(tempfile.mkdtemp())
threads, gpus = os.environ["OPENBLAS_NUM_THREADS"], os.environ["CUDA_VISIBLE_DEVICES"]
answer = [os.getcwd(), temporary, sys.path, os.listdir(), sys.stdin.read(), hash("a"), threads, gpus]
""")
    again = answer("answer = hash('a')")
    folder, temporary, path, *rest = found
    assert rest == [[], "", again, "1", ""]
    assert Path(folder) != Path.cwd()
    assert Path(temporary).parent == Path(folder).parent
    assert not Path(folder).parent.exists()
    assert path == [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100
    assert capfd.readouterr() == ("", "")


def test_an_error_of_ours_comes_as_it_is() -> None:
    with pytest.raises(ShapeError, match=r"^x is too wide$"):
        answer(
            "from bptt.errors import ShapeError\nclass Mine(ShapeError): pass\nraise Mine('x is\\ntoo wide')"
        )


@pytest.mark.parametrize("bounds", [{"seconds": 0}, {"seconds": float("nan")}, {"seconds": 1, "memory": 0}])
def test_a_bound_that_is_none_is_refused(bounds: Any) -> None:
    with pytest.raises(ConfigError, match="must be above 0"):
        next(run("child_targets:execute", {}, **bounds))


FOREVER = """
import os, time
if not os.fork():
    os.setsid()
    while True: pass
send('pid', os.getpid())
time.sleep(60)
"""


def test_closing_the_messages_ends_the_child() -> None:
    messages = run("child_targets:execute", {"code": FOREVER}, seconds=QUICK)
    pid = next(message.payload for message in messages if message.kind == "pid")
    assert alive(pid)
    messages.close()  # type: ignore[attr-defined]
    assert not alive(pid)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_end_of_the_parent_ends_the_child(number: int, code: int, tmp_path: Path) -> None:
    program = (
        "from bptt.checking.child import run\n"
        f"for m in run('child_targets:execute', {{'code': {FOREVER!r}}}, seconds=60.0):\n"
        "    print(m.payload, flush=True)"
    )
    with start("-c", program, env={"TMPDIR": str(tmp_path)}) as parent:
        assert parent.stdout is not None
        pid = int([parent.stdout.readline(), parent.stdout.readline()][1])
        assert alive(pid)
        parent.send_signal(number)
        parent.wait(10)
    assert parent.returncode == -number
    until = time.monotonic() + 5
    while (alive(pid) or list(tmp_path.iterdir())) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(pid)
    assert list(tmp_path.iterdir()) == []
