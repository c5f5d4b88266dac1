"""A model's parameters as the arrays of its graph, and back.

They have the parameters' own names, but for a layer that is an operator: ``layers.0.W``, ``.R``, ``.B`` and
``.P`` are then as ONNX has them, with both directions in one array.
"""

from collections.abc import Callable

import numpy as np

from bptt.errors import DataError, ShapeError
from bptt.exchange.graphs.operators import Operator, operator_of
from bptt.nets.model import Model
from bptt.nets.stack import layer_params
from bptt.types import Array, Params


def arrays_of(model: Model, params: Params, operator: Operator | None) -> Params:
    """Return the arrays of a model's graph; `operator` is what its layers are, if they are one."""
    if operator is None:
        return dict(params)
    arrays = {name: array for name, array in params.items() if name not in model.stack.shapes()}
    arrays |= {name: array for name, array in params.items() if ".start." in name}
    for layer in range(model.layers):
        ways = [
            operator.arrays(layer_params(params, layer, reverse=way != "")) for way in model.stack.directions
        ]
        for key in ways[0]:
            arrays[f"layers.{layer}.{key}"] = np.concatenate([way[key] for way in ways])
    return arrays


def params_of(model: Model, array: Callable[[str], Array], *, has_operators: bool) -> Params:
    """Return a model's parameters.

    Parameters
    ----------
    model : Model
    array : function
        Gives an array of the graph by its name, or raises a DataError.
    has_operators : bool
        Whether the graph has operators for layers.

    Raises
    ------
    DataError, ShapeError
        If an array is missing, has another shape, or holds what is not finite.
    """
    params: Params = {}
    operator = operator_of(model.stack.cell, np.dtype(np.float32)) if has_operators else None
    if operator is not None:
        for layer in range(model.layers):
            params |= _operator_layer(model, operator, array, layer)
    for name, shape in model.shapes.items():
        if name not in params:
            params[name] = array(name) if 0 not in shape else np.zeros(shape, array("layers.0.W").dtype)
        if params[name].shape != shape:
            raise ShapeError(f"{name} must be {shape}, got {params[name].shape}")
        expect_numbers(name, params[name])
    return {name: params[name] for name in model.shapes}


def _operator_layer(model: Model, operator: Operator, array: Callable[[str], Array], layer: int) -> Params:
    """Return a layer's parameters of the arrays of its operator."""
    cell, ways, params = model.stack.cell, model.stack.directions, Params()
    keys = ["W", "R"]
    if cell.bias and model.bias != "none":
        keys.append("B")
    if operator.like is None:
        keys.append("P")
    arrays = {key: array(f"layers.{layer}.{key}") for key in keys}
    for key, value in arrays.items():
        expect_numbers(f"layers.{layer}.{key}", value)
        if value.ndim < 2 or len(value) != len(ways):
            name = f"layers.{layer}.{key}"
            raise ShapeError(f"{name} must have {len(ways)} directions as its first axis, got {value.shape}")
    for k, way in enumerate(ways):
        own = {key: value[k : k + 1] for key, value in arrays.items()}
        found = operator.layer(own, model.bias if cell.bias else "none")
        params |= {f"layers.{layer}.{way}{name}": part for name, part in found.items()}
    return params


def expect_numbers(name: str, array: Array) -> None:
    """Raise a DataError unless a weight is finite float32 or float64 numbers."""
    if array.dtype not in (np.float32, np.float64):
        raise DataError(f"{name} is {array.dtype}; weights are float32 or float64")
    if not np.isfinite(array).all():
        raise DataError(f"{name} holds what is not finite")
