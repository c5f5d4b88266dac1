"""Windows: what is read lies before the origin, and targets are what the seasonal naive forecast lacks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bptt.data.series import (
    OWN_INPUTS,
    Columns,
    Origins,
    Scaling,
    WindowBatches,
    Windowed,
    Windows,
    read_panel,
)
from bptt.errors import DataError
from bptt.types import Array


def windows_of(
    tmp_path: Path,
    *series: Array,
    window: int = 8,
    season: int = 4,
    scaling: Scaling = "window",
) -> Windows:
    rows = [
        f"{k},{t},{'' if np.isnan(y) else repr(float(y))}"
        for k, values in enumerate(series)
        for t, y in enumerate(values)
    ]
    path = tmp_path / "series.csv"
    path.write_text("\n".join(["name,time,y", *rows]) + "\n")
    panel = read_panel(str(path), Columns("y", "time", "name"))
    return Windows(panel, window, season, scaling, 3)


def at(windows: Windows, which: int, step: int, horizon: int = 3) -> Windowed:
    return windows.at(Origins(np.array([which]), np.array([step])), horizon)


RNG = np.random.default_rng(0)
Y = RNG.normal(size=30).cumsum() + 100


def plainly(y: Array, o: int, W: int, S: int, H: int) -> tuple[Array, Array, Array, float]:
    """Return inputs, naive forecasts, targets and the scale of a window where all is known, step by step."""
    past = y[o - W : o]
    level, scale = past.mean(), max(past.std(), 0.1 * y[:o].std())

    def naive(t: int) -> float:
        k = t - S
        while k >= o:
            k -= S
        return float(y[k])

    inputs = []
    for t in range(o - W, o + H):
        shown = (y[t - 1] - level) / scale if t <= o else 0
        until = min(t, o)
        errors = [y[u] - naive(u) for u in range(max(o - W, until - S), until)]
        drift = np.mean(errors) / scale if errors else 0
        error = (y[until - 1] - naive(until - 1)) / scale if errors else 0
        inputs.append([shown, t <= o, (naive(t) - level) / scale, error, drift, max(0, t - o + 1) / H])
    forecast = np.array([naive(t) for t in range(o, o + H)])
    return np.array(inputs), forecast, (y[o : o + H] - forecast) / scale, float(scale)


@pytest.mark.parametrize("season", [1, 2, 4, 7])
def test_a_window_is_what_its_definition_says(tmp_path: Path, season: int) -> None:
    windows = windows_of(tmp_path, Y, season=season)
    for o in (16, 20, 27):
        found = at(windows, 0, o)
        inputs, naive, targets, scale = plainly(Y, o, 8, season, 3)
        assert np.allclose(found.batch.inputs[:, 0], inputs, atol=1e-5)
        assert np.allclose(found.naive[:, 0], naive)
        assert np.allclose(found.actual[:, 0], Y[o : o + 3])
        assert np.allclose(found.batch.targets[-3:, 0, 0], targets, atol=1e-5)
        assert found.scale == pytest.approx(scale)
        assert found.batch.target_mask is not None
        assert found.batch.target_mask[:, 0].tolist() == [False] * 8 + [True] * 3


@pytest.mark.parametrize("scaling", ["window", "series"])
def test_no_window_peeks_past_its_origin(tmp_path: Path, scaling: Scaling) -> None:
    other = Y.copy()
    other[20:] = RNG.normal(size=10) * 1e6
    one = at(windows_of(tmp_path, Y, scaling=scaling), 0, 20)
    two = at(windows_of(tmp_path, other, scaling=scaling), 0, 20)
    assert np.array_equal(one.batch.inputs, two.batch.inputs)
    assert np.array_equal(one.naive, two.naive)
    assert np.array_equal(one.scale, two.scale)
    assert not np.array_equal(one.batch.targets, two.batch.targets)


def test_missing_values_are_passed_over(tmp_path: Path) -> None:
    y = Y.copy()
    y[[16, 17, 21]] = np.nan
    found = at(windows_of(tmp_path, y), 0, 20)
    assert found.naive[:, 0].tolist() == [y[12], y[13], y[18]]  # two seasons back where one is not known
    assert found.batch.target_mask is not None
    assert found.batch.target_mask[-3:, 0].tolist() == [True, False, True]
    assert np.isfinite(found.batch.inputs).all()
    assert found.batch.inputs[5:8, 0, 1].tolist() == [0, 0, 1]  # whether y_{t-1} is known
    assert not found.batch.targets[-2, 0, 0]


def test_a_short_history_is_masked(tmp_path: Path) -> None:
    found = at(windows_of(tmp_path, Y[:9]), 0, 5)
    assert found.batch.mask is not None
    assert found.batch.mask[:, 0].tolist() == [False] * 3 + [True] * 8
    assert found.naive[:, 0].tolist() == [Y[1], Y[2], Y[3]]


@pytest.mark.parametrize("level", [0.0, 5.0, -3.0])
@pytest.mark.parametrize("scaling", ["window", "series"])
def test_a_constant_series_does_not_divide_by_zero(tmp_path: Path, level: float, scaling: Scaling) -> None:
    found = at(windows_of(tmp_path, np.full(30, level), scaling=scaling), 0, 20)
    assert np.isfinite(found.batch.inputs).all()
    assert found.scale == (abs(level) or 1)
    assert found.naive[:, 0].tolist() == [level] * 3


def test_a_scale_changes_nothing(tmp_path: Path) -> None:
    windows = windows_of(tmp_path, Y, 1e6 * Y + 1e9)
    one, two = at(windows, 0, 20), at(windows, 1, 20)
    assert np.allclose(one.batch.inputs, two.batch.inputs, atol=1e-4)
    assert np.allclose(one.batch.targets, two.batch.targets, atol=1e-4)


def test_a_large_level_is_no_constant(tmp_path: Path) -> None:
    windows = windows_of(tmp_path, Y, Y + 2.0**40)
    assert at(windows, 1, 20).scale == pytest.approx(at(windows, 0, 20).scale, rel=1e-3)


def test_a_quiet_window_takes_the_scale_of_what_was_before(tmp_path: Path) -> None:
    y = np.r_[RNG.normal(size=15), np.full(15, 0.5)]
    assert at(windows_of(tmp_path, y), 0, 25).scale == pytest.approx(0.1 * y[:25].std())


def test_origins_have_a_history_and_a_horizon_with_values(tmp_path: Path) -> None:
    y = Y.copy()
    y[20:23] = np.nan
    windows = windows_of(tmp_path, y, Y[:6], np.full(30, np.nan))
    found = windows.origins(np.zeros(3, int), windows.panel.ends, 3)
    assert windows.least == 4
    assert found.steps[found.which == 0].tolist() == [o for o in range(4, 28) if o != 20]
    assert not (found.which > 0).any()


def test_another_horizon_may_be_asked_for(tmp_path: Path) -> None:
    found = at(windows_of(tmp_path, Y), 0, 20, horizon=6)
    assert found.batch.inputs.shape == (14, 1, OWN_INPUTS)
    assert found.naive[:, 0].tolist() == [*Y[16:20], Y[16], Y[17]]
    assert found.batch.inputs[-6:, 0, -1].tolist() == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])


def test_a_linear_forecast_is_the_level_and_a_map_of_the_window(tmp_path: Path) -> None:
    y = Y.copy()
    y[17] = np.nan
    B = RNG.normal(size=(8, 3))
    for season in (4, 9):  # the latter is no part of the window
        windows = replace(windows_of(tmp_path, y, season=season), linear=B)
        found = at(windows, 0, 20)
        past = y[12:20].copy()
        level, scale = np.nanmean(past), np.nanstd(past)
        past[5] = y[17 - season]
        wanted = (level if season == 4 else found.naive[:, 0]) + (past - level) @ B
        assert np.allclose(found.base[:, 0], wanted)
        assert np.allclose(found.batch.targets[-3:, 0, 0], (y[20:23] - wanted) / scale, atol=1e-4)
        assert np.allclose(found.batch.inputs[-3:, 0, 2], (wanted - level) / scale, atol=1e-4)
        assert np.array_equal(at(windows, 0, 20, horizon=2).base, found.base[:2])


def test_a_linear_map_is_that_of_windows_to_train_on(tmp_path: Path) -> None:
    y = np.zeros(80)
    y[:2] = 1, 1.5
    for t in range(2, 80):
        y[t] = 1.8 * y[t - 1] - y[t - 2]  # a wave, which is linear in its past
    other = y.copy()
    other[60:] = 7
    one, two = (windows_of(tmp_path, values) for values in (y, other))
    train = one.origins(np.zeros(1, int), np.array([60]), 3)
    fitted, same = one.fitted(train), two.fitted(train)
    found = at(fitted, 0, 70)
    assert np.allclose(found.base, found.actual, atol=0.05)
    assert not np.allclose(found.naive, found.actual, atol=0.3)
    assert fitted.linear is not None
    assert same.linear is not None
    assert np.array_equal(same.linear, fitted.linear)
    assert one.fitted(train.take(slice(0, 6))).linear is None  # with two whole windows, of the three wanted


def test_naive_error_is_that_of_the_season_before(tmp_path: Path) -> None:
    windows = windows_of(tmp_path, Y, Y[:3])
    found = windows.naive_error(np.array([20, 3]))
    assert found[0] == pytest.approx(np.mean(abs(Y[4:20] - Y[:16])))
    assert np.isnan(found[1])


def test_batches_go_on_where_they_were_left(tmp_path: Path) -> None:
    windows = windows_of(tmp_path, Y, Y + 1)

    def source(seed: int = 0, batch: int = 5) -> WindowBatches:
        origins = windows.origins(np.zeros(2, int), windows.panel.ends, 3)
        return WindowBatches(windows, origins, batch, seed)

    whole = source()
    wanted = [whole.next().inputs for _ in range(6)]
    parts = source()
    for k in range(6):
        state = parts.state()
        parts = source()
        parts.restore(state)
        assert np.array_equal(parts.next().inputs, wanted[k])
    assert not np.array_equal(source(seed=1).next().inputs, wanted[0])
    assert whole.batches_per_epoch == 10  # of 2 x 24 origins
    for state, says in (
        ({**whole.state(), "batch": 6}, "the place saved has batch 6, here it is 5"),
        ({**whole.state(), "batches": -1}, "not a place among them"),
        ({}, "not a place among them"),
    ):
        with pytest.raises(DataError, match=says):
            source().restore(state)
