"""A cell's loops as machine code, and the arrays that they read and write by the names of its fields."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from bptt.kernels.cell.interface import Interface
from bptt.kernels.llvm.jit import Library, address
from bptt.kernels.ops import rows
from bptt.kernels.ops.products import parts_of, readable
from bptt.kernels.runtime import memory
from bptt.kernels.runtime.pool import Work
from bptt.layer.columns import Columns
from bptt.types import Array, Params


@dataclass(frozen=True, eq=False)
class Compiled:
    """A cell's loops, as machine code too."""

    interface: Interface
    library: Library

    @cached_property
    def works(self) -> dict[str, Work]:
        """``forward`` and ``backward``."""
        return {name: Work.of(self.library, name) for name in self.interface.fields}

    @cached_property
    def extra(self) -> int:
        """How many arrays ``slots`` has."""
        return int(self.library.function("extra", returns=ctypes.c_int64)())

    def words(self, which: str, given: Mapping[str, Array | int | None], pieces: int = 1) -> Array:
        """Return the words of pieces, all alike: addresses of arrays without gaps, and sizes."""
        words = {}
        for name, value in given.items():
            if isinstance(value, int):
                words[name] = value
            elif value is not None:
                assert value.flags.c_contiguous, name
                words[name] = address(value)
        return self.interface.fields[which].words(words, pieces)

    def shapes(self, total: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of what the forward writes and the backward reads, a row for each step."""
        k = self.interface
        names = [f"prev.{s}" for s in k.cell.states] + ["q"] * bool(k.cell.from_q)
        return {"a": (total, k.G * H), "slots": (self.extra, total, H)} | dict.fromkeys(names, (total, H))

    def room(self, total: int, H: int, dtype: np.dtype[Any]) -> dict[str, Array]:
        """Return arrays for what the forward writes, the outputs too."""
        shapes = self.shapes(total, H) | {"y": (total, H)}
        return {name: memory.empty(shape, dtype) for name, shape in shapes.items()}

    def narrow(self, N: int, H: int, D: int) -> Array | None:
        """Return room for the rows of any of the loops' products, rounded; None where they are not."""
        if not self.interface.is_narrow:
            return None
        fed = [gates for runs in self.interface.products.values() for gates, _ in runs]
        widest = max((gates.stop - gates.start for gates in fed), default=1)
        return memory.empty((N, (max(widest * H, D) + 1) // 2), self.interface.dtype)

    def weights(self, params: Params, dtype: np.dtype[Any], *, tokens: bool) -> dict[str, Array]:
        """Return what the forward reads of the parameters; where tokens choose rows of W, it is a table."""
        found = self.small(params, dtype) | self.packed(params, dtype, tokens=tokens)
        if tokens:
            found["table"] = self.table(params["W"].astype(dtype, copy=False), len(params["U"]))
        return found

    def table(self, W: Array, H: int) -> Array:
        """Return W with its columns in the places of the gates that it feeds, (V, G·H)."""
        k = self.interface
        if len(k.cell.from_x) == k.G:
            return np.ascontiguousarray(W)
        wide = rows.zeros((len(W), k.G * H), W.dtype)
        for gates, own in columns_of(k, H).W.runs:
            rows.copy(W[:, own], wide[:, gates])
        return wide

    def small(self, params: Params, dtype: np.dtype[Any]) -> dict[str, Array]:
        """Return what the forward reads of the parameters that are no matrices."""
        H, scalars, found = len(params["U"]), self.interface.cell.scalars, {}
        for p in self.interface.learnt:
            own = np.ascontiguousarray(params[p], dtype)
            found[f"unit.{p}"] = rows.copy(np.broadcast_to(own, (H,))) if p in scalars else own
        return {"bias": self.bias(params, H, dtype)} | found

    def starts(self, params: Params, H: int, dtype: np.dtype[Any]) -> dict[str, Array]:
        """Return where states start that do not start at zero, (H,), by the names of parameters."""
        found = {}
        for s in self.interface.cell.states:
            if (name := f"start.{s}") in params:
                found[name] = np.ascontiguousarray(params[name], dtype)
            elif number := self.interface.cell.starts.get(s):
                found[name] = rows.filled((H,), number, dtype)
        return found

    def bias(self, params: Params, H: int, dtype: np.dtype[Any]) -> Array:
        """Return the sum of both biases, as far as they are there, at each gate, (G·H,)."""
        bias, columns = rows.zeros(self.interface.G * H, dtype), columns_of(self.interface, H)
        for name, part in (("b", columns.W), ("b_h", columns.U)):
            if name in params:
                given = params[name].astype(dtype, copy=False)
                for gates, own in part.runs:
                    rows.add(bias[gates], given[own], bias[gates])
        return bias

    def packed(
        self, params: Params, dtype: np.dtype[Any], *, tokens: bool, transposed: bool = False
    ) -> dict[str, Array]:
        """Return the columns of U, and of W but for tokens, for each run of gates by the kernel's names.

        The forward's; or transposed, the backward's.
        """
        k, W, U = self.interface, params["W"], params["U"]
        columns = columns_of(k, len(U))
        U_h, U_q = U[:, : columns.h.width], U[:, columns.h.width :]
        products = (("W", W, columns.W), ("U", U_h, columns.h), ("Uq", U_q, columns.q))
        parts = parts_of("bfloat16" if k.is_narrow else dtype.char, k.host)
        found = {}
        for name, whole, part in products[1 if tokens else 0 :]:
            for i, (_, own) in enumerate(part.runs):
                B = readable(whole[:, own].astype(dtype, copy=False))
                found[f"{name}.{i}"] = parts.packed(B.T if transposed else B)
        return found


@cache
def columns_of(interface: Interface, H: int) -> Columns:
    """Return which columns of the pre-activations belong to W, and which to U."""
    return Columns.of(interface.cell, H)
