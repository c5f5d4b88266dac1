"""The parts that what shows itself is made of, as HTML.

All text is escaped; nothing needs a script or anything from elsewhere, and colours are those of the page that
it is shown in, light or dark.
"""

from collections.abc import Iterable
from html import escape

STYLE = """
.bptt { overflow-x: auto; line-height: 1.45 }
.bptt h4 { margin: .2em 0 .5em } .bptt h5 { margin: 1em 0 .3em }
.bptt p { margin: .4em 0 }
.bptt table { border-collapse: collapse; margin: .4em 0; font-variant-numeric: tabular-nums }
.bptt table th, .bptt table td { text-align: left; padding: .12em 1.1em .12em 0; vertical-align: baseline;
  background: none; border: 0; white-space: nowrap }
.bptt table thead th { border-bottom: 1px solid rgba(128, 128, 128, .5) }
.bptt table th { font-weight: 600 } .bptt td.words { white-space: normal }
.bptt pre { margin: .4em 0; padding: .4em .7em; background: rgba(128, 128, 128, .1); overflow-x: auto;
  line-height: 1.35 }
.bptt pre .added { background: rgba(0, 160, 90, .22) } .bptt pre .gone { background: rgba(225, 70, 40, .22) }
.bptt pre .place { opacity: .65 }
.bptt table td.number { opacity: .65; min-width: 2em }
.bptt table td.left { text-align: right; padding-right: 0 }
.bptt table td.right { padding-left: .4em } .bptt table td.note, .bptt p.doc { opacity: .75 }
.bptt .tie { white-space: nowrap }
.bptt table tr { background: none !important }
.bptt .faint { opacity: .65 }
.bptt svg { max-width: 100%; height: auto }
"""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(value: object) -> str:
    """Return a value as HTML: Markup as it is, all else as escaped text."""
    return value if isinstance(value, Markup) else escape(str(value))


def heading(words: object, level: int = 4) -> Markup:
    """Return a heading."""
    return Markup(f"<h{level}>{html(words)}</h{level}>")


def paragraph(words: object, kind: str = "") -> Markup:
    """Return a paragraph; nothing where there are no words."""
    return Markup(f"<p{_class(kind)}>{html(words)}</p>" if words else "")


def code(text: str) -> Markup:
    """Return lines of code."""
    return Markup(f"<pre>{escape(text)}</pre>")


def table(rows: Iterable[Iterable[object]], heads: Iterable[object] = ()) -> Markup:
    r"""Return a table; the first entry of each row is its name.

    Examples
    --------
    >>> table([["a < b", 1]])
    '<table>\n<tr><th>a &lt; b</th><td>1</td></tr>\n</table>'
    """
    lines = []
    if named := "".join(f"<th>{html(head)}</th>" for head in heads):
        lines.append(f"<thead><tr>{named}</tr></thead>")
    for name, *entries in rows:
        cells = "".join(f"<td>{html(entry)}</td>" for entry in entries)
        lines.append(f"<tr><th>{html(name)}</th>{cells}</tr>")
    return Markup("\n".join(["<table>", *lines, "</table>"]))


_CHANGES = {"+": "added", "-": "gone", "@": "place"}


def diff(text: str) -> Markup:
    """Return a unified diff, what is added and what is gone in colours of their own."""
    lines = []
    for line in text.rstrip("\n").split("\n"):
        kind = "place" if line.startswith(("--- ", "+++ ")) else _CHANGES.get(line[:1], "")
        lines.append(f"<span{_class(kind)}>{escape(line)}</span>")
    return Markup("<pre>" + "\n".join(lines) + "</pre>")


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""
