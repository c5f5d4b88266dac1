"""A layer's arrays, once: which there are, and of what shapes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import ShapeError
from bptt.layer.mapped import raw_shapes
from bptt.types import Array, BiasCount, Params, Shapes, expect_array


def layer_shapes(cell: Cell, D: int, H: int, bias: BiasCount = "one", *, learn_start: bool = False) -> Shapes:
    """Return the shape of each parameter of a layer: the one place that says which there are.

    Parameters
    ----------
    cell : Cell
    D, H : int
        The size of the input, and the hidden units.
    bias : "none", "one" or "two"
        Biases: none, b, or b and b_h.
    learn_start : bool
        Whether the states that sequences start from are parameters: ``start.h``, ...

    Examples
    --------
    >>> from bptt.cells import CELLS
    >>> layer_shapes(CELLS["gru"], 3, 4, "two")
    {'W': (3, 12), 'U': (4, 12), 'b': (12,), 'b_h': (12,)}
    """
    # plain loops: PyTorch's compiler reads them
    Gx, Gh = 0, 0
    for gate in cell.from_x:
        Gx += cell.width(gate, H)
    shapes: Shapes = {"W": (D, Gx)}
    for operand, gates in ((cell.states[0], cell.from_h), *cell.operands):
        matrix, width = cell.matrix(operand), 0
        for gate in gates:
            width += cell.width(gate, H)
        before = shapes[matrix][1] if matrix in shapes else 0
        shapes[matrix] = (cell.width(operand, H), before + width)
        Gh += width
    if bias != "none":
        shapes |= {"b": (Gx,)} if bias == "one" else {"b": (Gx,), "b_h": (Gh,)}
    learnt = (name for name in cell.units if name not in cell.given)
    shapes |= {name: cell.unit_shape(name, H) for name in learnt}
    shapes |= {f"start.{s}": (cell.width(s, H),) for s in cell.states} if learn_start else {}
    return raw_shapes(cell, D, H, shapes) if cell.maps else shapes


def dtype_of(params: Params, x: Array, states: States | None) -> np.dtype[Any]:
    """Return the dtype in which a layer computes: the one that holds all of its arrays."""
    expect_array("x", x)
    real = () if x.ndim == 2 else (x,)
    return np.result_type(*params.values(), *(states or ()), *real)


def without_padding(x: Array, mask: Array | None) -> Array:
    """Return x (T, N, ...) with zeros where the mask is False, whatever stands there."""
    if mask is None or x.shape[:2] != mask.shape or x.ndim > 3:  # which is told of elsewhere
        return x
    return np.where(mask if x.ndim == 2 else mask[..., None], x, x.dtype.type(0))


def at_each_step(
    cell: Cell,
    params: Params,
    x: Array,
    states: States | None,
    inputs: Mapping[str, Array],
    mask: Array | None,
) -> Params:
    """Return what a cell reads at each step beside x, in the layer's dtype and without padding.

    ShapeError for a name that it does not read.
    """
    if odd := sorted(inputs.keys() - {*cell.inputs} | inputs.keys() & {"x"}):
        reads = ", ".join(name for name in cell.inputs if name != "x") or "nothing"
        raise ShapeError(f"{cell.name} reads {reads} at each step beside its input; got {', '.join(odd)}")
    dtype, found = dtype_of(params, x, states), {}
    for name, array in inputs.items():
        array = array if isinstance(array, np.ndarray) else np.asarray(array)
        array = without_padding(array, mask)
        if array.ndim == 2 and cell.width(name, 2 * cell.heads) > 1:  # the same for all units
            array = np.broadcast_to(array[..., None], (*array.shape, cell.width(name, cell.hidden(params))))
        found[name] = array if array.dtype.kind == "c" else array.astype(dtype, copy=False)
    return found


def expect(cell: Cell, dy: Array | None, dstates: States | None, y: Array, states: States) -> None:
    """Raise a ShapeError unless the cotangents, where given, have the shapes of their outputs."""
    if dy is not None:
        _expect(cell, "dy", dy, y.shape, "(T, N, H)")
    if dstates is None:
        return
    if len(dstates) != len(states):
        raise ShapeError(f"{cell.name}: dstates must hold {len(states)} arrays, got {len(dstates)}")
    for name, d, s in zip(cell.states, dstates, states, strict=True):
        _expect(cell, f"the gradient at the final {name}", d, s.shape, "(N, H)")


def _expect(cell: Cell, name: str, array: Array, shape: tuple[int, ...], symbols: str) -> None:
    if array.shape != shape:
        raise ShapeError(f"{cell.name}: {name} must be {symbols} = {shape}, got {array.shape}")


def check(
    cell: Cell,
    params: Params,
    x: Array,
    states: States | None,
    mask: Array | None,
    reset: Array | None,
) -> tuple[int, int, int, Array]:
    """Return T, N, H and x without its padding, or raise a ShapeError that names what does not fit."""
    for name, array in (("x", x), *params.items(), ("mask", mask), ("reset", reset)):
        if array is not None:
            expect_array(name, array)
    matrices = dict.fromkeys(("W", "U", *(cell.matrix(q) for q, _ in cell.operands)))
    given = [name for name in cell.given if name != "x" or "x" not in cell.inputs]
    needed = [*matrices, *(n for n in cell.units if n not in cell.given), *given]
    if missing := [n for n in cell.inputs if n in given and n not in params]:
        raise ShapeError(f"{cell.name} reads {', '.join(missing)} at each step beside its input: give arrays")
    free = ["b", "b_h", *(f"start.{s}" for s in cell.states)]
    if not {*needed} <= params.keys() <= {*needed, *free}:
        wanted = f"{', '.join(needed)} and at most {', '.join(free)}"
        raise ShapeError(f"{cell.name}: params must be {wanted}; got {', '.join(params)}")
    D, H = len(params["W"]), cell.hidden(params)
    shapes = layer_shapes(cell, D, H, "two", learn_start=True)
    for name, shape in sorted(shapes.items(), key=lambda item: item[0] != "U"):  # U first: it has H
        if name in params:
            rows, blocks = {"W": "D, ", "U": "H, "}.get(name, ""), shape[-1] // max(H, 1)
            size = "H" if blocks == 1 and not rows else f"{blocks}H"
            symbols = f"({rows}{size}{'' if rows else ','})" if shape[-1] == blocks * H else "of its size"
            _expect(cell, name, params[name], shape, symbols if name not in cell.scalars else "one number")
    if not (x.ndim == 3 or (x.ndim == 2 and np.issubdtype(x.dtype, np.integer))):
        raise ShapeError(f"{cell.name}: x must be (T, N, D), or (T, N) integers; got {x.dtype} {x.shape}")
    T, N = x.shape[:2]
    for name in given:
        width, shape = cell.width(name, H), params[name].shape
        if shape != (T, N, width) and (width != 1 or shape != (T, N)):
            raise ShapeError(f"{cell.name}: {name} must be (T, N, H) = {T, N, width}, got {shape}")
    if "x" in cell.inputs and cell.width("x", H) != D:
        raise ShapeError(f"{cell.name}: its equations read x itself, so D must be H = {H}, got {D}")
    if T == 0:
        raise ShapeError(f"{cell.name}: x has no time steps: {x.shape}")
    for name, flags in (("mask", mask), ("reset", reset)):
        if flags is not None:
            _expect(cell, name, flags, (T, N), "(T, N)")
            if flags.dtype != np.bool_:
                raise ShapeError(f"{cell.name}: {name} must be bool, got {flags.dtype}")
    x = without_padding(x, mask)
    if x.ndim == 3:
        _expect(cell, "x", x, (T, N, D), "(T, N, D)")
    elif x.size and not (x.min() >= 0 and x.max() < D):
        raise ShapeError(f"{cell.name}: tokens must be in 0 .. D-1 = {D - 1}, got {x.min()} .. {x.max()}")
    if states is not None:
        if len(states) != len(cell.states):
            wanted = ", ".join(cell.states)
            raise ShapeError(f"{cell.name}: states must be ({wanted}), got {len(states)} arrays")
        for name, s in zip(cell.states, states, strict=True):
            _expect(cell, f"the initial {name}", s, (N, cell.width(name, H)), "(N, H)")
    return T, N, H, x


def run_text(run: Any) -> str:
    """Return in a line how long a layer ran, and what there is of it."""
    y, ends = run.y, ", ".join(str(array.shape) for array in run.states)
    return f"<a layer run through {len(y):,} steps: y {y.shape} {y.dtype}, states at the end {ends}>"
