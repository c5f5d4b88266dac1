"""Models whose cells have maps: every gradient, every way in which a model is run, and prepared steps."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import ShapeError
from bptt.nets.stepper import Stepper
from bptt.types import Params
from gradcheck import assert_close, complex_step
from mapped_cells import CELLS, LSTM, MAPPED_LSTM, made

rng = np.random.default_rng(5)
TOKENS = rng.integers(5, size=(6, 2))


def mean_loss(model: bptt.Model, params: Params) -> Any:
    y = model.forward(params, TOKENS[:-1]).outputs
    y = y - y.real.max(axis=-1, keepdims=True)
    y = y - np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(y, TOKENS[1:, :, None], -1).mean()


@pytest.mark.parametrize(
    "more",
    [{}, {"embedding": 3, "layers": 2, "bidirectional": True}, {"zoneout": 0.2}],
    ids=["one", "two", "kept"],
)
def test_a_mapped_models_gradients_are_right(more: Any) -> None:
    model = bptt.Model(inputs=5, outputs=5, hidden=4, cell=MAPPED_LSTM, **more)
    params = {n: a + 0.2 * rng.normal(size=a.shape) for n, a in model.init(rng, np.float64).items()}
    assert list(params) == list(model.shapes)
    _, grads, _ = model.loss_and_grads(params, TOKENS[:-1], TOKENS[1:])
    assert list(grads) == list(params)
    assert_close(grads, complex_step(lambda p: mean_loss(model, p), params), 1e-12)
    run = model.forward(params, TOKENS[:-1])
    dy = np.exp(run.outputs) / np.exp(run.outputs).sum(axis=-1, keepdims=True)
    dy -= np.eye(5)[TOKENS[1:]]
    assert_close(run.backward(dy / dy[..., 0].size).params, grads, 1e-13)


def test_entries_of_the_matrix_that_is_made_are_dropped() -> None:
    """With maps whose matrix is the raw array itself, a step drops what it drops without."""
    identity = dict.fromkeys(("a_i", "a_f", "a_o", "a_g"), "M")
    cell = type(MAPPED_LSTM)(MAPPED_LSTM.plain.equations)
    plain = bptt.Model(inputs=5, outputs=5, hidden=4, cell=cell, weight_dropout=0.5, recurrent_dropout=0.3)
    mapped = bptt.Model(
        inputs=5, outputs=5, hidden=4, cell=made(LSTM, state="h c", maps=identity),
        weight_dropout=0.5, recurrent_dropout=0.3,
    )  # fmt: skip
    params = plain.init(rng, np.float64)
    blocks = np.split(params["layers.0.U"], 4, axis=1)
    own = {f"layers.0.U.a_{g}.M": block for g, block in zip("ifog", blocks, strict=True)}
    raw = params | {"layers.0.U": params["layers.0.U"][:, :0]} | own
    found = [
        model.loss_and_grads(p, TOKENS[:-1], TOKENS[1:], rng=np.random.default_rng(3))
        for model, p in ((plain, params), (mapped, raw))
    ]
    assert found[0].loss == found[1].loss
    joined = np.hstack([found[1].grads[name] for name in own])
    np.testing.assert_array_equal(joined, found[0].grads["layers.0.U"])
    assert (joined == 0).mean() > 0.3


def trained(model: bptt.Model, *, prepared: bool) -> tuple[list[float], Params, Any]:
    params = model.init(np.random.default_rng(0))
    text = np.tile(np.arange(9), 12)[:, None]
    batch, optimizer = bptt.Batch(text[:-1], text[1:]), bptt.optim.Adam()
    step = bptt.Step(model, params, optimizer, clip_norm=0.5)
    slots, losses, draws = optimizer.init(params), [], np.random.default_rng(1)
    for _ in range(6):
        if prepared:
            losses.append(step(batch, lr=0.02, rng=draws))
            continue
        found = model.backprop(params, batch, rng=draws)
        bptt.optim.clip_norm(found.grads.params, 0.5)
        optimizer.update(params, found.grads.params, slots, 0.02)
        losses.append(found.loss)
    return losses, params, step


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_prepared_step_is_planned_around_maps_to_the_same_bits(dropout: float) -> None:
    model = bptt.Model(inputs=9, outputs=9, hidden=16, cell=MAPPED_LSTM, embedding=8, input_dropout=dropout)
    (losses, params, step), (plain, others, _) = trained(model, prepared=True), trained(model, prepared=False)
    assert losses == plain
    for name, array in params.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    assert len(step._forms) == 1
    assert model.plain._planned.reasons == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_reads_one_token_at_a_time_makes_the_matrices_once(dtype: str) -> None:
    model = bptt.Model(inputs=5, outputs=5, hidden=4, cell=MAPPED_LSTM, layers=2, embedding=3)
    params = model.init(np.random.default_rng(0), dtype)
    stepper = Stepper(model, params, batch=2)
    wanted = model.forward(params, TOKENS).outputs
    for tokens, row in zip(TOKENS, wanted, strict=True):
        np.testing.assert_allclose(stepper.read(tokens), row, atol=1e-6)
    each, _ = model.losses(params, TOKENS[:-1], TOKENS[1:])
    assert each.mean() == pytest.approx(mean_loss(model, params), rel=1e-5)


def test_the_plain_model_has_the_matrices() -> None:
    for cell in CELLS[:3]:
        model = bptt.Model(inputs=4, outputs=5, hidden=4, cell=cell)
        params = model.init(rng)
        plain, whole = model.unmapped(params)
        assert {name: array.shape for name, array in whole.items()} == plain.shapes
        assert plain.unmapped(whole) == (plain, whole)
        tokens = TOKENS % 4
        got, wanted = model.forward(params, tokens).outputs, plain.forward(whole, tokens).outputs
        np.testing.assert_array_equal(got, wanted)
        with pytest.raises(ShapeError, match=r"must be|params has no"):
            model.forward(whole, tokens)


def test_flow_goes_through_the_matrices_that_are_made() -> None:
    model = bptt.Model(inputs=4, outputs=5, hidden=4, cell=MAPPED_LSTM)
    params = model.init(rng, np.float64)
    plain, whole = model.unmapped(params)
    x = rng.normal(size=(4, 2, 4))
    flows = [
        bptt.flow.through_time(m.cell, bptt.layer_params(p), x) for m, p in ((model, params), (plain, whole))
    ]
    for path in flows[0].paths:
        np.testing.assert_array_equal(flows[0].squares[path], flows[1].squares[path])
