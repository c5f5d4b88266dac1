"""Small texts and short runs for tests of training, and what is left of them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import Settings, Trainer
from bptt.training.runs.folder import Checkpoint, Run
from bptt.types import Params

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "nobody", "looks"]


def text(seed: int = 0, count: int = 250) -> str:
    drawn = np.random.default_rng(seed).choice(WORDS, count)
    return "".join(word + "\n"[: k % 9 == 0] + " "[: k % 9 != 0] for k, word in enumerate(drawn))


@pytest.fixture
def book(tmp_path: Path) -> str:
    tmp_path.joinpath("book.txt").write_text(text())
    return str(tmp_path / "book.txt")


SMALL: dict[str, Any] = {"hidden": 6, "embedding": 4, "batch": 3, "chunk": 8, "steps": 23}
SMALL |= {"report_every": 5, "eval_every": 7}


def go(trainer: Trainer, stop: float = math.inf) -> Trainer:
    for _ in trainer.reports(lambda: trainer.step >= stop):
        pass
    return trainer


def left_by(folder: Path) -> tuple[bytes, bytes, list[dict[str, Any]]]:
    """Return what must not depend on where a run was stopped: all but times."""
    lines = [json.loads(line) for line in folder.joinpath("log.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"], line["tokens_per_second"], line["crc32"]
    return (
        folder.joinpath("last.safetensors").read_bytes(),
        folder.joinpath("best.safetensors").read_bytes(),
        lines,
    )


LINES = "the quick brown fox jumps over the lazy dog\n" * 12
"""A text that is soon learnt."""


def checkpoint(k: int = 0, size: int = 400) -> Checkpoint:
    arrays: dict[str, Params] = {
        "params": {"layers.0.U": np.full((20, size), k, np.float32), "output.b": np.arange(3.0)},
        "optimizer": {"t": np.array(k, np.int64)},
        "state": {},
    }
    return Checkpoint(arrays, {"step": k, "source": {"batches": k}, "best": None})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "run", {"settings": {}})
    run.save("last", checkpoint(1))
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    folder.joinpath("text.txt").write_text(LINES)
    settings = Settings.of(data=str(folder / "text.txt"), hidden=4, embedding=2, batch=2, chunk=4, steps=2)
    for _ in Trainer.start(settings, folder / "run").reports():
        pass
    return folder / "run"


def assert_one_line(error: pytest.ExceptionInfo[Any]) -> None:
    assert len(str(error.value)) < 1000
    assert len(str(error.value).splitlines()) == 1
