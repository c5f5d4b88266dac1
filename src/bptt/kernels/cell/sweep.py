"""A layer over its rows: the loops, their rows shared out over the threads, and the sums over time.

All arrays are given, by the names of :mod:`.interface`, and nothing but works is done with them, so that it
may be laid out as a program (:mod:`bptt.kernels.runtime.program`). Beside these names ``W`` and ``U`` are the
matrices as a layer has them, and ``dW``, ``dU``, ``db``, ``db_h`` are written where they are given: matrices
by their rows or by their columns, and biases added to what is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bptt.kernels.cell.compiled import Compiled, columns_of
from bptt.kernels.cell.rows import Rows
from bptt.kernels.llvm.jit import address
from bptt.kernels.ops.products import matmul
from bptt.kernels.ops.rows import zeros
from bptt.kernels.ops.sums import column_sums
from bptt.kernels.runtime import memory, pool
from bptt.layer import threads
from bptt.layer.columns import Columns
from bptt.types import Array

_OF_SEQUENCES = ("carry.", "dcarry.", "dstart.", "dunit.", "dq", "narrow", "still.", "dstill.")
"""Names of arrays that have a row for each sequence, not for each step of each."""


FEW = 6
"""Sequences: with fewer the products with W or Wᵀ are made for all steps at once; tiles want more rows."""


@dataclass(frozen=True)
class Sweep:
    """A cell's loops over some sequences."""

    compiled: Compiled
    rows: Rows
    N: int
    H: int
    D: int

    def forward(self, arrays: Mapping[str, Array]) -> None:
        """Run the forward, of ``x``, or of ``tokens`` and the ``table`` whose rows they choose."""
        given = dict(arrays)
        params = {name: given.pop(name) for name in self.compiled.matrices}
        tokens = "tokens" in given
        ahead = self._is_ahead and not tokens
        if ahead:
            for gates, own in self.columns.W.runs:
                self._multiply(given["x"], params["W"][:, own], given["a"][:, gates])
        given |= self.compiled.packed(params, params["W"].dtype, tokens=tokens or ahead, few=self.N < FEW)
        self._run("forward", given, ahead=ahead)

    def backward(self, arrays: Mapping[str, Array], *, to_states: bool = True) -> None:
        """Run the backward and, where they are given, the sums over time.

        Without `to_states` what the first step's da Uᵀ adds to ``dcarry`` is left out: nobody reads it.
        """
        given = dict(arrays)
        params = {name: given.pop(name) for name in self.compiled.matrices}
        names = (*(f"d{name}" for name in params), "db", "db_h")
        sums = {name: given.pop(name) for name in names if name in given}
        x = {str(name): given.pop(name) for name in ("x",) if name in given}
        dx, dtype = given.get("dx"), params["W"].dtype
        ahead, few = self._is_ahead, self.N < FEW
        given |= self.compiled.packed(params, dtype, tokens=ahead or dx is None, transposed=True, few=few)
        widths = [self.compiled.interface.cell.width(q, self.H) for q in self.compiled.interface.made]
        if widths:
            given["dq"] = memory.empty((self.N, max(widths)), dtype)
        given |= {
            f"d{name}": zeros(a.shape, dtype) for name, a in self.compiled.still(self.N, self.H).items()
        }
        self._run("backward", given, ahead=ahead, to_states=to_states)
        if ahead and dx is not None:
            for k, (gates, own) in enumerate(self.columns.W.runs):
                self._multiply(given["da"][:, gates], params["W"][:, own].T, dx, add=k > 0)
        self._sums(given | x, sums)

    @property
    def _is_ahead(self) -> bool:
        """Whether the input's products are made for all steps at once, as one step has too few rows."""
        host = self.compiled.interface.host
        return self.N < FEW or (self.compiled.interface.is_narrow and host.tiles)

    @property
    def columns(self) -> Columns:
        """Which columns of the pre-activations belong to W, and which to U."""
        return columns_of(self.compiled.interface, self.H)

    def _multiply(self, A: Array, B: Array, out: Array, *, add: bool = False) -> None:
        matmul(A, B, out, add=add, bfloat16=self.compiled.interface.is_narrow)

    def _sums(self, arrays: Mapping[str, Array], out: Mapping[str, Array]) -> None:
        """Write dU = Σ h_prevᵀ da (qᵀ da for U_q), dW = Σ xᵀ da, db = Σ da, as far as they are asked for."""
        columns, da = self.columns, arrays["da"]
        for p, operand in zip(columns.products, self.compiled.interface.operands, strict=True):
            if f"d{p.matrix}" in out:
                taken, to = arrays[self.compiled.interface.taken(operand)], out[f"d{p.matrix}"][:, p.own]
                for gates, own in p.part.runs:
                    self._multiply(taken.T, da[:, gates], to[:, own])
        if "dW" in out:
            for gates, own in columns.W.runs:
                self._multiply(arrays["x"].T, da[:, gates], out["dW"][:, own])
        for name, part in (("db", columns.W), ("db_h", columns.U)):
            if name in out:
                for gates, own in part.runs:
                    column_sums(da[:, gates], out[name][own])

    def _run(self, which: str, arrays: Mapping[str, Array], *, ahead: bool, to_states: bool = True) -> None:
        """Run the forward or the backward, its sequences shared out over the threads."""
        compiled, rows, places = self.compiled, self.rows, self.compiled.interface.fields[which].places
        given: dict[str, Array | int | None] = {"steps": rows.T, "H": self.H, "D": self.D, "R": rows.total}
        given |= {"ahead": int(ahead), "ends": int(not to_states)}
        given |= {"present": rows.present, "reset": rows.reset}
        given |= arrays
        given["narrow"] = compiled.narrow(self.N, self.H, self.D)
        given |= compiled.still(self.N, self.H)
        of_sequences = [
            (places[name], array.strides[0])
            for name, array in given.items()
            if name.startswith(_OF_SEQUENCES) and isinstance(array, np.ndarray) and name in places
        ]
        cuts = rows.cuts(threads.count())
        given["scratch"] = scratch = compiled.scratch(len(cuts), self.H)
        pieces, constants = compiled.words(which, given, len(cuts)), []
        for n, (piece, cut) in enumerate(zip(pieces, cuts, strict=True)):
            constants += [*(starts := rows.starts(cut))]
            piece[places["starts"]], piece[places["counts"]] = map(address, starts)
            if "n" in places:
                piece[places["n"]] = cut.stop - cut.start
            for k, stride in of_sequences:
                piece[k] += cut.start * stride
            if scratch is not None:
                piece[places["scratch"]] += n * scratch.strides[0]
        pool.run(compiled.works[which], pieces, *constants)
        del constants, given  # whose addresses were in use
