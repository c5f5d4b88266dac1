"""A run that is stopped and taken up again ends in the bits of one never stopped."""

from pathlib import Path
from typing import Any

import pytest

from bptt import PRESETS, DataError, RunError, Settings, Trainer
from bptt.errors import ConfigError
from bptt.training.trainer import DONE, STOPPED
from small_runs import SMALL, go, left_by, text
from small_runs import book as book

CASES: dict[str, dict[str, Any]] = {
    "char": {},
    "word": {"tokens": "word", "vocabulary": 9, "cell": "gru"},
    "byte": {"tokens": "byte", "cell": "rnn"},
    "reber": {"data": "reber"},
    "ar2": {"data": "ar2", "eval_every": 100, "batch": 2},
    "dropout": {"dropout": 0.4, "layers": 2},
    "a row's": {"dropout_per": "sequence", "dropout": 0.4, "input_dropout": 0.2, "layers": 2},
    "weights": {"embedding_dropout": 0.2, "weight_dropout": 0.5, "cell": "gru"},
    "noise": {"recurrent_dropout": 0.3, "zoneout": 0.1, "zoneout_cell": 0.3},
    "starts": {"learn_start": True, "layers": 2},
    "momentum": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "adagrad": {"optimizer": "adagrad"},
    "rmsprop": {"optimizer": "rmsprop"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "plateau": {"schedule": "plateau", "keep": 1, "lr": 0.5, "eval_every": 2, "factor": 0.3},
    "step": {"schedule": "step", "keep": 1, "steps": None, "epochs": 1.5},
    "warmup": {"warmup": 12},
    "orthogonal": {"init": "orthogonal", "tied": True, "embedding": 6, "cell": "gru-cho"},
    "projected": {"tied": True, "embedding": 5, "projection": 5, "dropout": 0.3},
    "shards": {"shards": 2, "batch": 4},
    "two biases": {"bias": "two", "embedding": 0, "clip_norm": None, "clip_value": 0.01},
    "early stop": {"lr": 1e-30, "schedule": "constant", "patience": 2, "eval_every": 5},
    "ema": {"average": "ema", "average_decay": 0.9},
    "nt-asgd": {"average": "nt-asgd", "average_after": 1, "eval_every": 2, "lr": 30.0, "optimizer": "sgd"},
    "unlike chunks": {"chunk_jitter": 3.0, "chunk_half": 0.3, "optimizer": "sgd", "lr": 0.5},
    "smoothed": {"label_smoothing": 0.1, "activation_penalty": 2.0, "temporal_penalty": 1.0, "dropout": 0.3},
    "vanilla": {
        **{key: value for key, value in PRESETS["vanilla"].settings.items() if key not in SMALL},
        "batch": 1,
        "chunk": 25,
        "steps": 150,
        "report_every": 20,
        "eval_every": 50,
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_stopped_and_resumed_ends_as_one_never_stopped(tmp_path: Path, book: str, name: str) -> None:
    settings = Settings(**{**SMALL, "data": book, **CASES[name]})
    whole = go(Trainer.start(settings, tmp_path / "whole"))
    trainer = Trainer.start(settings, tmp_path / "parts")
    stops = {0, 1, 3, 7, 10, 13, 14, 19, whole.step // 2, whole.step - 1}
    for stop in sorted(stop for stop in stops if stop < whole.step):
        assert go(trainer, stop).end == STOPPED
        assert trainer.step == stop
        trainer = Trainer.resume(tmp_path / "parts")
        assert trainer.step == stop
    assert go(trainer).end == whole.end
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")
    if name == "vanilla":  # the carried state was reset between epochs
        assert whole.epoch > 2
    if name == "early stop":
        assert (whole.step, whole.end) == (15, "no better validation loss in 2 evaluations")
    else:
        assert whole.end == DONE


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(tmp_path: Path, book: str) -> None:
    """Killed: the checkpoint is old, the log and the best checkpoint are ahead of it."""
    settings = Settings(data=book, **SMALL)
    go(Trainer.start(settings, tmp_path / "whole"))
    go(Trainer.start(settings, tmp_path / "killed"), 6)
    old = tmp_path.joinpath("killed", "last.safetensors").read_bytes()
    go(Trainer.resume(tmp_path / "killed"), 18)
    tmp_path.joinpath("killed", "last.safetensors").write_bytes(old)
    trainer = Trainer.resume(tmp_path / "killed")
    assert trainer.step == 6
    assert [line["step"] for line in trainer.run.log.lines()] == [5]
    go(trainer)
    assert left_by(tmp_path / "killed") == left_by(tmp_path / "whole")


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path, book: str) -> None:
    settings = Settings(data=book, **SMALL)
    go(Trainer.start(settings, tmp_path / "whole"))
    Trainer.start(settings, tmp_path / "killed").close()
    tmp_path.joinpath("killed", "last.safetensors").unlink()
    go(Trainer.resume(tmp_path / "killed"))
    assert left_by(tmp_path / "killed") == left_by(tmp_path / "whole")


def test_a_run_can_be_made_longer(tmp_path: Path, book: str) -> None:
    asked: dict[str, Any] = {
        **SMALL,
        "data": book,
        "schedule": "constant",
        "report_every": 5,
        "eval_every": 5,
    }
    go(Trainer.start(Settings(**{**asked, "steps": 20}), tmp_path / "whole"))
    go(Trainer.start(Settings(**{**asked, "steps": 10}), tmp_path / "longer"))
    assert go(Trainer.resume(tmp_path / "longer")).step == 10  # it was done
    trainer = go(Trainer.resume(tmp_path / "longer", steps=20))
    assert (trainer.step, trainer.end) == (20, DONE)
    assert left_by(tmp_path / "longer") == left_by(tmp_path / "whole")
    assert trainer.run.config()["settings"]["steps"] == 20
    longest = go(Trainer.resume(tmp_path / "longer", epochs=1.0))
    assert (
        longest.step
        == longest.experiment.source.batches_per_epoch
        == Trainer.resume(tmp_path / "longer").step
    )
    with pytest.raises(ConfigError, match="--steps or --epochs, not both"):
        Trainer.resume(tmp_path / "longer", steps=30, epochs=2.0)


def test_a_run_cannot_end_before_where_it_is(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 8)
    before = tmp_path.joinpath("run", "config.json").read_bytes()
    with pytest.raises(ConfigError, match="at step 8 already: it cannot end at 7"):
        Trainer.resume(tmp_path / "run", steps=7)
    assert tmp_path.joinpath("run", "config.json").read_bytes() == before


def test_a_text_that_has_moved_is_told_on_resuming(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 8)
    moved = tmp_path / "moved.txt"
    Path(book).rename(moved)
    with pytest.raises(DataError, match=r"no such file .*if it has moved: bptt train PATH --resume .*run$"):
        Trainer.resume(tmp_path / "run")
    assert Trainer.resume(tmp_path / "run", data=str(moved)).step == 8
    assert Trainer.resume(tmp_path / "run").settings.data == str(moved)


@pytest.mark.parametrize("changed", ["book.txt", "valid.txt"])
def test_other_data_than_the_runs_own_are_refused(tmp_path: Path, book: str, changed: str) -> None:
    tmp_path.joinpath("valid.txt").write_text(text(1))
    go(Trainer.start(Settings(data=book, valid=str(tmp_path / "valid.txt"), **SMALL), tmp_path / "run"), 3)
    content = tmp_path.joinpath(changed).read_text()
    tmp_path.joinpath(changed).write_text(content[::-1])  # as long, and of the same characters
    with pytest.raises(RunError, match=r"is no longer what the run was trained on \(sha256 differs\)"):
        Trainer.resume(tmp_path / "run")
    tmp_path.joinpath(changed).unlink()
    with pytest.raises(DataError, match="no such file"):
        Trainer.resume(tmp_path / "run")
    tmp_path.joinpath(changed).write_text(content)
    assert go(Trainer.resume(tmp_path / "run")).end == DONE


def test_the_same_data_in_another_place_are_the_same_data(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 3)
    trainer = Trainer.resume(tmp_path / "run")
    config = trainer.run.config()
    config["data"]["source"] = "/another/cache/book.txt"
    trainer.run.write_config(config)
    trainer.close()
    assert go(Trainer.resume(tmp_path / "run")).end == DONE
