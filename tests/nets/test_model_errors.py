"""Options and arrays that mean nothing to a model are told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptt import Batch, Model
from bptt.errors import ConfigError, ShapeError
from bptt.types import Array
from model_cases import (
    MASK,
    RESET,
    SIZES,
    N,
    Options,
    T,
    case,
)

CONFIGS: list[Any] = [
    ({"hidden": 0}, "hidden must be a whole number from 1, got 0"),
    ({"inputs": -1}, "inputs must be a whole number from 1, got -1"),
    ({"outputs": 2.0}, "outputs must be a whole number from 1, got 2.0"),
    ({"layers": 0}, "layers must be a whole number from 1, got 0"),
    ({"embedding": 0}, "embedding must be a whole number from 1, got 0"),
    ({"features": 0}, "features must be a whole number from 1, got 0"),
    ({"cell": "lstn"}, "no cell is called 'lstn'"),
    ({"loss": "mse"}, "loss must be one of cross_entropy, .*; got 'mse'"),
    ({"quantiles": (0.5,)}, "quantiles are the levels of the loss quantile, .* got 1 with cross_entropy"),
    ({"quantiles": (0.5, 0.9), "loss": "quantile"}, "one for each of 4 outputs; got 2 with quantile"),
    ({"quantiles": (0.1, 0.5, 0.9, 1.0), "loss": "quantile"}, "quantiles must be between 0 and 1, got"),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
    ({"input_dropout": 1.0, "embedding": 3}, "input_dropout must be at least 0 and below 1, got 1.0"),
    ({"input_dropout": 0.1}, "one-hot has none"),
    ({"init_name": "xavier"}, "init must be one of uniform, .*; got 'xavier'"),
    ({"init_name": "fan-in", "init_scale": 0.1}, "'fan-in' takes no scale"),
    ({"embedding": 3, "token_inputs": False}, "an embedding is for tokens"),
    ({"tied": True}, "it wants E = 3 and .* got E = None"),
    ({"tied": True, "embedding": 2, "outputs": 5}, "it wants E = 3, or projection = 2, and .* got E = 2"),
    ({"tied": True, "embedding": 3}, "as many outputs as inputs; .* 5 in, 4 out"),
    ({"tied": True, "embedding": 3, "outputs": 5, "bidirectional": True}, "it wants E = 6, .* got E = 3"),
    ({"tied": True, "embedding": 3, "projection": 2, "outputs": 5}, "E = 2, or projection = 3, .* got E = 3"),
    ({"projection": 0}, "projection must be a whole number from 1, got 0"),
    ({"bias": "three"}, "bias must be"),
    ({"reduction": "mean"}, "reduction must be"),
]


@pytest.mark.parametrize(("options", "text"), CONFIGS)
def test_options_that_mean_nothing_are_told(options: Options, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Model(**(SIZES | options))


TOKENS = np.zeros((T, N), int)


FITS: Options = {"embedding": 3, "inputs": 9}  # a model that gathers its embedding: outputs 4, hidden 3


CALLS: list[Any] = [
    ({"inputs": TOKENS[..., None]}, r"inputs must be \(T, N\) integer tokens, got int64 \(4, 2, 1\)"),
    ({"inputs": TOKENS + 9}, r"tokens must be in 0 .. V-1 = 8, got 9 .. 9"),
    ({"inputs": TOKENS - 1}, r"tokens must be in 0 .. V-1 = 8, got -1 .. -1"),
    ({"state": {}}, r"states must hold layers.0.h, layers.0.c; got none"),
    ({"state": {"layers.0.h": np.zeros((N, 3))}}, r"states must hold layers.0.h, layers.0.c; got layers.0.h"),
    ({"state": dict.fromkeys(("layers.0.h", "layers.0.c"), np.zeros((3, N)))}, r"initial h must be \(N, H\)"),
    ({"mask": MASK.T}, r"mask must be \(T, N\) = \(4, 2\), got \(2, 4\)"),
    ({"reset": RESET[:1]}, r"reset must be \(T, N\) = \(4, 2\), got \(1, 2\)"),
    ({"without": "embedding"}, r"params has no 'embedding'; it holds layers.0.W"),
    ({"without": "output.W"}, r"params has no 'output.W'; it holds embedding"),
    ({"without": "layers.0.W"}, r"params has no 'layers.0.W'"),
    ({"layers.0.U": np.zeros((12, 3))}, r"layers.0.U must be \(3, 12\), got \(12, 3\)"),
    ({"layers.0.W": np.zeros((9, 12))}, r"layers.0.W must be \(3, 12\), got \(9, 12\)"),
    ({"targets": TOKENS + 4}, r"targets must be in 0 .. V-1 = 3, got 4 .. 4"),
    ({"targets": TOKENS[:-1]}, r"targets must be \(T, N\) = \(4, 2\) integers, got int64 \(3, 2\)"),
    ({"inputs": np.zeros((T, N))}, "tokens"),
    ({"without": "output.b"}, "output.b"),
    ({"output.W": np.zeros((4, 3))}, "output.W"),
    ({"output.b": np.zeros(5)}, "output.b"),
    ({"output.b": np.zeros(1)}, "output.b"),
    ({"output.W": np.zeros((3, 7)), "output.b": np.zeros(7)}, "output"),
    ({"embedding": np.zeros((4, 3))}, "embedding"),
    ({"without": "layers.0.b"}, "layers.0.b"),
    ({"params": {"layers.1.U": np.zeros((3, 12))}}, "the model has no parameter layers.1.U"),
]


@pytest.mark.parametrize(("changes", "text"), CALLS)
def test_arrays_that_do_not_fit_are_told(changes: Options, text: str) -> None:
    c = case(**FITS)
    arguments: Options = {"inputs": TOKENS, "targets": TOKENS}
    params = {k: v for k, v in c.arrays.items() if k in c.names and k != changes.get("without")}
    params |= {k: v for k, v in changes.items() if k in params} | changes.get("params", {})
    arguments |= {k: v for k, v in changes.items() if k not in {*params, "params", "without"}}
    with pytest.raises(ShapeError, match=text):
        c.model.loss_and_grads(params, **arguments)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"outputs": np.zeros((T, N, 5))}, "outputs"),
        ({"outputs": np.zeros((T * N, 4))}, "outputs"),
        ({"outputs": np.zeros((N, T, 4))}, "outputs"),
        (
            {"layers.0.h": np.zeros((3, N))},
            r"gradient at the final h must be \(N, H\) = \(2, 3\), got \(3, 2\)",
        ),
        ({"layers.0.c": None}, "layers.0.c"),
        ({"layers.1.h": np.zeros((N, 3))}, "layers.1.h"),
    ],
)
def test_cotangents_that_do_not_fit_are_told(changes: Options, text: str) -> None:
    c = case(**FITS)
    cotangents = {k: d for k, d in (c.cotangents | changes).items() if d is not None}
    with pytest.raises(ShapeError, match=text):
        replace(c, cotangents=cotangents).grads()


@pytest.mark.parametrize(
    "x", [np.zeros((T, N)), np.zeros((T, N, 6)), np.zeros((T, N, 5), int), np.zeros((N, 5))]
)
def test_real_inputs_that_do_not_fit_are_told(x: Array) -> None:
    c = case(token_inputs=False)
    params, _, state, _ = c.parts(c.arrays)
    with pytest.raises(ShapeError):
        c.model.forward(params, x, state)


def test_a_batch_of_lists_is_told() -> None:
    with pytest.raises(ShapeError, match=r"inputs must be an array, got a list: np.asarray makes one"):
        Batch([[1, 2]], np.zeros((1, 2), int))  # type: ignore[arg-type]
