"""A report in words, for a terminal: short, plain, on one screen."""

import re
from typing import Any

from bptt.checking.report.record import Report

SAYS = {
    "right": "the gradients are right",
    "wrong": "the backward pass is wrong",
    "cannot tell": "cannot tell whether the gradients are right",
}
SHOWN = 4
"""Entries of an array that are printed, where it has more."""


def text(report: Report, *, diff: bool = True) -> str:
    """Return a report as a person likes to read it.

    Parameters
    ----------
    report : Report
    diff : bool
        With the diff at the end.

    Examples
    --------
    >>> one = {"name": "W", "verdict": "right", "error": 3e-10, "where": "dW", "note": ""}
    >>> print(text(Report("right", "rnn.py", "loss, dW = f(W)", "yours", loss="loss", gradients=[one])))
    rnn.py: the gradients are right
    <BLANKLINE>
      example (yours):
          loss, dW = f(W)
      loss: loss
    <BLANKLINE>
      gradient at  verdict  off by
      W            right    3e-10   (dW)
    """
    name = report.file + (f", {', '.join(report.piece)}" if report.piece else "")
    says = SAYS[report.verdict]
    roots = {re.split(r"[.\[]", name)[0] for name in report.names("right")}
    without = [name for name in report.names("not given") if re.split(r"[.\[]", name)[0] in roots]
    if report.verdict == "right" and without:  # of what an input needs none, an object's weights need all
        says = "the gradients that there are, are right"
    blocks = [[f"{name}: {says}"]]
    blocks.append([f"  {report.reason}"] if report.reason else [])
    blocks.append(_asked(report))
    blocks.append(_table(report))
    blocks.append(_places(report))
    if report.located and not report.mends:
        blocks.append(["  No change was found that makes every gradient right; --fix searches longer."])
    if report.diff and diff:
        blocks.append(["  With these changes every gradient is right:", *_reasons(report)])
        blocks.append(report.diff.rstrip("\n").split("\n"))
    blocks.append([f"  note: {note}" for note in dict.fromkeys(report.notes)])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def patch(report: Report) -> str:
    """Return the diff, with a reason for each change before it; patch(1) takes it as it is."""
    return "\n".join([*_reasons(report), report.diff])


def _asked(report: Report) -> list[str]:
    """Return what was judged: the example, the loss, the cell."""
    lines = []
    if report.example:
        lines += [
            f"  example ({report.origin}):",
            *(f"      {line}" for line in report.example.rstrip().split("\n")),
        ]
    if report.loss:
        terms = re.sub(r"\bwhat (\w[\w.]*)(\S*) returns\b", r"\1(...)\2", report.loss).split(" + sum(")
        lines += [f"  {'      + sum(' * (k > 0) or 'loss: '}{term}" for k, term in enumerate(terms)]
        lines[-1] += ", of which the backward begins with the gradient" * (report.kind == "implied")
    if report.cell:
        cell, _, equations = report.cell.removeprefix("the forward is the cell ").partition(": ")
        lines.append(f"  the forward is the cell {cell}:" if equations else f"  {report.cell}")
        lines += [f"      {line}" for line in _wrapped(equations)]
    return lines


def _wrapped(equations: str, width: int = 96) -> list[str]:
    lines: list[str] = []
    for part in re.split(r", (?=\w+ = )", equations):
        if lines and len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        elif part:
            lines.append(part)
    return lines


def _table(report: Report) -> list[str]:
    given = [g for g in report.gradients if g["verdict"] != "not given"]
    missing = report.names("not given")
    lines = []
    if given:
        wide = max(11, *(len(g["name"]) for g in given))
        lines.append(f"  {'gradient at':{wide}}  verdict  off by")
        for g in given:
            line = f"  {g['name']:{wide}}  {g['verdict']:7}  {_error(g['error']):6}"
            if "at" in g:
                line += f"  at {g['at']} {_number(g['got'])}, must be {_number(g['wanted'])}"
            told = "; ".join(part for part in (g["where"], g["note"]) if part)
            lines.append(line + f"  ({told})" * bool(told))
    if missing:
        lines.append(f"  without a gradient: {_listed(missing)}")
    return [line.rstrip() for line in lines]


def _listed(names: list[str]) -> str:
    """Return names in a line, the entries of one list together.

    Examples
    --------
    >>> _listed(["xs[0]", "xs[1]", "xs[2]", "h"])
    'xs[0] to xs[2], h'
    """
    groups: list[list[str]] = []
    for name in names:
        base = re.sub(r"\[\d+\]$", "", name)
        if groups and base != name and groups[-1][0].startswith(f"{base}["):
            groups[-1].append(name)
        else:
            groups.append([name])
    return ", ".join(g[0] if len(g) == 1 else f"{g[0]} to {g[-1]}" for g in groups)


def _error(error: float) -> str:
    return "" if not error else f"{error:.0e}" if error < 1e-2 or error >= 100 else f"{error:.2g}"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.6g}"


def _places(report: Report) -> list[str]:
    lines = []
    if report.verdict == "wrong" and report.example and not report.located:
        lines.append("  Which statement is wrong was not found.")
    for one in report.located:
        lines += [f"  The first wrong statement is {one['place']}", f"      {one['text']}"]
        says = one["must"].removeprefix("must be ")
        is_gradient = says.startswith("the gradient")
        lines.append(f"  It must be {says}." if is_gradient else f"  What is wrong: {says}.")
        if one["wanted"]:
            more = " ..." if len(one["wanted"]) > SHOWN else ""
            pair = list(zip(one["got"], one["wanted"], strict=False))[:SHOWN]
            texts = [(_number(g), _number(w)) for g, w in pair]
            wide = [max(map(len, pair)) for pair in texts]
            for what, k in (("it is", 0), ("must be", 1)):
                lines.append(
                    f"      {what:8}"
                    + "  ".join(t[k].rjust(n) for t, n in zip(texts, wide, strict=True))
                    + more
                )
        if one.get("equation"):
            lines.append(f"  In the cell's terms: {one['equation']}")
    return lines


def _reasons(report: Report) -> list[str]:
    return [f"  {_place(one)}: {one['reason']}" for one in report.mends]


def _place(one: dict[str, Any]) -> str:
    return re.sub(r"^.*[/\\]", "", str(one["place"]))


def traced(report: Report) -> str:
    """Return a table of the backward's statements: what each is the gradient at, and how often.

    Examples
    --------
    >>> step = {"place": "rnn.py:9", "line": 9, "text": "da = dh * h"}
    >>> first = step | {"time": 0, "kind": "gradient", "is": "the gradient at `a` of line 4 (time 1)"}
    >>> then = step | {"time": 1, "kind": "not explained", "is": ""}
    >>> print(traced(Report("wrong", "rnn.py", trace=[first, then])))
      statement               is the gradient at
      rnn.py:9  da = dh * h   `a` of line 4, the first time alone
    """
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for step in report.trace:
        rows.setdefault((_place(step), step["text"]), []).append(step)
    if not rows:
        return "  no statement of a backward was seen"
    first, wide = max(len(place) for place, _ in rows), min(max(len(text) for _, text in rows), 48)
    lines = [f"  {'statement':{first + 2 + wide}}   is the gradient at"]
    for (place, text), steps in rows.items():
        cut = text if len(text) <= wide else f"{text[: wide - 3]}..."
        lines.append(f"  {place:{first}}  {cut:{wide}}   {_is(steps)}")
    return "\n".join(lines)


def _is(steps: list[dict[str, Any]]) -> str:
    """Return what a statement is the gradient at, and when it is not."""
    good = [n for n, step in enumerate(steps) if step["kind"] == "gradient"]
    if not good:
        return "nothing" + f", {len(steps)} times" * (len(steps) > 1)
    what = next((steps[n]["is"] for n in good if steps[n]["is"]), "a part of one")
    what = re.sub(r" \(time \d+\)$", "", what.removeprefix("the gradient at "))
    if len(good) == len(steps):
        return what
    if good != list(range(len(good))):
        return f"{what}, {len(good)} of {len(steps)} times"
    return f"{what}, the first {'time' if len(good) == 1 else f'{len(good)} times'} alone"
