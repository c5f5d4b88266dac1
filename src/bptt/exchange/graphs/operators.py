"""Layers that ONNX has an operator for: LSTM, GRU and RNN, with their arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells import Cell
from bptt.errors import DataError
from bptt.exchange.counterparts import Counterpart, counterpart
from bptt.exchange.graphs.graph import Graph
from bptt.layer.shapes import layer_shapes
from bptt.nets.conventions import from_system, to_system
from bptt.types import BiasCount, Params
from bptt.zoo import record

PEEPHOLES = ("p_i", "p_o", "p_f")
"""In the order that P has them."""

_OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("RNN", {"activations": ["Tanh"]}),
    "rnn-relu": ("RNN", {"activations": ["Relu"]}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"linear_before_reset": 1}),
    "gru-cho": ("GRU", {"linear_before_reset": 0}),
}
"""By the names of the cells."""


@dataclass(frozen=True)
class Operator:
    """How a layer of a cell is an operator.

    Attributes
    ----------
    cell : Cell
    like : Counterpart or None
        The cell that the operator computes; None: it is the LSTM with peepholes.
    """

    cell: Cell
    like: Counterpart | None

    @property
    def known(self) -> str:
        """The name of the cell whose convention the arrays have."""
        return "lstm" if self.like is None else self.like.known.name

    def arrays(self, layer: Params) -> Params:
        """Return one direction of a layer as ONNX has it: W, R and, where it has them, B and P."""
        if self.like is not None:
            return to_system(self.known, self.like.layer(layer), "onnx")
        own = {name: array for name, array in layer.items() if name not in PEEPHOLES and "." not in name}
        P = np.concatenate([layer[name] for name in PEEPHOLES])[None]
        return to_system(self.known, own, "onnx") | {"P": P}

    def layer(self, arrays: Params, bias: BiasCount) -> Params:
        """Return one direction of a layer of what `arrays` returned; DataError where it is another's."""
        own = {key: array for key, array in arrays.items() if key != "P"}
        layer = from_system(self.known, own, "onnx")
        shapes = layer_shapes(self.cell, len(layer["W"]), len(layer["U"]), bias)
        if self.like is not None:
            found = self.like.back(layer, [*shapes])
        else:
            layer |= dict(zip(PEEPHOLES, np.split(arrays["P"][0], 3), strict=True))
            more = [array for name, array in layer.items() if name not in shapes]
            found = None if any(array.any() for array in more) else {name: layer[name] for name in shapes}
        if found is None:
            raise DataError(f"its weights are not those that a {self.cell.name} has in ONNX")
        return found


def operator_of(cell: Cell, dtype: np.dtype[Any]) -> Operator | None:
    """Return the operator that computes what a cell does; None where there is none.

    onnxruntime has them for float32 alone, so that what is float64 is written as its equations.
    """
    if dtype != np.float32:
        return None
    if len(cell.units) == 3:
        from bptt.zoo.equations import ZOO

        return Operator(cell, None) if record.same(cell, ZOO["lstm-peephole"]) else None
    like = counterpart(cell)  # not where a gate is left open, or each unit has a weight: a Scan is simpler
    if like is None or cell.units or not all(sign for _, sign in like.gates):
        return None
    return Operator(cell, like)


def add_operator(
    graph: Graph, operator: Operator, name: str, x: str, states: Sequence[Sequence[str]], lengths: str
) -> tuple[str, list[list[str]]]:
    """Add a layer, whose arrays are in the graph, and return its output and its states after the sequence.

    Parameters
    ----------
    graph : Graph
    operator : Operator
    name : str
        What the names of its arrays begin with.
    x : str
        (T, N, D).
    states : for each direction, each (N, H)
    lengths : str
        (N,) int32, or "".

    Returns
    -------
    str
        (T, N, H), or (T, N, 2H) with both directions.
    list of lists of str
        As `states`.
    """
    ways, axis = len(states), graph.axes(0)
    initial = [
        graph.joined([graph.add("Unsqueeze", state, axis) for state in both], axis=0)
        for both in zip(*states, strict=True)
    ]
    arrays = {key: f"{name}{key}" if f"{name}{key}" in graph.arrays else "" for key in "WRBP"}
    inputs = [x, arrays["W"], arrays["R"], arrays["B"], lengths, *initial]
    if arrays["P"]:
        inputs.append(arrays["P"])
    op, own = _OPERATORS[operator.known]
    attributes = own | {"hidden_size": graph.arrays[f"{name}R"].shape[-1]}
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * ways
    if ways == 2:
        attributes["direction"] = "bidirectional"
    y, *final = graph.add_all(op, *inputs, names=("",) * (1 + len(initial)), **attributes)
    if ways == 1:
        y = graph.add("Squeeze", y, graph.axes(1))
    else:
        y = graph.add("Transpose", y, perm=[0, 2, 1, 3])  # (T, 2, N, H) to (T, N, 2, H)
        y = graph.add("Reshape", y, graph.array("side by side", np.array([0, 0, -1])))
    after = [[graph.add("Squeeze", part, axis) for part in graph.split(state, ways, 0)] for state in final]
    return y, [list(way) for way in zip(*after, strict=True)]
