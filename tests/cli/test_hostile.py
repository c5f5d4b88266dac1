"""Whatever a file, a flag, a signal, a stream or the environment holds, the command says it in a line."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from bptt import Trained
from bptt.cli import bptt as group
from bptt.cli import run as bptt
from bptt.cli.output import Visible, to_json, visible
from bptt.cli.train import stop_asked
from bptt.errors import BpttError

FAST = ["--hidden=4", "--embedding=3", "--batch=2", "--chunk=8", "--steps=4", "--report-every=2"]
FAST += ["--eval-every=2", "--warmup=0"]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\x7f\r"
KNOWN = EVIL.rstrip("\r")
"""What of it a text holds whose line ends have become newlines."""
PATH = os.pathsep.join(map(str, sys.path))
FAST_TASK = [option for option in FAST if not option.startswith("--chunk")]
VERBS = ["check", "derive", "train", "sample", "eval", "flow", "corpora", "presets"]

Capture = pytest.CaptureFixture[str]
posix = pytest.mark.skipif(os.name != "posix", reason="not of this system")


def start(
    *arguments: str, before: str = "", env: dict[str, str | None] | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    """Start the command as its script does, after some code."""
    full: dict[str, str | None] = {**os.environ, "PYTHONPATH": PATH, **(env or {})}
    process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[assignment]
        [sys.executable, "-c", before + "\nfrom bptt_command import main; main()", *arguments],
        env={name: value for name, value in full.items() if value is not None},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )
    return process


def finish(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    """Return the exit code and what was written; an error has one line."""
    output, errors = process.communicate(timeout=60)
    said = (errors or b"").decode("utf-8", "replace").strip()
    assert "\n" not in said, said
    return process.returncode, (output or b"").decode("utf-8", "replace"), said


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run whose vocabulary holds what a terminal obeys."""
    desk = tmp_path_factory.mktemp("desk")
    desk.joinpath("evil.txt").write_text((EVIL + "abc\n") * 40, encoding="utf-8", newline="")
    assert bptt(["train", str(desk / "evil.txt"), *FAST, "--out", str(desk / "run")]) == 0
    return desk


# ---------------------------------------------------------------------- the last handler


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError


ERRORS: list[tuple[BaseException, int, str]] = [
    (RecursionError("maximum"), 2, "nested too deeply"),
    (UnicodeEncodeError("utf-8", "\udc80", 0, 1, "surrogates not allowed"), 2, "not UTF-8"),
    (MemoryError("7 TiB"), 2, "not enough memory"),
    (OSError(28, "No space left on device"), 2, "cannot go on: .*No space left"),
    (KeyError("c"), 2, r"KeyError: 'c' \(this is a fault of bptt; BPTT_DEBUG=1 shows where\)"),
    (AssertionError(), 2, r"bptt: AssertionError \(this is a fault"),
    (ZeroDivisionError("a\nb\x1b[31m"), 2, "a b␛.31m .this is a fault"),
    (ValueError("x" * 100_000), 2, "x ... x.*this is a fault"),
    (UnspeakableError(), 2, "UnspeakableError"),
    (GeneratorExit(), 2, "GeneratorExit"),
    (KeyboardInterrupt(), 1, "interrupted"),
    (BpttError("no such thing" + EVIL), 2, "no such thing␛]0;owned␇"),
]


@pytest.mark.parametrize(("error", "code", "says"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_that_nobody_caught_gets_a_line(
    error: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    import re

    def failing() -> None:
        raise error

    monkeypatch.setitem(group.commands, "presets", click.Command("presets", callback=failing))
    assert bptt(["presets"]) == code
    output, errors = capsys.readouterr()
    assert (output, errors.strip().count("\n")) == ("", 0)
    assert re.search(says, errors)
    assert len(errors) < 3000
    monkeypatch.setenv("BPTT_DEBUG", "1")
    assert bptt(["presets"]) == code
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "nasty", ["", " ", "\udcff\udc80", "x" * 100_000, "a\nb\n", EVIL, "/dev/null", "-", ":", "\ud800"]
)
@pytest.mark.parametrize("verb", VERBS)
def test_a_nasty_argument_gets_a_line(
    verb: str, nasty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        [verb, nasty],
        [verb, "--out", nasty, nasty],
        ["train", "adding", "--steps=0", "--cell", nasty],
    ):
        code = bptt(arguments)
        errors = capsys.readouterr().err
        assert code == 2, errors
        assert errors.strip().count("\n") == 0
        assert errors.startswith("bptt: ")
        assert "fault of bptt" not in errors
        assert visible(errors) == errors


# ---------------------------------------------------------------------- the environment

POOR: dict[str, str | None] = {
    "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb", "COLUMNS": "0",
    "LINES": "many", "NO_COLOR": "1", "PYTHONWARNINGS": "error", "TMPDIR": "/nonexistent", "HOME": None,
    "XDG_CACHE_HOME": None, "BPTT_CACHE": None, "PWD": None, "PATH": "",
}  # fmt: skip
NOBODY = """
import os, pwd, tempfile
def nobody(_): raise KeyError("no such user")
pwd.getpwuid = nobody
gone = tempfile.mkdtemp(dir=os.getcwd())
"""
GONE = "os.chdir(gone); os.rmdir(gone)"


@posix
def test_a_poor_environment_is_enough(tmp_path: Path) -> None:
    """No home, no entry for the user, no locale, no place for temporary files, warnings that are errors."""
    code, output, errors = finish(
        start(
            "train",
            "reber",
            *FAST_TASK,
            "--out=run",
            "--backend=reference",
            before=NOBODY,
            env=POOR,
            cwd=tmp_path,
        )
    )
    assert (code, errors) == (1, ""), "four steps do not solve it"
    assert "the run is kept in run" in output
    assert not (tmp_path / "~").exists()


@posix
def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    before = NOBODY + GONE
    assert finish(start("presets", before=before, cwd=tmp_path))[::2] == (0, "")
    code, output, errors = finish(start("train", "adding", "--steps=1", before=before, cwd=tmp_path))
    assert (code, output, errors.startswith("bptt: ")) == (2, "", True)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BPTT_THREADS", "many", "BPTT_THREADS must be a whole number from 1"),
        ("BPTT_THREADS", "9" * 5000, "BPTT_THREADS must be a whole number from 1"),
        ("BPTT_TARGET", "mmx\x1b[31m", "BPTT_TARGET must be avx512, avx2 or baseline"),
    ],
)
def test_an_environment_that_means_nothing_is_told_before_anything_is_made(
    name: str, value: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from bptt.layer import threads

    monkeypatch.setattr(threads, "count", threads.count.__wrapped__)
    monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert bptt(["train", "reber", *FAST_TASK, "--backend=reference"]) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert (errors.count("\n"), visible(errors), list(tmp_path.iterdir())) == (1, errors, [])


@pytest.mark.parametrize("name", ["BPTT_DATA", "BPTT_CACHE"])
@pytest.mark.parametrize("value", ["/dev/null/x", "x" * 5000, "~nobody-of-this-name", "\n", "\x1b[31m"])
def test_a_folder_that_is_none_is_looked_in_without_harm(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    for arguments in (["corpora"], ["train", "reber", *FAST_TASK, "--out=run"]):
        code = bptt(arguments)
        errors = capsys.readouterr().err
        assert code in (0, 1) if not errors else code == 2
        assert errors.count("\n") <= 1
        assert "fault of bptt" not in errors


# ---------------------------------------------------------------------- streams


@posix
@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_closed_streams(closed: tuple[int, ...], tmp_path: Path) -> None:
    """A file that is opened does not take a closed stream's place, nor its output."""
    arguments = ["train", "reber", *FAST_TASK, "--out", str(tmp_path / "run")]
    script = f'exec "$@" {" ".join(f"{number}>&-" for number in closed)}'
    command = [sys.executable, "-c", "from bptt_command import main; main()", *arguments]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *command], capture_output=True, env=env, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert (b"the run is kept" in done.stdout) == (1 not in closed)
    for name in ("config.json", "log.jsonl"):
        assert b"the run is kept" not in (tmp_path / "run" / name).read_bytes()
    assert json.loads((tmp_path / "run" / "config.json").read_bytes())


@posix
def test_no_file_takes_a_closed_streams_place() -> None:
    code = "import os, bptt_command; os.close(1); bptt_command.begin(); assert os.open(os.devnull, 0) > 2"
    assert finish(start("--version", before=code)) == (0, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments", [["presets"], ["--help"], ["derive", "rnn"], ["train", "nothing"]], ids=" ".join
)
def test_a_full_disk_below_a_stream(arguments: list[str]) -> None:
    buffered: dict[str, str | None] = {"PYTHONUNBUFFERED": None}  # what is left is tried again at the end
    with Path("/dev/full").open("w") as full:
        if arguments[0] == "train":
            assert finish(start(*arguments, stderr=full, env=buffered)) == (2, "", "")
        else:
            code, _, errors = finish(start(*arguments, stdout=full, env=buffered))
            assert (code, "No space left on device" in errors) == (2, True)


# ---------------------------------------------------------------------- signals


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_the_command_starts_shows_no_traceback(number: signal.Signals) -> None:
    codes = set()
    for k in range(8):
        process = start("--version")
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
    path = os.pathsep.join([str(tmp_path), PATH])
    process = subprocess.Popen(
        [sys.executable, "-m", "bptt", "--version"],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
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
    assert finish(start("--version", before=f"{before}\n{after}"))[0] == 0


def test_training_takes_up_no_signal_that_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[int, Any] = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}
    monkeypatch.setattr(signal, "getsignal", held.get)
    monkeypatch.setattr(signal, "signal", held.__setitem__)
    with stop_asked() as asked:
        assert held[signal.SIGINT] is signal.SIG_IGN
        held[signal.SIGTERM](signal.SIGTERM, None)
        assert asked()
    assert held == {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}


# ---------------------------------------------------------------------- terminals


def in_terminal(*arguments: str, **env: str | None) -> tuple[int, str]:
    """Return the exit code, and what a terminal gets."""
    import pty

    ours, theirs = pty.openpty()
    env = {"TERM": "xterm-256color", **env}
    process = start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    data = b""
    try:
        while piece := os.read(ours, 65536):
            data += piece
    except OSError:  # all have closed it
        pass
    os.close(ours)
    return process.wait(timeout=60), data.decode("utf-8", "replace").replace("\r\n", "\n")


@posix
def test_a_terminal_gets_no_sequence_from_a_text(desk: Path, tmp_path: Path) -> None:
    for arguments, code in [
        (["sample", str(desk / "run"), "--prime", KNOWN, "--length=200", "--seed=0"], 0),
        (["train", EVIL], 2),
    ]:
        got, text = in_terminal(*arguments)
        assert got == code
        assert visible(text) == text
        assert "␛" in text
    got, text = in_terminal("train", str(desk / "evil.txt"), *FAST, "--out", str(tmp_path / EVIL))
    assert got == 0
    assert "\x1b[" in text, "the display is a live one"
    assert "␛" in text
    assert not {"\x07", "\x9b", "\u202e", "\x7f"} & set(text)
    assert "\x1b]" not in text


@posix
@pytest.mark.parametrize(
    "env",
    [
        {"TTY_COMPATIBLE": "0"},
        {"TTY_COMPATIBLE": "1", "TERM": "dumb"},
        {"FORCE_COLOR": ""},
        {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "0"},
        {"NO_COLOR": "1", "TERM": "no-such-terminal"},
        {"TTY_INTERACTIVE": "0", "TERM": None},
    ],
    ids=lambda env: " ".join(f"{name}={value}" for name, value in env.items()),
)
def test_no_environment_lets_a_texts_sequences_through(
    desk: Path, tmp_path: Path, env: dict[str, str | None]
) -> None:
    got, text = in_terminal("train", str(desk / "evil.txt"), *FAST, "--out", str(tmp_path / EVIL), **env)
    assert got == 0
    assert "␛" in text
    assert not {"\x07", "\x9b", "\u202e", "\x7f"} & set(text)
    assert "\x1b]" not in text


def test_a_pipe_gets_what_the_model_writes(desk: Path) -> None:
    prime = KNOWN + "abc\n"
    code, output, errors = finish(start("sample", str(desk / "run"), "--prime", prime, "--length=0"))
    assert (code, output, errors) == (0, prime + "\n", "")


def test_visible() -> None:
    plain = "Ünïcödé ☃ 日本 👩\u200d💻 می\u200cخواهم\u00a0\u3000\n\tx"
    assert visible(plain) == plain
    assert visible(EVIL) == "␛]0;owned␇␛[2J\ufffd31m\ufffdevil␡␍"
    assert visible("\ufeff\u2028\u2066\U000e0041\ud800") == "\ufffd" * 5


def test_bytes_to_a_terminal_are_filtered_too() -> None:
    import io

    below = io.StringIO()
    stream = Visible(below)
    for data in (b"a\xe2", b"\x98\x83\x1b[31m", b"\xc2\x9b\xff"):
        stream.buffer.write(data)
    stream.writelines(["\x07", "b"])
    assert below.getvalue() == "a☃␛[31m\ufffd\ufffd␇b"


# ---------------------------------------------------------------------- JSON


def test_json_is_strict() -> None:
    value = {
        "a": [float("nan"), 1.5, (float("inf"), -float("inf"))],
        "b": {"c": float("nan"), "d": True, "e": 10**30},
    }
    assert json.loads(to_json(value)) == {
        "a": [None, 1.5, [None, None]],
        "b": {"c": None, "d": True, "e": 10**30},
    }


def test_a_loss_that_is_not_finite_is_no_and_null(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    scores = [replace(score, nats=float("nan")) for score in Trained.load(str(desk / "run")).scores()]
    monkeypatch.setattr(Trained, "scores", lambda *_: scores)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    assert bptt(["eval", str(desk / "run"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert [score["nats"] for score in found["scores"]] == [None, None]
    assert bptt(["eval", str(desk / "run")]) == 1
