"""A derivation's page as one HTML file: its mathematics is MathML, which browsers draw themselves."""

import re
from html import escape

from bptt.derive.blocks import Block, Page, Words, printed
from bptt.derive.notation import TeXPrinter

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #fdfdfb; --faint: #6b6b76; --rule: #dcdce0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e8; --paper: #17181c; --faint: #9a9aa6; --rule: #34353c; }
}
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1.05rem/1.55 Charter, "Bitstream Charter", Cambria, "DejaVu Serif", Georgia, serif; }
main { max-width: 46rem; margin: 0 auto; padding: 3rem 1.25rem 5rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.12rem; margin: 2.4rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
p { margin: .7rem 0; }
.tie { white-space: nowrap; }
.doc { color: var(--faint); font-style: italic; }
math { font-size: 1.06em; }
table { border-collapse: collapse; margin: .9rem 0; }
.lines { overflow-x: auto; }
td { padding: .22rem 0; vertical-align: baseline; white-space: nowrap; }
td.number { color: var(--faint); padding-right: 1.6rem; min-width: 2.4rem; }
td.left { text-align: right; }
td.right { padding-left: .35em; }
td.note { color: var(--faint); padding-left: 2rem; }
"""


def html(page: Page) -> str:
    """Return the page as a file that needs nothing but a browser."""
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'  # or a browser asks the server for one
        f"<title>{escape(page.title)}</title>\n<style>{_STYLE}</style>"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n'
        f"<body>\n<main>\n{body(page)}\n</main>\n</body>\n</html>\n"
    )


def body(page: Page, levels: tuple[int, int] = (1, 2)) -> str:
    """Return what stands on the page; its title and headings are of these levels."""
    printer = TeXPrinter(page.whole)
    first, second = levels
    parts = [f"<h{first}>{escape(page.title)}</h{first}>"]
    parts += [f'<p class="doc">{escape(p)}</p>' for p in page.paragraphs]
    for part in page.parts():
        if isinstance(part, str):
            parts.append(f"<h{second}>{escape(part)}</h{second}>")
        elif isinstance(part, Block):
            parts.append(lines(part, printer))
        else:
            parts.append(f"<p>{_words(part, printer)}</p>")
    return "\n".join(parts)


def lines(block: Block, printer: TeXPrinter) -> str:
    """Return a block's lines as a table, their numbers before them."""
    rows = []
    for s in block.lines:
        printer.begin(s.left, s.right)
        left, right = printer.doprint(s.left), printer.doprint(s.right)
        right = f"= {{{right}}}" if right.startswith("-") else f"= {right}"
        note = f'<td class="note">{_words(s.note, printer)}</td>' if s.note else ""
        rows.append(
            f'<tr><td class="number">{s.label}</td><td class="left">{mathml(left)}</td>'
            f'<td class="right">{mathml(right)}</td>{note}</tr>'
        )
    return '<div class="lines"><table>\n' + "\n".join(rows) + "\n</table></div>"


def _words(parts: Words, printer: TeXPrinter) -> str:
    shown = "".join(escape(p) if isinstance(p, str) else mathml(printed(p, printer)) for p in parts)
    # no line begins with what follows a name: a comma, a full stop
    return re.sub(r"(<math(?:(?!</math>).)*</math>)([,.;:)]+)", r'<span class="tie">\1\2</span>', shown)


def mathml(tex: str) -> str:
    """Return LaTeX as MathML, with fractions and sums of full size.

    Examples
    --------
    >>> mathml("c_{t-1}").startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"')
    True
    """
    from latex2mathml.converter import convert

    words = re.sub(r"\\(max|min)(?![a-z])", r"\\mathrm{\1}", tex)
    upright = re.sub(
        r"\\(?:mathrm|operatorname)\{([^{}]*)\}", lambda m: rf"\text{{{m[1]}}}".replace(r"\_", "_"), words
    )
    return str(convert(upright)).replace('display="inline"', 'display="inline" displaystyle="true"', 1)
