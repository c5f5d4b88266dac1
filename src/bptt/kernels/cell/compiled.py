"""A cell's loops as machine code, and the arrays that they read and write by the names of its fields."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from bptt.kernels.cell.interface import Interface, kinds
from bptt.kernels.llvm.jit import Library, address
from bptt.kernels.llvm.tiles import gemm_for
from bptt.kernels.ops import rows
from bptt.kernels.ops.products import parts_of, readable
from bptt.kernels.runtime import memory
from bptt.kernels.runtime.pool import Work
from bptt.layer.columns import Columns
from bptt.types import Array, Params


# a cached_property of Python 3.11 has a lock, which stays closed in a process that is copied meanwhile
@cache
def _works(library: Library, *names: str) -> dict[str, Work]:
    return {name: Work.of(library, name) for name in names}


@cache
def _counts(library: Library, name: str) -> tuple[int, ...]:
    function = library.function(name, ctypes.c_int64, returns=ctypes.c_int64)
    return tuple(function(k) for k in range(len(kinds())))


@dataclass(frozen=True, eq=False)
class Compiled:
    """A cell's loops, as machine code too."""

    interface: Interface
    library: Library

    @property
    def works(self) -> dict[str, Work]:
        """``forward`` and ``backward``."""
        return _works(self.library, *self.interface.fields)

    @cached_property
    def matrices(self) -> tuple[str, ...]:
        """The names of the matrices, W first."""
        cell = self.interface.cell
        return tuple(dict.fromkeys(("W", "U", *(cell.matrix(q) for q, _ in cell.operands))))

    @property
    def extra(self) -> tuple[int, ...]:
        """How many values with each set of axes are in ``slots``."""
        return _counts(self.library, "extra")

    def words(self, which: str, given: Mapping[str, Array | int | None], pieces: int = 1) -> Array:
        """Return the words of pieces, all alike: addresses of arrays without gaps, and sizes."""
        words = {}
        for name, value in given.items():
            if isinstance(value, int):
                words[name] = value
            elif value is not None:
                assert value.flags.c_contiguous or f"{name} row" in given, name
                words[name] = address(value)
        return self.interface.fields[which].words(words, pieces)

    def shapes(self, total: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of what the forward writes and the backward reads, a row for each step."""
        k = self.interface
        extra = sum(n * k.size(axes, H) for n, axes in zip(self.extra, kinds(), strict=True))
        shapes: dict[str, tuple[int, ...]] = {"a": (total, k.total(H)), "slots": (extra * total,)}
        shapes |= {f"prev.{s}": (total, k.cell.width(s, H)) for s in k.cell.states}
        return shapes | {f"q.{q}": (total, k.cell.width(q, H)) for q in k.made}

    def room(self, total: int, H: int, dtype: np.dtype[Any]) -> dict[str, Array]:
        """Return arrays for what the forward writes, the outputs too."""
        shapes = self.shapes(total, H) | {
            "y": (total, self.interface.cell.width(self.interface.operands[0], H))
        }
        return {name: memory.empty(shape, dtype) for name, shape in shapes.items()}

    def scratch(self, pieces: int, H: int) -> Array | None:
        """Return room for what each of some pieces keeps of a row between loops over axes, if they do."""
        k, counts = self.interface, zip(_counts(self.library, "scratch"), kinds(), strict=True)
        numbers = sum(n * (k.size(axes, H) + LANES) for n, axes in counts if n)
        return memory.empty((pieces, numbers), np.dtype(k.dtype)) if numbers else None

    def still(self, N: int, H: int) -> dict[str, Array]:
        """Return room for what is computed once, for each of N sequences: whoever runs some has the first."""
        k = self.interface
        widths = {v: k.size(k.axes[v], H) for v in k.parts.made}
        return {f"still.{v}": memory.empty((N, width), np.dtype(k.dtype)) for v, width in widths.items()}

    def narrow(self, N: int, H: int, D: int) -> Array | None:
        """Return room for the rows of any of the loops' products, rounded; None where they are not."""
        k = self.interface
        if not k.is_narrow:
            return None
        columns = columns_of(k, H)
        parts = (columns.W, *(p.part for p in columns.products))
        fed = (at.stop - at.start for part in parts for at, _ in part.runs)
        widest = max(D, *(k.cell.width(q, H) for q in k.operands), *fed)
        gemm = gemm_for("bfloat16", k.host)
        return memory.empty((N + gemm.beyond, gemm.depth(widest)), k.dtype)

    def weights(self, params: Params, dtype: np.dtype[Any], *, tokens: bool) -> dict[str, Array]:
        """Return what the forward reads of the parameters; where tokens choose rows of W, it is a table."""
        found = self.small(params, dtype) | self.packed(params, dtype, tokens=tokens)
        if tokens:
            H = self.interface.cell.hidden(params)
            found["table"] = self.table(params["W"].astype(dtype, copy=False), H)
        return found

    def table(self, W: Array, H: int) -> Array:
        """Return W with its columns in the places of the gates that it feeds, (V, G)."""
        k, columns = self.interface, columns_of(self.interface, H).W
        if columns.width == k.total(H):
            return np.ascontiguousarray(W)
        wide = rows.zeros((len(W), k.total(H)), W.dtype)
        for gates, own in columns.runs:
            rows.copy(W[:, own], wide[:, gates])
        return wide

    def small(self, params: Params, dtype: np.dtype[Any]) -> dict[str, Array]:
        """Return what the forward reads of the parameters that are no matrices."""
        cell, found = self.interface.cell, {}
        H = cell.hidden(params)
        for p in self.interface.learnt:
            own = np.ascontiguousarray(params[p], dtype)
            width = cell.width(p, H)
            found[f"unit.{p}"] = own if len(own) == width else rows.copy(np.broadcast_to(own, (width,)))
        return {"bias": self.bias(params, H, dtype)} | found

    def starts(self, params: Params, H: int, dtype: np.dtype[Any]) -> dict[str, Array]:
        """Return where states start that do not start at zero, (H,), by the names of parameters."""
        found = {}
        for s in self.interface.cell.states:
            if (name := f"start.{s}") in params:
                found[name] = np.ascontiguousarray(params[name], dtype)
            elif number := self.interface.cell.starts.get(s):
                found[name] = rows.filled((self.interface.cell.width(s, H),), number, dtype)
        return found

    def bias(self, params: Params, H: int, dtype: np.dtype[Any]) -> Array:
        """Return the sum of both biases, as far as they are there, at each gate, (G,)."""
        bias, columns = rows.zeros(self.interface.total(H), dtype), columns_of(self.interface, H)
        for name, part in (("b", columns.W), ("b_h", columns.U)):
            if name in params:
                given = params[name].astype(dtype, copy=False)
                for gates, own in part.runs:
                    rows.add(bias[gates], given[own], bias[gates])
        return bias

    def packed(
        self,
        params: Params,
        dtype: np.dtype[Any],
        *,
        tokens: bool,
        transposed: bool = False,
        few: bool = False,
    ) -> dict[str, Any]:
        """Return the columns of U, and of W but for tokens, for each run of gates by the kernel's names.

        The forward's; or transposed, the backward's. A matrix that lies as it is read, by `few` rows, and its
        row stride, in place of its panels.
        """
        k = self.interface
        columns = columns_of(k, k.cell.hidden(params))
        products = [("W", params["W"], columns.W)]
        products += [(f"U{i}", params[p.matrix][:, p.own], p.part) for i, p in enumerate(columns.products)]
        parts = parts_of("bfloat16" if k.is_narrow else dtype.char, k.host)
        found: dict[str, Any] = {}
        for name, whole, part in products[1 if tokens else 0 :]:
            for i, (_, own) in enumerate(part.runs):
                B = readable(whole[:, own].astype(dtype, copy=False))
                B = B.T if transposed else B
                if few and parts.lies(B):
                    found |= {f"{name}.{i}": B, f"{name}.{i} row": B.strides[0] // B.itemsize}
                else:
                    found[f"{name}.{i}"] = parts.packed(B)
        return found


@cache
def columns_of(interface: Interface, H: int) -> Columns:
    """Return which columns of the pre-activations belong to W, and which to U."""
    return Columns.of(interface.cell, H)


LANES = 16
"""The most numbers of a vector."""
