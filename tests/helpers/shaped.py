"""A layer of each of the cells of `shaped_cells`, drawn."""

import numpy as np

from bptt.derive import EquationCell
from bptt.layer.shapes import layer_shapes
from bptt.types import Array
from shaped_cells import CELLS as CELLS
from shaped_cells import mlstm as mlstm
from shaped_cells import norm as norm
from shaped_cells import projected as projected

T, N, H = 4, 2, 4


def drawn(cell: EquationCell) -> tuple[dict[str, Array], Array, tuple[Array, ...]]:
    rng = np.random.default_rng(0)
    D = H if "x" in cell.inputs else 3
    shapes = layer_shapes(cell, D, H, "two")
    params = {name: 0.7 * rng.normal(size=shape) for name, shape in shapes.items()}
    params |= {n: rng.normal(size=(T, N, cell.width(n, H))) for n in cell.given if n != "x"}
    states = tuple(rng.normal(size=(N, cell.width(s, H))) for s in cell.states)
    return params, rng.normal(size=(T, N, D)), states
