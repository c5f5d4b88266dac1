"""What the systems that have a name learn."""

import math
import os
from pathlib import Path
from typing import Any

import pytest

from bptt import PRESETS, Settings, Trainer
from bptt.training.trainer import DONE
from small_runs import text

FEW: dict[str, dict[str, Any]] = {
    "vanilla": {"steps": 300, "report_every": 50},
    "minibatch": {"steps": 20, "report_every": 4, "batch": 10},
    "shakespeare": {"steps": 20, "report_every": 4},
    "shakespeare-256": {"steps": 25, "report_every": 5, "hidden": 64},
    "shakespeare-384": {"steps": 25, "report_every": 5, "hidden": 64},
    "ptb-256": {"steps": 20, "report_every": 4, "hidden": 50, "embedding": 50},
    "ptb-400": {"steps": 20, "report_every": 4, "hidden": 50, "embedding": 50},
    "ptb": {"steps": 10, "report_every": 2},
    "awd-lstm": {"steps": 25, "report_every": 5, "hidden": 50, "embedding": 50, "chunk": 20},
    "forecast": {"steps": 60, "report_every": 10},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_learns_its_own_kind_of_data(tmp_path: Path, preset: str) -> None:
    named = PRESETS[preset].settings.get("data")
    asked = FEW.get(preset, {"steps": 25, "report_every": 5}).copy()
    if named is None:
        asked["data"] = str(tmp_path / "long.txt")
        tmp_path.joinpath("long.txt").write_text(text(count=6000))
    elif named != "ar2":
        if not Path(os.environ.get("BPTT_DATA", "/nowhere"), {"ptb": "ptb_word"}.get(named, named)).is_dir():
            pytest.skip(f"{named} is not in the folder BPTT_DATA")
        tmp_path.joinpath("valid.txt").write_text(
            " the company said it will buy a share of the market \n" * 9
        )
        asked["valid"] = str(tmp_path / "valid.txt")
    settings = Settings.of(preset, **asked)
    trainer = Trainer.start(settings, tmp_path / "run")
    losses = [report.train_loss for report in trainer.reports()]
    assert trainer.end == DONE
    assert len(losses) >= 5
    if trainer.experiment.vocabulary is not None:
        assert losses[0] < 1.5 * math.log(len(trainer.experiment.vocabulary))
    assert losses[-1] < 0.97 * losses[0]
