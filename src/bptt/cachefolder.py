"""Where what can be had again is kept for a user: compiled code and fetched texts."""

from pathlib import Path


def user_cache() -> Path | None:
    """Return bptt's folder in the user's cache, which need not exist; None where this user has no home."""
    import platformdirs

    try:
        path = Path(platformdirs.user_cache_path("bptt"))
    except (OSError, RuntimeError, LookupError):  # some releases say it so
        return None
    return path if path.is_absolute() else None  # others leave the ~ there
