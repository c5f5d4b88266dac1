"""What a recipe adds to training: unlike chunks with their rates, and costs that no log tells."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, Model, Settings, Trainer
from bptt.training.step import Step
from bptt.types import Batch, Params
from small_runs import SMALL, go
from small_runs import book as book


def test_the_rate_of_an_update_is_as_long_as_its_chunk(
    tmp_path: Path, book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = SMALL | {"data": book, "optimizer": "sgd", "lr": 0.5, "schedule": "constant", "chunk": 9}
    take = Step.__call__
    for own in ({}, {"chunk_jitter": 3.0}, {"chunk_half": 0.5}):
        rates: list[float] = []

        def seen(
            self: Step, batch: Batch, lr: float, *given: Any, to: list[float] = rates, **told: Any
        ) -> float:
            to.append(lr)
            return take(self, batch, lr, *given, **told)

        monkeypatch.setattr(Step, "__call__", seen)
        trainer = go(Trainer.start(Settings(**asked | own), tmp_path / f"run{[*own]}"))
        stream = trainer.experiment.source
        stream.restore(stream.state() | {"batches": 0})
        lengths = [len(stream.next().inputs) for _ in rates]
        assert rates == pytest.approx([0.5 * length / 9 if own else 0.5 for length in lengths])
        assert len(set(lengths)) > 1 or not own
        assert trainer.progress.tokens == 3 * sum(lengths)


@pytest.mark.parametrize(
    "own", [{"label_smoothing": 0.2}, {"activation_penalty": 3.0}, {"temporal_penalty": 3.0}]
)
def test_the_log_tells_the_loss_itself(tmp_path: Path, book: str, own: dict[str, Any]) -> None:
    """The first step is taken from the same parameters, so that its cross-entropy is the same, too."""
    asked = SMALL | {"data": book, "report_every": 1, "eval_every": 2, "steps": 2}
    lines: list[list[dict[str, Any]]] = []
    ends: list[Params] = []
    for k, added in enumerate(({}, own)):
        trainer = go(Trainer.start(Settings(**asked | added), tmp_path / f"run{k}"))
        lines.append(trainer.run.log.lines())
        ends.append(trainer.params)
        assert lines[-1][-1]["valid_loss"] == trainer.experiment.validate(trainer.params).loss
    assert lines[0][0]["train_loss"] == pytest.approx(lines[1][0]["train_loss"], rel=1e-6)
    assert any(np.abs(ends[0][name] - ends[1][name]).max() > 1e-6 for name in ends[0])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"data": "reber", "chunk_jitter": 2.0}, "--chunk-jitter has no meaning"),
        ({"lines": True, "chunk_half": 0.1}, "--chunk-half has no meaning for sequences of text"),
        ({"average_decay": 0.9}, "--average-decay goes with --average ema, not none"),
        ({"average": "ema", "average_after": 3}, "--average-after goes with --average nt-asgd, not ema"),
        ({"average": "mean"}, "average must be one of none, ema, nt-asgd, got 'mean'"),
        ({"chunk_half": 1.5}, "chunk-half must be a finite number from 0 to 1, got"),
    ],
)
def test_what_a_recipe_cannot_mean_is_said(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Settings.of(**asked)


@pytest.mark.parametrize(
    "own", [{"label_smoothing": 0.2}, {"activation_penalty": 3.0}, {"temporal_penalty": 3.0}]
)
def test_a_prepared_step_has_the_loss_and_gradients_of_one_that_is_not(own: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    model = Model(inputs=9, outputs=9, hidden=16, embedding=6, backend="cpu", **own)
    params, tokens = model.init(rng), rng.integers(9, size=(8, 3))
    batch, step = Batch(tokens[:-1], tokens[1:]), Step(model, params)
    losses = [step(batch) for _ in range(5)]
    wanted = model.backprop(params, batch)
    assert losses == [wanted.loss] * 5
    assert wanted.loss != float(wanted.each.mean())
    for name, array in wanted.grads.params.items():
        np.testing.assert_array_equal(step.grads[name], array)
