"""What a Keras configuration describes: the layers that a sequence goes through, one after the other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bptt.errors import ConfigError, DataError

WAY_OUT = (
    "bptt has an embedding, recurrent layers of one kind, a pool and one Dense; "
    "bptt.exchange.keras_file.layers(FILE) reads the recurrent layers alone"
)
"""What an error says of a model that bptt has none like."""

MODELS = ("Sequential", "Functional", "Model")
DEEPEST = 20
MASKS = ("NotEqual", "Any", "LogicalNot", "Equal")
"""The operations by which Keras makes a mask of what an embedding reads, or of what is masked."""


@dataclass(frozen=True)
class Node:
    """A layer.

    Attributes
    ----------
    kind : str
        Keras's class.
    name : str
    config : dict
        What it was made with.
    place : str
        Where its arrays are, by classes and their numbers.
    top : str
        The name of the model's own layer that it is, or lies in.
    """

    kind: str
    name: str
    config: dict[str, Any]
    place: str
    top: str


def nodes(model: dict[str, Any]) -> list[Node]:
    """Return the layers of a Sequential or functional model, in the order of what goes through them.

    ConfigError where they are no chain, or a class is code.
    """
    return list(_chain(model, "", None, 0, walk=True))


def every(model: dict[str, Any]) -> list[Node]:
    """Return all layers of a model, in the order of its configuration; errors are those of `nodes`."""
    return list(_chain(model, "", None, 0, walk=False))


def _chain(model: dict[str, Any], place: str, top: str | None, depth: int, *, walk: bool) -> Iterator[Node]:
    kind, config = _kind(model), model["config"]
    if depth > DEEPEST:
        raise DataError("its configuration is nested too deeply")
    if kind not in MODELS:
        raise ConfigError(f"the model is {kind:.60}, a class of its own, which is code; {WAY_OUT}")
    layers = config if isinstance(config, list) else config["layers"]  # a list before Keras 2.2.3
    places, counts = {}, dict[str, int]()
    for layer in layers:
        stem = snake(_kind(layer))
        counts[stem] = counts.get(stem, -1) + 1
        places[_name(layer)] = f"{place}layers/{stem}" + (f"_{counts[stem]}" if counts[stem] else "")
    for layer in _walked(config) if walk and kind != "Sequential" else layers:
        name = _name(layer)
        yield from _expanded(layer, places[name], top or name, depth, walk=walk)


def _expanded(layer: dict[str, Any], place: str, top: str, depth: int, *, walk: bool) -> Iterator[Node]:
    """Yield the layers that a layer is."""
    kind, config, name = _kind(layer), layer["config"], _name(layer)
    if kind in MODELS:
        yield from _chain(layer, f"{place}/", top, depth + 1, walk=walk)
    elif kind == "TimeDistributed":
        inner = config["layer"]
        if _kind(inner) in (*MODELS, "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"):
            raise ConfigError(f"{name} is a {_kind(inner)} for each step; {WAY_OUT}")
        yield from _expanded(inner, f"{place}/layer", top, depth + 1, walk=walk)
    elif kind == "RNN":
        cells, counts = [config["cell"]], dict[str, int]()
        stacked = _kind(cells[0]) == "StackedRNNCells"
        if stacked:
            cells = cells[0]["config"]["cells"]
        for k, cell in enumerate(cells):
            stem = snake(_kind(cell))
            counts[stem] = counts.get(stem, -1) + 1
            at = f"{place}/cell" + (f"/cells/{stem}" + (f"_{counts[stem]}" if counts[stem] else "")) * stacked
            inside = {"return_sequences": True} if k < len(cells) - 1 else {}
            own = {key: value for key, value in config.items() if key not in ("cell", "name")}
            yield Node(cell_kind(cell), name, own | cell["config"] | inside, at, top)
    else:
        at = f"{place}/cell" if kind in ("LSTM", "GRU", "SimpleRNN") else place
        yield Node(kind, name, config, at, top)


def cell_kind(cell: dict[str, Any]) -> str:
    """Return which layer an RNN around a cell is; ConfigError for a cell that is code."""
    if _kind(cell) not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
        raise ConfigError(f"the RNN's cell is {_kind(cell)}, a class of its own, which is code; {WAY_OUT}")
    return _kind(cell).removesuffix("Cell")


def inner(layer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the class and the configuration of a layer within a Bidirectional."""
    kind, config = _kind(layer), layer["config"]
    if kind == "RNN":
        return cell_kind(config["cell"]), config | config["cell"]["config"]
    return kind, config


def _kind(layer: dict[str, Any]) -> str:
    return str(layer["class_name"]).rpartition(">")[2]


def _name(layer: dict[str, Any]) -> str:
    config = layer["config"]
    own = config.get("name") if isinstance(config, dict) else None
    return str(layer.get("name") or own or layer["class_name"])


def snake(name: str) -> str:
    """Return a class's name as Keras has it in paths."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _walked(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a functional model's layers from its input to its output."""
    by_name = {_name(layer): layer for layer in config["layers"]}
    inputs, outputs = (list(_references(config[key])) for key in ("input_layers", "output_layers"))
    ends = {name for name, _ in outputs}
    if len(inputs) != 1 or len(ends) != 1:
        raise ConfigError(f"it has {len(inputs)} inputs, and outputs of {len(ends)} layers; {WAY_OUT}")
    found, (name,), which = [], ends, min(which for _, which in outputs)
    while True:
        layer = by_name[name]
        if which == 1 and _kind(layer) in ("LSTM", "GRU", "SimpleRNN"):  # its state, which is its last output
            layer = layer | {"config": layer["config"] | {"return_sequences": False}}
        elif which:
            raise ConfigError(f"what {name} gives besides its output is read; {WAY_OUT}")
        if _kind(layer) == "GetItem":
            layer = layer | {"config": layer["config"] | {"picks": layer["inbound_nodes"][0]["args"][1]}}
        found.append(layer)
        if len(found) > len(by_name):
            raise DataError("its layers are in a circle")
        calls = layer.get("inbound_nodes") or []
        if not calls:
            return found[::-1]
        if len(calls) > 1:
            raise ConfigError(f"{name} is used {len(calls)} times; {WAY_OUT}")
        read, flags = _call(calls[0])
        masks = [source for source, _ in _references(flags.pop("mask", None))]
        if len(read) != 1 or list(_references(flags)):
            raise ConfigError(
                f"{name} reads more than the layer before it: a state, or a second one; {WAY_OUT}"
            )
        if any(_kind(by_name[mask]) not in MASKS for mask in masks):
            raise ConfigError(f"{name} has a mask that the model computes; {WAY_OUT}")
        name, which = read[0]


def _call(call: Any) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Return what a layer is called with: the outputs of others, and its flags."""
    if isinstance(call, dict):
        return list(_references(call["args"])), dict(call["kwargs"])
    flags: dict[str, Any] = {}
    for source in call:
        flags |= source[3] if len(source) > 3 else {}
    return [(str(source[0]), int(source[2])) for source in call], flags


def _references(value: Any, depth: int = 0) -> Iterator[tuple[str, int]]:
    """Yield which layers' outputs are meant: the layer, and which of its outputs."""
    if depth > DEEPEST:
        raise DataError("its configuration is nested too deeply")
    if isinstance(value, dict):
        history = value.get("config", {}).get("keras_history") if "class_name" in value else None
        yield from _references(history or list(value.values()), depth + 1)
    elif isinstance(value, list | tuple):
        if len(value) in (3, 4) and isinstance(value[0], str) and all(isinstance(k, int) for k in value[1:3]):
            yield value[0], value[2]
        else:
            for part in value:
                yield from _references(part, depth + 1)
