"""A loss far above its own start for long is noticed, what was before is kept, and the advice works."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import DivergedError, Model, Settings, Trained, Trainer
from bptt.cli import run as bptt
from bptt.training import divergence
from bptt.training.runs.format import Progress
from bptt.training.runs.verify import verify
from bptt.types import Batch
from small_runs import SMALL, go
from small_runs import book as book

WILD: dict[str, Any] = {**SMALL, "steps": 300, "lr": 300.0, "schedule": "constant", "optimizer": "adamw"}
WILD |= {"report_every": 50, "eval_every": 50, "clip_norm": None}


def diverged(trainer: Trainer) -> str:
    with pytest.raises(DivergedError) as error:
        go(trainer)
    return str(error.value)


def test_a_loss_that_is_far_too_high_for_long_ends_the_run_and_its_advice_works(
    tmp_path: Path, book: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a run"
    trainer = Trainer.start(Settings(data=book, **WILD), folder)
    said = diverged(trainer)
    assert 100 < trainer.step < 200
    start = np.log(trainer.model.outputs)
    assert re.match(
        r"the training loss has been above 10 times its start, 3\.\d+, for 100 steps at step", said
    )
    assert float(said.split("start, ")[1].split(",")[0]) == pytest.approx(start, rel=0.05)
    kept = Trained.load(folder, "last")
    assert kept.step < trainer.step - 90
    assert kept.vocabulary is not None
    assert {finding.state for finding in verify(folder)} == {"whole"}
    advice = shlex.split(said.split("from there: ")[1])
    assert advice[:5] == ["bptt", "train", "--from", str(folder), "--from-last"]
    for option in ("--lr 75.0", "--clip-norm 1.0", "--batch 3", "--chunk 8", f"--steps {300 - kept.step}"):
        assert option in said
    new = str(tmp_path / "new")
    assert bptt([*advice[1:], "--steps=2", "--out", new]) == 0
    assert Trained.load(new).settings.data == book
    assert f"begins with the weights of {folder} after {kept.step} steps" in capsys.readouterr().out


def test_a_run_that_was_stopped_meanwhile_diverges_at_the_same_step(tmp_path: Path, book: str) -> None:
    whole, parts = (
        Trainer.start(Settings(data=book, **WILD), tmp_path / name) for name in ("whole", "parts")
    )
    said = diverged(whole)
    for stop in (30, 70, 100):
        assert go(parts, stop).progress.far == min(stop, parts.progress.far)
        parts = Trainer.resume(tmp_path / "parts")
    assert diverged(parts).split("; ")[0] == said.split("; ")[0]
    assert parts.step == whole.step


def test_what_comes_back_or_was_to_be_expected_is_no_divergence() -> None:
    progress = Progress.none()
    for loss in (1.0, *[10.0] * 200, *([10.1] * 99 + [9.9]) * 3):
        assert divergence.seen(progress, loss, lambda: 0.0) is None
    for loss in (1e3,) * 200:  # a series that has grown: zeros would be as wrong
        assert divergence.seen(progress, loss, lambda: 200.0) is None
    assert progress.far == 0
    found = [divergence.seen(progress, 2e3 + 1, lambda: 200.0) for _ in range(100)]
    assert found[:99] == [None] * 99
    assert found[99] is not None


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_of_nothing_is_that_of_zeros(masked: bool) -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((5, 3)) < 0.5 if masked else None
    tokens = Batch(rng.integers(7, size=(5, 3)), rng.integers(7, size=(5, 3)), mask=mask)
    assert divergence.of_nothing(Model(inputs=7, outputs=7, hidden=2), tokens) == pytest.approx(np.log(7))
    y = rng.normal(size=(5, 3, 2)).astype(np.float32)
    series = Batch(y, y, mask=mask)
    model = Model(inputs=2, outputs=2, hidden=2, token_inputs=False, loss="squared_error")
    squares = 0.5 * (y**2).sum(axis=2)
    assert divergence.of_nothing(model, series) == pytest.approx(
        squares[... if mask is None else mask].mean()
    )


def test_a_task_and_a_text_from_standard_input_have_advice_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, book: str
) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(book).read_bytes())))
    for name, settings in (
        ("task", Settings.of(data="adding", hidden=5, batch=2, steps=9, optimizer="sgd", momentum=0.5)),
        ("input", Settings.of(data="-", hidden=5, batch=2, chunk=9, epochs=0.5, clip_value=0.5)),
    ):
        folder = tmp_path / name
        Trainer.start(settings, folder).close()
        advice = shlex.split(divergence.advice(settings, folder, 9))
        assert bptt([*advice[1:], "--steps=1", "--no-samples", "--out", str(tmp_path / f"new {name}")]) in (
            0,
            1,
        )
        assert Trained.load(tmp_path / f"new {name}").step == 1
