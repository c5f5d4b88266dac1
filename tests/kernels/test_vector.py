"""Functions on vector registers: right to the last places, on every kind of processor."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.kernels.llvm.host import host
from bptt.types import Array
from machine_code import TARGETS, compiled, errors, narrow
from machine_code import cache as cache

EDGES = [
    *(0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, -1e-38, 2.0**-24, 1e30, -1e30),
    *(88.722, 88.723, 88.73, 89.0, -87.33, -87.34, -103.9, -103.97, -104.0, -150.0),
    *(0.35, -0.35, 1.0, 9.0, 9.1, 10.0, -10.0, 20.0),
]


def softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x: Array) -> Array:
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "relu": lambda x: np.maximum(x, 0),
    "neg": lambda x: -x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("target_name", TARGETS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_float32_over_the_whole_range(name: str, target_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(target_name, monkeypatch)
    f = compiled(np.float32, 1, lambda v, x: getattr(v, name)(x))
    rng = np.random.default_rng(0)
    bits = np.arange(rng.integers(1000), 2**32, 2048, dtype=np.uint64).astype(np.uint32)
    x = np.concatenate(
        [
            bits.view(np.float32),
            rng.uniform(-12, 12, 2**21).astype(np.float32),
            np.array(EDGES, np.float32),
        ]
    )
    got = f(x)
    error = errors(got, FUNCTIONS[name](x.astype(np.float64)))
    worst = int(error.argmax())
    assert error[worst] <= 4, f"{name}({x[worst]!r}) = {got[worst]!r}, {error[worst]:.1f} ulp"
    known = ~np.isnan(x)
    with np.errstate(all="ignore"):
        signs = np.signbit(FUNCTIONS[name](x)) == np.signbit(got)
    assert (signs | np.isnan(got))[known].all()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("target_name", TARGETS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_float64(name: str, target_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(target_name, monkeypatch)
    f = compiled(np.float64, 1, lambda v, x: getattr(v, name)(x))
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.integers(0, 2**64, 2**16, dtype=np.uint64).view(np.float64),
            rng.uniform(-25, 25, 2**17),
            rng.uniform(-760, 760, 2**16),
            np.array([*EDGES, 5e-324, 1e-310, -745.13, -745.2, -746.0, 709.78, 709.79, 710.0]),
        ]
    )
    got, exact = f(x), FUNCTIONS[name](x.astype(np.longdouble))
    error = errors(got, exact)
    worst = int(error.argmax())
    assert error[worst] <= 8, f"{name}({x[worst]!r}) = {got[worst]!r}, {float(error[worst]):.1f} ulp"
    normal = np.abs(exact) > np.finfo(np.float64).smallest_normal
    normal &= np.isfinite(got)
    assert (np.abs(got - exact)[normal] <= 1e-14 * np.abs(exact[normal])).all()


PAIRS: dict[str, Callable[..., Array]] = {
    "max": np.maximum,
    "min": np.minimum,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pairs_are_as_in_numpy(name: str, dtype: Any) -> None:
    f = compiled(dtype, 2, lambda v, x, y: getattr(v, name)(x, y))
    x, y = (a.ravel().astype(dtype) for a in np.meshgrid(EDGES, EDGES))
    np.testing.assert_array_equal(f(x, y), PAIRS[name](x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_choices(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    u, x, y = rng.normal(size=(3, 101)).astype(dtype)
    u[:3] = 0.0, -0.0, np.nan
    f = compiled(dtype, 3, lambda v, u, x, y: v.where(u, x, y))
    np.testing.assert_array_equal(f(u, x, y), np.where(u > 0, x, y))
    for how, numpy in {"<": np.less, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal}.items():
        f = compiled(dtype, 3, lambda v, u, x, y, how=how: v.select(v.compare(how, u, x), x, y))
        np.testing.assert_array_equal(f(u, x, y), np.where(numpy(u, x), x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target_name", TARGETS)
def test_tails_of_any_length(dtype: Any, target_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(target_name, monkeypatch)
    f = compiled(dtype, 1, lambda v, x: v.add(x, v.const(1.0)))
    for n in range(1, 40):
        x = np.arange(n).astype(dtype)
        np.testing.assert_array_equal(f(x), x + 1)  # and nothing beyond the end is written


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_rounds_once_where_the_processor_can(dtype: Any) -> None:
    eps = np.finfo(dtype).eps
    x = np.full(5, 1 + eps, dtype)
    got = compiled(dtype, 3, lambda v, x, y, z: v.fma(x, y, z))(x, x, np.full(5, -1 - 2 * eps, dtype))
    assert (got == (eps * eps if host().fma else 0)).all()
