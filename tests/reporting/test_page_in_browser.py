"""The page of a report in a browser: its controls, the numbers it tells, no request, no complaint."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from axe import needs_axe, violations
from bptt.reporting import Comparison, Kept, page
from browser import Opened, browser

STEPS = 40
EVIL = '</script><img src=x onerror="window.evil = 1">'
VISIBLE = "return [...document.querySelectorAll('.chart:not([hidden])')].map((box) => box.dataset.against)"
TIP = "return document.getElementById('tip').textContent"


def run(name: str, slope: float) -> Kept:
    lines = [
        {
            "step": 5 * k,
            "tokens": 160 * k,
            "seconds": 0.5 * k * slope,
            "train_loss": 3 - slope * k / STEPS,
            "grad_norm": 2.0 + slope / k,
            "lr": 0.01,
        }
        | ({"valid_loss": 3.1 - slope * k / STEPS} if k % 4 == 0 else {})
        for k in range(1, STEPS + 1)
    ]
    return Kept(name, name, about="an <i>rnn</i>", unit="nats per char", lines=lines, sample=EVIL)


FOUND = Comparison([run("one", 1.0), run(EVIL, 2.0)], [Kept("lost", "lost", problem=f"lost: {EVIL}")])


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    with browser() as started:
        yield started


def test_every_control_and_the_numbers_that_it_tells(opened: Opened, tmp_path: Path) -> None:
    path = FOUND.save(tmp_path / "report.html")
    opened.size(1400, 1000)
    opened.open(path)
    assert opened.js(VISIBLE) == ["step"] * 3
    for against in ("tokens", "seconds", "step"):
        opened.js("document.querySelector(`[data-choose=${arguments[0]}]`).click()", against)
        assert opened.js(VISIBLE) == [against] * 3
        assert opened.js("return location.hash") == f"#{against}"
        pressed = "return [...document.querySelectorAll('[aria-pressed=true]')].map((b) => b.dataset.choose)"
        assert opened.js(pressed) == [against]
    # the pointer in the middle of the loss; then the keys
    opened.js(
        """const svg = document.querySelector('.chart[data-against=step] svg');
        const box = svg.getBoundingClientRect();
        const [low, high, left, right] = svg.dataset.x.split(' ').map(Number);
        const place = left + (100 - low) / (high - low) * (right - left);
        const x = box.left + place / svg.viewBox.baseVal.width * box.width;
        svg.dispatchEvent(new PointerEvent('pointermove', { clientX: x, clientY: box.top + 50 }));"""
    )
    told = opened.js(TIP).splitlines()
    assert told[:2] == ["step 100", f"one: validation {3.1 - 20 / STEPS:.4g}, training {3 - 20 / STEPS:.4g}"]
    assert told[2] == f"{EVIL}: validation {3.1 - 40 / STEPS:.4g}, training {3 - 40 / STEPS:.4g}"
    opened.js("document.querySelector('#norm .chart[data-against=step] svg').focus()")
    opened.keys("HOME")
    assert opened.js(TIP).splitlines()[0] == "step 0"
    opened.keys("END")
    assert opened.js(TIP).splitlines()[:2] == ["step 200", f"one: {2 + 1 / STEPS:.4g}"]
    assert opened.js("return document.getElementById('said').textContent") == opened.js(TIP)
    saved = opened.js("return bptt.toSVG(document.querySelector('#loss'))")
    assert saved.count("<path") >= 4
    assert opened.js("return window.evil") is None
    assert opened.complaints() == []
    assert [url.split("#")[0].split("/")[-1] for url in opened.requests()] == ["report.html"]


def test_a_link_to_what_is_chosen_and_a_narrow_page(opened: Opened, tmp_path: Path) -> None:
    path = FOUND.save(tmp_path / "report.html")
    opened.size(400, 900)
    opened.open(path, "#seconds")
    assert opened.js(VISIBLE) == ["seconds"] * 3
    wide = opened.js("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_on_the_page_breaks_a_rule(theme: str, opened: Opened, tmp_path: Path) -> None:
    needs_axe()
    opened.size(1200, 900)
    opened.open(FOUND.save(tmp_path / "report.html"))
    opened.js("document.documentElement.dataset.theme = arguments[0]", theme)
    opened.js("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert violations(opened) == []
    opened.js("document.querySelector('main').append(document.createElement('button'))")
    assert any(one.startswith("button-name") for one in violations(opened))


def test_a_page_whose_script_fails_is_seen(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_data", lambda found: {"runs": [{"name": "x", "lines": {}}], "charts": {}})
    monkeypatch.setattr(page, "_chart", lambda *_: "<svg></svg>")  # without what the script reads off
    path = FOUND.save(tmp_path / "report.html")
    opened.open(path)
    assert opened.complaints() != []


def test_a_chart_stands_where_its_numbers_are() -> None:
    picture = page._chart(FOUND, "norm", "tokens")
    low, high, *_ = map(float, picture.split('data-y="')[1].split('"')[0].split())
    np.testing.assert_allclose([low, high], np.log10([2 + 1 / STEPS, 4.0]), rtol=1e-8)
