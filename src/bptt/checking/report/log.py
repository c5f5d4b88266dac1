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


def sarif(reports: Sequence[Report]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log, as JSON values.

    Parameters
    ----------
    reports : sequence of Report

    Examples
    --------
    >>> place = {"place": "rnn.py:9", "line": 9, "text": "da = dh * h", "must": "the gradient at `a`"}
    >>> log = sarif([Report("wrong", "rnn.py", located=[place])])
    >>> log["runs"][0]["results"][0]["message"]["text"]
    'da = dh * h must be the gradient at `a`'
    """
    rules = [{"id": name, "shortDescription": {"text": says}} for name, says in RULES.items()]
    driver = {"name": "bptt", "version": __version__, "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [result for report in reports for result in _results(report)],
            }
        ],
    }


def _results(report: Report) -> Iterator[dict[str, Any]]:
    if report.verdict == "right":
        names = ", ".join(report.names("right"))
        yield _result("right", f"the gradients are right: {names}", report.file, kind="pass", level="none")
    elif report.verdict == "cannot tell":
        yield _result("not-judged", report.reason or "cannot tell", report.file, kind="open", level="none")
    else:
        fixes = _fixes(report)
        mended = {(m["path"], m["line"]): m for m in report.mends}
        for one in report.located:
            says = one["must"].removeprefix("must be ")
            says = f"{one['text']} must be {says}" if says.startswith("the gradient") else says
            if one.get("equation"):
                says += f": {one['equation']}"
            path = next((p for p, line in mended if line == one["line"]), report.file)
            mended.pop((path, one["line"]), None)
            yield _result("wrong-statement", says, path, one["line"], one["place"]) | fixes
        for (path, line), one in mended.items():
            yield _result("wrong-statement", one["reason"], path, line, one["place"]) | fixes
        if not report.located and not report.mends:
            for name in report.names("wrong"):
                yield _result("wrong-gradient", f"the gradient at {name} is wrong", report.file)


def _result(
    rule: str,
    says: str,
    path: str,
    line: int = 0,
    place: str = "",
    *,
    kind: str = "fail",
    level: str = "error",
) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(path)}}
    location: dict[str, Any] = {"physicalLocation": physical}
    if ": cell " in place:  # a notebook's cells have lines, and the file has others
        location["message"] = {"text": place}
    elif line:
        physical["region"] = {"startLine": line}
    return {"ruleId": rule, "kind": kind, "level": level, "message": {"text": says}, "locations": [location]}


def _uri(path: str) -> str:
    where = Path(path)
    return where.as_uri() if where.is_absolute() else quote(where.as_posix())


def _fixes(report: Report) -> dict[str, Any]:
    """Return the diff as SARIF's replacements: one fix, for only together they make it right."""
    paths = {Path(m["path"]).name: m["path"] for m in report.mends}
    changes: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    line, fresh = 0, True
    for row in report.diff.split("\n"):
        if row.startswith("--- a/"):
            own = []
            if row[6:] in paths:
                changes.append({"artifactLocation": {"uri": _uri(paths[row[6:]])}, "replacements": own})
        elif row.startswith("@@"):
            line, fresh = int(re.findall(r"-(\d+)", row)[0]), True
        elif row[:1] in ("-", "+") and not row.startswith("+++ b/"):
            if fresh:
                region = {"startLine": line, "startColumn": 1, "endLine": line, "endColumn": 1}
                own.append({"deletedRegion": region, "insertedContent": {"text": ""}})
            fresh = False
            if row[0] == "-":
                line += 1
                own[-1]["deletedRegion"]["endLine"] = line
            else:
                own[-1]["insertedContent"]["text"] += row[1:] + "\n"
        elif row.startswith(" "):
            line, fresh = line + 1, True
    if not changes or not all(change["replacements"] for change in changes):
        return {}
    reasons = "; ".join(f"line {m['line']}: {m['reason']}" for m in report.mends)
    return {"fixes": [{"description": {"text": reasons}, "artifactChanges": changes}]}
