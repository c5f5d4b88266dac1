"""Products cut over threads are the same products, and have the same bits however many threads there are."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

from bptt.errors import ConfigError
from bptt.layer import threads
from bptt.layer.threads import MOST_PIECES, PIECE, for_pieces, matmul, one_blas_thread
from bptt.types import Array
from processes import run


def pieces_of(n: int, pieces: int) -> list[tuple[int, int]]:
    """Return the slices that `for_pieces` hands out, in their order."""
    seen: list[tuple[int, int]] = []
    for_pieces(lambda cut: seen.append((cut.start, cut.stop)), n, pieces)
    return sorted(seen)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 1001])
@pytest.mark.parametrize("pieces", [0, 1, 2, 3, 16, 5000])
def test_pieces_cover_everything_once(n: int, pieces: int) -> None:
    cuts = pieces_of(n, pieces)
    assert [k for start, stop in cuts for k in range(start, stop)] == list(range(n))
    assert len(cuts) == max(1, min(pieces, n))
    sizes = [stop - start for start, stop in cuts]
    assert max(sizes) - min(sizes) <= 1


def test_pieces_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = []
    for count in (1, 2, 4):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        cuts.append(pieces_of(1001, 7))
    assert cuts[0] == cuts[1] == cuts[2]


@pytest.mark.parametrize("count", [1, 2])
def test_an_exception_in_a_piece_is_raised(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(threads, "count", lambda: count)

    def work(cut: slice) -> None:
        if cut.start == 5:
            raise ArithmeticError("piece 5")

    with pytest.raises(ArithmeticError, match="piece 5"):
        for_pieces(work, 10, 10)
    assert pieces_of(4, 4) == [(0, 1), (1, 2), (2, 3), (3, 4)], "the pool lives on"


def test_pieces_run_at_the_same_time() -> None:
    """Two pieces that wait for each other both arrive: the pool has two threads."""
    code = """if True:
        import threading
        from bptt.layer.threads import for_pieces
        both = threading.Barrier(2, timeout=20)
        for_pieces(lambda cut: both.wait(), 2, 2)
        print("met")
    """
    assert run(code, BPTT_THREADS="2").stdout == "met\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_threads_of_its_own() -> None:
    code = """if True:
        import os, signal
        from bptt.layer.threads import for_pieces
        for_pieces(print, 4, 4)
        if os.fork() == 0:
            signal.alarm(3)
            for_pieces(print, 4, 4)
            os._exit(0)
        assert os.wait()[1] == 0
    """
    assert run(code, BPTT_THREADS="2", PYTHONWARNINGS="ignore").returncode == 0


# ---------------------------------------------------------------------- products

EDGE = PIECE * 2  # with as many multiply-adds a product is first cut in two
SIDE = 512
SHAPES = {
    "tiny": (1, 1, 1),
    "one row": (1, 300, 7),
    "just below a cut": (EDGE // SIDE**2 - 1, SIDE, SIDE),
    "two pieces, columns": (EDGE // SIDE**2, SIDE, SIDE),
    "two pieces, rows": (SIDE, SIDE, EDGE // SIDE**2),
    "odd": (1031, 257, 515),
    "odd, wide": (257, 515, 1031),
    "as many pieces as there are": (1024, MOST_PIECES * PIECE // 1024 // 512 + 3, 512),
    "few rows": (3, 4001, 2),
    "one column": (401, 301, 1),
    "no depth": (3, 0, 4),
    "no rows": (0, 3, 4),
}


def draw(rng: np.random.Generator, rows: int, columns: int, turned: bool) -> Array:
    return rng.normal(size=(columns, rows)).T if turned else rng.normal(size=(rows, columns))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
def test_matmul_is_the_product(shape: tuple[int, int, int], turned: str) -> None:
    M, K, L = shape
    rng = np.random.default_rng(0)
    a, b = draw(rng, M, K, "a" in turned), draw(rng, K, L, "b" in turned)
    before = a.copy(), b.copy()
    product = matmul(a, b)
    assert product.shape == (M, L)
    assert np.allclose(product, a @ b, rtol=0, atol=1e-12 * max(K, 1))
    assert np.array_equal(before[0], a)
    assert np.array_equal(before[1], b)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_matmul_keeps_the_dtype(dtype: type) -> None:
    rng = np.random.default_rng(0)
    a: Array = rng.normal(size=(700, 300)).astype(dtype)
    b: Array = rng.normal(size=(300, 400)).astype(dtype)
    assert a.size * 400 >= EDGE
    assert matmul(a, b).dtype == dtype
    assert np.allclose(matmul(a, b), a @ b, rtol=0, atol=1e-3 if dtype is np.float32 else 1e-11)


def test_matmul_is_cut_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the tests above would say nothing of the pieces."""
    asked = []
    monkeypatch.setattr(threads, "for_pieces", lambda work, n, pieces: asked.append((n, pieces)))
    matmul(np.ones((EDGE // SIDE**2 - 1, SIDE)), np.ones((SIDE, SIDE)))
    assert asked == []
    matmul(np.ones((SIDE, SIDE)), np.ones((SIDE, EDGE // SIDE**2)))
    matmul(np.ones((1024, 2048)), np.ones((2048, 512)))
    assert asked == [(SIDE, 2), (1024, MOST_PIECES)]


# ---------------------------------------------------------------------- the same bits

TRAIN = """
import hashlib
import numpy as np
import bptt
from bptt.layer.threads import PIECE, count, matmul

rng = np.random.default_rng(0)
T, N, V, H = 37, 29, 211, 131  # odd, so that no cut falls on a kernel's edge
assert T * N * H * 4 * H > 2 * PIECE  # the products are cut
model = bptt.Model(inputs=V, outputs=V, hidden=H, cell="lstm", layers=2, embedding=67, dropout=0.2)
params = model.init(rng)
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
a, b = rng.normal(size=(1031, 515)), rng.normal(size=(257, 515)).T
with bptt.layer.threads.one_blas_thread():
    digest.update(matmul(a, b).tobytes())
    digest.update(matmul(b.T, a.T).tobytes())
print(count(), digest.hexdigest())
"""


def test_same_bits_on_any_number_of_threads() -> None:
    found = {}
    for ours, blas in (("1", "1"), ("2", "1"), ("4", "2"), ("1", "2"), ("", "2")):
        done = run(TRAIN, BPTT_THREADS=ours, OPENBLAS_NUM_THREADS=blas, OMP_NUM_THREADS=blas)
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


def test_work_within_work_does_not_wait_for_itself() -> None:
    code = """if True:
        from bptt.layer.threads import for_pieces
        for_pieces(lambda cut: for_pieces(lambda inner: None, 4, 4), 4, 4)
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"BPTT_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "done\n"


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
