"""A layer whose matrices have maps: its gradients, element by element, in the reference and in kernels."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.layer.shapes import layer_shapes
from bptt.nets.init import Init
from bptt.types import Array, Params
from gradcheck import assert_close, complex_step, errors
from mapped_cells import CELLS, MAPPED_LSTM

T, N, D, H = 4, 2, 4, 4
MASK = np.array([[1, 0], [1, 1], [0, 1], [1, 1]], bool)
RESET = np.array([[0, 1], [1, 0], [0, 0], [1, 1]], bool)


def drawn(cell: Cell, dtype: Any = np.float64) -> tuple[Params, Array, tuple[Array, ...]]:
    rng = np.random.default_rng(1)
    params = Init().layer(rng, cell, D, H, "two", np.float64)
    params = {n: (a + 0.3 * rng.normal(size=a.shape)).astype(dtype) for n, a in params.items()}
    states = tuple(rng.normal(size=s.shape).astype(dtype) for s in cell.first_states(N, H, dtype))
    return params, rng.normal(size=(T, N, D)).astype(dtype), states


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("flags", [{}, {"mask": MASK, "reset": RESET}], ids=["whole", "both"])
@pytest.mark.parametrize("cell", CELLS, ids=[c.name for c in CELLS])
def test_a_mapped_layers_gradients_are_right(cell: Any, flags: Any, reverse: bool) -> None:
    params, x, states = drawn(cell)
    assert {n: a.shape for n, a in params.items()} == layer_shapes(cell, D, H, "two")
    rng = np.random.default_rng(2)
    dy = rng.normal(size=(T, N, cell.width(cell.states[0], H)))
    dstates = tuple(rng.normal(size=s.shape) for s in states)
    run = bptt.unroll(cell, params, x, states, reverse=reverse, **flags)
    found = run.backward(dy, dstates)
    got = found.params | {"x": found.inputs} | {f"s{k}": s for k, s in enumerate(found.states)}

    def loss(a: Params) -> Any:
        first = tuple(a[f"s{k}"] for k in range(len(states)))
        ran = bptt.unroll(cell, {n: a[n] for n in params}, a["x"], first, reverse=reverse, **flags)
        return (ran.y * dy).sum() + sum((s * d).sum() for s, d in zip(ran.states, dstates, strict=True))

    arrays = params | {"x": x} | {f"s{k}": s for k, s in enumerate(states)}
    assert_close({n: np.asarray(a) for n, a in got.items()}, complex_step(loss, arrays), 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS[:3], ids=[c.name for c in CELLS[:3]])
def test_kernels_run_a_mapped_layer(cell: Any, dtype: str) -> None:
    params, x, states = drawn(cell, dtype)
    runs = [bptt.unroll(cell, params, x, states, backend=b) for b in ("cpu", "reference")]
    fast, right = ({"y": r.y} | r.backward(np.ones_like(r.y)).params for r in runs)
    assert {a.dtype.name for a in fast.values()} == {dtype}
    assert max(errors(fast, right).values()) < (1e-5 if dtype == "float32" else 1e-13)


def test_a_layer_without_its_raw_arrays_says_which() -> None:
    params, x, _ = drawn(CELLS[0])
    for name, says in (("U.a_o.left", "U.a_o.left must be"), ("W", "params must hold W")):
        with pytest.raises(ShapeError, match=says):
            bptt.unroll(CELLS[0], {n: a for n, a in params.items() if n != name}, x)
    with pytest.raises(ShapeError, match=r"U must be \(4, 0\), got \(4, 16\)"):
        bptt.unroll(CELLS[0], params | {"U": np.ones((4, 16))}, x)
    params, x, _ = drawn(CELLS[2])
    with pytest.raises(ConfigError, match="rows/2 is no whole number"):
        bptt.unroll(CELLS[2], params | {"W": params["W"][:3]}, x[..., :3])


def test_matrices_that_do_not_fit_are_no_ones_elses() -> None:
    with pytest.raises(ConfigError, match=r"W.a_i is \(3, 4\), and cannot be the matrix of U.a_i"):
        layer_shapes(CELLS[0], 3, 4)


def test_a_cell_without_maps_is_its_own_plain_one() -> None:
    for name in ("lstm", "gru-cho", "slstm"):
        cell = bptt.zoo.get(name)
        assert cell.plain is cell
    assert MAPPED_LSTM.plain.plain is MAPPED_LSTM.plain
    assert "maps" not in MAPPED_LSTM.plain.equations.text
