"""A model and its parameters, of what a Keras file describes."""

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bptt.errors import BpttWarning, ConfigError, DataError, ShapeError
from bptt.exchange.keras_model.cells import activation
from bptt.exchange.keras_model.nodes import WAY_OUT, Node, snake
from bptt.exchange.keras_model.recurrent import RECURRENT, Layer, layer_of
from bptt.exchange.keras_model.stacked import Affine, spread, stacked
from bptt.exchange.keras_model.weights import Weights
from bptt.nets.model import Model
from bptt.nets.pool import PoolName
from bptt.types import Array, Params

NOTHING = (
    "InputLayer",
    "ActivityRegularization",
    "Identity",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
)
"""Layers that change nothing where nothing is trained."""

DROPOUTS = ("Dropout", "SpatialDropout1D")

_ALL = {"start": None, "stop": None, "step": None}
LAST = ([_ALL, -1], [_ALL, -1, _ALL])
"""What picks the last step of each sequence, x[:, -1]."""

OF_ACTIVATION = {"softmax": "cross_entropy", "sigmoid": "sigmoid_cross_entropy"}
"""The loss whose predictions are what an output's activation gives."""

OF_LOSS = {
    "sparse_categorical_crossentropy": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "sigmoid_cross_entropy",
    "mean_squared_error": "squared_error",
    "mse": "squared_error",
    "mean_absolute_error": "absolute_error",
    "mae": "absolute_error",
}
"""The loss of an output without activation, by what Keras has compiled."""


@dataclass
class Parts:
    """What has been read of a model, from its input up."""

    embedding: Array | None = None
    identity: bool = False
    layers: list[Layer] = field(default_factory=list)
    before: list[Affine | None] = field(default_factory=list)
    affine: Affine | None = None
    mean: bool = False
    output: tuple[Array, Array | None] | None = None
    activation: str = "linear"
    drops: list[float] = field(default_factory=list)
    input_drop: float = 0.0
    masked: bool = False

    @property
    def sequences(self) -> bool:
        """Whether there is still a step for each of the input."""
        return not self.mean and (not self.layers or self.layers[-1].sequences)

    def add(self, node: Node, weights: Weights) -> None:
        """Read the next layer; ConfigError where it has no place in a model of bptt's."""
        kind, config = node.kind, node.config
        if kind in NOTHING:
            return
        if kind in DROPOUTS:
            rate = float(config["rate"])
            if self.layers:
                self.drops.append(rate)
            else:
                self.input_drop = rate
        elif kind == "Masking" and not self.layers:
            self.masked = True
        elif kind == "Embedding" and not self.layers and self.embedding is None and self.affine is None:
            self._embed(node, weights)
        elif kind in RECURRENT and self.sequences and self.output is None:
            self.layers.append(layer_of(node, weights))
            self.before.append(self.affine)
            self.affine = None
            self._expect_width(node.name, self.layers[-1].inputs)
        elif kind == "GlobalAveragePooling1D" and self.layers and self.sequences and self.output is None:
            if config.get("keepdims") or config.get("data_format", "channels_last") != "channels_last":
                raise ConfigError(f"{node.name} has keepdims or channels_first; {WAY_OUT}")
            self.mean = True
        elif kind == "GetItem" and self.layers and self.sequences and self.layers[-1].reverse is None:
            if [p if isinstance(p, int) else p["config"] for p in config["picks"]] not in LAST:
                raise ConfigError(f"{node.name} picks other steps than the last; {WAY_OUT}")
            self.layers[-1] = replace(self.layers[-1], sequences=False)
        elif kind in ("BatchNormalization", "Rescaling") and self.output is None:
            self._scale(node, weights)
        elif kind == "Dense" and self.layers and self.activation == "linear":
            self._out(node, weights)
        elif kind in ("Activation", "Softmax") and self.output is not None and self.activation == "linear":
            self.activation = "softmax" if kind == "Softmax" else activation(config["activation"])
        else:
            code = " and is code, which is not run" if kind == "Lambda" else ""
            place = (
                "stands where it has no place"
                if kind in ("Dense", "Embedding", *RECURRENT)
                else "has no place"
            )
            raise ConfigError(f"{node.name:.60}, a {kind:.60}, {place}{code}; {WAY_OUT}")

    @property
    def width(self) -> int | None:
        """The size of what there is so far; None where it is not known."""
        if self.output is not None:
            return int(self.output[0].shape[1])
        if self.layers:
            return self.layers[-1].width
        return None if self.embedding is None else self.embedding.shape[1]

    def _expect_width(self, name: str, inputs: int) -> None:
        """Raise a ShapeError unless the last layer reads what stands below it."""
        below = (
            self.layers[-2].width
            if len(self.layers) > 1
            else None
            if self.embedding is None
            else self.embedding.shape[1]
        )
        if below not in (None, inputs):
            raise ShapeError(f"{name} reads {inputs} numbers, and what stands below it gives {below}")

    def _embed(self, node: Node, weights: Weights) -> None:
        (self.embedding,) = weights.take(node, 1)
        E, self.masked = self.embedding, bool(node.config.get("mask_zero"))
        if E.ndim != 2:
            raise ShapeError(f"{node.name}: the embeddings must be (V, E), got {E.shape}")
        self.identity = node.config.get("trainable") is False

    def _out(self, node: Node, weights: Weights) -> None:
        """Read a Dense; several without activation are one."""
        use_bias = node.config.get("use_bias", True) is True
        kernel, *bias = weights.take(node, 1 + use_bias)
        if kernel.ndim != 2 or len(kernel) != self.width or any(b.shape != kernel.shape[1:] for b in bias):
            shapes = ", ".join(str(array.shape) for array in (kernel, *bias))
            raise ShapeError(
                f"{node.name}: the kernel must be ({self.width}, K) and the bias (K,), got {shapes}"
            )
        V, b = kernel, bias[0] if bias else None
        if self.output is not None:
            below, shift = self.output
            V, b = below @ V, b if shift is None else shift @ V if b is None else shift @ V + b
        elif self.affine is not None:
            V, b = self.affine.into(V, b)
        self.output, self.activation = (V, b), activation(node.config.get("activation"))

    def _scale(self, node: Node, weights: Weights) -> None:
        """Take what multiplies and shifts each number into what reads it."""
        config = node.config
        scale: Array
        shift: Array
        if node.kind == "Rescaling":
            scale, shift = np.asarray(config["scale"], np.float32), np.asarray(config["offset"], np.float32)
        else:
            axis = config["axis"][0] if isinstance(config["axis"], list) else config["axis"]
            if axis not in (-1, 2 if self.sequences else 1):
                raise ConfigError(
                    f"{node.name} normalises along axis {axis!r:.20}, which is not the last; {WAY_OUT}"
                )
            learnt = [key for key in ("scale", "center") if config.get(key, True)]
            *own, mean, variance = weights.take(node, len(learnt) + 2)
            given = dict(zip(learnt, own, strict=True))
            with np.errstate(all="ignore"):  # what is not finite is told below
                scale = given.get("scale", 1) / np.sqrt(variance + np.float32(config["epsilon"]))
                shift = given.get("center", 0) - mean * scale
        if self.width is None:
            raise ConfigError(f"{node.name} scales what is read, which bptt does with data; {WAY_OUT}")
        if any(array.shape not in ((), (1,), (self.width,)) for array in (scale, shift)):
            raise ShapeError(
                f"{node.name} must scale {self.width} numbers, got {scale.shape} and {shift.shape}"
            )
        here = Affine(*(np.broadcast_to(array, (self.width,)) for array in (scale, shift)))
        self.affine = here if self.affine is None else self.affine.then(here)


def model_of(
    found: list[Node], weights: Weights, *, padded: bool = False, loss: str | None = None
) -> tuple[Model, Params]:
    """Return the model that layers are, with its parameters; what of it is to be known is a warning each.

    Parameters
    ----------
    found : list of Node
    weights : Weights
    padded : bool
        Whether tokens are counted from 1, and 0 is padding.
    loss : str, optional
        The model's, where it is known; then its tokens are, too.

    ConfigError where bptt has none like it; DataError and ShapeError where the arrays are not its own.
    """
    parts = Parts()
    for node in found:
        parts.add(node, weights)
    weights.expect_all_taken()
    cells = dict.fromkeys(layer.cell for layer in parts.layers)
    if len(cells) != 1:
        names = ", ".join(cell.name for cell in cells) or "none"
        raise ConfigError(f"its recurrent layers are {names}; {WAY_OUT}")
    if padded and parts.embedding is not None:
        parts.embedding, parts.masked = parts.embedding[1:], False
    return _assembled(parts, weights, loss)


def _assembled(parts: Parts, weights: Weights, known: str | None) -> tuple[Model, Params]:
    params, layers = stacked(parts.layers, parts.before), parts.layers
    H, both = max(layer.hidden for layer in layers), any(layer.reverse is not None for layer in layers)
    top, E = layers[-1], parts.embedding
    if parts.output is None:
        if parts.affine is not None:
            parts.output = parts.affine.into(np.eye(top.width, dtype=params["layers.0.U"].dtype), None)
        else:
            parts.output = np.eye(top.width, dtype=params["layers.0.U"].dtype), None
    V, b = parts.output
    D, K = len(params["layers.0.W"]) if E is None else len(E), V.shape[1]
    pool: PoolName | None = "mean" if parts.mean else None if top.sequences else "last"
    one_hot = E is None and parts.activation == "softmax" and D == K
    if E is not None and parts.identity and E.shape[0] == E.shape[1] and np.array_equal(E, np.eye(len(E))):
        E, one_hot = None, True
    tokens = E is not None or one_hot
    loss = known or _loss_of(parts.activation, weights, tokens=tokens, K=K)
    if tokens and D == K and loss == "cross_entropy" and pool == "last" and not (both or known):
        pool = None
        _say("it tells the next token from a whole sequence; the model here tells one after each step")
    if one_hot and parts.embedding is None:
        _say(f"its {D} inputs and {K} outputs are taken for tokens, one-hot, of which each step has one")
    if parts.masked and known is None:
        what = "a step of one number" if parts.embedding is None else "token 0"
        _say(f"{what} was padding, which was passed over: give a mask, or sequences without it")
    params |= {"output.W": spread(top, V, H, both=both)} | ({} if b is None else {"output.b": b})
    rates, has = set(parts.drops), {name.rpartition(".")[2] for name in params if name.startswith("layers")}
    model = Model(
        inputs=D,
        outputs=K,
        hidden=H,
        cell=layers[0].cell,
        layers=len(layers),
        token_inputs=tokens,
        embedding=None if E is None else E.shape[1],
        bidirectional=both,
        pool=pool,
        bias="two" if "b_h" in has else "one" if "b" in has else "none",
        output_bias=b is not None,
        dropout=rates.pop() if len(rates) == 1 else 0.0,
        input_dropout=0.0 if one_hot else parts.input_drop,
        loss=loss,
    )
    if E is not None:
        params = {"embedding": E} | params
    dtype = np.result_type(*params.values())
    if not all(np.isfinite(array).all() for array in params.values()):
        raise DataError("what its layers come to is no finite number")
    return model, {name: np.ascontiguousarray(params[name], dtype) for name in model.shapes}


def _loss_of(own: str, weights: Weights, *, tokens: bool, K: int) -> str:
    """Return the loss whose predictions the outputs are."""
    if own in OF_ACTIVATION:
        return OF_ACTIVATION[own]
    if own != "linear":
        raise ConfigError(
            f"the output's activation is {own:.60}; bptt's are linear, {', '.join(OF_ACTIVATION)}"
        )
    compiled = (weights.file.config or {}).get("compile_config") or {}
    told = compiled.get("loss") if isinstance(compiled, dict) else None
    known = OF_LOSS.get(_loss_name(told))
    if known is not None:
        return known
    return "cross_entropy" if tokens and (K > 1) else "squared_error"


def _loss_name(told: Any) -> str:
    if isinstance(told, list | dict) and len(told) == 1:
        told = told[0] if isinstance(told, list) else next(iter(told.values()))
    if isinstance(told, dict):
        named = told.get("config")
        told = named if isinstance(named, str) else snake(str(told.get("class_name")))
    return str(told)


def _say(text: str) -> None:
    """Say what is to be known of a model that is read."""
    warnings.warn(text, BpttWarning, stacklevel=2)
