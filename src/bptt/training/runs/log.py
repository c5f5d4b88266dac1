"""A run's log: a line of JSON for each report, with a check sum.

A line that is damaged is never cut in silence. One that a crash cut short is: no checkpoint stands for it,
and a resumption makes it again.
"""

import os
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from bptt.errors import RunError
from bptt.files import append, sync, write_atomically
from bptt.training.runs import format as run_format

MOST_DAMAGED = 1000
"""Damaged lines that are looked at one by one."""


class Entry(NamedTuple):
    """A line: what it says, and its text."""

    line: run_format.LogLine
    text: bytes

    def checked(self) -> bytes:
        """Return the line with its check sum."""
        if self.line.crc32 is not None:
            return self.text + b"\n"
        return run_format.checked_line(run_format.decode(self.text, dict[str, Any]))


@dataclass(frozen=True)
class Found:
    """What a log holds: its lines, and the numbers, from 1, of those that are not as they were written."""

    entries: list[Entry]
    damaged: list[int]

    @property
    def says(self) -> str:
        """Which lines are damaged, in words."""
        shown = ", ".join(map(str, self.damaged[:5])) + (", ..." if len(self.damaged) > 5 else "")
        many = len(self.damaged) > 1
        return f"line{'s' * many} {shown} {'are' if many else 'is'} damaged, and left out"

    def first_lost(self, step: int, *every: int) -> int | None:
        """Return the first multiple of any of `every`, up to `step`, without a line; None if all have one."""
        there = {entry.line.step for entry in self.entries}
        lost = [next(at for at in count(period, period) if at not in there) for period in every]
        return min((at for at in lost if at <= step), default=None)


class Log:
    """A log in a file, which need not be there; only in the first format a line may lack its check sum."""

    def __init__(self, path: Path, *, wants_sum: bool) -> None:
        self.path, self.wants_sum = path, wants_sum

    def add(self, line: dict[str, Any]) -> None:
        """Add a line, which is not forced to the disk yet."""
        append(self.path, run_format.checked_line(line))

    def force(self) -> None:
        """Force to the disk what has been added."""
        if os.path.lexists(self.path):
            sync(self.path)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines; those that are damaged are left out, with a warning."""
        found = self.read()
        if found.damaged:
            run_format.note(f"{self.path}: {found.says}")
        lines = [run_format.decode(entry.text, dict[str, Any]) for entry in found.entries]
        return [{key: value for key, value in line.items() if key != "crc32"} for line in lines]

    def read(self) -> "Found":
        """Return what is in the file; after `MOST_DAMAGED` lines that are damaged, the rest is, too."""
        entries: list[Entry] = []
        damaged: list[int] = []
        data = run_format.read(self.path) if os.path.lexists(self.path) else b""
        for number, text in enumerate(BytesIO(data), 1):
            is_torn = not text.endswith(b"\n")  # the last one: whole but for its end, or of no use
            try:
                line = run_format.read_line(text.rstrip(b"\n"), wants_sum=self.wants_sum)
                if entries and line.step <= entries[-1].line.step:
                    raise RunError("its step is not beyond that of the line before")
                entries.append(Entry(line, text.rstrip(b"\n")))
            except RunError:
                damaged += [] if is_torn else [number]
                if len(damaged) == MOST_DAMAGED:
                    break
        return Found(entries, damaged)

    def rewind(self, step: int, *every: int) -> float:
        """Drop the lines after `step`, and return the seconds at the end.

        Where lines are damaged, the file as it was is kept aside first, and a warning says so; as it does
        where lines are missing that are due every so many steps.
        """
        found = self.read()
        kept = [entry for entry in found.entries if entry.line.step <= step]
        if found.damaged:
            run_format.note(f"{self.path}: {found.says}; as it was, it is kept in {self._set_aside()}")
        elif lost := found.first_lost(step, *every):
            run_format.note(f"{self.path}: it has lost the line of step {lost:,}, and maybe others")
        write_atomically(self.path, b"".join(entry.checked() for entry in kept))
        return kept[-1].line.seconds if kept else 0.0

    def _set_aside(self) -> Path:
        """Copy the file to the first of NAME.damaged-1, ... that is not there."""
        k = 1
        while os.path.lexists(aside := self.path.with_name(f"{self.path.name}.damaged-{k}")):
            k += 1
        write_atomically(aside, run_format.read(self.path))
        return aside
