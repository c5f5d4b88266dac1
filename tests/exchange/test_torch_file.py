"""A run as a file of PyTorch: the printed lines load it and give its numbers; it comes back as it was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import bptt
from bptt import ConfigError, Model, ShapeError, Trained
from bptt.derive.functions import sigmoid, tanh
from bptt.exchange import Content, import_run, read, write
from bptt.exchange.torch_file import lines, modules
from bptt.training.runs.verify import verify
from bptt.types import Params

T, N, V, F = 6, 3, 7, 2


@bptt.cell(state="h c")
def mirrored(a_g, a_o, a_keep, c):  # type: ignore[no-untyped-def]
    """Couple the gates of an LSTM, by other names."""
    keep = sigmoid(a_keep)
    c = keep * c + (1 - keep) * tanh(a_g)
    h = sigmoid(a_o) * tanh(c)
    return h, c


CELLS = ["lstm", "gru", "rnn", "rnn-relu", "lstm-no-bias", "lstm-chrono", "lstm-coupled", "lstm-no-forget"]
CELLS += ["ugrnn", "indrnn"]
SHAPES: list[dict[str, Any]] = [
    {"embedding": 5},
    {"embedding": 4, "tied": True, "output_bias": False, "bias": "two"},
    {"embedding": 8, "tied": True, "layers": 2, "bidirectional": True},
    {"layers": 2, "bias": "none"},
    {"token_inputs": False, "layers": 2, "bidirectional": True, "bias": "two", "loss": "squared_error"},
    {"embedding": 3, "pool": "last", "bidirectional": True, "layers": 2},
    {"embedding": 3, "pool": "last", "features": F},
    {"token_inputs": False, "pool": "mean", "features": F, "layers": 2, "bidirectional": True},
    {"token_inputs": False, "layers": 2, "bidirectional": True, "learn_start": True},
    {"embedding": 3, "features": F, "learn_start": True},
]


def content(cell: Any = "lstm", dtype: Any = np.float32, **shape: Any) -> Content:
    """Return a model, all of whose parameters are large and none of which are equal."""
    model = Model(inputs=V, outputs=V, hidden=4, cell=cell, **shape)
    rng = np.random.default_rng(1)
    params = {name: rng.normal(0, 0.7, of).astype(dtype) for name, of in model.shapes.items()}
    vocabulary = bptt.text.Vocabulary("char", tuple("abcdé\n☃")) if model.token_inputs else None
    return Content(model, params, vocabulary, {})


def run_over(found: Content) -> tuple[dict[str, Any], Any]:
    """Return inputs by the names that the printed lines have for them, and the model's outputs."""
    rng, dtype = np.random.default_rng(2), found.params["layers.0.W"].dtype
    given: dict[str, Any] = {"tokens": rng.integers(V, size=(T, N))}
    given |= {"x": rng.normal(size=(T, N, V)), "features": rng.normal(size=(N, F))}
    given = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in given.items()}
    features: Any = {"features": given["features"]} if found.model.features else {}
    inputs = given["tokens" if found.model.token_inputs else "x"]
    return given, found.model.forward(found.params, inputs, **features).outputs


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", [*CELLS, mirrored], ids=str)
def test_the_printed_lines_load_it_and_give_its_numbers(cell: Any, shape: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    dtype = np.float64 if shape.get("features") else np.float32
    ours, path = content(cell, dtype, **shape), tmp_path / "model.safetensors"
    write(ours, path)
    given, wanted = run_over(ours)
    names: dict[str, Any] = {name: torch.from_numpy(array) for name, array in given.items()}
    exec("\n".join(lines(ours, path)), names)
    found = names["logits" if ours.model.loss == "cross_entropy" else "forecast"].detach().numpy()
    assert found.dtype == dtype
    close = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(
        found, wanted if ours.model.pool is None else wanted[0], atol=close, rtol=close
    )
    with safe_open(path, "numpy") as file:
        told = json.loads(file.metadata()["bptt"])
    assert json.loads(told["modules"]) == modules(ours)
    assert len(lines(ours, path)) <= 9


def trained(folder: Path, ours: Content) -> Trained:
    """Return the model as that of a run."""
    vocabulary = None if ours.model.inputs != ours.model.outputs else ours.vocabulary
    return Trained.load(bptt.save_run(folder, ours.model, ours.params, vocabulary, step=7))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", [*CELLS, mirrored], ids=str)
def test_a_run_comes_back_as_it_was(cell: Any, shape: Any, tmp_path: Path) -> None:
    before = trained(tmp_path / "before", content(cell, **shape))
    write(before, tmp_path / "a.safetensors")
    after = Trained.load(import_run(tmp_path / "a.safetensors", folder=tmp_path / "after"))
    assert (after.step, after.vocabulary, after.settings.hidden) == (7, before.vocabulary, 4)
    assert after.model.stack.cell.name == before.model.stack.cell.name
    assert replace(after.model, cell="lstm") == replace(before.model, cell="lstm")
    assert {finding.state for finding in verify(tmp_path / "after")} == {"whole"}
    assert list(after.params) == list(before.params)
    for name, array in before.params.items():
        assert array.tobytes() == after.params[name].tobytes(), name
        assert array.dtype == after.params[name].dtype


def test_the_same_run_gives_the_same_bytes_and_a_file_is_replaced(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", content())
    path = tmp_path / "a.safetensors"
    path.write_text("older")
    write(run, path)
    before = path.read_bytes()
    write(run, path)
    assert path.read_bytes() == before
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.safetensors", "run"]
    assert str(tmp_path).encode() not in before


def changed(path: Path, **arrays: Any) -> Path:
    """Write the file again with other arrays, or without some, and the same metadata."""
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    now: Params = load_file(path)
    for name, array in arrays.items():
        now.pop(name, None)
        if array is not None:
            now[name] = array
    save_file(now, path, metadata)
    return path


def test_what_was_trained_further_elsewhere_is_another_cell(tmp_path: Path) -> None:
    ours = content("lstm-coupled", embedding=4, tied=True)
    run = trained(tmp_path / "run", ours)
    run = replace(run, settings=replace(run.settings, lr=0.25))
    write(run, path := tmp_path / "a.safetensors")
    arrays: Any = load_file(path)
    arrays["rnn.weight_ih_l0"][0, 0] += 1
    arrays["rnn.bias_hh_l0"][3] += 1
    arrays["output.weight"][2, 1] += 1
    after = Trained.load(import_run(changed(path, **arrays), folder=tmp_path / "after"))
    model = after.model
    assert (model.stack.cell.name, model.bias, model.tied) == ("lstm", "two", False)
    assert (after.settings.embedding, after.settings.lr) == (4, 0.25)
    given, _ = run_over(ours)
    torch = pytest.importorskip("torch")
    names: dict[str, Any] = {"tokens": torch.from_numpy(given["tokens"])}
    exec("\n".join(line for line in lines(ours, path) if "net.output.weight" not in line), names)
    found = model.forward(after.params, given["tokens"]).outputs
    np.testing.assert_allclose(found, names["logits"].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"rnn.weight_hh_l0": None}, r"pytorch lstm: the arrays must be weight_ih, weight_hh"),
        ({"embedding.weight": None}, r"it has no embedding\.weight, which its notes speak of"),
        ({"output.bias": None}, r"it has no output\.bias"),
        ({"more.weight": np.ones((2, 2), np.float32)}, r"it has more\.weight, which its notes do not"),
        ({"rnn.weight_hh_l1": np.ones((16, 4), np.float32)}, r"it has rnn\.weight_hh_l1, which its notes do"),
        ({"output.weight": np.ones((7, 5), np.float32)}, r"output\.W must be \(4, 7\), got \(5, 7\)"),
        ({"embedding.weight": np.ones((8, 5), np.float32)}, r"embedding must be \(7, 5\), got \(8, 5\)"),
        ({"embedding.weight": np.ones(8, np.float32)}, r"embedding must be \(7, 5\), got \(8,\)"),
        (
            {"rnn.weight_ih_l0": np.ones((16, 6), np.float32)},
            r"layers\.0\.W must be \(5, 16\), got",
        ),
    ],
)
def test_weights_that_are_missing_added_or_of_other_shapes(arrays: Any, says: str, tmp_path: Path) -> None:
    write(trained(tmp_path / "run", content(embedding=5)), path := tmp_path / "a.safetensors")
    with pytest.raises((ShapeError, ConfigError), match=says) as error:
        read(changed(path, **arrays))
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_cell_that_pytorch_does_not_have_is_refused_with_the_way_out(tmp_path: Path) -> None:
    for cell, way in [
        ("slstm", "ONNX holds any cell"),
        ("gru-cho", "--to keras has it"),
        ("mgu", "--to keras"),
    ]:
        with pytest.raises(ConfigError, match=f"PyTorch has no {cell}: .*{way}"):
            write(content(cell), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_file_that_says_what_it_is_wants_nothing_told(tmp_path: Path) -> None:
    write(trained(tmp_path / "run", content()), path := tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match="it says itself which model it holds"):
        read(path, cell="gru")
    with pytest.raises(ConfigError, match="for the state of a PyTorch module; ONNX's files say"):
        read(path, "onnx", numbers=True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_model_from_python_goes_out_and_comes_back(shape: Any, tmp_path: Path) -> None:
    ours, path = content("ugrnn", **shape), tmp_path / "a.safetensors"
    write(ours, path)
    found = read(path)
    assert replace(found.model, cell="ugrnn") == ours.model
    assert found.vocabulary == ours.vocabulary
    assert all(array.tobytes() == found.params[name].tobytes() for name, array in ours.params.items())


@pytest.mark.parametrize("end", ["safetensors", "onnx", "keras"])
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_a_projected_output_goes_out_as_one_matrix(end: str, tied: bool, tmp_path: Path) -> None:
    if end == "keras":
        pytest.importorskip("h5py")
    ours, path = content(embedding=3, projection=3, tied=tied), tmp_path / f"a.{end}"
    _, wanted = run_over(ours)
    both: list[Content | Trained] = [ours, trained(tmp_path / "run", ours)]
    for number, given in enumerate(both):
        write(given, path)
        found = read(path)
        assert (found.model.projection, found.model.tied) == (None, False)
        np.testing.assert_allclose(run_over(found)[1], wanted, rtol=0, atol=1e-5)
        again = import_run(path, folder=tmp_path / str(number))
        assert Trained.load(again).model.shapes == found.model.shapes
