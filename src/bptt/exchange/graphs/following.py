"""A model read from a graph that another system wrote: weights are found where they are used, by no name.

What is read is a chain: an embedding, one-hot tokens or real inputs; LSTM, GRU or RNN nodes, one after
the other; their outputs at each step, the last of them or their mean; a product, a bias. Whatever axes
are exchanged, split off and put together on the way is followed. A node that does anything else is named.
"""

import numpy as np

from bptt.errors import BpttError, DataError
from bptt.exchange.graphs.foreign import Found, layer_of
from bptt.exchange.graphs.graph import Node
from bptt.exchange.graphs.protobuf import File
from bptt.exchange.graphs.rules import RULES
from bptt.exchange.graphs.values import (
    Flow,
    NotUnderstoodError,
    Odd,
    Sizes,
    Value,
    Zeros,
    constant,
    expect_constant,
    sizes,
    told,
)
from bptt.types import Array

_RECURRENT = ("LSTM", "GRU", "RNN")
_STILL_ZERO = frozenset(
    "Expand Slice Gather Split Squeeze Unsqueeze Transpose Reshape Concat Identity Cast".split()  # noqa: SIM905
)


def follow(file: File, *, bare: bool = False) -> Found:
    """Return what there is of a model in a graph; `bare`: its layers will do, whatever is above them.

    DataError that names what is not understood.
    """
    return _Follower(file).follow(bare)


class _Follower:
    """Follows a graph from its inputs to its outputs."""

    def __init__(self, file: File) -> None:
        self.file, self.graph = file, file.graph
        self.found = Found()
        self.known: dict[str, Value] = {}
        # bytes that constants may have which are made of those in the file
        self.left = (1 << 26) + 4 * sum(array.nbytes for array in self.graph.arrays.values())
        tokens = (
            port for port in self.graph.inputs if np.dtype(port.dtype).kind == "i" and len(port.shape) == 2
        )
        first = next(tokens, self.graph.inputs[0] if self.graph.inputs else None)
        for port in self.graph.inputs:
            if port.name in self.graph.arrays:
                continue  # older files name their weights among the inputs
            kind, rank = np.dtype(port.dtype).kind, len(port.shape)
            axes = tuple("01"[:rank]) if kind == "i" else ("0", "1", "unit")[:rank]
            self.known[port.name] = Flow("tokens" if kind == "i" else "inputs", axes)
            if port is first:
                sizes_of = zip("01", port.shape, strict=False)
                self.found.static = {axis: n for axis, n in sizes_of if isinstance(n, int)}

    def follow(self, bare: bool) -> Found:
        """Return what is found."""
        if not any(node.op in _RECURRENT for node in self.graph.nodes):
            raise DataError(
                "it has no LSTM, GRU or RNN node; PyTorch's exporter writes these with dynamo=False"
            )
        for node in self._wanted():
            try:
                values = self._apply(node)
            except NotUnderstoodError as error:
                why = f": {error}" if str(error) else ""
                values = [Odd(f"{told(node)} is not understood{why}")] * len(node.outputs)
            self.known |= dict(zip(node.outputs, values, strict=False))
        outputs = [self._value(port.name) for port in self.graph.outputs]
        for value in outputs:
            if isinstance(value, Flow) and value.head is not None:
                self.found.head = value.head
                return self.found
        if bare and self.found.layers:
            return self.found
        if isinstance(outputs[0], Odd):
            raise DataError(outputs[0].why)
        raise DataError("no output is a product of what its recurrent layers give and a matrix")

    def _wanted(self) -> list[Node]:
        """Return the nodes that outputs are made of, in the file's order."""
        made = {name: node for node in self.graph.nodes for name in node.outputs if name}
        wanted, left = set[int](), [port.name for port in self.graph.outputs]
        while left:
            node = made.get(left.pop())
            if node is not None and id(node) not in wanted:
                wanted.add(id(node))
                left += node.inputs
        return [node for node in self.graph.nodes if id(node) in wanted]

    def _value(self, name: str) -> Value:
        if not name:
            return None
        if name in self.known:
            return self.known[name]
        if name in self.graph.arrays:
            return self.graph.arrays[name]
        return Odd(f"{name!r:.80} {self.file.odd.get(name, 'is read, and made nowhere: it is damaged')}")

    def _apply(self, node: Node) -> list[Value]:
        """Return what a node's outputs are."""
        if (why := self.file.odd.get(node.outputs[0] if node.outputs else "")) is not None:
            return [Odd(f"{told(node)} {why}")]
        values = [self._value(name) for name in node.inputs]
        try:
            return self._result(node, values)
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            if isinstance(error, BpttError):
                raise
            raise NotUnderstoodError("its inputs or attributes do not fit") from None

    def _result(self, node: Node, values: list[Value]) -> list[Value]:
        if node.op in _RECURRENT and not node.domain:
            return self._recurrent(node, values)
        if (odd := next((value for value in values if isinstance(value, Odd)), None)) is not None:
            return [odd] * len(node.outputs)
        if node.domain:
            raise NotUnderstoodError
        flow = next((value for value in values if isinstance(value, Flow)), None)
        if flow is None:
            return [self._made(node, values)] * len(node.outputs)
        if node.op == "Shape":
            part = slice(node.attributes.get("start", 0), node.attributes.get("end"))
            return [Sizes(len(flow.axes[part]))]
        if node.op not in RULES:
            raise NotUnderstoodError
        value = RULES[node.op](self.found, node, values, flow)
        return value if isinstance(value, list) else [value] * len(node.outputs)

    def _made(self, node: Node, values: list[Value]) -> Value:
        """Return what a node makes of constants, sizes and zeros."""
        if any(isinstance(value, Zeros) for value in values):
            if node.op not in _STILL_ZERO:
                raise NotUnderstoodError
            return Zeros()
        arrays = [value for value in values if isinstance(value, np.ndarray)]
        is_constant = len(arrays) == len([value for value in values if value is not None])
        found = constant(node, arrays, self.left) if is_constant else None
        if found is not None and (left := self.left - found.nbytes) >= 0:
            self.left = left
            return found
        if found is None and node.op == "Expand" and not arrays[0].any():
            return Zeros()
        return sizes(node, values)

    def _recurrent(self, node: Node, values: list[Value]) -> list[Value]:
        """Return what a layer gives: its outputs, its states after them, and what else."""
        x, found = values[0], self.found
        first = int(node.attributes.get("layout", 0) != 0)
        for value in (x, *values[5:7]):
            if isinstance(value, Odd):
                return [value] * len(node.outputs)
        if not isinstance(x, Flow) or len(x.axes) != 3 or x.axes[2] != "unit":
            raise NotUnderstoodError("it reads no sequence of vectors")
        if x.what not in ("inputs", "hot", "x", "y") or x.layer != len(found.layers):
            raise NotUnderstoodError("its layers are no chain")
        time, row = x.axes[first], x.axes[1 - first]
        if found.time not in ("", time):
            raise NotUnderstoodError("its time is another axis than in the layer before")
        for value in values[5:7]:
            zero = isinstance(value, np.ndarray) and not value.any()
            given = isinstance(value, Flow) and value.what in ("inputs", "state")
            if not (value is None or zero or given or isinstance(value, Zeros)):
                raise NotUnderstoodError("it starts from a state that is neither zero nor an input")
        if x.what == "inputs":
            found.token_inputs = False
        found.time, found.masked = time, found.masked or (len(values) > 4 and values[4] is not None)
        layer = layer_of(node, self._weights(values))
        H = len(layer.ways[0]["U"])
        if any(isinstance(value, np.ndarray) and value.shape[-1:] != (H,) for value in values[5:7]):
            raise NotUnderstoodError("its states are of another size: is a projection left out?")
        found.layers.append(layer)
        L, ways = len(found.layers), tuple((len(found.layers), k) for k in range(len(layer.ways)))
        y, last = (time, "way", row, "unit"), ("way", row, "unit")
        if first:
            y, last = (row, time, "way", "unit"), (row, "way", "unit")
        cells = Odd(f"{told(node)} gives its cell state, of which no output here is made")
        return [Flow("y", y, L, ways), Flow("last", last, L, ways), cells]

    @staticmethod
    def _weights(values: list[Value]) -> dict[str, Array]:
        """Return a layer's weights by ONNX's names for them."""
        places = {"W": 1, "R": 2, "B": 3, "P": 7}
        given = {key: values[k] for key, k in places.items() if k < len(values)}
        return {key: expect_constant(value, key) for key, value in given.items() if value is not None}
