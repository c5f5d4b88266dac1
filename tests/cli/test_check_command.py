"""`bptt check`: what it prints, what it writes, and its exit codes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bptt import checking
from bptt.checking import Report
from bptt.cli import run
from bptt.errors import DataError
from command import Capture
from reports import EXAMPLE, MENDED, wrong

Give = Callable[..., dict[str, Any]]
Told = Callable[[Report], None]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Return what sets the reports that the checker gives; what it was asked is in the dict."""

    def give(*reports: Report | Exception) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def check_file(path: str, name: str | None, *, told: Told, **options: Any) -> list[Report]:
            asked.update(options, path=path, name=name)
            for one in reports:
                if isinstance(one, Exception):
                    raise one
                told(one)
            return [one for one in reports if isinstance(one, Report)]

        monkeypatch.setattr(checking, "check_file", check_file)
        return asked

    return give


def test_a_file_three_lines_and_its_mend(tmp_path: Path, capsys: Capture) -> None:
    """All of it, once."""
    file = wrong(tmp_path).file
    assert run(["check", file, "--example", EXAMPLE.replace("\n", "; "), "--fix", "--write"]) == 1
    said = capsys.readouterr().out
    assert "`y` stands where `y ** 2` belongs" in said
    assert Path(file).read_text(encoding="utf-8") == MENDED
    assert run(["check", file, "--example", EXAMPLE.replace("\n", "; ")]) == 0
    assert "the gradients are right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [(["right"], 0), (["right", "wrong", "cannot tell"], 1), (["right", "cannot tell"], 2), ([], 2)],
)
def test_the_exit_code_is_the_worst_verdict(verdicts: list[str], code: int, give: Give) -> None:
    give(*(Report(verdict, "f.py") for verdict in verdicts))
    assert run(["check", "f.py"]) == code


def test_what_is_asked_for_is_handed_on(give: Give) -> None:
    asked = give(Report("right", "f.py"))
    run(["check", "f.py:Net", "--example", "Net()", "--seed", "3", "--run", "--seconds", "9"])
    assert asked == {
        "path": "f.py",
        "name": "Net",
        "example": "Net()",
        "seed": 3,
        "run": True,
        "seconds": 9.0,
    }
    run(["check", "f.py", "--fix"])
    assert (asked["name"], asked["seconds"]) == (None, 300)


def test_the_verdict_is_printed_before_the_rest_is_known(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, printed = wrong(tmp_path), list[str]()

    def check_file(*_: Any, told: Told, **__: Any) -> list[Report]:
        for one in (replace(report, located=[], mends=[], diff=""), Report("right", "g.py")):
            told(one)
            printed.append(capsys.readouterr().out)
        return [report, Report("right", "g.py")]

    monkeypatch.setattr(checking, "check_file", check_file)
    run(["check", "f.py"])
    assert "the backward pass is wrong" in printed[0]
    assert "The first wrong statement" not in printed[0]
    assert not printed[1]  # it stands below what is still to be known of the first
    whole = f"{checking.text(report)}\n\n{checking.text(Report('right', 'g.py'))}\n"
    assert printed[0] + capsys.readouterr().out == whole


def test_machines_get_one_object(give: Give, tmp_path: Path, capsys: Capture) -> None:
    give(wrong(tmp_path), Report("right", "g.py"))
    assert run(["check", "f.py", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "wrong"
    assert said["reports"][0]["mends"][0]["line"] == 7
    assert said["reports"][1]["verdict"] == "right"
    assert run(["check", "f.py", "--sarif"]) == 1
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"
    give(DataError("f.py: no such file"))
    assert run(["check", "f.py", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["reason"] == "f.py: no such file"


def test_the_trace_is_below_the_report(give: Give, tmp_path: Path, capsys: Capture) -> None:
    give(wrong(tmp_path))
    run(["check", "f.py", "--trace"])
    assert capsys.readouterr().out.splitlines()[-1] == "  layer.py:7  da = 2 * y * (1 - y)   nothing"


def test_the_example_is_kept_to_be_changed(
    give: Give, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(wrong(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(["check", "f.py", "--write-example", "how.py"]) == 1
    assert Path("how.py").read_text(encoding="utf-8") == EXAMPLE + "\n"
    assert run(["check", "f.py", "--write-example", "how.py"]) == 2
    assert "takes a new file" in capsys.readouterr().err
    give(Report("cannot tell", "f.py"))
    assert run(["check", "f.py", "--write-example", "other.py"]) == 2


def test_a_file_that_has_changed_meanwhile_is_not_written(
    give: Give, tmp_path: Path, capsys: Capture
) -> None:
    report = wrong(tmp_path)
    give(report)
    changed = Path(report.file).read_text(encoding="utf-8") + "\nmore = 1\n"
    Path(report.file).write_text(changed, encoding="utf-8")
    assert run(["check", report.file, "--fix", "--write"]) == 2
    assert "has changed" in capsys.readouterr().err
    assert Path(report.file).read_text(encoding="utf-8") == changed


def test_two_diffs_of_one_file_are_not_written(give: Give, tmp_path: Path, capsys: Capture) -> None:
    give(wrong(tmp_path), wrong(tmp_path))
    assert run(["check", "layer.py", "--fix", "--write"]) == 2
    assert "FILE:NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--adapter", "how.py"], "--adapter is gone: --example takes"),
        (["--write"], "--write belongs to --fix"),
        (["--json", "--sarif"], "of --json, --sarif, --fix and --trace one is taken"),
        (["--example", "x ="], "it must be Python"),
    ],
)
def test_what_means_nothing_is_one_line(
    options: list[str], says: str, tmp_path: Path, capsys: Capture
) -> None:
    assert run(["check", wrong(tmp_path).file, *options]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
