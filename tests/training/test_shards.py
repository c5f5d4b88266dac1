"""A step of shards: the gradient of the whole batch, and one run whatever the number of workers."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import bptt
from bptt import ConfigError, RunError, Settings, Step, Trainer
from bptt.nets import evaluate
from bptt.training import beside, opening, optim, shards
from bptt.training.shards import Sharded, weighed
from bptt.training.trainer import DONE, STOPPED
from bptt.training.workers import Workers
from bptt.types import Batch, Params, Reduction
from labelled_tables import SMALL_LABELS, texts
from small_runs import SMALL, go, left_by, text
from small_series import ASKED, sold, table
from threaded_workers import all_well, together

V = 11


def batch(T: int = 6, N: int = 8) -> Batch:
    rng = np.random.default_rng(3)
    tokens = rng.integers(V, size=(T + 1, N))
    mask = np.arange(T)[:, None] < rng.integers(1, T + 1, size=N)
    return Batch(tokens[:-1], tokens[1:], mask, reset=rng.random((T, N)) < 0.1)


def made(reduction: Reduction = "mean_over_time_and_batch", **options: Any) -> tuple[bptt.Model, Params]:
    model = bptt.Model(inputs=V, outputs=V, hidden=5, embedding=4, reduction=reduction, **options)
    params = model.init(np.random.default_rng(1), np.float64)
    return model, {
        name: p + 0.1 * np.random.default_rng(2).normal(size=p.shape) for name, p in params.items()
    }


def taken(step: Sharded | Step, given: Batch, model: bptt.Model) -> tuple[float, Params, Params]:
    state = {n: a + 0.3 for n, a in model.zero_state(given.inputs.shape[1], np.float64).items()}
    loss = step(given, 0.0, state)
    return loss, step.grads, step.state


def differ(reduction: Reduction, given: Batch, S: int, **options: Any) -> float:
    """Return by how much a sharded step is not that of the whole batch."""
    model, params = made(reduction, **options)
    sgd = optim.SGD()
    whole = taken(Step(model, params, sgd), given, model)
    cut = taken(Sharded(model, params, sgd, sgd.init(params), S, Workers()), given, model)
    assert cut[1].keys() == params.keys()
    pairs = [(a[n], b[n]) for a, b in zip(whole[1:], cut[1:], strict=True) for n in a]
    return float(np.max([abs(whole[0] - cut[0]), *(np.abs(a - b).max() for a, b in pairs)]))


@pytest.mark.parametrize("reduction", get_args(Reduction))
@pytest.mark.parametrize("S", [2, 8])
def test_the_gradient_of_the_whole_batch(reduction: Reduction, S: int) -> None:
    given = batch()
    assert differ(reduction, given, S) < 1e-12
    assert differ(reduction, replace(given, mask=None), S) < 1e-12
    weights = tuple(np.linspace(0.5, 2, V).tolist())
    assert differ(reduction, given, S, class_weights=weights, label_smoothing=0.1) < 1e-12
    few = replace(given, target_mask=given.mask & (np.arange(8) > 4))  # type: ignore[operator]
    assert differ(reduction, few, S) < 1e-12  # shards where nothing counts; their states go on
    assert differ(reduction, shards.of_rows(given, slice(0, 5)), S) < 1e-12  # fewer rows, or none


@pytest.mark.parametrize("reduction", get_args(Reduction))
def test_activations_cost_what_they_do_in_the_whole_batch(
    reduction: Reduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs, given = {"activation_penalty": 2.0, "temporal_penalty": 3.0}, batch()
    assert differ(reduction, given, 4, **costs) < 1e-12
    assert differ(reduction, replace(given, mask=None, reset=None), 2, **costs) < 1e-12
    assert differ(reduction, shards.of_rows(given, slice(0, 3)), 4, **costs) < 1e-12
    pooled = replace(given, targets=given.targets[:1], target_mask=np.ones((1, 8), bool), reset=None)
    assert differ(reduction, pooled, 4, pool="last", activation_penalty=2.0) < 1e-12
    monkeypatch.setattr(shards, "penalised", lambda *_: None)
    assert differ(reduction, given, 4, **costs) > 1e-3


def test_a_mean_of_means_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "weighed", lambda batch, S, reduction: [1 / S] * S)
    assert differ("mean_over_time_and_batch", batch(), 2) > 1e-3


def test_what_shards_count_is_one_in_all() -> None:
    assert sum(weighed(batch(), 8, "mean_over_time_and_batch")) == pytest.approx(1)
    assert weighed(replace(batch(), mask=None), 4, "mean_over_time_and_batch") == [0.25] * 4


CASES: dict[str, dict[str, Any]] = {
    "stream": {"dropout": 0.3, "weight_dropout": 0.2, "layers": 2},
    "own cell": {"average": "ema", "clip_value": 0.02, "valid_sample": 256},
    "lines": {"lines": True},
    "labels": {"task": "classify", "text": "name", "label": "language", "zoneout": 0.1},
    "series": ASKED,
    "reber": {"data": "reber"},
}


def settings_of(kind: str, folder: Path) -> Settings:
    files = {"labels": texts(), "series": table({"a": sold(0, 90), "b": sold(1, 80)})}
    folder.joinpath("data.csv").write_text(files.get(kind, text()))
    own = (SMALL if kind in ("stream", "own cell", "lines") else SMALL_LABELS) | {
        "data": str(folder / "data.csv")
    }
    if kind == "own cell":
        own |= {"cell": bptt.cell(plain)}
    told = own | CASES[kind] | {"batch": 8, "shards": 4, "steps": 9, "report_every": 2, "eval_every": 4}
    return Settings.of(**told)


def plain(a_f: Any, a_g: Any, h: Any) -> Any:
    f = sigmoid(a_f)  # type: ignore[name-defined] # noqa: F821
    h = f * h + (1 - f) * tanh(a_g)  # type: ignore[name-defined] # noqa: F821
    return h  # noqa: RET504


@pytest.mark.parametrize("kind", CASES)
def test_one_run_whatever_the_number_of_workers(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor of when sums travel, nor of who measures what: it is cut in many pieces."""
    settings = settings_of(kind, tmp_path)
    monkeypatch.setattr(evaluate, "MOST_NUMBERS", 1 << 11)
    monkeypatch.setattr(beside, "LEAST", 0)

    def train(workers: Workers) -> str | None:
        return go(Trainer.start(settings, tmp_path / f"by {workers.size}", workers=workers)).end

    for size in (1, 2, 4):
        monkeypatch.setenv("BPTT_OVERLAP", str(size // 4))
        assert all_well(size, train) == [DONE] * size
        assert left_by(tmp_path / f"by {size}") == left_by(tmp_path / "by 1")
    whole = replace(settings, shards=1)
    assert kind != "stream" or left_by(tmp_path / "by 1")[0] != _one(whole, tmp_path)


def _one(settings: Settings, folder: Path) -> bytes:
    go(Trainer.start(settings, folder / "whole"))
    return left_by(folder / "whole")[0]


@pytest.mark.parametrize("kind", ["stream", "lines"])
def test_stopped_by_any_of_four_and_resumed_by_two_and_one(kind: str, tmp_path: Path) -> None:
    settings = settings_of(kind, tmp_path)
    go(Trainer.start(settings, tmp_path / "whole"))

    def train(workers: Workers, who: int, stop: float) -> tuple[int, str | None]:
        if workers.size == 4:
            trainer = Trainer.start(settings, tmp_path / "run", workers=workers)
        else:
            trainer = Trainer.resume(tmp_path / "run", workers)
        for _ in trainer.reports(lambda: workers.rank == who and trainer.step >= stop):
            pass
        return trainer.step, trainer.end

    assert all_well(4, lambda workers: train(workers, 3, 2)) == [(3, STOPPED)] * 4
    assert all_well(2, lambda workers: train(workers, 0, 4)) == [(4, STOPPED)] * 2  # while it is measured
    assert all_well(1, lambda workers: train(workers, 0, 99)) == [(9, DONE)]
    assert left_by(tmp_path / "run") == left_by(tmp_path / "whole")


def test_a_worker_that_drifts_ends_the_run_with_its_last_good_checkpoint(tmp_path: Path) -> None:
    settings = settings_of("stream", tmp_path)

    def train(workers: Workers) -> None:
        trainer = Trainer.start(settings, tmp_path / "run", workers=workers)
        for report in trainer.reports():
            if (report.step, workers.rank) == (6, 1):
                trainer.params["layers.0.U"][0, 0] += 1e-6

    for found in together(4, train):
        assert isinstance(found, RunError)
        assert str(found).startswith("at step 8 the parameters of worker 1 (process ")
    assert bptt.Trained.load(tmp_path / "run", "last").step == 4


def test_a_worker_that_dies_ends_all_and_what_was_saved_stays(tmp_path: Path) -> None:
    settings = settings_of("stream", tmp_path)
    go(Trainer.start(settings, tmp_path / "whole"))

    def train(workers: Workers) -> None:
        for report in Trainer.start(settings, tmp_path / "run", workers=workers).reports():
            if (report.step, workers.rank) == (6, 1):
                raise MemoryError

    first, died, *rest = together(4, train)
    assert isinstance(died, MemoryError)
    for found in (first, *rest):
        assert isinstance(found, RunError)
        assert "worker 1 (process " in str(found)
        assert "last.safetensors keeps step 4" in str(found)
    go(Trainer.resume(tmp_path / "run"))
    assert left_by(tmp_path / "run") == left_by(tmp_path / "whole")


def test_data_that_differ_between_workers_are_told_before_anything_is_done(tmp_path: Path) -> None:
    settings = settings_of("stream", tmp_path)
    tmp_path.joinpath("other.csv").write_text(text(seed=1))
    other = replace(settings, data=str(tmp_path / "other.csv"))

    def start(workers: Workers) -> None:
        Trainer.start(other if workers.rank else settings, tmp_path / "run", workers=workers)

    for found in together(2, start):
        assert isinstance(found, ConfigError)
        assert "has data " in str(found)


def test_processors_that_differ_are_told_with_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, kinds = settings_of("stream", tmp_path), itertools.count()
    monkeypatch.setattr(opening, "running", lambda *_: f"compiled for kind {next(kinds)}")
    for found in together(2, lambda workers: Trainer.start(settings, tmp_path / "run", workers=workers)):
        assert isinstance(found, ConfigError)
        assert re.search(r"has code compiled for kind \d, .*: BPTT_TARGET=avx2, or baseline", str(found))
    assert not tmp_path.joinpath("run").exists()


def test_what_cannot_be_shared_is_an_error(tmp_path: Path) -> None:
    for told in ({"shards": 3, "batch": 6}, {"shards": 4, "batch": 6}):
        with pytest.raises(ConfigError, match=r"--shards must be 1, 2, 4, 8, ... equal parts of --batch 6"):
            Settings.of(**told)  # type: ignore[arg-type]
    settings = replace(settings_of("stream", tmp_path), shards=2)
    for found in together(4, lambda workers: Trainer.start(settings, tmp_path / "run", workers=workers)):
        assert str(found).startswith("4 workers cannot share 2 shards: --shards must be 4 or")
    assert not tmp_path.joinpath("run").exists()
    go(Trainer.start(settings, tmp_path / "run"))
    assert json.loads(tmp_path.joinpath("run", "config.json").read_text())["settings"]["shards"] == 2
