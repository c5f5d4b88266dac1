"""A log of SARIF has what the standard asks for, and its fixes make the file what the diff makes it."""

import difflib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

from bptt.checking import Report
from bptt.checking.report import sarif
from reports import CODE, MENDED, wrong


def fixed(text: str, change: dict[str, Any]) -> str:
    """Return a text with a fix's replacements made, as SARIF says them."""
    lines = text.splitlines(keepends=True)
    for one in reversed(change["replacements"]):
        region = one["deletedRegion"]
        assert region["startColumn"] == region["endColumn"] == 1
        lines[region["startLine"] - 1 : region["endLine"] - 1] = [one["insertedContent"]["text"]]
    return "".join(lines)


def checked(log: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of a log that has what the schema requires."""
    assert log["version"] == "2.1.0"
    assert log["$schema"].startswith("https://")
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    rules = {rule["id"] for rule in driver["rules"]}
    assert driver["name"] == "bptt"
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["ruleId"] in rules
        assert (result["level"] == "none") == (result["kind"] != "fail")
        for location in result["locations"]:
            assert location["physicalLocation"]["artifactLocation"]["uri"]
        for fix in result.get("fixes", []):
            assert fix["description"]["text"]
            assert fix["artifactChanges"]
    return list(run["results"])


def test_a_wrong_statement_and_its_fix(tmp_path: Path) -> None:
    report = wrong(tmp_path)
    [result] = checked(sarif([report]))
    place = result["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 7
    assert Path(unquote(urlparse(place["artifactLocation"]["uri"]).path)).name == "layer.py"
    assert "da = 2 * y * (1 - y) must be the gradient at `x @ W` of line 5" in result["message"]["text"]
    [change] = result["fixes"][0]["artifactChanges"]
    assert fixed(CODE, change) == MENDED


@pytest.mark.parametrize(
    "new",
    ["a\nb\nc\nd\nnew\n", "new\na\nb\nc\nd\n", "b\nc\n", "a\nx\ny\nc\nz\nd\n"],
    ids=["at the end", "at the start", "taken away", "two places"],
)
def test_lines_that_come_and_go_are_replacements(new: str, tmp_path: Path) -> None:
    report, old = wrong(tmp_path), "a\nb\nc\nd\n"
    names: dict[str, Any] = {"fromfile": "a/layer.py", "tofile": "b/layer.py"}
    report.diff = "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), **names))
    result = checked(sarif([report]))[0]
    assert fixed(old, result["fixes"][0]["artifactChanges"][0]) == new


def test_what_is_right_and_what_cannot_be_told_are_results_too(tmp_path: Path) -> None:
    gradient = {"name": "W", "verdict": "right"}
    reports = [
        Report("right", "dir with space/f.py", gradients=[gradient]),
        Report("cannot tell", "g.py", reason="no loss"),
        Report("wrong", "h.py", gradients=[gradient | {"verdict": "wrong"}]),
    ]
    right, unclear, bare = checked(sarif(reports))
    assert (right["kind"], unclear["kind"], bare["kind"]) == ("pass", "open", "fail")
    assert right["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "dir%20with%20space/f.py"
    assert unclear["message"]["text"] == "no loss"
    assert "W" in bare["message"]["text"]


def test_a_notebook_s_lines_are_those_of_cells(tmp_path: Path) -> None:
    report = wrong(tmp_path)
    report.located[0]["place"] = report.mends[0]["place"] = "rnn.ipynb: cell 3, line 5"
    report.diff = report.diff.replace("layer.py", "layer.py: cell 3")
    [result] = checked(sarif([report]))
    assert "region" not in result["locations"][0]["physicalLocation"]
    assert result["locations"][0]["message"]["text"] == "rnn.ipynb: cell 3, line 5"
    assert "fixes" not in result
