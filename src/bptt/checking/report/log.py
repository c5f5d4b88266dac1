"""Reports as SARIF 2.1.0, the format in which servers and editors take what checkers find."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bptt import __version__
from bptt.checking.report.record import Report

RULES = {
    "wrong-statement": "A statement of a backward pass is not the gradient that it must be.",
    "wrong-gradient": "A gradient is not that of the loss.",
    "not-judged": "Whether the gradients are right cannot be told.",
    "right": "The gradients are right.",
}
KINDS = {"right": ("pass", "none"), "not-judged": ("open", "none")}
"""What SARIF calls a result's kind and level; of the others: a failure, an error."""


def sarif(reports: Sequence[Report]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log, as JSON values.

    Examples
    --------
    >>> place = {"place": "rnn.py:9", "line": 9, "text": "da = dh * h", "must": "the gradient at `a`"}
    >>> log = sarif([Report("wrong", "rnn.py", located=[place])])
    >>> log["runs"][0]["results"][0]["message"]["text"]
    'da = dh * h must be the gradient at `a`'
    """
    rules = [{"id": name, "shortDescription": {"text": says}} for name, says in RULES.items()]
    run = {
        "tool": {"driver": {"name": "bptt", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [result for report in reports for result in _results(report)],
    }
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _results(report: Report) -> Iterator[dict[str, Any]]:
    whole = {"path": report.file, "line": 0, "place": ""}
    if report.verdict == "right":
        yield _result("right", f"the gradients are right: {', '.join(report.names('right'))}", whole)
        return
    if report.verdict == "cannot tell":
        yield _result("not-judged", report.reason or "cannot tell", whole)
        return
    told: dict[str, tuple[str, dict[str, Any]]] = {}
    for one in report.located:
        says = f"{one['text']} must be " * one["must"].startswith("the gradient") + one["must"]
        says = says or f"{one['text']} is the gradient at nothing"
        told[one["place"]] = ": ".join(filter(None, (says, one.get("equation")))), whole | one
    for one in report.mends:
        told.setdefault(one["place"], (one["reason"], one))
    for says, one in told.values():
        yield _result("wrong-statement", says, one) | _fixes(report)
    for name in () if told else report.names("wrong"):
        says = f"the gradient at {name} is wrong" + f": {report.reason}" * bool(report.reason)
        yield _result("wrong-gradient", says, whole)


def _result(rule: str, says: str, at: dict[str, Any]) -> dict[str, Any]:
    kind, level = KINDS.get(rule, ("fail", "error"))
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(at["path"])}}
    location: dict[str, Any] = {"physicalLocation": physical}
    if ": cell " in at["place"]:  # a notebook's cells have lines, and the file has others
        location["message"] = {"text": at["place"]}
    elif at["line"]:
        physical["region"] = {"startLine": at["line"]}
    return {"ruleId": rule, "kind": kind, "level": level, "message": {"text": says}, "locations": [location]}


def _uri(path: str) -> str:
    where = Path(path)
    return where.as_uri() if where.is_absolute() else quote(where.as_posix())


def _fixes(report: Report) -> dict[str, Any]:
    """Return the diff as one fix, a replacement for each of its hunks; of a notebook there is none."""
    paths = {Path(m["path"]).name: m["path"] for m in report.mends}
    changes = []
    for file in re.split(r"^--- a/", report.diff, flags=re.MULTILINE)[1:]:
        name, _, rest = file.partition("\n")
        replacements = []
        for first, text in re.findall(r"^@@ -(\d+).*\n((?:[ +-].*\n)+)", rest, re.MULTILINE):
            rows = text.splitlines(keepends=True)
            end = int(first) + sum(row[0] != "+" for row in rows)
            region = {"startLine": int(first), "startColumn": 1, "endLine": end, "endColumn": 1}
            new = {"text": "".join(row[1:] for row in rows if row[0] != "-")}
            replacements.append({"deletedRegion": region, "insertedContent": new})
        if name in paths:
            at = {"uri": _uri(paths[name])}
            changes.append({"artifactLocation": at, "replacements": replacements})
    reasons = "; ".join(f"line {m['line']}: {m['reason']}" for m in report.mends)
    return {"fixes": [{"description": {"text": reasons}, "artifactChanges": changes}]} if changes else {}
