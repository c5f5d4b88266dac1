"""Files of code for a check to read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

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
