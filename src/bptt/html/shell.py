"""A page of one file: what it is called, its body, its data, and the styles and scripts that show them."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from bptt.html.packing import pack

STYLE = "shell.css"

BEFORE, AFTER = ("page.js", "theme.js", "colours.js", "tooltip.js"), ("saving.js", "ready.js")
"""What every page has, before and after its own scripts."""


def page(
    title: str,
    body: str,
    *,
    data: Any = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    lead: str = "",
    tools: str = "",
) -> str:
    """Return a page that is whole in itself: it works from a file, and asks no server for anything.

    Parameters
    ----------
    title : str
        The heading, and the window's title; text, not HTML.
    body : str
        HTML. What a browser would take for an element must have been escaped (`html.escape`). No element
        may have a `style` or `on...` attribute: the page's own rule (its Content-Security-Policy) lets only
        the styles and scripts run that are given here.
    data : object, optional
        What `bptt.html.pack` takes; the scripts have it as `bptt.data`, a tree whose arrays have
        `shape` and `data`, once `bptt.ready(show)` calls `show`.
    styles, scripts : sequence of str
        CSS and JavaScript as texts, after the shell's own.
    lead, tools : str
        HTML under the heading, and beside the button for light and dark.

    Returns
    -------
    str
        HTML. The shell brings: reading type; light, dark and print, by the system or the button in the
        header; for each ``<figure class="picture">`` with a caption a button that saves it as SVG; for each
        element with ``data-tip="text"`` that text where the pointer or focus is. Its scripts offer
        `bptt.colours` (`diverging`, `sequential`, `series`), `bptt.onTheme(redraw)`, `bptt.tip`,
        `bptt.toSVG(element)`.

    Raises
    ------
    ValueError
        If a style or script has an end tag in it, which would end it early.

    Examples
    --------
    >>> show = "bptt.ready(() => { document.getElementById('out').textContent = bptt.data.x; });"
    >>> html = page("A & B", '<p id="out"></p>', data={"x": 1}, scripts=[show])
    >>> "<title>A &amp; B</title>" in html
    True
    """
    css = "\n".join([_own(STYLE), *styles])
    before = BEFORE if data is None else (*BEFORE, "data.js")
    codes = [*map(_own, before), *scripts, *map(_own, AFTER)]
    for text in (css, *codes):
        if "</" in text and ("</script" in text.lower() or "</style" in text.lower()):
            raise ValueError("a style or script has an end tag in it: write it as '<\\/script>'")
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_digest, codes))}; style-src {_digest(css)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    inside = "".join(f"<script>{code}</script>\n" for code in codes)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{css}</style>
</head>
<body>
<header class="page">
<h1>{escape(title)}</h1>
<div class="tools">{tools}<button type="button" id="theme" hidden></button></div>
{lead}
</header>
<main>
{body}
</main>
<div id="tip" role="tooltip" hidden></div>
<div id="said" class="unseen" role="status" aria-live="polite"></div>
{pack(data) if data is not None else ""}
{inside}</body>
</html>
"""


def text_of(package: str, name: str) -> str:
    """Return a file of a package as text: a style or script that lies beside the module that uses it."""
    return files(package).joinpath(name).read_text("utf-8")


def _own(name: str) -> str:
    return text_of("bptt.html", name)


def _digest(code: str) -> str:
    """Return what the page's policy says of one inline style or script that may run."""
    # a browser reads the page's line ends as \n before it takes the sum
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode('ascii')}'"
