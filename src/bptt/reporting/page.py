"""A comparison of runs as a page: charts, tables and samples in one file; and as a notebook shows it."""

from collections.abc import Iterator
from html import escape

import numpy as np

from bptt.html import page as whole_page
from bptt.html import text_of
from bptt.reporting.reading import Comparison
from bptt.reporting.words import HEADS, numbers
from bptt.shown import Markup, heading, paragraph, table
from bptt.shown.curves import Curve, curves, swatch

AGAINST = {"step": "steps", "tokens": "tokens trained on", "seconds": "seconds of training"}

CHARTS = {
    "loss": ("Loss", ("valid_loss", "train_loss"), False),
    "norm": ("Gradient norm", ("grad_norm",), True),
    "rate": ("Learning rate", ("lr",), False),
}
"""By its id: what a chart is called, what it shows of the log, whether it is logarithmic."""

SAYS = {
    "loss": "Thick, with dots: the validation loss of each run. Thin: the mean training loss since the "
    "report before, from where it is no more above all of these.",
    "norm": "The Euclidean norm of all entries of one step's gradient together, before it is clipped; one "
    "step for each report.",
    "rate": "The learning rate of the last update before each report.",
}


def page(found: Comparison) -> str:
    """Return the page as HTML, for a file."""
    count = len(found.runs)
    title = f"{count} runs beside each other" if count > 1 else f"{found.runs[0].name}: a run"
    return whole_page(
        title,
        "\n".join(_sections(found)),
        data=_data(found),
        styles=[text_of("bptt.reporting", "report.css")],
        scripts=[text_of("bptt.reporting", "report.js")],
        lead="\n".join(map(paragraph, _capitals(found.notes))),
    )


def body(found: Comparison) -> str:
    """Return what a notebook shows: the tables, and each chart against steps."""
    parts: list[str] = [_results(found)]
    for key in CHARTS:
        if _has(found, key):
            parts += [heading(CHARTS[key][0], 5), _chart(found, key, "step")]
    parts += [*_settings(found), *_samples(found)]
    return "\n".join([*parts, *map(paragraph, _capitals(found.notes)), *_problems(found)])


def _sections(found: Comparison) -> Iterator[str]:
    yield f'<section aria-label="Results">\n<div class="scrolls">{_results(found)}</div>\n</section>'
    if any(_has(found, key) for key in CHARTS):
        yield _choice()
    for key in CHARTS:
        if _has(found, key):
            title, _, log = CHARTS[key]
            shown = "\n".join(
                f'<div class="chart" data-chart="{key}" data-against="{x}">{_chart(found, key, x)}</div>'
                for x in AGAINST
            )
            scale = " The scale is logarithmic." if log else ""
            yield (
                f'<section aria-labelledby="{key}-title">\n<h2 id="{key}-title">{title}</h2>\n'
                f'<figure class="picture" id="{key}"><figcaption>{SAYS[key]}{scale}</figcaption>\n'
                f"{_legend(found)}\n{shown}\n</figure>\n</section>"
            )
    yield from (f"<section>{part}</section>" for part in (*_settings(found), *_samples(found)))
    yield from _problems(found)


def _choice() -> str:
    """Return the buttons that say against what all charts are drawn."""
    buttons = "".join(
        f'<button type="button" data-choose="{key}" aria-pressed="{"true" if key == "step" else "false"}">'
        f"{words}</button>"
        for key, words in AGAINST.items()
    )
    return f'<div class="tools" id="against" role="group" aria-label="Against what">{buttons}</div>'


def _results(found: Comparison) -> Markup:
    rows = [
        (Markup(f"{swatch(k)} {escape(run.name)}"), run.about, *numbers(run), run.unit)
        for k, run in enumerate(found.runs)
    ]
    return table(rows, (HEADS[0], "cell", *HEADS[1:], "the loss is in"))


def _legend(found: Comparison) -> str:
    names = (f"<span>{swatch(k)} {escape(run.name)}</span>" for k, run in enumerate(found.runs))
    return f'<p class="legend">{" ".join(names)}</p>'


def _chart(found: Comparison, key: str, against: str) -> Markup:
    title, kinds, log = CHARTS[key]
    lines, measured = [], [run.curve("valid_loss")[1] for run in found.runs]
    top = max((float(losses.max()) for losses in measured if len(losses)), default=np.inf)
    for k, run in enumerate(found.runs):
        for kind in kinds:
            x, y = run.curve(kind, against)
            y = np.where(y > top, np.nan, y) if kind == "train_loss" else y
            if len(x):
                valid = kind == "valid_loss"
                lines.append(Curve(run.name, x, y, k, thin=kind == "train_loss", dots=valid and len(x) < 80))
    label = f"{title} of {', '.join(run.name for run in found.runs)} against {AGAINST[against]}"
    units = {run.unit for run in found.runs}
    up = f"{title.lower()}, {units.pop()}" if key == "loss" and len(units) == 1 else title.lower()
    return curves(lines, x=AGAINST[against], y=up, log=log, width=880, height=380, label=label)


def _has(found: Comparison, key: str) -> bool:
    return any(len(run.curve(kind)[0]) for run in found.runs for kind in CHARTS[key][1])


def _settings(found: Comparison) -> list[str]:
    if not found.differ:
        return []
    names = [run.name for run in found.runs]
    rows = table(((name, *values) for name, values in found.differ), ("", *names))
    return [f'<h2>Settings that differ</h2>\n<div class="scrolls settings">{rows}</div>']


def _samples(found: Comparison) -> list[str]:
    written = [run for run in found.runs if run.sample]
    if not written:
        return []
    parts = (
        f"<article><h3>{escape(run.name)}</h3><pre>{escape(run.sample)}</pre></article>" for run in written
    )
    return [f'<h2>What they write</h2>\n<div class="samples">{"".join(parts)}</div>']


def _problems(found: Comparison) -> list[str]:
    return [paragraph(f"Not read: {run.problem}") for run in found.broken]


def _capitals(notes: list[str]) -> list[str]:
    return [f"{note[:1].upper()}{note[1:]}." for note in notes]


def _data(found: Comparison) -> dict[str, object]:
    """Return the numbers behind the charts, which the page's script reads off."""
    runs = []
    for run in found.runs:
        kinds = {kind for _, some, _ in CHARTS.values() for kind in some}
        lines = {
            kind: {against: np.array(run.curve(kind, against)) for against in AGAINST}
            for kind in sorted(kinds)
        }
        runs.append({"name": run.name, "lines": lines})
    return {"runs": runs, "charts": {key: list(kinds) for key, (_, kinds, _) in CHARTS.items()}}
