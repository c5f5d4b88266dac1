"""Sine, cosine, the error function, the normal distribution, steps: against many digits, everywhere."""

from typing import Any

import mpmath
import numpy as np
import pytest

from bptt import elementwise
from bptt.kernels.llvm import special
from bptt.types import Array
from machine_code import TARGETS, compiled, errors, narrow
from machine_code import cache as cache

EXACT = {"sin": mpmath.sin, "cos": mpmath.cos, "erf": mpmath.erf, "Phi": mpmath.ncdf}
EDGES = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-300, 5e-324, 30.0, 40.0, 1e30)


def points(dtype: Any) -> Array:
    rng = np.random.default_rng(0)
    x = [
        rng.normal(size=300),
        rng.uniform(-40, 40, 300),
        rng.uniform(-1e4, 1e4, 300),
        np.pi / 2 * rng.integers(-(2**20), 2**20, 100),  # where little of a number is left
        10.0 ** rng.uniform(-30, 8, 100),
    ]
    return np.concatenate(x).astype(dtype)


def exactly(name: str, x: Array) -> list[Any]:
    with mpmath.workdps(60):
        return [EXACT[name](mpmath.mpf(float(v))) for v in x]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target_name", TARGETS)
def test_compiled_functions_are_right_to_the_last_places(
    name: str, dtype: Any, target_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(target_name, monkeypatch)
    f = compiled(dtype, 1, getattr(special, name))
    x = points(dtype)
    got, exact = f(x), exactly(name, x)
    if dtype == np.float32:
        assert errors(got, np.array([float(e) for e in exact])).max() <= 1
    smallest = float(np.finfo(dtype).smallest_normal)
    off = [abs(float(g) - e) / abs(e) for g, e in zip(got, exact, strict=True) if abs(e) > smallest]
    assert max(off) <= (1e-7 if dtype == np.float32 else 1e-15)
    known = [v for v in EDGES if name in ("erf", "Phi") or abs(v) != 1e30]
    wanted: Any = {"sin": np.sin, "cos": np.cos, "erf": elementwise.erf, "Phi": elementwise.Phi}[name]
    with np.errstate(all="ignore"):
        edges = np.array(known, dtype)
        np.testing.assert_allclose(f(edges), wanted(edges), rtol=1e-6)
        signs = np.signbit(f(edges)) == np.signbit(wanted(edges))
        assert (signs | np.isnan(edges) | np.isinf(edges)).all()


def test_of_a_sine_too_far_away_nothing_is_said() -> None:
    x = np.array([9.9e11, -9.9e11, 1.1e12, -1e300])
    got = compiled(np.float64, 1, special.sin)(x)
    np.testing.assert_allclose(got[:2], np.sin(x[:2]), atol=1e-12)
    assert np.isnan(got[2:]).all()


@pytest.mark.parametrize("name", ["erf", "Phi"])
def test_numpy_functions_and_their_complex_steps(name: str) -> None:
    x = np.concatenate([points(np.float64)[:600], [-38.0, -20.0, 1 - 1e-16, 1.0, -1e-300]])
    f, exact = getattr(elementwise, name), exactly(name, x)
    off = [abs(float(g) - e) / abs(e) for g, e in zip(f(x), exact, strict=True) if abs(e) > 1e-300]
    assert max(off) <= 1e-15
    slope = (
        (2 / np.sqrt(np.pi) * np.exp(-(x**2))) if name == "erf" else np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    )
    np.testing.assert_allclose(f(x + 1e-30j).imag / 1e-30, slope, rtol=1e-12, atol=1e-14)
    assert f(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target_name", TARGETS)
def test_steps_are_as_in_numpy(dtype: Any, target_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(target_name, monkeypatch)
    near = np.arange(-5, 5).astype(dtype)
    x = np.concatenate([points(dtype), EDGES, near, np.nextafter(near, 9), np.nextafter(near, -9)]).astype(
        dtype
    )
    x = np.concatenate([x, dtype(2) ** np.arange(20, 60, dtype=dtype) + dtype(0.5)])
    for name in ("floor", "sign"):
        got = compiled(dtype, 1, lambda v, a, name=name: getattr(v, name)(a))(x)
        np.testing.assert_array_equal(got, getattr(np, name)(x))
    assert np.signbit(compiled(dtype, 1, lambda v, a: v.floor(a))(np.array([-0.0], dtype))).all()
