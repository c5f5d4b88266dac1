"""A derivation's page as LaTeX, a complete document, and as Markdown with its mathematics in LaTeX."""

import re
from collections.abc import Callable

from sympy import Add

from bptt.derive.algebra import Expr, sum_of
from bptt.derive.blocks import Block, Page, Shown, printed
from bptt.derive.notation import TeXPrinter, TextPrinter

_DOCUMENT = r"""\documentclass[a4paper,leqno,fleqn]{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath}
\usepackage[margin=25mm]{geometry}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.6em}
\setlength{\mathindent}{5em}
\begin{document}
"""

_ESCAPES = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "σ": r"$\sigma$",
    ">": "$>$",
    "<": "$<$",
}

_LONG = 70
"""About as many letters stand on one line."""


def latex(page: Page) -> str:
    """Return the page as a document that pdflatex compiles."""
    return _DOCUMENT + body(page) + "\\end{document}\n"


def body(page: Page) -> str:
    """Return what stands in the document."""
    headings = r"\section*{{{}}}", r"\subsection*{{{}}}"
    return _body(page, escaped, headings, "\\begin{{align*}}\n{}\n\\end{{align*}}", _row)


def markdown(page: Page) -> str:
    """Return the page as Markdown, with mathematics between dollar signs."""
    block = "$$\n\\begin{{aligned}}\n{}\n\\end{{aligned}}\n$$"
    return _body(page, str, ("# {}", "## {}"), block, _numbered)


def _body(
    page: Page,
    plain: Callable[[str], str],
    headings: tuple[str, str],
    block: str,
    row: Callable[[Shown, TeXPrinter], str],
) -> str:
    printer = TeXPrinter(page.whole)
    blocks = [headings[0].format(plain(page.title)), *map(plain, page.paragraphs)]
    for part in page.parts():
        if isinstance(part, str):
            blocks.append(headings[1].format(plain(part)))
        elif isinstance(part, Block):
            blocks.append(block.format(" \\\\\n".join(row(s, printer) for s in part.lines)))
        else:
            words = (plain(p) if isinstance(p, str) else f"${printed(p, printer)}$" for p in part)
            blocks.append("".join(words))
    return "\n\n".join(blocks) + "\n"


def _row(s: Shown, printer: TeXPrinter) -> str:
    tag = rf" \tag{{{s.label[1:-1]}}}" if s.numbers else ""
    printer.begin(s.left, s.right)
    return rf"{printer.doprint(s.left)} &= {_right(s, printer)}{_note(s, printer)}{tag}"


def _numbered(s: Shown, printer: TeXPrinter) -> str:
    tag = rf"\text{{{s.label}}} \quad " if s.numbers else ""
    printer.begin(s.left, s.right)
    return rf"{tag}& {printer.doprint(s.left)} = {_right(s, printer)}{_note(s, printer)}"


def _right(s: Shown, printer: TeXPrinter) -> str:
    """Return the right-hand side, on several lines where it has many terms."""
    pieces: list[list[Expr]] = []
    for term in Add.make_args(s.right):
        if pieces and sum(map(_width, pieces[-1])) + _width(term) < _LONG:
            pieces[-1].append(term)
        else:
            pieces.append([term])
    shown = [printer.doprint(sum_of(p)) for p in pieces]
    more = [p if p.startswith("-") else f"+ {p}" for p in shown[1:]]
    return " \\\\\n".join([shown[0], *(rf"& \quad {p}" for p in more)])


def _width(term: Expr) -> int:
    return len(TextPrinter().doprint(term)) + 3


def _note(s: Shown, printer: TeXPrinter) -> str:
    if not s.note:
        return ""
    shown = "".join(rf"\text{{{p}}}" if isinstance(p, str) else printer.doprint(p) for p in s.note)
    return rf" \qquad {shown}"


def escaped(text: str) -> str:
    """Return plain text as LaTeX that pdflatex can set: what Latin letters cannot say is a question mark."""
    safe = "".join(c if ord(c) < 0x180 or c in _ESCAPES else "?" for c in text)
    return re.sub(r"[\\&%$#_{}~^σ<>]", lambda m: _ESCAPES[m.group()], safe)
