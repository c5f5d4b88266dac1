"""A report in words, for a terminal: short, plain, on one screen; and what a wrong gradient is instead."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bptt.checking.report.record import Report
from bptt.types import Array, Params

SAYS = {
    "right": "the gradients are right",
    "wrong": "the backward pass is wrong",
    "cannot tell": "cannot tell whether the gradients are right",
}
SHOWN = 4  # entries of an array that are printed, where it has more


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
    blocks = [[head(report)], places(report)]
    if report.diff and diff:
        blocks.append(["  With these changes every gradient is right:", *reasons(report)])
        blocks.append(report.diff.rstrip("\n").split("\n"))
    blocks.append([f"  note: {note}" for note in dict.fromkeys(report.notes)])
    return _joined(blocks)


def head(report: Report) -> str:
    """Return how a report begins: what is known before the places are looked for."""
    reason = [f"  {report.reason}"] * bool(report.reason)
    return _joined([[said(report)], reason, asked(report), _table(report)])


def _joined(blocks: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks if block)


def every(reports: Sequence[Report]) -> str:
    """Return some reports one after the other."""
    return "\n\n".join(map(text, reports))


def said(report: Report) -> str:
    """Return what was judged and the verdict, in a line."""
    says = SAYS[report.verdict]
    roots, bare = ({re.split(r"[.\[]", n)[0] for n in report.names(v)} for v in ("right", "not given"))
    if report.verdict == "right" and roots & bare:  # an input needs none, an object's weights need all
        says = "the gradients that there are, are right"
    return f"{', '.join([report.file, *report.piece])}: {says}"


def patch(report: Report) -> str:
    """Return the diff, with a reason for each change before it; patch(1) takes it as it is."""
    return "\n".join([*reasons(report), report.diff])


def reasons(report: Report) -> list[str]:
    """Return where each change is, and its reason."""
    return [f"  {_place(one)}: {one['reason']}" for one in report.mends]


def _place(one: dict[str, Any]) -> str:
    return re.sub(r"^.*[/\\]", "", str(one["place"]))


def asked(report: Report) -> list[str]:
    """Return what was judged: the example, the loss, the cell."""
    lines = []
    if report.example:
        lines += [f"  example ({report.origin}):"]
        lines += [f"      {line}" for line in report.example.rstrip().split("\n")]
    if report.loss:
        terms = re.sub(r"\bwhat (\w[\w.]*)(\S*) returns\b", r"\1(...)\2", report.loss).split(" + sum(")
        lines += [f"  {'      + sum(' * (k > 0) or 'loss: '}{term}" for k, term in enumerate(terms)]
        lines[-1] += ", of which the backward begins with the gradient" * (report.kind == "implied")
    if report.cell:
        first, colon, equations = report.cell.partition(": ")
        found = re.findall(r"(?:.{1,96}|.+?)(?:, (?=\w+ = )|$)", equations)
        lines += [f"  {first}{colon.rstrip()}", *(f"      {line.removesuffix(', ')}" for line in found)]
    return lines


def _table(report: Report) -> list[str]:
    given = gradients(report)
    wide = max([11, *(len(name) for name, *_ in given)])
    lines = [f"  {'gradient at':{wide}}  verdict  off by"] * bool(given)
    for name, verdict, error, at, told in given:
        line = f"  {name:{wide}}  {verdict:7}  {error:6}" + f"  {at}" * bool(at)
        lines.append((line + f"  ({told})" * bool(told)).rstrip())
    return lines + [f"  {missing(report)}"] * bool(missing(report))


def gradients(report: Report) -> list[tuple[str, str, str, str, str]]:
    """Return for each gradient that is given: at what, its verdict, its error, where it is off, notes."""
    rows = []
    for g in report.gradients:
        if g["verdict"] != "not given":
            at = f"at {g['at']} {_number(g['got'])}, must be {_number(g['wanted'])}" if "at" in g else ""
            told = "; ".join(part for part in (g["where"], g["note"]) if part)
            rows.append((g["name"], g["verdict"], _error(g["error"]), at, told))
    return rows


def missing(report: Report) -> str:
    """Return of what no gradient is given; nothing if of all it is."""
    names = report.names("not given")
    return f"without a gradient: {_listed(names)}" if names else ""


def _listed(names: list[str]) -> str:
    """Return names in a line, the entries of one list together.

    Examples
    --------
    >>> _listed(["xs[0]", "xs[1]", "xs[2]", "h"])
    'xs[0] to xs[2], h'
    """
    lists = itertools.groupby(names, key=lambda name: re.sub(r"\[\d+\]$", "[", name))
    groups = [list(members) for _, members in lists]
    return ", ".join(g[0] if len(g) == 1 else f"{g[0]} to {g[-1]}" for g in groups)


def _error(error: float) -> str:
    return (
        "" if not 0 < error < np.inf else f"{error:.0e}" if error < 1e-2 or error >= 100 else f"{error:.2g}"
    )


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.6g}"


def places(report: Report) -> list[str]:
    """Return which statements are wrong, and what they must be."""
    lines = []
    if report.verdict == "wrong" and report.example and not (report.located or report.reason):
        lines.append("  Which statement is wrong was not found.")
    for n, one in enumerate(report.located):
        says = "It must be" if one["must"].startswith("the gradient") else "What is wrong:"
        first, time = "Another wrong statement is" if n else "The first wrong statement is", ""
        if one.get("or"):
            first, time = "The wrong statement is", f", or what passes it on, {', '.join(one['or'])}"
        if not one.get("sure", True):
            first = "The first statement that takes gradients and gives none is"
            if not one.get("takes", True):
                first = "The first statement of the backward that gives no gradient is"
            if one.get("gradient"):
                first = f"The first gradient that is wrong, at {one['gradient']}, is made by"
            time = f" (time {one['step'] + 1})" * (one["step"] > 0)
            says = "As at its other times, it must be"
        lines += [f"  {first} {one['place']}{time}", f"      {one['text']}"]
        lines += [f"  {says} {one['must']}."] if one["must"] else []
        lines += [f"  There, {one['hint']}."] if one.get("hint") else []
        rows = [("it is", one["got"]), ("must be", one["wanted"])] if one["wanted"] else []
        texts = [[_number(value) for value in values[:SHOWN]] for _, values in rows]
        wide = [max(map(len, pair)) for pair in zip(*texts, strict=False)]
        for (what, values), own in zip(rows, texts, strict=True):
            entries = "  ".join(t.rjust(n) for t, n in zip(own, wide, strict=False))
            before = "... " * bool(one.get("from"))
            lines.append(f"      {what:8}{before}{entries}" + " ..." * (len(values) > SHOWN))
        if one.get("equation"):
            lines.append(f"  In the cell's terms: {one['equation']}")
    if report.located and not report.mends:
        lines += ["", "  No change was found that makes every gradient right; --fix searches longer."]
    return lines


def traced(report: Report) -> str:
    """Return a table of the backward's statements: what each is the gradient at, and how often.

    Examples
    --------
    >>> step = {"place": "rnn.py:9", "line": 9, "text": "da = dh * h", "is": "`a` of line 4"}
    >>> print(traced(Report("wrong", "rnn.py", trace=[step | {"times": [True, False]}])))
      statement               is the gradient at
      rnn.py:9  da = dh * h   `a` of line 4, the first time alone
    """
    if not report.trace:
        return "  no statement of a backward was seen"
    first = max(len(_place(one)) for one in report.trace)
    wide = min(max(len(one["text"]) for one in report.trace), 48)
    lines = [f"  {'statement':{first + 2 + wide}}   is the gradient at"]
    for one in report.trace:
        cut = one["text"] if len(one["text"]) <= wide else f"{one['text'][: wide - 3]}..."
        lines.append(f"  {_place(one):{first}}  {cut:{wide}}   {_when(one['is'], one['times'])}")
    return "\n".join(lines)


def _when(what: str, times: list[bool]) -> str:
    """Return what a statement is the gradient at, and when it is not."""
    good = sum(times)
    if not good:
        return "nothing" + f", {len(times)} times" * (len(times) > 1)
    if good == len(times):
        return what
    if any(times[good:]):
        return f"{what}, {good} of {len(times)} times"
    return f"{what}, the first {'time' if good == 1 else f'{good} times'} alone"


def relation(name: str, got: Array, right: Params, at: Params, tolerance: float) -> str:
    """Return in words what the gradient `got` at `name` is instead; empty where that is not known.

    `right` has the numerical gradients of all names, and `at` the point, in case a gradient is a parameter
    itself; the `tolerance` for what counts as equal is relative.

    Examples
    --------
    >>> right = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> relation("U", right.T, {"U": right}, {}, 1e-9), relation("U", 2 * right, {"U": right}, {}, 1e-9)
    ('the right one transposed', 'the right one times 2')
    """
    wanted = right[name]
    if not np.isfinite(got).all():
        return "not finite"
    if not got.any():
        return "exactly zero"
    factor = float((got * wanted).sum()) / (float((wanted * wanted).sum()) or 1.0)
    others = [
        (f"the right one times {factor:.6g}", factor * wanted),
        ("the right one transposed", wanted.T),
        *((f"the gradient at {other}", array) for other, array in right.items() if other != name),
        *((f"the array {other} itself", array) for other, array in at.items()),
        *((f"the right one plus {other} itself", wanted + at[other]) for other in at if other == name),
    ]
    for words, array in others:
        if array.shape == got.shape and not _off(got, array, tolerance).any():
            return words
    wrong = _off(got, wanted, tolerance)
    return _blocks(wrong, wrong | (wanted != 0))


def _off(got: Array, wanted: Array, tolerance: float) -> Array:
    off: Array = np.abs(got - wanted) > tolerance * max(float(np.abs(wanted).max(initial=0)), 1e-300)
    return off


def _blocks(wrong: Array, shown: Array) -> str:
    """Return which of 4, 3 or 2 equal blocks along an axis are wrong, if another is right.

    An entry that should be zero, and is, speaks for neither: a token that does not occur has no right column.
    """
    for count in (4, 3, 2):
        for axis, size in enumerate(wrong.shape):
            if size % count == 0 and size != count:
                bad, seen = ([part.any() for part in np.split(a, count, axis)] for a in (wrong, shown))
                if 0 < sum(bad) < sum(seen):
                    step, what = size // count, "columns" if axis == wrong.ndim - 1 else "rows"
                    ranges = [f"{k * step}:{(k + 1) * step}" for k, is_bad in enumerate(bad) if is_bad]
                    return f"only in {what} {', '.join(ranges)} of {size}"
    return ""
