"""Logs for TensorBoard: events are the log's lines, made anew each time, and no others are touched."""

import struct
from pathlib import Path
from typing import Any

import pytest

from bptt.errors import ConfigError, RunError
from bptt.reporting import Comparison, Kept, tensorboard

LINES: list[dict[str, Any]] = [
    {"step": 5, "seconds": 1.5, "train_loss": 2.5, "solved": True, "note": "odd"},
    {"step": 10, "seconds": 3.0, "train_loss": 1.25, "valid_loss": 2.0},
]


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "config.json").write_text("{}")
    return Comparison([Kept("one", str(tmp_path / "one"), lines=LINES)], [])


def events(folder: Path) -> list[tuple[str, int, float, float]]:
    """Return tag, step, value and time of what lies in a folder's files."""
    event_pb2: Any = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for path in sorted(folder.glob("events*.bptt")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            found += [(v.tag, event.step, v.simple_value, event.wall_time) for v in event.summary.value]
            data = data[16 + length :]
    return found


def test_the_events_are_the_logs_lines(found: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    for _ in range(2):  # the second time in place of the first
        assert tensorboard.write(found, tmp_path / "tb") == [tmp_path / "tb" / "one"]
    told = events(tmp_path / "tb" / "one")
    assert [one[:3] for one in told] == [
        ("train_loss", 5, 2.5),
        ("train_loss", 10, 1.25),
        ("valid_loss", 10, 2.0),
    ]
    assert told[1][3] - told[0][3] == pytest.approx(1.5)


def test_others_files_stay(found: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    other = tmp_path / "tb" / "one" / "events.out.tfevents.1.host"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"mine")
    tensorboard.write(found, tmp_path / "tb")
    assert other.read_bytes() == b"mine"


def test_where_it_cannot_be(found: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        tensorboard.write(found, tmp_path / "file")
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match=r"pip install 'bptt\[tensorboard\]'"):
        tensorboard.write(found, tmp_path / "tb")
