"""A comparison of runs as text for a terminal."""

import math
import textwrap

from bptt.reporting.reading import Comparison, Kept

WIDEST = 44
"""Characters of a setting's value that are shown."""

HEADS = ("run", "best valid", "at step", "train", "steps", "tokens", "seconds", "tokens/s")


def text(found: Comparison) -> str:
    """Return the runs' results as a table, and the settings that differ."""
    rows = [HEADS, *((run.name, *numbers(run)) for run in found.runs)]
    lines = _table(rows)
    lines += ["", *(f"{run.name}: {'; '.join([run.about, run.unit, *_figures(run)])}" for run in found.runs)]
    if found.differ:
        names = [run.name for run in found.runs]
        values = [(name, *(_short(value) for value in values)) for name, values in found.differ]
        lines += ["", "settings that differ:", *_table([("", *names), *values])]
    for runs, own, mean, deviation, figures, again in found.over_seeds:
        what = ", ".join(f"{name} {_short(value)}" for name, value in own.items())
        of = f"{what}: " if what else ""
        lines += [
            "",
            f"{of}best valid {mean:.4f} ± {deviation:.4f} over {len(runs)} {again}: {', '.join(runs)}",
        ]
        told = [f"{name.replace('_', ' ')} {m:.4g} ± {d:.2g}" for name, (m, d) in figures.items()]
        lines += [f"{of}{', '.join(told)}"] if told else []
    for run in found.runs:
        if run.sample:
            lines += ["", f"--- {run.name} writes ---", run.sample, "---"]
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"not read: {run.problem}" for run in found.broken]
    return "\n".join(lines)


def _figures(run: Kept) -> list[str]:
    own = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in run.figures.items())
    return [own] if own else []


def numbers(run: Kept) -> list[str]:
    """Return a run's entries of the table, after its name."""
    loss, step = run.best
    seconds, tokens = run.last("seconds"), run.last("tokens")
    rate = tokens / seconds if seconds > 0 else math.nan
    whole = [step, run.last("train_loss"), run.last("step"), tokens, seconds, rate]
    forms = (",.0f", ".4f", ",.0f", ",.0f", ",.1f", ",.0f")
    own = "-" if math.isnan(loss) else f"{loss:.4f}"
    return [own, *("-" if math.isnan(x) else format(x, form) for x, form in zip(whole, forms, strict=True))]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        entries = (entry.rjust(width) for entry, width in zip(others, wide[1:], strict=True))
        lines.append("  ".join([first.ljust(wide[0]), *entries]).rstrip())
    return lines


def _short(value: str) -> str:
    return textwrap.shorten(value, WIDEST, placeholder=" ...") if len(value) > WIDEST else value
