"""Forecasts are learnt from what is not held out, measured on what is, and a run goes on to the same bits."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import (
    BpttWarning,
    ConfigError,
    DataError,
    Forecaster,
    RunError,
    Settings,
    Trained,
    Trainer,
    settings_from,
)
from bptt.data.series import Columns, Origins, Windows, read_panel
from bptt.training.jobs.series import Forecasting, held_out
from bptt.training.runs.verify import verify
from bptt.training.trainer import STOPPED
from small_runs import go, left_by
from small_series import ASKED, asked, sold, table
from small_series import sales as sales

CASES: dict[str, dict[str, Any]] = {
    "absolute": {},
    "squared": {"loss": "squared", "scaling": "series"},
    "quantiles": {"loss": "quantile", "quantiles": "0.25,0.5,0.75", "covariates": "price"},
    "gru, two layers": {"cell": "gru", "layers": 2, "dropout": 0.3, "input_dropout": 0.1},
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_of_series_goes_on_to_the_same_bits(tmp_path: Path, sales: str, name: str) -> None:
    settings = asked(sales, **CASES[name])
    whole = go(Trainer.start(settings, tmp_path / "whole"))
    trainer = Trainer.start(settings, tmp_path / "parts")
    for stop in (0, 1, 6, 7, 13, 20):
        assert go(trainer, stop).end == STOPPED
        trainer = Trainer.resume(tmp_path / "parts")
        assert trainer.step == stop
    assert go(trainer).end == whole.end
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")
    assert {finding.state for finding in verify(tmp_path / "parts")} == {"whole"}


OFTEN = """
import sys, bptt.cli, bptt.training.trainer
bptt.training.trainer.SAVE_SECONDS = 0.005
bptt.cli.main(sys.argv[1:])
"""


def test_a_run_of_series_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path, sales: str) -> None:
    long = {**ASKED, "steps": 900, "eval_every": 60}
    go(Trainer.start(asked(sales, **long), tmp_path / "whole"))
    options = [f"--{name.replace('_', '-')}={value}" for name, value in long.items()]
    folder, lives = tmp_path / "killed", 0
    for kill in range(4):
        begun = folder.joinpath("config.json").exists()
        arguments = ["--resume", str(folder)] if begun else [sales, "--out", str(folder), *options]
        process = subprocess.Popen(
            [sys.executable, "-c", OFTEN, "train", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        while b"the run is kept in" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.1 + 0.07 * kill)
        lives += process.poll() is None
        process.kill()
        assert process.communicate()[1] == b""
    assert lives
    go(Trainer.resume(folder))
    assert left_by(folder) == left_by(tmp_path / "whole")


BITS = """
import sys, hashlib, bptt
asked = {"task": "forecast", "series": "shop", "time": "day", "value": "sold", "season": 7, "horizon": 5}
settings = bptt.Settings.of(data=sys.argv[1], window=28, hidden=96, batch=32, steps=3, **asked)
trainer = bptt.Trainer.start(settings, sys.argv[2])
list(trainer.reports())
print(hashlib.sha256(trainer.run.path("last.safetensors").read_bytes()).hexdigest())
print(hashlib.sha256(bptt.Forecaster.load(sys.argv[2]).forecast().values.tobytes()).hexdigest())
"""


def test_the_bits_of_forecasts_do_not_depend_on_the_number_of_threads(tmp_path: Path, sales: str) -> None:
    digests = set()
    for threads in "12":
        env = {**os.environ, "BPTT_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", BITS, sales, str(tmp_path / threads)]
        digests.add(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)
    assert len(digests) == 1


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    """Other values there leave every parameter as it is."""
    digests = []
    for name, end in (("one", 1.0), ("two", -7.0)):
        values = sold(0, 90)
        values[-18:] *= end
        path = tmp_path / f"{name}.csv"
        path.write_text(table({"a": values}))
        trainer = go(Trainer.start(asked(str(path)), tmp_path / name))
        params = b"".join(array.tobytes() for array in trainer.params.values())
        digests.append((hashlib.sha256(params).hexdigest(), trainer.best))
    (first, best), (second, other) = digests
    assert first == second
    assert best != other


def test_a_trend_is_learnt_that_the_naive_forecast_lacks(tmp_path: Path, sales: str) -> None:
    trainer = Trainer.start(asked(sales, hidden=16, batch=16, steps=120, eval_every=40), tmp_path / "run")
    figures = [report.figures for report in trainer.reports() if report.figures]
    assert set(figures[0]) == {"mae", "naive_mae", "rmse", "naive_rmse", "mase", "naive_mase"}
    assert figures[-1]["mase"] < 0.7 * figures[-1]["naive_mase"]
    assert trainer.run.log.lines()[-1]["naive_mae"] == figures[-1]["naive_mae"]


def test_training_starts_at_the_linear_forecast(tmp_path: Path, sales: str) -> None:
    trainer = go(Trainer.start(asked(sales, steps=0), tmp_path / "run"))
    trainer.close()
    forecaster = Forecaster.load(tmp_path / "run")
    windows = forecaster._windows(None)
    assert windows.linear is not None
    origins = Origins(np.arange(2), windows.panel.ends)
    assert np.allclose(forecaster.forecast().values[..., 0], windows.at(origins, 5).base.T)
    assert forecaster.backtest().figures["mase"] < 0.9 * forecaster.backtest().figures["naive_mase"]


def test_a_series_without_a_value_is_left_out_of_a_forecast_and_said(tmp_path: Path, sales: str) -> None:
    go(Trainer.start(asked(sales, steps=2), tmp_path / "run"))
    forecaster, none = Forecaster.load(tmp_path / "run"), np.full(9, np.nan)
    (path := tmp_path / "b.csv").write_text(table({"x": none, "a": sold(0, 60), "y": none, "b": sold(1, 50)}))
    (other := tmp_path / "c.csv").write_text(table({"a": sold(0, 60), "b": sold(1, 50)}))
    with pytest.warns(BpttWarning, match=r"series 'x' has no value, as 1 more have none: it is not forecast"):
        found = forecaster.forecast(str(path))
    assert found.columns == forecaster.forecast(str(other)).columns
    path.write_text(table({"x": none}))
    with pytest.raises(DataError, match="series 'x' has no value: there is nothing to go on from"):
        forecaster.forecast(str(path))


def test_a_backtest_is_what_its_forecasts_say(tmp_path: Path) -> None:
    """One window at a time, from a table that ends where the window begins."""
    y = sold(0, 90)
    path, shorter = tmp_path / "sales.csv", tmp_path / "shorter.csv"
    path.write_text(table({"a": y}))
    levels = np.array([0.2, 0.5, 0.9])
    go(Trainer.start(asked(str(path), loss="quantile", quantiles="0.2,0.5,0.9"), tmp_path / "run"))
    forecaster = Forecaster.load(tmp_path / "run")
    found = forecaster.backtest()
    errors, naive_errors, pinball, inside = [], [], [], []
    first = len(y) - 18
    for o in range(first, len(y) - 5 + 1):
        shorter.write_text(table({"a": y[:o]}))
        values = forecaster.forecast(str(shorter)).values[0]
        for h in range(5):
            if np.isnan(y[o + h]):
                continue
            naive = next(y[o + h - k] for k in (7, 14) if not np.isnan(y[o + h - k]))
            below = y[o + h] - values[h]
            errors.append(below[1])
            naive_errors.append(y[o + h] - naive)
            pinball.append(np.mean(np.maximum(levels * below, (levels - 1) * below)))
            inside.append(values[h, 0] <= y[o + h] <= values[h, 2])
    f, unit = found.figures, np.nanmean(abs(y[7:first] - y[: first - 7]))
    assert (found.windows, found.values) == (14, len(errors))
    assert f["mae"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-5)
    assert f["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-5)
    assert f["naive_mae"] == pytest.approx(np.mean(np.abs(naive_errors)), rel=1e-9)
    assert f["naive_rmse"] == pytest.approx(np.sqrt(np.mean(np.square(naive_errors))), rel=1e-9)
    assert f["mase"] == pytest.approx(np.mean(np.abs(errors)) / unit, rel=1e-5)
    assert f["quantile_loss"] == pytest.approx(np.mean(pinball), rel=1e-5)
    assert f["coverage"] == pytest.approx(np.mean(inside))
    rows = forecaster.backtest_columns()
    of_levels = [f"forecast_{level:g}" for level in levels]
    assert [*rows] == ["shop", "origin", "step", "day", "actual", *of_levels, "seasonal_naive"]
    known = np.isfinite(actual := np.array(rows["actual"]))
    assert (len(known), known.sum()) == (14 * 5, len(errors))
    off, step = actual - np.array(rows["forecast_0.5"]), np.array(rows["step"])
    np.testing.assert_allclose(off[known], errors, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose((actual - np.array(rows["seasonal_naive"]))[known], naive_errors, rtol=1e-9)
    for h in range(5):
        assert found.by_step["mae"][h] == pytest.approx(np.mean(abs(off[known & (step == h + 1)])))
    assert (rows["origin"][5], rows["day"][4]) == (rows["day"][0], rows["day"][20])


@pytest.fixture
def run(tmp_path: Path, sales: str) -> Path:
    go(Trainer.start(asked(sales), tmp_path / "run"))
    return tmp_path / "run"


def test_other_series_are_forecast_by_their_own_scale(tmp_path: Path, run: Path) -> None:
    forecaster = Forecaster.load(run)
    y = sold(5, 40)
    path = tmp_path / "other.csv"
    path.write_text(table({"new": y, "large": 1000 * y}, begin="2021-03-01"))
    found = forecaster.forecast(str(path))
    assert found.columns["shop"] == ["new"] * 5 + ["large"] * 5
    assert found.columns["day"] == [f"2021-04-{day}" for day in range(10, 15)] * 2
    assert np.allclose(1000 * found.values[0], found.values[1], rtol=1e-4)
    path.write_text(table({"short": y[:3], "constant": np.full(40, 7.0)}))
    assert np.isfinite(forecaster.forecast(str(path)).values).all()


def test_a_run_of_series_begins_with_anothers_weights_and_reads_as_it_did(tmp_path: Path, run: Path) -> None:
    weights = Trained.load(run)
    path = tmp_path / "other.csv"
    path.write_text(table({"new": sold(5, 90)}))
    settings = settings_from(weights, data=str(path), lr=1e-3, steps=1, horizon=4)
    assert (settings.job, settings.season, settings.window, settings.horizon) == ("series", 7, 14, 4)
    trainer = Trainer.start(settings, tmp_path / "again", weights)
    assert all(np.array_equal(array, weights.params[name]) for name, array in trainer.params.items())


def test_longer_horizons_go_on_from_forecasts(tmp_path: Path, run: Path, sales: str) -> None:
    forecaster = Forecaster.load(run)
    long, short = forecaster.forecast(horizon=8), forecaster.forecast()
    assert np.array_equal(long.values[:, :5], short.values)
    path = tmp_path / "more.csv"
    rows = Path(sales).read_text()
    days = [
        str(np.datetime64(day) + np.timedelta64(k, "D"))
        for day in ("2020-04-29", "2020-04-14")
        for k in range(5)
    ]
    more = [f"{'ab'[k // 5]},{days[k]},{float(v)!r},1" for k, v in enumerate(short.values.ravel())]
    path.write_text(rows + "\n".join(more) + "\n")
    assert np.array_equal(forecaster.forecast(str(path), 3).values, long.values[:, 5:])
    assert np.array_equal(forecaster.forecast(horizon=2).values, short.values[:, :2])
    with pytest.raises(DataError, match="a horizon is a whole number of steps, at least one; got 0"):
        forecaster.forecast(horizon=0)


def test_another_table_is_measured_from_the_end_of_the_run_on(tmp_path: Path, run: Path) -> None:
    forecaster = Forecaster.load(run)
    y, path = sold(0, 120), tmp_path / "later.csv"
    path.write_text(table({"a": y}))  # the run's own data end at day 90
    assert forecaster.backtest(str(path)).windows == 30 - 5 + 1
    assert forecaster.backtest(str(path), since="2020-05-19").windows == 10 - 5 + 1
    path.write_text(table({"a": y[:90]}))
    with pytest.raises(DataError, match=r"no 5 steps .* after 2020-04-28, where the run's own data end"):
        forecaster.backtest(str(path))


def test_where_to_measure_from_may_be_in_another_zone(tmp_path: Path) -> None:
    hours = [np.datetime64("2020-01-01T00:00") + np.timedelta64(k, "h") for k in range(40)]
    (path := tmp_path / "a.csv").write_text(
        "t,v\n" + "".join(f"{hour}+01:00,{k}\n" for k, hour in enumerate(hours))
    )
    windows = Windows(read_panel(str(path), Columns("v", "t")), 6, 1, "window", 2)
    for since in ("2020-01-02T00:00+01:00", "2020-01-01T23:00Z", "2020-01-01T18:00-05:00"):
        assert len(held_out(windows, 2, since, None)) == 40 - 24 - 2 + 1
        assert len(held_out(windows, 2, None, since)) == 40 - 25 - 2 + 1


def test_data_that_changed_are_refused(run: Path, sales: str) -> None:
    path = Path(sales)
    path.write_text(path.read_text().replace("b,2020-02-01,", "b,2020-02-01,9"))
    with pytest.raises(RunError, match="no longer what the run was trained on"):
        Trainer.resume(run)
    with pytest.raises(DataError, match="no longer what the run was trained on"):
        Forecaster.load(run).backtest()


def test_a_run_of_text_forecasts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("ab" * 200)
    go(Trainer.start(Settings.of(data=str(path), hidden=4, steps=1, batch=2, chunk=4), tmp_path / "run"))
    with pytest.raises(RunError, match="holds a model of one long text: it forecasts no series"):
        Forecaster.load(tmp_path / "run")


def test_series_that_are_too_short_are_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(table({"short": sold(0, 16)}))
    with pytest.raises(
        DataError,
        match=r"series 'short' is too short to train on, with 16 steps \(fewer than 17 .*smaller --horizon",
    ):
        Trainer.start(asked(str(path)), tmp_path / "run")
    assert not tmp_path.joinpath("run").exists()
    path.write_text(table({"short": sold(0, 16), "long": sold(1, 40)}))
    with pytest.warns(BpttWarning, match="1 of 2 series, such as 'short', are not trained on: fewer than 17"):
        Trainer.start(asked(str(path)), tmp_path / "run").close()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"value": None}, "--task forecast wants --value COLUMN"),
        (
            {"loss": "quantile", "quantiles": "0.5,0.1"},
            "rising numbers between 0 and 1, as in 0.1,0.5,0.9",
        ),
        ({"loss": "quantile", "quantiles": "most"}, "rising numbers between 0 and 1"),
        ({"quantiles": "0.1,0.5"}, "--quantiles goes with --loss quantile, not absolute"),
        ({"chunk": 8}, "--chunk has no meaning for series"),
        ({"horizon": 0}, "horizon must be a whole number from 1"),
    ],
)
def test_settings_that_mean_nothing_for_series_are_told(
    tmp_path: Path, sales: str, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        Trainer.start(asked(sales, **more), tmp_path / "run")
    assert not tmp_path.joinpath("run").exists()


def test_one_series_may_have_an_odd_value_and_one_that_only_repeats_counts_in_no_mase(tmp_path: Path) -> None:
    season = 5000 + 1000 * np.sin(np.arange(60) / 7 * 2 * np.pi)  # which repeats but for rounding
    rng = np.random.default_rng(0)
    noisy = 10 + rng.normal(size=60)
    noisy[20] = 500
    rows = [
        f"{name},{t},{y!r}" for name, own in (("a", noisy), ("b", season)) for t, y in enumerate(own.tolist())
    ]
    (path := tmp_path / "a.csv").write_text("s,t,v\n" + "\n".join(rows))
    how: dict[str, Any] = {"task": "forecast", "series": "s", "time": "t", "value": "v", "season": 7}
    job = Forecasting.of(Settings.of(data=str(path), **how, horizon=3, window=14, hidden=4, steps=2))
    assert any("500 stands once in series 'a', far from all its others" in note for note in job.notes)
    unit = job.windows.naive_error(np.array([40, 40]))
    assert unit[0] == pytest.approx(abs(noisy[7:40] - noisy[:33]).mean())
    assert unit[1] == 0
