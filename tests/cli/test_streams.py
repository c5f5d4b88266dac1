"""Streams that are closed, full, or have no reader any more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from command import FAST_TASK, RUN, command, finish, posix


@posix
@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_closed_streams(closed: tuple[int, ...], tmp_path: Path) -> None:
    """A file that is opened does not take a closed stream's place, nor its output."""
    arguments = ["train", "reber", *FAST_TASK, "--out", str(tmp_path / "run")]
    script = f'exec "$@" {" ".join(f"{number}>&-" for number in closed)}'
    shell = ["/bin/sh", "-c", script, "sh", sys.executable, "-c", RUN, *arguments]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(shell, capture_output=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert (b"the run is kept" in done.stdout) == (1 not in closed)
    for name in ("config.json", "log.jsonl"):
        assert b"the run is kept" not in (tmp_path / "run" / name).read_bytes()
    assert json.loads((tmp_path / "run" / "config.json").read_bytes())


@posix
def test_no_file_takes_a_closed_streams_place() -> None:
    code = "import os, bptt_command; os.close(1); bptt_command.begin(); assert os.open(os.devnull, 0) > 2"
    assert finish(command("--version", before=code)) == (0, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [["presets"], ["--help"], ["derive", "rnn"], ["sample", "{}/run", "--length=5"], ["train", "nothing"]],
    ids=" ".join,
)
def test_a_full_disk_below_a_stream(desk: Path, arguments: list[str]) -> None:
    buffered: dict[str, str | None] = {"PYTHONUNBUFFERED": None}  # what is left is tried again at the end
    with Path("/dev/full").open("w") as full:
        arguments = [argument.format(desk) for argument in arguments]
        if arguments[0] == "train":
            assert finish(command(*arguments, stderr=full, env=buffered)) == (2, "", "")
        else:
            code, _, errors = finish(command(*arguments, stdout=full, env=buffered))
            assert (code, "No space left on device" in errors) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error on Windows")
def test_output_to_a_closed_pipe_is_no_error_to_show(desk: Path) -> None:
    for arguments in (["sample", str(desk / "run"), "--length=1000000"], ["eval", str(desk / "run")]):
        process = command(*arguments)
        assert process.stdout is not None
        assert process.stderr is not None
        if arguments[0] == "sample":
            assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(timeout=30) == 1
