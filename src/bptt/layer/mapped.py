"""A layer's matrices made of the raw arrays of its cell's maps, and gradients at them taken back.

::

    (1)  U = forward(raw)          once before the loop, for each block that has a map
    (2)  draw = pullback(raw, dU)  once after the sums over time; of a matrix that serves twice, of both dU

A layer's parameters are then ``W`` and ``U`` with the columns that have no map, and ``U.a_h.M`` and so on:
the block, and the map's own name for the array.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import ConfigError, ShapeError
from bptt.layer.columns import Columns
from bptt.layer.threads import one_blas_thread
from bptt.maps import Equation, Map, prove
from bptt.shown import Shown
from bptt.types import Array, Generator, Gradients, Params, Shapes


class Block(NamedTuple):
    """Where a map's matrix stands: its columns in W or U."""

    matrix: str
    rows: int
    columns: slice

    @property
    def sizes(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.rows, self.columns.stop - self.columns.start


def blocks(cell: Cell, D: int, H: int) -> dict[str, Block]:
    """Return every block that can have a map: matrices, and each gate's by ``W.`` or ``U.`` and its name."""
    columns, found = Columns.of(cell, H), dict[str, Block]()
    parts = [("W", "W", D, 0, columns.W.gates)]
    for operand, matrix, own, part in columns.products:
        parts.append(("U", matrix, cell.width(operand or cell.states[0], H), own.start, part.gates))
    for kind, matrix, rows, end, gates in parts:
        for gate in gates:
            start, end = end, end + cell.width(gate, H)
            found[f"{kind}.{gate}"] = Block(matrix, rows, slice(start, end))
        found[matrix] = Block(matrix, rows, slice(0, end))
    return found


def matrices(cell: Cell) -> tuple[str, ...]:
    """Return the names of a layer's matrices."""
    return tuple(dict.fromkeys(("W", "U", *(cell.matrix(q) for q, _ in cell.operands))))


def _mapped(cell: Cell, D: int, H: int) -> Iterator[tuple[str, Map | str, Block]]:
    """Yield each map or what serves in its place, by its name, with its block."""
    known = blocks(cell, D, H)
    for name, made in cell.maps.items():
        yield name, made, known[gate_of(name)]


def gate_of(name: str) -> str:
    """Return a block's name by the gate's own: a_h is the gate h."""
    matrix, dot, gate = name.partition(".")
    return f"{matrix}{dot}{gate.removeprefix('a_')}"


def raw_shapes(cell: Cell, D: int, H: int, whole: Shapes) -> Shapes:
    """Return a layer's shapes, from those of the matrices as they are used."""
    left, found = dict(whole), Shapes()
    for name, made, block in _mapped(cell, D, H):
        rows, columns = left[block.matrix]
        left[block.matrix] = rows, columns - block.sizes[1]
        if isinstance(made, Map):
            _prove(made, *block.sizes)
            found |= {f"{name}.{raw}": shape for raw, shape in made.shapes(*block.sizes).items()}
        elif (other := blocks(cell, D, H)[gate_of(made)]).sizes != block.sizes:
            raise ConfigError(
                f"{cell.name}: {name} is {block.sizes}, and cannot be the matrix of {made}, {other.sizes}"
            )
    return {name: left.pop(name) for name in matrices(cell)} | found | left


def start(cell: Cell, rng: Generator, params: Params, H: int) -> Params:
    """Return where a layer's W, U and raw arrays start, from W and U as they are drawn without maps."""
    D = len(params["W"])
    found = {matrix: params[matrix][:, _unmapped(cell, D, H, matrix)] for matrix in matrices(cell)}
    for name, each, block in _mapped(cell, D, H):
        if isinstance(each, Map):
            _prove(each, *block.sizes)
            drawn = each.start(rng, *block.sizes)
            as_drawn = params[block.matrix][:, block.columns]
            found |= {f"{name}.{n}": drawn.get(n, as_drawn) for n in each.shapes(*block.sizes)}
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def made(cell: Cell, params: Params) -> Params:
    """Return a layer's parameters with W and U as the loops use them (1).

    Raises
    ------
    ShapeError
        If an array is missing or does not fit the others.
    """
    D, H = _sizes(cell, params)
    whole, found = blocks(cell, D, H), dict(params)
    for matrix in {block.matrix: "" for _, _, block in _mapped(cell, D, H)}:
        own = params[matrix]
        found[matrix] = np.empty(whole[matrix].sizes, own.dtype)
        found[matrix][:, _unmapped(cell, D, H, matrix)] = own
    with one_blas_thread(), np.errstate(all="ignore"):
        for name, each, block in _mapped(cell, D, H):
            if isinstance(each, Map):
                raw = _raw(name, each, params, block)
                for array in raw:
                    del found[f"{name}.{array}"]
                _prove(each, *block.sizes)
                found[block.matrix][:, block.columns] = each.forward(raw, *block.sizes)
    for _, each, block in _mapped(cell, D, H):
        if isinstance(each, str):
            other = whole[gate_of(each)]
            found[block.matrix][:, block.columns] = found[other.matrix][:, other.columns]
    return found


def pulled_back(cell: Cell, params: Params, grads: Params) -> Params:
    """Return the gradients at a layer's parameters from those at what `made` returned (2)."""
    D, H = len(params["W"]), cell.hidden(params)
    whole, found = blocks(cell, D, H), dict(grads)
    for matrix in {block.matrix: "" for _, _, block in _mapped(cell, D, H)}:
        found[matrix] = grads[matrix].copy()
    for _, each, block in _mapped(cell, D, H):
        if isinstance(each, str):
            other = whole[gate_of(each)]
            found[other.matrix][:, other.columns] += found[block.matrix][:, block.columns]
    with one_blas_thread(), np.errstate(all="ignore"):
        for name, each, block in _mapped(cell, D, H):
            if isinstance(each, Map):
                raw, d = _raw(name, each, params, block), found[block.matrix][:, block.columns]
                back = each.pullback(raw, np.ascontiguousarray(d))
                found |= {f"{name}.{n}": np.asarray(back[n], d.dtype) for n in raw}
    for matrix in matrices(cell):
        found[matrix] = np.ascontiguousarray(found[matrix][:, _unmapped(cell, D, H, matrix)])
    # in the parameters' order, and then what has a gradient beside them
    return {name: found[name] for name in params if name in found} | found


def _sizes(cell: Cell, params: Params) -> tuple[int, int]:
    """Return D and H of arrays that are all there."""
    for name in matrices(cell):
        if name not in params or params[name].ndim != 2:
            raise ShapeError(
                f"{cell.name}: params must hold {name}, the columns that have no map, (·, 0) where there are "
                f"none; got {', '.join(params)}"
            )
    D, H = len(params["W"]), cell.hidden(params)
    plain = {name: block.sizes for name, block in blocks(cell, D, H).items() if "." not in name}
    for name, shape in raw_shapes(cell, D, H, dict(plain)).items():
        got = params[name].shape if name in params else "nothing"
        if got != shape:
            raise ShapeError(f"{cell.name}: {name} must be {shape}, got {got}")
    return D, H


def _raw(name: str, each: Map, params: Params, block: Block) -> Params:
    return {raw: params[f"{name}.{raw}"] for raw in each.shapes(*block.sizes)}


def _unmapped(cell: Cell, D: int, H: int, matrix: str) -> Array:
    """Return which columns of a matrix are learnt as they are."""
    left = np.ones(blocks(cell, D, H)[matrix].sizes[1], bool)
    for _, _, block in _mapped(cell, D, H):
        if block.matrix == matrix:
            left[block.columns] = False
    return left


SMALL = 12
"""Rows of a matrix at which an equation is proven where it can be: it is the same at all sizes."""


@lru_cache(512)
def _prove(each: Map, rows: int, columns: int) -> None:
    if isinstance(each, Equation) and min(rows, columns) > SMALL:
        small = (SMALL, SMALL if rows == columns else 2 * SMALL)
        try:
            each.shapes(*small)
        except ConfigError:
            pass  # such as heads(5)
        else:
            rows, columns = small
    prove(each, rows, columns)


class MappedRun(Shown, text="bptt.layer.shapes:run_text"):
    """A layer run through time on the matrices that its maps make.

    Attributes
    ----------
    y : (T, N, H)
    states : tuple of (N, H)
    """

    def __init__(self, cell: Cell, params: Params, run: Any) -> None:
        self.y: Array = run.y
        self.states: States = run.states
        self._cell, self._params, self._run = cell, params, run

    def backward(
        self, dy: Array | None = None, dstates: States | None = None, *, overwrite: bool = False
    ) -> Gradients[States]:
        """Backpropagate through time, and through the maps; see :meth:`bptt.Unrolled.backward`."""
        found: Gradients[States] = self._run.backward(dy, dstates, overwrite=overwrite)
        return found._replace(params=pulled_back(self._cell, self._params, found.params))
