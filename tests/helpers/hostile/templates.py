"""Small runs of each kind, made once; and what a run's folder holds."""

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from bptt import Settings, Trainer

TEXT = "the quick brown fox jumps over the lazy dog\n" * 40

CELL = """import bptt

@bptt.cell(state="h c")
def coupled(a_f, a_o, a_g, c):
    f, o, g = sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + (1 - f) * g
    h = o * tanh(c)
    return h, c
"""

STEPS = 4

_SMALL = {"hidden": 4, "batch": 2, "steps": STEPS, "report_every": 1, "eval_every": 2}
_TEXT = {**_SMALL, "embedding": 2, "chunk": 4}


def settings(root: Path) -> dict[str, dict[str, Any]]:
    """Return the settings of each kind of run; their text and cell lie in `root`."""
    text = str(root / "text.txt")
    return {
        "char": {**_TEXT, "data": text, "layers": 2, "dropout": 0.2},
        "word": {
            **_TEXT,
            "data": text,
            "tokens": "word",
            "vocabulary": 6,
            "cell": "gru",
            "schedule": "plateau",
            "patience": 3,
        },
        "byte": {**_TEXT, "data": text, "tokens": "byte", "cell": f"{root}/cell.py:coupled"},
        "adding": {**_SMALL, "data": "adding"},
        "reber": {**_SMALL, "data": "reber", "embedding": 2},
    }


def make(root: Path) -> dict[str, Path]:
    """Train a run of each kind in `root`."""
    root.joinpath("text.txt").write_text(TEXT)
    root.joinpath("cell.py").write_text(CELL)
    runs = {}
    for name, asked in settings(root).items():
        for _ in Trainer.start(Settings.of(**asked), root / name).reports():
            pass
        runs[name] = root / name
    return runs


def options(asked: dict[str, Any]) -> list[str]:
    """Return settings as the command takes them."""
    rest = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items() if name != "data"]
    return [asked["data"], *rest]


def copied(folder: Path, to: Path) -> Path:
    """Copy a run's folder to a place where nothing may be."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to, symlinks=True))


def contents(folder: Path) -> dict[str, Any]:
    """Return what lies in a folder, byte for byte but for the lock and what is enormous."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name == ".lock":
            continue
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            found[path.name] = os.readlink(path)  # noqa: PTH115  Path's own hides what is odd about one
        elif stat.S_ISREG(status.st_mode) and status.st_size < 1 << 25:
            found[path.name] = path.read_bytes()
        else:
            found[path.name] = (stat.S_IFMT(status.st_mode), status.st_size, status.st_mtime_ns)
    return found


def allocated(folder: Path) -> int:
    """Return the bytes on the disk: a sparse file has few."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


TIMES = ("seconds", "tokens_per_second", "crc32")
"""What a line of the log has of the time that training took: the sum is over it, too."""


def log(data: bytes) -> list[Any]:
    """Return the log's lines without times."""
    lines = [json.loads(line) for line in data.splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def left(folder: Path) -> dict[str, Any]:
    """Return what a run has come to, whatever the time that it took."""
    found = contents(folder)
    return {**found, "log.jsonl": log(found.get("log.jsonl", b""))}


def saved_step(folder: Path) -> int:
    """Return the step of the last checkpoint, -1 where there is none."""
    from hostile.tensors import Tensors

    path = folder / "last.safetensors"
    if not path.exists():
        return -1
    for text in Tensors.parse(path.read_bytes()).metadata.values():
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict) and "step" in found:
            return int(found["step"])
    raise AssertionError("the checkpoint names no step")
