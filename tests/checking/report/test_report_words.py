"""A report says what a person needs, in the order in which it is needed."""

from pathlib import Path

from bptt.checking import Report, text
from bptt.checking.report import patch, traced, worst
from reports import wrong


def test_a_wrong_file_s_report_says_where_and_what_must_be_there(tmp_path: Path) -> None:
    said = text(wrong(tmp_path))
    parts = [
        "layer.py: the backward pass is wrong",
        "loss, dW = layer(x, W)",
        "loss: loss",
        "W            wrong    0.5     at [0, 1] 1.5, must be 0.25  (dW)",
        "without a gradient: x",
        "The first wrong statement is",
        "It must be the gradient at `x @ W` of line 5.",
        "must be 1  0.5",
        "In the cell's terms: da = dy * (1 - y ** 2)",
        "With these changes every gradient is right:",
        "layer.py:7: `1 - y` stands where `1 - y ** 2` belongs",
        "-    da = 2 * y * (1 - y)\n+    da = 2 * y * (1 - y ** 2)",
    ]
    places = [said.index(part) for part in parts]
    assert places == sorted(places)
    assert "---" not in text(wrong(tmp_path), diff=False)


def test_the_patch_is_one(tmp_path: Path) -> None:
    said = patch(wrong(tmp_path))
    assert said.startswith("  layer.py:7: `1 - y` stands where")
    assert said[said.index("--- a/layer.py\n+++ b/layer.py\n") :] == wrong(tmp_path).diff


def test_why_it_cannot_be_told_is_said_once() -> None:
    said = text(Report("cannot tell", "f.py", reason="nothing is a loss", notes=["left out", "left out"]))
    assert said == (
        "f.py: cannot tell whether the gradients are right\n\n  nothing is a loss\n\n  note: left out"
    )


def test_gradients_that_are_missing_are_not_said_to_be_right(tmp_path: Path) -> None:
    right, missing = wrong(tmp_path).gradients
    right = {"name": "net.W", "verdict": "right", "error": 0.0, "where": "dW", "note": ""}
    report = Report("right", "f.py", gradients=[right, missing])
    assert text(report).startswith("f.py: the gradients are right\n")  # an input needs none
    report.gradients.append(missing | {"name": "net.b"})
    assert text(report).startswith("f.py: the gradients that there are, are right\n")
    assert text(report).endswith("without a gradient: x, net.b")


def test_that_no_change_or_no_place_was_found_is_said(tmp_path: Path) -> None:
    report = wrong(tmp_path)
    report.diff, report.mends = "", []
    assert "No change was found that makes every gradient right" in text(report)
    report.located = []
    assert "Which statement is wrong was not found." in text(report)
    assert "No change was found" not in text(report)


def test_a_statement_s_times_are_one_line_of_the_trace() -> None:
    times = ([True, True, False], [False], [True], [False, True], [False, False])
    trace = [
        {"place": f"a/f.py:{n}", "line": n, "text": "da = dh", "is": "`a`", "times": one}
        for n, one in enumerate(times, 7)
    ]
    assert traced(Report("wrong", "a/f.py", trace=trace)).splitlines() == [
        "  statement          is the gradient at",
        "  f.py:7   da = dh   `a`, the first 2 times alone",
        "  f.py:8   da = dh   nothing",
        "  f.py:9   da = dh   `a`",
        "  f.py:10  da = dh   `a`, 1 of 2 times",
        "  f.py:11  da = dh   nothing, 2 times",
    ]


def test_the_worst_decides() -> None:
    right, wrong, unclear = (Report(verdict, "f.py") for verdict in ("right", "wrong", "cannot tell"))
    assert worst([right, right]) == "right"
    assert worst([right, unclear]) == "cannot tell"
    assert worst([right, unclear, wrong]) == "wrong"
