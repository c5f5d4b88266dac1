"""``bptt report``: a table, a page, JSON, and one line for what cannot be."""

import json
from pathlib import Path

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


def test_as_json(runs: Path, capsys: Capture) -> None:
    assert bptt(["report", "bptt-runs/rnn", "--json", "--no-samples"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in told["runs"]] == ["rnn"]
    assert told["runs"][0]["log"][-1]["step"] == 6


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
