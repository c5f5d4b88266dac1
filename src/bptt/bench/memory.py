"""How much memory this process has held, in bytes; None where the system does not tell."""

import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak() -> int | None:
    """Return the most that was resident since the last `forget`, or since the process began."""
    if _STATUS.exists():  # Linux; its ru_maxrss would begin with what the parent holds
        return _status("VmHWM")
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget() -> int | None:
    """Let the peak start from what is resident now, where the system can do that; return the peak."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return peak()
    return peak()


def _status(name: str) -> int | None:
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
