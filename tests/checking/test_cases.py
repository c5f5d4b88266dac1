"""Small files of every kind that people write: each gets its verdict, its first wrong line, and its mend."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bptt.checking.examine import check_source, work
from bptt.checking.file import read
from judged.cases import CASES, Case


def params(cases: Iterable[Case]) -> list[Any]:
    """Return cases with their names; those that nobody has mended the checker for are expected to fail."""
    still = pytest.mark.xfail(reason="not yet", strict=True)
    return [pytest.param(one, id=one.name, marks=[still] if "open" in one.asked else []) for one in cases]


RIGHT = params(case for case in CASES if case.verdict == "right")
WRONG = params(case for case in CASES if case.verdict == "wrong")
FOUND = params(case for case in CASES if "found" in case.asked)


def needed(case: Case) -> None:
    if "torch" in case.example:
        pytest.importorskip("torch")


@pytest.mark.parametrize("case", RIGHT)
def test_right_code_is_right(case: Case, tmp_path: Path) -> None:
    needed(case)
    report = check_source(read(case.write(tmp_path)), case.example)
    assert report.verdict == "right", (report.reason, report.loss, report.gradients)
    assert "right" in {g["verdict"] for g in report.gradients}
    assert not report.located
    assert not report.diff


@pytest.mark.parametrize("case", WRONG)
def test_wrong_code_is_wrong_at_its_line(case: Case, tmp_path: Path) -> None:
    path, mend = case.write(tmp_path), "mended" in case.asked
    (report,) = reports(path, case.example, mend)
    assert report["verdict"] == "wrong", (report["reason"], report["loss"], report["gradients"])
    assert case.line is None or case.line == report["located"][0]["line"]
    if mend:
        assert report["whole"], report["notes"]
        path.write_text(report["fixed"][str(path)], encoding="utf-8")
        assert check_source(read(path), case.example).verdict == "right"


@pytest.mark.parametrize("case", FOUND)
def test_an_example_is_found(case: Case, tmp_path: Path) -> None:
    verdicts = {report["verdict"] for report in reports(case.write(tmp_path))}
    assert "right" in verdicts
    assert "wrong" not in verdicts


def reports(path: Path, example: str = "", mend: bool = False) -> list[dict[str, Any]]:
    """Return what is told of a file, the last of each report."""
    found: dict[int, dict[str, Any]] = {}

    def send(_: str, report: dict[str, Any]) -> None:
        found[report["number"]] = report

    work({"path": path, "example": example, "seconds": 60, "mend": mend}, send)
    return [*found.values()]
