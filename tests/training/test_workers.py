"""Workers: one sum whatever their number, what one does for all, and who is named when something is wrong."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.cli import run
from bptt.cli.train import _train
from bptt.errors import ConfigError, DivergedError, RunError
from bptt.training import engines
from bptt.training import workers as processes
from bptt.training.workers import LostError, StoppedError, Workers, joined
from bptt.types import Array
from command import FAST_TASK
from threaded_workers import Threads, all_well, together

S = 8


def of_shards(K: int) -> Array:
    return np.random.default_rng(K).normal(size=(S, K)).astype(np.float32) ** 3


def tree(rows: Array) -> Array:
    while len(rows) > 1:
        rows = rows[::2] + rows[1::2]
    return np.asarray(rows[0])


@pytest.mark.parametrize("K", [0, 1, 2, 5, 1001])
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_sum_has_the_same_bits_whatever_the_number_of_workers(size: int, K: int) -> None:
    rows = of_shards(K)

    def summed(workers: Workers) -> Array:
        each = S // size
        own = tree(rows[workers.rank * each : (workers.rank + 1) * each].copy())
        workers.sum(own)
        return own

    for found in all_well(size, summed):
        assert found.tobytes() == tree(rows).tobytes()
    if K == 1001:  # the order of additions does show in these numbers
        assert sum(rows, start=np.zeros(K, np.float32)).tobytes() != tree(rows).tobytes()


def test_a_sum_sends_what_an_all_reduce_does() -> None:
    def sent(workers: Workers) -> int:
        engine: Any = workers._engine
        before = engine.between.bytes[workers.rank]
        workers.sum(np.ones(1 << 12, np.float32))
        return int(engine.between.bytes[workers.rank] - before)

    assert all_well(8, sent) == [2 * 7 * (4 << 12) // 8] * 8


@pytest.mark.parametrize("rows", [3, 16])
def test_rows_are_gathered(rows: int) -> None:
    whole = np.random.default_rng(0).normal(size=(rows, 3))

    def gathered(workers: Workers) -> Array:
        own = np.zeros_like(whole)
        at = slice(workers.rank * rows // 4, (workers.rank + 1) * rows // 4)
        own[at] = whole[at]
        workers.gather_rows(own)
        return own

    assert all(np.array_equal(found, whole) for found in all_well(4, gathered))


def test_parameters_become_the_first_ones() -> None:
    def shared(workers: Workers) -> Array:
        array = np.full((3, 2), workers.rank, np.float32).T
        workers.share({"U": array})
        return array

    assert all((found == 0).all() for found in all_well(4, shared))


def test_what_the_first_does_all_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "BEAT", 0.01)  # of which some come before the result

    def done(workers: Workers) -> tuple[int, float]:
        def slow() -> tuple[int, float]:
            time.sleep(0.1)
            return workers.rank, float("nan")

        return workers.once(slow, tuple[int, float])

    assert [str(found) for found in all_well(4, done)] == ["(0, nan)"] * 4


@pytest.mark.parametrize("error", [DivergedError("no"), RunError("full"), StoppedError()])
def test_what_the_first_raises_all_raise(error: Exception) -> None:
    def fail() -> None:
        raise error

    found = together(2, lambda workers: workers.once(fail))
    assert [(type(each), str(each)) for each in found] == [(type(error), str(error))] * 2


def test_where_one_fails_all_do_and_it_is_named() -> None:
    def begin(workers: Workers) -> None:
        def own() -> None:
            if workers.rank == 2:
                raise RunError("no such file")

        workers.each(own)

    found = [str(each) for each in together(4, begin)]
    assert found[2] == "no such file"
    assert {found[k] for k in (0, 1, 3)} == {found[0]}
    assert found[0].startswith("worker 2 (process ")
    assert found[0].endswith(": no such file")


def test_what_differs_between_machines_is_named_with_the_way_out() -> None:
    def compare(workers: Workers) -> None:
        facts = {"NumPy": ("2.0", ""), "code": ("avx2" if workers.rank else "avx512", "set BPTT_TARGET")}
        workers.expect_alike(facts)

    for found in together(2, compare):
        assert isinstance(found, ConfigError)
        assert str(found).startswith("worker 1 (process ")
        assert str(found).endswith("has code avx2, worker 0 avx512: set BPTT_TARGET")


@pytest.mark.parametrize(("size", "odd", "doubt"), [(4, 2, ""), (4, 0, ""), (2, 1, ", or worker 0")])
def test_who_drifts_is_named(size: int, odd: int, doubt: str) -> None:
    def compare(workers: Workers) -> None:
        U = np.ones((3, 4), np.float32)
        workers.expect_same(0, {"U": U})
        if workers.rank == odd:
            U[1, 2] = np.nextafter(U[1, 2], 2)
        workers.expect_same(7, {"U": U})

    for found in together(size, compare):
        assert isinstance(found, RunError)
        assert str(found).startswith(f"at step 7 the parameters of worker {odd} (process ")
        assert (doubt or "no longer") in str(found)


def test_who_has_ended_is_named_by_all_and_not_those_it_takes_along() -> None:
    def work(workers: Workers) -> None:
        for step in range(5):
            if (step, workers.rank) == (2, 1):
                raise MemoryError
            workers.sum(np.ones(9))

    found = together(8, work)
    assert isinstance(found.pop(1), MemoryError)
    for each in found:
        assert isinstance(each, LostError)
        assert str(each).startswith("worker 1 (process ")
        assert str(each).endswith("has ended, or does not answer")


def test_an_error_is_said_once() -> None:
    said = all_well(4, lambda workers: [workers.says(RunError(text)) for text in "ab"])
    assert [sum(each) for each in zip(*said, strict=True)] == [1, 1]
    assert Workers().says(RunError("a"))


def test_numbers_of_workers_and_what_they_speak_by(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="3 workers: a run takes 1, 2, 4, 8"):
        Workers(Threads(0, 3, None))  # type: ignore[arg-type]
    for size in ("1", "2"):
        monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", size)
        monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
        if size == "1":
            assert joined().size == 1
            continue
        with pytest.raises(ConfigError, match=r"2 workers speak by mpi4py, .*: pip install mpi4py"):
            joined()
        monkeypatch.setattr(engines, "Mpi", lambda: Threads(0, 1, None))  # type: ignore[arg-type]
        with pytest.raises(RunError, match="of 2 workers mpi4py finds 1: it was made for another MPI"):
            joined()
    monkeypatch.setattr(engines, "Mpi", lambda: int("x"))
    with pytest.raises(RunError, match="the 2 workers do not come together: invalid literal"):
        joined()
    monkeypatch.setenv("BPTT_WAIT", "soon")
    with pytest.raises(ConfigError, match="BPTT_WAIT must be a whole number"):
        engines.waiting()


def test_what_torchrun_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By one worker; that several begin again is tested with processes (test_processes.py)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "2")
    assert run(["train", "reber"]) == 2
    assert "--max-restarts begins again in the run's folder, which is to be named: --out DIR" in _said(capsys)
    told = ["train", "reber", *FAST_TASK, "--out=run"]
    assert run([*told, "--steps=2"]) == 0  # the task is not solved: alone it would be 1
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert run([*told, "--steps=4"]) == 0
    assert "4 steps, from step 2" in capsys.readouterr().out
    wild = ["train", "ar2", "--cell=rnn-relu", "--hidden=4", "--batch=4", "--optimizer=sgd", "--lr=1e38"]
    wild += ["--steps=9", "--out=wild"]
    assert run(wild) == 0  # it would come apart each time
    assert "try a smaller --lr" in _said(capsys)
    monkeypatch.delenv("TORCHELASTIC_MAX_RESTARTS")
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT")
    assert run([*wild[:-1], "--out=wilder"]) == 1


def test_standard_input_is_one_processs() -> None:
    def train(workers: Workers) -> int:
        return _train(workers, None, None, None, False, None, False, {"data": ("-",)})

    for found in together(2, train):
        assert "standard input is read by one process" in str(found)


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    return errors
