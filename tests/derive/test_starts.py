"""Where states start: a constant of each, at the first step and after resets, in every backend."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page, read
from bptt.errors import BpttError
from bptt.zoo import record
from gradcheck import complex_step, random_layer
from pages import text_of

RWKV = """
@bptt.cell(state="h a b m", params="w u", start={"m": -1e38, "b": 0.5})
def rwkv(x_k, x_v, x_r, a, b, m, w, u):
    p = max(m, u + x_k)
    h = sigmoid(x_r) * (exp(m - p) * a + exp(u + x_k - p) * x_v) / (exp(m - p) * b + exp(u + x_k - p))
    q = max(m - exp(w), x_k)
    a = exp(m - exp(w) - q) * a + exp(x_k - q) * x_v
    b = exp(m - exp(w) - q) * b + exp(x_k - q)
    m = q
    return h, a, b, m
"""
T, N, D, H = 5, 3, 2, 19


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_reset_is_a_start(backend: Any, reverse: bool, dtype: Any) -> None:
    """Two runs, each from the start, are one with a reset between; the gradients add up."""
    cell = EquationCell(read(RWKV))
    case = random_layer(np.random.default_rng(0), cell, T=T, N=N, D=D, H=H, dtype=dtype)
    params, x, dy = case.params, case.arrays["x"], case.cotangents["y"]
    reset = np.zeros((T, N), bool)
    reset[2] = True
    how: dict[str, Any] = {"backend": backend, "reverse": reverse}
    whole = bptt.unroll(cell, params, x, reset=reset, **how)
    parts = [bptt.unroll(cell, params, x[cut], **how) for cut in (slice(2), slice(2, None))]
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(whole.y, np.concatenate([p.y for p in parts]), rtol=tolerance, atol=tolerance)
    for one, other in zip(whole.states, parts[0 if reverse else 1].states, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance)
    grads = whole.backward(dy)
    found = [p.backward(d) for p, d in zip(parts, (dy[:2], dy[2:]), strict=True)]
    for name, gradient in grads.params.items():
        total = found[0].params[name] + found[1].params[name]
        np.testing.assert_allclose(gradient, total, rtol=tolerance, atol=10 * tolerance, err_msg=name)
    first = bptt.unroll(cell, params, x[:1], reset=np.ones((1, N), bool), **how)
    if reverse:  # the last border of all is one, too
        assert [set(s.ravel()) for s in first.states] == [{0.0}, {0.0}, {0.5}, {dtype(-1e38)}]
    else:
        assert first.y.tobytes() == bptt.unroll(cell, params, x[:1], **how).y.tobytes()
    given = bptt.unroll(cell, params, x, cell.first_states(N, H, dtype), **how)
    assert given.y.tobytes() == bptt.unroll(cell, params, x, **how).y.tobytes()


def test_with_a_start_gradients_are_the_complex_step() -> None:
    text = RWKV.replace("-1e38", "-2.0")
    case = random_layer(np.random.default_rng(1), EquationCell(read(text)), T=3, reset=np.eye(3, 2) > 0)
    got, wanted = case.grads(), complex_step(case.loss, case.arrays)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(got[name], gradient, rtol=1e-11, atol=1e-11)


def test_a_model_starts_there_and_a_run_keeps_it() -> None:
    cell = EquationCell(read(RWKV))
    model = bptt.Model(inputs=7, outputs=7, hidden=H, cell=cell, layers=2)
    state = model.zero_state(N)
    assert {n.rpartition(".")[2]: set(s.ravel()) for n, s in state.items()} == {
        "h": {0.0}, "a": {0.0}, "b": {0.5}, "m": {np.float32(-1e38)}
    }  # fmt: skip
    tokens = np.random.default_rng(0).integers(7, size=(T, N))
    params = model.init(np.random.default_rng(0))
    losses = [model.loss_and_grads(params, tokens[:-1], tokens[1:], state=s)[0] for s in (None, state)]
    assert losses[0] == losses[1]
    again = record.from_json(record.to_json(cell))
    assert isinstance(again, EquationCell)
    assert again.starts == cell.starts == {"m": -1e38, "b": 0.5}
    assert "Before the first step m is" in " ".join(page(cell).split())


def test_starts_that_are_none() -> None:
    for start, says in {
        "{'c': 1.0}": "start= names 'c'; the states are h",
        "{'h': 'one'}": 'start= must be states and numbers, as in {"h": 1.0}; got',
        "[1.0]": "start= must be states and numbers",
    }.items():
        with pytest.raises(BpttError) as caught:
            read(text_of("return a_h * h", options=f"state='h', start={start}"))
        assert says in str(caught.value)
