"""A file is judged in a process of its own, within a time, and told as the user named it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bptt.checking import check_file, face
from bptt.checking.child import ChildError, Message
from bptt.errors import BpttError, ConfigError, DataError
from reports import CODE, EXAMPLE, MENDED


def test_a_file_is_judged_mended_and_named_as_the_user_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "layer.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "how.py").write_text(EXAMPLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    [report] = check_file("sub/layer.py", example=Path("how.py"))
    assert (report.verdict, report.file, report.names("wrong")) == ("wrong", "sub/layer.py", ["W"])
    assert report.located[0]["place"] == "sub/layer.py:7"
    assert report.fixed == {"sub/layer.py": MENDED}
    [place] = check_file("sub/layer.py", example=Path("how.py"), mend=False)
    assert (place.located[0]["line"], place.mends, place.fixed) == (7, [], {})
    Path("sub/layer.py").write_text(MENDED, encoding="utf-8")
    assert [one.verdict for one in check_file("sub/layer.py", example=EXAMPLE)] == ["right"]


@pytest.mark.parametrize(
    ("text", "example", "says"),
    [
        (None, "f()", "no such file"),
        (CODE, "layer(1)", "line 1 of the example: TypeError"),
        (CODE, "layer(", "it must be Python"),
        (CODE, "nowhere.py", "there is no such file"),
        (CODE + "\nimport os\nos._exit(3)\ndef g(): os._exit(3)", "g()", "exit code 3"),
        ("", "f()", "no code in it"),
    ],
)
def test_what_cannot_be_judged_is_one_line(
    text: str | None, example: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("layer.py").write_text(text, encoding="utf-8")
    with pytest.raises(BpttError) as told:
        check_file("layer.py", example=example)
    assert says in str(told.value)
    assert "\n" not in str(told.value)
    assert str(tmp_path) not in str(told.value)


def sent(*reports: dict[str, Any], end: Exception | None = None) -> Any:
    def run(*_: Any, **__: Any) -> Iterator[Message]:
        yield from (Message("report", report) for report in reports)
        if end:
            raise end

    return run


def test_what_was_known_when_the_time_was_up_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    first = {"number": 0, "verdict": "wrong", "file": "f.py"}
    other = {"number": 1, "verdict": "right", "file": "f.py", "piece": ["g"]}
    end = ChildError("not finished within 9 s", "time")
    monkeypatch.setattr(face, "_run", sent(first, first | {"cell": "lstm"}, other, end=end))
    one, two = check_file("f.py", seconds=9)
    assert (one.cell, one.notes) == ("lstm", [])
    assert two.piece == ("g",)
    assert two.notes == ["what is said was known by then: the time of 9 s was up; --seconds 18 gives more"]
    monkeypatch.setattr(face, "_run", sent(end=end))
    with pytest.raises(ChildError):
        check_file("f.py", seconds=9)
    monkeypatch.setattr(face, "_run", sent(first, end=DataError("no")))
    with pytest.raises(DataError):
        check_file("f.py", seconds=9)


def test_no_time_is_told() -> None:
    with pytest.raises(ConfigError, match="more than 0"):
        check_file("f.py", seconds=0)


def test_what_goes_through_time_and_was_not_judged_is_named(tmp_path: Path) -> None:
    """Its forward is nowhere, so that nothing can be written that calls it."""
    file = tmp_path / "two.py"
    more = (
        "\n\ndef backprop_steps(tape, oracle):\n    dW, dh = 0, 0\n    for step in tape[::-1]:\n"
        "        dh = oracle.consult(step.unknown) + dh\n        dW += dh\n    return dW\n"
    )
    file.write_text(MENDED.replace("layer", "layer_grads") + more, encoding="utf-8")
    judged, left = check_file(file)
    assert judged.verdict == "right"
    assert (left.verdict, left.piece) == ("cannot tell", ("backprop_steps",))
    assert [one.verdict for one in check_file(file, "layer_grads")] == ["right"]
