"""Columns of a table that a cell reads at each step beside its input: learnt from, told, and refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, Settings, Trained, Trainer
from bptt.derive import EquationCell, read
from bptt.training.trainer import DONE, STOPPED
from labelled_tables import SMALL_LABELS
from small_runs import go, left_by

FADING = EquationCell(
    read("""
@bptt.cell(state="h c", inputs="dt", shapes={"dt": "row"})
def fading(a_i, a_o, a_g, a_d, c, dt):
    c = c * exp(-softplus(a_d) * dt) + sigmoid(a_i) * tanh(a_g) * dt
    h = sigmoid(a_o) * tanh(c)
    return h, c
""")
)


def rows(folder: Path) -> dict[str, Any]:
    """Return the settings of a table whose labels its column `dt` alone tells."""
    rng, lines = np.random.default_rng(0), ["id,dt,x,y"]
    for k in range(60):
        slow = k % 2
        steps = rng.integers(3, 7)
        lines += [f"{k},{rng.random() + 2 * slow:.3f},{rng.normal():.3f},{slow}" for _ in range(steps)]
    folder.joinpath("a.csv").write_text("\n".join(lines))
    told = {"data": str(folder / "a.csv"), "task": "classify", "series": "id", "inputs": "x", "label": "y"}
    return SMALL_LABELS | told | {"cell": FADING, "beside": "dt = dt"}


def test_what_a_column_beside_tells_is_learnt(tmp_path: Path) -> None:
    settings = Settings(**rows(tmp_path) | {"steps": 80, "hidden": 8, "lr": 0.03})
    go(Trainer.start(settings, tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    score = trained.label_score(settings.data)
    assert score.figures["accuracy"] > 0.95
    assert len(trained.predict(settings.data).labels) == 60


def test_a_run_with_a_column_beside_resumes_to_its_bits(tmp_path: Path) -> None:
    settings = Settings(**rows(tmp_path))
    whole, trainer = (
        go(Trainer.start(settings, tmp_path / "whole")),
        Trainer.start(settings, tmp_path / "parts"),
    )
    for stop in (3, 8):
        assert go(trainer, stop).end == STOPPED
        trainer = Trainer.resume(tmp_path / "parts")
    assert go(trainer).end == whole.end == DONE
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"beside": None}, "fading reads dt at each step beside its input: --beside dt=COLUMN"),
        ({"beside": "z=dt"}, "fading reads dt at each step beside its input: --beside dt=COLUMN"),
        ({"beside": "dt"}, "--beside is NAME=COLUMN,... or NAME=NUMBER,... of what the cell reads; got 'dt'"),
        ({"beside": "dt=x,dt=y"}, "--beside is NAME=COLUMN"),
        ({"cell": "lstm"}, "lstm reads nothing at each step beside its input"),
        ({"series": None}, "--beside goes with --series"),
        (
            {"data": "reber", "task": None, "beside": None},
            "fading reads dt at each step beside its input: --beside dt=1, a number",
        ),
    ],
)
def test_what_is_not_read_beside_is_told(tmp_path: Path, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as told:
        Trainer.start(Settings(**rows(tmp_path) | asked), tmp_path / "run")
    assert says in str(told.value)
    assert "\n" not in str(told.value)
