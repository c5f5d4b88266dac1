"""A run's folder and several processes: one at a time, told which, and never in the way of the next."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bptt import Report, RunError, Settings, Trainer
from hostile import forked, templates
from hostile.forked import Child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it forks a process that has threads")

PAIRS, STARTS = 4, 8


@dataclass
class Runs:
    """A run to go on with, what it comes to, and room for copies."""

    root: Path
    run: Path
    wanted: dict[str, Any]

    def copy(self, name: str) -> Path:
        return templates.copied(self.run, self.root / name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    root = tmp_path_factory.mktemp("locks")
    root.joinpath("text.txt").write_text(templates.TEXT)
    asked = templates.settings(root)["char"]
    for _ in Trainer.start(Settings.of(**asked), root / "run").reports():
        pass
    runs = Runs(root, root / "run", {})
    undisturbed = runs.copy("undisturbed")
    assert forked.bptt(*go_on(undisturbed)).code == 0
    return Runs(root, root / "run", templates.left(undisturbed))


def go_on(folder: Path) -> list[str]:
    return ["train", "--resume", str(folder), "--steps", str(templates.STEPS + 4)]


class Gate:
    """Where processes wait in the middle of their training, until they are let go."""

    def __init__(self) -> None:
        self._arrived, self._arrive = os.pipe()
        self._opened, self._open = os.pipe()

    def train(
        self,
        *arguments: str,
        first: Callable[[], None] = lambda: None,
        then: Callable[[], None] = lambda: None,
    ) -> Child:
        """Start the command in a process that stops at its first report."""

        def work() -> int:
            from bptt.cli.display import Display

            real = Display.report

            def report(self: Display, report: Report) -> None:
                real(self, report)
                Display.report = real  # type: ignore[method-assign]
                then()
                wait()

            Display.report = report  # type: ignore[method-assign]
            first()
            return forked.command(*arguments)

        def wait() -> None:
            self.arrive()
            os.read(self._opened, 1)

        return forked.started(work)

    def arrive(self) -> None:
        """Tell that this process is here."""
        os.write(self._arrive, f"{os.getpid():9}\n".encode())

    def arrived(self) -> int:
        """Return the process that has come here; wait for one."""
        return int(os.read(self._arrived, 10))

    def open(self) -> None:
        os.write(self._open, bytes(100))

    def close(self) -> None:
        for handle in (self._arrived, self._arrive, self._opened, self._open):
            os.close(handle)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


def assert_refused(outcome: forked.Outcome, *words: str) -> None:
    assert forked.misbehaviour(outcome) is None
    assert outcome.code == 2, outcome
    for word in words:
        assert word in outcome.err


@pytest.mark.parametrize("k", range(PAIRS))
def test_of_two_processes_one_trains_and_the_other_names_it(runs: Runs, gate: Gate, k: int) -> None:
    folder = runs.copy("pair")
    pair = {child.pid: child for child in [gate.train(*go_on(folder)), gate.train(*go_on(folder))]}
    first = pair.pop(gate.arrived())
    (second,) = pair.values()
    assert_refused(second.wait(), str(first.pid), str(folder))
    gate.open()
    assert first.wait().code == 0
    assert templates.left(folder) == runs.wanted


def test_one_that_has_only_just_come_is_named_too(runs: Runs, gate: Gate) -> None:
    folder = runs.copy("just")

    def slowly() -> None:  # between taking the lock and writing who has it
        real = os.ftruncate

        def ftruncate(handle: int, size: int) -> None:
            real(handle, size)
            gate.arrive()
            time.sleep(0.5)

        os.ftruncate = ftruncate

    child = gate.train(*go_on(folder), first=slowly)
    gate.arrived()
    assert_refused(forked.bptt(*go_on(folder)), f"process {child.pid}")
    gate.arrived()
    gate.open()
    assert child.wait().code == 0


def test_who_only_reads_is_in_nobodys_way(runs: Runs, gate: Gate) -> None:
    folder = runs.copy("read")
    child = gate.train(*go_on(folder))
    gate.arrived()
    for verb in ("eval", "sample", "verify"):
        assert forked.bptt(verb, folder).code == 0
    gate.open()
    assert child.wait().code == 0
    assert templates.left(folder) == runs.wanted


def test_starts_at_once_each_get_a_folder(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = templates.options(templates.settings(runs.root)["char"])
    closed, opened = os.pipe()

    def work() -> int:
        os.close(opened)
        os.chdir(tmp_path)
        os.read(closed, 1)  # all begin when the last one has been started
        return forked.command("train", *asked)

    children = [forked.started(work, seconds=60) for _ in range(STARTS)]
    os.close(opened)
    os.close(closed)
    assert [(outcome.code, outcome.err) for outcome in [c.wait() for c in children]] == [(0, "")] * STARTS
    made = sorted(tmp_path.joinpath("bptt-runs").iterdir())
    assert len(made) == STARTS
    wanted = {name: data for name, data in templates.left(runs.run).items() if name != "config.json"}
    for folder in made:
        found = templates.left(folder)
        assert {name: data for name, data in found.items() if name != "config.json"} == wanted


def test_one_that_was_killed_stops_nobody(runs: Runs, gate: Gate) -> None:
    folder = runs.copy("killed")
    child = gate.train(*go_on(folder))
    os.kill(gate.arrived(), signal.SIGKILL)
    assert child.wait().code == -signal.SIGKILL
    assert forked.bptt(*go_on(folder)).code == 0
    assert templates.left(folder) == runs.wanted


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\x00" * 9999, b"1 \x1b[2J\n", b"0 x\n", b"9" * 50, b"1 host\n" * 9]
)
def test_whatever_a_lock_says_it_is_held_or_not(runs: Runs, gate: Gate, garbage: bytes) -> None:
    folder = runs.copy("garbage")
    folder.joinpath(".lock").write_bytes(garbage)
    child = gate.train(*go_on(folder))
    gate.arrived()
    folder.joinpath(".lock").write_bytes(garbage)
    refused = forked.bptt(*go_on(folder))
    assert_refused(refused, str(folder))
    assert len(refused.err) < 1000
    assert "\x1b" not in refused.err
    gate.open()
    assert child.wait().code == 0
    assert templates.left(folder) == runs.wanted


def test_two_of_one_process_are_told_so(runs: Runs) -> None:
    folder = runs.copy("twice")
    first = Trainer.resume(folder, steps=templates.STEPS + 4)
    with pytest.raises(RunError, match="another Trainer of this process"):
        Trainer.resume(folder)
    for _ in first.reports():
        pass
    del first
    assert templates.left(folder) == runs.wanted
    assert Trainer.resume(folder).step == templates.STEPS + 4


def test_a_process_that_was_forked_neither_holds_a_lock_nor_lets_it_go(runs: Runs, gate: Gate) -> None:
    folder = runs.copy("forked")
    closed, opened = os.pipe()

    def fork_two() -> None:
        if os.fork() == 0:  # one ends, as others do, with all that it has
            sys.exit(0)
        os.wait()
        if os.fork() == 0:  # the other lives longer than its parent
            os.close(opened)
            os.read(closed, 1)
            os._exit(0)

    child = gate.train(*go_on(folder), then=fork_two)
    trains = gate.arrived()
    assert trains == child.pid
    assert_refused(forked.bptt(*go_on(folder)), str(trains))
    os.kill(trains, signal.SIGKILL)
    child.wait()
    assert forked.bptt(*go_on(folder)).code == 0  # the second of its children still lives
    os.close(opened)
    os.close(closed)
    assert templates.left(folder) == runs.wanted


def mounted(folder: Path) -> None:
    """Put a disk of 1 MB on a folder, for this process and its children alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    own, private = 0x20000, 1 << 18 | 1 << 14
    for failed in (
        libc.unshare(own),
        libc.mount(b"none", b"/", None, private, None),
        libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=1m"),
    ):
        if failed:
            raise OSError(ctypes.get_errno(), "cannot mount")


def test_a_disk_that_is_full_or_cannot_be_written_keeps_what_it_has(runs: Runs, tmp_path: Path) -> None:
    cannot, full = 3, 4

    def work() -> int:
        try:
            mounted(tmp_path)
        except (OSError, AttributeError):  # it takes root
            return cannot
        folder = templates.copied(runs.run, tmp_path / "run")
        before = templates.contents(folder)
        with contextlib.suppress(OSError), tmp_path.joinpath("rest").open("wb", buffering=0) as rest:
            while rest.write(bytes(1 << 12)):
                pass
        assert_refused(forked.bptt(*go_on(folder)), "No space left on device")
        assert templates.contents(folder) == before
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        assert_refused(forked.bptt(*go_on(folder)), "Read-only file system")
        for verb in ("eval", "sample", "verify"):
            assert forked.bptt(verb, folder).code == 0
        subprocess.run(["mount", "-o", "remount,rw", tmp_path], check=True)
        tmp_path.joinpath("rest").unlink()
        assert forked.bptt(*go_on(folder)).code == 0
        assert templates.left(folder) == runs.wanted
        return full

    outcome = forked.forked(work, seconds=60)
    if outcome.code == cannot:
        pytest.skip("it mounts a disk")
    assert outcome.code == full, outcome.err
