"""What is computed has the same bits however many threads there are, and BLAS is held to one of them."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

from bptt.errors import ConfigError
from bptt.layer import threads
from bptt.layer.threads import cuts, one_blas_thread
from processes import run


@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 1001])
@pytest.mark.parametrize("pieces", [0, 1, 2, 3, 16, 5000])
def test_cuts_cover_everything_once(n: int, pieces: int) -> None:
    found = cuts(n, pieces)
    assert [k for cut in found for k in range(cut.start, cut.stop)] == list(range(n))
    assert len(found) == max(1, min(pieces, n))
    sizes = [cut.stop - cut.start for cut in found]
    assert max(sizes) - min(sizes) <= 1


# ---------------------------------------------------------------------- the same bits

TRAIN = """
import hashlib
import numpy as np
import bptt
from bptt.layer.threads import count

rng = np.random.default_rng(0)
T, N, V, H = 37, 29, 211, 131  # odd, so that no cut falls on a kernel's edge
sizes = dict(inputs=V, outputs=V, hidden=H, layers=2, embedding=67, dropout=0.2)
model = bptt.Model(**sizes, cell="lstm", backend=backend)
params = model.init(rng, dtype)
tokens = rng.integers(V, size=(T + 1, N))
digest = hashlib.sha256()
state = None
for _ in range(2):
    loss, grads, state = model.loss_and_grads(params, tokens[:-1], tokens[1:], state, rng=rng)
    digest.update(repr(loss).encode())
    for name, grad in grads.items():
        digest.update(grad.tobytes())
        params[name] -= 0.1 * grad
for array in state.values():
    digest.update(array.tobytes())
print(count(), digest.hexdigest())
"""


@pytest.mark.parametrize(
    ("backend", "dtype"), [("reference", "float32"), ("reference", "float64"), ("cpu", "float32")]
)
def test_same_bits_on_any_number_of_threads(backend: str, dtype: str) -> None:
    found = {}
    for ours, blas in (("1", "1"), ("2", "1"), ("4", "2"), ("1", "2"), ("", "2")):
        how = {"BPTT_THREADS": ours, "OPENBLAS_NUM_THREADS": blas, "OMP_NUM_THREADS": blas}
        done = run(f"backend, dtype = {backend!r}, {dtype!r}{TRAIN}", **how)
        assert done.returncode == 0, done.stderr
        count, digest = done.stdout.split()
        assert ours in ("", count)
        found[ours, blas] = digest
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", " 2", "1025", "9" * 5000, "²"])
def test_a_number_of_threads_that_means_nothing_is_told(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_THREADS", given)
    with pytest.raises(ConfigError, match="BPTT_THREADS must be a whole number from 1 to 1024, got "):
        threads.count.__wrapped__()


@pytest.mark.parametrize("given", ["", "3"])
def test_number_of_threads(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_THREADS", given)
    count = threads.count.__wrapped__()
    assert count == 3 if given else 1 <= count <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("own", "workers", "count"), [(16, "4", 4), (9, "32", 9), (16, "32", 1), (16, "", 16)]
)
def test_workers_share_the_cores(own: int, workers: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BPTT_THREADS", raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", workers)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(own)), raising=False)
    assert threads.count.__wrapped__() == count


# ---------------------------------------------------------------------- BLAS held to one thread


class Library:
    """What threadpoolctl says of a BLAS library."""

    def __init__(self, count: int) -> None:
        self.count = count

    def get_num_threads(self) -> int:
        return self.count

    def set_num_threads(self, count: int) -> None:
        self.count = count


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> list[Library]:
    """Return two BLAS libraries, of 8 and of 5 threads, that are taken for NumPy's."""
    made = [Library(8), Library(5)]
    monkeypatch.setattr(threads, "_blas", lambda: made)
    monkeypatch.setattr(threads, "_one_blas_thread", threads._OneBlasThread())
    return made


def counts(libraries: list[Library]) -> tuple[int, ...]:
    return tuple(library.count for library in libraries)


def test_blas_is_held_until_the_last_one_leaves(libraries: list[Library]) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread():
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        with one_blas_thread():
            thread.start()
            inside.wait(20)
            assert counts(libraries) == (1, 1)
        assert counts(libraries) == (1, 1)
    assert counts(libraries) == (1, 1), "another thread is inside"
    leave.set()
    thread.join()
    assert counts(libraries) == (8, 5)
    with pytest.raises(ArithmeticError), one_blas_thread():
        raise ArithmeticError
    assert counts(libraries) == (8, 5)


def test_numpys_own_blas_is_held() -> None:
    from threadpoolctl import threadpool_info

    def blas_threads() -> list[int]:
        return [int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


class Interruption(BaseException):
    """What a test raises between two steps."""


def use(seen: list[tuple[int, ...]], libraries: list[Library]) -> None:
    with one_blas_thread():
        seen.append(counts(libraries))
        with one_blas_thread():
            seen.append(counts(libraries))
        seen.append(counts(libraries))


def interrupted_at(step: int, work: Callable[[], None]) -> BaseException | None:
    """Do work with an exception before one of the instructions of bptt.layer.threads that it runs."""
    left = step

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal left
        if frame.f_code.co_filename != threads.__file__:
            return None
        frame.f_trace_opcodes = True
        left -= event != "return"  # which is no instruction, and hands over what is returned
        if left < 0:
            raise Interruption
        return trace

    sys.settrace(trace)
    try:
        work()
    except Interruption as error:
        return error
    finally:
        sys.settrace(None)
    return None


def test_blas_has_its_threads_again_wherever_an_interruption_comes(libraries: list[Library]) -> None:
    kept: list[BaseException] = []  # as an interactive Python keeps the last one, and what its frames hold
    seen: list[tuple[int, ...]] = []
    for step in range(10_000):
        error = interrupted_at(step, lambda: use(seen, libraries))
        assert counts(libraries) == (8, 5), step
        if error is None:
            break
        kept.append(error)
        with one_blas_thread():
            assert counts(libraries) == (1, 1), step
        assert counts(libraries) == (8, 5), step
    assert len(kept) > 300
    assert set(seen) == {(1, 1)}, "nobody is inside without the limit"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_blas_has_its_threads_again_after_signals(libraries: list[Library]) -> None:
    """Interruptions at any time, and another thread beside them."""
    done, wrong = threading.Event(), []

    def other() -> None:
        while not done.is_set():
            with one_blas_thread():
                if counts(libraries) != (1, 1):
                    wrong.append(counts(libraries))

    def interrupt(*_: object) -> None:
        raise Interruption

    seen: list[tuple[int, ...]] = []
    before = signal.signal(signal.SIGALRM, interrupt)
    thread = threading.Thread(target=other)
    rng, caught = np.random.default_rng(0), 0
    thread.start()
    try:
        for delay in rng.uniform(1e-6, 2e-4, 200):
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                for _ in range(100_000):
                    use(seen, libraries)
            except Interruption:
                caught += 1
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGALRM, before)
    assert caught > 100  # one that meets a finaliser goes no further
    assert counts(libraries) == (8, 5)
    assert (wrong, set(seen)) == ([], {(1, 1)})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("forks_inside", [False, True])
def test_a_forked_process_is_not_held_by_its_parents_threads(
    libraries: list[Library], monkeypatch: pytest.MonkeyPatch, forks_inside: bool
) -> None:
    one = threads._one_blas_thread
    os.register_at_fork(after_in_child=lambda: one._forked())  # this test's own, as the module's is
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread(), one._lock:
            inside.set()
            leave.wait(20)

    def fork() -> tuple[int, tuple[int, ...]]:
        thread.start()
        inside.wait(20)
        pid = os.fork()
        signal.alarm(0 if pid else 10)
        return pid, counts(libraries)

    thread = threading.Thread(target=other)
    if forks_inside:
        with one_blas_thread():
            pid, found = fork()
            leave.set()
    else:
        pid, found = fork()
    if pid == 0:
        outside = counts(libraries)
        with one_blas_thread():
            held = counts(libraries)
        right = (found, outside, held) == ((1, 1) if forks_inside else (8, 5), (8, 5), (1, 1))
        os._exit(0 if right and counts(libraries) == (8, 5) else 1)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert counts(libraries) == (8, 5)
