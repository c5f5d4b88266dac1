"""A gradient flow as a page: the picture, the table and the definition in one file that asks for nothing."""

import re
from collections.abc import Callable
from functools import partial
from html import escape
from importlib.util import find_spec

from bptt.flow.chart import DARK, PAPER, draw
from bptt.flow.measure import Flow
from bptt.flow.report import HEADING, cancellation, columns, definition, finding, meaning, rows
from bptt.html import page as whole_page

LAYOUT = """
svg { max-width: 100%; height: auto; }
caption, td:last-child { text-align: left; }
caption { padding: .8rem 0 .4rem; color: var(--faint); }
"""

COLOURS = f'svg [fill="{PAPER}"] {{ fill: var(--paper); }}\n' + "".join(
    f'svg [{what}="{light}"] {{ {what}: light-dark({light}, {dark}); }}\n'
    for light, dark in DARK.items()
    if light != PAPER
    for what in ("fill", "stroke")
)
"""The picture's, as the page is light or dark."""


def page(flow: Flow) -> bytes:
    """Return the page as UTF-8 HTML."""
    picture = re.sub(r"<style>.*?</style>", "", _picture(flow), flags=re.DOTALL)
    figure = f'<figure class="picture" id="flow">{picture}</figure>'
    table = f'<div class="scrolls" tabindex="0">{_table(flow)}</div>'
    return whole_page("Gradient flow", f"{figure}\n{table}", styles=[LAYOUT, COLOURS]).encode()


def body(flow: Flow) -> str:
    """Return what a notebook shows: the finding, the picture where it can be drawn, and the table."""
    drawn = _picture(flow) if find_spec("matplotlib") else ""
    return f"<p><b>{escape(finding(flow))}</b></p>\n{drawn}\n{_table(flow)}"


def _picture(flow: Flow) -> str:
    svg = draw(flow, "svg").decode()
    return svg[svg.index("<svg") :]


def _table(flow: Flow) -> str:
    """Return the table of lags, and below it what is measured."""
    said = meaning(flow)
    cancels = cancellation(flow)
    heads = "".join(f"<th>{escape(head)}</th>" for head in columns(flow))
    lines = "\n".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(entry)}</td>' for entry in entries)}"
        f"<td>{escape(said[name])}</td></tr>"
        for name, entries in rows(flow)
    )
    return f"""<table>
<caption>{escape(HEADING)}</caption>
<thead><tr><th>path</th>{heads}<td></td></tr></thead>
<tbody>
{lines}
</tbody>
</table>
{f"<p>{escape(cancels[:1].upper() + cancels[1:])}.</p>" if cancels else ""}
<p>{escape(definition(flow))}</p>
<p>{escape(flow.where[:1].upper() + flow.where[1:])}.</p>"""


FORMS: dict[str, Callable[[Flow], bytes]] = {
    ".svg": partial(draw, format="svg"),
    ".png": partial(draw, format="png"),
    ".html": page,
}
"""What can be drawn of a flow, by what a file's name ends in."""
