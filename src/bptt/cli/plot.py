"""Forecasts as a picture: a panel for each series, what was, and how it goes on."""

import io
import warnings

import numpy as np

from bptt.flow.chart import BLUE, FAINT, FONT, INK, PAPER, expect_matplotlib
from bptt.training.forecasting import Forecasts

__all__ = ["FORMS", "drawn", "expect_matplotlib"]

FORMS = (".svg", ".png")
"""How the name of a picture's file may end."""

MOST = 12
"""Series that are drawn: the first ones."""

SHOWN = 3
"""Windows of what was that are drawn before a forecast."""


def drawn(found: Forecasts, window: int, form: str) -> bytes:
    """Return the picture of forecasts.

    Parameters
    ----------
    found : Forecasts
    window : int
        Steps that a forecast reads.
    form : "svg" or "png"

    Raises
    ------
    ConfigError
        If matplotlib is not installed.
    """
    expect_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    count = min(len(found.values), MOST)
    across = 1 if count == 1 else 2 if count < 5 else 3
    down = -(-count // across)
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font lacks
        matplotlib.rcdefaults()  # the same picture whatever the user's own settings are
        matplotlib.rcParams.update(FONT)
        figure = Figure((8 if across == 1 else 4.4 * across, 2.8 * down), facecolor=PAPER, layout="tight")
        for k in range(count):
            axes = figure.add_subplot(down, across, k + 1, facecolor=PAPER)
            _draw(axes, found, k, SHOWN * window)
        out = io.BytesIO()
        figure.savefig(out, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    return out.getvalue()


def _draw(axes: object, found: Forecasts, k: int, shown: int) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    panel, values = found.panel, found.values[k]
    start, end = int(panel.starts[k]), int(panel.ends[k])
    first, H = max(0, end - shown), len(values)
    past, ahead = np.arange(first, end), np.arange(end, end + H)
    axes.plot(past, panel.values[start + first : start + end], color=INK, linewidth=1)
    K = values.shape[1]
    for low in range(K // 2):
        axes.fill_between(ahead, values[:, low], values[:, K - 1 - low], color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(ahead, values[:, K // 2], color=BLUE, linewidth=1.5)
    axes.axvline(end - 0.5, color=FAINT, linewidth=0.6)
    ticks = np.unique(np.linspace(first, end + H - 1, 5).astype(int))
    axes.set_xticks(ticks, [panel.time(k, int(step)) for step in ticks])
    axes.tick_params(labelsize=8)
    name = panel.names[k] if panel.columns.series is not None else panel.columns.value
    axes.set_title(name, fontsize=10, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
