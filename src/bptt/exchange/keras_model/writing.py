"""A model as Keras's: the configuration of a Sequential, and the arrays of its layers by their paths.

::

    tokens    Embedding (V, E); of one-hot input the identity, which is not trained
    numbers   nothing
              Dropout, then LSTM, GRU or SimpleRNN, or Bidirectional of it, for each layer; Dropout
    pool      the last layer gives its last output; or GlobalAveragePooling1D
    output    Dense, without an activation: the logits, or the forecast

Where a model reads a sequence's end or mean, or reads from the end, sequences of unlike lengths want a mask.
So tokens are then counted from 1, and 0 is padding, which the Embedding masks; numbers are padded with
`PADDING`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.errors import ConfigError
from bptt.exchange.counterparts import in_system
from bptt.exchange.keras_model.nodes import snake
from bptt.nets.conventions import to_system
from bptt.nets.model import Model
from bptt.nets.stack import layer_params
from bptt.types import Array, Params

PADDING = -1e9
"""What a step of numbers is made of that is padding."""

MOST_TOKENS = 8192
"""Tokens of one-hot input: Keras has them as an identity matrix."""

_GATED = {"activation": "tanh", "recurrent_activation": "sigmoid"}

CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", _GATED),
    "gru": ("GRU", _GATED | {"reset_after": True}),
    "gru-cho": ("GRU", _GATED | {"reset_after": False}),
    "rnn": ("SimpleRNN", {"activation": "tanh"}),
    "rnn-relu": ("SimpleRNN", {"activation": "relu"}),
}
"""Keras's layers, and what makes them these cells."""


@dataclass
class Written:
    """A Sequential.

    Attributes
    ----------
    layers : list of dict
        Their configurations.
    arrays : dict of arrays
        By their paths.
    names : dict of str
        By the path of each layer's arrays its name.
    """

    dtype: str
    layers: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=lambda: {"vars": "bptt"})

    def add(
        self, kind: str, shape: tuple[int | None, ...], arrays: tuple[Array, ...] = (), **config: Any
    ) -> str:
        """Add a layer that reads arrays of a shape, and return its place."""
        count = sum(layer["class_name"] == kind for layer in self.layers)
        name = snake(kind) + (f"_{count}" if count else "")
        self.layers.append(self.described(kind, shape, {"name": name, **config}))
        return self.keep(f"layers/{name}", name, arrays)

    def described(self, kind: str, shape: tuple[int | None, ...], config: dict[str, Any]) -> dict[str, Any]:
        """Return what Keras makes a layer of."""
        return {
            "module": "keras.layers",
            "class_name": kind,
            "config": {"trainable": True, "dtype": self.dtype} | config,
            "registered_name": None,
            "build_config": {"input_shape": [None, *shape]},
        }

    def keep(self, place: str, name: str, arrays: tuple[Array, ...] = ()) -> str:
        """Keep the arrays of a layer, or of a part of it."""
        self.names[f"{place}/vars"] = name
        self.arrays |= {f"{place}/vars/{k}": array for k, array in enumerate(arrays)}
        return place

    def config(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration of the whole."""
        first = {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": inputs,
            "registered_name": None,
        }
        shape = inputs["batch_shape"]
        whole = {
            "name": "bptt",
            "trainable": True,
            "layers": [first, *self.layers],
            "build_input_shape": shape,
        }
        return {
            "module": "keras",
            "class_name": "Sequential",
            "config": whole,
            "registered_name": None,
            "build_config": {"input_shape": shape},
        }


def is_masked(model: Model) -> bool:
    """Return whether a model wants to know of a sequence where its own steps are."""
    return model.pool is not None or model.bidirectional


def written(model: Model, params: Params) -> tuple[dict[str, Any], dict[str, Array], dict[str, str]]:
    """Return a model's configuration, its arrays by their paths, and its layers' names by theirs.

    ConfigError where Keras has none like it.
    """
    if model.features is not None:
        raise ConfigError(
            "a Keras Sequential has no sequences that start from features: --to torch keeps the weights"
        )
    if model.learn_start:
        raise ConfigError(
            "a Keras Sequential has no states that are learnt: --to torch and --to onnx keep them"
        )
    dtype = np.result_type(*params.values())
    made, D = Written(dtype.name), model.embedding or model.inputs
    masked, cell = is_masked(model), in_system(model.stack.cell, "keras", "Keras")
    inputs: dict[str, Any] = {"batch_shape": [None, None], "dtype": "int32", "name": "tokens"}
    if model.token_inputs:
        E = params["embedding"] if model.embedding else _identity(model.inputs, dtype)
        E = np.concatenate([np.zeros_like(E[:1]), E]) if masked else E
        own = {
            "input_dim": len(E),
            "output_dim": D,
            "mask_zero": masked,
            "trainable": model.embedding is not None,
        }
        made.add("Embedding", (None,), (E,), **own)
    else:
        inputs = {"batch_shape": [None, None, D], "dtype": dtype.name, "name": "numbers"}
        if masked:
            made.add("Masking", (None, D), mask_value=PADDING)
    if model.input_dropout:
        made.add("Dropout", (None, D), rate=model.input_dropout)
    for layer in range(model.layers):
        is_last = layer == model.layers - 1
        D = model.stack.width if layer else D
        if layer and model.dropout:
            made.add("Dropout", (None, D), rate=model.dropout)
        ways = [
            to_system(cell.known, cell.layer(layer_params(params, layer, reverse=reverse)), "keras")
            for reverse in (False, True)[: len(model.stack.directions)]
        ]
        _recurrent(made, model, cell.known.name, D, ways, sequences=not (is_last and model.pool == "last"))
    width, steps = model.stack.width, (None,) if model.pool is None else ()
    if model.pool == "mean":
        made.add("GlobalAveragePooling1D", (None, width))
    if model.dropout:
        made.add("Dropout", (*steps, width), rate=model.dropout)
    V, b = model.output.matrix(params), [params["output.b"]] if model.output_bias else []
    made.add("Dense", (*steps, width), (V, *b), units=model.outputs, use_bias=model.output_bias)
    return (
        made.config(inputs),
        {path: np.ascontiguousarray(a, dtype) for path, a in made.arrays.items()},
        made.names,
    )


def _recurrent(
    made: Written, model: Model, cell: str, D: int, ways: list[dict[str, Array]], *, sequences: bool
) -> None:
    """Add a layer of a cell, with the arrays of its direction or of both."""
    kind, given = CLASSES[cell]
    own = {**given, "units": model.hidden, "use_bias": "bias" in ways[0], "return_sequences": sequences}
    part, shape = f"{snake(kind)}_cell", (None, D)
    if len(ways) == 1:
        place = made.add(kind, shape, **own)
        made.keep(f"{place}/cell", part, tuple(ways[0].values()))
        return
    sides = [
        made.described(
            kind, shape, {**own, "name": f"{way}_{snake(kind)}", "go_backwards": way == "backward"}
        )
        for way in ("forward", "backward")
    ]
    place = made.add("Bidirectional", shape, merge_mode="concat", layer=sides[0], backward_layer=sides[1])
    for way, side, arrays in zip(("forward", "backward"), sides, ways, strict=True):
        made.keep(f"{place}/{way}_layer", side["config"]["name"])
        made.keep(f"{place}/{way}_layer/cell", part, tuple(arrays.values()))


def _identity(V: int, dtype: np.dtype[Any]) -> Array:
    """Return the embedding that is one-hot input."""
    if V > MOST_TOKENS:
        raise ConfigError(
            f"one-hot input of {V:,} tokens is an identity matrix of {V:,} rows in Keras, which has at most "
            f"{MOST_TOKENS:,}: --to onnx, or a model with --embedding"
        )
    return np.eye(V, dtype=dtype)
