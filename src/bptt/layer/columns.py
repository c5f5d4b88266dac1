"""Which columns of the pre-activation belong to W, and which to U.

The pre-activation a (·, G·H) has a block of H columns for each gate. A product feeds some of the gates:
for most cells all of them, for a GRU not (see :mod:`bptt.cells.base`). `Part` adds a product to its
gates' columns and takes the gradient at them.
"""

from typing import NamedTuple

import numpy as np

from bptt.cells import Cell
from bptt.types import Array


class Part:
    """Some gates' columns of the pre-activation, in a product's order.

    Parameters
    ----------
    cell : Cell
    gates : tuple of str
        The gates that the product feeds, in the order of its own columns.
    H : int
    """

    def __init__(self, cell: Cell, gates: tuple[str, ...], H: int) -> None:
        self.width = len(gates) * H
        self.is_all = gates == cell.gates
        # neighbouring gates as one slice: (columns of a, columns of the product)
        self.runs: list[tuple[slice, slice]] = []
        for k, gate in enumerate(gates):
            at = cell.gates.index(gate) * H
            if self.runs and self.runs[-1][0].stop == at:
                columns, part = self.runs.pop()
                self.runs.append((slice(columns.start, at + H), slice(part.start, (k + 1) * H)))
            else:
                self.runs.append((slice(at, at + H), slice(k * H, (k + 1) * H)))

    def add(self, a: Array, product: Array) -> None:
        """Add a product (·, len(gates)·H) to its columns of `a` (·, G·H), in place."""
        if self.is_all:
            a += product
            return
        for columns, part in self.runs:
            a[..., columns] += product[..., part]

    def take(self, da: Array) -> Array:
        """Return the product's columns of `da`: a view where they are neighbours."""
        if self.is_all:
            return da
        if not self.runs:  # as U of a cell whose units are recurrent with themselves alone
            return da[..., :0]
        if len(self.runs) == 1:
            return da[..., self.runs[0][0]]
        return np.concatenate([da[..., columns] for columns, _ in self.runs], axis=-1)


class Columns(NamedTuple):
    """The columns fed by W, by h U, by q U, and by all of U."""

    W: Part
    h: Part
    q: Part
    U: Part

    @classmethod
    def of(cls, cell: Cell, H: int) -> "Columns":
        """Return the columns of a cell with H hidden units."""
        fed = (cell.from_x, cell.from_h, cell.from_q, cell.from_h + cell.from_q)
        return cls(*(Part(cell, gates, H) for gates in fed))
