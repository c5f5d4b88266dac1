"""What a trained model forecasts of a table's series, as columns and as a table."""

import os
import warnings
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bptt.data.series import Origins, Panel, Windows
from bptt.data.tables import Given, table_of
from bptt.data.tables.forms import Form
from bptt.data.tables.writing import written
from bptt.errors import BpttWarning, DataError, RunError
from bptt.shown import Shown
from bptt.training.backtest import Backtest, backtest, forecasts, middle_of, rows_at_once
from bptt.training.experiment import on_the_word_of_a_run
from bptt.training.jobs.series import held_out, panel_of, windows_of
from bptt.training.settings import WORDS
from bptt.training.trained import Trained
from bptt.types import Array

Told: TypeAlias = dict[str, list[str] | list[float]]
"""A table's columns by their names."""


@dataclass(frozen=True, eq=False, repr=False)
class Forecasts(Shown, text="bptt.training.forecasting:in_words"):
    """How series go on.

    Attributes
    ----------
    panel : Panel
        The series.
    values : (M, H, K) float64
        Of each of M series, H steps, in the table's units; K are the quantiles, or 1.
    quantiles : tuple of float or None
        Their levels.
    """

    panel: Panel
    values: Array
    quantiles: tuple[float, ...] | None = None

    @property
    def columns(self) -> Told:
        """A row for each step of each series: the series where they have names, the time, the forecast.

        The columns have the names of the table that was read; times go on as they are written there.
        """
        panel, (M, H, K) = self.panel, self.values.shape
        own = panel.columns
        found: Told = {}
        if own.series is not None:
            found[own.series] = [name for name in panel.names for _ in range(H)]
        found[own.time or "row"] = [panel.time(k, int(panel.ends[k]) + h) for k in range(M) for h in range(H)]
        return found | _by_quantile(self.values.reshape(M * H, K), self.quantiles)

    def written(self, suffix: str = "") -> bytes:
        """Return the columns as a file, by the end of its name (see `bptt.data.tables.writing`)."""
        return written(self.columns, self.panel.form, suffix)


def _by_quantile(values: Array, quantiles: tuple[float, ...] | None) -> Told:
    names = ["forecast"] if quantiles is None else [f"forecast_{level:g}" for level in quantiles]
    return dict(zip(names, values.T.tolist(), strict=True))


def in_words(found: Forecasts) -> str:
    """Return in a line what is forecast."""
    (M, H, _), first = found.values.shape, {name: values[0] for name, values in found.columns.items()}
    return f"<forecasts of {M:,} series, {H:,} steps of each, the first {first}: columns, written>"


@dataclass(frozen=True)
class Forecaster:
    r"""A trained model of series.

    Attributes
    ----------
    trained : Trained

    Examples
    --------
    >>> import pathlib, tempfile, bptt
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> rows = [f"2020-{month:02},{month % 4}" for month in range(1, 13)]
    >>> _ = (folder / "a.csv").write_text("\n".join(["month,sold", *rows]))
    >>> asked = {"time": "month", "value": "sold", "season": 4, "horizon": 2, "window": 4}
    >>> settings = bptt.Settings.of(data=str(folder / "a.csv"), task="forecast", hidden=4, steps=2, **asked)
    >>> _ = list(bptt.Trainer.start(settings, folder / "run").reports())
    >>> forecaster = Forecaster.load(folder / "run")
    >>> forecaster.forecast(horizon=3).columns["month"]
    ['2021-01', '2021-02', '2021-03']
    >>> forecaster.backtest().windows
    1
    """

    trained: Trained

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], name: str = "best", *, encoding: str | None = None
    ) -> "Forecaster":
        """Read a run's model.

        Parameters
        ----------
        folder : path
        name : "best" or "last"
            Which checkpoint; where there is no best one yet, the last is taken.
        encoding : str, optional
            Of tables to come that are not UTF-8; by default that of the run's own.

        Raises
        ------
        RunError
            If there is no run, a file of it cannot be read, or it forecasts no series.
        """
        trained = Trained.load(folder, name, encoding=encoding)
        if trained.settings.job != "series":
            raise RunError(f"{folder} holds a model of {WORDS[trained.settings.job]}: it forecasts no series")
        return cls(trained)

    def forecast(self, path: Given | None = None, horizon: int | None = None) -> Forecasts:
        """Return how the series of a table go on after their last values.

        Parameters
        ----------
        path : path, dict of columns or data frame, optional
            A table with the columns that the run was trained on; by default that very table. Its series need
            not be known to the run. What is known ahead of time stands in rows without a value.
        horizon : int, optional
            Steps to forecast; by default as many as the run was trained for. More are forecast in blocks of
            so many, each from the (middle) forecast of the one before as if it were known: quantiles are then
            too close together.

        Returns
        -------
        Forecasts
            With ``values`` (M, H, K), in the table's units: of each of M series, H steps, K quantiles or 1;
            ``columns``, as a table's columns by their names; and ``written(suffix)``, as a file's bytes.

        Raises
        ------
        DataError
            If the table cannot be used, a series has no value, or what is known ahead of time is not there
            for the whole horizon.
        """
        t = self.trained
        horizon = t.settings.horizon if horizon is None else horizon
        if not isinstance(horizon, int | np.integer) or horizon < 1:
            raise DataError(f"a horizon is a whole number of steps, at least one; got {horizon!r:.40}")
        windows = self._windows(path)
        panel = windows.panel
        if (none := np.flatnonzero(panel.ends == 0)).size:
            says = f"{panel.whose(int(none[0]))} has no value"
            if none.size == len(panel):
                raise DataError(f"{says}: there is nothing to go on from")
            more = f", as {none.size - 1:,} more have none" if none.size > 1 else ""
            warnings.warn(f"{says}{more}: it is not forecast", BpttWarning, stacklevel=2)
            panel = panel.take(np.flatnonzero(panel.ends))
            windows = replace(windows, panel=panel)
        panel.expect_covariates(horizon)
        parts, ahead = [], horizon
        while ahead > 0:  # beyond the horizon that was learnt, from what is forecast until there
            parts.append(self._block(windows, min(ahead, t.settings.horizon)))
            ahead -= t.settings.horizon
            windows = replace(windows, panel=windows.panel.going_on(parts[-1][..., middle_of(t.model)]))
        return Forecasts(panel, np.concatenate(parts, axis=1), t.model.quantiles)

    def _block(self, windows: Windows, horizon: int) -> Array:
        """Return how series go on for as many steps as were learnt, (M, H, K)."""
        model, params, panel = self.trained.model, self.trained.params, windows.panel
        origins, rows = Origins(np.arange(len(panel)), panel.ends), rows_at_once(model, windows, horizon)
        parts = [forecasts(model, params, of) for of in windows.batches(origins, horizon, rows)]
        return np.concatenate(parts, axis=1).swapaxes(0, 1)

    def backtest(self, path: Given | None = None, since: str | None = None) -> Backtest:
        """Return how good the forecasts of rolling windows are, beside the seasonal naive ones.

        Parameters
        ----------
        path : path, dict of columns or data frame, optional
            A table with the columns that the run was trained on; by default that very table.
        since : str, optional
            The first time that is forecast. By default, of the run's own table the first one of the part that
            is held out; of another, the first one after the run's own end.

        Returns
        -------
        Backtest
            With ``windows``, ``values`` (how many were forecast), ``loss`` (the model's, mean per value),
            ``figures`` (``mae``, ``rmse``, ``mase``, and those of the seasonal naive forecast as
            ``naive_mae`` and so on; of quantiles also ``quantile_loss`` and ``coverage``), and ``says``, the
            figures in words; ``by_step``, the errors of each step of the horizon.

        Raises
        ------
        DataError
            If the table cannot be used, is no longer what the run was trained on, or has nothing to measure.
        """
        t, (windows, origins) = self.trained, self.held_out(path, since)
        return backtest(t.model, t.params, windows, origins, t.settings.horizon)

    def backtest_columns(self, path: Given | None = None, since: str | None = None) -> Told:
        """Return what `backtest` measures: a row for each step of each window, as columns by their names.

        They are the series where they have names; ``origin``, the last time that the forecast knows; the
        ``step`` after it, its time, the value as ``actual`` (NaN where none is known), the forecast as
        `forecast` has it, and ``seasonal_naive``.
        """
        return self.measured(path, since)[1]

    def measured(self, path: Given | None = None, since: str | None = None) -> tuple[Backtest, Told, Form]:
        """Return what `backtest` and `backtest_columns` do, of the same forecasts, and the table's form."""
        t, (windows, origins) = self.trained, self.held_out(path, since)
        panel, H, K, parts = windows.panel, t.settings.horizon, t.model.outputs, list[Array]()
        measured = backtest(t.model, t.params, windows, origins, H, kept=parts)
        values = np.concatenate(parts, axis=1).swapaxes(0, 1).reshape(len(origins) * H, K + 2)
        told = [(k, o, h) for k, o in zip(*map(np.ndarray.tolist, origins), strict=True) for h in range(H)]
        own, found = panel.columns, dict[str, list[str] | list[float]]()
        if own.series is not None:
            found[own.series] = [panel.names[k] for k, _, _ in told]
        added: Told = {
            "origin": [panel.time(k, o - 1) for k, o, _ in told],
            "step": [h + 1.0 for _, _, h in told],
            own.time or "row": [panel.time(k, o + h) for k, o, h in told],
            "actual": values[:, K].tolist(),
            **_by_quantile(values[:, :K], t.model.quantiles),
            "seasonal_naive": values[:, K + 1].tolist(),
        }
        found |= {name if name not in found else f"{name}_": column for name, column in added.items()}
        return measured, found, panel.form

    def held_out(self, path: Given | None = None, since: str | None = None) -> tuple[Windows, Origins]:
        """Return the windows of a table, and where in it forecasts begin that `backtest` measures."""
        t, windows, since = self.trained, self._windows(path), None if since is None else str(since)
        is_own = windows.panel.sha256 == t.sha256
        if path is None and not is_own:
            raise DataError(
                f"{t.settings.data} is no longer what the run was trained on, so what it has to measure may "
                "have been trained on: give the PATH of a table, which is measured from the run's own end on"
            )
        after = None if is_own else t.facts.get("until")
        return windows, held_out(windows, t.settings.horizon, since, after)

    def _windows(self, path: Given | None) -> Windows:
        s, facts = self.trained.settings, self.trained.facts
        if path is None:
            self.trained.expect_data("table")
            with on_the_word_of_a_run(s.data):
                panel = panel_of(s, s.data, facts)
        else:
            panel = panel_of(s, table_of(path), facts)
        return windows_of(s, panel, facts)
