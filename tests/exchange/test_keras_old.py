"""Files of Keras 2, whose arrays are by the layers' names: whole models, and arrays alone."""

import io
import json
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import BpttWarning, ConfigError, DataError
from bptt.exchange.content import Content
from bptt.exchange.keras_file import layers, read, write
from bptt.exchange.keras_model.hdf5 import Tree
from bptt.types import Array

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 9, size=(5, 2))


def arrays(*shapes: tuple[int, ...]) -> list[Array]:
    return [RNG.normal(scale=0.5, size=shape).astype(np.float32) for shape in shapes]


LAYERS: dict[str, dict[str, Array]] = {
    "words": {"embeddings": arrays((9, 4))[0]},
    "lstm_1": dict(zip(("kernel", "recurrent_kernel", "bias"), arrays((4, 20), (5, 20), (20,)), strict=True)),
    "dropout_1": {},
    "dense_1": dict(zip(("kernel", "bias"), arrays((5, 9), (9,)), strict=True)),
}
RECURRENT = {"units": 5, "activation": "tanh", "use_bias": True, "return_sequences": True}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "words": ("Embedding", {"input_dim": 9, "output_dim": 4, "mask_zero": False}),
    "lstm_1": ("LSTM", RECURRENT | {"recurrent_activation": "hard_sigmoid", "implementation": 1}),
    "dropout_1": ("Dropout", {"rate": 0.2}),
    "dense_1": ("TimeDistributed", {"layer": {"class_name": "Dense", "config": {"activation": "softmax"}}}),
}


def save(path: Path, config: dict[str, Any] | None, given: dict[str, dict[str, Array]] = LAYERS) -> None:
    """Write a file as Keras 2 does: a model below ``model_weights``, arrays alone at the root."""
    with h5py.File(path, "w") as file:
        root = file if config is None else file.create_group("model_weights")
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
            file.attrs["keras_version"] = b"2.1.6"
            training = {"loss": "sparse_categorical_crossentropy", "optimizer_config": {}}
            file.attrs["training_config"] = json.dumps(training).encode()
        root.attrs["layer_names"] = [name.encode() for name in given]
        for layer, own in given.items():
            group = root.create_group(layer)
            names = [f"{layer}/{name}:0".encode() for name in own]
            group.attrs["weight_names"] = np.array(names) if names else names
            for name, array in own.items():
                group[f"{layer}/{name}:0"] = array


def described(name: str) -> dict[str, Any]:
    kind, config = CONFIGS[name]
    return {"class_name": kind, "config": {"name": name, "trainable": True} | config}


LISTED = {"class_name": "Sequential", "config": [described(name) for name in CONFIGS]}
CALLS = dict(zip(CONFIGS, ["input_1", *CONFIGS], strict=False))
FUNCTIONAL = {
    "class_name": "Model",
    "config": {
        "name": "model_1",
        "layers": [
            {
                "name": "input_1",
                "class_name": "InputLayer",
                "config": {"name": "input_1"},
                "inbound_nodes": [],
            },
            *(described(n) | {"name": n, "inbound_nodes": [[[CALLS[n], 0, 0, {}]]]} for n in CONFIGS),
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["dense_1", 0, 0]],
    },
}


def hard_sigmoid(a: Array) -> Array:
    return np.clip(0.2 * a + 0.5, 0, 1)


def logits() -> Array:
    """Return what the model gives, computed as Keras 2 does."""
    own = LAYERS["lstm_1"]
    h = c = np.zeros((2, 5), np.float32)
    outputs = []
    for tokens in TOKENS:
        a = LAYERS["words"]["embeddings"][tokens] @ own["kernel"] + h @ own["recurrent_kernel"] + own["bias"]
        i, f, g, o = np.split(a, 4, axis=1)
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(g)
        h = hard_sigmoid(o) * np.tanh(c)
        outputs.append(h @ LAYERS["dense_1"]["kernel"] + LAYERS["dense_1"]["bias"])
    return np.stack(outputs)


@pytest.mark.parametrize("config", [LISTED, FUNCTIONAL], ids=["listed", "functional"])
def test_a_whole_model_is_read(tmp_path: Path, config: dict[str, Any]) -> None:
    save(tmp_path / "a.h5", config)
    content = read(tmp_path / "a.h5")
    assert content.model.stack.cell.name == "lstm-tanh-hard-sigmoid"
    assert (content.model.loss, content.model.dropout) == ("cross_entropy", 0.2)
    outputs = content.model.forward(content.params, TOKENS).outputs
    np.testing.assert_allclose(outputs, logits(), atol=1e-5)


def test_it_can_be_kept_as_a_run(tmp_path: Path) -> None:
    """The cell is made of equations, which a run keeps."""
    save(tmp_path / "a.h5", LISTED)
    content = read(tmp_path / "a.h5")
    folder = bptt.save_run(tmp_path / "run", content.model, content.params)
    kept = bptt.Trained.load(folder)
    np.testing.assert_allclose(kept.model.forward(kept.params, TOKENS).outputs, logits(), atol=1e-5)


def test_arrays_alone_are_in_the_layers_order(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", None)
    with pytest.warns(BpttWarning, match="it has arrays alone"):
        content = read(tmp_path / "a.h5")
    model = content.model
    assert (model.stack.cell.name, model.embedding, model.pool) == ("lstm", 4, None)
    np.testing.assert_array_equal(content.params["layers.0.b"][10:15], LAYERS["lstm_1"]["bias"][15:])


def test_what_is_usual_is_not_guessed_of_layers_without_arrays(tmp_path: Path) -> None:
    save(
        tmp_path / "a.h5", None, {"lstm_1": LAYERS["lstm_1"], "attention_1": {}, "dense_1": LAYERS["dense_1"]}
    )
    with pytest.raises(ConfigError, match="attention_1 has no place"):
        read(tmp_path / "a.h5")
    (layer,) = layers(tmp_path / "a.h5")
    assert layer.hidden == 5


@pytest.mark.parametrize(("change", "says"), [(-1, "should have 3"), (1, "an array .*extra.* does not")])
def test_missing_and_extra_arrays_are_one_line(tmp_path: Path, change: int, says: str) -> None:
    own = dict(LAYERS["lstm_1"])
    if change < 0:
        del own["bias"]
    else:
        own["extra"] = own["bias"]
    save(tmp_path / "a.h5", LISTED, LAYERS | {"lstm_1": own})
    with pytest.raises(DataError, match=says):
        read(tmp_path / "a.h5")


def test_texts_that_say_they_are_huge_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.h5", LISTED)
    monkeypatch.setattr("bptt.exchange.keras_model.hdf5.TEXT_LIMIT", 40)
    says = "its weight_names would have 3 texts of 25 bytes, which are not read"
    with (
        tmp_path.joinpath("a.h5").open("rb") as file,
        Tree(file, 1) as tree,
        pytest.raises(DataError, match=says),
    ):
        tree.texts("weight_names", "model_weights/lstm_1")


@pytest.mark.parametrize("alone", [False, True])
def test_paths_may_be_joined_as_windows_does(tmp_path: Path, alone: bool) -> None:
    """Keras 2.15 there wrote ``layers\\lstm\\cell/vars/0``, a group at the root."""
    model = bptt.Model(inputs=7, outputs=7, hidden=5, embedding=4)
    write(Content(model, model.init(RNG), None, {}), tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    file = io.BytesIO()
    with h5py.File(io.BytesIO(found["model.weights.h5"])) as read_, h5py.File(file, "w") as root:
        for part in ("embedding", "lstm", "lstm/cell", "dense"):
            read_.copy(
                f"layers/{part}/vars", root.create_group("\\".join(["layers", *part.split("/")])), "vars"
            )
    path = tmp_path / ("b.weights.h5" if alone else "b.keras")
    if alone:
        path.write_bytes(file.getvalue())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (found | {"model.weights.h5": file.getvalue()}).items():
                archive.writestr(name, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BpttWarning)
        content, wanted = read(path), read(tmp_path / "a.keras")
        (layer,) = layers(path)
    for name, array in wanted.params.items():
        np.testing.assert_array_equal(content.params[name], array)
    assert layer.hidden == 5


def grown(path: Path) -> float:
    """Return how much memory, in GB, it takes to see that a file is damaged."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="no whole file of HDF5"):
        read(path)
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="memory is held within bounds on Linux")
def test_a_text_that_says_it_has_4_gb_takes_little_memory(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", LISTED)
    length = len(json.dumps(LISTED)).to_bytes(4, "little")
    data = tmp_path.joinpath("a.h5").read_bytes()
    tmp_path.joinpath("a.h5").write_bytes(data.replace(length, b"\xf0\xff\xff\xff"))
    assert grown(tmp_path / "a.h5") < 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="memory is held within bounds on Linux")
def test_a_piece_that_becomes_large_takes_little_memory(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", LISTED)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file["model_weights/words/words"]
        del group["embeddings:0"]
        made = group.create_dataset("embeddings:0", (9, 4), "f4", chunks=(9, 4), compression="gzip")
        packer = zlib.compressobj(1)
        parts = [packer.compress(bytes(1 << 20)) for _ in range(400)]
        try:
            made.id.write_direct_chunk((0, 0), b"".join([*parts, packer.flush()]))
        except OSError:
            pytest.skip("this version of HDF5 has no such pieces")
    assert grown(tmp_path / "a.h5") < 0.5
