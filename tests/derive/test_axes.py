"""Values over heads, units and keys, several operands, and inputs at each step: derived and run."""

import re
from functools import partial

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, EquationError, read
from bptt.derive.backward import Derivation
from bptt.derive.proof import ProofError, prove
from bptt.layer.reference import unroll
from bptt.layer.shapes import layer_shapes
from shaped import CELLS, N, T, drawn, mlstm, norm, projected


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_gradients_are_the_complex_steps(cell: EquationCell, reverse: bool) -> None:
    params, x, states = drawn(cell)
    rng = np.random.default_rng(1)
    mask, reset = rng.random((T, N)) > 0.2, rng.random((T, N)) > 0.7
    ran = partial(unroll, cell, mask=mask, reset=reset, reverse=reverse)
    run = ran(params, x, states)
    dy = rng.normal(size=run.y.shape)
    dfinal = tuple(rng.normal(size=s.shape) for s in run.states)
    grads = run.backward(dy, dfinal)
    arrays = params | {"in": x} | {f"at {k}": s for k, s in enumerate(states)}
    got = grads.params | {"in": grads.inputs} | {f"at {k}": s for k, s in enumerate(grads.states)}
    assert got.keys() == arrays.keys()
    for name, array in arrays.items():
        g = got[name]
        assert g is not None
        assert g.shape == array.shape
        for at in np.ndindex(array.shape):
            moved = {n: a.astype(complex) for n, a in arrays.items()}
            moved[name][at] += 1e-30j
            first = tuple(moved.pop(f"at {k}") for k in range(len(states)))
            x = moved.pop("in")
            other = ran(moved, x, first)
            parts = [
                (other.y * dy).sum(),
                *((s * d).sum() for s, d in zip(other.states, dfinal, strict=True)),
            ]
            rise = sum(part.imag for part in parts) / 1e-30
            assert abs(rise - g[at]) <= 1e-11 * (1 + abs(rise)), (name, at)


@pytest.mark.parametrize("cell", CELLS[:-1], ids=lambda cell: cell.name)
def test_a_model_learns_and_writes(cell: EquationCell) -> None:
    if cell.inputs:
        pytest.skip("a model reads the input alone")
    model = bptt.Model(inputs=7, outputs=7, hidden=4, cell=cell, layers=2, embedding=5)
    params = model.init(np.random.default_rng(0))
    tokens = np.random.default_rng(1).integers(0, 7, (6, 3))
    losses = []
    for _ in range(20):
        loss, _, grads, *_ = model.backprop(params, bptt.Batch(tokens[:-1], tokens[1:]))
        losses.append(float(loss))
        params = {name: a - 0.1 * grads.params[name] for name, a in params.items()}
    assert losses[-1] < losses[0]


def test_shapes_of_a_layer() -> None:
    assert layer_shapes(projected, 5, 4)["U_m"] == (4, 3)
    assert layer_shapes(projected, 5, 4)["U"] == (3, 16)
    assert mlstm.width("C", 8) == 2 * 4 * 5
    assert [s.shape for s in mlstm.first_states(3, 8, np.float32)] == [(3, 8), (3, 40), (3, 10), (3, 2)]


def test_units_that_are_no_whole_number_for_each_head_are_told() -> None:
    with pytest.raises(bptt.ShapeError, match="9 units are no whole number for each of 2 heads"):
        layer_shapes(mlstm, 3, 9)


def test_a_wrong_sum_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bptt.derive.backward._Known.summed", lambda self, term, s, name: term)
    with pytest.raises(ProofError, match="the derived gradient at"):
        prove(Derivation(norm.equations))


WRONG = {
    "h = sum(tanh(a_h), key)": "has one shape for all keys (unit)",
    "h = sum(sum(a_h))": "has one shape for all units (head)",
    "h = sum(a_h, 0)": "sum(v) goes over the units, sum(v, key) over the keys",
    "h = a_h * x_k": "the state h has keys",
}


@pytest.mark.parametrize("line", WRONG)
def test_mistakes(line: str) -> None:
    text = f"def mine(a_h, x_k):\n    {line}\n    return h"
    options = {"state": "h", "shapes": {"x_k": "key"}, "sizes": {"key": 2}}
    with pytest.raises(EquationError) as caught:
        read(text, options=options)
    assert WRONG[line] in str(caught.value)


@pytest.mark.parametrize("name", ["h_next", "k"])
def test_the_gradient_at_a_state_has_its_axes_whatever_it_is_called(name: str) -> None:
    text = """@bptt.cell(state="h k", shapes={"k": "unit key", "a_0": "key"}, sizes={"key": 3})
def odd(a_0, a_h, h_prev, k_prev):
    k = a_0 + k_prev / 4
    h = tanh(a_h) * h_prev
    return h, k
"""
    renamed = re.sub(r"\bk(?=_prev\b|\b)", name, re.sub(r"\bh(?=_prev\b|\b)", "c", text))
    assert prove(EquationCell(read(renamed)).derivation).error < 1e-14
