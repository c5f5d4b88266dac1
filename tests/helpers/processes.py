"""Python in a process of its own, which finds what this one finds."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def start(
    *arguments: str, env: Mapping[str, str | None] | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    """Start Python; a variable of its environment that is None is taken away."""
    path = os.pathsep.join(map(str, sys.path))
    full: dict[str, str | None] = {**os.environ, "PYTHONPATH": path, **(env or {})}
    process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[assignment]
        [sys.executable, *arguments],
        env={name: value for name, value in full.items() if value is not None},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )
    return process


def python(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python to its end, and return what it wrote."""
    with start(*arguments, env=environment) as process:
        try:
            output, errors = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, output.decode(), errors.decode())


def run(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own, where the number of threads is chosen at its start."""
    return python("-c", code, **environment)
