"""What a terminal, a pipe and a reader of JSON get of what a text holds."""

import json
import os
from pathlib import Path

import pytest

from bptt.cli import run as bptt
from bptt.cli.output import Visible, quoted, to_json, visible
from command import EVIL, FAST, command, finish, posix

KNOWN = EVIL.rstrip("\r")
"""What of it a text holds whose line ends have become newlines."""


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run whose vocabulary holds what a terminal obeys."""
    evil = tmp_path_factory.mktemp("evil")
    evil.joinpath("evil.txt").write_text((EVIL + "abc\n") * 40, encoding="utf-8", newline="")
    assert bptt(["train", str(evil / "evil.txt"), *FAST, "--out", str(evil / "run")]) == 0
    return evil


def in_terminal(*arguments: str, **env: str | None) -> tuple[int, str]:
    """Return the exit code, and what a terminal gets."""
    import pty

    ours, theirs = pty.openpty()
    env = {"TERM": "xterm-256color", **env}
    process = command(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
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
def test_a_terminal_gets_no_sequence_from_a_text(evil: Path, tmp_path: Path) -> None:
    for arguments, code in [
        (["sample", str(evil / "run"), "--prime", KNOWN, "--length=200", "--seed=0"], 0),
        (["train", EVIL], 2),
    ]:
        got, text = in_terminal(*arguments)
        assert got == code
        assert visible(text) == text
        assert "␛" in text
    got, text = in_terminal(
        "train", str(evil / "evil.txt"), *FAST, "--backend=reference", "--out", str(tmp_path / EVIL)
    )
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
    evil: Path, tmp_path: Path, env: dict[str, str | None]
) -> None:
    got, text = in_terminal(
        "train", str(evil / "evil.txt"), *FAST, "--backend=reference", "--out", str(tmp_path / EVIL), **env
    )
    assert got == 0
    assert "␛" in text
    assert not {"\x07", "\x9b", "\u202e", "\x7f"} & set(text)
    assert "\x1b]" not in text


def test_a_pipe_gets_what_the_model_writes(evil: Path) -> None:
    prime = KNOWN + "abc\n"
    code, output, errors = finish(command("sample", str(evil / "run"), "--prime", prime, "--length=0"))
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


def test_json_is_strict() -> None:
    value = {
        "a": [float("nan"), 1.5, (float("inf"), -float("inf"))],
        "b": {"c": float("nan"), "d": True, "e": 10**30},
    }
    assert json.loads(to_json(value)) == {
        "a": [None, 1.5, [None, None]],
        "b": {"c": None, "d": True, "e": 10**30},
    }


@pytest.mark.parametrize("verb", ["train", "sample"])
def test_a_terminal_that_lacks_the_characters_gets_others(desk: Path, tmp_path: Path, verb: str) -> None:
    out = str(tmp_path / "run")
    arguments = {
        "train": ["train", str(desk / "snow.txt"), *FAST, "--out", out],
        "sample": ["sample", str(desk / "run"), "--length=5"],
    }[verb]
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    code, output, errors = finish(command(*arguments, env=env))
    assert (code, errors) == (0, "")
    assert output.isascii()
    if verb == "train":
        assert "?" in output


@pytest.mark.skipif(os.name == "nt", reason="Windows quotes otherwise")
def test_a_path_that_begins_with_a_dash_is_no_option() -> None:
    assert [quoted(path) for path in ("-r", "a b", "a/-r")] == ["./-r", "'a b'", "a/-r"]
