"""A model as an ONNX graph: onnxruntime gives the model's numbers, and the file is read as the same bits."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import Batch, ConfigError, Model, RunError, ShapeError
from bptt.cells import CELLS, States
from bptt.data.text import Vocabulary
from bptt.derive import EquationCell, read
from bptt.exchange import onnx_file
from bptt.exchange.content import Content
from bptt.exchange.graphs import protobuf
from bptt.types import Array, Dtype
from bptt.zoo.equations import ZOO
from onnx_graphs import LENGTHS, H, N, T, given, network, nodes, ran, same, written

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BOTH: dict[str, Any] = {"layers": 2, "bidirectional": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "one bias": {},
    "no bias": {"bias": "none", "output_bias": False},
    "two biases, two layers, both directions": BOTH | {"bias": "two"},
    "one-hot, the states after it": BOTH | {"embedding": None, "pool": "last"},
    "real inputs, the mean": {
        "token_inputs": False,
        "embedding": None,
        "pool": "mean",
        "loss": "squared_error",
    },
    "a tied matrix": {"embedding": H, "tied": True},
}


STRANGE = """
@bptt.cell(state="m y", params="u", operand={"a_n": "q"})
def strange(a_r, a_n, x_s, m, y, u, keep=0.9):
    r, s = sigmoid(a_r), softplus(x_s)
    q = r * m + u * y
    m = where(s > keep, tanh(a_n), keep * tanh(m) - 1 / (1 + s**2 + abs(y)))
    y = log(sigmoid(9 * a_r)) / 9 + max(tanh(y), m)
    return m, y
"""
"""All at once: an operand, a unit's weight, a part of x alone, a constant, a sigmoid near zero."""

OTHER_WORDS = """
@bptt.cell(state="out cell")
def other_words(a_new, a_keep, cell, a_show):
    keep = sigmoid(a_keep)
    cell = cell * keep + tanh(a_new) * (1 - keep)
    out = tanh(cell) * sigmoid(a_show)
    return out, cell
"""
strange, other_words = EquationCell(read(STRANGE)), EquationCell(read(OTHER_WORDS))


def same_numbers(
    folder: Path, cell: Any, dtype: Dtype = np.float32, *, lengths: bool | None = None, **options: Any
) -> Path:
    """Compare outputs and states with the model's, and return the file."""
    (model, params), rng = network(cell, dtype, **options), np.random.default_rng(1)
    path = written(folder, model, params, lengths=lengths)
    onnx.shape_inference.infer_shapes(onnx.load(path), check_type=True, strict_mode=True, data_prop=True)
    x, states = given(model, rng, dtype)
    feeds, mask = {"tokens" if model.token_inputs else "inputs": x} | states, None
    if lengths or (lengths is None and (model.pool or model.bidirectional)):
        feeds["lengths"], mask = LENGTHS, np.arange(T)[:, None] < LENGTHS
    found, run = ran(path, feeds), model.forward(params, Batch(x, mask=mask), states)
    most = 1e-5 if dtype == np.float32 else 1e-12
    outputs = "logits" if model.loss == "cross_entropy" else "outputs"
    assert list(found) == [outputs, *(f"{name}_next" for name in states)]
    assert found[outputs].shape == run.outputs.shape
    assert np.abs(found[outputs] - run.outputs).max() < most
    for name, state in run.state.items():
        assert np.abs(found[f"{name}_next"] - state).max() < most, name
    back = onnx_file.read(path)
    assert replace(back.model, cell=model.cell) == model
    assert same(back.params, params)
    assert all(array.flags.writeable for array in back.params.values())
    return path


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("cell", [*dict.fromkeys((*CELLS, *ZOO)), strange], ids=str)
def test_onnxruntime_gives_the_model_s_numbers(tmp_path: Path, cell: Any, options: dict[str, Any]) -> None:
    same_numbers(tmp_path, cell, **options)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru-cho", "slstm", strange], ids=str)
def test_double_precision_is_equations(tmp_path: Path, cell: Any) -> None:
    path = same_numbers(tmp_path, cell, np.float64, bias="two", **BOTH)
    assert nodes(path).count("Scan") == 4


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
@pytest.mark.parametrize("lengths", [False, True])
def test_lengths_are_taken_where_they_are_asked_for(tmp_path: Path, cell: str, lengths: bool) -> None:
    path = same_numbers(tmp_path, cell, lengths=lengths, pool="mean")
    assert ("lengths" in {value.name for value in onnx.load(path).graph.input}) == lengths


@pytest.mark.parametrize("cell", ["lstm", "gru", "mgu"])
def test_step_by_step_is_the_whole(tmp_path: Path, cell: str) -> None:
    model, params = network(cell, layers=2)
    path, (x, states) = written(tmp_path, model, params), given(model, np.random.default_rng(1))
    whole, names = ran(path, {"tokens": x} | states), list(states)
    for t in range(T):
        found = ran(path, {"tokens": x[t : t + 1]} | states)
        assert np.abs(found["logits"][0] - whole["logits"][t]).max() < 1e-6
        states = {name: found[f"{name}_next"] for name in names}


@pytest.mark.parametrize("cell", ["lstm", "slstm"])
def test_sequences_begin_with_features_or_go_on(tmp_path: Path, cell: str) -> None:
    model, params = network(cell, features=6, **BOTH)
    path, rng = written(tmp_path, model, params), np.random.default_rng(1)
    x, states = given(model, rng)
    features = rng.normal(size=(N, 6)).astype(np.float32)
    feeds = {"tokens": x, "features": features, "lengths": LENGTHS} | states
    mask = np.arange(T)[:, None] < LENGTHS
    begun = model.forward(params, Batch(x, mask=mask, features=features))
    gone = model.forward(params, Batch(x, mask=mask), states)
    for begins in (np.array([True, False, True]), np.zeros(N, bool)):
        found = ran(path, feeds | {"begins": begins})
        wanted = np.where(begins[:, None], begun.outputs, gone.outputs)
        assert np.abs(found["logits"] - wanted).max() < 1e-5
        for name, state in gone.state.items():
            wanted = np.where(begins[:, None], begun.state[name], state)
            assert np.abs(found[f"{name}_next"] - wanted).max() < 1e-5


BEGUN = OTHER_WORDS.replace('cell")', 'cell", start={"cell": 0.5, "out": -1.0})')


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        ("lstm", BOTH | {"learn_start": True}),
        ("slstm", BOTH | {"learn_start": True}),
        ("gru", {"learn_start": True, "features": 6}),
        (EquationCell(read(BEGUN)), BOTH),
    ],
    ids=["operator", "scan", "features", "the cell's own"],
)
def test_sequences_begin_at_their_starts_or_go_on(tmp_path: Path, cell: Any, shape: dict[str, Any]) -> None:
    model, params = network(cell, **shape)
    path, rng = written(tmp_path, model, params, lengths=False), np.random.default_rng(1)
    x, states = given(model, rng)
    told: dict[str, Any] = {"features": rng.normal(size=(N, 6)).astype(np.float32)} if model.features else {}
    begun, gone = model.forward(params, x, **told), model.forward(params, Batch(x), states)
    begins = np.array([True, False, True])
    found = ran(path, {"tokens": x, "begins": begins} | told | states)
    for name, first, later in (
        ("logits", begun.outputs, gone.outputs),
        *((f"{s}_next", begun.state[s], state) for s, state in gone.state.items()),
    ):
        assert np.abs(first - later)[..., begins, :].max() > 1e-3
        wanted = np.where(begins[:, None], first, later)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-5)
    assert same(onnx_file.read(path).params, params)


def test_a_cell_is_an_operator_where_there_is_one(tmp_path: Path) -> None:
    found = {cell: nodes(written(tmp_path, *network(cell))) for cell in (*CELLS, *ZOO, other_words)}
    scans = ["indrnn", "lstm-no-forget", "slstm", "ugrnn"]
    assert [cell for cell in found if "Scan" in found[cell]] == scans
    assert [cell for cell in found if "RNN" in found[cell]] == ["rnn", "rnn-relu"]
    assert [cell for cell in found if "GRU" in found[cell]] == ["gru", "gru-cho", "mgu"]
    layer = ["Gather", "Unsqueeze", "Unsqueeze", "LSTM", "Squeeze", "Squeeze", "Squeeze"]
    assert found["lstm"] == [*layer, "MatMul", "Add", "Identity", "Identity"]
    same_numbers(tmp_path, other_words, bias="two", **BOTH)


def test_the_file_has_all_that_is_known(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build("hé\ud7ffllo\n", "char")
    model, params = network("mgu", inputs=6, outputs=6)
    path = tmp_path / "a.onnx"
    for _ in range(2):
        onnx_file.write(Content(model, params, vocabulary, {"source": "run-1", "run": "{}"}), path)
        data = path.read_bytes()
    assert data == path.read_bytes()  # the same again
    back = onnx_file.read(path)
    assert back.vocabulary == vocabulary
    assert back.notes == {"source": "run-1", "run": "{}"}
    file = onnx.load(path)
    assert (file.ir_version, [opset.version for opset in file.opset_import]) == (10, [22])
    about = {entry.key: entry.value for entry in file.metadata_props}
    assert (about["start"], about["end"]) == ("0", "null")
    assert "def mgu(a_f, a_n, h):" in about["model"]
    assert [entry.name for entry in [*tmp_path.iterdir()]] == ["a.onnx"]


class Own(type(CELLS["rnn"])):  # type: ignore[misc]
    """A class of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "own"

    def forward(self, a: Array, states: States) -> Any:
        (h,), cache = super().forward(a, states)
        return (h * h,), cache


def test_what_no_graph_holds_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"as it was")

    def refused(model: Model, params: Any, error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            onnx_file.write(Content(model, params, None, {}), path)
        assert path.read_bytes() == b"as it was"

    model, params = network()
    refused(*network(Own()), ConfigError, "own is a class of its own")
    mixed = params | {"output.b": params["output.b"].astype(np.float64)}
    refused(model, mixed, ConfigError, "all float32 or all float64; got float32, float64")
    refused(model, params | {"output.b": np.ones(3)}, ShapeError, r"output.b must be \(7,\), got \(3,\)")
    with pytest.raises(RunError, match="cannot write"):
        onnx_file.write(Content(model, params, None, {}), tmp_path / "no" / "a.onnx")
    named = EquationCell(read("def named(a_i): return tanh(a_i), a_i", options={"state": "h b"}))
    refused(*network(named), ConfigError, "layers.0.b would be the name of two values")
    monkeypatch.setattr(protobuf, "LIMIT", 1 << 24)
    refused(model, params, ConfigError, "the model has [0-9,]+ bytes, and an ONNX file by itself at most")
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused(model, params, ConfigError, r"want the package onnx: pip install 'bptt\[onnx\]'")
