"""Lines of values with axes as nests of loops: equal to NumPy, whatever is summed over what."""

import ctypes
from dataclasses import replace
from functools import reduce
from operator import mul
from typing import Any

import numpy as np
import pytest
import sympy
from llvmlite import ir
from sympy import Symbol

from bptt.derive.algebra import function
from bptt.derive.axes import Axes
from bptt.derive.backward import Line
from bptt.kernels.llvm import jit, nests
from bptt.kernels.llvm.host import Host
from bptt.kernels.llvm.loops import i64, pointer
from bptt.kernels.llvm.stages import ORDER, Stages, Write, stages
from bptt.kernels.llvm.vector import Vector
from bptt.types import Generator
from machine_code import TARGETS, narrow
from machine_code import cache as cache
from sampling import count as so_many

AXES = [Axes(), *(Axes(s.split()) for s in ("head", "head unit", "head key", "head unit key"))]


def over(how: str, e: Any) -> Any:
    """Return a function over an axis."""
    return type(how, (sympy.Function,), {"nargs": 1})(e)


def drawn(rng: Generator, names: dict[str, Axes], count: int) -> list[Line]:
    """Return random lines of names: arithmetic, functions, and what goes over axes, nested too."""
    known, lines = list(names), list[Line]()

    def some(depth: int) -> Any:
        kind = rng.integers(9) if depth else 0
        if kind < 2:
            return Symbol(known[rng.integers(len(known))])
        if kind == 2:
            return function("tanh")(some(depth - 1))
        if kind in (3, 4, 5):
            how = ("sum", "sum", "sum", "max", "cumsum", "backsum")[rng.integers(6)]
            axis = ORDER[rng.integers(3)] if how == "sum" else ORDER[rng.integers(1, 3)]
            e = some(depth - 1)
            if how in ("cumsum", "backsum"):
                e = sympy.Mul(e, Symbol(f"ones_{axis}"))
            return over(f"{how}_{axis}", function("tanh")(e) if how != "sum" else e)
        parts = [some(depth - 1) for _ in range(2)]
        if kind == 6:
            return sympy.Add(parts[0], -parts[1] * Symbol("half"))
        return sympy.Mul(*parts) / (2 if rng.integers(2) else Symbol("size_unit"))

    for k in range(count):
        lines.append(Line(f"v{k}", some(4), ()))
        known.append(f"v{k}")
    return lines


def in_numpy(e: Any, values: dict[str, Any]) -> Any:
    """Return an expression's value, an array of as many axes as there are."""
    if e.is_Symbol:
        return values[e.name]
    if not e.args:
        return float(e)
    args = [in_numpy(a, values) for a in e.args]
    how, _, axis = type(e).__name__.partition("_")
    if axis:
        place = ORDER.index(axis)
        (a,) = args
        if how in ("sum", "max"):
            size = values[f"size_{axis}"] if how == "sum" and a.shape[place] == 1 else 1
            return size * getattr(np, how)(a, place, keepdims=True)
        return (
            np.flip(np.cumsum(np.flip(a, place), place), place) if how == "backsum" else np.cumsum(a, place)
        )
    if e.is_Add:
        return sum(args)
    if e.is_Mul:
        return reduce(mul, args)
    return args[0] ** args[1] if e.is_Pow else np.tanh(args[0])


def compiled(
    found: Stages, axes: dict[str, Axes], names: list[str], dtype: str, keys: int | None, target: Host
) -> Any:
    """Return the function of the heads, the units, and the addresses of all names."""
    module = ir.Module()
    f = ir.Function(module, ir.FunctionType(ir.VoidType(), [i64, i64, i64, pointer]), "f")
    b = ir.IRBuilder(f.append_basic_block("entry"))
    sizes = dict(zip(ORDER, (*f.args[:2], f.args[2] if keys is None else i64(keys)), strict=True))
    words = [b.load(b.gep(f.args[3], [i64(k)], source_etype=i64), typ=i64) for k in range(len(names))]
    places = {name: b.inttoptr(word, pointer) for name, word in zip(names, words, strict=True)}
    nests.emit(Vector(b, dtype, target), found, axes, {"half": 0.5}, sizes, places)
    b.ret_void()
    text = str(module)
    library = jit.build(lambda: text, text)
    return library.function("f", *[ctypes.c_int64] * 3, ctypes.c_void_p)


def size(axes: Axes, sizes: dict[str, int]) -> int:
    return int(np.prod([sizes[a] for a in axes], dtype=int))


def compare(
    rng: Generator, dtype: str, sizes: dict[str, int], lines: int, target: Host, *, constant: bool
) -> float:
    """Return the largest difference of all lines of a random program from NumPy."""
    names = {f"x{k}": axes for k, axes in enumerate(AXES)}
    program = drawn(rng, names, lines)
    shape = {n: tuple(sizes[a] if a in axes else 1 for a in ORDER) for n, axes in names.items()}
    values: dict[str, Any] = {n: rng.normal(size=shape[n]) for n in names}
    values |= {f"size_{a}": sizes[a] for a in ORDER} | {"half": 0.5}
    for k, a in enumerate(ORDER):
        values[f"ones_{a}"] = np.ones([sizes[a] if j == k else 1 for j in range(3)])
    arrays = {n: values[n].ravel().astype(dtype) for n in names}
    for line in program:
        values[line.name] = np.asarray(in_numpy(line.expr, values))
    whole = Axes(ORDER)
    writes: list[Write] = []
    for k, line in enumerate(program):  # some to where something lies that others read, some added
        axes = Axes(a for a in ORDER if np.shape(values[line.name])[ORDER.index(a)] > 1 or sizes[a] == 1)
        axes = whole if k == 0 else axes
        writes.append(Write(Symbol(line.name), f"to{k}", axes, k % 3 == 1))
        arrays[f"to{k}"] = rng.normal(size=size(axes, sizes)).astype(dtype)
    writes.append(Write(Symbol("x3"), "x4", AXES[4], ends=("x4",)))
    writes.append(Write(Symbol("x1"), "x3", AXES[3], ends=("x3",)))
    before = {n: a.copy() for n, a in arrays.items()}
    found = stages(program, names, ("half",), writes)
    arrays |= {n: np.full(size(axes, sizes) + 1, np.nan, dtype) for n, axes in found.scratch.items()}
    f = compiled(found, names, list(arrays), dtype, sizes["key"] if constant else None, target)
    at = np.array([jit.address(a) for a in arrays.values()])
    f(*sizes.values(), jit.address(at))
    worst = 0.0
    for w in writes:
        right: Any = np.broadcast_to(values[str(w.value)], [sizes[a] if a in w.axes else 1 for a in ORDER])
        right = right.ravel() + before[w.place].astype(np.float64) if w.add else right.ravel()
        worst = max(worst, float(np.abs(arrays[w.place] - right).max() / max(1.0, np.abs(right).max())))
    return worst


@pytest.mark.parametrize("target_name", [*TARGETS, "as wide as AVX-512"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_random_programs_equal_numpy(dtype: str, target_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = narrow("" if target_name not in TARGETS else target_name, monkeypatch)
    if target_name not in TARGETS:  # LLVM takes such vectors apart where there are none
        target = replace(target, bits=512, registers=32, avx512=False)
    for seed in range(so_many(2, 4)):
        rng = np.random.default_rng([seed, *map(ord, target_name + dtype)])
        many = (int(n) for n in (rng.integers(1, 4), *rng.integers(1, 40, size=2)))
        sizes = dict(zip(ORDER, many, strict=True))
        worst = compare(rng, dtype, sizes, 6, target, constant=bool(seed % 2))
        assert worst < (1e-11 if dtype == "float64" else 2e-4), (seed, sizes)
