"""Files that are cut, changed or hostile: one line each, in little memory; nothing of them is run."""

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import BpttError, ConfigError, DataError
from bptt.data.text import Vocabulary
from bptt.exchange import onnx_file
from bptt.exchange.content import Content
from bptt.exchange.graphs import protobuf
from onnx_graphs import network

onnx = pytest.importorskip("onnx")


def whole(cell: str = "lstm", **options: Any) -> bytes:
    """Return a small file."""
    model, params = network(cell, hidden=2, inputs=3, outputs=3, embedding=2, **options)
    about = Content(model, params, Vocabulary.build("abc", "char"), {"source": "run-1"})
    path = Path(os.devnull)
    with pytest.MonkeyPatch.context() as patch:
        kept: list[bytes] = []
        patch.setattr(onnx_file, "write_atomically", lambda path, data: kept.append(data))
        onnx_file.write(about, path)
    return kept[0]


def why(path: Path, data: bytes) -> str:
    """Return in which line a file is refused; "" where it is read."""
    path.write_bytes(data)
    try:
        onnx_file.read(path)
    except BpttError as error:
        said = str(error)
        assert "\n" not in said
        assert said.startswith(f"{path}: ")
        assert len(said) < len(str(path)) + 400, said
        return said.removeprefix(f"{path}: ")
    return ""


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = whole()
    assert why(tmp_path / "a.onnx", data) == ""
    for length in (*range(0, len(data), 7), *range(len(data) - 300, len(data))):  # the metadata are the end
        said = why(tmp_path / "a.onnx", data[:length])
        assert any(word in said for word in ("cut short", "its opset is none")), length


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "lstm-peephole", "lstm-coupled"])
def test_a_file_with_changed_bytes_is_refused_in_a_line_or_read(tmp_path: Path, cell: str) -> None:
    data, rng = whole(cell, bidirectional=True, pool="mean"), np.random.default_rng(0)
    read = 0
    for _ in range(80):
        changed, at = bytearray(data), int(rng.integers(len(data)))
        changed[at : at + int(rng.integers(3))] = rng.bytes(int(rng.integers(1, 4)))
        read += why(tmp_path / "a.onnx", bytes(changed)) == ""
    assert read < 80


def changed(change: Callable[[Any], None], cell: str = "lstm", **options: Any) -> bytes:
    model = onnx.load_model_from_string(whole(cell, **options))
    change(model)
    data: bytes = model.SerializeToString()
    return data


def about(**values: str | None) -> Callable[[Any], None]:
    """Change the metadata."""

    def change(model: Any) -> None:
        kept = {entry.key: entry.value for entry in model.metadata_props} | values
        onnx.helper.set_model_props(model, {key: value for key, value in kept.items() if value is not None})

    return change


def described(**values: Any) -> Callable[[Any], None]:
    """Change the model's description."""

    def change(model: Any) -> None:
        kept = {entry.key: entry.value for entry in model.metadata_props}
        about(model=json.dumps(json.loads(kept["model"]) | values))(model)

    return change


def array(name: str, value: Any) -> Callable[[Any], None]:
    """Change an array; None takes it away."""

    def change(model: Any) -> None:
        (at,) = (k for k, tensor in enumerate(model.graph.initializer) if tensor.name == name)
        del model.graph.initializer[at]
        if value is not None:
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))

    return change


def tensor(**values: Any) -> Callable[[Any], None]:
    """Change the fields of the embedding."""

    def change(model: Any) -> None:
        (it,) = (tensor for tensor in model.graph.initializer if tensor.name == "embedding")
        for name, value in values.items():
            it.ClearField(name)
            if isinstance(value, list):
                getattr(it, name).extend(value)
            else:
                setattr(it, name, value)

    return change


def opset(version: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.opset_import[0].version = version

    return change


ones = np.ones((3, 2), np.float32)
EXTERNAL = onnx.TensorProto.EXTERNAL
CELL = {"name": "lstm", "equations": "import os"}
REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "an opset of the past": (opset(6), r"its opset is 6; those from 7 to \d+ are read"),
    "one of the future": (opset(1000), "its opset is 1000"),
    "another format": (about(bptt="2"), "it has format '2'; this version of bptt reads format 1"),
    "no metadata": (about(bptt=None), "its metadata are gone: it is cut short, or was changed"),
    "no description": (about(model=None), "its metadata describe no model$"),
    "a description that is none": (about(model="[]"), "its metadata describe no model: Expected `object`"),
    "of a later version": (described(more=1), "describe no model: Object contains unknown field `more`"),
    "another type": (described(hidden="4"), "describe no model: Expected `int`, got `str`"),
    "another size": (described(hidden=3), "its weights|must be"),
    "a huge size": (described(hidden=1 << 60), "must be"),
    "many layers": (described(layers=1 << 40), "layers must be at most 1,000"),
    "another cell": (
        described(cell={"name": "slstm"}),
        "describe no model: no cell of bptt is called 'slstm'",
    ),
    "equations that are none": (
        described(cell=CELL),
        "describe no model: its equations:1: lstm: the equations are one function",
    ),
    "another vocabulary": (
        about(vocabulary='{"kind": "char", "tokens": ["a"]}'),
        "its vocabulary has 1 tokens",
    ),
    "a damaged vocabulary": (about(vocabulary='{"kind": "char"}'), "vocabulary: want"),
    "no weights": (array("layers.0.R", None), "it has no array 'layers.0.R'"),
    "another shape": (array("embedding", ones.T), r"embedding must be \(3, 2\), got \(2, 3\)"),
    "another shape of a layer": (array("layers.0.W", ones), "must have 1 directions as its first axis"),
    "a number": (array("layers.0.W", np.float32(1)), "must have 1 directions as its first axis"),
    "integers": (array("embedding", ones.astype(np.int64)), "embedding is int64; weights are float32"),
    "complex numbers": (array("embedding", ones.astype(np.complex64)), "embedding is of complex64"),
    "no numbers": (array("embedding", ones * np.nan), "embedding holds what is not finite"),
    "infinite ones": (array("layers.0.B", np.full((1, 16), np.inf, np.float32)), "what is not finite"),
    "another file": (
        tensor(data_location=EXTERNAL),
        "embedding lies in another file, '', and what",
    ),
    "too few bytes": (tensor(raw_data=b"1234"), r"embedding has 4 bytes and not those of float \(3, 2\)"),
    "a huge array": (tensor(dims=[1 << 40, 1 << 40]), r"embedding has 24 bytes and not those of float"),
    "less than nothing": (tensor(dims=[-3, -2]), r"embedding has 24 bytes and not those of"),
    "a type that is none": (tensor(data_type=99), "embedding is of 99; weights are of floats"),
}


@pytest.mark.parametrize(("change", "match"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_as_it_was_is_said(tmp_path: Path, change: Callable[[Any], None], match: str) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(changed(change))
    with pytest.raises(BpttError, match=match):
        onnx_file.read(path)
    assert why(path, path.read_bytes())


def test_gates_that_are_not_coupled_are_no_coupled_lstm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    change = array("layers.0.W", rng.normal(size=(1, 8, 2)).astype(np.float32))
    said = why(tmp_path / "a.onnx", changed(change, "lstm-coupled"))
    assert said == "its weights are not those that a lstm-coupled has in ONNX"


def test_values_that_stand_one_by_one_are_read_as_bytes_are(tmp_path: Path) -> None:
    values = tensor(raw_data=b"", float_data=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])

    def change(model: Any) -> None:
        values(model)
        (it,) = (tensor for tensor in model.graph.initializer if tensor.name == "embedding")
        it.ClearField("raw_data")

    path = tmp_path / "a.onnx"
    path.write_bytes(changed(change))
    assert onnx_file.read(path).params["embedding"].tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(("op", "options"), [("Concat", {"axis": 0}), ("Cast", {"to": 11}), ("Neg", {})])
def test_constants_are_not_computed_beyond_what_is_in_the_file(
    tmp_path: Path, op: str, options: dict[str, int]
) -> None:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    count = 1 + (op == "Concat")
    nodes = [helper.make_node(op, [f"x{k}"] * count, [f"x{k + 1}"], **options) for k in range(400)]
    nodes.append(helper.make_node("Concat", [f"x{k}" for k in range(401)], ["x"], axis=0))
    nodes.append(helper.make_node("LSTM", ["x", "x0", "x0"], ["y"]))
    start = onnx.numpy_helper.from_array(np.ones((1 << 18, 1, 1), np.float32), "x0")
    ports = [helper.make_tensor_value_info("y", kind, None)]
    model = helper.make_model(helper.make_graph(nodes, "g", [], ports, [start]))
    model.opset_import[0].version = 22
    tracemalloc.start()
    said = why(tmp_path / "a.onnx", model.SerializeToString())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said == "the node LSTM is not understood: it reads no sequence of vectors"
    assert most < 1 << 27


def test_what_is_no_file_of_onnx_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"", b"PK\x03\x04rest", b"\x80\x04}.", b"garbage" * 100, b"\x0a" * 5000, b"\x3a\x7f" * 5000):
        assert "it is no ONNX file, or is cut short" in why(tmp_path / "a.onnx", data)
    with pytest.raises(DataError, match=r"cannot read .*: it is a folder, not a file"):
        onnx_file.read(tmp_path)
    with pytest.raises(DataError, match=r"cannot read .*: No such file"):
        onnx_file.read(tmp_path / "none.onnx")
    (tmp_path / "a.onnx").write_bytes(whole())
    monkeypatch.setattr(protobuf, "LIMIT", 1000)
    with pytest.raises(DataError, match=r"cannot read .*: it has [\d,]+ bytes, more than the 1,000"):
        onnx_file.read(tmp_path / "a.onnx")
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ConfigError, match="pip install 'bptt\\[onnx\\]'"):
        onnx_file.read(tmp_path / "a.onnx")
