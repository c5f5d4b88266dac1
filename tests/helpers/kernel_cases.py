"""Cells in kernels beside the reference loop, over drawn weights, flags, states and cotangents."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.layer.reference import rows
from bptt.layer.reference import unroll as reference
from bptt.layer.shapes import layer_shapes
from bptt.types import Array, Generator, Params
from machine_code import rounded

FLAGS = ("none", "holes", "ragged", "ragged and resets inside", "ragged and resets", "resets")


def weights(cell: Any, rng: Generator, D: int, H: int, dtype: str) -> Params:
    shapes = layer_shapes(cell, D, H, "two")
    return {name: (rng.normal(size=n) / np.sqrt(max(n[0], 1))).astype(dtype) for name, n in shapes.items()}


def flags(kind: str, rng: Generator, T: int, N: int) -> dict[str, Array | None]:
    mask: Array | None = None
    if kind == "holes":
        mask = rng.random((T, N)) < 0.7
    if kind.startswith("ragged"):
        mask = np.arange(T)[:, None] < rng.integers(0, T + 1, size=N)
    reset = rng.random((T, N)) < 0.3 if "resets" in kind else None
    if kind.endswith("inside") and reset is not None and mask is not None:
        reset &= mask
    return {"mask": mask, "reset": reset}


def difference(these: Any, those: Any) -> float:
    """Return the largest difference, relative to the largest of what is compared (at least 1)."""
    assert these.shape == those.shape
    assert these.dtype == those.dtype
    if not these.size:
        return 0.0
    return float(np.abs(these - those).max() / max(1.0, np.abs(those).max()))


def compare(cell: Any, rng: Generator, dtype: str, T: int, N: int, H: int, kind: str, tokens: bool) -> float:
    """Return the largest difference from the reference; for bfloat16, from one in float64 that rounds."""
    D, is_narrow = H if "x" in cell.inputs else 6, dtype == "bfloat16"
    dtype = "float32" if is_narrow else dtype
    params = weights(cell, rng, D, H, dtype)
    x = rng.integers(D, size=(T, N)) if tokens else rng.normal(size=(T, N, D)).astype(dtype)
    # a normaliser is not negative
    widths = [cell.width(s, H) for s in cell.states]
    states = tuple(np.abs(rng.normal(size=(N, w))).astype(dtype) for w in widths)
    dy = rng.normal(size=(T, N, widths[0])).astype(dtype)
    dstates = tuple(rng.normal(size=(N, w)).astype(dtype) for w in widths)
    given = {name: cell.width(name, H) for name in cell.inputs if name != "x"}
    params |= {name: rng.normal(size=(T, N, w)).astype(dtype) for name, w in given.items()}
    how: dict[str, Any] = {**flags(kind, rng, T, N), "reverse": bool(rng.integers(2))}
    fast = bptt.unroll(
        cell, params, x, states, backend="cpu", precision="bfloat16" if is_narrow else "float32", **how
    )
    if is_narrow:
        own, x, states, dy, dstates = map(exact, (params, x, states, dy, dstates))
        own |= {name: array.view(Rounding) for name, array in own.items() if name.startswith("U")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bptt.layer.reference.rows", lambda a: rows(a).view(Rounding))
            right = reference(cell, own, x, states, **how)
            wanted = right.backward(dy, dstates)
    else:
        right = reference(cell, params, x, states, **how)
        wanted = right.backward(dy, dstates)
    pairs: list[tuple[Array, Array]] = [(fast.y, right.y), *zip(fast.states, right.states, strict=True)]
    for overwrite in (False, False, True):  # what is kept is kept for a second backward too
        got = fast.backward(dy, dstates, overwrite=overwrite)
        assert got.params.keys() == wanted.params.keys()
        pairs += [(got.params[name], wanted.params[name]) for name in wanted.params]
        pairs += zip(got.states, wanted.states, strict=True)
        assert (got.inputs is None) == tokens
        if got.inputs is not None and wanted.inputs is not None:
            pairs.append((got.inputs, wanted.inputs))
    with pytest.raises(bptt.ConfigError, match="used up"):
        fast.backward(dy, dstates)
    # by NumPy, to which what is no number is the largest
    return float(np.max([difference(exact(a) if is_narrow else a, b) for a, b in pairs]))


class Rounding(np.ndarray):
    """Numbers that a product rounds to bfloat16, as it does those that they are multiplied by."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **how: Any) -> Any:
        plain = [np.asarray(a) if isinstance(a, np.ndarray) else a for a in inputs]
        if ufunc is np.matmul:
            plain = [rounded(a).astype(np.float64) for a in plain]
        return getattr(ufunc, method)(*plain, **how)


def exact(arrays: Any) -> Any:
    """Return arrays of numbers in float64."""
    if isinstance(arrays, dict):
        return {name: exact(array) for name, array in arrays.items()}
    if isinstance(arrays, tuple):
        return tuple(map(exact, arrays))
    return arrays if arrays.dtype.kind == "i" else arrays.astype(np.float64)
