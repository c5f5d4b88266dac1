"""A recurrent layer of Keras, as its file has it."""

from dataclasses import dataclass
from typing import Any

from bptt.cells import Cell
from bptt.errors import ConfigError, DataError, ShapeError
from bptt.exchange.keras_model.cells import base_of, cell_of
from bptt.exchange.keras_model.nodes import Node, inner
from bptt.exchange.keras_model.weights import Weights
from bptt.nets.conventions import from_system
from bptt.types import Params

RECURRENT = ("LSTM", "GRU", "SimpleRNN", "Bidirectional")

MERGES = {"concat": 1.0, "sum": 1.0, "ave": 0.5}
"""How a Bidirectional's two outputs become one, and what each counts in it."""


@dataclass(frozen=True)
class Layer:
    """A recurrent layer, in one direction or both.

    Attributes
    ----------
    name : str
    cell : Cell
    hidden : int
        H.
    forward, reverse : dict of arrays or None
        W, U, b and b_h, as :func:`bptt.unroll` takes them; None for a direction that it does not have.
    sequences : bool
        Whether every step has an output, or the last one alone.
    merge : str
        How two directions become one output: ``concat``, ``sum`` or ``ave``.
    """

    name: str
    cell: Cell
    hidden: int
    forward: Params | None
    reverse: Params | None
    sequences: bool
    merge: str = "concat"

    @property
    def width(self) -> int:
        """The size of its output."""
        both = self.forward is not None and self.reverse is not None and self.merge == "concat"
        return self.hidden * (2 if both else 1)

    @property
    def inputs(self) -> int:
        """The size of its input."""
        return len(next(params["W"] for params in (self.forward, self.reverse) if params is not None))


def layer_of(node: Node, weights: Weights) -> Layer:
    """Return a recurrent layer with its arrays.

    ConfigError where it computes what no layer of bptt does; DataError and ShapeError where its arrays are
    not those that it describes.
    """
    config = node.config
    if node.kind != "Bidirectional":
        cell, H, params = _direction(node, node.kind, config, weights)
        sequences = _flag(config, "return_sequences")
        if _flag(config, "go_backwards"):
            if sequences:
                raise ConfigError(
                    f"{node.name} reads from the end, and gives its outputs in that order; bptt's do not"
                )
            return Layer(node.name, cell, H, None, params, sequences)
        return Layer(node.name, cell, H, params, None, sequences)
    kind, first = inner(config["layer"])
    other = config.get("backward_layer")
    second_kind, second = inner(other) if other else (kind, first)
    merge = config.get("merge_mode", "concat")
    if kind not in RECURRENT[:3] or merge not in MERGES:
        raise ConfigError(
            f"{node.name}: a Bidirectional of {kind:.60}, merged by {merge!r:.40}; wanted {', '.join(MERGES)}"
        )
    if _flag(first, "go_backwards") or (other and not _flag(second, "go_backwards")):
        raise ConfigError(
            f"{node.name}: its forward layer must read forwards, and its backward layer backwards"
        )
    cell, H, forward = _direction(node, kind, first, weights, "/forward_layer/cell")
    back, K, reverse = _direction(node, second_kind, second, weights, "/backward_layer/cell")
    sequences = _flag(first, "return_sequences")
    if back is not cell or K != H or _flag(second, "return_sequences") != sequences:
        raise ConfigError(
            f"{node.name}: its two directions are not alike: {cell.name}, {H} and {back.name}, {K} units"
        )
    return Layer(node.name, cell, H, forward, reverse, sequences, merge)


def _direction(
    node: Node, kind: str, config: dict[str, Any], weights: Weights, inside: str = ""
) -> tuple[Cell, int, Params]:
    """Return a direction's cell, its units and its parameters."""
    if _flag(config, "time_major"):
        raise ConfigError(f"{node.name} reads time-major arrays; save it with time_major=False")
    cell, base = cell_of(kind, config, weights.file.version), base_of(kind, config)
    named = ["kernel", "recurrent_kernel", *(["bias"] if _flag(config, "use_bias", True) else [])]
    arrays = dict(zip(named, weights.take(node, len(named), inside), strict=True))
    try:
        params = from_system(base, arrays, "keras")
    except ShapeError as error:
        raise ShapeError(f"{node.name}: {error}") from None
    if len(params["U"]) != config["units"]:
        raise ShapeError(
            f"{node.name} has {len(params['U'])} units by its arrays, and should have {config['units']!r:.20}"
        )
    return cell, len(params["U"]), params


def _flag(config: dict[str, Any], name: str, default: bool = False) -> bool:
    value = config.get(name, default)
    if not isinstance(value, bool):
        raise DataError(f"its configuration is not as Keras writes it: {name} is {value!r:.40}")
    return value
