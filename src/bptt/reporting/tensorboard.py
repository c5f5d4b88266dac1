"""Runs' logs as TensorBoard reads them, which other trackers import, too."""

import os
from pathlib import Path
from typing import Any

from bptt.errors import ConfigError, RunError
from bptt.reporting.reading import Comparison, is_number

SUFFIX = ".bptt"
"""What the names of these files end in: they are made anew, and no others are touched."""

_PLACES = ("step", "seconds")  # where a number stands, and no number of its own


def expect_writer() -> Any:
    """Return what writes the files; ConfigError where it is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ConfigError(
            "files for TensorBoard want tensorboardX: pip install 'bptt[tensorboard]'"
        ) from None
    return SummaryWriter


def write(found: Comparison, folder: str | os.PathLike[str]) -> list[Path]:
    """Write each run's log into a folder of its own in `folder`, and return these.

    What an earlier call has written there is replaced, as for a run that has gone on since.

    Parameters
    ----------
    found : Comparison
    folder : path

    Raises
    ------
    ConfigError
        If tensorboardX is not installed.
    RunError
        If the files cannot be written.
    """
    SummaryWriter = expect_writer()
    places = []
    for run in found.runs:
        place = Path(folder, run.name)
        try:
            for old in place.glob(f"events.out.tfevents.*{SUFFIX}"):
                old.unlink()
            begun = Path(run.folder, "config.json").stat().st_mtime
            with SummaryWriter(str(place), filename_suffix=SUFFIX) as writer:
                for line in run.lines:
                    for key, value in line.items():
                        if key not in _PLACES and is_number(value):
                            writer.add_scalar(key, value, line["step"], begun + line["seconds"])
        except OSError as error:
            raise RunError(f"cannot write {place}: {error.strerror or error}") from None
        places.append(place)
    return places
