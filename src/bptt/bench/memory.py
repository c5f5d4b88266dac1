"""How much memory this process has held, in bytes; None where the system does not tell."""

import contextlib
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak() -> int | None:
    """Return the most that was resident since the last `forget`, or since the process began."""
    if _STATUS.exists():  # Linux; its ru_maxrss would begin with what the parent holds
        _, found, after = _STATUS.read_text(encoding="ascii", errors="replace").partition("VmHWM:")
        return int(after.split()[0]) * 1024 if found else None
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget() -> int | None:
    """Let the peak start from what is resident now, where the system can do that; return the peak."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")
    return peak()
