"""The picture of a flow: nothing that is written is cut off, whatever the numbers and names are."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bptt.cells import LSTM
from bptt.flow import Flow, Path, chart, report, through_time
from bptt.flow.labels import place
from flows import SUM, SWINGS, layer, linear, scaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONG = """
@bptt.cell(state="the_output_of_the_whole_cell the_memory_that_it_keeps")
def long(a_the_gate_that_has_a_very_long_name, the_memory_that_it_keeps):
    the_memory_that_it_keeps = 0.9 * the_memory_that_it_keeps + tanh(a_the_gate_that_has_a_very_long_name)
    the_output_of_the_whole_cell = tanh(the_memory_that_it_keeps)
    return the_output_of_the_whole_cell, the_memory_that_it_keeps
"""


def given(square: float, K: int = 5) -> Flow:
    """Return a flow whose squares are all this number."""
    return Flow("made", ("my_own_$tate",), {Path("everything", ((),)): np.full((K + 1, 2, 1, 1), square)})


def lstm(T: int, U: float = 1.0, H: int = 4) -> Flow:
    params = layer(LSTM(), H)
    x = np.random.default_rng(0).normal(size=(T, 2, 2))
    return through_time("lstm", {**params, "U": U * params["U"]}, x / U**2)


HARD: dict[str, Callable[[], Flow]] = {
    "none": lambda: scaled(0.0),
    "grows": lambda: scaled(2.0),
    "explodes": lambda: scaled(40.0),
    "beyond bounds": lambda: scaled(1e3),
    "lstm": lambda: lstm(30, 9.0),
    "one lag": lambda: lstm(1),
    "many lags": lambda: scaled(0.9, 4000),
    "one unit": lambda: lstm(30, H=1),
    "long": lambda: replace(linear(LONG, 3.0, 20), cell="a-cell-with-a-long-name" * 5, where="a text " * 60),
    "oscillates": lambda: linear(SWINGS, 1.0, 100),
    "cancels": lambda: linear(SUM, -0.9, 20),
    "not a number": lambda: given(np.nan),
    "infinite": lambda: given(np.inf),
    "zero": lambda: given(0.0),
    "signs": lambda: replace(given(0.5), states=("$x_{^\\",), where="of $5 and $a_b$ <&>"),
    "other letters": lambda: replace(given(0.5), states=("\u72b6",), cell="\u72b6", where="\u72b6"),
}


def kept(monkeypatch: pytest.MonkeyPatch) -> "list[Figure]":
    """Return where the figures that are drawn will be."""
    figures: list[Figure] = []
    fill = chart._fill

    def keep(figure: "Figure", flow: Flow) -> None:
        figures.append(figure)
        fill(figure, flow)

    monkeypatch.setattr(chart, "_fill", keep)
    return figures


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HARD)
def test_all_that_is_written_stands_in_the_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    flow, figures = HARD[name](), kept(monkeypatch)
    json.dumps(report.to_json(flow), allow_nan=False)
    assert "None" not in report.text(flow)
    ET.fromstring(chart.draw(flow, "svg"))
    if name == "other letters":  # as wide as the reader's font has them
        assert chart.draw(flow, "png").startswith(b"\x89PNG")
        return
    (figure,) = figures
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    for axes in figure.axes:
        # the left title is where the panel's name stands
        texts += [axes._left_title, axes.xaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]  # type: ignore[attr-defined]
        highest = max(np.max(line.get_ydata(), initial=0) for line in axes.lines)
        assert highest <= axes.get_ylim()[1]
    for text in texts:
        box = text.get_window_extent()
        (left, bottom), (right, top) = figure.bbox.padded(1).get_points()
        assert left <= box.x0 <= box.x1 <= right, text.get_text()
        assert bottom <= box.y0 <= box.y1 <= top, text.get_text()


def test_a_gradient_that_comes_back_from_zero_is_drawn_with_its_zeros(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    figures = kept(monkeypatch)
    chart.draw(linear(SWINGS, 1.0, 10), "svg")
    lines = [np.asarray(line.get_ydata()) for line in figures[0].axes[0].lines]
    (everything,) = [line for line in lines if len(line) == 11]
    assert (everything[1::2] < chart.LOWEST).all()
    assert (everything[::2] > 0.5).all()


def test_labels_stand_on_no_line_and_not_on_each_other() -> None:
    x = np.linspace(0, 200, 400)
    lines = [np.column_stack([x, 150 - x * slope]) for slope in (0.2, 0.5, 2.0)]
    sizes = [(60.0, 8.0), (30.0, 8.0), (10.0, 8.0)]
    boxes = [
        (*at, at[0] + w, at[1] + h)
        for at, (w, h) in zip(place(lines, sizes, (0, 0, 200, 160), [None] * 3), sizes, strict=True)
        if at is not None
    ]
    for k, (left, bottom, right, top) in enumerate(boxes):
        for line in lines:
            x, y = line.T
            assert not ((x > left) & (x < right) & (y > bottom) & (y < top)).any()
        assert all(right <= b[0] or b[2] <= left or top <= b[1] or b[3] <= bottom for b in boxes[:k])
