"""Python in a process of its own."""

import os
import subprocess
import sys


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, where the number of threads is chosen at its start."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
