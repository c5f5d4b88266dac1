"""Whether a run's files are as they were written: what ``bptt verify`` says.

Every load checks the file that it reads; this checks all of them, and whether they belong together.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bptt.data.text.files import INPUT, named
from bptt.errors import BpttError, BpttWarning
from bptt.training.runs.folder import Run
from bptt.training.runs.format import OLDEST, PYTHON, Described, Progress, convert, due, read


@dataclass(frozen=True)
class Finding:
    """What is found of one of a run's files, in a line.

    It is whole, by its digest; readable, but of an earlier version that wrote no digests; or damaged, which
    means missing, too, or of another run.
    """

    file: str
    state: Literal["whole", "readable", "damaged"]
    says: str


def verify(folder: str | os.PathLike[str]) -> list[Finding]:
    """Return what is found of each of a run's files; nothing is written.

    Raises
    ------
    RunError
        If there is no run in the folder.

    Examples
    --------
    >>> import tempfile, bptt
    >>> settings = bptt.Settings.of(hidden=8, steps=2, batch=4, chunk=8)
    >>> trainer = bptt.Trainer.start(settings, tempfile.mkdtemp() + "/run")
    >>> [report.step for report in trainer.reports()]
    [2]
    >>> {finding.state for finding in verify(trainer.run.folder)}
    {'whole'}
    """
    run = Run.open(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BpttWarning)  # a finding says it
        try:
            kept = run.describe()
        except BpttError as error:
            return [Finding("config.json", "damaged", f"{error}; without it nothing else can be checked")]
        return list(_Checks(run, kept).findings())


class _Checks:
    def __init__(self, run: Run, kept: Described) -> None:
        self.run, self.kept = run, kept
        self._progress: dict[str, Progress] = {}
        self.good: Literal["whole", "readable"] = "whole" if run.config()["format"] > OLDEST else "readable"

    def findings(self) -> Iterator[Finding]:
        cell, data = self.kept.model.stack.cell.name, named(self.kept.settings.data)
        checks = {
            "config.json": lambda: f"describes {cell}, trained on {data}",
            "vocabulary.json": self._vocabulary,
            "standard-input": self._input,
            "last.safetensors": self._last,
            "best.safetensors": self._best,
            "log.jsonl": self._log,
        }
        for file, check in checks.items():
            try:
                if says := check():
                    yield Finding(file, self.good, says)
            except BpttError as error:
                yield Finding(file, "damaged", str(error))

    def _vocabulary(self) -> str | None:
        known = self.run.vocabulary_of(self.kept)
        return None if known is None else f"{len(known):,} {known.unit}s"

    def _input(self) -> str | None:
        if self.kept.settings.data != INPUT:
            return None
        return f"{len(read(self.run.path('standard-input'))):,} bytes"

    def _log(self) -> str | None:
        if self.kept.settings.data == PYTHON:  # nothing was logged
            return None
        found, last = self.run.log.read(), self._progress.get("last")
        if found.damaged:
            raise BpttError(f"{found.says}; bptt train --resume keeps the file aside and goes on")
        if last and (
            lost := found.first_lost(last.reported, *due(self.kept.settings, last.step, last.count))
        ):
            raise BpttError(f"it has lost the line of step {lost:,}, and maybe others")
        entries = found.entries
        return f"{len(entries):,} lines, to step {entries[-1].line.step:,}" if entries else None

    def _last(self) -> str | None:
        if self.run.has("last.safetensors"):
            return self._checkpoint("last")
        if self.run.log.lines() or self.run.has("best.safetensors"):
            raise BpttError("it is missing, though the run has trained")
        return None

    def _best(self) -> str | None:
        if self.run.has("best.safetensors"):
            says, last = self._checkpoint("best"), self._progress.get("last")
            best = self._progress["best"]
            if last and best.best != last.best and best.step <= last.reported:
                raise BpttError(f"it is not the best of the run, whose loss was {last.best}")
            return says
        if any("valid_loss" in line for line in self.run.log.lines()):
            raise BpttError("it is missing, though the log has validation losses")
        return None

    def _checkpoint(self, name: str) -> str:
        checkpoint = self.run.load(name, self.kept.model.shapes)
        progress = convert(checkpoint.values, Progress, "its values")
        self._progress[name] = progress
        return f"step {progress.step:,}"
