"""A gradient flow as a page: the picture, the table and the definition in one file that asks for nothing."""

from collections.abc import Callable
from functools import partial
from html import escape
from importlib.util import find_spec

from bptt.flow.chart import draw
from bptt.flow.measure import Flow
from bptt.flow.report import HEADING, cancellation, columns, definition, finding, meaning, rows

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1b1b; --faint: #8a8a8a }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8e8e8; --faint: #8b9197 } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 sans-serif;
       margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
h1 { font-size: 1.3rem }
svg { max-width: 100%; height: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { text-align: left; padding-bottom: .5rem }
th, td { padding: .15rem 1rem .15rem 0; text-align: right; font-weight: normal }
th:first-child, td:last-child { text-align: left }
thead th { border-bottom: 1px solid var(--faint) }
"""


def page(flow: Flow) -> bytes:
    """Return the page as UTF-8 HTML."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(finding(flow))}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Gradient flow</h1>
{_picture(flow)}
{_table(flow)}
</body>
</html>
""".encode()


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
