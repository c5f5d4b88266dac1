"""A short training whose calls fail, whose process dies, or whose machine loses power; and what is left."""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bptt import Report, Settings, Trainer
from hostile import disk, forked, templates
from hostile.calls import FAULTS, Call, Calls
from hostile.forked import Outcome
from hostile.judge import Tally

REPORT = "report"
"""Stands among the calls for a line on the screen that says a step is evaluated, and so saved."""


@dataclass(frozen=True)
class Life:
    """One process's work on a run: how it ended, what it called, and the last step that it said was saved."""

    outcome: Outcome
    calls: list[Call]

    @property
    def said(self) -> int:
        return max((int(call.path) for call in self.calls if call.name == REPORT), default=-1)


class Crashes:
    """A training, to be disturbed.

    Parameters
    ----------
    root : path
        An empty folder to work in.
    resumed : bool
        Whether what is disturbed is the resumption of a run that was killed in its middle.
    """

    def __init__(self, root: Path, *, resumed: bool = False) -> None:
        self.root, self.place = root, root / "place"
        root.joinpath("text.txt").write_text(templates.TEXT)
        asked = templates.settings(root)["char"]
        for _ in Trainer.start(Settings.of(**asked), root / "warm").reports():
            pass  # compiled here, once, and not in each child
        self.asked = templates.options(asked)
        self.base: Path | None = None
        self._clear()
        self.whole = self.life()
        assert self.whole.outcome.code == 0, self.whole.outcome
        self.wanted = templates.left(self.run)
        if resumed:
            self._clear()
            # the call before the last report: a log that is ahead, a checkpoint perhaps half-written
            self.life((int(len(self.whole.calls) * 0.8), "kill-before"))
            self.base = templates.copied(self.run, root / "base")
            self._clear()
            self.whole = self.life()
            assert self.whole.outcome.code == 0, self.whole.outcome

    @property
    def run(self) -> Path:
        return self.place / "run"

    def _clear(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        if self.base is not None:
            templates.copied(self.base, self.run)

    def life(self, fault: tuple[int, str] | None = None) -> Life:
        """Train, or go on, in a child, a call of which may fail."""
        place = self.place
        handle, theirs = os.pipe()

        def work() -> int:
            from bptt.cli.display import Display

            def tell(call: Call) -> None:
                os.write(theirs, repr(call).encode() + b"\n")  # not in the folder: it does not count

            real = Display.report

            def report(self: Display, report: Report) -> None:
                real(self, report)
                if report.valid_loss is not None:
                    tell(Call(REPORT, str(report.step)))

            Display.report = report  # type: ignore[method-assign]
            Calls(place, tell, fault)
            return forked.command("train", *self._how())

        child = forked.started(work)
        os.close(theirs)
        with os.fdopen(handle, "rb") as file:
            told = [eval(line, {"Call": Call}) for line in file]
        return Life(child.wait(), told)

    def _how(self) -> list[str]:
        if self.run.joinpath("config.json").exists():
            return ["--resume", str(self.run)]
        return [*self.asked, "--out", str(self.run)]

    def goes_on(self, said: int) -> list[str]:
        """Take up what is left, to the end, and return what must not be."""
        try:
            if (found := templates.saved_step(self.run)) < said:
                return [f"step {said} was reported, and step {found} is saved"]
        except Exception as error:
            return [f"the checkpoint is damaged ({error!r})"]
        wrong = []
        if said >= 0 and not self.run.joinpath("config.json").exists():
            wrong.append("the run is lost")
        outcome = forked.bptt("train", *self._how())
        if bad := forked.misbehaviour(outcome):
            return [*wrong, f"going on {bad}"]
        if outcome.code:
            return [*wrong, f"does not go on: {outcome.err.strip()}"]
        left = templates.left(self.run)
        for name in [name for name in left if ".damaged-" in name and name in outcome.err]:
            del left[name]  # a log with lines that are no more: that is told, and they come again
        if left != self.wanted:
            names = sorted(n for n in left.keys() | self.wanted.keys() if left.get(n) != self.wanted.get(n))
            wrong.append(f"ends otherwise: {', '.join(names)}")
        return wrong

    def faults(self, count: int | None = None, seed: int = 0) -> Tally:
        """Disturb each call in turn in each way; or `count` of them that the seed chooses."""
        many = sum(call.name != REPORT for call in self.whole.calls)
        cases = [(k, how) for k in range(many) for how in FAULTS]
        if count is not None and count < len(cases):
            cases = random.Random(seed).sample(cases, count)
        tally = Tally()
        for k, how in cases:
            self._clear()
            life = self.life((k, how))
            wrong = [] if life.outcome.code == -9 else [forked.misbehaviour(life.outcome)]
            end = {0: "went on", 2: "a line", -9: "killed"}.get(life.outcome.code, str(life.outcome.code))
            found = [w for w in wrong if w] + self.goes_on(life.said)
            tally.counts[how, end, "wrong" if found else "the same bits"] += 1
            at = [call for call in self.whole.calls if call.name != REPORT][k]
            tally.faults += [f"call {k} ({at.name} {at.path} {at.to}) {how}: {bad}" for bad in found]
        return tally

    def power(self, count: int | None = None, seed: int = 0) -> Tally:
        """Lose power after each call; judge all distinct states of the disk, or `count` of them."""
        # whatever the lock's file says (test_locks.py), the states are the same
        told = {(_key(tree, but="run/.lock"), said): _key(tree) for tree, said in self._states(seed)}
        states = [(tree, said) for (_, said), tree in told.items()]
        every = len(states)
        if count is not None and count < every:
            states = random.Random(seed).sample(states, count)
        tally = Tally()
        for tree, said in states:
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir()
            disk.put(dict(tree), self.place)
            found = self.goes_on(said)
            tally.counts[f"of {every} states", f"reported {said}", "wrong" if found else "the same bits"] += 1
            sizes = {path: None if data is None else len(data) for path, data in tree}
            tally.faults += [f"{sizes}, {said} reported: {bad}" for bad in found]
        return tally

    def _states(self, seed: int) -> Iterator[tuple[disk.Tree, int]]:
        rng, seen, said = random.Random(seed), disk.Disk(), -1
        if self.base is not None:
            seen.take(self.base, self.run.name)
            said = templates.saved_step(self.base)
        for call in self.whole.calls:
            if call.name == REPORT:
                said = int(call.path)
            else:
                seen.do(call)
            for tree in seen.shown(rng, 64):
                yield tree, said


def _key(tree: disk.Tree, but: str = "") -> tuple[tuple[str, bytes | None], ...]:
    return tuple(sorted((path, data) for path, data in tree.items() if path != but))
