"""Cells that nobody would write are graphs, too: onnxruntime gives the numbers of the reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Batch
from bptt.derive import EquationCell, read
from bptt.derive.functions import FUNCTIONS
from bptt.exchange.graphs.scan import OPERATORS
from bptt.types import Dtype
from bptt.zoo.equations import ZOO
from bptt.zoo.papers import PAPERS
from onnx_graphs import LENGTHS, T, given, network, ran, written
from random_cells import random_cell
from sampling import some

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def error(
    folder: Path, cell: EquationCell, dtype: Dtype, seed: int = 0, *, lengths: bool = True, **options: Any
) -> float:
    """Return how far off onnxruntime's outputs and states are at most."""
    bias = ("none", "one", "two")[seed % 3]
    both = {"bidirectional": seed % 2 == 0}
    asked = {"bias": bias, "backend": "reference"} | both | options
    model, params = network(cell, dtype, seed, **asked)
    model, params = model.unmapped(params)
    x, states = given(model, np.random.default_rng(seed), dtype)
    feeds, mask, rng = {"tokens": x} | states, None, np.random.default_rng(seed)
    widths = {name: cell.width(name, model.hidden) for name in cell.inputs if name != "x"}
    beside = {name: rng.random((T, len(LENGTHS), width)).astype(dtype) for name, width in widths.items()}
    beside = {name: array[..., 0] if widths[name] == 1 else array for name, array in beside.items()}
    feeds |= beside
    if lengths:
        feeds["lengths"], mask = LENGTHS, np.arange(T)[:, None] < LENGTHS
    found = ran(written(folder, model, params, lengths=lengths), feeds)
    run = model.forward(params, Batch(x, mask=mask, given=beside or None), states)
    pairs = [(found[f"{name}_next"], state) for name, state in run.state.items()]
    pairs.append((found["logits"], run.outputs))
    return float(np.max([(np.abs(a - b) / (1 + np.abs(b))).max() for a, b in pairs]))


@pytest.mark.parametrize("seed", range(12))
def test_a_random_cell_is_a_graph(tmp_path: Path, seed: int) -> None:
    cell = EquationCell(read(random_cell(seed), known={"OUTSIDE": -1.5}))
    assert error(tmp_path, cell, np.float64, seed) < 1e-10
    assert error(tmp_path, cell, np.float32, seed) < 1e-4


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_an_operation(tmp_path: Path, name: str) -> None:
    a, b = "0.1 + sigmoid(a_i)", "0.5 * h"
    call = {1: f"{name}({a})", 2: f"{name}({a}, {b})", 3: f"where({a} >= {b}, a_i, -{b})"}
    text = f"def cell(a_i, h): return {call[FUNCTIONS[name].arity]}"
    cell = EquationCell(read(text, options={"state": "h"}))
    if name not in ("erf", "Phi"):  # onnxruntime has Erf for float32 alone
        assert error(tmp_path, cell, np.float64) < 1e-12
    assert error(tmp_path, cell, np.float32) < 1e-5


def test_zoneout_is_its_mean_and_comes_back(tmp_path: Path) -> None:
    off = error(tmp_path, ZOO["lstm"], np.float64, zoneout=0.2, zoneout_cell=0.4, recurrent_dropout=0.3)
    assert off < 1e-12
    model = bptt.exchange.read(tmp_path / "model.onnx").model
    assert (model.stack.cell.name, model.zoneout_cell) == ("lstm-zoneout", 0.4)


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**"])
def test_each_operator_is_an_operation(tmp_path: Path, operator: str) -> None:
    assert len(OPERATORS) == 5
    right = "1.5" if operator == "**" else "(0.1 + sigmoid(a_i))"
    cell = EquationCell(
        read(f"def cell(a_i): return (2 - tanh(a_i)) {operator} {right}", options={"state": "h"})
    )
    assert error(tmp_path, cell, np.float64) < 1e-12


STATES = {
    "of no row's numbers": "def cell(a_i, h, p): return tanh(a_i + h), p * p, 0.5",
    "the gate itself": "def cell(a_i, h, p): return a_i, p * h, a_i",
    "the states before": "def cell(a_i, h, c, k, p): return c, k, tanh(a_i + h + p)",
}


@pytest.mark.parametrize("text", STATES.values(), ids=STATES)
@pytest.mark.parametrize("lengths", [False, True])
def test_a_state_is_one_of_every_row(tmp_path: Path, text: str, lengths: bool) -> None:
    cell = EquationCell(read(text, options={"state": "h c k", "params": "p"}))
    assert error(tmp_path, cell, np.float32, lengths=lengths) < 1e-5


def test_a_small_sigmoid_is_not_zero(tmp_path: Path) -> None:
    """As onnxruntime's is, below -18."""
    text = "def cell(a_i): return -log(sigmoid(a_i - 30)) / 10"
    assert error(tmp_path, EquationCell(read(text, options={"state": "h"})), np.float32) < 1e-5


AXES = (
    "hippo",
    "rwkv7",
    "mlstm",
    "lstm-projected",
    "on-lstm",
    "rhn-4",
    "mamba",
    "sru",
    "lstm-mogrifier",
    "skip-lstm",
)


@pytest.mark.parametrize("name", some(AXES, 4))
def test_values_over_axes_and_several_operands_are_a_graph(tmp_path: Path, name: str) -> None:
    cell = PAPERS[name]
    sizes: dict[str, Any] = {"hidden": 8, "embedding": 8, "layers": 2}
    bias: dict[str, Any] = {} if cell.bias else {"bias": "none"}
    assert error(tmp_path, cell, np.float64, 1, **sizes, **bias) < 1e-12


@pytest.mark.parametrize("name", ["cfc-timed", "gru-decay"])  # one number for a row, one for each unit
def test_what_is_given_at_each_step_goes_in_by_its_name(tmp_path: Path, name: str) -> None:
    assert error(tmp_path, PAPERS[name], np.float64, layers=2) < 1e-12
    assert error(tmp_path, PAPERS[name], np.float32, 1, lengths=False) < 1e-5
