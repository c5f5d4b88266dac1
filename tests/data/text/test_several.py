"""Several files and folders as one text, and standard input, which the run keeps."""

import io
import sys
from pathlib import Path

import pytest

from bptt import DataError, RunError, Settings, Trained, Trainer
from bptt.cli import run as bptt
from bptt.data.text import files, load
from bptt.errors import BpttWarning
from bptt.training.runs.verify import verify
from small_runs import SMALL, go, left_by, text

FAST = [
    "--hidden=4",
    "--embedding=2",
    "--batch=2",
    "--chunk=4",
    "--steps=4",
    "--eval-every=2",
    "--no-samples",
]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.joinpath("d").mkdir()
    for name, words in (("a.txt", "one\nday" * 30), ("b.txt", "two days\n" * 20), ("d/c.txt", "é\n" * 30)):
        tmp_path.joinpath(name).write_text(words, encoding="utf-8")
    tmp_path.joinpath("d", "e.bin").write_bytes(b"\xff" * 9)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    files.standard_input.cache_clear()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_several_are_one_text_each_on_a_new_line(desk: Path) -> None:
    with pytest.warns(BpttWarning, match=r"d: 1 file read, 1 passed over: 1 not UTF-8 \(e\.bin\)"):
        corpus = load("b.txt\na.txt\nd")
    assert isinstance(corpus.train, str)
    assert isinstance(corpus.valid, str)
    assert corpus.train + corpus.valid == "two days\n" * 20 + "one\nday" * 30 + "\n" + "é\n" * 30
    assert (corpus.name, corpus.passed_over) == ("b.txt and 2 more", {"d/e.bin": "not UTF-8"})
    raw = load("a.txt\nd", kind="byte")
    assert isinstance(raw.train, bytes)
    assert isinstance(raw.valid, bytes)
    assert raw.train + raw.valid == b"one\nday" * 30 + "é\n".encode() * 30 + b"\xff" * 9
    desk.joinpath("a\nb").write_text("a name of two lines")
    assert load("a\nb").name == "a\nb"


def test_the_command_takes_several_and_finds_them_again(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bptt(["train", "a.txt", "b.txt", *FAST, "--out", "run"]) == 0
    assert f"{desk / 'a.txt'} and 1 more: 351 chars to train on" in capsys.readouterr().out
    assert bptt(["eval", "run"]) == 0
    capsys.readouterr()
    desk.joinpath("there").mkdir()
    for name in ("a.txt", "b.txt"):
        desk.joinpath(name).rename(desk / "there" / name)
    assert bptt(["train", "--resume", "run", "--steps=6"]) == 2
    assert "a.txt: no such file" in capsys.readouterr().err
    assert bptt(["train", "there/b.txt", "there/a.txt", "--resume", "run", "--steps=6"]) == 2
    assert "is no longer what the run was trained on" in capsys.readouterr().err
    assert bptt(["train", "there/a.txt", "there/b.txt", "--resume", "run", "--steps=6"]) == 0
    assert {finding.state for finding in verify("run")} == {"whole"}


@pytest.mark.parametrize(
    ("several", "says"),
    [
        (["a.txt", "./a.txt"], "is named twice; what is validated would be trained on"),
        (["a.txt", "ptb"], "ptb: has no place among several paths"),
        (["a.txt", "nowhere"], "nowhere: no such file or corpus"),
        (["a.txt", "d/e.bin"], "e.bin: line 1 is not UTF-8 text"),
        (["a.txt", "-"], "'-': is no path that can stand among several"),
        (["a.txt", "x\ny"], "is no path that can stand among several"),
        (["-", "--valid", "-"], "standard input is for the text to train on"),
    ],
)
def test_several_that_are_none_are_a_line(
    desk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    several: list[str],
    says: str,
) -> None:
    type_in(monkeypatch, b"some text")
    assert bptt(["train", *several, *FAST, "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1
    assert not desk.joinpath("run").exists()


def test_standard_input_is_kept_with_the_run_which_can_move(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"\xef\xbb\xbf" * 2 + text().replace("\n", "\r\n").encode()
    type_in(monkeypatch, data)
    assert bptt(["train", "-", *FAST, "--out", "run"]) == 0
    assert "standard input: " in capsys.readouterr().out
    desk.joinpath("run").rename("moved")
    type_in(monkeypatch, b"")
    assert desk.joinpath("moved", "standard-input").read_bytes() == data
    assert bptt(["eval", "moved"]) == 0
    assert bptt(["train", "--resume", "moved", "--steps=6"]) == 0
    assert {finding.file for finding in verify("moved")} >= {"standard-input"}
    assert {finding.state for finding in verify("moved")} == {"whole"}
    assert Trained.load("moved").settings.data == "-"
    desk.joinpath("moved", "standard-input").write_bytes(data[::-1])
    with pytest.raises((DataError, RunError)):
        Trainer.resume("moved", steps=9)
    desk.joinpath("moved", "standard-input").unlink()
    with pytest.raises(DataError, match="standard-input: no such file"):
        Trainer.resume("moved", steps=9)
    assert "damaged" in {finding.state for finding in verify("moved")}
    assert bptt(["train", "-", *FAST, "--out", "none"]) == 2
    assert "standard input: is empty" in capsys.readouterr().err
    assert not desk.joinpath("none").exists()


def test_a_run_on_standard_input_resumes_to_the_same_bits(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.joinpath("book.txt").write_text(text())
    for name, stop in (("whole", 99), ("parts", 9)):
        type_in(monkeypatch, text().encode())
        go(Trainer.start(Settings(**SMALL | {"data": "-"}), name), stop)
    go(Trainer.resume("parts"))
    assert left_by(desk / "parts") == left_by(desk / "whole")
