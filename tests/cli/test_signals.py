"""An interruption, whenever it comes, shows no traceback."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bptt.cli.train import stop_asked
from command import command, finish, posix
from processes import start


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_the_command_starts_shows_no_traceback(number: signal.Signals) -> None:
    codes = set()
    for k in range(8):
        process = command("--version")
        time.sleep(0.04 + 0.05 * k)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        codes.add(process.returncode)
        lines = [line for line in errors.decode().splitlines() if line.strip()]
        if (
            number == signal.SIGINT
            and b"bptt_command.py" not in errors
            and b"/bptt/" not in errors
            and len(lines) > 1
        ):
            continue  # Python's own start
        assert lines in ([], ["bptt: interrupted"])
    assert codes <= {0, 1, -number}


@posix
def test_an_interruption_of_what_python_imports_for_m_shows_no_traceback(tmp_path: Path) -> None:
    """The package is imported before its __main__ is; NumPy's first line sends the interruption."""
    tmp_path.joinpath("numpy.py").write_text("import os; os.kill(os.getpid(), 2); import time; time.sleep(9)")
    process = start(
        *("-m", "bptt", "--version"),
        env={"PYTHONPATH": os.pathsep.join(map(str, [tmp_path, *sys.path]))},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.communicate(timeout=30)[1] == b"\nbptt: interrupted\n"
    assert process.returncode == 1


@posix
def test_an_interruption_that_is_ignored_stays_so() -> None:
    before = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    after = (
        "import bptt_command; bptt_command.begin(); assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN"
    )
    assert finish(command("--version", before=f"{before}\n{after}"))[0] == 0


def test_training_takes_up_no_signal_that_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[int, Any] = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}
    monkeypatch.setattr(signal, "getsignal", held.get)
    monkeypatch.setattr(signal, "signal", held.__setitem__)
    with stop_asked() as asked:
        assert held[signal.SIGINT] is signal.SIG_IGN
        held[signal.SIGTERM](signal.SIGTERM, None)
        assert asked()
    assert held == {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}
