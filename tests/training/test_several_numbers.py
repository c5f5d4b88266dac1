"""Several numbers are told of a sequence, each in units of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, Settings, Trained, Trainer
from bptt.cli import run as bptt
from bptt.data.tables import read_table
from bptt.training.jobs.labels import Labels
from bptt.training.numbers import NumberScores
from labelled_tables import SMALL_LABELS
from small_runs import go

HOW: dict[str, Any] = SMALL_LABELS | {"task": "regress", "inputs": "x,y", "series": "id", "label": "far,near"}


def written(folder: Path) -> tuple[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return a table of 40 sequences of four rows, and what is to be told of each."""
    x = np.random.default_rng(3).normal(size=(40, 4, 2))
    told = np.stack([1_600_000_000 + 50 * x[:, :, 0].mean(axis=1), x[:, :, 1].mean(axis=1) / 100], axis=1)
    rows = [
        f"{k},{x[k, t, 0]},{x[k, t, 1]},{told[k, 0] if k else ''},{told[k, 1]}"
        for k in range(40)
        for t in range(4)
    ]
    (folder / "a.csv").write_text("id,x,y,far,near\n" + "\n".join(rows))
    return str(folder / "a.csv"), told[1:]  # of the first one lacks


def test_each_number_is_learnt_and_measured_in_its_own_units(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, right = written(tmp_path)
    how = HOW | {"steps": 120, "hidden": 12, "eval_every": 40}
    go(Trainer.start(Settings(data=data, **how), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    found = trained.predict(data)
    with pytest.warns(match="4 rows have no label: left out"):
        score = trained.label_score(data)
    assert isinstance(score, NumberScores)
    off = np.asarray(found.labels)[1:] - right
    for k, (name, own) in enumerate(score.each.items()):
        assert name == ("far", "near")[k]
        assert own.rmse == pytest.approx(np.sqrt(np.mean(off[:, k] ** 2)), rel=1e-4)
        assert own.mae == pytest.approx(abs(off[:, k]).mean(), rel=1e-4)
        assert own.rmse < 0.6 * own.rmse_of_mean
    assert score.loss == pytest.approx(sum(own.loss for own in score.each.values()), rel=1e-5)
    assert score.figures == {"rmse_far": score.each["far"].rmse, "rmse_near": score.each["near"].rmse}
    assert trained.facts["columns"]["far,near"]["type"] == "numbers"
    path = tmp_path / "b.csv"
    assert bptt(["predict", str(tmp_path / "run"), data, f"--out={path}"]) == 0
    columns = read_table(path).columns
    assert float(columns["prediction_far"][4]) == pytest.approx(np.asarray(found.labels)[1, 0], abs=1e-3)
    assert bptt(["eval", str(tmp_path / "run"), data]) == 0
    assert "near, always the mean" in capsys.readouterr().out


def test_what_does_not_go_together_is_told(tmp_path: Path) -> None:
    data, _ = written(tmp_path)
    with pytest.raises(ConfigError, match="x is what is to be told: it cannot be read, too"):
        Labels.of(Settings(data=data, **HOW | {"label": "x:far"}))
    text = Path(data).read_text().splitlines()
    Path(data).write_text("\n".join([*text[:-1], text[-1].rsplit(",", 1)[0] + ",7"]))
    with pytest.raises(Exception, match=r"far,near is \(.*7.0\), and was .* before in the same sequence"):
        Labels.of(Settings(data=data, **HOW))
