"""A derivation's page as LaTeX, a complete document, and as Markdown with its mathematics in LaTeX."""

import re

from sympy import Add

from bptt.derive.algebra import Expr, sum_of
from bptt.derive.blocks import Block, Page, Shown, Words
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
    printer = TeXPrinter(page.whole)
    blocks = [rf"\section*{{{escaped(page.title)}}}", *map(escaped, page.paragraphs)]
    for section in page.sections:
        blocks.append(rf"\subsection*{{{escaped(section.heading)}}}")
        for part in section.parts:
            if isinstance(part, Block):
                rows = " \\\\\n".join(_row(s, printer) for s in part.lines)
                blocks.append(f"\\begin{{align*}}\n{rows}\n\\end{{align*}}")
            else:
                blocks.append(words(part, printer))
    return _DOCUMENT + "\n\n".join(blocks) + "\n\\end{document}\n"


def markdown(page: Page) -> str:
    """Return the page as Markdown, with mathematics between dollar signs."""
    printer = TeXPrinter(page.whole)
    blocks = [f"# {page.title}", *page.paragraphs]
    for section in page.sections:
        blocks.append(f"## {section.heading}")
        for part in section.parts:
            if isinstance(part, Block):
                rows = " \\\\\n".join(_numbered(s, printer) for s in part.lines)
                blocks.append(f"$$\n\\begin{{aligned}}\n{rows}\n\\end{{aligned}}\n$$")
            else:
                blocks.append("".join(p if isinstance(p, str) else f"${tex(p, printer)}$" for p in part))
    return "\n\n".join(blocks) + "\n"


def _row(s: Shown, printer: TeXPrinter) -> str:
    tag = rf" \tag{{{s.label[1:-1]}}}" if s.numbers else ""
    return rf"{printer.doprint(s.left)} &= {_right(s, printer)}{_note(s, printer)}{tag}"


def _numbered(s: Shown, printer: TeXPrinter) -> str:
    tag = rf"\text{{{s.label}}} \quad " if s.numbers else ""
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


def words(parts: Words, printer: TeXPrinter) -> str:
    """Return a paragraph."""
    return "".join(escaped(p) if isinstance(p, str) else f"${tex(p, printer)}$" for p in parts)


def tex(part: Expr | Shown, printer: TeXPrinter) -> str:
    """Return an expression, or an equation in the text."""
    if isinstance(part, Shown):
        return f"{printer.doprint(part.left)} = {printer.doprint(part.right)}"
    return str(printer.doprint(part))


def escaped(text: str) -> str:
    """Return plain text as LaTeX that pdflatex can set: what Latin letters cannot say is a question mark."""
    safe = "".join(c if ord(c) < 0x180 or c in _ESCAPES else "?" for c in text)
    return re.sub(r"[\\&%$#_{}~^σ<>]", lambda m: _ESCAPES[m.group()], safe)
