"""A run that is killed at any moment, or interrupted, goes on to the bits of one that nobody disturbed."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.cli import run as bptt

# the command, but with checkpoints so often that many a kill meets one half-written
OFTEN = """
import signal, sys, bptt.cli, bptt.training.trainer
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
bptt.training.trainer.SAVE_SECONDS = 0.01
bptt.cli.main(sys.argv[1:])
"""

ASKED = ["--hidden=12", "--embedding=6", "--batch=4", "--chunk=8", "--dropout=0.2", "--steps=1500"]
ASKED += ["--report-every=40", "--eval-every=150", "--seed=3", "--optimizer=adam", "--schedule=constant"]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("kill") / "book.txt"
    path.write_text("".join(np.random.default_rng(0).choice([*"abcde \n"], 3000)))
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(book: str) -> Path:
    folder = Path(book).parent / "undisturbed"
    assert bptt(["train", book, "--out", str(folder), *ASKED]) == 0
    return folder


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OFTEN, "train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_it_trains(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if "the run is kept in" in line:
            return
    assert process.stderr is not None
    raise AssertionError(process.stderr.read())


def left_by(folder: Path) -> tuple[bytes, bytes, list[dict[str, Any]], set[str]]:
    lines = [json.loads(line) for line in folder.joinpath("log.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"], line["tokens_per_second"], line["crc32"]
    return (
        folder.joinpath("last.safetensors").read_bytes(),
        folder.joinpath("best.safetensors").read_bytes(),
        lines,
        {path.name for path in folder.iterdir()},
    )


def test_a_run_killed_at_ten_random_moments_ends_in_the_same_bits(book: str, undisturbed: Path) -> None:
    rng, folder = random.Random(1997), Path(book).parent / "killed"
    lives = 0
    for kill in range(10):
        begun = folder.joinpath("config.json").exists()
        process = start("--resume", str(folder)) if begun else start(book, "--out", str(folder), *ASKED)
        if kill % 3:
            until_it_trains(process)
            while kill == 1 and not folder.joinpath("last.safetensors").exists():
                time.sleep(0.01)  # on a machine that is busy, too, one of them has trained for a while
            time.sleep(rng.uniform(0, 0.25))
        else:  # perhaps before it has begun
            time.sleep(rng.uniform(0, 0.8))
        lives += process.poll() is None
        process.kill()
        _, errors = process.communicate()
        assert errors == ""
    assert lives >= 5
    assert folder.joinpath("last.safetensors").exists()
    assert bptt(["train", "--resume", str(folder)]) == 0
    assert left_by(folder) == left_by(undisturbed)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_run_says_how_to_go_on(
    book: str, undisturbed: Path, tmp_path: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "interrupted"
    process = start(book, "--out", str(folder), *ASKED)
    until_it_trains(process)
    time.sleep(0.1)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors == ""
    said = output.splitlines()[-1]
    assert said.startswith("stopped at step ")
    assert said.endswith(f"; go on with: bptt train --resume {folder}")
    assert bptt(said.split("bptt ")[1].split()) == 0
    step = said.split()[3].rstrip(";")
    assert step in ("0", "1,500") or f"from step {step}" in capsys.readouterr().out
    assert left_by(folder) == left_by(undisturbed)
