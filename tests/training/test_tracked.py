"""A number is told at each step, from what came before it; steps whose number is not known do not count."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import DataError, Settings, Trained, Trainer
from bptt.cli import run as bptt
from bptt.data.labelled import Layout, read_labelled
from bptt.data.tables import read_table
from bptt.training.jobs.labels import Labels
from bptt.training.numbers import NumberScore
from labelled_tables import SMALL_LABELS
from small_runs import go

COLUMNS: dict[str, Any] = {"task": "track", "series": "engine", "time": "t", "inputs": "x", "label": "left"}
HOW: dict[str, Any] = SMALL_LABELS | COLUMNS


def written(folder: Path, *, without: int = 0) -> str:
    """Return a table of 30 engines that run down: x falls with the steps left, of which some lack."""
    rng, rows = np.random.default_rng(5), ["engine,t,x,left"]
    for k in range(30):
        T = int(rng.integers(5, 12))
        for t in range(T):
            left = "" if k < without or (k + t) % 4 == 0 else str(T - 1 - t)
            rows.append(f"{k},{t},{T - 1 - t + rng.normal(0, 0.1):.4f},{left}")
    (folder / "engines.csv").write_text("\n".join(rows) + "\n")
    return str(folder / "engines.csv")


def test_a_number_at_each_step_is_learnt_and_those_that_lack_count_for_nothing(tmp_path: Path) -> None:
    data = written(tmp_path, without=2)
    settings = Settings.of(**HOW | {"data": data, "steps": 150, "hidden": 12})
    assert not settings.bidirectional  # what is behind a step would tell it
    go(Trainer.start(settings, tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    assert bptt(["predict", str(tmp_path / "run"), data, f"--out={tmp_path / 'told.csv'}"]) == 0
    table = read_table(tmp_path / "told.csv")
    found, right = table.numbers("prediction"), table.numbers("left", absent=True)
    assert np.isfinite(found).all()
    with pytest.warns(match="rows have no label: left out"):  # of the engines that have none at all
        score = trained.label_score(data)
    assert isinstance(score, NumberScore)
    off = (found - right)[np.isfinite(right)]
    assert score.count == len(off)
    assert score.rmse == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-4)
    assert score.rmse < 0.5 * score.rmse_of_mean
    assert trained.facts["columns"]["left"]["mean"] == pytest.approx(np.nanmean(right), abs=0.5)


def test_a_step_that_lacks_its_number_has_no_part_in_a_gradient(tmp_path: Path) -> None:
    data = written(tmp_path)
    job = Labels.of(Settings.of(**HOW | {"data": data}))
    assert any("steps have no label, and count for nothing" in note for note in job.notes)
    batch, params = job.source.next(), job.model.init(np.random.default_rng(0))
    assert batch.target_mask is not None
    assert batch.mask is not None
    lacks = batch.mask & ~batch.target_mask
    assert lacks.any()
    params = {name: array.astype(np.float64) for name, array in params.items()}

    def grads(targets: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        of = job.model.loss_and_grads(
            params, batch.inputs, targets, mask=batch.mask, target_mask=batch.target_mask
        )
        return of[1]

    there = grads(batch.targets)
    for name, other in grads(np.where(lacks[..., None], 7.0, batch.targets)).items():
        np.testing.assert_array_equal(other, there[name])
    moved = grads(np.where(batch.target_mask[..., None], 7.0, batch.targets))
    assert any(abs(moved[name] - there[name]).max() > 1e-3 for name in there)


def test_lists_of_numbers_have_a_number_for_each_step(tmp_path: Path) -> None:
    rows = [{"x": [k, k + 1, k + 2], "y": [2 * k, None if k == 3 else k, 1.5]} for k in range(12)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    layout = Layout("track", inputs=("x",), label="y")
    found = read_labelled(str(path), layout)
    wanted = np.array([[2 * k, np.nan if k == 3 else k, 1.5] for k in range(12)]).ravel()
    np.testing.assert_array_equal(np.asarray(found.labels), wanted)
    go(
        Trainer.start(
            Settings.of(data=str(path), **SMALL_LABELS, task="track", inputs="x", label="y"), tmp_path / "run"
        )
    )
    told = Trained.load(tmp_path / "run").predict(path)
    column = told.columns()["prediction"]
    each = [[float(text) for text in str(row).split()] for row in column]
    np.testing.assert_allclose(np.ravel(each), np.asarray(told.labels), atol=1e-4)
    path.write_text('{"x": [1, 2], "y": [1]}\n')
    with pytest.raises(DataError, match=r"line 1: 2 numbers and 1 labels: want a label for each"):
        read_labelled(str(path), layout)
    path.write_text('{"x": [1, 2], "y": ["1", "q"]}\n')
    with pytest.raises(DataError, match=r"line 1, column y: 'q' is no number"):
        read_labelled(str(path), layout)


def test_errors_and_notes_name_the_task(tmp_path: Path) -> None:
    data = str(tmp_path / "a.csv")
    Path(data).write_text("engine,x,left\n1,0.5,1\n1,0.5,0\n")
    with pytest.raises(DataError, match="want one for a sequence; --task track tells each row's"):
        read_labelled(data, Layout("regress", series="engine", inputs=("x",), label="left"))
    rows = [f"{k // 5},{k},{k % 25}" for k in range(100)]
    Path(data).write_text("\n".join(["engine,x,left", *rows]))
    job = Labels.of(Settings.of(data=data, task="tag", series="engine", inputs="x", label="left"))
    assert any("--task track tells numbers" in note for note in job.notes)
