"""ONNX: a graph with tokens and states in, logits and states out, and all that is known of the run inside.

The same graph reads a whole text and writes one, a token at a time: the number of steps and that of sequences
are those of its inputs. What is in ``metadata_props``: ``model``, its description with the cell's equations,
``vocabulary`` and the tokens ``start`` and ``end``, as JSON; and the notes of the run.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bptt.derive.source import printable
from bptt.errors import BpttError, DataError
from bptt.exchange.content import Content, vocabulary_of
from bptt.exchange.graphs import description, protobuf
from bptt.exchange.graphs.arrays import params_of
from bptt.exchange.graphs.following import follow
from bptt.exchange.graphs.writing import graph_of
from bptt.files import read_regular, write_atomically
from bptt.nets.stack import Stack
from bptt.types import Params

FORMAT = "1"
"""Of what bptt writes into a graph's metadata."""

_OWN = ("bptt", "model", "vocabulary", "start", "end")


def write(content: Content, path: Path, *, lengths: bool | None = None) -> None:
    """Write a model as an ONNX graph.

    Parameters
    ----------
    content : Content
    path : path
        Replaced in one piece.
    lengths : bool, optional
        Whether the graph takes how many steps each sequence has. By default where it reads whole sequences:
        with a pool, or in both directions.

    Raises
    ------
    ConfigError
        If the cell is neither one that ONNX has nor equations, the model is larger than a file may be, or the
        package `onnx` is not installed.
    RunError
        If the file cannot be written.
    """
    model, vocabulary = content.model, content.vocabulary
    if lengths is None:
        lengths = model.pool is not None or model.bidirectional
    graph = graph_of(model, content.params, lengths=lengths)
    metadata = content.notes | {"model": description.to_text(model)}
    if vocabulary is not None:
        metadata["vocabulary"] = json.dumps(vocabulary.to_json())
        metadata |= {"start": json.dumps(vocabulary.start), "end": json.dumps(vocabulary.end)}
    metadata["bptt"] = FORMAT  # the last: a file that has it is not cut short
    write_atomically(path, protobuf.encode(graph, metadata, _told(content)))


def read(path: Path) -> Content:
    """Read a model from an ONNX file: one that bptt wrote, or a chain of layers that another system did.

    Raises
    ------
    BpttError
        In one line: it cannot be read, is damaged, or holds what no model of bptt is.
    """
    with _named(path) as file:
        if "bptt" in file.metadata:
            return _own(file)
        if file.producer.partition(" ")[0] == "bptt":
            raise DataError("bptt wrote it, and its metadata are gone: it is cut short, or was changed")
        model, params = follow(file).model()
        return Content(
            model, params, None, {"source": printable(file.producer)[:100]} if file.producer else {}
        )


def layers(path: str | os.PathLike[str]) -> tuple[Stack, Params]:
    """Read the recurrent layers alone of an ONNX file that another system wrote, whatever is above them.

    Raises
    ------
    BpttError
        As `read`.
    """
    with _named(Path(path)) as file:
        return follow(file, bare=True).stack()


@contextmanager
def _named(path: Path) -> Iterator[protobuf.File]:
    """Read a file, and have errors say which it is."""
    try:
        data = read_regular(path, protobuf.LIMIT)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        yield protobuf.decode(data, protobuf.Beside(path))
    except BpttError as error:
        raise type(error)(f"{path}: {error}") from None


def _own(file: protobuf.File) -> Content:
    """Return what bptt wrote."""
    if file.metadata["bptt"] != FORMAT:
        told = file.metadata["bptt"]
        raise DataError(f"it has format {told!r:.40}; this version of bptt reads format {FORMAT}")
    if "model" not in file.metadata:
        raise DataError("its metadata describe no model")
    model = description.from_text(file.metadata["model"])
    has_operators = any(node.op in ("LSTM", "GRU", "RNN") for node in file.graph.nodes)
    params = params_of(model, file.array, has_operators=has_operators)
    vocabulary = vocabulary_of(file.metadata.get("vocabulary"))
    if vocabulary is not None and not (model.token_inputs and len(vocabulary) == model.inputs):
        raise DataError(f"its vocabulary has {len(vocabulary)} tokens, and its model reads {model.inputs}")
    notes = {key: value for key, value in file.metadata.items() if key not in _OWN}
    return Content(model, params, vocabulary, notes)


def _told(content: Content) -> str:
    """Return what the graph is, in words."""
    model = content.model
    reads = f"tokens (T, N), of {model.inputs}" if model.token_inputs else f"inputs (T, N, {model.inputs})"
    each = "of each sequence" if model.pool else "of each step"
    return (
        f"{model.stack.cell.name}, {model.layers} x {model.hidden} units. Reads {reads}, and the states "
        f"before them; gives {model.outputs} outputs {each} and, as NAME_next, the states after them."
    )
