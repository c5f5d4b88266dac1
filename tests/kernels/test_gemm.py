"""Products with a packed operand: every shape, every tail, any layout; the same bits always."""

import ctypes
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.llvm import packing
from bptt.kernels.llvm.host import host
from bptt.kernels.ops import pieces, products
from bptt.kernels.ops.products import matmul
from bptt.layer import threads as number_of_threads
from bptt.types import Array
from machine_code import TARGETS, narrow, rounded
from machine_code import cache as cache

DTYPES = [np.float32, np.float64]


def whole_numbers(rng: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return small whole numbers: their products and sums have no rounding, so that every bit is checked."""
    return np.asarray(rng.integers(-8, 9, shape), dtype)


def laid(a: Array, how: str) -> Array:
    """Return the same numbers, differently in memory."""
    if how == "columns":
        return np.asfortranarray(a)
    if how == "part":
        room = np.full((a.shape[0] + 2, a.shape[1] + 3), 99, a.dtype)
        room[1:-1, 2:-1] = a
        return room[1:-1, 2:-1]
    if how == "every second":
        room = np.full((2 * a.shape[0], 3 * a.shape[1]), 99, a.dtype)
        room[::2, ::3] = a
        return room[::2, ::3]
    if how == "backwards":
        return np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]
    return a


def product(A: Array, B: Array, add: bool, bfloat16: bool = False) -> None:
    """Check the product into a part of a larger array, of which nothing else is touched."""
    M, N = A.shape[0], B.shape[1]
    rng = np.random.default_rng(1)
    room = whole_numbers(rng, (M + 2, N + 5), A.dtype)
    want = room.copy()
    want[1:-1, 2:-3] = A @ B + add * room[1:-1, 2:-3]
    out = room[1:-1, 2:-3]
    assert matmul(A, B, out, add=add, bfloat16=bfloat16) is out
    np.testing.assert_array_equal(room, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_tail(dtype: Any, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(target, monkeypatch)
    rng = np.random.default_rng(0)
    lanes = host().lanes(dtype)
    width = packing.shape(host())[1] * lanes
    columns = {
        1,
        lanes - 1,
        lanes,
        lanes + 1,
        width - 1,
        width,
        width + 1,
        3 * width,
        4 * width,
        5 * width + 3,
        6 * width,
    }
    for M in (*range(1, 15), 24, 25, 26, 37):
        for N in columns:
            for K in (1, 2, 7):
                A, B = whole_numbers(rng, (M, K), dtype), whole_numbers(rng, (K, N), dtype)
                product(A, B, add=bool((M + K) % 2))
                product(A.copy("F"), B.copy("F"), add=bool(M % 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_A", ["rows", "columns", "part", "every second", "backwards"])
@pytest.mark.parametrize("of_B", ["rows", "columns", "part", "every second", "backwards"])
def test_operands_may_lie_in_any_way(dtype: Any, of_A: str, of_B: str) -> None:
    rng = np.random.default_rng(0)
    for M, K, N in ((1, 5, 70), (5, 1, 3), (30, 33, 65), (13, 9, 1)):
        A, B = whole_numbers(rng, (M, K), dtype), whole_numbers(rng, (K, N), dtype)
        product(laid(A, of_A), laid(B, of_B), add=False)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make blocks and pieces small, so that products of some thousand numbers have many of them."""
    cached = products.parts_of, products._cut
    with monkeypatch.context() as patch:
        patch.setattr(products, "PIECE", 1 << 11)
        for name, value in {"DEPTH": 24, "HEIGHT": 17, "NEAR": 1 << 12}.items():
            patch.setattr(pieces, name, value)
        patch.setattr(number_of_threads, "count", lambda: 3)
        for function in cached:
            function.cache_clear()
        yield
    for function in cached:
        function.cache_clear()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("across", [False, True])
def test_in_blocks_and_pieces(dtype: Any, across: bool) -> None:
    rng = np.random.default_rng(0)
    cuts = set()
    for M, K, N in ((150, 90, 1030), (3, 1100, 700), (500, 10, 40), (64, 64, 64), (40, 70, 3)):
        cuts.add(products._cut(M, N, K, 12, 32, 3, across))
        A, B = whole_numbers(rng, (M, K), dtype), whole_numbers(rng, (K, N), dtype)
        for add in (False, True):
            product(A.copy("F") if across else A, B, add)
            product(A.copy("F") if across else A, B.copy("F"), add)
            if not across:
                out = np.empty((M, N), dtype)
                products.Packed(B).prepared(A, out)()
                np.testing.assert_array_equal(out, A @ B)
    assert max(rows for rows, _ in cuts) > 1 < max(columns for _, columns in cuts)


def test_large_products_are_as_precise_as_blas() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(96, 2500)).astype("f"), rng.normal(size=(2500, 1300)).astype("f")
    exact = A.astype("d") @ B.astype("d")
    error = np.abs(matmul(A, B) - exact).max()
    assert error < 4 * np.abs(A @ B - exact).max()


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_empty(shape: tuple[int, int, int]) -> None:
    M, K, N = shape
    np.testing.assert_array_equal(matmul(np.ones((M, K)), np.ones((K, N))), np.zeros((M, N)))
    out = np.ones((M, N))
    np.testing.assert_array_equal(matmul(np.ones((M, K)), np.ones((K, N)), out, add=True), np.ones((M, N)))


def test_operands_that_repeat_a_row() -> None:
    A = np.broadcast_to(np.arange(3.0), (5, 3))
    B = np.broadcast_to(np.arange(4.0), (3, 4))
    np.testing.assert_array_equal(matmul(A, B), np.asarray(A) @ np.asarray(B))


def test_out_may_be_an_operand() -> None:
    rng = np.random.default_rng(0)
    for n in (64, 300):
        A, B = (whole_numbers(rng, (n, n), np.float32) for _ in range(2))
        want = A @ B
        np.testing.assert_array_equal(matmul(A.copy(), (out := B.copy()), out), want)
        np.testing.assert_array_equal(matmul((out := A.copy()), B, out), want)
        np.testing.assert_array_equal(matmul((out := A.copy()), B, out, add=True), want + A)


def test_a_field_of_records_is_read_where_it_is() -> None:
    records = np.zeros((5, 7), [("a", "u2"), ("x", "f4")])
    records["x"] = np.arange(35).reshape(5, 7)
    A = records["x"]
    np.testing.assert_array_equal(matmul(A, A.T), A @ A.T)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_prepared_products_keep_apart(bfloat16: bool) -> None:
    if bfloat16 and not host().avx512_bf16:
        pytest.skip("no products of bfloat16")
    rng = np.random.default_rng(0)
    sets = [[whole_numbers(rng, shape, np.float32) for shape in ((37, 90), (90, 70))] for _ in range(2)]
    outs = [np.zeros((37, 70), np.float32) for _ in sets]
    runs = [
        products.Packed(B, bfloat16=bfloat16).prepared(A, out) for (A, B), out in zip(sets, outs, strict=True)
    ]

    def many(run: Any) -> None:
        for _ in range(300):
            run()

    askers = [threading.Thread(target=many, args=(run,)) for run in runs]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    for (A, B), out in zip(sets, outs, strict=True):
        np.testing.assert_array_equal(out, A @ B)
    with pytest.raises(ShapeError, match="neighbours"):
        products.Packed(sets[0][1]).prepared(np.ones((74, 180), np.float32)[::2, ::2], outs[0])


@pytest.mark.parametrize("add", [False, True])
def test_a_product_by_its_columns(add: bool) -> None:
    rng = np.random.default_rng(3)
    A, B, out = rng.normal(size=(70, 5)), rng.normal(size=(5, 40)), rng.normal(size=(40, 70)).T
    wanted = A @ B + out * add
    assert matmul(A, B, out, add=add) is not None
    np.testing.assert_allclose(out, wanted, rtol=0, atol=1e-13)


def test_nan_and_infinity_reach_the_product() -> None:
    A, B = np.ones((3, 4), "f"), np.ones((4, 5), "f")
    A[1, 2], B[0, 3] = np.nan, np.inf
    C = matmul(A, B, np.full((3, 5), np.nan, "f"))
    assert np.isnan(C[1]).all()
    assert (C[[0, 2]] == np.array([4, 4, 4, np.inf, 4], "f")).all()


@pytest.mark.parametrize(
    ("A", "B", "out", "says"),
    [
        (
            np.ones((2, 3)),
            np.ones((4, 5)),
            None,
            r"A must be \(M, K\) and B \(K, N\), got \(2, 3\) and \(4, 5\)",
        ),
        (np.ones((2, 3), int), np.ones((3, 5), int), None, "all float32 or all float64, got int64"),
        (np.ones((2, 3)), np.ones((3, 5), "f"), None, "all float32 or all float64, got float64, float32"),
        (np.ones((2, 3)), np.ones((3, 5)), np.ones((5, 2)), r"out must be \(M, N\) = \(2, 5\), got \(5, 2\)"),
        (np.ones((2, 3)), np.ones((3, 5)), np.ones((5, 4)).T[::2], "must be neighbours"),
        (np.ones((2, 3)), np.ones((3, 5)), np.broadcast_to(np.ones(5), (2, 5)), "read-only"),
        (np.ones((2, 3), ">f8"), np.ones((3, 5), ">f8"), None, "all float32 or all float64, got >f8"),
        (np.ones(3), np.ones((3, 5)), None, r"A must be \(M, K\)"),
    ],
)
def test_what_does_not_fit(A: Array, B: Array, out: Array | None, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        matmul(A, B, out)


@pytest.fixture
def bfloat16() -> None:
    if not host().avx512_bf16:
        pytest.skip("not a processor with bfloat16")


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("of_A", ["rows", "columns", "part", "every second"])
@pytest.mark.parametrize("of_B", ["rows", "columns", "part", "every second"])
def test_bfloat16_tails_and_layouts(of_A: str, of_B: str) -> None:
    rng = np.random.default_rng(0)
    for M in (1, 2, 3, 4, 13):
        for N in (1, 16, 33, 130):
            for K in (1, 2, 31, 32, 33, 65):
                A, B = whole_numbers(rng, (M, K), np.float32), whole_numbers(rng, (K, N), np.float32)
                product(laid(A, of_A), laid(B, of_B), add=bool(K % 2), bfloat16=True)


@pytest.mark.usefixtures("bfloat16", "small_blocks")
@pytest.mark.parametrize("across", [False, True])
def test_bfloat16_in_blocks_and_pieces(across: bool) -> None:
    rng = np.random.default_rng(0)
    for M, K, N in ((150, 91, 1030), (3, 1101, 700), (64, 64, 64)):
        A, B = whole_numbers(rng, (M, K), np.float32), whole_numbers(rng, (K, N), np.float32)
        product(A.copy("F") if across else A, B, add=across, bfloat16=True)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_rounds_to_nearest_even() -> None:
    rng = np.random.default_rng(0)
    ties = (np.arange(1, 65) * 2**16 + 0x3F808000).astype(np.uint32).view(np.float32)
    A = np.concatenate([rng.normal(size=200).astype("f"), ties, np.array([3.4e38, np.inf, np.nan], "f")])
    for laid_A in (A[:, None], np.repeat(A[:, None], 2, 1)[:, :1]):
        got = matmul(laid_A, np.ones((1, 3), "f"), bfloat16=True)
        with np.errstate(all="ignore"):
            want = np.where(np.isnan(A), np.nan, rounded(A))
        np.testing.assert_array_equal(got, np.repeat(want[:, None], 3, 1))


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_sums_are_float32() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(30, 700)).astype("f"), rng.normal(size=(700, 50)).astype("f")
    exact = rounded(A).astype("d") @ rounded(B).astype("d")
    assert np.abs(matmul(A, B, bfloat16=True) - exact).max() < 1e-4
    assert np.abs(exact - A.astype("d") @ B.astype("d")).max() > 1e-2, "it would not be bfloat16"


def test_bfloat16_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_TARGET", "baseline")
    with pytest.raises(ConfigError, match="bfloat16: this processor has no AVX512-BF16; choose float32"):
        matmul(np.ones((2, 2), "f"), np.ones((2, 2), "f"), bfloat16=True)
    with pytest.raises(ShapeError, match="must be float32 to be rounded to bfloat16, got float64"):
        matmul(np.ones((2, 2)), np.ones((2, 2)), bfloat16=True)


CODE = """
import hashlib, numpy as np
from bptt.kernels.ops.products import matmul
rng = np.random.default_rng(0)
digest = hashlib.sha256()
for M, K, N in ((700, 350, 900), (25, 100, 400), (40, 2100, 1100), (1, 512, 4000)):
    A, B = rng.normal(size=(M, K)).astype("f"), rng.normal(size=(K, N)).astype("f")
    for a in (A, A.copy("F")):
        digest.update(matmul(a, B).tobytes())
print(digest.hexdigest())
"""


def test_same_bits_for_any_number_of_threads() -> None:
    digests = set()
    for count in ("1", "2", "4"):
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, sys.path)),
            "BPTT_THREADS": count,
        }
        done = subprocess.run(
            [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_bits_do_not_depend_on_how_rows_are_cut() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(29, 100)).astype("f"), rng.normal(size=(100, 77)).astype("f")
    C = matmul(A, B)
    for cut in (1, 2, 3, 7, 12, 13):
        for laid_B in (B, B.copy("F")):  # read as its rows lie where there are few of A's, or packed
            parts = [matmul(A[i : i + cut], laid_B) for i in range(0, 29, cut)]
            assert np.concatenate(parts).tobytes() == C.tobytes()


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="pages that may not be read, as Linux has them"
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_read_behind_a_matrix(dtype: Any, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(target, monkeypatch)
    page, system = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True)
    room = mmap.mmap(-1, 4 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(room))
    assert system.mprotect(ctypes.c_void_p(start + 3 * page), page, 0) == 0
    rng = np.random.default_rng(0)
    for M, K, N in ((1, 7, 3), (1, 9, 33), (2, 5, 100), (5, 5, 47), (12, 3, 70), (20, 3, 70)):
        A, B = whole_numbers(rng, (M, K), dtype), whole_numbers(rng, (K, N), dtype)
        at_end = np.ndarray((K, N), dtype, room, 3 * page - B.nbytes)
        at_end[...] = B
        np.testing.assert_array_equal(matmul(A, at_end), A @ B)
        del at_end
