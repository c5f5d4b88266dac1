"""The page in Chromium: controls are used, numbers compared with the view; a broken pane is seen."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.looking.page import compose, page
from bptt.looking.view import View
from browser import Opened, browser
from views import TEXT, seen, view

FIRST = view()


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    with browser() as started:
        started.size(1400, 1000)
        yield started


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page(FIRST), "utf-8")
    return path


def state(opened: Opened, part: str) -> Any:
    opened.settled()
    return opened.js("return look.state[arguments[0]]", part)


def text(opened: Opened, selector: str) -> str:
    opened.settled()
    return str(opened.js("return document.querySelector(arguments[0]).textContent", selector))


def choose(opened: Opened, selector: str, value: str) -> None:
    """Have a field have another value, as a person does."""
    opened.js(
        "const f = document.querySelector(arguments[0]); f.value = arguments[1];"
        "for (const kind of ['input', 'change']) f.dispatchEvent(new Event(kind, { bubbles: true }));",
        selector,
        value,
    )
    opened.settled()


def click(opened: Opened, selector: str) -> None:
    opened.js("document.querySelector(arguments[0]).click()", selector)
    opened.settled()


def focus(opened: Opened, selector: str) -> None:
    opened.js("document.querySelector(arguments[0]).focus()", selector)


def number(said: str) -> float:
    """Return the number that a person reads in it."""
    powers = str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
    found = re.search(
        r"-?\d[\d,]*(\.\d+)?(e-?\d+)?", said.translate(powers).replace("·10", "e").replace(",", "")
    )
    assert found is not None, said
    return float(found[0])


def values(of: View = FIRST, name: str = "c") -> Any:
    return next(value for value in of.runs[0].layers[0].values if value["name"] == name)


def text_pane(opened: Opened) -> None:
    shown = opened.js(
        "const copy = document.querySelector('#text-1 .passage').cloneNode(true);"
        "copy.querySelectorAll('.soft').forEach(sign => sign.remove()); return copy.textContent"
    )
    assert shown == "".join(FIRST.runs[0].tokens)
    assert "<b>who</b>" in shown
    value = values()
    choose(opened, '[aria-label="Unit"]', "7")
    colours = opened.backgrounds("#text-1 [data-t]")
    far = np.abs(value["array"][:, 7]) > 0.2 * np.abs(value["array"][:, 7]).max()
    assert far.sum() > 20
    is_orange = np.array([red > blue for red, _, blue in colours])
    np.testing.assert_array_equal(is_orange[far], value["array"][far, 7] > 0)
    click(opened, 'input[value="loss"]')
    assert opened.backgrounds("#text-1 [data-t]") != colours
    assert "loss, nats" in text(opened, "#text-1 .key")
    click(opened, 'input[name="shade"][value="value"]')


def facts(opened: Opened) -> None:
    run = FIRST.runs[0]
    choose(opened, "#step-number", "33")
    choose(opened, '[aria-label="Unit"]', "4")
    assert run.guesses is not None
    best = run.vocabulary[run.guesses["tokens"][33][0]]
    assert opened.texts("#text-1 .guess .token")[0].strip(" ␣↵⇥") == best.strip()
    shown = number(opened.texts("#text-1 .guess .p")[0])
    assert shown == pytest.approx(100 * run.guesses["p"][33][0], abs=1.5)
    equation = opened.texts("#text-1 .equation:nth-of-type(5) .number")
    at = {name: values(name=name)["array"][33, 4] for name in "cfig"}
    wanted = [at["c"], at["f"], values()["array"][32, 4], at["i"], at["g"]]
    np.testing.assert_allclose([number(one) for one in equation], wanted, atol=0.02)
    opened.until("document.getElementById('said').textContent.startsWith('Step 33')")
    assert f"loss {run.loss[33]:.2f}" in text(opened, "#said")


def keys(opened: Opened) -> None:
    choose(opened, "#step-number", "33")
    focus(opened, "#text-1 .passage")
    opened.keys("ARROW_RIGHT", "ARROW_RIGHT", "ARROW_LEFT")
    assert state(opened, "t") == 34
    opened.keys("SHIFT+ARROW_RIGHT", "SHIFT+ARROW_RIGHT")
    assert [state(opened, part) for part in "tab"] == [36, 34, 36]
    assert opened.js("return document.querySelectorAll('#text-1 .marked').length") == 3
    opened.keys("ESCAPE")
    assert state(opened, "a") == -1
    opened.keys("ARROW_DOWN")
    assert state(opened, "t") > 40
    opened.keys("ARROW_UP", "]", "]", "[", "v", "l")
    assert (state(opened, "u0"), state(opened, "v0"), state(opened, "shade")) == (5, "h", "loss")
    opened.keys("l", "v", "?")
    assert opened.js("return document.getElementById('help').open")
    opened.keys("ESCAPE", "3")
    assert opened.js("return [document.getElementById('help').open, document.activeElement.id]") == [
        False,
        "gradient",
    ]
    focus(opened, "#step")
    opened.keys("HOME")
    assert state(opened, "t") == 0
    focus(opened, "#units-1 .heat")
    opened.keys("ARROW_DOWN")
    order = np.argsort(-FIRST.runs[0].layers[0].remembers["c"], kind="stable")
    assert state(opened, "u0") in order


def units(opened: Opened) -> None:
    run = FIRST.runs[0]
    choose(opened, '[aria-label="Value"]', "c")
    choose(opened, '[aria-label="Unit"]', "0")
    quotes = run.properties[0].array
    start = int(np.flatnonzero(quotes)[0])
    choose(opened, "#step-number", str(start))
    click(opened, "#mark")
    assert (state(opened, "a"), state(opened, "b")) == stretches(quotes)[0]
    found = opened.js("return look.runs[0].exact.map(({ unit, sign }) => [unit, sign])")
    assert [0, 1] in found, "the unit that is on inside quotation marks"
    array = values()["array"]
    theta = 0.3 * np.abs(array).max(axis=0)
    for unit, sign in found:
        on = sign * array[:, unit] >= theta[unit] * 0.99
        assert on[state(opened, "a") : state(opened, "b") + 1].all()
    together = np.all([s * array[:, u] >= theta[u] for u, s in found], axis=0)
    others = [one for one in stretches(together) if one != stretches(quotes)[0]]
    assert sorted(map(tuple, opened.js("return look.runs[0].found"))) == others
    click(opened, "#units-1 .chips button")
    quoted = [one for one in stretches(quotes) if one != stretches(quotes)[0]]
    assert sorted(map(tuple, opened.js("return look.runs[0].found"))) == quoted, "where the one unit is on"
    click(opened, "#units-1 .places button")
    assert state(opened, "t") in [start for start, _ in quoted]
    for order in opened.js("return [...document.querySelectorAll('#order option')].map(o => o.value)"):
        choose(opened, "#order", order)
    choose(opened, "#order", "follows column")
    best = int(np.argmax(np.abs(run.layers[0].follows[1])))
    assert opened.js("return look.ordered(look.runs[0], 12).order[0]") == best
    choose(opened, "#scale", "all")
    choose(opened, "#theta", "0.95")
    choose(opened, "#edge", "2")
    assert "95 %" in text(opened, "#theta-is")
    for button in ("Show more steps", "Show fewer steps"):
        click(opened, f'#units-1 [aria-label="{button}"]')
    count = opened.js(
        "const canvas = document.querySelector('#units-1 canvas'), pen = canvas.getContext('2d');"
        "const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;"
        "return new Set(new Uint32Array(pixels.buffer)).size"
    )
    assert count > 50, "the picture has many colours"
    drag(opened, "#units-1 .heat", (0.3, 0.5), (0.5, 0.5))
    assert state(opened, "b") > state(opened, "a") >= 0
    click(opened, "#unmark")
    assert state(opened, "a") == -1


def stretches(on: Any) -> list[tuple[int, int]]:
    """Return [from, to] of each unbroken run of what is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (np.asarray(on) > 0).astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def drag(opened: Opened, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    box = opened.js(
        "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'center' });"
        "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]",
        selector,
    )
    for kind, (x, y), buttons in (("Pressed", start, 1), ("Moved", end, 1), ("Released", end, 0)):
        place = {"x": box[0] + x * box[2], "y": box[1] + y * box[3], "button": "left", "buttons": buttons}
        opened.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent", {"type": f"mouse{kind}", "clickCount": 1, **place}
        )
    opened.settled()


def gradient(opened: Opened) -> None:
    layer = FIRST.runs[0].layers[0]
    choose(opened, "#step-number", "90")
    assert opened.texts("#gradient-1 .path .name") == [
        *(path["name"] for path in layer.gradient["paths"]),
        "at the inputs",
    ]
    choose(opened, "#lag", "12")
    shown = [number(one) for one in opened.texts("#gradient-1 .path .number")]
    wanted = [*layer.gradient["norm"][90, 12], layer.gradient["inputs"][90, 12]]
    np.testing.assert_allclose(shown, wanted, rtol=0.06, atol=0.006)
    click(opened, '#gradient-1 input[value="gate f"]')
    assert state(opened, "p0") == "gate f"
    assert "gate f" in text(opened, "#gradient-1 .key")
    colours = opened.backgrounds("#gradient-1 [data-t]")
    assert len(colours) == 41
    assert len(set(colours)) > 15
    assert opened.js("return document.querySelectorAll('#gradient-1 path.line').length") == 9, (
        "a path each, and all steps"
    )


def truncation(opened: Opened) -> None:
    norm = np.nan_to_num(FIRST.runs[0].layers[0].gradient["norm"][:, :, 0].astype(float)) ** 2
    for chunk in (3, 17, 64):
        choose(opened, "#chunk", str(chunk))
        lag = np.arange(norm.shape[1])
        wanted = (norm * np.minimum(lag, chunk) / chunk).sum() / norm.sum()
        assert number(text(opened, "#truncation-1 .share b")) == pytest.approx(
            100 * wanted, rel=0.02, abs=0.6
        )
    assert opened.js("return document.querySelectorAll('#truncation-1 path.line').length") == 2
    choose(opened, "#chunk", "20")
    begins = opened.js(
        "return [...document.querySelectorAll('#truncation-1 .chunk')].map(s => Number(s.dataset.t))"
    )
    assert begins
    assert all(t % 20 == 0 for t in begins)


def saved(opened: Opened) -> None:
    """Each pane is an SVG file that says what it shows, and a table."""
    for pane, word in {
        "text": "MARIA",
        "units": "data:image/png",
        "gradient": "everything",
        "truncation": "never",
    }.items():
        svg = opened.js("return bptt.toSVG(document.getElementById(arguments[0]))", f"{pane}-1")
        read = "return new DOMParser().parseFromString(arguments[0], 'image/svg+xml').documentElement"
        assert opened.js(f"{read}.tagName", svg) == "svg"
        assert word in (opened.js(f"{read}.textContent", svg) if pane != "units" else svg), pane
        assert (
            opened.js("return document.querySelector(arguments[0]).textContent", f"#{pane}-1 .save")
            == "Save as SVG"
        )
        opened.js("document.querySelector(arguments[0]).open = true", f"#{pane}-1 details.table")
        opened.until(f"document.querySelectorAll('#{pane}-1 details tbody tr').length > 5")
    click(opened, "#theme")
    click(opened, "#theme")
    click(opened, "#theme")
    click(opened, "#link")


PANES: dict[str, Callable[[Opened], None]] = {
    "text": text_pane,
    "facts": facts,
    "keys": keys,
    "units": units,
    "gradient": gradient,
    "truncation": truncation,
    "saved": saved,
}


def test_every_control_of_every_pane(opened: Opened, written: Path) -> None:
    opened.open(written)
    first_paint = opened.js(
        "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    )
    assert 0 < first_paint < 10_000  # on a busy machine
    for use in PANES.values():
        use(opened)
    assert opened.complaints() == []
    assert [url.split("#")[0] for url in opened.requests()] == [written.as_uri()]


FAULTS = {
    "text": ("pane-text.js", "run.at(run.value, t, run.unit)", "-run.at(run.value, t, run.unit)"),
    "facts": ("facts.js", "run.earlier(t, 1)", "t"),
    "keys": ("keys.js", "ArrowLeft: -1", "ArrowLeft: -2"),
    "units": ("query.js", "while (to < run.ends[t] && on(to + 1)) to++;", ""),
    "gradient": ("run.js", "* shape[2] + k]", "* shape[2] + k + 1]"),
    "truncation": ("pane-truncation.js", "Math.min(k, c)", "Math.min(k, c + 1)"),
    "saved": ("legend.js", "if (!details.open) return;", "return;"),
}


@pytest.mark.parametrize("pane", FAULTS)
def test_a_broken_pane_is_seen(
    pane: str, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, right, wrong = FAULTS[pane]
    own = compose._own
    assert right in own(file)
    monkeypatch.setattr(
        compose, "_own", lambda name: own(name).replace(right, wrong) if name == file else own(name)
    )
    path = tmp_path / "page.html"
    path.write_text(page(FIRST), "utf-8")
    opened.open(path)
    with pytest.raises(AssertionError):
        PANES[pane](opened)


def test_an_address_brings_the_page_back(opened: Opened, written: Path) -> None:
    opened.open(written, "#t=77&u0=3&v0=f&a=70&b=75&c=9&p0=direct&order=index&shade=loss")
    parts = json.loads(opened.js("return JSON.stringify(look.state)"))
    assert {
        "t": 77,
        "u0": 3,
        "v0": "f",
        "a": 70,
        "b": 75,
        "c": 9,
        "p0": "direct",
        "shade": "loss",
    }.items() <= parts.items()
    address = opened.js("return look.address()")
    opened.open(written, address)
    assert json.loads(opened.js("return JSON.stringify(look.state)")) == parts
    opened.open(written, "#t=1e9&u0=-4&v0=none&a=x&c=0&p0=%3Cb%3E&theta=nan&l0=7&evil=1")
    assert [state(opened, part) for part in ("t", "u0", "v0", "c", "l0")] == [299, 0, "c", 1, 0]
    assert opened.complaints() == []


def test_a_text_of_html_and_scripts_is_text(opened: Opened, tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="window.evil = 1"><script>window.evil = 1</script><!--\u202e\0\n' * 3
    vocabulary = bptt.text.Vocabulary.build(evil, "char")
    model = bptt.Model(inputs=len(vocabulary), outputs=len(vocabulary), hidden=6, cell="gru", layers=2)
    params = model.init(np.random.default_rng(1))
    look = bptt.look(model, params, evil, vocabulary=vocabulary, lags=12, properties={"<b>": "<[^>]*>"})
    look.save(tmp_path / "page.html")
    opened.open(tmp_path / "page.html", "#t=20&order=follows+%3Cb%3E&l0=1")
    assert text(opened, "#order option:checked").count("<b>") == 1
    assert "<script>window.evil" in text(opened, "#text-1 .passage")
    assert opened.js(
        "return [window.evil ?? null, document.querySelectorAll('main img, main script').length]"
    ) == [
        None,
        0,
    ]
    assert opened.complaints() == []
    assert len(opened.requests()) == 1


def test_two_runs_are_linked_by_the_step(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "two.html"
    path.write_text(page(view(seen(200, 8, 30), seen(200, 20, 30, 9, "<i>another</i>"))), "utf-8")
    opened.open(path)
    choose(opened, "#step-number", "55")
    at = "return [...document.querySelectorAll('.passage .chosen')].map(chosen => chosen.dataset.t)"
    assert opened.js(at) == ["55"] * 6
    assert opened.texts("figure i") == opened.texts("main .equation i"), "names are text"
    left = "return [1, 2].map(i => document.getElementById(`text-${i}`).getBoundingClientRect().left)"
    assert opened.js(left)[0] < opened.js(left)[1], "side by side"
    opened.size(400, 800)
    assert opened.js(left)[0] == opened.js(left)[1], "one above the other"
    assert opened.js("return document.documentElement.scrollWidth <= innerWidth")
    opened.size(1400, 1000)
    assert opened.complaints() == []


def test_the_page_is_small_enough() -> None:
    assert len(page(view(seen(1000, 128, 100)))) < 1_600_000
    assert TEXT.count("<b>") == 1
