"""Runs beside each other: numbers are the logs', what cannot be read is one line, a growing log is read."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import BpttWarning, ConfigError, RunError
from bptt.reporting import page
from small_runs import SMALL, go, text

ODD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    book = folder / "book.txt"
    book.write_text(text() + ODD)
    for name, cell, lr in (("one", "lstm", 0.01), ("two", "rnn", 0.02)):
        go(bptt.Trainer.start(bptt.Settings.of(data=str(book), cell=cell, lr=lr, **SMALL), folder / name))
    return folder


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.joinpath("log.jsonl").read_text().splitlines()]


def test_the_numbers_are_the_logs(runs: Path) -> None:
    found = bptt.report(runs)
    assert [run.name for run in found.runs] == ["one", "two"]
    for run in found.runs:
        lines = log(runs / run.name)
        valid = [(line["step"], line["valid_loss"]) for line in lines if "valid_loss" in line]
        np.testing.assert_array_equal(np.array(run.curve("valid_loss")).T, valid)
        assert run.best == min((loss, step) for step, loss in valid)
        for key in ("train_loss", "grad_norm", "lr"):
            for against in ("step", "tokens", "seconds"):
                x, y = run.curve(key, against)
                assert y.tolist() == [line[key] for line in lines]
                assert x.tolist() == [line[against] for line in lines]
        assert run.parameters == sum(a.size for a in bptt.Trained.load(run.folder).params.values())
        assert run.unit == "nats per char"
        assert len(run.sample) == 300
    assert found.differ == [("cell", ["lstm", "rnn"]), ("lr", ["0.01", "0.02"])]


def test_the_table_in_words(runs: Path) -> None:
    found = bptt.report([runs / "one", runs / "two"], samples=False)
    lines = repr(found).splitlines()
    assert " ".join(lines[0].split()) == "run best valid at step train steps tokens seconds tokens/s"
    loss, step = found.runs[0].best
    last = log(runs / "one")[-1]
    told = ["one", f"{loss:.4f}", f"{step:.0f}", f"{last['train_loss']:.4f}", "23", str(last["tokens"])]
    assert lines[1].split()[:6] == told
    assert "writes" not in repr(found)


def test_runs_are_what_they_are_called(runs: Path) -> None:
    trained, trainer = bptt.Trained.load(runs / "one"), bptt.Trainer.resume(runs / "two", steps=24)
    trainer.close()
    assert [run.name for run in bptt.report([trained, trainer], samples=False).runs] == ["one", "two"]
    assert [run.name for run in bptt.report(trained, samples=False).runs] == ["one"]
    again = runs / "more" / "one"
    shutil.copytree(runs / "one", again)
    found = bptt.report([runs / "one", again], samples=False)
    assert [run.name for run in found.runs] == [str(Path(runs.name, "one")), str(Path("more", "one"))]
    shutil.rmtree(again.parent)


def test_a_run_that_is_being_trained_is_read_as_far_as_it_is(runs: Path, tmp_path: Path) -> None:
    settings = bptt.Settings.of(data=str(runs / "book.txt"), **SMALL)
    trainer = bptt.Trainer.start(settings, tmp_path / "now")
    found = bptt.report(tmp_path / "now")
    before = found.runs[0]
    assert before.lines == []
    assert "data-choose=" not in page.page(found)  # there is no chart
    assert math.isnan(before.best[0])
    assert math.isnan(before.last("step"))
    reports = trainer.reports()
    next(reports), next(reports)
    with (tmp_path / "now" / "log.jsonl").open("a") as file:
        file.write('{"step": 99, "sec')  # it is being written
    found = bptt.report(tmp_path / "now")
    assert [line["step"] for line in found.runs[0].lines] == [5, 7]
    assert "<svg" in page.page(found)
    trainer.close()


def test_what_cannot_be_read_is_one_line(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "one", tmp_path / "spoiled")
    (tmp_path / "spoiled" / "config.json").write_text('{"format": 2}')
    found = bptt.report([runs / "one", tmp_path / "spoiled", tmp_path / "nothing"], samples=False)
    assert [run.name for run in found.broken] == ["spoiled", "nothing"]
    assert [line for line in repr(found).splitlines() if "not read" in line][1].endswith(
        f"{tmp_path / 'nothing'} would make a run there"
    )
    assert page.page(found).count("Not read: ") == 2
    with pytest.raises(RunError, match="is no such folder"):
        bptt.report(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="there are no runs"):
        bptt.report([])


def test_damaged_lines_and_odd_values_are_left_out(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "one", tmp_path / "one")
    file = tmp_path / "one" / "log.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"train_loss"', b'"train_lost"')
    file.write_bytes(b"".join(lines))
    with pytest.warns(BpttWarning, match="line 2 is damaged"):
        (run,) = bptt.report(tmp_path / "one", samples=False).runs
    assert len(run.lines) == len(lines) - 1
    run.lines[0] |= {"train_loss": "much", "lr": True, "grad_norm": 10**400}
    for key in ("train_loss", "lr", "grad_norm"):
        assert len(run.curve(key)[0]) == len(lines) - 2
    assert "<svg" in page.page(bptt.reporting.Comparison([run], []))


def test_losses_that_are_not_alike_are_told(runs: Path, tmp_path: Path) -> None:
    go(bptt.Trainer.start(bptt.Settings.of(data="adding", hidden=4, batch=2, steps=2), tmp_path / "adding"))
    found = bptt.report([runs / "one", tmp_path / "adding"])
    assert [run.unit for run in found.runs] == ["nats per char", "half squared error per target"]
    assert "not to be compared" in found.notes[0]
    assert found.runs[1].sample == ""
    run = found.runs[0]
    for line in run.lines:
        del line["grad_norm"]
    assert found.notes[-1].endswith("did not log: one")
    assert bptt.report([runs / "one", runs / "two"], samples=False).notes == []


def test_a_cell_of_ones_own_is_compared_by_its_equations(runs: Path, tmp_path: Path) -> None:
    settings = bptt.Settings.of(data=str(runs / "book.txt"), cell=bptt.zoo.load("ugrnn"), **SMALL)
    go(bptt.Trainer.start(settings, tmp_path / "own"))
    plain, own = dict(bptt.report([runs / "one", tmp_path / "own"], samples=False).differ)["cell"]
    assert plain == "lstm"
    assert own.startswith("ugrnn: ")
    assert "; return h" in own


def test_all_text_is_escaped(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "one", tmp_path / ODD.replace("/", ""))
    found = bptt.report([runs / "two", tmp_path / ODD.replace("/", "")])
    object.__setattr__(found.runs[0], "sample", f"</script>{ODD}")
    whole, html = page.page(found), str(found._repr_html_())
    for shown in (whole, html):
        assert "<img" not in shown
        assert "&lt;img" in shown
        assert "</script>&lt;" not in shown
    assert "<script" not in html


def test_it_is_saved_and_read_as_json(runs: Path, tmp_path: Path) -> None:
    found = bptt.report(runs)
    path = found.save(tmp_path / "report.html")
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["runs"][0]["best"]["loss"] == found.runs[0].best[0]
    assert told["runs"][0]["log"] == found.runs[0].lines
