"""Files of code for a check to read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bptt.checking import Judgement, check_file
from bptt.checking.source import Source

Write: TypeAlias = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, name: str = "lstm.py") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


def defined(source: Source) -> dict[str, Any]:
    """Return what a file defines."""
    return {k: v for k, v in source.namespace.items() if not k.startswith("__")}


def check_text(folder: Path, text: str) -> Judgement:
    """Return what is found of a file that holds one thing to judge."""
    file = folder / "theirs.py"
    file.write_text(text, encoding="utf-8")
    [judgement] = check_file(file)
    return judgement
