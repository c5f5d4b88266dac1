"""Who cannot see or point uses the page, too: axe-core's rules, in each colour scheme."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bptt.looking.page import page
from browser import Opened, browser
from views import seen, view

AXE = Path(__file__).parents[3] / ".ci" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
"""Where `npm install --prefix .ci/axe axe-core` puts it."""

RUN = "const done = arguments[0]; axe.run({ resultTypes: ['violations'] }).then(done);"


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    if not AXE.is_file():
        pytest.skip("no axe-core here: npm install --prefix .ci/axe axe-core")
    with browser() as started:
        yield started


def violations(opened: Opened) -> list[str]:
    """Return each element that breaks a rule, and which."""
    opened.driver.set_script_timeout(60)
    found = opened.driver.execute_async_script(RUN)["violations"]
    return [f"{one['id']}: {node['html'][:150]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_on_the_page_breaks_a_rule(theme: str, opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(view(seen(150, 8, 20), seen(150, 6, 20, 4, "another"))), "utf-8")
    opened.size(1200, 900)
    opened.open(path, "#t=60&a=8&b=28&u0=0")
    opened.js("document.documentElement.dataset.theme = arguments[0]", theme)
    opened.js("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    opened.js(AXE.read_text("utf-8"))
    opened.settled()
    assert violations(opened) == []
    opened.js("document.getElementById('help').showModal()")
    assert violations(opened) == []


def test_a_button_without_a_name_is_seen(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(view(seen(60, 4, 10))), "utf-8")
    opened.open(path)
    opened.js("document.querySelector('#text-1').append(document.createElement('button'))")
    opened.js(AXE.read_text("utf-8"))
    assert any(one.startswith("button-name") for one in violations(opened))
