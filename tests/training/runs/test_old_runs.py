"""Runs that earlier versions wrote are read, with a note, and go on as they would have."""

import json
import shutil
from pathlib import Path

import pytest

from bptt import Trained, Trainer
from bptt.errors import BpttWarning
from bptt.training.runs.format import FORMAT

OLD = Path(__file__).parent / "old_runs"
LOSSES: dict[str, list[float]] = json.loads(OLD.joinpath("losses.json").read_text())


@pytest.mark.parametrize("name", LOSSES)
def test_a_run_of_format_1_is_read_and_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(BpttWarning, match=f"{name} was written by an earlier version, without digests"):
        trained = Trained.load(name)
    if trained.vocabulary is not None:
        assert trained.scores()[0].nats == pytest.approx(LOSSES[name][1], abs=1e-5)
    with pytest.warns(BpttWarning, match="without digests"):
        trainer = Trainer.resume(name, steps=12)
    assert [report.step for report in trainer.reports()] == [8, 9, 10, 12]
    losses = [line["valid_loss"] for line in trainer.run.log.lines() if "valid_loss" in line]
    assert losses == pytest.approx(LOSSES[name], abs=1e-5)  # another processor rounds otherwise
    assert trainer.run.config()["format"] == FORMAT
    assert Trained.load(name, "last").step == 12  # without a note: it has its digests now
