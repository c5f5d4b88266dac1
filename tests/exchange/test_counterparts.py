"""Which cell of other systems a cell is, by what it computes; its weights as that one's, and back."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ConfigError
from bptt.cells import CELLS, Cell
from bptt.derive.functions import min, sigmoid, tanh
from bptt.exchange.counterparts import OPEN, counterpart, in_system
from bptt.layer.reference import unroll
from bptt.layer.shapes import layer_shapes
from bptt.types import Params
from bptt.zoo.equations import ZOO

KNOWN = {name: name for name in ("rnn", "rnn-relu", "lstm", "gru", "gru-cho")}
KNOWN |= {"lstm-no-bias": "lstm", "lstm-chrono": "lstm", "lstm-coupled": "lstm", "lstm-no-forget": "lstm"}
KNOWN |= {"indrnn": "rnn-relu", "ugrnn": "gru", "mgu": "gru-cho"}


@bptt.cell(state="h")
def turned(x_n, a_keep, u_n, a_r, h):  # type: ignore[no-untyped-def]
    """Write a GRU in another order, z in the opposite sense, its gates by other names."""
    n = tanh(x_n + sigmoid(a_r) * u_n)
    z = sigmoid(a_keep)
    h = (1 - z) * h + z * n
    return h  # noqa: RET504


@bptt.cell(state="h c")
def clipped(a_i, a_f, a_o, a_g, c):  # type: ignore[no-untyped-def]
    """Is an LSTM until its cell state is beyond 20."""
    c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    c = min(c, 20.0)  # type: ignore[arg-type]
    h = sigmoid(a_o) * tanh(c)
    return h, c


@bptt.cell(state="h c")
def scaled(a_i, a_f, a_o, a_g, c):  # type: ignore[no-untyped-def]
    """Is no LSTM: what it writes is doubled."""
    c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    h = 2 * sigmoid(a_o) * tanh(c)
    return h, c


def drawn(cell: Cell, bias: Any, dtype: Any = np.float64) -> Params:
    rng = np.random.default_rng(4)
    return {name: rng.normal(size=of).astype(dtype) for name, of in layer_shapes(cell, 3, 5, bias).items()}


CASES = [(cell, bias) for cell in [*(ZOO[name] for name in KNOWN), turned] for bias in ("none", "one", "two")]
CASES = [(cell, bias) for cell, bias in CASES if cell.bias or bias == "none"]


@pytest.mark.parametrize(("cell", "bias"), CASES, ids=str)
def test_a_layer_is_the_known_cell_s_and_comes_back(cell: Cell, bias: Any) -> None:
    found = counterpart(cell)
    assert found is not None
    assert found.known is CELLS[KNOWN.get(cell.name, "gru")]
    params, rng = drawn(cell, bias), np.random.default_rng(5)
    x = rng.normal(size=(4, 2, 3))
    states = tuple(rng.normal(size=(2, 5)) for _ in cell.states)
    ours, theirs = unroll(cell, params, x, states), unroll(found.known, found.layer(params), x, states)
    np.testing.assert_allclose(ours.y, theirs.y, atol=1e-13)
    narrow = drawn(cell, bias, np.float32)
    back = found.back(found.layer(narrow), list(narrow))
    assert back is not None
    assert {name: a.tobytes() for name, a in back.items()} == {
        name: a.tobytes() for name, a in narrow.items()
    }
    assert all(array.dtype == np.float32 for array in found.layer(narrow).values())


@pytest.mark.parametrize("cell", ["lstm-peephole", "slstm", clipped, scaled], ids=str)
def test_what_computes_something_else_has_none(cell: Any) -> None:
    cell = bptt.zoo.get(cell)
    assert counterpart(cell) is None
    with pytest.raises(ConfigError, match=f"PyTorch has no {cell.name}: .* ONNX holds any cell: --to onnx"):
        in_system(cell, "pytorch", "PyTorch")


@pytest.mark.parametrize(
    ("name", "array", "at"),
    [
        ("lstm-coupled", "W", (1, 2)),
        ("lstm-coupled", "b", 4),
        ("lstm-no-forget", "U", (0, 5)),
        ("indrnn", "U", (0, 1)),
    ],
)
def test_weights_that_are_not_such_do_not_come_back(name: str, array: str, at: Any) -> None:
    cell = ZOO[name]
    found = counterpart(cell)
    assert found is not None
    layer = found.layer(params := drawn(cell, "one"))
    layer[array][at] += 0.5
    assert found.back(layer, list(params)) is None


def test_an_open_gate_is_one_in_each_precision() -> None:
    for dtype in (np.float32, np.float64):
        assert 1 / (1 + np.exp(-dtype(OPEN))) == 1
