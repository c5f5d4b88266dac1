"""The command: runs small enough to be made again and again, and the command in a process of its own."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from processes import start

LINE = "the quick brown fox jumps over the lazy dog\n"
FAST_TASK = ["--hidden=6", "--embedding=4", "--batch=2", "--steps=6", "--report-every=2", "--eval-every=3"]
FAST_TASK += ["--warmup=0"]
FAST = [*FAST_TASK, "--chunk=8"]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\x7f\r"
RUN = "from bptt_command import main; main()"

Capture: TypeAlias = pytest.CaptureFixture[str]
posix = pytest.mark.skipif(os.name != "posix", reason="not of this system")


def command(
    *arguments: str, before: str = "", env: Mapping[str, str | None] | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    """Start the command as its script does, after some code."""
    return start("-c", f"{before}\n{RUN}", *arguments, env=env, **options)


def finish(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    """Return the exit code and what was written; an error has one line."""
    output, errors = process.communicate(timeout=60)
    said = (errors or b"").decode("utf-8", "replace").strip()
    assert "\n" not in said, said
    return process.returncode, (output or b"").decode("utf-8", "replace"), said


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
