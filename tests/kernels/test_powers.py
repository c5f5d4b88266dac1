"""Powers on vector registers: to the bounds of the functions, on every kind of processor."""

import mpmath
import numpy as np
import pytest

from bptt.kernels.llvm.powers import power
from bptt.types import Array
from machine_code import TARGETS, compiled, errors, narrow
from machine_code import cache as cache

POWERS = [
    *(0.5, 1.5, -0.5, -1.5, 2.5, 7.5, 8.5, 1.7, 0.3, -0.3, 63.7, -63.7, 1e-3, 1 / 3),
    *(2.0, 3.0, -3.0, 7.0, 8.0, 64.0, -2.0, 1.0, 0.0),
]


@pytest.mark.parametrize("target_name", TARGETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_powers_are_as_precise_as_functions(
    dtype: type, target_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(target_name, monkeypatch)
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    for p in POWERS:
        ends = float(np.log(float(info.smallest_subnormal))), float(np.log(float(info.max)))
        far = 1.0 if p == 0 else min(1.0, 1 / abs(p))
        x = np.exp(rng.uniform(ends[0] * far, ends[1] * far, 200))
        x = np.concatenate([x, rng.uniform(0.5, 2, 100), np.exp(rng.uniform(ends[0], ends[1], 20))]).astype(
            dtype
        )
        got = compiled(dtype, 1, lambda v, a, p=p: power(v, a, p))(x)
        with mpmath.workdps(40):
            exact = [mpmath.mpf(float(v)) ** mpmath.mpf(p) for v in x]
            if dtype == np.float32:
                wanted = np.array([float(e) for e in exact])
                assert errors(got, wanted).max() <= 4, p
                continue
            for g, e in zip(got, exact, strict=True):
                if float(info.smallest_normal) * 16 < e < float(info.max) / 16:
                    assert abs(mpmath.mpf(float(g)) - e) <= 1e-14 * e, (p, e)
                elif e > info.max:
                    assert g == np.inf
                else:
                    assert abs(mpmath.mpf(float(g)) - e) <= max(1e-13 * e, 4 * 5e-324), (p, e)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_powers_of_what_is_no_positive_number(dtype: type) -> None:
    x: Array = np.array([0.0, 1.0, -1.0, -2.0, np.inf, np.nan], dtype)
    for p in POWERS:
        got = compiled(dtype, 1, lambda v, a, p=p: power(v, a, p))(x)
        np.testing.assert_allclose(got, x**p if p != 0 else np.ones_like(x), 1e-6, err_msg=str(p))
