"""A desk with texts, runs and broken things, made once for all tests of the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from bptt.cli import run as bptt
from bptt.training.runs.format import FORMAT
from command import FAST, FAST_TASK, LINE


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with texts, runs and broken things; tests do not write into it."""
    desk = tmp_path_factory.mktemp("desk")
    texts = {
        "book": LINE * 20,
        "one": "x",
        "empty": "",
        "short": "two words\n",
        "blank": " \n" * 200,
        "line": "  \n",
    }
    texts |= {"other": "ÄÖÜ " * 30, "snow": "héllo ☃ 日本\n" * 40}
    for name, text in texts.items():
        desk.joinpath(f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    desk.joinpath("binary.dat").write_bytes(bytes(range(256)) * 8)
    desk.joinpath("folder").mkdir()
    for name, more in [
        ("run", [str(desk / "book.txt")]),
        ("words", [str(desk / "book.txt"), "--tokens=word"]),
        ("task", ["reber"]),
    ]:
        fast, code = (FAST_TASK, 1) if name == "task" else (FAST, 0)  # six steps do not solve it
        assert bptt(["train", *more, *fast, "--out", str(desk / name)]) == code
    for name, data in [
        ("truncated", desk.joinpath("run", "best.safetensors").read_bytes()[:500]),
        ("newer", save({"a": np.ones(1)}, metadata={"bptt": json.dumps({"format": FORMAT + 1})})),
        ("foreign", save({"a": np.ones(1)})),
        ("no-checkpoint", LINE.encode()),
    ]:
        copy(desk / "run", desk / name)
        for checkpoint in ("last", "best"):
            desk.joinpath(name, f"{checkpoint}.safetensors").write_bytes(data)
    copy(desk / "run", desk / "no-config").joinpath("config.json").write_text("{")
    return desk


def copy(run: Path, to: Path) -> Path:
    to.mkdir()
    for file in run.iterdir():
        to.joinpath(file.name).write_bytes(file.read_bytes())
    return to


@pytest.fixture
def here(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the test's own, the working one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
