"""The threads that wait in machine code: every piece once, whoever asks, and an end when it is time."""

import os
import threading
import time

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from bptt.kernels.llvm import jit
from bptt.kernels.llvm.loops import count_loop, i64, pointer
from bptt.kernels.runtime import pool, serving
from bptt.layer import threads
from bptt.types import Array
from machine_code import cache as cache
from machine_code import load
from processes import run


def _module() -> ir.Module:
    """Return a work that adds 1 to a number, leaves who did it, and takes its time."""
    module = ir.Module("tally")
    with serving.work(module, "tally") as (b, words, who):
        *places, times = (serving.word(b, words, k) for k in range(4))
        number, doer, rest = (b.inttoptr(place, pointer) for place in places)
        b.store(b.add(b.load(number, typ=i64), i64(1)), number)
        b.store(who, doer)
        with count_loop(b, times) as k:
            b.atomic_rmw("add", rest, k, "seq_cst")
    return module


class Tally:
    """Pieces, and what they leave."""

    def __init__(self, pieces: int, times: int) -> None:
        self.work = pool.Work.of(load(_module()), "tally")
        self.done = np.zeros((pieces, 3), np.int64)
        at = jit.address(self.done) + 24 * np.arange(pieces)
        self.words = np.stack([at, at + 8, at + 16, np.full(pieces, times)], axis=1)

    def run(self) -> None:
        pool.run(self.work, self.words)

    @property
    def counts(self) -> Array:
        counts: Array = self.done[:, 0]
        return counts


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("pieces", [1, 2, 5, 64])
def test_every_piece_is_done_once_each_time(count: int, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count", lambda: count)
    tally = Tally(pieces, 50)
    for k in range(1, 301):
        tally.run()
        assert (tally.counts == k).all()
    assert set(tally.done[:, 1]) <= set(range(count))


def test_others_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count", lambda: 2)
    tally = Tally(4, 200_000)
    seen = set()
    for _ in range(50):
        tally.run()
        seen |= set(tally.done[:, 1])
    assert seen == {0, 1}


def test_threads_that_fell_asleep_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count", lambda: 2)
    tally = Tally(4, 200_000)
    seen: set[int] = set()
    end = time.monotonic() + 30
    # one that wakes late, as its core is another's, finds nothing left to do
    while seen != {0, 1} and time.monotonic() < end:
        time.sleep(0.02)
        tally.run()
        seen |= set(tally.done[:, 1].tolist())
    assert seen == {0, 1}


def test_threads_of_python_may_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count", lambda: 3)
    tallies = [Tally(5, 100) for _ in range(4)]

    def run(tally: Tally) -> None:
        for _ in range(500):
            tally.run()

    askers = [threading.Thread(target=run, args=(tally,)) for tally in tallies]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert all((tally.counts == 500).all() for tally in tallies)


def test_words_are_read_by_the_names_that_they_are_written_by() -> None:
    fields, module = pool.Fields(("to", "nothing", "number")), ir.Module("fields")
    with serving.work(module, "f") as (b, words, _):
        w = fields.read(b, words)
        b.store(b.sub(w["number"], w["nothing"]), b.inttoptr(w["to"], pointer))
    out = np.zeros(2, np.int64)
    pieces = fields.words({"number": 7, "of another": 9, "to": jit.address(out)}, 2)
    pieces[1, fields.places["to"]] += 8
    pool.run(pool.Work.of(load(module), "f"), pieces)
    assert out.tolist() == [7, 7]


PRODUCT = """
import numpy as np
from bptt.kernels.ops.products import matmul
A = np.ones((400, 400), np.float32)
assert (matmul(A, A) == 400).all()
"""


def test_a_process_ends_while_threads_wait() -> None:
    for _ in range(5):
        done = run(PRODUCT, BPTT_THREADS="4")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_has_threads_of_its_own() -> None:
    code = PRODUCT + (
        "import os\n"
        "child = os.fork()\n"
        "assert (matmul(A, A) == 400).all()\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = run(code, BPTT_THREADS="3")
    assert done.returncode == 0, done.stderr


def test_a_process_ends_while_others_of_its_threads_work() -> None:
    code = PRODUCT + (
        "import threading\n"
        "B = np.ones((900, 900), np.float32)\n"
        "def work():\n"
        "    while True: matmul(B, B)\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "import time; time.sleep(0.3)\n"
    )
    start = time.monotonic()
    assert run(code, BPTT_THREADS="4").returncode == 0
    assert time.monotonic() - start < 20


def test_a_step_imports_nothing() -> None:
    """A process that is copied meanwhile would wait for the import for ever."""
    code = (
        "import sys, numpy as np, bptt\n"
        "model = bptt.Model(inputs=5, outputs=5, hidden=4, embedding=3)\n"
        "params, tokens = model.init(np.random.default_rng(0)), np.ones((4, 2), int)\n"
        "def step(): return model.loss_and_grads(params, tokens[:-1], tokens[1:])\n"
        "step(); before = set(sys.modules)\n"
        "for _ in range(3): step()\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    assert run(code).stdout.split() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_process_forks_while_another_of_its_threads_trains() -> None:
    code = (
        "import os, threading\n"
        "import numpy as np, bptt\n"
        "model = bptt.Model(inputs=50, outputs=50, hidden=64, embedding=16)\n"
        "rng = np.random.default_rng(0)\n"
        "params, tokens = model.init(rng), rng.integers(50, size=(31, 16))\n"
        "def step(): return model.loss_and_grads(params, tokens[:-1], tokens[1:]).loss\n"
        "wanted = step()\n"
        "def train():\n"
        "    while True: step()\n"
        "threading.Thread(target=train, daemon=True).start()\n"
        "for _ in range(20):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        os._exit(step() != wanted)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = run(code, BPTT_THREADS="3")
    assert done.returncode == 0, done.stderr
