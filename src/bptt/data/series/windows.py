"""Windows of series: what a forecast reads before its origin, what it is to tell after it, and the naive one.

::

    window              origin         horizon
    o - W  ...  o - 1     |     o  ...  o + H - 1
    y_{t-1}, known        |     0, not known, but for the first: y_{o-1}
    seasonal naive of y_t |     base_t, the linear forecast of y_t
    error, drift at t - 1 |     error, drift at o - 1
    covariates of t       |     covariates of t
    0                     |     1/H ... 1
    steps since y was known, or a column of t, where the cell reads them beside these

    target: (y_t - base_t) / scale, after the origin, where y_t is known

S are the steps of a season, and the seasonal naive forecast of y_t is y_{t-jS}, with the smallest j for which
it is known before o. The linear forecast is the level and a linear map of the window's values, each that is
missing by its own seasonal naive forecast; the map is fitted to windows to train on
(:func:`bptt.data.series.linear.ridge`). A window without a whole season has the seasonal naive forecast in
place of the level, and where windows are too few for a map that is all. The error is y - naive where it was
known last, the drift its mean over the last season: how far this year is beyond the year before. Nothing at
or after the origin is read but the covariates: the level and the scale, too, are of values before it. Values
are given less the level, by the scale.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from bptt.data.batches import expect_place
from bptt.data.series.linear import ridge
from bptt.data.series.panel import Panel
from bptt.types import Array, Batch

Scaling: TypeAlias = Literal["window", "series"]
"""Of which values the level and the scale are: those of the window, or all before the origin."""

OWN_INPUTS = 6
"""The inputs beside covariates."""

LEAST = 0.1
"""A window's scale is at least this part of that of all before it: a quiet one makes no huge targets."""

FARTHEST = 10.0
"""Scales that a value may lie from the level in the fit of a linear map."""

MOST_FITTED = 1 << 21
"""Steps of windows that a linear map is fitted to; where there are more, some windows at even distances."""


class Windowed(NamedTuple):
    """Windows as a batch, and what makes forecasts of a model's outputs.

    Attributes
    ----------
    batch : Batch
        Targets are (W + H, N, 1), and count after the origin where a value is known.
    actual, naive, base : (H, N) float64
        The values, not a number where they are not known, the seasonal naive forecast of them, and the linear
        one.
    level, scale : (N,) float64
    past : (W, N) float64
        The values before the origin, scaled; those not known by their seasonal naive forecast.
    """

    batch: Batch
    actual: Array
    naive: Array
    base: Array
    level: Array
    scale: Array
    past: Array


class Origins(NamedTuple):
    """Where forecasts begin: (P,) numbers of series, (P,) steps from their first."""

    which: Array
    steps: Array

    def __len__(self) -> int:
        return len(self.which)

    def take(self, some: Any) -> "Origins":
        """Return some of them."""
        return Origins(self.which[some], self.steps[some])


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a panel of series.

    Attributes
    ----------
    panel : Panel
    window, season : int
        W and S.
    scaling : "window" or "series"
    unit : int
        H, of which a place after the origin is a part, whatever horizon is asked for.
    beside : dict of str
        By what names the cell reads columns of the panel's beside its input, or where there is None the steps
        since a value was known.
    linear : (W, H) float64, optional
        The map of a window's values to the linear forecast, both scaled; without it the latter is the
        seasonal naive one. With it no horizon is beyond H.
    """

    panel: Panel
    window: int
    season: int
    scaling: Scaling
    unit: int
    linear: Array | None = None
    beside: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def least(self) -> int:
        """The fewest steps before an origin: a season and half the window, but no more than the window."""
        return min(max(self.season, self.window // 2, 2), max(self.window, 2))

    def origins(self, first: Array, stop: Array, horizon: int) -> Origins:
        """Return all origins from `first` (M,) on whose horizon ends before `stop` (M,).

        Those alone that have `least` steps before them, a known value in the window, and one in the horizon.
        """
        found, counts = [], self._sums[0]
        for k, start in enumerate(self.panel.starts):
            o = np.arange(max(int(first[k]), self.least), int(stop[k]) - horizon + 1)
            known = np.concatenate([[0], counts[start : start + self.panel.lengths[k]]])
            before, after = known[o] - known[np.maximum(o - self.window, 0)], known[o + horizon] - known[o]
            o = o[(before > 0) & (after > 0)]
            found.append((np.full(len(o), k), o))
        which, steps = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Origins(which, steps)

    def at(self, origins: Origins, horizon: int) -> Windowed:
        """Return the windows of some origins."""
        panel, W = self.panel, self.window
        t = origins.steps + np.arange(-W - 1, horizon)[:, None]  # with the value before the window
        y = self._values(origins.which, t)
        past = np.where(t < origins.steps, y, np.nan)
        naive = self._naive(origins, t[1:])
        level, scale = self._scaled(origins, past[1 : W + 1])
        naive = np.where(np.isfinite(naive), naive, level)  # nothing is known before it
        filled = (np.where(np.isfinite(past[1 : W + 1]), past[1 : W + 1], naive[:W]) - level) / scale
        base = naive.copy()
        if self.linear is not None:
            base[W:] = self._centre(naive[W:], level) + scale * np.einsum(
                "wh,wn->hn", self.linear[:, :horizon], filled
            )
        place = np.maximum(t[1:] - origins.steps + 1, 0) / self.unit
        ahead = panel.covariates[self._flat(origins.which, t[1:])]
        before, is_known = past[:-1], np.isfinite(past[:-1])
        errors = past[1 : W + 1] - naive[:W]
        error, drift = (held / scale for held in self._held(errors, len(t) - 1))
        shown = np.where(is_known, (before - level) / scale, 0)
        parts = (shown, is_known, (base - level) / scale, error, drift, place)
        inputs = np.concatenate([np.stack(parts, axis=2).astype(np.float32), ahead], axis=2)
        counted = np.isfinite(y[1:]) & (t[1:] >= origins.steps)
        targets = np.where(counted, (y[1:] - base) / scale, 0).astype(np.float32)[..., None]
        there = t[1:] >= 0
        at = np.arange(len(is_known))[:, None]
        since = (at - np.maximum.accumulate(np.where(is_known, at, 0), axis=0) + 1).astype(np.float32)
        read = dict(zip(panel.columns.beside, panel.beside[self._flat(origins.which, t[1:])].T, strict=True))
        given = {name: since if c is None else read[c].T for name, c in self.beside.items()} or None
        batch = Batch(inputs, targets, None if there.all() else there, counted, given=given)
        return Windowed(batch, y[W + 1 :], naive[W:], base[W:], level, scale, filled)

    def fitted(self, origins: Origins) -> "Windows":
        """Return windows with a linear map, fitted to those of some origins.

        Those alone that have a whole window before them, and a horizon that is known: where they are fewer
        than the horizon has steps, there is no map.
        """
        whole = origins.take(origins.steps >= self.window)
        steps = len(whole) * (self.window + self.unit)
        some = whole.take(slice(None, None, -(-steps // MOST_FITTED) or 1))
        of = replace(self, linear=None).at(some, self.unit)
        is_known = np.isfinite(of.actual).all(axis=0)
        if is_known.sum() < self.unit:
            return self
        # a jump after a quiet window is to be one window among many
        targets = np.clip((of.actual - self._centre(of.naive, of.level)) / of.scale, -FARTHEST, FARTHEST)
        # rounded, so that a run that goes on elsewhere finds the same
        return replace(self, linear=ridge(of.past.T[is_known], targets.T[is_known]).round(6))

    def batches(self, origins: Origins, horizon: int, rows: int) -> Iterator[Windowed]:
        """Yield the windows of all origins, so many at a time."""
        for start in range(0, len(origins), rows):
            yield self.at(origins.take(slice(start, start + rows)), horizon)

    def naive_error(self, until: Array) -> Array:
        """Return the mean absolute error of y_{t-S} as a forecast of y_t, in each series until a step, (M,).

        Not a number where no two values that far apart are known; zero where they differ by rounding alone.
        """
        found = np.full(len(self.panel), np.nan)
        for k, start in enumerate(self.panel.starts):
            y = self.panel.values[start : start + until[k]]
            errors = abs(y[self.season :] - y[: -self.season])
            if np.isfinite(errors).any():
                mean = np.nanmean(errors)
                found[k] = mean if mean > 1e-12 * np.nanmax(abs(y)) else 0
        return found

    def _flat(self, which: Array, t: Array) -> Array:
        """Return where steps of series stand, or those nearest that there are."""
        at: Array = self.panel.starts[which] + np.clip(t, 0, self.panel.lengths[which] - 1)
        return at

    def _values(self, which: Array, t: Array) -> Array:
        """Return values at steps of series; not a number beyond their ends."""
        there = (t >= 0) & (t < self.panel.lengths[which])
        return np.where(there, self.panel.values[self._flat(which, t)], np.nan)

    def _naive(self, origins: Origins, t: Array) -> Array:
        """Return the seasonal naive forecast at steps, of what is known before them and before the origin."""
        S, which = self.season, np.broadcast_to(origins.which, t.shape)
        at = t - (np.maximum(t - origins.steps, 0) // S + 1) * S
        naive = self._values(which, at)
        for _ in range(8):  # seasons further back
            lacks = np.isnan(naive) & (at >= S)
            if not lacks.any():
                break
            at = at - S
            naive[lacks] = self._values(which[lacks], at[lacks])
        if (lacks := np.isnan(naive)).any():  # what is known last
            last = np.minimum(t, origins.steps)[lacks] - 1
            place = np.where(last >= 0, self._last_known[self._flat(which[lacks], last)], -1)
            naive[lacks] = np.where(place >= 0, self._values(which[lacks], place), np.nan)
        return naive

    def _centre(self, naive: Array, level: Array) -> Array:
        """Return what the linear map adds to, (H, N): the level, or what a window without a season lacks."""
        return naive if self.window < self.season else np.broadcast_to(level, naive.shape)

    def _held(self, errors: Array, steps: int) -> tuple[Array, Array]:
        """Return the last of errors (W, N) that is known before each step, and a season's mean, (T, N)."""
        W, known = len(errors), np.isfinite(errors)
        sums = np.cumsum(np.vstack([np.zeros_like(errors[:1]), np.where(known, errors, 0)]), axis=0)
        counts = np.cumsum(np.vstack([np.zeros_like(known[:1], int), known]), axis=0)
        to = np.minimum(np.arange(steps), W)
        since = np.maximum(to - self.season, 0)
        mean: Array = (sums[to] - sums[since]) / np.maximum(counts[to] - counts[since], 1)
        last = np.maximum.accumulate(np.where(known, np.arange(1, W + 1)[:, None], 0), axis=0)
        last = np.vstack([np.zeros_like(last[:1]), last])[to]
        values = np.vstack([np.zeros_like(errors[:1]), errors])
        return np.take_along_axis(values, last, axis=0), mean

    def _scaled(self, origins: Origins, past: Array) -> tuple[Array, Array]:
        """Return the level and the scale of windows, (N,), of their values (W, N) or of all before them."""
        at = self._flat(origins.which, origins.steps - 1)
        count, summed, squares, base = (array[at] for array in self._sums)
        level = summed / count
        scale = np.sqrt(np.maximum(squares / count - level * level, 0))
        level, floor = level + base, LEAST * scale
        if self.scaling == "window":
            is_known = np.isfinite(past)
            known = np.maximum(is_known.sum(axis=0), 1)
            own = np.where(is_known, past - level, 0).sum(axis=0) / known  # nothing known: the level stays
            level = level + own
            squares = np.where(is_known, (past - level) ** 2, 0).sum(axis=0) / known
            scale = np.maximum(np.sqrt(squares), floor)
        # a constant says nothing of its scale: it is its own, and that of nothing is 1
        tiny = 1e-13 * abs(level)
        scale = np.where(scale > tiny, scale, np.where(level != 0, abs(level), 1.0))
        return level, scale

    @cached_property
    def _sums(self) -> tuple[Array, Array, Array, Array]:
        """How many values are known until after each step of a series, (S,), their sum, that of squares.

        The sums are less the series' first value, the last array, so that large values lose no digits.
        """
        count, summed, squares, base = (np.zeros(len(self.panel.values)) for _ in range(4))
        for start, length in zip(self.panel.starts, self.panel.lengths, strict=True):
            part = slice(start, start + length)
            y = self.panel.values[part]
            known = np.isfinite(y)
            first = y[known][0] if known.any() else 0.0
            y = np.where(known, y - first, 0)
            count[part], summed[part], squares[part] = np.cumsum(known), np.cumsum(y), np.cumsum(y * y)
            base[part] = first
        return count, summed, squares, base

    @cached_property
    def _last_known(self) -> Array:
        """The last step of a series, until each, whose value is known, (S,); -1 where there is none."""
        last = np.empty(len(self.panel.values), np.int64)
        for start, length in zip(self.panel.starts, self.panel.lengths, strict=True):
            y = self.panel.values[start : start + length]
            last[start : start + length] = np.maximum.accumulate(
                np.where(np.isfinite(y), np.arange(length), -1)
            )
        return last


class WindowBatches:
    """Training windows without end, at origins that are drawn by the seed and the number of the batch.

    Parameters
    ----------
    windows : Windows
    origins : Origins
        From which are drawn, each as often as any other.
    batch : int
        N.
    seed : int
    """

    def __init__(self, windows: Windows, origins: Origins, batch: int, seed: int) -> None:
        self._windows, self._origins, self._rows, self._seed = windows, origins, batch, seed
        self._shape = {"origins": len(origins), "batch": batch}
        self._done = 0
        self.batches_per_epoch = -(-len(origins) // batch)

    def next(self) -> Batch:
        """Return the next batch."""
        rng = np.random.default_rng([self._seed, 3, self._done])
        self._done += 1
        drawn = rng.integers(len(self._origins), size=self._rows)
        return self._windows.at(self._origins.take(drawn), self._windows.unit).batch

    def state(self) -> dict[str, Any]:
        """Return the place reached, as JSON values."""
        return {"batches": self._done, **self._shape}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` returned; DataError if it is none in these series."""
        expect_place(state, self.state(), self._shape, "series")
        self._done = state["batches"]
