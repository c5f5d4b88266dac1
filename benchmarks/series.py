"""Forecast public series with bptt, and on the same windows by other means.

    python benchmarks/series_tables.py FOLDER
    BPTT_THREADS=1 python benchmarks/series.py FOLDER [NAME ...]

Each model knows NAME-cut.csv and is measured on every window of NAME.csv after it. bptt and the LSTM in
PyTorch hold out the last fifth of what they know, in the same windows, to choose the best of their steps; the
linear autoregression needs no such choice and learns from all of it. Errors are means over seeds.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bptt import Forecaster, Settings, Trainer
from bptt.data.series import Origins, Windows
from bptt.training.jobs.series import Forecasting, held_out, panel_of, windows_of
from bptt.types import Array

SETS: dict[str, dict[str, Any]] = {
    "sunspots": {"season": 11, "horizon": 11, "window": 44},
    "airline": {"season": 12, "horizon": 12, "window": 36},
    "co2": {"season": 12, "horizon": 12, "window": 36},
    "employment": {"season": 12, "horizon": 12, "window": 36, "series": "series"},
}
SEEDS = range(2)


class Errors:
    """Sums of errors over windows."""

    def __init__(self, windows: Windows, origins: Origins, horizon: int) -> None:
        first = np.full(len(windows.panel), np.iinfo(np.int64).max)
        np.minimum.at(first, origins.which, origins.steps)
        self.unit = windows.naive_error(np.minimum(first, windows.panel.ends))[origins.which]
        self.of = windows.at(origins, horizon)

    def __call__(self, forecast: Array) -> tuple[float, float, float]:
        """Return MAE, RMSE and MASE of forecasts (H, P)."""
        error = self.of.actual - forecast
        scaled = np.nanmean(abs(error / self.unit))
        return float(np.nanmean(abs(error))), float(np.sqrt(np.nanmean(error**2))), float(scaled)


def linear(windows: Windows, train: Origins, test: Origins, horizon: int) -> Array:
    """Return the forecasts (H, P) of a least-squares autoregression, from a window to a horizon."""
    seen, asked = windows.at(train, horizon), windows.at(test, horizon)
    x, z = seen.past.T, asked.past.T
    y = ((seen.actual - seen.level) / seen.scale).T
    full = np.isfinite(y).all(axis=1)
    ones = np.column_stack([x, np.ones(len(x))])[full]
    weights = np.linalg.lstsq(ones, y[full], rcond=None)[0]
    found: Array = (np.column_stack([z, np.ones(len(z))]) @ weights).T * asked.scale + asked.level
    return found


class Peer(nn.Module):  # type: ignore[misc]
    """An LSTM that reads the window, and a linear map of its last state to the horizon."""

    def __init__(self, hidden: int, horizon: int) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, hidden, batch_first=True), nn.Linear(hidden, horizon)

    def forward(self, x: Any) -> Any:  # noqa: D102
        return self.head(self.lstm(x[..., None])[0][:, -1])


def peer(windows: Windows, parts: list[Origins], settings: Settings, seed: int) -> tuple[Array, float]:
    """Return the forecasts (H, P) of the best step by the middle part, and the seconds of training."""
    torch.manual_seed(seed)
    H = settings.horizon
    data = []
    for part in parts:
        of = windows.at(part, H)
        y = ((of.actual - of.level) / of.scale).T
        data.append(
            [torch.tensor(a, dtype=torch.float32) for a in (of.past.T, np.nan_to_num(y), np.isfinite(y))]
        )
    model = Peer(settings.hidden, H)
    adam = torch.optim.Adam(model.parameters(), lr=settings.lr)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.steps or 1)
    rng, best, kept = np.random.default_rng(seed), np.inf, None
    (x, y, m), (vx, vy, vm), (tx, _, _) = data
    begun = time.perf_counter()
    for step in range(1, (settings.steps or 1) + 1):
        rows = torch.tensor(rng.integers(len(x), size=settings.batch))
        loss = (abs(model(x[rows]) - y[rows]) * m[rows]).sum() / m[rows].sum()
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        rate.step()
        if step % settings.eval_every == 0:
            with torch.no_grad():
                valid = float((abs(model(vx) - vy) * vm).sum() / vm.sum())
                if valid < best:
                    best, kept = valid, model(tx)
    seconds = time.perf_counter() - begun
    assert kept is not None
    of = windows.at(parts[2], H)
    return kept.numpy().T * of.scale + of.level, seconds


def main(folder: str, *names: str) -> None:
    torch.set_num_threads(1)  # as BPTT_THREADS: sizes are small, and a machine may be busy
    for name in names or SETS:
        asked = {"task": "forecast", "time": "time", "value": "value", **SETS[name]}
        whole = str(Path(folder, f"{name}.csv"))
        settings = Settings.of(data=str(Path(folder, f"{name}-cut.csv")), **asked)
        H, made = settings.horizon, Forecasting.of(settings)
        windows = windows_of(settings, panel_of(settings, whole, made.facts))
        test = held_out(windows, H, None, made.facts["until"])
        known = made.windows.origins(0 * made.windows.panel.ends, made.windows.panel.ends, H)
        errors = Errors(windows, test, H)
        lines = {
            "seasonal naive": [(*errors(errors.of.naive), 0.0)],
            "linear autoregression": [(*errors(linear(windows, full(windows, known), test, H)), 0.0)],
            "ridge, where bptt starts": [
                (*errors(replace(windows, linear=made.windows.linear).at(test, H).base), 0.0)
            ],
            "LSTM in PyTorch": [],
            "bptt": [],
        }
        for seed in SEEDS:
            run = tempfile.mkdtemp() + "/run"
            asked["seed"] = seed
            trainer = Trainer.start(Settings.of(data=settings.data, **asked), run)
            begun = time.perf_counter()
            for _ in trainer.reports():
                pass
            seconds = time.perf_counter() - begun
            f = Forecaster.load(run).backtest(whole).figures
            lines["bptt"].append((f["mae"], f["rmse"], f["mase"], seconds))
            train = full(windows, made.source._origins)  # type: ignore[attr-defined]
            forecast, seconds = peer(windows, [train, made.held, test], settings, seed)
            lines["LSTM in PyTorch"].append((*errors(forecast), seconds))
        print(f"{name}: {len(test)} windows")
        for what, rows in lines.items():
            mae, rmse, mase, seconds = np.mean(rows, axis=0)
            spread = np.std([row[0] for row in rows])
            found = f"MAE {mae:8.4g} ±{spread:.2g}  RMSE {rmse:8.4g}  MASE {mase:.3f}"
            print(f"  {what:24} {found}  {seconds:.1f} s", flush=True)


def full(windows: Windows, origins: Origins) -> Origins:
    """Return the origins with a whole window before them."""
    return origins.take(origins.steps >= windows.window)


if __name__ == "__main__":
    main(*sys.argv[1:])
