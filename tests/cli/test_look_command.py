"""``bptt look``: the page, what is said of it, and one line for what cannot be had."""

from pathlib import Path

import pytest

from bptt.cli import run as bptt
from command import FAST, FAST_TASK, Capture

HTML = "<script>alert(1)</script>\n<img src=x onerror=alert(2)> &amp; \"quoted\" 'x'\n" * 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    folder.joinpath("page.txt").write_text(HTML)
    for cell in ("lstm", "rnn"):
        made = ["train", str(folder / "page.txt"), *FAST, "--cell", cell, "--out", str(folder / cell)]
        assert bptt(made) == 0
    assert bptt(["train", "adding", *FAST_TASK[:1], "--steps=1", "--out", str(folder / "adding")]) == 1
    return folder


def test_the_page_is_written_and_what_stands_out_is_said(runs: Path, here: Path, capsys: Capture) -> None:
    own = ["--property", "tag=<[^>]*>", "--steps=90", "--lags=9"]
    assert bptt(["look", str(runs / "lstm"), "--against", str(runs / "rnn"), "--last", *own]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].startswith("lstm: lstm, 6 units, on 90 steps of ")
    assert lines[1].startswith("  layer 0: c[")
    assert "remembers longest" in lines[1]
    assert lines[2].startswith("rnn: rnn, 6 units, on 90 steps of ")
    assert lines[-1] == "shown in look.html"
    page = Path("look.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<script>alert(1)" not in page
    assert "onerror" not in page.replace("window.onerror", "")


def test_a_text_of_ones_own(runs: Path, here: Path, capsys: Capture) -> None:
    Path("a.txt").write_text("<img src=x>")
    assert bptt(["look", str(runs / "lstm"), "a.txt", "--out", "b.html", "--layer", "0"]) == 0
    assert "on 11 steps of a.txt" in capsys.readouterr().out
    assert sorted(path.name for path in here.iterdir()) == ["a.txt", "b.html"]


def test_what_is_asked_for_twice_is_seen_once_under_its_folders_name(
    runs: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    place = runs / "lstm" / "below"
    place.mkdir()
    monkeypatch.chdir(place)
    assert bptt(["look", "..", "--steps=1", "--layer=0", "--layer=0", "--out", str(here / "a.html")]) == 0
    first, layer, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("lstm: lstm, 6 units, on 1 step of ")
    assert "follows" not in layer  # one step follows nothing


def test_no_page_takes_the_place_of_what_is_read(runs: Path, here: Path, capsys: Capture) -> None:
    for name in ("a.html", "b.html"):
        Path(name).write_text(HTML)
    assert bptt(["train", "a.html", *FAST, "--out", "run"]) == 0
    assert bptt(["train", ".", *FAST, "--out", str(runs / "all")]) == 0
    capsys.readouterr()
    for verb, says in {
        "look run b.html --out b.html": "b.html is what is read",
        "look run b.html --out a.html": "a.html is what is read",
        f"look {runs / 'lstm'} b.html --against run --out a.html": "a.html is what is read",
        "flow run b.html --out b.html": "b.html is what is read",
        "report run --no-samples --out a.html": "a.html is what is read",
        "look run --out run/a.html": "among the run's own files",
        f"look {runs / 'all'} --out c.html": "c.html would lie among what is read",
    }.items():
        if verb.startswith("flow"):
            pytest.importorskip("matplotlib")
        assert bptt(verb.split()) == 2
        assert says in capsys.readouterr().err
    assert Path("a.html").read_text() == Path("b.html").read_text() == HTML
    assert sorted(path.name for path in here.iterdir()) == ["a.html", "b.html", "run"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no such folder"),
        (["lstm", "nowhere.txt"], "no such file"),
        (["lstm", "--layer", "1"], "the model has layer 0 alone, got 1"),
        (["lstm", "--lags", "0"], "whole numbers from 1"),
        (["lstm", "--out", "a.txt"], "must end in .html"),
        (["lstm", "--out", "no/a.html"], "there is no folder no"),
        (["lstm", "--property", "a"], "NAME=REGEX"),
        (["lstm", "--property", "a=("], "is no regular expression"),
        (["lstm", "--against", "adding"], "does not read the same steps"),
        (["adding", "a.txt"], "leave TEXT out"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    arguments: list[str], said: str, runs: Path, here: Path, capsys: Capture
) -> None:
    given = [str(runs / a) if a in ("lstm", "adding") else a for a in arguments]
    assert bptt(["look", *given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert list(here.iterdir()) == []
