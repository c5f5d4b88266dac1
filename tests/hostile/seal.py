"""Digests made right again after a change, so that what reads the values is what is tested."""

from pathlib import Path

from bptt import runs


def reseal(folder: Path) -> None:
    """Make every digest in the folder right, as far as its files can be read at all."""
    if helper := getattr(runs, "reseal", None):
        helper(folder)
