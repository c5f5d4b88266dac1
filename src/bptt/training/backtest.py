"""How good forecasts are, in rolling windows, beside the seasonal naive ones of the same windows."""

from dataclasses import dataclass

import numpy as np

from bptt.data.series import Origins, Windowed, Windows
from bptt.nets.evaluate import ALONE, Turns, steps_at_once
from bptt.nets.losses import LOSSES
from bptt.nets.model import Model
from bptt.shown import Shown
from bptt.types import Array, Params

NAMES = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "quantile_loss": "quantile loss"}
"""The errors, as they are shown."""

SUMS = ("count", "loss", "mase_count", *NAMES, *(f"naive_{name}" for name in NAMES), "coverage")
"""What is summed over windows."""


@dataclass(frozen=True, repr=False)
class Backtest(Shown, text="bptt.training.backtest:in_words"):
    """How good forecasts are.

    Attributes
    ----------
    windows, values : int
        How many windows, and values in them, were forecast.
    loss : float
        The model's, mean per value.
    figures : dict of float
        In the table's own units ``mae``, the mean absolute error, ``rmse``, the root of the mean square, and
        where quantiles are forecast ``quantile_loss``, the mean over values and levels; ``mase``, the
        absolute error in units of that of the last season as a forecast before the first window; the same of
        the seasonal naive forecast as ``naive_mae`` and so on. Of quantiles, errors are the middle one's,
        and ``coverage`` is the part of values between the outer two.
    by_step : dict of (H,) arrays
        ``mae`` and ``naive_mae`` of each step of the horizon; NaN where no value of it is known.
    """

    windows: int
    values: int
    loss: float
    figures: dict[str, float]
    by_step: dict[str, Array]

    @property
    def says(self) -> str:
        """The figures as a table: the model's, and the seasonal naive forecast's."""
        f = self.figures
        lines = [
            f"{self.windows:,} window{'s' if self.windows != 1 else ''}, {self.values:,} values forecast"
        ]
        lines.append(f"  {'error':16} {'model':>12} {'seasonal naive':>16}")
        for name, title in NAMES.items():
            if name in f:
                lines.append(f"  {title:16} {f[name]:>12.5g} {f[f'naive_{name}']:>16.5g}")
        if len(each := self.by_step["mae"]) > 1:
            some = sorted({0, (len(each) - 1) // 2, len(each) - 1})
            naive = self.by_step["naive_mae"]
            lines += [f"  {f'MAE at step {h + 1:,}':16} {each[h]:>12.5g} {naive[h]:>16.5g}" for h in some]
        if "coverage" in f:
            lines.append(f"  {f['coverage']:.1%} of the values lie between the outer two quantiles")
        return "\n".join(lines)


def in_words(found: Backtest) -> str:
    """Return what was found."""
    return found.says


def forecasts(model: Model, params: Params, of: Windowed) -> Array:
    """Return what a model forecasts in windows, in the table's units, (H, N, K)."""
    H = len(of.base)
    outputs = model.forward(params, of.batch).outputs[-H:]
    found: Array = of.base[..., None] + of.scale[:, None] * LOSSES[model.loss].predict(outputs)
    return found


def middle_of(model: Model) -> int:
    """Return which of a model's outputs is the forecast: of quantiles that nearest the median."""
    return int(abs(np.array(model.quantiles or [0.5]) - 0.5).argmin())


def rows_at_once(model: Model, windows: Windows, horizon: int) -> int:
    """Return how many windows are forecast at once, so that memory stays bounded."""
    return min(256, steps_at_once(model, windows.window + horizon))


def backtest(
    model: Model,
    params: Params,
    windows: Windows,
    origins: Origins,
    horizon: int,
    turns: Turns = ALONE,
    *,
    kept: list[Array] | None = None,
) -> Backtest:
    """Measure a model's forecasts at some origins.

    Parameters
    ----------
    model : Model
    params : dict of arrays
    windows : Windows
    origins : Origins
        At least one.
    horizon : int
        H.
    turns : Turns
        Who does which piece of the work.
    kept : list, optional
        To which the forecasts, what came and the naive ones are added, (H, N, K + 2) for each piece.
    """
    rows = rows_at_once(model, windows, horizon)
    first = np.full(len(windows.panel), np.iinfo(np.int64).max)
    np.minimum.at(first, origins.which, origins.steps)
    unit = windows.naive_error(np.minimum(first, windows.panel.ends))
    levels = np.array(model.quantiles or [0.5])
    middle = middle_of(model)

    def of_some(start: int) -> Array:
        turns.pause()
        some = origins.take(slice(start, start + rows))
        of = windows.at(some, horizon)
        found = forecasts(model, params, of)
        if kept is not None:
            kept.append(np.concatenate([found, of.actual[..., None], of.naive[..., None]], axis=2))
        known = np.isfinite(of.actual)
        scaled = ((found - of.base[..., None]) / of.scale[:, None]).astype(np.float32)
        targets = np.where(known, (of.actual - of.base) / of.scale, 0)[..., None]
        summed = {
            "count": float(known.sum()),
            "loss": float(model.loss_of(scaled, targets, mask=known).each.sum(dtype=np.float64)),
        }
        of_mase = known & (unit[some.which] > 0)
        summed["mase_count"] = float(of_mase.sum())
        for prefix, forecast in (
            ("", found),
            ("naive_", np.repeat(of.naive[..., None], len(levels), axis=2)),
        ):
            error = of.actual - forecast[..., middle]
            summed[prefix + "mae"] = float(np.sum(abs(error), where=known))
            summed[prefix + "rmse"] = float(np.sum(error * error, where=known))
            with np.errstate(divide="ignore", invalid="ignore"):
                summed[prefix + "mase"] = float(np.sum(abs(error) / unit[some.which], where=of_mase))
            below = of.actual[..., None] - forecast
            each = np.maximum(levels * below, (levels - 1) * below).mean(axis=2)
            summed[prefix + "quantile_loss"] = float(np.sum(each, where=known))
        off = [np.where(known, abs(of.actual - own), 0).sum(axis=1) for own in (found[..., middle], of.naive)]
        inside = (of.actual >= found[..., 0]) & (of.actual <= found[..., -1])
        summed["coverage"] = float(np.sum(inside, where=known))
        return np.concatenate([[summed[name] for name in SUMS], known.sum(axis=1), *off])

    sums = np.zeros(len(SUMS) + 3 * horizon)
    for found in turns.share(of_some, range(0, len(origins), rows)):
        sums += found
    total = dict(zip(SUMS, sums[: len(SUMS)].tolist(), strict=True))
    counts, *off = sums[len(SUMS) :].reshape(3, horizon)
    each = [np.divide(own, counts, out=np.full(horizon, np.nan), where=counts > 0) for own in off]
    loss, by_step = total["loss"] / total["count"], dict(zip(("mae", "naive_mae"), each, strict=True))
    return Backtest(len(origins), int(total["count"]), loss, _means(total, len(levels)), by_step)


def _means(total: dict[str, float], levels: int) -> dict[str, float]:
    count, figures = total["count"], {}
    for name in NAMES:
        for key in (name, f"naive_{name}"):
            mean = total[key] / (total["mase_count"] or np.nan if name == "mase" else count)
            figures[key] = float(np.sqrt(mean)) if name == "rmse" else mean
    figures["coverage"] = total["coverage"] / count
    if not total["mase_count"]:
        del figures["mase"], figures["naive_mase"]
    if levels == 1:
        del figures["quantile_loss"], figures["naive_quantile_loss"], figures["coverage"]
    return figures
