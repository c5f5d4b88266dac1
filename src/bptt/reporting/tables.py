"""A comparison of runs as a table for other programs, or for a paper: CSV, LaTeX, Markdown."""

import csv
import io

from bptt.reporting.reading import Comparison, Kept
from bptt.reporting.words import HEADS, numbers

_LATEX = {each: f"\\{each}" for each in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}


def csv_table(found: Comparison) -> str:
    """Return a row for each run, with every digit: its results, and the settings that differ."""
    names = [name for name, _ in found.differ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = ("train_loss", "step", "tokens", "seconds")
    writer.writerow(("run", *names, "parameters", "unit", "best_valid", "at_step", *keys))
    for run in found.runs:
        own = (*run.best, *map(run.last, keys))
        written = ("" if value != value else repr(value).removesuffix(".0") for value in own)
        settings = [run.values.get(name, "") for name in names]
        writer.writerow((run.name, *settings, run.parameters, run.unit, *written))
    return out.getvalue()


def latex_table(found: Comparison) -> str:
    """Return what the terminal shows, and the settings that differ, as a tabular."""
    heads, *rows = _shown(found)
    lines = [" & ".join(map(_latex, row)) + r" \\" for row in rows]
    columns = "l" + "r" * (len(heads) - 1)
    head = " & ".join(map(_latex, heads)) + r" \\"
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\hline",
            head,
            r"\hline",
            *lines,
            r"\hline",
            r"\end{tabular}",
            "",
        ]
    )


def markdown_table(found: Comparison) -> str:
    """Return what the terminal shows, and the settings that differ, as a table of Markdown."""
    heads, *rows = ([text.replace("|", r"\|") for text in row] for row in _shown(found))
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(found: Comparison) -> list[list[str]]:
    names = [name for name, _ in found.differ]

    def row(run: Kept) -> list[str]:
        return [run.name, *(run.values.get(name, "") for name in names), f"{run.parameters:,}", *numbers(run)]

    return [[HEADS[0], *names, "parameters", *HEADS[1:]], *map(row, found.runs)]


def _latex(text: str) -> str:
    return "".join(_LATEX.get(each, each) for each in text)
