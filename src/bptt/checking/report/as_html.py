"""A report as a notebook shows it: a terminal's words, the gradients as a table, the diff in colours."""

import textwrap
from collections.abc import Sequence

from bptt.checking.report.record import Report
from bptt.checking.report.words import asked, gradients, missing, places, reasons, said
from bptt.shown import Markup, code, diff, heading, paragraph, table

HEADS = ("gradient at", "verdict", "off by", "", "")


def html(report: Report) -> str:
    """Return a report as HTML."""
    rows = gradients(report)
    parts = [
        heading(said(report)),
        paragraph(report.reason),
        _lines(asked(report)),
        table(rows, HEADS) if rows else Markup(),
        paragraph(missing(report)),
        _lines(places(report)),
    ]
    if report.diff:
        parts.append(paragraph("With these changes every gradient is right:"))
        parts += [*map(paragraph, reasons(report)), diff(report.diff)]
    parts += [paragraph(f"note: {note}", "faint") for note in dict.fromkeys(report.notes)]
    return "\n".join(part for part in parts if part)


def every(reports: Sequence[Report]) -> str:
    """Return some reports one after the other."""
    return "\n<hr>\n".join(map(html, reports))


def _lines(lines: list[str]) -> Markup:
    return code(textwrap.dedent("\n".join(lines)).strip("\n")) if lines else Markup()
