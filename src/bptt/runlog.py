"""A run's log: a line of JSON for each report, with a check sum.

A line that is damaged is never cut in silence. One that a crash cut short is: no checkpoint stands for it,
and a resumption makes it again.
"""

import contextlib
import os
import warnings
from itertools import count
from pathlib import Path
from typing import Any

from bptt import run_format
from bptt.errors import BpttWarning, RunError
from bptt.files import append, read_regular, sync, write_atomically


class Log:
    """A log in a file, which need not be there.

    Parameters
    ----------
    path : Path
    wants_sum : bool
        Whether a line without a check sum is damaged; the first format had none.
    """

    def __init__(self, path: Path, *, wants_sum: bool) -> None:
        self.path, self.wants_sum = path, wants_sum

    def add(self, line: dict[str, Any]) -> None:
        """Add a line, which is not forced to the disk yet."""
        try:
            append(self.path, run_format.checked_line(line))
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}") from None

    def force(self) -> None:
        """Force to the disk what has been added."""
        if os.path.lexists(self.path):
            try:
                sync(self.path)
            except OSError as error:
                raise RunError(f"cannot write {self.path}: {error.strerror}") from None

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines; those that are damaged are left out, with a warning."""
        lines, damaged = self.read()
        if damaged:
            _note(f"{self.path}: {_said(damaged)}")
        return lines

    def read(self) -> tuple[list[dict[str, Any]], list[int]]:
        """Return the lines, and the numbers, from 1, of those that are not as they were written."""
        if not os.path.lexists(self.path):
            return [], []
        texts = self._bytes().split(b"\n")
        torn = texts.pop()  # nothing, where the last line is whole
        lines: list[dict[str, Any]] = []
        damaged = []
        for number, text in enumerate(texts, 1):
            try:
                line = run_format.read_line(text, wants_sum=self.wants_sum)
                if lines and line["step"] <= lines[-1]["step"]:
                    raise RunError("its step is not beyond that of the line before")
                lines.append(line)
            except RunError:
                damaged.append(number)
        if torn:  # whole but for its end, or of no use
            with contextlib.suppress(RunError):
                lines.append(run_format.read_line(torn, wants_sum=self.wants_sum))
        return lines, damaged

    def first_lost(self, step: int, *every: int) -> int | None:
        """Return the first multiple of any of `every`, up to `step`, without a line; None if all have one."""
        there = {line["step"] for line in self.read()[0]}
        lost = min(next(at for at in count(period, period) if at not in there) for period in every)
        return lost if lost <= step else None

    def rewind(self, step: int, *every: int) -> float:
        """Drop the lines after `step`, and return the seconds at the end.

        Where lines are damaged, the file as it was is kept aside first, and a warning says so; as it does
        where lines are missing that are due every so many steps.
        """
        lines, damaged = self.read()
        kept = [line for line in lines if line["step"] <= step]
        if damaged:
            _note(f"{self.path}: {_said(damaged)}; as it was, it is kept in {self._set_aside()}")
        elif every and (lost := self.first_lost(step, *every)):
            _note(f"{self.path}: it has lost the line of step {lost:,}, and maybe others")
        write_atomically(self.path, b"".join(map(run_format.checked_line, kept)))
        return float(kept[-1].get("seconds", 0)) if kept else 0.0

    def _set_aside(self) -> Path:
        """Copy the file to the first of NAME.damaged-1, ... that is not there."""
        k = 1
        while os.path.lexists(aside := self.path.with_name(f"{self.path.name}.damaged-{k}")):
            k += 1
        write_atomically(aside, self._bytes())
        return aside

    def _bytes(self) -> bytes:
        try:
            return read_regular(self.path, run_format.LOG_LIMIT)
        except OSError as error:
            raise RunError(f"cannot read {self.path}: {error.strerror or error}") from None


def _said(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    many = len(numbers) > 1
    return f"line{'s' * many} {shown} {'are' if many else 'is'} damaged, and left out"


def _note(text: str) -> None:
    warnings.warn(text, BpttWarning, stacklevel=3)
