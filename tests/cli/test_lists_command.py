"""Lists, documents and tables by the command: trained, written, scored; a fault is one line and exit 2."""

import csv
import io
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bptt.cli import run as bptt
from command import FAST, Capture

NAMES = [f"{a}{b}" for a in ("an", "ber", "cla", "do", "el") for b in ("na", "ta", "ra", "ne", "li", "as")]
TABLE = "name,language,year\n" + "".join(
    f"{name},{'fr' if k % 3 else 'it'},{1900 + k}\n" for k, name in enumerate(NAMES)
)


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with lists and runs of them; tests do not write into it."""
    folder = tmp_path_factory.mktemp("lists")
    folder.joinpath("names.txt").write_text("\n".join(NAMES * 3) + "\n")
    folder.joinpath("names.csv").write_text(TABLE)
    folder.joinpath("tunes.txt").write_text("%%\n".join(f"{a}\n{b}\n" for a in "abc" for b in "def"))
    for name, more in [
        ("lines", [str(folder / "names.txt"), "--lines"]),
        ("words", [str(folder / "names.txt"), "--lines", "--tokens=word"]),
        ("rows", [str(folder / "names.csv"), "--text=name", "--condition=language,year"]),
        ("tunes", [str(folder / "tunes.txt"), "--documents=%%"]),
        ("stream", [str(folder / "names.txt")]),
    ]:
        assert bptt(["train", *more, *FAST, "--out", str(folder / name)]) == 0
    return folder


def test_train_says_what_the_list_has_and_how_it_is_measured(
    lists: Path, tmp_path: Path, capsys: Capture
) -> None:
    asked = ["train", str(lists / "names.txt"), *FAST]
    assert bptt([*asked, "--lines", "--out", str(tmp_path / "lines")]) == 0
    output, errors = capsys.readouterr()
    assert "81 lines to train on, with their ends" in output
    assert "60 lines repeat an earlier one" in output
    assert "(each line from a zero state, its end counted)" in output
    assert errors == ""
    assert bptt([*asked, "--out", str(tmp_path / "stream")]) == 0
    assert "it looks like a list, and is read as one text: --lines" in capsys.readouterr().out
    assert bptt(["train", str(lists / "names.csv"), *FAST, "--out", str(tmp_path / "table")]) == 0
    assert "not as a table: --text COLUMN and --task" in capsys.readouterr().out
    (tmp_path / "short.csv").write_text("month,sold\n" + "2020-01,7\n" * 9)
    assert bptt(["train", str(tmp_path / "short.csv"), "--out", str(tmp_path / "short")]) == 2
    assert "smaller --batch or --chunk; it is read as one text, not as a table" in capsys.readouterr().err


def test_sample_writes_whole_lines_the_same_whatever_their_number(lists: Path, capsys: Capture) -> None:
    run = str(lists / "lines")
    assert bptt(["sample", run, "--seed=1", "--length=50"]) == 0
    ten = capsys.readouterr().out.splitlines()
    assert len(ten) == 10
    assert bptt(["sample", run, "--seed=1", "--length=50", "--count=3"]) == 0
    assert capsys.readouterr().out.splitlines() == ten[:3]
    assert bptt(["sample", run, "--seed=1", "--count=4", "--prime=an", "--length=3"]) == 0
    output, errors = capsys.readouterr()
    assert all(line.startswith("an") and len(line) <= 5 for line in output.splitlines())
    assert "of 4 were cut at 3 tokens, before their end: --length" in errors
    assert bptt(["sample", run, "--seed=1", "--count=3", "--length=50", "--json"]) == 0
    assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == ten[:3]
    assert bptt(["sample", run, "--count=0"]) == 0
    assert capsys.readouterr() == ("", "")


def test_scores_are_not_written_over_what_they_are_of(lists: Path, here: Path, capsys: Capture) -> None:
    Path("a.txt").write_text("anna\n")
    for out, message in [("./a.txt", "./a.txt is what is read"), (f"{lists}/lines/x.csv", "the run's own")]:
        assert bptt(["eval", str(lists / "lines"), "a.txt", "--each-line", "--out", out]) == 2
        output, errors = capsys.readouterr()
        assert (output, errors.count("\n")) == ("", 1)
        assert message in errors
    assert Path("a.txt").read_text() == "anna\n"


def test_sample_of_a_stream_stops_or_is_written_several_times(lists: Path, capsys: Capture) -> None:
    run = str(lists / "stream")
    assert bptt(["sample", run, "--seed=1", "--length=300"]) == 0
    whole = capsys.readouterr().out
    assert bptt(["sample", run, "--seed=1", "--length=300", "--stop", "\n"]) == 0
    assert capsys.readouterr().out == whole.split("\n")[0] + "\n"
    assert bptt(["sample", run, "--seed=1", "--length=20", "--count=3"]) == 0
    texts = capsys.readouterr().out.split("\n---\n")
    assert len(texts) == 3
    assert len({*texts}) == 3


def test_sample_writes_documents_as_they_stood(lists: Path, capsys: Capture) -> None:
    assert bptt(["sample", str(lists / "tunes"), "--seed=1", "--count=3"]) == 0
    assert capsys.readouterr().out.split("\n").count("%%") == 2
    assert bptt(["sample", str(lists / "tunes"), "--seed=1"]) == 0
    assert "%%" not in capsys.readouterr().out


def test_sample_starts_from_conditions(lists: Path, capsys: Capture) -> None:
    asked = ["sample", str(lists / "rows"), "--count=5", "--seed=0"]
    assert bptt([*asked, "--condition=language=it", "--condition", "year=1905"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    for told, message in [
        ([], "starts from language, which is missing: give language=..., one of fr, it"),
        (["--condition=language=it"], "starts from year, which is missing: give year=..., a number"),
        (["--condition=language=de", "--condition=year=1"], "language: 'de' is none of the 2"),
        (["--condition=language=it", "--condition=year=old"], "year: 'old' is no number"),
        (["--condition=language=it", "--condition=language=fr"], "--condition is given once for each column"),
        (["--condition=it"], "--condition is COLUMN=VALUE, got 'it'"),
    ]:
        assert bptt([*asked, *told]) == 2
        output, errors = capsys.readouterr()
        assert (output, errors.count("\n")) == ("", 1)
        assert message in errors
    assert bptt(["sample", str(lists / "lines"), "--condition=language=it"]) == 2
    assert "language: the model starts from no column (--condition), not" in capsys.readouterr().err


def test_eval_of_lines_has_one_figure(lists: Path, capsys: Capture) -> None:
    for path in ([], [str(lists / "names.txt")]):
        assert bptt(["eval", str(lists / "lines"), *path]) == 0
        assert "lines, each by itself" in capsys.readouterr().out
        assert bptt(["eval", str(lists / "lines"), *path, "--json"]) == 0
        (score,) = json.loads(capsys.readouterr().out)["scores"]
        assert 0 < score["nats"] < 10


def test_eval_scores_each_line(lists: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "some.txt"
    path.write_text('anna\n\nber, "do"\n')
    asked = ["eval", str(lists / "lines"), str(path), "--each-line"]
    assert bptt(asked) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "some.txt: line 3, column 4: ',' (U+002C) is not among" in errors
    asked.append("--skip-unknown")
    assert bptt(asked) == 0
    output, errors = capsys.readouterr()
    assert len(output.splitlines()) == 5
    assert "3 lines, 12 chars: " in output
    assert "4 unknown, in 1 of 3 lines, left out of the losses" in errors
    assert bptt([*asked, "--format=json", "--tokens"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["line"], r["text"], r["tokens"], r["unknown"]) for r in rows] == [
        (1, "anna", 5, 0),
        (2, "", 1, 0),
        (3, 'ber, "do"', 6, 4),
    ]
    for row in rows:
        assert row["total"] == pytest.approx(sum(each["loss"] for each in row["each"]))
        assert row["total"] == pytest.approx(row["mean"] * row["tokens"])
    assert [each["token"] for each in rows[0]["each"]] == [*"anna", ""]
    for form in ("csv", "jsonl"):
        out = tmp_path / f"scores.{form}"
        assert bptt([*asked, "--out", str(out)]) == 0
        assert "3 lines, 12 chars: " in capsys.readouterr().out
    table = list(csv.DictReader(io.StringIO(tmp_path.joinpath("scores.csv").read_text())))
    again = [json.loads(line) for line in tmp_path.joinpath("scores.jsonl").read_text().splitlines()]
    for row, one, other in zip(rows, table, again, strict=True):
        assert row["total"] == float(one["total"]) == other["total"]
        assert row["text"] == one["text"] == other["text"]
    assert bptt([*asked, "--format=csv", "--tokens"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 12


def test_eval_scores_a_column_and_lines_of_a_stream(lists: Path, capsys: Capture) -> None:
    table = str(lists / "names.csv")
    for run, more in [("stream", ["--text=name"]), ("lines", ["--text=name"]), ("rows", [])]:
        assert bptt(["eval", str(lists / run), table, "--each-line", "--format=csv", *more]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert [row["text"] for row in rows] == NAMES
        assert [int(row["line"]) for row in rows] == [*range(2, 32)]
        assert [int(row["tokens"]) for row in rows] == [len(name) + 1 for name in NAMES]


def test_eval_says_the_share_of_unknown_words(lists: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "some.txt"
    path.write_text("anna zoe\n")
    assert bptt(["eval", str(lists / "words"), str(path), "--each-line"]) == 0
    assert "1 lines, 3 words, of which 33.3% are <unk>" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "lines", "--each-line"], "give its PATH"),
        (["eval", "lines", "names.txt", "--tokens"], "go with --each-line"),
        (["eval", "lines", "gone.txt", "--each-line"], "no such file"),
        (["eval", "lines", "names.csv", "--each-line", "--text=town"], "has no column 'town'"),
        (["eval", "tunes", "names.txt"], "no line is '%%'"),
        (["flow", "lines"], "has learnt lines by themselves: flow follows a model of one long text"),
        (["sample", "lines", "--stop="], "--stop is the text to end before"),
        (["train", "names.csv", "--text=town"], "has no column 'town'"),
        (["train", "names.csv", "--text=name", "--condition=town"], "has no column 'town'"),
        (["train", "names.txt", "--lines", "--documents=-"], "two ways to cut a text"),
        (["train", "names.txt", "--documents=file"], "is no folder"),
    ],
)
def test_what_is_wrong_is_one_line(
    lists: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(lists)
    more = ["--out", str(tmp_path / "out")] if arguments[0] == "train" else []
    assert bptt([*arguments, *more]) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert message in errors
    assert not tmp_path.joinpath("out").exists()


OFTEN = """
import sys, bptt.cli, bptt.training.trainer
bptt.training.trainer.SAVE_SECONDS = 0.01
bptt.cli.main(sys.argv[1:])
"""


def test_a_list_killed_at_random_moments_ends_in_the_same_bits(lists: Path, tmp_path: Path) -> None:
    asked = [str(lists / "names.csv"), "--text=name", "--condition=language", "--hidden=12", "--embedding=6"]
    asked += ["--batch=4", "--chunk=4", "--dropout=0.2", "--steps=1200", "--report-every=40"]
    asked += ["--eval-every=150", "--no-samples"]
    assert bptt(["train", *asked, "--out", str(tmp_path / "whole")]) == 0
    folder, rng, lives = tmp_path / "killed", random.Random(1997), 0
    for _ in range(5):
        begun = folder.joinpath("config.json").exists()
        more = ["--resume", str(folder)] if begun else [*asked, "--out", str(folder)]
        with subprocess.Popen(
            [sys.executable, "-c", OFTEN, "train", *more], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "the run is kept in" in line:
                    break
            time.sleep(rng.uniform(0, 0.2))
            lives += process.poll() is None
            process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    assert lives
    assert bptt(["train", "--resume", str(folder), "--no-samples"]) == 0
    for name in ("last.safetensors", "best.safetensors"):
        assert folder.joinpath(name).read_bytes() == tmp_path.joinpath("whole", name).read_bytes()
