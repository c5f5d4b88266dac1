"""The shell in a browser: nothing else is asked for, nothing else runs, pictures can be saved."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bptt.html import EightBits, page
from browser import Opened, browser

EVIL = '</script><img src=x onerror="window.evil = 1"><script>window.evil = 1</script>'
SHOW = """bptt.ready(() => {
  document.getElementById("text").textContent = bptt.data.text;
  document.getElementById("sum").textContent = bptt.data.x.data.reduce((a, b) => a + b, 0).toFixed(1);
  bptt.onTheme(() => { document.getElementById("theme-is").textContent = bptt.theme(); });
});"""
BODY = """<figure class="picture" id="one"><figcaption>One <span data-tip="a tip">word</span></figcaption>
<p id="text"></p><p id="sum"></p><p id="theme-is"></p>
<svg width="20" height="10"><path class="p" d="M0 0L9 9"/></svg>
</figure>"""


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    with browser() as started:
        yield started


def write(folder: Path, body: str = BODY, script: str = SHOW) -> Path:
    data = {"text": EVIL, "x": EightBits(np.linspace(0, 1, 101)[:, None], 0.0, 1.0)}
    path = folder / "page.html"
    path.write_text(page(EVIL, body, data=data, scripts=[script], styles=[".p { stroke: #123456 }"]), "utf-8")
    return path


def test_the_page_is_shown_and_asks_for_nothing(opened: Opened, tmp_path: Path) -> None:
    opened.open(write(tmp_path))
    assert opened.js("return document.getElementById('text').textContent") == EVIL
    assert opened.js("return document.getElementById('sum').textContent") == "50.5"
    assert opened.js("return document.title") == EVIL
    assert opened.js("return window.evil") is None
    assert opened.complaints() == []
    assert [url.split("/")[-1] for url in opened.requests()] == ["page.html"]


def test_what_the_page_did_not_bring_does_not_run(opened: Opened, tmp_path: Path) -> None:
    body = (
        BODY
        + "<script>window.evil = 1</script><img src='https://example.org/a.png' onerror='window.evil = 1'>"
    )
    opened.open(write(tmp_path, body))
    assert opened.js("return window.evil") is None
    assert any("Content Security Policy" in said for said in opened.complaints())
    assert not any("example.org" in url and not url.endswith("page.html") for url in opened.requests()[2:])


def test_colours_turn_and_a_tip_shows(opened: Opened, tmp_path: Path) -> None:
    opened.open(write(tmp_path))
    before = opened.js("return document.getElementById('theme-is').textContent")
    seen = set()
    for _ in range(3):
        opened.js("document.getElementById('theme').click()")
        seen.add(opened.js("return document.getElementById('theme-is').textContent"))
    assert before in seen
    assert seen == {"light", "dark"}
    opened.js(
        "document.querySelector('[data-tip]').dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
    )
    assert opened.js("const t = document.getElementById('tip'); return [t.hidden, t.textContent]") == [
        False,
        "a tip",
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_palettes_can_be_told_apart(theme: str, opened: Opened, tmp_path: Path) -> None:
    """The diverging palette's sides are equally light, and unlike each other to the colour-blind."""
    opened.open(write(tmp_path))
    opened.js("document.documentElement.dataset.theme = arguments[0]", theme)
    diverging = np.array(opened.js("return bptt.colours.diverging.map(({ rgb }) => rgb)")) / 255
    linear = np.where(diverging <= 0.04045, diverging / 12.92, ((diverging + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert len(diverging) == 255
    assert np.abs(luminance - luminance[::-1]).max() < 0.06
    steps = np.diff(luminance[127:])
    assert (steps * np.sign(steps.sum()) >= -0.004).all(), "from the middle on it goes one way"
    # what each of the two common kinds of colour blindness sees (Machado, Oliveira and Fernandes, 2009)
    deuteranopia = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    protanopia = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    for seen in (deuteranopia, protanopia):
        left, right = np.clip(linear[[0, 254]] @ np.array(seen).T, 0, 1)
        assert np.abs(left - right).max() > 0.25


def test_a_picture_is_saved_as_it_is_laid_out(opened: Opened, tmp_path: Path) -> None:
    opened.open(write(tmp_path))
    svg = opened.js("return bptt.toSVG(document.getElementById('one'))")
    assert re.search(r'stroke="rgb\(18, 52, 86\)"', svg), "styles are written out"
    assert "Save as SVG" not in svg
    assert "&lt;/script&gt;&lt;img" in svg
    shown = opened.js(
        "const d = new DOMParser().parseFromString(arguments[0], 'image/svg+xml');"
        "return [d.querySelector('parsererror') === null, "
        "d.querySelector('svg').textContent]",
        svg,
    )
    assert shown[0]
    assert "50.5" in shown[1]


def test_a_script_that_fails_is_seen(opened: Opened, tmp_path: Path) -> None:
    opened.open(write(tmp_path, script="bptt.ready(() => { nothing.here; });"))
    assert "nothing is not defined" in opened.js("return document.querySelector('.failed').textContent")
    assert any("nothing is not defined" in said for said in opened.complaints())


def test_a_script_with_an_end_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="end tag"):
        page("a", "", scripts=["'</script>'"])
