"""An ONNX graph as data: its nodes, its arrays, what goes in and out; without the package `onnx`."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.types import Array, Dtype

KINDS = {np.dtype(np.float32): 1, np.dtype(np.int32): 6, np.dtype(np.float64): 11}
"""The numbers by which ONNX knows dtypes, of those to which values are cast."""


@dataclass(frozen=True)
class Port:
    """An input or an output of a graph.

    Attributes
    ----------
    name : str
    dtype : dtype
    shape : tuple
        A size, or the name of one that is known when the graph runs.
    """

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """An operation.

    Attributes
    ----------
    op : str
        As ONNX calls it.
    inputs, outputs : tuple of str
        Names of values; an input that is left out is "".
    attributes : dict
        Numbers, texts, lists of these, arrays and, of a Scan's body, graphs.
    name, domain : str
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    name: str = ""
    domain: str = ""


@dataclass(eq=False)
class Graph:
    """Nodes in an order in which they can be run.

    Attributes
    ----------
    scope : str
        What the names that it gives begin with: those of a body must not be those of the graph around it.
    inputs, outputs : list of Port
    nodes : list of Node
    arrays : dict of arrays
        The constants, by name.

    Examples
    --------
    >>> graph = Graph()
    >>> graph.add("Mul", "x", graph.number(2.0, np.float32))
    'Mul.0'
    """

    scope: str = ""
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node, and return its output's name."""
        return self.add_all(op, *inputs, names=(name,), **attributes)[0]

    def add_all(self, op: str, *inputs: str, names: tuple[str, ...], **attributes: Any) -> list[str]:
        """Add a node, and return its outputs' names; one that is "" is given."""
        own = f"{self.scope}{op}.{len(self.nodes)}"
        outputs = [name or (f"{own}.{k}" if k else own) for k, name in enumerate(names)]
        self.nodes.append(Node(op, inputs, tuple(outputs), attributes, own))
        return outputs

    def split(self, value: str, count: int, axis: int) -> list[str]:
        """Return the equal parts of a value."""
        if count == 1:
            return [value]
        return self.add_all("Split", value, names=("",) * count, axis=axis, num_outputs=count)

    def parts(self, value: str, sizes: list[int], axis: int) -> list[str]:
        """Return the parts of a value that have such sizes; equal ones in equal parts."""
        if len({*sizes}) <= 1:
            return self.split(value, len(sizes), axis)
        name = f"{self.scope}sizes {' '.join(map(str, sizes))}"
        array = self.array(name, np.array(sizes, np.int64))
        return self.add_all("Split", value, array, names=("",) * len(sizes), axis=axis)

    def joined(self, values: list[str], axis: int) -> str:
        """Return values side by side."""
        return values[0] if len(values) == 1 else self.add("Concat", *values, axis=axis)

    def array(self, name: str, value: Array) -> str:
        """Add an array, and return its name."""
        self.arrays[name] = value
        return name

    def cast(self, value: str, dtype: Dtype) -> str:
        """Return a value in another dtype."""
        return self.add("Cast", value, to=KINDS[np.dtype(dtype)])

    def number(self, value: float, dtype: Dtype) -> str:
        """Return the name of a number that is a constant."""
        return self.array(f"{self.scope}{np.dtype(dtype).name} {value!r}", np.array(value, dtype))

    def axes(self, *axes: int) -> str:
        """Return the name of a list of axes, which later operators take as an input."""
        return self.array(f"{self.scope}axes {' '.join(map(str, axes))}", np.array(axes, np.int64))
