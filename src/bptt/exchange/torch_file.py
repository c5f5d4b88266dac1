"""PyTorch: safetensors with the names that a plain module's ``state_dict`` has.

::

    embedding.weight                       (V, E)     torch.nn.Embedding; none where input is one-hot or real
    rnn.weight_ih_l0, rnn.bias_hh_l0 ...              torch.nn.LSTM, GRU or RNN, with PyTorch's own names
    output.weight, output.bias             (K, H)     torch.nn.Linear
    initial.weight, initial.bias           (L·H, F)   torch.nn.Linear: h_0 from features, where there are any
    start.h, start.c                       (L, 1, H)  torch.nn.ParameterDict: learnt states to start from

The metadata has one entry, ``bptt``, a JSON object of texts: ``modules``, as they are to be made, the
vocabulary, and the notes of :class:`bptt.exchange.Content`. Any other file is read as the state of somebody's
module (:mod:`bptt.exchange.state_dict`).
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from bptt import __version__
from bptt.errors import ConfigError, DataError, RunError, ShapeError
from bptt.exchange.content import Content, described, vocabulary_of
from bptt.exchange.counterparts import counterpart, in_system
from bptt.exchange.recurrent import assemble
from bptt.exchange.safe import read_tensors
from bptt.exchange.state_dict import Told, recognised
from bptt.files import write_atomically
from bptt.nets.conventions import from_system, to_system
from bptt.nets.model import Model, expect_params
from bptt.nets.stack import layer_params
from bptt.training.runs import format as run_format
from bptt.types import Array, Params

CLASSES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "rnn-relu": "RNN"}
"""PyTorch's modules."""


def write(content: Content, path: Path) -> None:
    """Write a model as a file that ``load_state_dict`` takes; neither PyTorch nor anything else is wanted.

    ConfigError where PyTorch has no such cell.
    """
    from safetensors.numpy import save

    texts = {"bptt": __version__, "modules": json.dumps(modules(content)), **content.notes}
    if content.vocabulary is not None:
        texts["vocabulary"] = json.dumps(content.vocabulary.to_json(), ensure_ascii=False)
    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(content).items()}
    # one entry, because safetensors keeps no order among several
    text = json.dumps(texts, sort_keys=True, ensure_ascii=False)
    write_atomically(path, bytes(save(arrays, metadata={"bptt": text})))


def read(path: Path, told: Told | None = None) -> Content:
    """Read a model of bptt's, or anybody's of an embedding, recurrent layers and a linear output.

    Parameters
    ----------
    path : path
    told : Told, optional
        What the file cannot say, if it is not of bptt.

    Raises
    ------
    DataError
        If it is no whole file of safetensors, or holds what is no finite number.
    ConfigError
        If bptt has no such model.
    ShapeError
        If its arrays do not fit each other.
    """
    arrays, metadata = read_tensors(path)
    if "params.layers.0.U" in arrays and "bptt" in metadata:
        raise DataError(f"{path} is a checkpoint of a run, which bptt reads by its folder")
    try:
        if "bptt" not in metadata:
            return recognised(arrays, metadata, told or Told())
        if told is not None:
            raise ConfigError("it says itself which model it holds: leave out what is told of it")
        texts = run_format.decode(metadata["bptt"].encode(), dict[str, str])
        vocabulary = vocabulary_of(texts.pop("vocabulary", None))
        found = described(texts)
        if found is None:
            return replace(recognised(arrays, metadata, Told()), vocabulary=vocabulary)
        model, params = _own(found.model, arrays)
        kept = {name: text for name, text in texts.items() if name not in ("bptt", "modules")}
        return Content(model, params, vocabulary, kept)
    except (ConfigError, ShapeError) as error:
        raise type(error)(f"{path}: {error}") from None
    except (DataError, RunError) as error:
        raise DataError(f"{path}: {error}") from None


def modules(content: Content) -> dict[str, str]:
    """Return the modules that have a file's parameters, by name, as they are made in PyTorch."""
    model, stack = content.model, content.model.stack
    known = in_system(stack.cell, "pytorch", "PyTorch")
    layer = known.layer(layer_params(content.params))
    sizes = f"{stack.inputs}, {stack.hidden}"
    sizes += f", num_layers={stack.layers}" * (stack.layers > 1)
    sizes += ", nonlinearity='relu'" * (known.known.name == "rnn-relu")
    sizes += ", bias=False" * (not layer.keys() & {"b", "b_h"}) + ", bidirectional=True" * stack.bidirectional
    found = {"rnn": f"nn.{CLASSES[known.known.name]}({sizes})"}
    if model.embedding is not None:
        found = {"embedding": f"nn.Embedding({model.inputs}, {model.embedding})"} | found
    if model.features is not None:
        found["initial"] = f"nn.Linear({model.features}, {len(model.start.outputs) * stack.hidden})"
    if model.learn_start:
        shape = f"{stack.layers * len(stack.directions)}, 1, {stack.hidden}"
        own = ", ".join(f'"{s}": torch.empty({shape})' for s in known.known.states)
        found["start"] = f"nn.ParameterDict({{{own}}})"
    bias = ", bias=False" * (not model.output_bias)
    return found | {"output": f"nn.Linear({stack.width}, {model.outputs}{bias})"}


def lines(content: Content, path: Path) -> list[str]:
    """Return the lines of PyTorch that make the modules of a file, load it, and run it.

    They run over ``tokens`` (T, N), or over ``x`` (T, N, D) where input is real, and from ``features``
    (N, F), where sequences start from these; what they make last is ``logits``, or a ``forecast``.
    """
    model, stack = content.model, content.model.stack
    made = ", ".join(f'"{name}": {module}' for name, module in modules(content).items())
    double = content.params["layers.0.W"].dtype == np.float64
    is_lstm = len(stack.cell.states) == 2
    given = "net.embedding(tokens)" if model.embedding else "x"
    if model.token_inputs and model.embedding is None:
        kind = "double" if double else "float"
        given = f"nn.functional.one_hot(tokens, {model.inputs}).{kind}()"
    if model.features is not None or model.learn_start:
        c_0 = "c_0" if model.learn_start else "torch.zeros_like(h_0)"
        given += f", (h_0, {c_0})" if is_lstm else ", h_0"
    said = [f"net = nn.ModuleDict({{{made}}}){'.double()' * double}"]
    if model.tied:
        said.append("net.output.weight = net.embedding.weight")
    said.append(f"net.load_state_dict(load_file({json.dumps(str(path))}))")
    if model.features is not None:
        sizes = f"(-1, {len(model.start.outputs)}, {stack.hidden})"
        said.append(f"h_0 = net.initial(features).view{sizes}.transpose(0, 1).contiguous()")
    for s in "hc"[: 1 + is_lstm] if model.learn_start else ():
        if s == "c" or model.features is None:
            rows = f"{'tokens' if model.token_inputs else 'x'}.shape[1]"
            said.append(f"{s}_0 = net.start.{s}.repeat(1, {rows}, 1)")
    said.append(f"y, state = net.rnn({given})")
    ways, h_n = len(stack.directions), "state[0]" if is_lstm else "state"
    pools = {None: "y", "mean": "y.mean(0)", "last": f"torch.cat(list({h_n}[-{ways}:]), 1)"}
    last = "logits" if "cross_entropy" in model.loss else "forecast"
    said.append(f"{last} = net.output({pools[model.pool]})")
    imports = ["import torch"] if any(" torch." in f" {line}".replace("(", " ") for line in said) else []
    return [*imports, "from safetensors.torch import load_file", "from torch import nn", *said]


def _arrays(content: Content) -> dict[str, Array]:
    """Return the parameters by PyTorch's names."""
    model, params = content.model, content.params
    known = in_system(model.stack.cell, "pytorch", "PyTorch")
    found: dict[str, Array] = {}
    if model.embedding is not None:
        found["embedding.weight"] = params["embedding"]
    for layer, reverse, _, suffix in _places(model):
        own = known.layer(layer_params(params, layer, reverse=reverse))
        found |= {f"rnn.{name}{suffix}": a for name, a in to_system(known.known, own, "pytorch").items()}
    if model.features is not None:
        found |= {"initial.weight": params["initial.W"].T, "initial.bias": params["initial.b"]}
    if model.learn_start:
        for name, s in zip(model.stack.cell.states, known.known.states, strict=True):
            starts = [params[f"{prefix}start.{name}"] for *_, prefix, _ in _places(model)]
            found[f"start.{s}"] = np.stack(starts)[:, None]
    found["output.weight"] = model.output.matrix(params).T
    return found | ({"output.bias": params["output.b"]} if model.output_bias else {})


def _own(model: Model, left: dict[str, Array]) -> tuple[Model, Params]:
    """Return the model and parameters of a file that bptt wrote, whoever may have changed them since.

    The dict of its arrays is emptied.
    """

    def taken(name: str) -> Array:
        if name not in left:
            raise ShapeError(f"it has no {name}, which its notes speak of")
        return left.pop(name)

    params: Params = {}
    if model.embedding is not None:
        params["embedding"] = taken("embedding.weight")
    found = counterpart(model.stack.cell)
    if found is None:
        raise DataError(f"its notes speak of a cell that PyTorch does not have: {model.stack.cell.name}")
    layers: dict[str, Params] = {}
    for _, _, prefix, suffix in _places(model):
        names = [
            name for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if f"rnn.{name}{suffix}" in left
        ]
        parts = {name: left.pop(f"rnn.{name}{suffix}") for name in names}
        layers[prefix] = from_system(found.known, parts, "pytorch")
    if own := assemble(found, layers, [model.bias]):
        params |= own[1]
    elif (known := counterpart(found.known)) and (own := assemble(known, layers)):
        model = replace(model, cell=found.known.name, bias=own[0])
        params |= own[1]
    if model.features is not None:
        params |= {"initial.W": taken("initial.weight").T, "initial.b": taken("initial.bias")}
    if model.learn_start:
        for name, s in zip(model.stack.cell.states, found.known.states, strict=True):
            starts = taken(f"start.{s}")
            if starts.ndim != 3 or starts.shape[:2] != (len(layers), 1):
                raise ShapeError(f"start.{s} must be ({len(layers)}, 1, H), got {starts.shape}")
            params |= {
                f"{prefix}start.{name}": start[0] for prefix, start in zip(layers, starts, strict=True)
            }
    V = taken("output.weight").T
    if model.tied and not np.array_equal(V.T, params["embedding"]):
        model = replace(model, tied=False)
    if not model.tied:
        params["output.W"] = V
    if model.output_bias:
        params["output.b"] = taken("output.bias")
    if left:
        raise ShapeError(f"it has {min(left):.100}, which its notes do not speak of")
    expect_params(params, model.shapes)
    return model, {name: np.ascontiguousarray(params[name]) for name in model.shapes}


def _places(model: Model) -> list[tuple[int, bool, str, str]]:
    """Return for each layer and direction its number, its way, its prefix here and its end in PyTorch."""
    return [
        (layer, bool(way), f"layers.{layer}.{way}", f"_l{layer}{'_reverse' * bool(way)}")
        for layer in range(model.layers)
        for way in model.stack.directions
    ]
