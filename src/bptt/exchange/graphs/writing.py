"""The graph of a model: tokens or features and states in, outputs and states out.

::

    (0)  h_0        where sequences start elsewhere than at zero, of those that begin
    (1)  x_t        Gather of the embedding, or OneHot
    (2)  h_t        an LSTM, GRU or RNN for each layer; or a Scan, whose body is the cell's equations
         h          pooled
    (3)  y_t        MatMul and Add

The arrays have the names of the parameters, those of an operator with W, R, B and P at their end.
"""

from collections import Counter
from typing import Any

import numpy as np

from bptt.errors import ConfigError
from bptt.exchange.graphs import operators, scan
from bptt.exchange.graphs.arrays import arrays_of
from bptt.exchange.graphs.graph import Graph, Port
from bptt.nets.model import Model, expect_params
from bptt.nets.stack import start_of
from bptt.types import Params
from bptt.zoo import equations_of


def graph_of(model: Model, params: Params, *, lengths: bool) -> Graph:
    """Return the graph of a model.

    Parameters
    ----------
    model : Model
    params : dict of arrays
        All float32, or all float64.
    lengths : bool
        Whether the graph takes how many steps each sequence has.

    Raises
    ------
    ConfigError
        If the cell is a class of its own, or the parameters are of several dtypes.
    ShapeError
        If the parameters are not the model's.
    """
    expect_params(params, model.shapes)
    kinds = {array.dtype for array in params.values()}
    if len(kinds) > 1 or not kinds <= {np.dtype(np.float32), np.dtype(np.float64)}:
        told = ", ".join(sorted(map(str, kinds)))
        raise ConfigError(f"a graph's weights are all float32 or all float64; got {told}")
    return _Writer(model, params, kinds.pop(), lengths).write()


class _Writer:
    """Writes the graph of a model."""

    def __init__(self, model: Model, params: Params, dtype: np.dtype[Any], lengths: bool) -> None:
        self.model, self.params, self.dtype = model, params, dtype
        self.operator = operators.operator_of(model.stack.cell, dtype)
        self.lengths, self.steps = lengths, ""
        self.graph = Graph(arrays=arrays_of(model, params, self.operator))

    def write(self) -> Graph:
        """Return the graph."""
        graph, model = self.graph, self.model
        source = Port("tokens", np.int64, ("T", "N"))
        if not model.token_inputs:
            source = Port("inputs", self.dtype, ("T", "N", model.inputs))
        graph.inputs.append(source)
        graph.inputs += [Port(name, self.dtype, ("N", self._width(name))) for name in model.stack.state_names]
        if self.lengths:
            graph.inputs.append(Port("lengths", np.int64, ("N",)))
            self.steps = self._steps(source.name)
        self.given = [self._given(name) for name in model.stack.cell.inputs if name != "x"]
        states = dict(zip(model.stack.state_names, model.stack.state_names, strict=True))
        if model.features is not None or model.learn_start or model.stack.cell.starts:
            states = self._start(states)
        y, after = self._layers(self._input(source.name), states)
        self._output(self._pooled(y, after))
        for name, value in after.items():
            graph.add("Identity", value, name=f"{name}_next")
            graph.outputs.append(Port(f"{name}_next", self.dtype, ("N", self._width(name))))
        graph.arrays = {name: array for name, array in graph.arrays.items() if array.size}
        names = Counter([*graph.arrays, *(port.name for port in graph.inputs + graph.outputs)])
        if (name := max(names, key=names.__getitem__)) and names[name] > 1:
            raise ConfigError(
                f"{name} would be the name of two values of the graph: call the cell's own otherwise"
            )
        return graph

    def _width(self, state: str) -> int:
        """Return how many numbers a state has for a row, by its name in the stack."""
        return self.model.stack.cell.width(state.rpartition(".")[2], self.model.hidden)

    def _given(self, name: str) -> str:
        """Take what the cell reads at each step beside its input, and return it with an axis of numbers."""
        width = self.model.stack.cell.width(name, self.model.hidden)
        steps: tuple[int | str, ...] = ("T", "N")
        self.graph.inputs.append(Port(name, self.dtype, steps if width == 1 else (*steps, width)))
        return name if width > 1 else self.graph.add("Unsqueeze", name, self.graph.axes(2))

    def _steps(self, source: str) -> str:
        """Return how many steps there are as operators take it, (N,) int32, or which, (T, N, 1) bool."""
        graph = self.graph
        if self.operator is not None:
            return graph.cast("lengths", np.int32)
        T = graph.add("Squeeze", graph.add("Shape", source, start=0, end=1), graph.axes(0))
        zero, one = (graph.array(f"int64 {k}", np.array(k, np.int64)) for k in (0, 1))
        t = graph.add("Unsqueeze", graph.add("Range", zero, T, one), graph.axes(1, 2))
        return graph.add("Less", t, graph.add("Unsqueeze", "lengths", graph.axes(0, 2)))

    def _start(self, states: dict[str, str]) -> dict[str, str]:
        """Return the states before the first step: of sequences that begin here where these start."""
        graph, model = self.graph, self.model
        starts = model.stack.cell.starts
        given = {
            name: start_of(name)
            if model.learn_start
            else graph.number(starts.get(name.rpartition(".")[2], 0.0), self.dtype)
            for name in states
        }
        if model.features is not None:
            graph.inputs.append(Port("features", self.dtype, ("N", model.features)))
            h_0 = graph.add("Add", graph.add("MatMul", "features", "initial.W"), "initial.b")
            outputs = model.start.outputs
            given |= zip(outputs, graph.split(h_0, len(outputs), 1), strict=True)
        graph.inputs.append(Port("begins", np.bool_, ("N",)))
        begins = graph.add("Unsqueeze", "begins", graph.axes(1))
        return {name: graph.add("Where", begins, given[name], state) for name, state in states.items()}

    def _input(self, source: str) -> str:
        """Return what the first layer reads: (T, N, D), or tokens."""
        if self.model.embedding is not None:
            return self.graph.add("Gather", "embedding", source)
        if not self.model.token_inputs or self.operator is None:
            return source
        depth = self.graph.array("depth", np.array([self.model.inputs], np.int64))
        values = self.graph.array("off and on", np.array([0, 1], self.dtype))
        return self.graph.add("OneHot", source, depth, values)

    def _layers(self, x: str, states: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return the output of the layers and the states after it."""
        model, after = self.model, dict[str, str]()
        for layer in range(model.layers):
            prefixes = [f"layers.{layer}.{direction}" for direction in model.stack.directions]
            names = [[prefix + state for state in model.stack.cell.states] for prefix in prefixes]
            before = [[states[name] for name in way] for way in names]
            if self.operator is not None:
                args = (self.graph, self.operator, prefixes[0], x, before, self.steps)
                x, final = operators.add_operator(*args)
            else:
                x, final = self._scans(prefixes, x, before, tokens=layer == 0 and x == "tokens")
            for way, values in zip(names, final, strict=True):
                after |= dict(zip(way, values, strict=True))
        return x, after

    def _scans(
        self, prefixes: list[str], x: str, states: list[list[str]], *, tokens: bool
    ) -> tuple[str, list[list[str]]]:
        """Return the output and the states of a layer of equations, a Scan for each direction."""
        graph = self.graph
        cell = equations_of(self.model.stack.cell)
        if cell is None:
            raise ConfigError(
                f"{self.model.stack.cell.name} is a class of its own: ONNX holds what has an operator there "
                "or is equations (see bptt.cell)"
            )
        outputs, after = [], []
        for k, prefix in enumerate(prefixes):
            W = f"{prefix}W"
            a = "" if not cell.from_x else graph.add(*(("Gather", W, x) if tokens else ("MatMul", x, W)))
            if a and f"{prefix}b" in graph.arrays:
                a = graph.add("Add", a, f"{prefix}b")
            y, final = scan.add_scan(
                graph, cell, prefix, a, states[k], self.steps,
                inputs="" if tokens else x, given=self.given, reverse=k == 1,
            )  # fmt: skip
            outputs.append(y)
            after.append(final)
        return graph.joined(outputs, axis=2), after

    def _pooled(self, y: str, after: dict[str, str]) -> str:
        """Return what the outputs are made of: (T, N, H), or (1, N, H)."""
        graph, model = self.graph, self.model
        if model.pool == "last":
            last = f"layers.{model.layers - 1}."
            ends = [after[last + way + model.stack.cell.states[0]] for way in model.stack.directions]
            return graph.add("Unsqueeze", graph.joined(ends, axis=1), graph.axes(0))
        if model.pool is None:
            return y
        if not self.lengths:
            return graph.add("ReduceMean", y, graph.axes(0), keepdims=1)
        # beyond a sequence's steps y is zero
        steps = graph.cast(graph.add("Unsqueeze", "lengths", graph.axes(0, 2)), self.dtype)
        least = graph.add("Max", steps, graph.number(1.0, self.dtype))
        return graph.add("Div", graph.add("ReduceSum", y, graph.axes(0), keepdims=1), least)

    def _output(self, h: str) -> None:
        """Add the outputs: logits where the loss is one of them."""
        graph, model = self.graph, self.model
        name = "logits" if model.loss.endswith("cross_entropy") else "outputs"
        V = graph.add("Transpose", "embedding", perm=[1, 0]) if model.tied else "output.W"
        y = graph.add("MatMul", h, V, name="" if model.output_bias else name)
        if model.output_bias:
            graph.add("Add", y, "output.b", name=name)
        graph.outputs.append(Port(name, self.dtype, (1 if model.pool else "T", "N", model.outputs)))
