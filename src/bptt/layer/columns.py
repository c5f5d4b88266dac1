"""Which columns of the pre-activation belong to W, and which to U.

The pre-activation a (·, G·H) has a block of columns for each gate, of H where a gate has one number for each
unit. A product feeds some of the gates: for most cells all of them, for a GRU not (see
:mod:`bptt.cells.base`). `Part` adds a product to its gates' columns and takes the gradient at them.
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
        self.gates, self.width = gates, 0
        self.is_all = gates == cell.gates
        # neighbouring gates as one slice: (columns of a, columns of the product)
        self.runs: list[tuple[slice, slice]] = []
        columns = cell.columns(H)
        for gate in gates:
            at, start = columns[gate], self.width
            self.width += at.stop - at.start
            if self.runs and self.runs[-1][0].stop == at.start:
                before, part = self.runs.pop()
                self.runs.append((slice(before.start, at.stop), slice(part.start, self.width)))
            else:
                self.runs.append((at, slice(start, self.width)))

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


class Product(NamedTuple):
    """An operand's product: the matrix, its columns for this operand, and which gates they feed."""

    operand: str
    matrix: str
    own: slice
    part: Part


class Columns(NamedTuple):
    """The columns fed by W, by each operand's product (the output's first), and by all of these."""

    W: Part
    products: tuple[Product, ...]
    U: Part

    @classmethod
    def of(cls, cell: Cell, H: int) -> "Columns":
        """Return the columns of a cell with H hidden units."""
        products: list[Product] = []
        ends: dict[str, int] = {}
        for operand, gates in (("", cell.from_h), *cell.operands):
            part, matrix = Part(cell, gates, H), cell.matrix(operand) if operand else "U"
            start = ends.get(matrix, 0)
            ends[matrix] = start + part.width
            products.append(Product(operand, matrix, slice(start, ends[matrix]), part))
        return cls(Part(cell, cell.from_x, H), tuple(products), Part(cell, cell.from_h + cell.from_q, H))
