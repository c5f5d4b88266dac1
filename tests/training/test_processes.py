"""Workers that are processes and speak by gloo, as torchrun starts them; skipped without PyTorch."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

from bptt import Trained, Trainer
from bptt.training.runs.folder import Run
from command import FAST, command
from labelled_tables import texts
from small_runs import go, left_by, text

pytestmark = pytest.mark.skipif(os.name != "posix", reason="their signals are not of this system")

SHARED = ["--batch=4", "--shards=2", "--report-every=2", "--no-samples"]
STREAM = [*FAST, *SHARED, "--steps=1000000", "--eval-every=1000000", "--dropout=0.1"]
LABELS = ["--task=classify", "--text=name", "--label=language", "--hidden=6", *SHARED, "--eval-every=4"]


def signalled(
    number: int, *arguments: str, cwd: Path
) -> "tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]":
    """Train by two workers, as torchrun starts them, send the second a signal, and return how both end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    env |= {"WORLD_SIZE": "2", "BPTT_WAIT": "60", "BPTT_THREADS": "1"}
    log = cwd / "run" / "log.jsonl"
    told = ["train", *arguments, "--out=run"]
    both = [command(*told, cwd=cwd, env=env | {"RANK": rank}) for rank in "01"]
    while not log.exists() or log.stat().st_size < 500:
        assert [process.poll() for process in both] == [None, None]
        time.sleep(0.01)
    both[1].send_signal(number)
    said = [process.communicate(timeout=200) for process in both]
    ends = [
        subprocess.CompletedProcess(told, process.returncode, output.decode(), errors.decode())
        for process, (output, errors) in zip(both, said, strict=True)
    ]
    return ends[0], ends[1]


def test_two_processes_stop_at_one_step_and_have_the_bits_of_one(tmp_path: Path) -> None:
    tmp_path.joinpath("a.txt").write_text(text())
    first, second = signalled(signal.SIGTERM, "a.txt", *STREAM, cwd=tmp_path)
    assert (second.returncode, second.stdout, second.stderr, first.stderr) == (0, "", "", "")
    step = Trained.load(tmp_path / "run", "last").step
    assert first.returncode == 1
    assert f"stopped at step {step:,}; go on with: bptt train --resume run" in first.stdout
    go(Trainer.start(Run.open(tmp_path / "run").describe().settings, tmp_path / "one"), step)
    one, two = (tmp_path.joinpath(name, "last.safetensors").read_bytes() for name in ("one", "run"))
    assert one == two


def test_a_worker_that_is_killed_is_named_and_one_alone_begins_again(tmp_path: Path) -> None:
    tmp_path.joinpath("a.csv").write_text(texts())
    told = ["a.csv", *LABELS, "--steps=100"]
    first, second = signalled(signal.SIGKILL, *told, cwd=tmp_path)
    assert second.returncode == -signal.SIGKILL
    assert first.returncode == 2
    assert first.stderr.startswith("bptt: worker 1 (process ")
    assert "has ended, or does not answer; run/last.safetensors keeps step" in first.stderr
    assert first.stderr.count("\n") == 1
    kept = Trained.load(tmp_path / "run", "last").step
    env = {"TORCHELASTIC_RESTART_COUNT": "1", "TORCHELASTIC_MAX_RESTARTS": "3"}
    with command("train", *told, "--out=run", cwd=tmp_path, env=env) as again:
        says, errors = again.communicate(timeout=100)
    assert (again.returncode, errors) == (0, b"")
    assert f", from step {kept}" in says.decode()
    go(Trainer.start(Run.open(tmp_path / "run").describe().settings, tmp_path / "one"))
    assert left_by(tmp_path / "run") == left_by(tmp_path / "one")
