"""What is written is opened by Keras, with the numbers here; read again it is the same model, to the bit."""

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive.functions import tanh
from bptt.errors import ConfigError
from bptt.exchange.content import Content
from bptt.exchange.keras_file import read, write
from bptt.exchange.keras_model.writing import PADDING, is_masked
from bptt.types import Array, Params
from bptt.zoo import record

pytest.importorskip("h5py")
CELLS = ["lstm", "gru", "gru-cho", "rnn", "rnn-relu", "lstm-no-bias", "lstm-coupled", "lstm-no-forget"]
CELLS += ["ugrnn", "mgu", "indrnn"]


@bptt.cell(state="h", start={"h": 0.5})
def begun(a_h, h):  # type: ignore[no-untyped-def]
    """Start at a half."""
    return tanh(a_h)


TAGGER: dict[str, Any] = {"inputs": 7, "outputs": 3, "hidden": 5, "embedding": 4, "layers": 2}
TAGGER |= {"bidirectional": True, "dropout": 0.1, "input_dropout": 0.2}
FORMS: dict[str, dict[str, Any]] = {
    "text": {"inputs": 7, "outputs": 7, "hidden": 5, "embedding": 4},
    "one-hot": {"inputs": 7, "outputs": 7, "hidden": 5, "layers": 2},
    "tied": {"inputs": 7, "outputs": 7, "hidden": 5, "embedding": 5, "tied": True},
    "tags": TAGGER,
    "class": TAGGER | {"pool": "last"},
    "one-hot class": {"inputs": 7, "outputs": 3, "hidden": 5, "pool": "mean"},
    "series": {"inputs": 4, "outputs": 2, "hidden": 5, "token_inputs": False, "loss": "squared_error"},
    "measured": {"inputs": 4, "outputs": 2, "hidden": 5, "token_inputs": False, "pool": "mean"},
    "no output bias": {"inputs": 7, "outputs": 7, "hidden": 5, "embedding": 4, "output_bias": False},
}


def random(model: bptt.Model, dtype: Any = np.float32) -> Params:
    """Return asymmetric weights, and biases that are not zero."""
    rng = np.random.default_rng(3)
    drawn = model.init(rng, dtype)
    return {name: (a + rng.normal(scale=0.3, size=a.shape)).astype(dtype) for name, a in drawn.items()}


def sequences(model: bptt.Model) -> tuple[Array, Array | None, Array]:
    """Return inputs (T, N), their mask, and what Keras is given, (N, T)."""
    rng, (T, N) = np.random.default_rng(4), (6, 3)
    x = rng.integers(model.inputs, size=(T, N))
    if not model.token_inputs:
        x = rng.normal(size=(T, N, model.inputs)).astype(np.float32)
    if not is_masked(model):
        return x, None, x.swapaxes(0, 1)
    mask = np.arange(T)[:, None] < [4, 3, 6]
    if model.token_inputs:
        return x, mask, ((x + 1) * mask).swapaxes(0, 1)
    return x, mask, np.where(mask[..., None], x, np.float32(PADDING)).swapaxes(0, 1)


def expect_keras_gives(path: Path, model: bptt.Model, params: Params) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    x, mask, theirs = sequences(model)
    wanted = model.forward(params, x, mask=mask).outputs
    opened = keras.saving.load_model(path)
    weights = path.with_name("run.weights.h5")
    write(Content(model, params, None, {}), weights)
    again = keras.models.clone_model(opened)
    again.load_weights(weights)
    for made in (opened, again):
        got = np.asarray(made(theirs).detach())
        got = got[None] if model.pool else got.swapaxes(0, 1)
        counts = np.ones(got.shape[:2], bool) if model.pool or mask is None else mask
        np.testing.assert_allclose(got[counts], wanted[counts], atol=1e-5)


@pytest.mark.parametrize("bias", ["none", "one", "two"])
@pytest.mark.parametrize("cell", CELLS)
def test_keras_opens_each_cell(tmp_path: Path, cell: str, bias: Any) -> None:
    model = bptt.Model(**FORMS["class"], cell=cell, bias=bias)
    params = random(model)
    write(Content(model, params, None, {}), tmp_path / "run.keras")
    expect_keras_gives(tmp_path / "run.keras", model, params)


@pytest.mark.parametrize("form", FORMS)
def test_keras_opens_each_form_of_model(tmp_path: Path, form: str) -> None:
    model = bptt.Model(**FORMS[form], cell="gru")
    params = random(model)
    write(Content(model, params, None, {}), tmp_path / "run.keras")
    expect_keras_gives(tmp_path / "run.keras", model, params)


def test_float64_stays_float64(tmp_path: Path) -> None:
    model = bptt.Model(**FORMS["text"])
    params = random(model, np.float64)
    write(Content(model, params, None, {}), tmp_path / "run.keras")
    assert all((a == params[name]).all() for name, a in read(tmp_path / "run.keras").params.items())
    expect_keras_gives(tmp_path / "run.keras", model, params)


def of_run(folder: Path, model: bptt.Model, params: Params) -> Content:
    known = None
    if model.token_inputs and model.inputs == model.outputs:
        known = bptt.text.Vocabulary.build("abcdefg", "char")
    bptt.save_run(folder, model, params, known, step=9)
    return Content.of(bptt.Trained.load(folder))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize(
    ("cell", "form"), [*((cell, "one-hot") for cell in CELLS), *(("gru", form) for form in FORMS)]
)
def test_a_run_comes_back_to_the_bit(tmp_path: Path, cell: str, form: str, suffix: str) -> None:
    model = bptt.Model(**FORMS[form], cell=cell)
    content = of_run(tmp_path / "run", model, random(model))
    write(content, tmp_path / f"run{suffix}")
    back = read(tmp_path / f"run{suffix}")
    assert record.same(back.model.stack.cell, content.model.stack.cell)
    assert replace(back.model, cell="lstm") == replace(content.model, cell="lstm")
    assert back.vocabulary == content.vocabulary
    assert back.notes == content.notes
    assert back.params.keys() == content.params.keys()
    for name, array in content.params.items():
        np.testing.assert_array_equal(back.params[name], array, err_msg=name)


def test_what_was_changed_in_keras_is_read_as_what_it_is_now(tmp_path: Path) -> None:
    """The notes say lstm-coupled; the arrays are those of an LSTM that is no more."""
    h5py = pytest.importorskip("h5py")
    model = bptt.Model(**FORMS["text"], cell="lstm-coupled")
    write(of_run(tmp_path / "run", model, random(model)), path := tmp_path / "run.weights.h5")
    with h5py.File(path, "r+") as file:
        file["layers/lstm/cell/vars/0"][0, 0] += 1
    back = read(path)
    assert back.model.stack.cell.name == "lstm"
    write(Content(back.model, back.params, None, {}), path)
    with h5py.File(path) as file:
        assert file["layers/lstm/cell/vars/0"][0, 0] == back.params["layers.0.W"][0, 0]


def test_two_biases_become_their_sum(tmp_path: Path) -> None:
    model = bptt.Model(**FORMS["text"], bias="two")
    content = of_run(tmp_path / "run", model, random(model))
    write(content, tmp_path / "run.keras")
    back, ours = read(tmp_path / "run.keras").params, content.params
    np.testing.assert_array_equal(back["layers.0.b"], ours["layers.0.b"] + ours["layers.0.b_h"])
    assert not back["layers.0.b_h"].any()


def test_the_vocabulary_is_beside_keras_own_metadata(tmp_path: Path) -> None:
    model = bptt.Model(**FORMS["text"])
    write(of_run(tmp_path / "run", model, random(model)), tmp_path / "run.keras")
    told = json.loads(zipfile.ZipFile(tmp_path / "run.keras").read("metadata.json"))["bptt"]
    assert json.loads(told["vocabulary"])["tokens"] == list("abcdefg")
    assert "padding" not in told
    assert zipfile.ZipFile(tmp_path / "run.keras").namelist() == [
        "metadata.json", "config.json", "model.weights.h5"
    ]  # fmt: skip


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = bptt.Model(**FORMS["class"])
    params = random(model)
    for name in ("a.keras", "b.keras", "a.weights.h5", "b.weights.h5"):
        write(Content(model, params, None, {}), tmp_path / name)
    for suffix in (".keras", ".weights.h5"):
        a, b = (tmp_path.joinpath(name + suffix).read_bytes() for name in "ab")
        assert a == b


@pytest.mark.parametrize(
    ("told", "name", "says"),
    [
        ({"cell": "slstm"}, "a.keras", "Keras has no slstm.*--to onnx"),
        ({"cell": "lstm-peephole"}, "a.keras", "Keras has no lstm-peephole.*--to onnx"),
        ({"features": 3}, "a.keras", "start from features"),
        ({"learn_start": True}, "a.keras", "no states that are learnt: --to torch"),
        ({"cell": begun}, "a.keras", "the states of begun start elsewhere than at zero"),
        ({"inputs": 9000}, "a.keras", "identity matrix of 9,000 rows"),
        ({}, "a.h5", r"\.weights\.h5 or \.keras: --out a\.keras"),
    ],
)
def test_what_keras_cannot_hold_is_one_line(
    tmp_path: Path, told: dict[str, Any], name: str, says: str
) -> None:
    model = bptt.Model(**{"inputs": 7, "outputs": 7, "hidden": 5} | told)
    with pytest.raises(ConfigError, match=says) as raised:
        write(Content(model, random(model), None, {}), tmp_path / name)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())
