"""Products of numbers rounded to bfloat16: in vectors and, where there are any, on tile registers."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llvmlite import ir

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.llvm import host as hosts
from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import host
from bptt.kernels.ops.products import matmul
from machine_code import cache as cache
from machine_code import narrow, rounded
from whole_products import laid, product, whole_numbers
from whole_products import small_blocks as small_blocks


@pytest.fixture(params=["", "avx512bf16"])
def bfloat16(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make code for tile registers, where there are any, and for vectors."""
    if not narrow(request.param, monkeypatch).avx512_bf16:
        pytest.skip("not a processor with bfloat16")


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("of_A", ["rows", "columns", "part", "every second"])
@pytest.mark.parametrize("of_B", ["rows", "columns", "part", "every second"])
def test_bfloat16_tails_and_layouts(of_A: str, of_B: str) -> None:
    rng = np.random.default_rng(0)
    for M in (1, 2, 13, 16, 17, 45):
        for N in (1, 16, 33, 64, 130):
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


@pytest.mark.usefixtures("bfloat16")
def test_bits_do_not_depend_on_how_rows_are_cut_or_lie() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(67, 100)).astype("f"), rng.normal(size=(100, 77)).astype("f")
    before = rng.normal(size=(67, 77)).astype("f")
    for add in (False, True):
        C = matmul(A, B, before.copy(), add=add, bfloat16=True)
        for cut in (1, 3, 15, 16, 17, 33):
            for laid_A in (A, A.copy("F")):
                out = before.copy()
                for i in range(0, len(A), cut):
                    matmul(laid_A[i : i + cut], B, out[i : i + cut], add=add, bfloat16=True)
                assert out.tobytes() == C.tobytes()


@pytest.mark.usefixtures("bfloat16")
def test_one_row_does_not_reach_another() -> None:
    """What lies beside a row, or behind its last number, is not seen in it, were it infinite."""
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(20, 70)).astype("f"), rng.normal(size=(70, 40)).astype("f")
    want = matmul(A, B, bfloat16=True)
    A[1::2] = np.inf
    got = matmul(A, B, bfloat16=True)
    assert got[::2].tobytes() == want[::2].tobytes()
    assert not np.isfinite(got[1::2]).any()


CODE = """
import numpy as np
from bptt.kernels.ops.products import matmul
A, B = np.ones((70, 650), "f"), np.ones((650, 900), "f")
matmul(A, B)
print((matmul(A, B, bfloat16=True) == 650).all())
"""


def test_each_thread_of_the_pool_has_tiles() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path)), "BPTT_THREADS": "3"}
    command = [sys.executable, "-X", "faulthandler", "-c", CODE]
    if not host().avx512_bf16:
        pytest.skip("not a processor with bfloat16")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_a_system_that_gives_no_tiles_leaves_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_may_have_tiles", lambda: False)
    hosts._host.cache_clear()
    try:
        assert not host().tiles
    finally:
        hosts._host.cache_clear()


def test_code_for_tiles_is_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no tiles the processor is the same, and so are its features."""
    monkeypatch.setenv("BPTT_CACHE", str(tmp_path))
    text = str(ir.Module("empty"))
    for tiles in (False, True):
        jit.build(lambda: text, text, target=replace(host(), tiles=tiles))
    assert len([path for path in tmp_path.rglob("*") if path.stat().st_size > 100]) == 2
