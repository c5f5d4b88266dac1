"""Who cannot see or point uses the page, too: axe-core's rules, in each colour scheme."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from axe import needs_axe, violations
from bptt.looking.page import page
from browser import Opened, browser
from views import seen, view


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    needs_axe()
    with browser() as started:
        yield started


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_on_the_page_breaks_a_rule(theme: str, opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(view(seen(150, 8, 20), seen(150, 6, 20, 4, "another"))), "utf-8")
    opened.size(1200, 900)
    opened.open(path, "#t=60&a=8&b=28&u0=0")
    opened.js("document.documentElement.dataset.theme = arguments[0]", theme)
    opened.js("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    opened.settled()
    assert violations(opened) == []
    opened.js("document.getElementById('help').showModal()")
    assert violations(opened) == []


def test_a_button_without_a_name_is_seen(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(view(seen(60, 4, 10))), "utf-8")
    opened.open(path)
    opened.js("document.querySelector('#text-1').append(document.createElement('button'))")
    assert any(one.startswith("button-name") for one in violations(opened))
