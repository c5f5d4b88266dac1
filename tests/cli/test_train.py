"""``bptt train``: what it says and leaves, how its options go together, where a run may be."""

import json
import os
from pathlib import Path

import pytest

from bptt.cli import run as bptt
from bptt.training.runs.folder import Run
from command import FAST, FAST_TASK, LINE, Capture, command, contents, finish


def test_a_run_that_diverges_exits_1_with_one_line(here: Path, capsys: Capture) -> None:
    arguments = ["train", "ar2", "--cell=rnn-relu", "--hidden=4", "--batch=4", "--optimizer=sgd", "--lr=1e38"]
    assert bptt([*arguments, "--schedule=constant", "--clip-norm=inf", "--steps=50"]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert (
        "bptt: the loss is nan at step 1; bptt-runs/ar2-rnn-relu-1/last.safetensors keeps step 0; try"
        in errors
    )


def test_train_says_what_it_does_and_leaves_a_run(desk: Path, here: Path, capsys: Capture) -> None:
    assert bptt(["train", str(desk / "book.txt"), *FAST, "--out", "deep/run"]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    for said in (
        "792 chars to train on, 88 to validate, 28 different ones",
        "lstm: 1 x 6 units, embedding 4",
        "6 steps; the run is kept in deep/run".replace("/", os.sep),
        "what it writes after",
        "all steps are done.",
        "best validation loss",
        "bptt sample deep/run".replace("/", os.sep),
    ):
        assert said in output
    files = sorted(path.name for path in Path("deep", "run").iterdir())
    assert files == [
        *(".lock", "best.safetensors", "config.json", "last.safetensors", "log.jsonl", "vocabulary.json"),
    ]


def test_what_comes_next_is_said_as_a_shell_takes_it(desk: Path, here: Path, capsys: Capture) -> None:
    assert bptt(["train", str(desk / "book.txt"), *FAST, "--out", "my run"]) == 0
    said = {"nt": 'bptt sample "my run"'}.get(os.name, "bptt sample 'my run'")
    assert said in capsys.readouterr().out


def test_the_log_has_its_keys(desk: Path) -> None:
    for run in ("run", "task"):
        lines = [json.loads(line) for line in desk.joinpath(run, "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [2, 3, 4, 6]
        for line in lines:
            assert {"step", "tokens", "seconds", "train_loss"} <= line.keys()
            assert ("valid_loss" in line) == (line["step"] in (3, 6))
            assert ("solved" in line) == (run == "task" and "valid_loss" in line)


def test_runs_without_a_name_are_numbered(desk: Path, here: Path, capsys: Capture) -> None:
    for k in (1, 2):
        assert bptt(["train", str(desk / "book.txt"), *FAST, "--cell=gru"]) == 0
        assert Path("bptt-runs", f"book-gru-{k}", "config.json").exists()
    assert bptt(["train", "reber", *FAST_TASK]) == 1
    assert Path("bptt-runs", "reber-lstm-1", "config.json").exists()


def test_a_run_may_be_moved_and_resumed_from_anywhere(
    desk: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("book.txt").write_bytes(desk.joinpath("book.txt").read_bytes())
    Path("valid.txt").write_text(LINE * 2)
    assert bptt(["train", "book.txt", "--valid=valid.txt", *FAST, "--out=run"]) == 0
    here.joinpath("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    here.joinpath("run").rename("moved")
    for arguments in (["sample", "moved"], ["eval", "moved"], ["train", "--resume=moved", "--steps=8"]):
        assert bptt(arguments) == 0
    assert "8 steps, from step 6; the run is kept in moved" in capsys.readouterr().out
    assert Run("moved").log.lines()[-1]["step"] == 8


def test_a_run_is_not_made_among_its_own_data(desk: Path, here: Path, capsys: Capture) -> None:
    """Its files would be read as text when it is resumed."""
    Path("texts").mkdir()
    Path("texts", "book.txt").write_bytes(desk.joinpath("book.txt").read_bytes())
    before = contents(here)
    for more in (["texts", "--out=texts/run"], ["texts", "--out=texts"], ["."]):
        assert bptt(["train", *more, *FAST]) == 2
        errors = capsys.readouterr().err
        assert errors.count("\n") == 1
        assert "and would become data; give an --out elsewhere" in errors
    assert contents(here) == before
    for out in ("run", "texts-run", "texts/.hidden"):
        assert bptt(["train", "texts", *FAST, f"--out={out}"]) == 0
        assert bptt(["train", f"--resume={out}"]) == 0


@pytest.mark.parametrize(
    "more",
    [
        ["--layers=3", "--cell=gru-cho"],
        ["--chunk=1"],
        ["--dropout=0.999"],
        ["--embedding=6", "--tied"],
        ["--embedding=0", "--cell=rnn"],
        ["--tokens=word", "--vocabulary=5"],
        ["--tokens=byte"],
        ["--steps=0"],
        ["--preset=minibatch"],
        ["--optimizer=sgd", "--momentum=0.9"],
        ["--schedule=plateau", "--keep=1"],
        ["--patience=1", "--lr=1e-30"],
        ["--warmup=100000"],
    ],
    ids=" ".join,
)
def test_options_go_together(desk: Path, here: Path, capsys: Capture, more: list[str]) -> None:
    assert bptt(["train", str(desk / "book.txt"), *FAST, *more, "--out=run"]) == 0
    assert bptt(["sample", "run", "--length=5"]) == 0
    assert bptt(["eval", "run"]) == 0
    assert capsys.readouterr().err == ""


def test_epochs_instead_of_steps(desk: Path, here: Path, capsys: Capture) -> None:
    fast = [option for option in FAST if not option.startswith("--steps")]
    for epochs, steps in (("0.001", 1), ("0.1", 5)):  # 792 characters, 2 rows of 8: 50 steps
        assert bptt(["train", str(desk / "book.txt"), *fast, f"--epochs={epochs}", f"--out={steps}"]) == 0
        assert Run(str(steps)).log.lines()[-1]["step"] == steps


def test_the_live_display_works_too(
    desk: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    assert bptt(["train", str(desk / "snow.txt"), *FAST, "--out=run"]) == 0
    output, errors = capsys.readouterr()
    assert "what it writes after 3 steps" in output
    assert "\x1b[" in output
    assert errors == ""


def test_a_large_model_that_diverges_gets_one_line_too(desk: Path, tmp_path: Path) -> None:
    """Its products are cut over a pool of threads, which have NumPy's warnings of their own."""
    arguments = ["train", str(desk / "book.txt"), *FAST, "--cell=rnn-relu", "--optimizer=sgd", "--lr=1e20"]
    arguments += [
        *("--schedule=constant", "--clip-norm=inf", "--hidden=512", "--batch=16", "--chunk=40"),
        "--tokens=byte",
    ]
    code, _, errors = finish(command(*arguments, "--out", str(tmp_path / "run")))
    assert (code, errors != "") == (1, True)
