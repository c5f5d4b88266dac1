"""For tests of machine code: the kinds of processor, a folder for compiled code, one function on vectors."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from llvmlite import ir

from bptt.errors import ConfigError
from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import Host, host
from bptt.kernels.llvm.vector import Vector
from bptt.types import Array, Dtype

TARGETS = ["", "avx512", "avx2", "baseline"]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled code away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTT_CACHE", str(tmp_path_factory.mktemp("kernels")))
        yield


def narrow(name: str, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Make code for one kind of processor; skip where this one is not of it."""
    monkeypatch.setenv("BPTT_TARGET", name)
    try:
        return host()
    except ConfigError:
        pytest.skip(f"not an {name} processor")


def load(module: ir.Module | str) -> jit.Library:
    """Return a module's machine code."""
    text = str(module)
    return jit.build(lambda: text, text)


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
    function = load(module).function("f", ctypes.c_int64, *[ctypes.c_void_p] * (inputs + 1))

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


def rounded(x: Array) -> Array:
    """Return float32 rounded to bfloat16, to the nearest and to even."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
