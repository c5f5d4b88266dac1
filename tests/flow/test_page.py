"""The page of a flow in a browser: its picture in both schemes, no complaint, no rule broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from axe import needs_axe, violations
from bptt.flow import chart
from bptt.flow.page import page
from browser import Opened, browser
from flows import scaled

pytest.importorskip("matplotlib")

FILLS = "return [...document.querySelectorAll('figure svg text')].map((text) => getComputedStyle(text).fill)"


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    with browser() as started:
        yield started


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_is_as_light_or_dark_as_the_page(theme: str, opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "flow.html"
    path.write_bytes(page(scaled(0.8)))
    opened.size(1200, 900)
    opened.open(path)
    opened.js("document.documentElement.dataset.theme = arguments[0]", theme)
    fills, ink = set(opened.js(FILLS)), "rgb(27, 27, 27)" if theme == "light" else "rgb(232, 232, 232)"
    assert ink in fills
    assert ink in opened.js("return bptt.toSVG(document.getElementById('flow'))")
    assert opened.complaints() == []
    needs_axe()
    assert violations(opened) == []


def test_what_the_policy_forbids_is_seen(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "_attributes", lambda style: f' style="{style}"')
    path = tmp_path / "flow.html"
    path.write_bytes(page(scaled(0.8)))
    opened.open(path)
    assert opened.complaints() != []


def test_a_font_all_in_one_is_taken_apart() -> None:
    found = chart._attributes("font: oblique 11px 'DejaVu Sans', serif; fill: #1b1b1b")
    assert (
        found
        == """ fill="#1b1b1b" font-style="oblique" font-size="11px" font-family="'DejaVu Sans', serif\""""
    )
    assert 'font-weight="700"' in chart._attributes("font: 700 12px sans-serif")
