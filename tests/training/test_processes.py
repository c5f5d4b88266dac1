"""Workers that are processes and speak by gloo, as torchrun starts them; skipped without PyTorch."""

import math
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from torch.distributed import TCPStore

from bptt import Trained, Trainer
from bptt.training.runs.folder import Run
from command import FAST, command
from labelled_tables import texts
from small_runs import go, left_by, text

pytestmark = pytest.mark.skipif(os.name != "posix", reason="their signals are not of this system")

SHARED = ["--batch=4", "--shards=2", "--report-every=2", "--no-samples", "--out=run"]
STREAM = [*FAST, *SHARED, "--steps=1000000", "--eval-every=1000000", "--dropout=0.1"]
STREAM += ["--hidden=48", "--layers=2"]  # of which a part is sent by itself
LABELS = ["--task=classify", "--text=name", "--label=language", "--hidden=6", *SHARED, "--eval-every=4"]


@pytest.fixture
def store() -> Any:
    """What torchrun keeps for the workers that it starts, and for those that it starts anew."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def pair(store: Any, folder: Path, *arguments: str, **more: str) -> "list[subprocess.Popen[bytes]]":
    """Start two workers as torchrun starts them."""
    env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "GLOO_SOCKET_IFNAME": "lo", **more}
    env |= {
        "WORLD_SIZE": "2",
        "BPTT_WAIT": "100",
        "BPTT_THREADS": "1",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    return [command("train", *arguments, cwd=folder, env=env | {"RANK": rank}) for rank in "01"]


def ends(both: "list[subprocess.Popen[bytes]]") -> list[tuple[int, str, str]]:
    said = [process.communicate(timeout=200) for process in both]
    return [
        (process.returncode, output.decode(), errors.decode())
        for process, (output, errors) in zip(both, said, strict=True)
    ]


def signalled(number: int, both: "list[subprocess.Popen[bytes]]", folder: Path) -> list[tuple[int, str, str]]:
    """Send the second a signal when they train, and return how both end."""
    log = folder / "run" / "log.jsonl"
    while not log.exists() or log.stat().st_size < 500:
        assert [process.poll() for process in both] == [None, None]
        time.sleep(0.01)
    both[1].send_signal(number)
    return ends(both)


def undisturbed(folder: Path, stop: float = math.inf) -> Path:
    """Train by this process alone, with the settings of the run."""
    go(Trainer.start(Run.open(folder / "run").describe().settings, folder / "one"), stop)
    return folder / "one"


def test_two_processes_stop_at_one_step_and_have_the_bits_of_one(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPTT_OVERLAP", "1")  # theirs, too
    tmp_path.joinpath("a.txt").write_text(text())
    (code, says, errors), second = signalled(
        signal.SIGTERM, pair(store, tmp_path, "a.txt", *STREAM), tmp_path
    )
    assert (code, errors, second) == (1, "", (0, "", ""))
    step = Trained.load(tmp_path / "run", "last").step
    assert f"stopped at step {step:,}; go on with: bptt train --resume run" in says
    one, two = (folder / "last.safetensors" for folder in (undisturbed(tmp_path, step), tmp_path / "run"))
    assert one.read_bytes() == two.read_bytes()


def test_a_worker_that_is_killed_is_named_and_torchrun_begins_again(store: Any, tmp_path: Path) -> None:
    tmp_path.joinpath("a.csv").write_text(texts())
    told = ["a.csv", *LABELS, "--steps=60"]
    first, second = signalled(signal.SIGKILL, pair(store, tmp_path, *told), tmp_path)
    assert (first[0], second[0]) == (2, -signal.SIGKILL)
    assert first[2].startswith("bptt: worker 1 (process ")
    assert "has ended, or does not answer; run/last.safetensors keeps step" in first[2]
    assert first[2].count("\n") == 1
    again = {"TORCHELASTIC_RESTART_COUNT": "1", "TORCHELASTIC_MAX_RESTARTS": "3"}
    (code, says, errors), second = ends(pair(store, tmp_path, *told, **again))
    assert (code, errors, second) == (0, "", (0, "", ""))
    assert ", from step " in says
    assert left_by(tmp_path / "run") == left_by(undisturbed(tmp_path))
