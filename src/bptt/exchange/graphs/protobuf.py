"""A graph as the bytes of an ONNX file, and back: the one place that asks the package `onnx`.

Bytes are anybody's: their sizes are compared with what is there before anything is made of them, no other
file is opened on their word but that of the model's own name, and nothing of them is run.
"""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bptt import __version__
from bptt.errors import ConfigError, DataError
from bptt.exchange.graphs.graph import Graph, Node, Port
from bptt.files import open_regular
from bptt.types import Array

OPSET, IR = 22, 10
"""Of what is written: the opset in which LSTM, GRU and RNN changed last, and the format that came with it."""

OLDEST = 7
"""The first opset that is read: LSTM, GRU and RNN mean since then what they mean."""

LIMIT = (1 << 31) - 1
"""The most bytes of a message: 2 GiB."""

_KINDS: dict[str, Any] = {
    "FLOAT": np.float32,
    "DOUBLE": np.float64,
    "FLOAT16": np.uint16,  # their bits
    "BFLOAT16": np.uint16,
    "INT64": np.int64,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "INT8": np.int8,
    "BOOL": np.bool_,
}
"""As what the values of a tensor are read, by their kind."""


@dataclass(frozen=True)
class File:
    """What is in an ONNX file.

    Attributes
    ----------
    graph : Graph
    opset : int
    metadata : dict of str
    producer : str
    odd : dict of str
        Of arrays that cannot be had, why: by name.
    """

    graph: Graph
    opset: int
    metadata: dict[str, str]
    producer: str
    odd: dict[str, str] = field(default_factory=dict)

    def array(self, name: str) -> Array:
        """Return a constant; DataError that says why where there is none."""
        if name in self.odd:
            raise DataError(f"{name} {self.odd[name]}")
        if name not in self.graph.arrays:
            raise DataError(f"it has no array {name!r:.80}")
        return self.graph.arrays[name]


class Beside:
    """The file of weights beside a model's, which PyTorch's exporter calls by the model's name and ``.data``.

    All that is read of it is at most `LIMIT` bytes, however many arrays say that they lie there.
    """

    def __init__(self, model: Path) -> None:
        self.path, self._left = model.with_name(f"{model.name}.data"), LIMIT

    def read(self, told: dict[str, str], size: int) -> bytes:
        """Return an array's bytes, so many; DataError where they lie elsewhere, or are not there."""
        location = told.get("location", "")
        if location != self.path.name:
            raise DataError(
                f"lies in another file, {location!r:.80}, and what is read is {self.path.name} beside it: "
                "onnx.save_model(onnx.load(PATH), OUT) puts all weights into one"
            )
        try:
            start, length = int(told.get("offset", 0)), int(told.get("length", size))
        except ValueError:
            raise DataError(f"says no place in {self.path.name}") from None
        self._left -= size
        try:
            with open_regular(self.path, LIMIT) as file:
                held = os.fstat(file.fileno()).st_size
                if length != size or start < 0 or start + size > held or self._left < 0:
                    raise DataError(
                        f"wants {size:,} bytes of {self.path.name}, which has {held:,}, and says "
                        f"{length:,} from {start:,} on"[:200]
                    )
                file.seek(start)
                return file.read(size)
        except OSError as error:
            raise DataError(f"lies in {self.path.name}, and: {error.strerror or error}") from None


def package() -> Any:
    """Return the package `onnx`; ConfigError where it is not installed."""
    try:
        import onnx
    except ImportError:
        raise ConfigError("ONNX files want the package onnx: pip install 'bptt[onnx]'") from None
    return onnx


def encode(graph: Graph, metadata: dict[str, str], text: str) -> bytes:
    """Return the file of a graph, checked.

    Parameters
    ----------
    graph : Graph
    metadata : dict of str
    text : str
        What the graph is, in words.
    """
    onnx = package()
    size = sum(array.nbytes for array in graph.arrays.values())
    if size > LIMIT - (1 << 24):
        raise ConfigError(
            f"the model has {size:,} bytes, and an ONNX file by itself at most {LIMIT:,}; --to torch has room"
        )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(
        _graph(onnx, graph, "bptt"),
        opset_imports=opsets,
        ir_version=IR,
        producer_name="bptt",
        producer_version=__version__,
        doc_string=text,
    )
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _graph(onnx: Any, graph: Graph, name: str) -> Any:
    nodes = [
        onnx.helper.make_node(
            node.op,
            node.inputs,
            node.outputs,
            node.name,
            **{key: _attribute(onnx, value, node.name) for key, value in node.attributes.items()},
        )
        for node in graph.nodes
    ]
    arrays = [
        onnx.numpy_helper.from_array(np.ascontiguousarray(a).reshape(a.shape), key)
        for key, a in graph.arrays.items()
    ]
    inputs, outputs = ([_port(onnx, port) for port in ports] for ports in (graph.inputs, graph.outputs))
    return onnx.helper.make_graph(nodes, name, inputs, outputs, arrays)


def _attribute(onnx: Any, value: Any, name: str) -> Any:
    return _graph(onnx, value, f"{name}.body") if isinstance(value, Graph) else value


def _port(onnx: Any, port: Port) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return onnx.helper.make_tensor_value_info(port.name, kind, port.shape)


def decode(data: bytes, beside: Beside) -> File:
    """Return what is in a file; DataError, of one line, where it is none or is not read."""
    onnx = package()
    from google.protobuf.message import DecodeError  # type: ignore[import,unused-ignore]

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise DataError("it is no ONNX file, or is cut short") from None
    if not model.graph.output:
        raise DataError("it is no ONNX file, or is cut short: it has no graph")
    versions = [opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not OLDEST <= versions[0] <= newest:
        told = ", ".join(map(str, versions)) or "none"
        raise DataError(f"its opset is {told}; those from {OLDEST} to {newest} are read")
    odd: dict[str, str] = {}
    graph = Graph()
    graph.inputs = [_read_port(onnx, value) for value in model.graph.input]
    graph.outputs = [_read_port(onnx, value) for value in model.graph.output]
    for tensor in model.graph.initializer:
        try:
            graph.arrays[_text(tensor.name)] = array_of(onnx, tensor, beside)
        except DataError as error:
            odd[_text(tensor.name)] = str(error)
    graph.nodes = [_read_node(onnx, node, odd, beside) for node in model.graph.node]
    metadata = {_text(entry.key): _text(entry.value) for entry in model.metadata_props}
    producer = f"{_text(model.producer_name)} {_text(model.producer_version)}".strip()
    return File(graph, versions[0], metadata, producer, odd)


def _text(value: Any) -> str:
    """Return a text of a file, which is bytes where they are no UTF-8."""
    return value if isinstance(value, str) else bytes(value).decode(errors="replace")


def _read_port(onnx: Any, value: Any) -> Port:
    tensor = value.type.tensor_type
    sizes = tensor.shape.dim
    shape = tuple(size.dim_value if size.HasField("dim_value") else _text(size.dim_param) for size in sizes)
    integers = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    return Port(_text(value.name), np.int64 if tensor.elem_type in integers else np.float32, shape)


def _read_node(onnx: Any, node: Any, odd: dict[str, str], beside: Beside) -> Node:
    kinds, attributes = onnx.AttributeProto, dict[str, Any]()
    inputs, outputs = (tuple(map(_text, names)) for names in (node.input, node.output))
    for a in node.attribute:
        name = _text(a.name)
        if a.type == kinds.TENSOR:
            try:
                attributes[name] = array_of(onnx, a.t, beside)
            except DataError as error:
                odd |= dict.fromkeys(outputs, str(error))
        elif a.type in (kinds.FLOAT, kinds.INT):
            attributes[name] = a.f if a.type == kinds.FLOAT else a.i
        elif a.type == kinds.STRING:
            attributes[name] = _text(a.s)
        elif a.type in (kinds.FLOATS, kinds.INTS):
            attributes[name] = list(a.floats if a.type == kinds.FLOATS else a.ints)
        elif a.type == kinds.STRINGS:
            attributes[name] = [_text(s) for s in a.strings]
        else:  # a graph, a sparse tensor, a reference: no operation that is understood has one
            attributes[name] = None
    domain = _text(node.domain)
    return Node(
        _text(node.op_type), inputs, outputs, attributes, _text(node.name), domain * (domain != "ai.onnx")
    )


def array_of(onnx: Any, tensor: Any, beside: Beside) -> Array:
    """Return a tensor as an array; DataError where its dtype is not read, or its size is not what it says.

    float16 and bfloat16 become float32, which holds them exactly.
    """
    name = {number: name for name, number in onnx.TensorProto.DataType.items()}.get(tensor.data_type, "")
    if name not in _KINDS:
        raise DataError(f"is of {name.lower() or tensor.data_type}; weights are of floats")
    dtype, shape = np.dtype(_KINDS[name]), tuple(tensor.dims)
    count = math.prod(shape) if min(shape, default=0) >= 0 else -1
    is_beside = tensor.data_location == onnx.TensorProto.EXTERNAL
    if is_beside or tensor.HasField("raw_data"):
        told = {_text(entry.key): _text(entry.value) for entry in tensor.external_data}
        raw = beside.read(told, max(count, 0) * dtype.itemsize) if is_beside else tensor.raw_data
        if len(raw) != count * dtype.itemsize:
            raise DataError(f"has {len(raw):,} bytes and not those of {name.lower()} {shape}"[:200])
        array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
    else:
        fields = {"FLOAT": tensor.float_data, "DOUBLE": tensor.double_data, "INT64": tensor.int64_data}
        values = fields.get(name, tensor.int32_data)
        if len(values) != count:
            raise DataError(f"has {len(values):,} values and not those of {shape}"[:200])
        array = np.fromiter(values, dtype if name in fields else np.int32, count).astype(dtype, copy=False)
    if name == "FLOAT16":
        array = array.view(np.float16).astype(np.float32)
    elif name == "BFLOAT16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.reshape(shape)
