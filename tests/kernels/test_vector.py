"""Functions on vector registers: right to the last places, on every kind of processor."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

from bptt.errors import ConfigError
from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.vector import Vector
from bptt.types import Array, Dtype

TARGETS = ["", "avx512", "avx2", "baseline"]

EDGES = [
    *(0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, -1e-38, 2.0**-24, 1e30, -1e30),
    *(88.722, 88.723, 88.73, 89.0, -87.33, -87.34, -103.9, -103.97, -104.0, -150.0),
    *(0.35, -0.35, 1.0, 9.0, 9.1, 10.0, -10.0, 20.0),
]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled code away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


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
    "absolute": np.abs,
    "relu": lambda x: np.maximum(x, 0),
    "neg": lambda x: -x,
}


def target(name: str, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("BPTT_TARGET", name)
    try:
        return host()
    except ConfigError:
        pytest.skip(f"not an {name} processor")


def compiled(dtype: Dtype, inputs: int, emit: Callable[..., Any]) -> Callable[..., Array]:
    """Return a function of arrays of one length: vectors, the last one masked."""
    module, p, i64 = ir.Module(), ir.PointerType(), ir.IntType(64)
    f = ir.Function(module, ir.FunctionType(ir.VoidType(), [i64] + [p] * (inputs + 1)), "f")
    entry, loop, done = (f.append_basic_block() for _ in range(3))
    b = ir.IRBuilder(entry)
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(i64)
    k.add_incoming(i64(0), entry)
    v = Vector(b, dtype)
    mask = v.tail(b.sub(f.args[0], k))
    v.store(emit(v, *(v.load(v.at(x, k), mask) for x in f.args[1:-1])), v.at(f.args[-1], k), mask)
    after = b.add(k, i64(v.lanes))
    k.add_incoming(after, loop)
    b.cbranch(b.icmp_signed("<", after, f.args[0]), loop, done)
    b.position_at_end(done)
    b.ret_void()
    function = jit.load(module).function("f", ctypes.c_int64, *[ctypes.c_void_p] * (inputs + 1))

    def call(*arrays: Array) -> Array:
        arrays = tuple(np.ascontiguousarray(a, dtype) for a in arrays)
        out = np.full(arrays[0].size + 3, 7, dtype)
        function(arrays[0].size, *(a.ctypes.data for a in arrays), out.ctypes.data)
        assert (out[-3:] == 7).all(), "written beyond the end"
        return out[:-3]

    return call


def errors(got: Array, exact: Array) -> Array:
    """Return the distance in units in the last place of the exact value; infinite where kinds differ."""
    rounded = exact.astype(got.dtype)
    finite = np.isfinite(rounded) & np.isfinite(got)
    unit = np.spacing(np.abs(np.where(finite, rounded, 1)))
    distance = np.abs(got.astype(exact.dtype) - np.where(finite, exact, 0)) / unit
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(finite, distance, np.where(same, 0, np.inf))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("target_name", TARGETS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_float32_over_the_whole_range(name: str, target_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target(target_name, monkeypatch)
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
    target(target_name, monkeypatch)
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
    "maximum": np.maximum,
    "minimum": np.minimum,
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
    f = compiled(dtype, 3, lambda v, u, x, y: v.where_positive(u, x, y))
    np.testing.assert_array_equal(f(u, x, y), np.where(u > 0, x, y))
    for how, numpy in {"<": np.less, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal}.items():
        f = compiled(dtype, 3, lambda v, u, x, y, how=how: v.select(v.compare(how, u, x), x, y))
        np.testing.assert_array_equal(f(u, x, y), np.where(numpy(u, x), x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target_name", TARGETS)
def test_tails_of_any_length(dtype: Any, target_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target(target_name, monkeypatch)
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
