"""Files of somebody's code, and what they define."""

import __future__

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bptt.checking.file import Source, define, definitions, neighbours, read, stand_ins

Write: TypeAlias = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "lstm.py") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


def notebook(*codes: str | list[str], indent: int = 1) -> str:
    """Return a notebook with a cell of prose and these of code."""
    cells: list[dict[str, object]] = [{"cell_type": "markdown", "source": ["# An LSTM é"]}]
    cells += [{"cell_type": "code", "source": code, "outputs": []} for code in codes]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}, indent=indent) + "\n"


def execute(source: Source, names: dict[str, Any]) -> list[str]:
    """Execute what a file defines; return what stood in for files."""
    names["__builtins__"] = source.builtins
    with stand_ins(source) as notes:
        for node in definitions(source):
            flags = __future__.annotations.compiler_flag
            define(compile(ast.Module([node], []), str(source.path), "exec", flags), names, node)
    return notes


def defined(path: Path) -> dict[str, Any]:
    """Return what a file defines, by name."""
    source = read(path)
    near = neighbours(source)
    names: dict[str, Any] = {"__name__": "judged", "__package__": near.package}
    with near.importable(lambda beside, filled: (execute(read(beside), filled), None)[1]):
        execute(source, names)
    return {name: value for name, value in names.items() if not name.startswith("__")}
