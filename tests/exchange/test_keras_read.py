"""Models that others made in Keras are read and give its numbers; what bptt has none like is one line."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import BpttWarning, ConfigError
from bptt.exchange.content import Content
from bptt.exchange.keras_file import layers, read
from bptt.nets.losses import LOSSES
from bptt.types import Array

pytest.importorskip("h5py")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 11, size=(3, 7))
PADDED = TOKENS * (np.arange(7) >= np.array([3, 1, 0])[:, None])
NUMBERS = RNG.normal(size=(3, 7, 2)).astype(np.float32)
ONE_HOT = np.eye(11, dtype=np.float32)[TOKENS]


def chain(*made: Any, tokens: bool = False) -> Any:
    """Return a functional model, as most of Keras's examples are."""
    inputs = x = keras.Input((None,), dtype="int32") if tokens else keras.Input((None, 2))
    for layer in made:
        x = layer(x)
    return keras.Model(inputs, x)


def sequential(*made: Any, tokens: bool = False) -> Any:
    return keras.Sequential(
        [keras.Input((None,), dtype="int32") if tokens else keras.Input((None, 2)), *made]
    )


def lstm(units: int, **more: Any) -> Any:
    return L.LSTM(units, return_sequences=True, **more)


def both(inside: Any, **more: Any) -> Any:
    return L.Bidirectional(inside, **more)


def compiled(model: Any, loss: Any) -> Any:
    model.compile(optimizer="adam", loss=loss)
    return model


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy
MODELS: dict[str, tuple[Callable[[], Any], Array]] = {
    "reviews": (
        lambda: chain(L.Embedding(11, 5), both(lstm(6)), both(L.LSTM(4)), L.Dense(1, "sigmoid"), tokens=True),
        TOKENS,
    ),
    "padded reviews": (
        lambda: compiled(
            sequential(
                L.Embedding(11, 4, mask_zero=True), lstm(5, dropout=0.2, recurrent_dropout=0.2),
                L.Dropout(0.5), L.LSTM(3), L.Dense(3, "softmax"), tokens=True,
            ),
            "sparse_categorical_crossentropy",
        ),
        PADDED,
    ),
    "padded, functional": (
        lambda: compiled(
            chain(L.Embedding(11, 4, mask_zero=True, name="words"), L.GRU(4), L.Dense(3), tokens=True),
            CROSS_ENTROPY(from_logits=True),
        ),
        PADDED,
    ),
    "mean": (
        lambda: chain(
            L.Embedding(11, 4, mask_zero=True), L.SpatialDropout1D(0.1), L.GRU(5, return_sequences=True),
            L.GlobalAveragePooling1D(), L.Dense(3, use_bias=False), tokens=True,
        ),
        PADDED,
    ),
    "next character": (
        lambda: keras.Sequential([keras.Input((7, 11)), L.LSTM(12), L.Dense(11), L.Activation("softmax")]),
        ONE_HOT,
    ),
    "stateful text": (
        lambda: keras.Sequential(
            [
                keras.Input(batch_shape=(3, None), dtype="int32"), L.Embedding(11, 4),
                L.GRU(5, return_sequences=True, stateful=True, recurrent_initializer="glorot_uniform"),
                L.Dense(11),
            ]
        ),
        TOKENS,
    ),
    "forecast": (lambda: sequential(lstm(8), lstm(3), L.LSTM(5), L.Dense(2)), NUMBERS),
    "rectified forecast": (
        lambda: sequential(lstm(6, activation="relu"), L.LSTM(6, activation="relu"), L.Dense(1)), NUMBERS
    ),
    "hard gates": (
        lambda: sequential(L.GRU(4, recurrent_activation="hard_sigmoid", activation="softsign"), L.Dense(1)),
        NUMBERS,
    ),
    "tags": (
        lambda: sequential(
            L.GRU(5, reset_after=False, use_bias=False, return_sequences=True),
            L.TimeDistributed(L.Dense(4)), L.Softmax(),
        ),
        NUMBERS,
    ),
    "masked numbers": (
        lambda: sequential(
            L.Masking(0.0), L.SimpleRNN(4, name="my_rnn", return_sequences=True),
            L.SimpleRNN(3, return_sequences=True), L.Dense(1),
        ),
        NUMBERS,
    ),
    "merged otherwise": (
        lambda: sequential(
            both(L.GRU(4, return_sequences=True), merge_mode="sum"),
            both(L.GRU(3), merge_mode="ave"), L.Dense(1),
        ),
        NUMBERS,
    ),
    "one direction above two": (lambda: sequential(both(lstm(4)), lstm(3), L.LSTM(5), L.Dense(1)), NUMBERS),
    "from the end": (lambda: sequential(L.LSTM(4, go_backwards=True), L.Dense(2, "sigmoid")), NUMBERS),
    "cells": (lambda: sequential(L.RNN([L.LSTMCell(4), L.LSTMCell(3)]), L.Dense(2)), NUMBERS),
    "both ways, cells": (lambda: sequential(both(L.RNN(L.GRUCell(4))), L.Dense(2)), NUMBERS),
    "a model in a model": (
        lambda: sequential(keras.Sequential([lstm(4), L.LSTM(4)]), L.Dense(1)), NUMBERS
    ),
    "normalised": (
        lambda: sequential(lstm(4), L.BatchNormalization(), L.LSTM(3), L.BatchNormalization(), L.Dense(1)),
        NUMBERS,
    ),
    "no output": (lambda: sequential(lstm(4), L.LSTM(3)), NUMBERS),
    "several linear outputs": (
        lambda: sequential(lstm(4), L.LSTM(4), L.Dense(5), L.Dense(3, use_bias=False), L.Dense(2)),
        NUMBERS,
    ),
    "rectified units": (
        lambda: sequential(L.SimpleRNN(4, activation="relu", unroll=False), L.Dense(1)), NUMBERS
    ),
}  # fmt: skip


def of_its_state() -> Any:
    """Return a model that reads what an LSTM gives besides its outputs: h, which is the last of them."""
    inputs = keras.Input((None, 2))
    _, h, _ = lstm(4, return_state=True)(inputs)
    return keras.Model(inputs, L.Dense(2)(h))


def an_encoder() -> Any:
    inputs = keras.Input((None, 2))
    return keras.Model(inputs, lstm(4, return_state=True)(inputs)[1:])


def the_last_step() -> Any:
    inputs = keras.Input((None, 2))
    return keras.Model(inputs, L.Dense(2)(L.Dropout(0.1)(lstm(4)(inputs)[:, -1])))


def another_step() -> Any:
    inputs = keras.Input((None, 2))
    return keras.Model(inputs, L.Dense(2)(lstm(4)(inputs)[:, -2, :]))


def the_last_step_of_both() -> Any:
    """The backward layer has read one step there."""
    inputs = keras.Input((None, 2))
    return keras.Model(inputs, L.Dense(2)(both(lstm(4))(inputs)[:, -1, :]))


MODELS["the last step"] = the_last_step, NUMBERS
MODELS["its state"] = of_its_state, NUMBERS
MODELS["an encoder"] = an_encoder, NUMBERS


def random(model: Any) -> Any:
    rng = np.random.default_rng(5)
    for weight in model.weights:
        drawn = rng.normal(scale=0.5, size=weight.shape)
        weight.assign(np.abs(drawn) + 0.5 if "variance" in weight.path else drawn)
    return model


def numbers(model: Any, x: Array) -> Array:
    y = model(x, training=False)
    return np.asarray((y[0] if isinstance(y, list | tuple) else y).detach())


def quietly(path: Path) -> Content:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BpttWarning)
        return read(path)


def expect_same(content: Content, x: Array, wanted: Array) -> None:
    model = content.model
    mask = (x != 0).T if x is PADDED else None
    if model.token_inputs and x.ndim == 3:
        x = x.argmax(-1)
    outputs = model.forward(content.params, x.swapaxes(0, 1), mask=mask).outputs
    got = (outputs if wanted is None else LOSSES[model.loss].predict(outputs)).swapaxes(0, 1)
    if model.loss == "cross_entropy" and not np.allclose(wanted.sum(-1), 1, atol=1e-4):
        got = outputs.swapaxes(0, 1)  # logits
    got = got[:, -1] if wanted.ndim == 2 else got
    np.testing.assert_allclose(got, wanted, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_keras_gives_its_numbers_here(tmp_path: Path, name: str) -> None:
    make, x = MODELS[name]
    model = random(make())
    wanted = numbers(model, x)
    if name == "stateful text":
        model.layers[1].reset_state()
    model.save(tmp_path / "a.keras")
    expect_same(quietly(tmp_path / "a.keras"), x, wanted)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("cells", "a model in a model")])
def test_an_old_file_of_it_gives_them_too(tmp_path: Path, name: str) -> None:
    make, x = MODELS[name]
    model = random(make())
    wanted = numbers(model, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras says that this form is old
        model.save(tmp_path / "a.h5")
    expect_same(quietly(tmp_path / "a.h5"), x, wanted)


@pytest.mark.parametrize("name", ["reviews", "stateful text", "forecast", "no output"])
def test_arrays_alone_are_taken_for_what_is_usual(tmp_path: Path, name: str) -> None:
    make, x = MODELS[name]
    model = random(make())
    wanted = numbers(model, x)
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.warns(BpttWarning, match="it has arrays alone: .*a whole model, saved as .keras, tells"):
        content = read(tmp_path / "a.weights.h5")
    expect_same(content, x, wanted)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("next character", "tells the next token from a whole sequence"),
        ("next character", "11 inputs and 11 outputs are taken for tokens"),
        ("padded reviews", "token 0 was padding"),
        ("masked numbers", "a step of one number was padding"),
    ],
)
def test_what_is_not_as_it_was_is_said(tmp_path: Path, name: str, says: str) -> None:
    MODELS[name][0]().save(tmp_path / "a.keras")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read(tmp_path / "a.keras")
    assert any(says in str(warning.message) for warning in said)


def test_what_is_learnt_is_read(tmp_path: Path) -> None:
    found = {}
    for name, (make, _) in MODELS.items():
        make().save(tmp_path / "a.keras")
        model = quietly(tmp_path / "a.keras").model
        found[name] = (model.stack.cell.name, model.hidden, model.pool, model.loss)
    assert found["reviews"] == ("lstm", 6, "last", "sigmoid_cross_entropy")
    assert found["padded, functional"] == ("gru", 4, "last", "cross_entropy")
    assert found["mean"] == ("gru", 5, "mean", "cross_entropy")
    assert found["next character"] == ("lstm", 12, None, "cross_entropy")
    assert found["forecast"] == ("lstm", 8, "last", "squared_error")
    assert found["rectified forecast"][0] == "lstm-relu-sigmoid"
    assert found["tags"] == ("gru-cho", 5, None, "cross_entropy")
    assert found["rectified units"][0] == "rnn-relu"


def sequence_to_sequence() -> Any:
    read_, written = keras.Input((None, 2)), keras.Input((None, 3))
    _, h, c = L.LSTM(4, return_state=True)(read_)
    y, _, _ = lstm(4, return_state=True)(written, initial_state=[h, c])
    return keras.Model([read_, written], L.Dense(3, "softmax")(y))


class Own(keras.Model):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = both(L.LSTM(4)), L.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(self.rnn(x))


def own() -> Any:
    model = Own()
    model(NUMBERS)
    return model


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "two Dense": (lambda: sequential(L.LSTM(4), L.Dense(8, "relu"), L.Dense(1)), "a Dense, stands where"),
    "convolution": (lambda: sequential(L.Conv1D(4, 3), L.LSTM(4), L.Dense(1)), "a Conv1D, has no place"),
    "two kinds": (lambda: sequential(lstm(4), L.GRU(4), L.Dense(1)), "layers are lstm, gru"),
    "sequence to sequence": (sequence_to_sequence, "it has 2 inputs"),
    "a class": (own, "the model is Own, a class of its own, which is code"),
    "an activation": (
        lambda: sequential(L.LSTM(4, activation="gelu"), L.Dense(1)),
        "activation gelu is not known",
    ),
    "an output": (lambda: sequential(L.LSTM(4), L.Dense(1, "relu")), "the output's activation is relu"),
    "a product": (lambda: sequential(both(L.LSTM(4), merge_mode="mul"), L.Dense(1)), "merged by 'mul'"),
    "turned round": (
        lambda: sequential(lstm(4, go_backwards=True), L.Dense(1)),
        "reads from the end, and gives",
    ),
    "another step": (another_step, "picks other steps than the last"),
    "the last step of both": (the_last_step_of_both, "a GetItem, has no place"),
    "largest": (lambda: sequential(lstm(4), L.GlobalMaxPooling1D(), L.Dense(1)), "has no place"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_bptt_has_none_like_is_one_line(tmp_path: Path, name: str) -> None:
    make, says = REFUSED[name]
    make().save(tmp_path / "a.keras")
    with pytest.raises(ConfigError, match=says) as raised:
        read(tmp_path / "a.keras")
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "a.keras") in str(raised.value)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_the_recurrent_layers_of_any_model_can_be_had(tmp_path: Path, suffix: str) -> None:
    model = random(sequence_to_sequence())
    model.save(tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    encoder, decoder = layers(tmp_path / f"a{suffix}")
    assert (encoder.inputs, decoder.inputs) == (2, 3)
    y = RNG.normal(size=(3, 4, 3)).astype(np.float32)
    wanted = numbers(keras.Model(model.inputs, model.layers[3].output[0]), [NUMBERS, y])  # type: ignore[arg-type]
    assert encoder.forward is not None
    assert decoder.forward is not None
    read_ = bptt.unroll(encoder.cell, encoder.forward, NUMBERS.swapaxes(0, 1))
    found = bptt.unroll(decoder.cell, decoder.forward, y.swapaxes(0, 1), read_.states)
    np.testing.assert_allclose(found.y.swapaxes(0, 1), wanted, atol=2e-6)


def test_so_can_those_of_a_class(tmp_path: Path) -> None:
    model = own()
    model.save(tmp_path / "a.keras")
    (layer,) = layers(tmp_path / "a.keras")
    assert (layer.hidden, layer.inputs, layer.width) == (4, 2, 8)
    assert layer.reverse is not None
    kernel = np.asarray(model.rnn.backward_layer.cell.kernel)
    np.testing.assert_array_equal(layer.reverse["W"][:, :4], kernel[:, :4])
