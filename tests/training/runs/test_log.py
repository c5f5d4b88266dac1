"""A run's log: cut short, damaged, rewound."""

from pathlib import Path

import pytest

from bptt import RunError
from bptt.errors import BpttWarning
from bptt.training.runs.folder import Run
from small_runs import run as run


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_that_cannot_be_written_is_said(run: Run) -> None:
    run.path("log.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot write .*log\.jsonl: "):
        run.log.add({"step": 1})


def test_the_logs_half_written_last_line_is_left_out(run: Run) -> None:
    for step in (1, 2, 3):
        run.log.add({"step": step, "seconds": step / 2})
    log = run.path("log.jsonl")
    whole = log.read_bytes()
    for torn in range(1, len(whole.splitlines()[2])):
        log.write_bytes(whole[:-torn])
        assert [line["step"] for line in run.log.lines()] == [1, 2] + [3] * (torn == 1)
    log.write_bytes(whole[:-10])
    assert run.log.rewind(3) == 1.0
    assert log.read_bytes() == b"".join(whole.splitlines(keepends=True)[:2])
    run.log.add({"step": 3})
    assert len(run.log.lines()) == 3


def test_a_log_is_rewound_to_a_step(run: Run) -> None:
    assert run.log.rewind(9) == 0.0
    for step in range(5):
        run.log.add({"step": step, "seconds": step * 10.0})
    assert run.log.rewind(2) == 20.0
    assert [line["step"] for line in run.log.lines()] == [0, 1, 2]


@pytest.mark.parametrize(
    "bad",
    [b"\xff\xfe", b"null", b"[1]", b'{"a": 1}', b'{"step": "x"}', b"\0\0", b'{"step": 1}', b"", b"[" * 9999],
)
def test_damaged_lines_of_a_log_are_kept_aside_and_told(run: Run, bad: bytes) -> None:
    for step in (1, 2, 3):
        run.log.add({"step": step, "seconds": step / 2})
    first, *others = run.path("log.jsonl").read_bytes().splitlines(keepends=True)
    damaged = b"".join([first, bad + b"\n", *others])
    run.path("log.jsonl").write_bytes(damaged)
    with pytest.warns(BpttWarning, match="line 2 is damaged, and left out"):
        assert [line["step"] for line in run.log.lines()] == [1, 2, 3]
    with pytest.warns(BpttWarning, match=r"line 2 is damaged.*it is kept in .*log\.jsonl\.damaged-1"):
        assert run.log.rewind(2) == 1.0
    assert run.path("log.jsonl.damaged-1").read_bytes() == damaged
    assert [line["step"] for line in run.log.lines()] == [1, 2]


def test_every_flipped_bit_of_a_log_is_seen(run: Run) -> None:
    for step in (1, 2):
        run.log.add({"step": step, "train_loss": 1.5})
    whole, lines = run.path("log.jsonl").read_bytes(), run.log.lines()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        run.path("log.jsonl").write_bytes(flipped)
        torn = not flipped.endswith(b"\n")
        assert torn or run.log.read().damaged or run.log.lines() == lines  # a space became a tab


def test_a_log_that_cannot_be_read_is_said(run: Run) -> None:
    run.path("log.jsonl").mkdir()
    with pytest.raises(RunError, match="cannot read"):
        run.log.lines()
