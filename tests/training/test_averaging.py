"""Averaged weights: their closed forms, when they begin, who reads them, and what a checkpoint keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import RunError, Settings, Trained, Trainer
from bptt.errors import ConfigError
from bptt.training.averaging import Average
from bptt.training.runs.folder import Checkpoint, Run
from bptt.training.runs.verify import verify
from bptt.training.schedules import NonMonotone
from bptt.types import Params
from small_runs import SMALL, assert_one_line, go
from small_runs import book as book

EMA: dict[str, Any] = {"average": "ema", "average_decay": 0.8}
"""A mean that moves within a short run."""

WORSE: dict[str, Any] = {"optimizer": "sgd", "lr": 30.0, "schedule": "constant", "eval_every": 2}
WORSE |= {"average": "nt-asgd", "average_after": 1}
"""A rate so high that validation losses do not always fall."""


def passed(settings: Settings, folder: Path) -> tuple[Trainer, list[Params]]:
    """Train, and return the weights before training and after each step."""
    trainer = Trainer.start(settings, folder)
    seen: list[Params] = []

    def look() -> bool:
        if len(seen) <= trainer.step:
            seen.append({name: array.astype(np.float64) for name, array in trainer.params.items()})
        return False

    for _ in trainer.reports(look):
        pass
    return trainer, seen


def test_the_exponential_mean_is_its_closed_form(tmp_path: Path, book: str) -> None:
    trainer, seen = passed(Settings(**SMALL, **EMA, data=book), tmp_path / "run")
    _, *after = seen
    part = 0.8 ** np.arange(len(after))[::-1]
    for name, array in trainer.weights.items():
        wanted = sum(w * p[name] for w, p in zip(part / part.sum(), after, strict=True))
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-6)
    assert trainer.average.count == len(after) == SMALL["steps"]


def test_the_plain_mean_is_of_the_weights_from_where_validation_said_so(tmp_path: Path, book: str) -> None:
    trainer, seen = passed(Settings(**(SMALL | WORSE), data=book), tmp_path / "run")
    losses = [line["valid_loss"] for line in trainer.run.log.lines() if "valid_loss" in line]
    # algorithm 1: the first check t > n whose loss is above the lowest of the checks 0 ... t - n - 1
    begun = next(t for t, loss in enumerate(losses) if t > 1 and loss > min(losses[: t - 1]))
    own = seen[2 * (begun + 1) :]
    assert 1 < len(own) == trainer.average.count
    counts = [line.get("averaged") for line in trainer.run.log.lines() if "valid_loss" in line]
    assert counts == [None if t < begun else 2 * (t - begun) + 1 for t in range(len(losses) - 1)] + [len(own)]
    for name, array in trainer.weights.items():
        wanted = np.mean([p[name] for p in own], axis=0)
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-5)


def test_a_trigger_is_the_published_algorithm() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 3, 5):
        losses, watch = rng.normal(size=40).tolist(), NonMonotone(n)
        wanted = [t > n and loss > min(losses[: t - n]) for t, loss in enumerate(losses)]
        assert [watch.observe(loss) for loss in losses] == wanted
        assert any(wanted)


@pytest.mark.parametrize("own", [EMA, WORSE])
def test_training_goes_on_as_without_a_mean(tmp_path: Path, book: str, own: dict[str, Any]) -> None:
    asked = SMALL | own | {"data": book}
    plain = go(Trainer.start(Settings(**asked | {"average": "none"}), tmp_path / "plain"))
    averaged = go(Trainer.start(Settings(**asked), tmp_path / "averaged"))
    for name, array in plain.params.items():
        np.testing.assert_array_equal(averaged.params[name], array)
        assert plain.weights[name] is array
        assert np.abs(averaged.weights[name] - array).max() > 0


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_mean_is_what_is_read_and_measured(tmp_path: Path, book: str, name: str) -> None:
    trainer = go(Trainer.start(Settings(**SMALL, **EMA, data=book), tmp_path / "run"))
    kept, read = trainer.run.load(name), Trained.load(tmp_path / "run", name)
    assert kept.arrays["params"].keys() == kept.arrays["average"].keys()
    for key, array in kept.arrays["average"].items():
        np.testing.assert_array_equal(read.params[key], array)
        assert np.abs(kept.arrays["params"][key] - array).max() > 0
    lines = {line["step"]: line for line in trainer.run.log.lines()}
    loss = trainer.experiment.validate(read.params).loss
    assert loss == lines[kept.values["step"]]["valid_loss"]
    assert {finding.state for finding in verify(tmp_path / "run")} == {"whole"}
    trainer.params["output.b"][:] += 100.0  # what is sampled is the mean
    assert trainer.sample() == trainer.experiment.sample(trainer.average.arrays)


def test_a_mean_is_of_arrays_of_its_own() -> None:
    params = {"w": np.ones((2, 3), np.float32)}
    average = Average("ema", decay=0.5)
    average.update(params)
    params["w"] += 3
    np.testing.assert_array_equal(average.arrays["w"], 1)


def changed(run: Run, arrays: Params, **values: Any) -> None:
    """Keep a checkpoint again, with other means."""
    kept = run.load("last")
    run.save("last", Checkpoint(kept.arrays | {"average": arrays}, kept.values | values))


@pytest.mark.parametrize(
    "what", ["all", "none", "one missing", "shape", "not finite", "count", "kind", "losses"]
)
def test_a_mean_that_does_not_fit_is_refused(tmp_path: Path, book: str, what: str) -> None:
    run = go(Trainer.start(Settings(**SMALL, **EMA, data=book), tmp_path / "run"), 4).run
    mean, place = run.load("last").arrays["average"], {"after": 5}
    first = next(iter(mean))
    state = run.load("last").values["average"]
    if what == "all":
        changed(run, {}, average=None)
    elif what == "none":
        changed(run, {})
    elif what == "one missing":
        changed(run, {name: array for name, array in mean.items() if name != first})
    elif what == "shape":
        changed(run, mean | {first: mean[first][:1]})
    elif what == "not finite":
        changed(run, mean | {first: mean[first] * np.float32(np.nan)})
    elif what == "count":
        changed(run, mean, average=state | {"count": True})
    elif what == "kind":
        changed(run, mean, average=place)
    else:
        changed(run, mean, average=state | {"recent": [1.0, "x"]})
    with pytest.raises((RunError, ConfigError)) as error:
        Trainer.resume(tmp_path / "run")
    assert_one_line(error)
    if what in ("one missing", "shape", "not finite"):
        with pytest.raises(RunError):
            Trained.load(tmp_path / "run", "last")
