"""Series, forecast over a horizon: what is learnt is how far a linear forecast is off."""

import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from bptt.data.labelled import ELAPSED
from bptt.data.series import (
    OWN_INPUTS,
    Columns,
    Origins,
    Panel,
    Step,
    WindowBatches,
    Windows,
    read_panel,
)
from bptt.data.series.clock import in_utc, read_time
from bptt.data.series.columns import names_of
from bptt.data.tables import Category, Number, Table
from bptt.data.tables.dates import Dates
from bptt.data.tables.numbers import far_off
from bptt.data.text import Vocabulary
from bptt.errors import BpttWarning, ConfigError, DataError, RunError
from bptt.nets.evaluate import ALONE, Turns
from bptt.nets.model import Model
from bptt.training.backtest import backtest
from bptt.training.experiment import Experiment, Validation
from bptt.training.settings import Settings
from bptt.types import Array, Params

HELD = 5
"""Of each series the last one in so many steps is held out, and at least a horizon."""

MOST_WINDOWS = 1000
"""Windows that are validated on; where there are more, some at even distances."""

SEASONS = {
    "1 hour": "24, or 168",
    "1 day": "7",
    "1 weekday": "5",
    "1 week": "52",
    "1 month": "12",
    "3 months": "4",
}
"""What a season often is, by the step of time."""

LOSS = {"squared": "squared_error", "absolute": "absolute_error", "quantile": "quantile"}
"""The model's loss by the name that the setting has."""


@dataclass(frozen=True, kw_only=True)
class Forecasting(Experiment):
    """Series that are forecast; the last part of each is held out, and is backtested on."""

    windows: Windows
    held: Origins

    @classmethod
    def of(cls, settings: Settings, known: Vocabulary | None = None) -> "Forecasting":
        """Read the series, hold out the last part of each, and describe the model."""
        panel = panel_of(settings, settings.data)
        windows, levels = windows_of(settings, panel), levels_of(settings)
        cut = first_held(panel, settings.horizon)
        train = windows.origins(np.zeros_like(cut), cut, settings.horizon)
        _expect_long(windows, settings, train)
        windows = windows.fitted(train)
        held = held_out(windows, settings.horizon, None, None)
        model = Model(
            inputs=OWN_INPUTS + panel.covariates.shape[1],
            outputs=len(levels) if levels else 1,
            token_inputs=False,
            loss=LOSS[settings.loss],
            quantiles=levels,
            **settings.of_model(token_inputs=False),
        )
        facts: dict[str, Any] = {
            "source": settings.data,
            "sha256": panel.sha256,
            "series": len(panel),
            "step": msgspec.to_builtins(panel.clock.step),
            "until": until(panel),
        }
        if windows.linear is not None:
            facts["linear"] = windows.linear.tolist()
        if panel.codes:
            facts["columns"] = msgspec.to_builtins(panel.codes)
        return cls(
            settings=settings,
            model=model,
            source=WindowBatches(windows, train, settings.batch, settings.seed),
            facts=facts,
            windows=windows,
            held=held.take(np.arange(len(held))[:: -(-len(held) // MOST_WINDOWS)]),
        )

    @property
    def unit(self) -> str:
        """What a loss is taken of."""
        return "value"

    @property
    def summary(self) -> str:
        """How much there is of the series."""
        panel, s = self.windows.panel, self.settings
        many = f"{len(panel):,} series" if len(panel) > 1 else "one series"
        known = int(np.isfinite(panel.values).sum())
        return (
            f"{s.data}: {many} in steps of {panel.clock.step}, {known:,} values, until "
            f"{self.facts['until']}; the last fifth of each is held out, {len(self.held):,} window"
            f"{'s' if len(self.held) != 1 else ''} of it to validate"
        )

    @property
    def notes(self) -> Iterable[str]:
        """What a season might be, where none was named, and what number may mean that there is none."""
        panel = self.windows.panel
        if (odd := far_off(panel.values)) is not None:
            value, often = odd[0], "once" if odd[1] == 1 else f"{odd[1]:,} times"
            yield (
                f"{value:.15g} stands {often} as a value, far from all others: where it is none, "
                f"--missing {value:.15g}"
            )
        elif len(panel) > 1:
            each = ((k, far_off(y)) for k, y in enumerate(np.split(panel.values, panel.starts[1:])))
            if alone := [(k, odd[0]) for k, odd in each if odd is not None and odd[1] == 1]:
                k, value = alone[0]
                more = f", and {len(alone) - 1:,} more series have one" if len(alone) > 1 else ""
                yield (
                    f"{value:.15g} stands once in series {panel.names[k]!r:.60}, far from all its others"
                    f"{more}: it sets the scale of the windows that hold it; where it is none, leave it empty"
                )
        step = self.windows.panel.clock.step
        if self.settings.season == 1 and (seasons := SEASONS.get(str(step))) is not None:
            yield (
                "without --season the forecast that is compared with repeats the last value; in steps of "
                f"{step} a season is often --season {seasons}"
            )

    def drawn(self) -> Params:
        """Return the parameters that a run begins with: those of the linear forecast."""
        params = super().drawn()
        return params | {"output.W": np.zeros_like(params["output.W"])}

    def validate(self, params: Params, turns: Turns = ALONE, *, whole: bool = False) -> Validation:
        """Measure the forecasts of the held-out windows, beside the seasonal naive ones."""
        found = backtest(self.model, params, self.windows, self.held, self.settings.horizon, turns)
        return Validation(found.loss, found.figures)


def levels_of(settings: Settings) -> tuple[float, ...] | None:
    """Return the quantiles that are forecast, rising; None where none are."""
    if settings.loss != "quantile":
        return None
    try:
        levels = tuple(float(text) for text in settings.quantiles.split(","))
    except ValueError:
        levels = ()
    if not levels or list(levels) != sorted({*levels}) or not all(0 < level < 1 for level in levels):
        raise ConfigError(
            f"quantiles are rising numbers between 0 and 1, as in 0.1,0.5,0.9; got {settings.quantiles!r:.60}"
        )
    return levels


def panel_of(settings: Settings, path: str | Table, facts: dict[str, Any] | None = None) -> Panel:
    """Read the series of a table, with the step of time and the codes of a run's `facts` if there are any."""
    if settings.value is None:
        raise ConfigError("--task forecast wants --value COLUMN: what is forecast")
    facts = facts or {}
    ahead = tuple(names_of(settings.covariates))
    columns = Columns(
        settings.value,
        settings.time,
        settings.series,
        ahead,
        settings.head,
        settings.encoding,
        settings.date_format,
        settings.no_numbers,
        goes_on=path is not settings.data,
        beside=tuple(dict.fromkeys(column for _, column in settings.read_beside if column != ELAPSED)),
    )
    return read_panel(
        path,
        columns,
        gaps=settings.gaps,
        step=msgspec.convert(facts["step"], Step) if "step" in facts else None,
        codes=msgspec.convert(facts["columns"], dict[str, Category | Number]) if "columns" in facts else None,
    )


def windows_of(settings: Settings, panel: Panel, facts: dict[str, Any] | None = None) -> Windows:
    """Return the windows of a panel, as the settings have them, with the linear map of a run's `facts`."""
    W, H, linear = settings.window, settings.horizon, None
    if (found := (facts or {}).get("linear")) is not None:
        if [len(row) for row in found] != [H] * W:
            raise RunError(f"config.json: data: linear must be {W} x {H} numbers")
        linear = np.array(found, np.float64)
    beside = {name: None if column == ELAPSED else column for name, column in settings.read_beside}
    return Windows(panel, W, settings.season, settings.scaling, H, linear, beside)


def first_held(panel: Panel, horizon: int) -> Array:
    """Return from which step on each series is held out, (M,)."""
    held = np.maximum(horizon, panel.ends // HELD)
    cut: Array = np.maximum(panel.ends - held, 0)
    return cut


def held_out(windows: Windows, horizon: int, since: str | None, after: str | None) -> Origins:
    """Return where forecasts begin that nothing was trained on.

    That is at `since` or later, or else after `after`, or else in the part that is held out. DataError if
    there is none.
    """
    panel = windows.panel
    first = first_held(panel, horizon)
    if (text := since or after) is not None:
        form, when = read_time(panel.clock.dates.iso(text))
        if (form.kind == "number") != (panel.clock.form.kind == "number"):
            raise DataError(f"{panel.name}: its times are not written as {text}")
        if form.zone and panel.clock.form.zone:  # which may be another, as in another part of the year
            when = in_utc(form, when)[1] - in_utc(panel.clock.form, 0)[1]
        first = np.array([_step_at(panel, k, when, is_beyond=since is None) for k in range(len(panel))])
    origins = windows.origins(first, panel.ends, horizon)
    if not len(origins):
        where = ""
        if text is not None:
            where = f" at {since} or later" if since else f" after {after}, where the run's own data end,"
        raise DataError(
            f"{panel.name}: no {horizon} steps are there to be forecast{where} with {windows.least} before "
            "them: give a longer table, or --since TIME"
        )
    return origins


def _step_at(panel: Panel, which: int, when: float, *, is_beyond: bool) -> int:
    """Return the first step of a series that is at a time or later, or else the first that is later."""
    bisect = bisect_right if is_beyond else bisect_left
    return bisect(range(int(panel.ends[which])), when, key=lambda step: panel.when(which, step))


def until(panel: Panel) -> str:
    """Return when the last value of all is, with days as in 2020-01-31, whatever the table's form."""
    ends = [int(end) - 1 for end in panel.ends]
    last = max(range(len(panel)), key=lambda k: panel.when(k, ends[k]))
    return replace(panel, clock=replace(panel.clock, dates=Dates())).time(last, ends[last])


def _expect_long(windows: Windows, settings: Settings, train: Origins) -> None:
    """Say which series have no window to train on; DataError where none has."""
    panel, season = windows.panel, settings.season
    if season > (most := int(panel.ends.max(initial=0))) > 0:
        raise DataError(
            f"{panel.name}: --season {season:,} is longer than all series: at most {most:,} steps"
        )
    if len(short := sorted({*range(len(panel))} - {*train.which.tolist()})) == 0:
        return
    if not panel.ends.any():
        raise DataError(f"{panel.name}: no row has a {panel.columns.value}")
    wanted = windows.least + 2 * settings.horizon
    longest = max(int(panel.ends[k]) for k in short)
    why = (
        f"fewer than {wanted:,} steps: half a window or a season of {windows.least}, a horizon of "
        f"{settings.horizon}, and as much held out"
        if longest < wanted
        else "no value known in a window, or in what comes after it"
    )
    if len(short) == len(panel):
        raise DataError(
            f"{panel.whose(short[0])} is too short to train on, with {int(panel.ends[short[0]])} steps "
            f"({why}): give a smaller --horizon, --window or --season, or more rows"
        )
    few = f"{len(short):,} of {len(panel):,} series, such as {panel.names[short[0]]!r:.60}"
    warnings.warn(f"{few}, are not trained on: {why}", BpttWarning, stacklevel=2)
