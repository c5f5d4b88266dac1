"""What is found of a model in somebody's graph; and an LSTM, GRU or RNN node of it as a layer."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.errors import DataError
from bptt.exchange.graphs.arrays import expect_numbers
from bptt.exchange.graphs.graph import Node
from bptt.exchange.graphs.operators import PEEPHOLES
from bptt.exchange.graphs.values import Head, NotUnderstoodError
from bptt.nets.conventions import from_system
from bptt.nets.model import Model
from bptt.nets.stack import Stack
from bptt.types import Array, BiasCount, Params, Shapes
from bptt.zoo import get

_ACTIVATIONS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"]}


@dataclass(frozen=True)
class Layer:
    """A layer: its cell's name, and each direction's parameters as they are here."""

    cell: str
    ways: list[Params]


@dataclass
class Found:
    """What is found on the way through a graph.

    Attributes
    ----------
    token_inputs : bool
    embedding : (V, E) or None
    layers : list of Layer
    head : Head or None
        The output layer.
    static : dict of int
        The sizes of the input's first two axes, where the file says them.
    time : str
        Which of these is the time, from the first layer on.
    masked : bool
        Whether layers are told how long each sequence is.
    """

    token_inputs: bool = True
    embedding: Array | None = None
    layers: list[Layer] = field(default_factory=list)
    head: Head | None = None
    static: dict[str, int] = field(default_factory=dict)
    time: str = ""
    masked: bool = False

    def stack(self) -> tuple[Stack, Params]:
        """Return the layers alone and their parameters; DataError where they are not alike."""
        first = self.layers[0]
        for k, layer in enumerate(self.layers):
            if (layer.cell, len(layer.ways)) != (first.cell, len(first.ways)):
                one, other = (f"{a.cell} in {len(a.ways)} directions" for a in (first, layer))
                raise DataError(f"its layers are not alike: layer 0 is {one}, layer {k} {other}")
        params: Params = {}
        bias = _bias([way for layer in self.layers for way in layer.ways])
        for k, layer in enumerate(self.layers):
            for prefix, way in zip(("", "reverse."), layer.ways, strict=False):
                own = with_biases(way, bias)
                params |= {f"layers.{k}.{prefix}{name}": array for name, array in own.items()}
        stack = Stack(
            get(first.cell),
            inputs=len(params["layers.0.W"]),
            hidden=len(params["layers.0.U"]),
            layers=len(self.layers),
            bidirectional=len(first.ways) == 2,
            bias=bias,
        )
        return stack, _expected(params, stack.shapes())

    def model(self) -> tuple[Model, Params]:
        """Return the model and its parameters; DataError where they do not fit each other."""
        head = self.head
        assert head is not None
        stack, params = self.stack()
        params["output.W"] = head.W
        if head.b is not None:
            params["output.b"] = head.b
        tied = False
        if self.embedding is not None:
            params["embedding"] = self.embedding
            tied = np.array_equal(head.W.T, self.embedding)
        model = Model(
            inputs=stack.inputs if self.embedding is None else len(self.embedding),
            outputs=head.W.shape[1],
            hidden=stack.hidden,
            cell=self.layers[0].cell,
            layers=stack.layers,
            token_inputs=self.token_inputs,
            embedding=None if self.embedding is None else self.embedding.shape[1],
            tied=tied,
            bidirectional=stack.bidirectional,
            pool=head.pool,
            bias=stack.bias,
            output_bias=head.b is not None,
            loss=head.loss or ("cross_entropy" if head.W.shape[1] > 1 else "squared_error"),
        )
        return model, _expected(params, model.shapes)


def _expected(params: Params, shapes: Shapes) -> Params:
    """Return the parameters in their order; DataError where one has another shape, or is no numbers."""
    for name, shape in shapes.items():
        if params[name].shape != shape:
            raise DataError(f"{name} must be {shape}, got {params[name].shape}")
        expect_numbers(name, params[name])
    return {name: np.ascontiguousarray(params[name]) for name in shapes}


def with_biases(params: Params, bias: BiasCount) -> Params:
    """Return a layer with so many biases: what it has not is zero, and what goes is so."""
    wanted = {"none": {}, "one": {"b": "W"}, "two": {"b": "W", "b_h": "U"}}[bias]
    found = {name: array for name, array in params.items() if name not in ("b", "b_h") or name in wanted}
    for name, like in wanted.items():
        found.setdefault(name, np.zeros(params[like].shape[1], params[like].dtype))
    return found


def _bias(layers: list[Params]) -> BiasCount:
    """Return how many biases layers need."""
    if any(layer["b_h"].any() for layer in layers if "b_h" in layer):
        return "two"
    return "one" if any("b" in layer for layer in layers) else "none"


def layer_of(node: Node, arrays: Params) -> Layer:
    """Return the layer that a node is.

    Parameters
    ----------
    node : Node
    arrays : dict of arrays
        W, R and, where there are, B and P.
    """
    if not {"W", "R"} <= arrays.keys() or any(array.ndim == 0 for array in arrays.values()):
        raise NotUnderstoodError("it has no weights")
    a = node.attributes
    directions = {"forward": 1, "bidirectional": 2}
    direction = a.get("direction", "forward")
    if direction not in directions:
        raise NotUnderstoodError(f"its direction is {direction!r:.40}; layers here go forward, or in both")
    ways = directions[direction]
    if odd := {name: len(array) for name, array in arrays.items() if len(array) != ways}:
        raise NotUnderstoodError(f"it has {ways} directions, and {odd} in its weights")
    if a.get("clip") or a.get("input_forget"):
        raise NotUnderstoodError("its gates are clipped, or its input gate is coupled, as no cell's here are")
    cell = _cell(node, ways)
    found: list[Params] = []
    for k in range(ways):
        own = {key: array[k : k + 1] for key, array in arrays.items() if key != "P"}
        params = from_system(cell, own, "onnx")
        peepholes = arrays.get("P")
        if peepholes is not None and peepholes.any():
            H = len(params["U"])
            if node.op != "LSTM" or peepholes.shape != (ways, 3 * H):
                raise DataError(f"P must be ({ways}, 3H = {3 * H}), got {peepholes.shape}")
            params |= dict(zip(PEEPHOLES, np.split(peepholes[k], 3), strict=True))
        found.append(params)
    if any("p_i" in params for params in found):
        cell = "lstm-peephole"
    return Layer(cell, found)


def _cell(node: Node, ways: int) -> str:
    """Return which cell a node computes."""
    names: Any = [str(name).lower() for name in node.attributes.get("activations") or []]
    if node.op == "RNN":
        cells = {"tanh": "rnn", "relu": "rnn-relu"}
        if len({*names}) <= 1 and (names or ["tanh"])[0] in cells:
            return cells[(names or ["tanh"])[0]]
    elif names in ([], _ACTIVATIONS[node.op] * ways):
        if node.op == "LSTM":
            return "lstm"
        return "gru" if node.attributes.get("linear_before_reset", 0) else "gru-cho"
    raise NotUnderstoodError(f"its activations are {', '.join(names)!r:.100}, as no cell's here are")
