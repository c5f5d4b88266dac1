"""Keras: ``.keras`` and ``.weights.h5``, by h5py alone; Keras need not be there.

What is written is a Sequential (see :mod:`bptt.exchange.keras_model.writing`), which reads (N, T):
``keras.saving.load_model(path)`` opens a ``.keras`` file, and ``load_weights`` of the same layers takes a
``.weights.h5``.
Vocabulary and notes stand beside Keras's own metadata::

    import json, zipfile
    told = json.loads(zipfile.ZipFile("run.keras").read("metadata.json"))["bptt"]
    tokens = json.loads(told["vocabulary"])["tokens"]  # of token k; of k + 1 where told["padding"] is "0"

What is read is anybody's Sequential or functional model that is a chain of an embedding, recurrent layers, a
pool and one Dense, of Keras 2 and 3. Nothing of a file is run: no Lambda, no class of its own, no pickle.
"""

import json
from pathlib import Path

import numpy as np

from bptt import __version__
from bptt.errors import ConfigError, ShapeError
from bptt.exchange.content import Content, described, vocabulary_of
from bptt.exchange.counterparts import counterpart
from bptt.exchange.keras_model.container import opened, weights_bytes, zip_bytes
from bptt.exchange.keras_model.guessed import alone, guessed
from bptt.exchange.keras_model.model import model_of
from bptt.exchange.keras_model.nodes import every, nodes
from bptt.exchange.keras_model.recurrent import RECURRENT, Layer, layer_of
from bptt.exchange.keras_model.weights import Weights
from bptt.exchange.keras_model.writing import is_masked, written
from bptt.files import write_atomically
from bptt.nets.model import Model
from bptt.nets.stack import layer_params
from bptt.types import Params

__all__ = ["Layer", "layers", "read", "write"]

WEIGHTS = (".weights.h5", ".keras")


def write(content: Content, path: Path) -> None:
    """Write a model as a Keras file: the whole of it as ``.keras``, its arrays alone as ``.weights.h5``.

    ConfigError where Keras has no such cell or model, or the name ends in something else.
    """
    if not path.name.endswith(WEIGHTS):
        raise ConfigError(
            f"{path}: what is written of Keras is {' or '.join(WEIGHTS)}: --out {path.stem}.keras"
        )
    config, arrays, names = written(content.model, content.params)
    texts = {"bptt": __version__, **content.notes}
    if content.vocabulary is not None:
        texts["vocabulary"] = json.dumps(content.vocabulary.to_json(), ensure_ascii=False)
    if is_masked(content.model) and content.model.token_inputs:
        texts["padding"] = "0"
    to_bytes = zip_bytes if path.name.endswith(".keras") else weights_bytes
    write_atomically(path, to_bytes(config, arrays, names, texts))


def read(path: Path) -> Content:
    """Read a model that bptt or Keras wrote.

    Where a file has arrays alone, what it leaves open is guessed, and said as a warning.

    Raises
    ------
    DataError
        If it cannot be read, is damaged, or its arrays are not those of its model.
    ShapeError
        If its arrays do not fit each other.
    ConfigError
        If bptt has no such model.
    """
    with opened(path) as file:
        texts, weights = dict(file.texts), Weights(file)
        found = guessed(file) if file.config is None else nodes(file.config)
        if not texts:
            model, params = model_of(found, weights)
            return Content(model, params, None, {})
        padded = texts.pop("padding", None) is not None
        vocabulary = vocabulary_of(texts.pop("vocabulary", None))
        kept = {name: text for name, text in texts.items() if name != "bptt"}
        known = described(kept)
        model, params = model_of(found, weights, padded=padded, loss=known.model.loss if known else None)
        if known is not None:
            own = _own(known.model, model, params)
            model, params = (model, params) if own is None else (known.model, own)
        if vocabulary is not None and not (model.token_inputs and len(vocabulary) == model.inputs):
            raise ShapeError(
                f"its vocabulary has {len(vocabulary)} tokens, and its model reads {model.inputs}"
            )
        return Content(model, params, vocabulary, kept)


def layers(path: str | Path) -> list[Layer]:
    """Return the recurrent layers of any Keras file, whatever else its model has.

    Parameters
    ----------
    path : path
        A ``.keras``, ``.weights.h5`` or ``.h5`` file.

    Returns
    -------
    list of Layer
        In the order of the file, with ``name``, ``cell``, and ``forward`` and ``reverse``, the parameters of
        each direction as :func:`bptt.unroll` takes them.

    Raises
    ------
    BpttError
        As `read`.
    """
    with opened(Path(path)) as file:
        weights = Weights(file)
        try:
            found = alone(file) if file.config is None else every(file.config)
        except ConfigError:  # a class of its own, whose arrays tell what it is made of
            found = alone(file)
        return [layer_of(node, weights) for node in found if node.kind in RECURRENT]


def _own(known: Model, model: Model, params: Params) -> Params | None:
    """Return the parameters of the model that was written; None where they have become another's."""
    shape = ("inputs", "outputs", "hidden", "layers", "token_inputs", "embedding", "bidirectional", "pool")
    cell = counterpart(known.stack.cell)
    if cell is None or any(getattr(known, name) != getattr(model, name) for name in shape):
        return None
    found = {name: array for name, array in params.items() if not name.startswith("layers.")}
    for layer in range(model.layers):
        for way in known.stack.directions:
            own = layer_params(params, layer, reverse=way != "")
            head = f"layers.{layer}.{way}"
            names = {
                name.removeprefix(head)
                for name in known.shapes
                if name.startswith(head) and "." not in name.removeprefix(head)
            }
            if "b_h" in names and "b_h" not in own:  # their sum became the one bias
                own["b_h"] = np.zeros(own["U"].shape[1], own["U"].dtype)
            back = cell.back(own, names)
            if back is None:
                return None
            found |= {head + name: array for name, array in back.items()}
    if known.tied and np.array_equal(params["embedding"].T, params["output.W"]):
        del found["output.W"]
    shapes = {name: array.shape for name, array in found.items()}
    return {name: found[name] for name in known.shapes} if shapes == known.shapes else None
