"""Products with a packed operand: every shape, every tail, any layout; the same bits always."""

import ctypes
import mmap
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from bptt.errors import ShapeError
from bptt.kernels.llvm import packing
from bptt.kernels.llvm.host import host
from bptt.kernels.ops import products
from bptt.kernels.ops.products import matmul
from bptt.types import Array
from machine_code import TARGETS, narrow
from machine_code import cache as cache
from whole_products import laid, product, whole_numbers
from whole_products import small_blocks as small_blocks

DTYPES = [np.float32, np.float64]


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
