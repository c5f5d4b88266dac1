"""Validation while training: on a fixed sample of a long text, on all at the end, and left at any moment."""

import json
import signal
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from bptt import Settings, Trained, Trainer
from bptt.cli import run as bptt
from bptt.nets import evaluate
from bptt.training import measure
from bptt.training.runs.verify import verify
from bptt.training.trainer import DONE, STOPPED
from bptt.training.workers import StoppedError, Workers
from bptt.types import Array
from command import command, posix
from small_runs import SMALL, go, left_by, text
from threaded_workers import all_well

FAST: dict[str, Any] = {**SMALL, "report_every": 4, "eval_every": 4, "steps": 12}


@pytest.fixture
def long(tmp_path: Path) -> dict[str, Any]:
    """Return settings with a validation text of 40 windows, of which 6 are read."""
    for name, seed, count in (("book.txt", 0, 300), ("valid.txt", 1, 2200)):
        tmp_path.joinpath(name).write_text(text(seed, count))
    files = {"data": str(tmp_path / "book.txt"), "valid": str(tmp_path / "valid.txt")}
    return FAST | files | {"valid_sample": 6 * 256 + 40}


def test_a_sample_is_the_seeds_and_its_loss_that_of_its_windows(tmp_path: Path, long: dict[str, Any]) -> None:
    trainer = go(Trainer.start(Settings(**long), tmp_path / "run"))
    experiment = cast(Any, trainer.experiment)
    chosen, ids = experiment._chosen, experiment.valid
    assert chosen is not None
    assert len(set(chosen.tolist())) == 6
    slow = [
        evaluate.cold(trainer.model, trainer.params, ids[256 * k : 256 * k + 257]) for k in chosen.tolist()
    ]
    assert experiment.validate(trainer.params).loss == pytest.approx(np.mean(slow), rel=1e-6)
    other = cast(Any, Trainer.start(Settings(**long | {"seed": 1}), tmp_path / "other").experiment)._chosen
    assert other is not None
    assert chosen.tolist() != other.tolist()


def test_all_is_read_at_the_end_by_the_best_parameters(tmp_path: Path, long: dict[str, Any]) -> None:
    asked = long | {"lr": 1.0, "schedule": "constant"}  # so that the best is not the last
    trainer = Trainer.start(Settings(**asked), tmp_path / "run")
    reports = list(trainer.reports())
    best = Trained.load(tmp_path / "run")
    assert best.step < 12
    assert [report.sampled for report in reports] == [6 * 256] * 3
    assert [report.whole_loss is None for report in reports] == [True, True, False]
    assert trainer.whole == pytest.approx(best.scores()[0].nats, rel=1e-12)
    assert trainer.best == min(report.valid_loss for report in reports if report.valid_loss is not None)
    lines = trainer.run.log.lines()
    assert lines[-1]["whole_loss"] == trainer.whole
    assert [line["valid_tokens"] for line in lines] == [6 * 256] * 3
    again = Trainer.resume(tmp_path / "run")
    assert (go(again).end, again.whole) == (DONE, trainer.whole)
    assert {finding.state for finding in verify(tmp_path / "run")} == {"whole"}


@pytest.mark.parametrize("most", [None, 10**6, 40 * 256])
def test_a_text_that_is_short_enough_is_read_whole(tmp_path: Path, long: dict[str, Any], most: Any) -> None:
    short = long | {"valid": None, "valid_sample": most}
    trainer = Trainer.start(Settings(**short), tmp_path / "run")
    assert trainer.experiment.sampled is None
    assert trainer.experiment.validate(trainer.params).loss == pytest.approx(
        Trained.load(tmp_path / "run").scores()[0].nats
    )
    assert go(trainer).whole is None
    assert "valid_tokens" not in trainer.run.log.lines()[-1]
    assert Settings.of(hidden=3).valid_sample == Settings.of("vanilla").valid_sample == 131_072
    assert Settings.of(data="adding").valid_sample is None


class Asked:
    """Asks for a stop when it has been asked so many times, and from then on."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("kind", ["text", "early stop", "task"])
def test_a_stop_at_any_moment_of_an_evaluation_loses_nothing(
    tmp_path: Path, long: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "MOST_NUMBERS", 4000)  # pieces of a few windows
    asked = long | {"schedule": "plateau", "keep": 1, "factor": 0.5}
    if kind == "early stop":
        asked |= {"lr": 1e-30, "patience": 1}
    if kind == "task":
        asked = FAST | {"data": "reber"}
    whole = go(Trainer.start(Settings(**asked), tmp_path / "whole"))
    trainer, stops = Trainer.start(Settings(**asked), tmp_path / "parts"), 0
    asks = 0
    while True:
        asks += 3
        for _ in trainer.reports(Asked(asks)):
            asks = 0
        if trainer.end != STOPPED:
            break
        stops += 1
        assert {finding.state for finding in verify(tmp_path / "parts")} == {"whole"}
        trainer = Trainer.resume(tmp_path / "parts")
    assert trainer.end == whole.end
    assert stops > (3 if kind == "task" else 8)
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


def test_a_kill_between_the_best_and_the_last_of_a_stopped_evaluation_loses_nothing(
    tmp_path: Path, long: dict[str, Any]
) -> None:
    go(Trainer.start(Settings(**long), tmp_path / "whole"))
    trainer = Trainer.start(Settings(**long), tmp_path / "parts")
    go(trainer, 4)  # before the evaluation
    assert trainer.run.log.lines() == []
    before = tmp_path.joinpath("parts", "last.safetensors").read_bytes()
    go(Trainer.resume(tmp_path / "parts"), 6)
    tmp_path.joinpath("parts", "last.safetensors").write_bytes(before)
    assert {finding.state for finding in verify(tmp_path / "parts")} == {"whole"}
    go(Trainer.resume(tmp_path / "parts"))
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


SLOW = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
from bptt.nets import evaluate
real = evaluate._total_loss
def slow(*arguments, pause=lambda: None, **options):
    print("evaluates", flush=True)
    for _ in range(300):
        time.sleep(0.1)
        pause()
    return real(*arguments, **options)
evaluate._total_loss = slow
"""


@posix
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_during_an_evaluation_is_answered_in_two_seconds_and_saves(
    tmp_path: Path, long: dict[str, Any], times: int
) -> None:
    run = tmp_path / "run"
    options = ["--hidden=6", "--embedding=4", "--batch=3", "--chunk=8", "--steps=12", "--eval-every=4"]
    process = command("train", long["data"], *options, "--no-samples", "--out", str(run), before=SLOW)
    assert process.stdout is not None
    while b"evaluates" not in process.stdout.readline():
        pass
    begun = time.monotonic()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    output, errors = process.communicate(timeout=30)
    assert time.monotonic() - begun < 2
    assert process.returncode == 1
    assert b"stopped at step 4; go on with" in output
    assert errors.strip() in (
        b"",
        b"bptt: it stops after this step and saves; once more, and what is not saved is lost",
    )
    assert Trained.load(run, "last").step == 4
    assert bptt(["train", "--resume", str(run)]) == 0
    again = str(tmp_path / "whole")
    assert bptt(["train", long["data"], *options, "--no-samples", "--out", again]) == 0
    assert left_by(run) == left_by(tmp_path / "whole")


def test_the_command_says_how_it_validates(
    tmp_path: Path, long: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    options = ["--hidden=6", "--batch=3", "--chunk=8", "--steps=4", "--eval-every=2", "--no-samples"]
    options += ["--valid", long["valid"], "--valid-sample=600"]
    assert bptt(["train", long["data"], *options, "--out", run]) == 0
    out = capsys.readouterr().out
    assert "validated on 512 of these, drawn by the seed, and at the end on all" in out
    assert " on the sample, " in out
    assert json.loads(Path(run, "config.json").read_text())["settings"]["valid_sample"] == 600


def test_workers_take_a_piece_each_and_have_all_in_their_order() -> None:
    def share(workers: Workers) -> tuple[list[int], list[list[float]]]:
        own: list[int] = []

        def of(piece: int) -> Array:
            own.append(piece)
            return np.arange(piece % 3, dtype=float) + piece

        found = [*measure.Shared(lambda: False, workers).share(of, iter(range(10)))]
        return own, [array.tolist() for array in found]

    ((_, wanted),) = all_well(1, share)
    for size in (2, 4):
        for rank, (own, found) in enumerate(all_well(size, share)):
            assert own == [*range(rank, 10, size)]
            assert found == wanted


def test_where_one_worker_is_to_stop_all_do_in_the_same_round() -> None:
    def share(workers: Workers) -> tuple[int, bool]:
        done: list[int] = []
        turns = measure.Shared(lambda: workers.rank == 2 and len(done) == 2, workers)

        def of(piece: int) -> Array:
            done.append(piece)
            turns.pause()
            return np.zeros(1)

        try:
            return len([*turns.share(of, range(20))]), False
        except StoppedError:
            return len(done), True

    assert all_well(4, share) == [(2, True)] * 4
