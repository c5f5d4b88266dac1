"""Each mutated folder through every command that reads one; and each flipped bit: told, or harmless."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostile import forked, templates
from hostile.forked import Outcome
from hostile.mutations import MUTATIONS, Mutation

MEMORY = 1 << 30
"""Bytes that a command may take beyond what the process had, and twice what the folder has on the disk."""

NOTES = ".notes.tmp"
"""A user's own file in a run's folder, which no command may touch."""


@dataclass
class Tally:
    """What came of the cases: counts by kind and outcome, and what must not be."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def table(self) -> str:
        rows = [f"{count:7}  {'  '.join(kind)}" for kind, count in sorted(self.counts.items())]
        return "\n".join([*rows, f"{len(self.faults):7}  faults", *self.faults])


def verbs(folder: Path) -> dict[str, list[str]]:
    """Return the commands that read a run; the last one writes, too."""
    from bptt.cli import bptt

    run = str(folder)
    found = {
        "verify": ["verify", run],
        "eval": ["eval", run],
        "eval --last": ["eval", run, "--last", "--json"],
        "sample": ["sample", run, "--length", "20", "--seed", "0"],
        "flow": ["flow", run, "--lags", "3", "--positions", "1"],
        "resume": ["train", "--resume", run, "--steps", str(templates.STEPS + 2)],
    }
    return {verb: call for verb, call in found.items() if call[0] in bptt.commands}


class Fuzzer:
    """Mutates copies of runs and judges them.

    Parameters
    ----------
    root : path
        An empty folder; the runs are made there.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, templates.make(root)
        self.tally = Tally()

    def judge(self, seed: int, k: int, only: Mutation | None = None) -> list[str]:
        """Mutate a run in the way that the seed and `k` choose, and return what must not be."""
        rng = random.Random(f"{seed}.{k}")
        name, other = rng.sample(sorted(self.runs), 2)
        place = self.root / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        folder = templates.copied(self.runs[name], place / "run")
        theirs = templates.copied(self.runs[other], place / "other")
        folder.joinpath(NOTES).write_text("mine")
        mutation = rng.choice(MUTATIONS) if only is None else only
        what = mutation(rng, folder, theirs)
        limit = forked.resident() + MEMORY + 2 * templates.allocated(folder)
        found = []
        for verb, call in verbs(folder).items():
            if verb == "flow" and rng.random() < 0.6:  # it reads no more of the folder than eval does
                continue
            before = templates.contents(folder), templates.contents(theirs)
            outcome = forked.bptt(*call)
            after = templates.contents(folder), templates.contents(theirs)
            self.tally.counts[mutation.__name__, verb, str(outcome.code)] += 1
            found += [f"{verb} {wrong}" for wrong in _wrong(verb, outcome, limit, before, after)]
            if place.joinpath("canary.py.ran").exists():
                found.append(f"{verb} runs a Python file that the run names")
                place.joinpath("canary.py.ran").unlink()
        faults = [f"{seed}.{k} {name} ({mutation.__name__}, {what}): {wrong}" for wrong in found]
        self.tally.faults += faults
        return faults


def _wrong(verb: str, outcome: Outcome, limit: int, before: Any, after: Any) -> list[str]:
    found = []
    if wrong := forked.misbehaviour(outcome):
        found.append(wrong)
    if outcome.memory > limit:
        found.append(f"takes {outcome.memory / 2**20:,.0f} MB")
    # a run that goes on and then cannot write, as where a folder has a checkpoint's name, is not refused
    stopped = "the run is kept in" in outcome.out and "cannot write" in outcome.err
    if (verb != "resume" or (outcome.code == 2 and not stopped)) and before[0] != after[0]:
        names = before[0].keys() | after[0].keys()
        changed = sorted(n for n in names if before[0].get(n) != after[0].get(n))
        found.append(f"changes {', '.join(changed)}, exit {outcome.code}")
    if after[0].get(NOTES) != b"mine":
        found.append("deletes a user's file")
    if before[1] != after[1]:
        found.append("changes another run")
    return found


def observed(folder: Path) -> tuple[list[tuple[str, int, str]], list[str], dict[str, Any]]:
    """Return what the commands say of a run (with what they say as notes), and what a resumption leaves."""
    says, notes = [], []
    for verb, call in verbs(folder).items():
        if verb in ("sample", "flow", "eval --last"):  # they read what eval and resume read
            continue
        outcome = forked.bptt(*call)
        says.append((verb, outcome.code, outcome.out if verb != "resume" else ""))
        notes += [f"{verb}: {line}" for line in outcome.err.splitlines()]
        notes += [f"{verb}: {wrong}" for wrong in [forked.misbehaviour(outcome)] if wrong]
    found = templates.contents(folder)
    for name, read in _READERS.items():
        try:
            found[name] = read(found.get(name, b"null"))
        except ValueError:
            notes.append(f"{name} is unreadable")
    return says, notes, found


def _first_lines(data: bytes) -> Any:
    """Return the lines that were there before the resumption, times and all, and the others without."""
    lines = data.splitlines()
    kept = [json.loads(line) for line in lines[: templates.STEPS]]
    return kept, templates.log(b"\n".join(lines[templates.STEPS :]))


_READERS: dict[str, Callable[[bytes], Any]] = {
    "config.json": json.loads,
    "vocabulary.json": json.loads,
    "log.jsonl": _first_lines,
}


def flips(root: Path, count: int, seed: int) -> Tally:
    """Flip one bit of a file, `count` times: whatever it changes must be told."""
    runs, tally = templates.make(root), Tally()
    place = root / "case"

    def copy(name: str) -> Path:
        return templates.copied(runs[name], place / name)

    plain = {name: observed(copy(name)) for name in runs}
    for k in range(count):
        rng = random.Random(f"{seed}.{k}")
        name = rng.choice(sorted(runs))
        folder = copy(name)
        path = rng.choice(sorted(folder.iterdir()))  # each file as often as another, whatever its size
        data = bytearray(path.read_bytes())
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        data[at] ^= 1 << bit
        path.write_bytes(data)
        says, notes, found = observed(folder)
        told = notes != plain[name][1] or [code for _, code, _ in says] != [c for _, c, _ in plain[name][0]]
        same = (says, found) == (plain[name][0], plain[name][2])
        end = "told" if told else "harmless" if same else "silent and different"
        tally.counts[path.name, end] += 1
        if told and says[0][:2] == ("verify", 0):
            tally.faults.append(f"{seed}.{k} {name}/{path.name} byte {at} bit {bit}: verify tells nothing")
        if end == "silent and different":
            plainly = plain[name][2]
            different = sorted(n for n in found.keys() | plainly.keys() if found.get(n) != plainly.get(n))
            what = ", ".join(different) or "what is said"
            tally.faults.append(f"{seed}.{k} {name}/{path.name} byte {at} bit {bit}: silently {what} differs")
    return tally
