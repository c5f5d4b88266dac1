"""Contenders measured side by side: each in a process of its own, in turn, several times round."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bptt.bench.contenders import Contender, Kind
from bptt.bench.settings import Setting

ROUNDS = 5
PAUSE = 0.2
"""Seconds between turns, in which the threads of the one before go to sleep."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Times:
    """What one contender took.

    Attributes
    ----------
    seconds : float
        For one run: the median over its turns of each turn's median.
    low, high : float
        The fastest and the slowest turn.
    runs : int
    memory : int or None
        The most bytes held while it ran, above those of its libraries; None where the system does not tell.
    loss, gradient : float, optional
        Of a training step, the first: the loss, and the norm of the gradient at the embedding. Of a layer
        the norm of the gradient at its input, or of its output where there is no backward.
    """

    seconds: float
    low: float
    high: float
    runs: int
    memory: int | None
    loss: float | None = None
    gradient: float | None = None


class ContenderError(Exception):
    """A contender cannot do the work: in its own words, or in the last line before its process ended."""


@dataclass
class _Child:
    """A contender's process."""

    job: dict[str, Any]
    first: dict[str, float] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  a pipe that nobody reads would fill
        path = os.pathsep.join(p for p in sys.path if p)  # the same bptt as here, wherever that is
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bptt.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"PYTHONPATH": path},
            text=True,
            encoding="utf-8",
        )

    def begin(self) -> None:
        """Make it ready."""
        self.first = self._ask(json.dumps(self.job))

    def turn(self, seconds: float) -> None:
        """Let it run."""
        self.turns.append(self._ask(repr(seconds)))

    def times(self) -> Times:
        """Return what its turns took."""
        medians = [turn["median"] for turn in self.turns]
        runs = sum(turn["count"] for turn in self.turns)
        seconds = float(np.median(medians))
        memory = self.turns[-1]["memory"]
        return Times(seconds, min(medians), max(medians), runs, memory, **self.first)

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended: so does what it writes
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            raise ContenderError(said[-1] if said else f"its process ended with {code}")
        found: dict[str, Any] = json.loads(answer)
        if "failed" in found:
            raise ContenderError(found["failed"])
        return found


def measure(
    kind: Kind, setting: Setting, cell: str, contenders: Sequence[Contender], seconds: float, say: Say
) -> tuple[dict[str, Times], dict[str, str]]:
    """Measure contenders at one kind of work, in turn: `seconds` for each, over all its turns.

    Returned are by name what they took, and why the others could not; `say` is told what is being done.
    """
    running: dict[str, _Child] = {}
    failed: dict[str, str] = {}

    def attempt(name: str, what: Callable[[], None]) -> None:
        try:
            what()
        except ContenderError as error:
            failed[name] = str(error)
            running.pop(name).end()

    say(f"{setting.name}: {kind}, getting ready")
    try:
        for contender in contenders:
            name = contender.name
            job = {"contender": name, "kind": kind, "setting": asdict(setting), "cell": cell}
            running[name] = _Child(job)
            attempt(name, running[name].begin)
        for k in range(ROUNDS):
            say(f"{setting.name}: {kind}, round {k + 1} of {ROUNDS}")
            for name, child in list(running.items()):
                time.sleep(PAUSE)
                attempt(name, lambda child=child: child.turn(seconds / ROUNDS))  # type: ignore[misc]
        return {name: child.times() for name, child in running.items()}, failed
    finally:
        for child in running.values():
            child.end()
