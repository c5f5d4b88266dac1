"""``bptt report``: a table, a page, JSON, and one line for what cannot be."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bptt.cli import run as bptt
from command import FAST_TASK, Capture


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("one two three four\n" * 40)
    for cell in ("rnn", "gru"):
        assert (
            bptt(["train", "a.txt", "--chunk=8", f"--cell={cell}", f"--out=bptt-runs/{cell}", *FAST_TASK])
            == 0
        )
    capsys.readouterr()
    return tmp_path


def test_all_runs_of_the_folder_as_a_table_and_a_page(runs: Path, capsys: Capture) -> None:
    assert bptt(["report", "--out", "r.html"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()[:3]] == ["run", "gru", "rnn"]
    assert "settings that differ:" in shown
    assert "--- rnn writes ---" in shown
    assert shown.endswith("shown in r.html\n")
    assert "data-chart" in Path("r.html").read_text()


def test_as_a_table_for_other_programs(runs: Path, capsys: Capture) -> None:
    for end in ("csv", "tex", "md"):
        assert bptt(["report", "--out", f"r.{end}", "--no-samples"]) == 0
    rows = [*csv.DictReader(Path("r.csv").read_text().splitlines())]
    assert [(row["run"], row["cell"], row["step"]) for row in rows] == [
        ("gru", "gru", "6"),
        ("rnn", "rnn", "6"),
    ]
    log = [json.loads(line) for line in Path("bptt-runs/gru/log.jsonl").read_text().splitlines()]
    assert float(rows[0]["best_valid"]) == min(line["valid_loss"] for line in log if "valid_loss" in line)
    tex = Path("r.tex").read_text().splitlines()
    assert tex[0] == r"\begin{tabular}{l" + "r" * tex[2].count("&") + "}"
    assert [line.split(" & ")[0] for line in tex[2:6:1]] == ["run", r"\hline", "gru", "rnn"]
    assert Path("r.md").read_text().splitlines()[2].startswith("| gru | gru | ")


def test_runs_that_differ_by_their_seeds_are_told_together(runs: Path, capsys: Capture) -> None:
    for seed in ("1", "2"):
        how = ["--chunk=8", "--cell=rnn", f"--seed={seed}", f"--out=bptt-runs/rnn_{seed}", *FAST_TASK]
        assert bptt(["train", "a.txt", *how]) == 0
    capsys.readouterr()
    assert bptt(["report", "--no-samples"]) == 0
    shown = capsys.readouterr().out
    bests = [
        float(line.split()[1]) for line in shown.splitlines() if line.startswith("rnn") and ":" not in line
    ]
    assert len(bests) == 3
    assert "cell rnn: best valid " in shown
    assert "over 3 seeds: rnn, rnn_1, rnn_2" in shown
    assert bptt(["report", "--json", "--no-samples"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["over_seeds"]
    assert (found["runs"], found["settings"]) == (["rnn", "rnn_1", "rnn_2"], {"cell": "rnn"})
    assert found["mean"] == pytest.approx(np.mean(bests), abs=1e-4)
    assert found["deviation"] == pytest.approx(np.std(bests, ddof=1), abs=1e-4)


def test_as_json(runs: Path, capsys: Capture) -> None:
    assert bptt(["report", "bptt-runs/rnn", "--json", "--no-samples"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in told["runs"]] == ["rnn"]
    assert told["runs"][0]["log"][-1]["step"] == 6


def test_a_run_that_is_not_there_is_told_and_the_answer_is_no(runs: Path, capsys: Capture) -> None:
    assert bptt(["report", "bptt-runs/rnn", "gone", "--no-samples"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith("rnn ")
    assert shown[-1].startswith("not read: gone is no such folder")


def test_without_any_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    assert bptt(["report"]) == 2
    assert capsys.readouterr().err == "bptt: there are no runs to report: name a run's folder\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "nothing is no such folder"),
        (["bptt-runs", "--out", "r.txt"], "--out must end in .html"),
        (["bptt-runs", "--out", "no/r.html"], "there is no folder no"),
        (["."], "holds no run"),
    ],
)
def test_what_cannot_be_is_one_line(runs: Path, capsys: Capture, arguments: list[str], says: str) -> None:
    assert bptt(["report", *arguments]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_run_is_named_by_its_folder_and_once_however_it_is_told(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    place = runs / "bptt-runs" / "rnn" / "below"
    place.mkdir()
    monkeypatch.chdir(place)
    assert bptt(["report", "..", "../../rnn", "--json", "--no-samples"]) == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["rnn"]
