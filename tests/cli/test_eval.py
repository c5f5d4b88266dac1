"""``bptt eval``: a table, JSON, a task's verdict; what ends it early."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bptt import Trained
from bptt.cli import run as bptt
from bptt.data.tasks import EmbeddedReber, Verdict
from command import Capture, contents


def test_eval_gives_a_table_or_json(desk: Path, capsys: Capture) -> None:
    run = str(desk / "run")
    assert bptt(["eval", run]) == 0
    table = capsys.readouterr().out
    assert "cold, windows of 256" in table
    assert "carried through" in table
    for more in ([], ["--last"], [str(desk / "short.txt")]):
        assert bptt(["eval", run, "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["step"] == 6
        assert len(found["scores"]) == 2
        for score in found["scores"]:
            assert score["bits"] == pytest.approx(score["nats"] / np.log(2))
            assert score["perplexity"] == pytest.approx(np.exp(score["nats"]))
    assert found["scores"][0]["tokens"] == len("two words\n") - 1
    assert bptt(["eval", str(desk / "words")]) == 0
    assert "perplexity" in capsys.readouterr().out


def test_eval_of_a_task_says_whether_it_is_solved(
    desk: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = str(desk / "task")
    assert bptt(["eval", task]) == 1
    assert "all are wanted" in capsys.readouterr().out
    assert bptt(["eval", task, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["met"] is False
    monkeypatch.setattr(EmbeddedReber, "criterion", lambda *_: Verdict(True, "all right", 1.0))
    assert bptt(["eval", task]) == 0
    assert capsys.readouterr() == ("all right\n", "")


def test_what_is_interrupted_exits_1_with_one_line(
    desk: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trained, "scores", interrupted)
    assert bptt(["eval", str(desk / "run")]) == 1
    assert capsys.readouterr() == ("", "\nbptt: interrupted\n")  # below the terminal's ^C


def test_a_reader_who_has_gone_is_told_nothing(
    desk: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Trained, "scores", gone)
    assert bptt(["eval", str(desk / "run")]) == 1
    assert capsys.readouterr() == ("", "")


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


def test_dynamic_evaluation_stands_apart_and_leaves_the_run_as_it_is(desk: Path, capsys: Capture) -> None:
    run, before = str(desk / "run"), contents(desk / "run")
    assert bptt(["eval", run]) == 0
    static = capsys.readouterr().out
    assert bptt(["eval", run, "--dynamic"]) == 0
    table = capsys.readouterr().out
    assert table.startswith(static)
    assert "\ndynamic evaluation, by weights that learn from what they have predicted: sgd, rate " in table
    assert "tokens of the validation text\n" in table
    told = ["--dynamic", "--rule=rms", "--rate=0.001", "--decay=0.01", "--segment=7", "--json"]
    assert bptt(["eval", run, str(desk / "book.txt"), *told]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["scores"]) == 2
    (score,) = found["dynamic"].pop("scores")
    assert found["dynamic"] == {"rule": "rms", "rate": 0.001, "decay": 0.01, "segment": 7, "tried_on": None}
    assert (score["start"], score["tokens"]) == ("dynamic", found["scores"][0]["tokens"])
    assert bptt(["eval", run, "--dynamic", "--rate", "1e300", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["dynamic"]["scores"][0]["nats"] is None
    assert contents(desk / "run") == before


@pytest.mark.parametrize(
    ("folder", "more", "says"),
    [
        ("run", ["--rate", "1"], "--rule, --rate, --decay and --segment go with --dynamic"),
        ("task", ["--dynamic"], "--dynamic measures one long text, with a model of one"),
        ("run", ["--dynamic", "--decay", "2", "--rate", "1"], "decay must be a number in [0, 1), got 2"),
        ("run", ["--dynamic", "--segment", "0"], "segment must be from 1 to 16,384 tokens, got 0"),
    ],
)
def test_what_dynamic_evaluation_cannot_mean_is_said(
    desk: Path, capsys: Capture, folder: str, more: list[str], says: str
) -> None:
    assert bptt(["eval", str(desk / folder), *more]) == 2
    assert says in capsys.readouterr().err
