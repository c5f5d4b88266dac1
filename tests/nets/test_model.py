"""A whole model's gradients are right: from the loss to every parameter, input, state and feature."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from bptt import Batch, Model, unroll
from bptt.cells import CELLS
from bptt.errors import ConfigError, ShapeError
from bptt.nets.losses import LOSSES
from bptt.types import Array, Params, Reduction
from gradcheck import assert_close, central_differences, complex_step
from model_cases import (
    DROPPED,
    EVERY_MODEL,
    FLAGS,
    MASK,
    MODELS,
    RESET,
    Case,
    F,
    N,
    Options,
    T,
    case,
    dropping,
)


@EVERY_MODEL
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_every_gradient(name: str, flags: Options) -> None:
    c = case(flags=flags, **MODELS[name])
    grads = c.grads()
    assert all(array.any() for array in grads.values())
    assert_close(grads, complex_step(c.projection, c.arrays), 1e-12)


@pytest.mark.parametrize("name", DROPPED)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_gradient_with_dropout(name: str, seed: int) -> None:
    """What is dropped on the way forward is dropped on the way back."""
    c = dropping(name, seed, {"mask": MASK})
    assert_close(c.grads(), complex_step(c.projection, c.arrays), 1e-12)


@pytest.mark.parametrize("name", ["one-hot", "embedding, folded", "tied, unfolded", "features", "3 layers"])
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("loss", LOSSES)
def test_training_step_is_the_gradient_of_its_loss(name: str, flags: Options, loss: str) -> None:
    c = case(flags=flags, **MODELS[name], loss=loss)
    params, inputs, state, options = c.parts(c.arrays)
    value, grads, final = c.model.loss_and_grads(params, inputs, c.targets, state, **options)
    assert isinstance(value, float)

    def loss_of(params: Params) -> Any:
        outputs = c.model.forward(params, inputs, state, **options).outputs
        return c.model.loss_of(outputs, c.targets, mask=options.get("mask")).value

    assert value == loss_of(params)
    assert_close(grads, complex_step(loss_of, params), 1e-12)
    if name == "one-hot":
        assert_close(grads, central_differences(loss_of, params), 1e-6)
    assert_close(final, c.run().state, 0)


@pytest.mark.parametrize("reduction", get_args(Reduction))
@pytest.mark.parametrize("target_mask", [None, ~MASK | RESET], ids=["", "target mask"])
def test_reduction_and_target_mask_reach_the_loss(reduction: Reduction, target_mask: Array | None) -> None:
    """By default the steps that exist count; a target mask says otherwise and holds no state."""
    c = case(reduction=reduction)
    params, inputs, state, _ = c.parts(c.arrays)
    for mask in (None, MASK):
        counted = mask if target_mask is None else target_mask
        outputs = c.model.forward(params, inputs, state, mask=mask).outputs
        wanted = LOSSES["cross_entropy"](outputs, c.targets, reduction=reduction, mask=counted)
        step = c.model.loss_and_grads(params, inputs, c.targets, state, mask=mask, target_mask=target_mask)
        assert step.loss == wanted.value
        again = c.model.forward(params, inputs, state, mask=mask).backward(wanted.grad)
        assert_close(step.grads, again.params, 0)


@EVERY_MODEL
def test_gradients_have_the_names_shapes_and_order_of_the_parameters(name: str) -> None:
    c = case(**MODELS[name])
    params, inputs, state, options = c.parts(c.arrays)
    grads = c.model.loss_and_grads(params, inputs, np.zeros((T, N), int), state, **options).grads
    assert [(k, g.shape) for k, g in grads.items()] == [(k, p.shape) for k, p in params.items()]
    turned = dict(reversed(params.items()))
    assert list(
        c.model.loss_and_grads(turned, inputs, np.zeros((T, N), int), state, **options).grads
    ) == list(turned)


@EVERY_MODEL
def test_float32_is_kept(name: str) -> None:
    c = case(**MODELS[name])
    small = replace(
        c,
        arrays={k: a.astype(np.float32) for k, a in c.arrays.items()},
        cotangents={k: a.astype(np.float32) for k, a in c.cotangents.items()},
    )
    made = {"outputs": small.run().outputs} | small.run().state | small.grads()
    assert {k: a.dtype for k, a in made.items()} == dict.fromkeys(made, np.dtype(np.float32))
    assert_close(small.grads(), c.grads(), 1e-5)
    params, inputs, state, options = small.parts(small.arrays)
    step = small.model.loss_and_grads(params, inputs, np.zeros((T, N), int), state, **options)
    assert {a.dtype for a in (*step.grads.values(), *step.state.values())} == {np.dtype(np.float32)}
    assert {a.dtype for a in small.model.init(np.random.default_rng(0)).values()} == {np.dtype(np.float32)}
    assert {a.dtype for a in small.model.zero_state(2).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("c", [case(**o) for o in MODELS.values()] + [dropping(n, 1) for n in DROPPED])
def test_backward_twice_gives_the_same_and_changes_nothing(c: Case) -> None:
    given = [*c.arrays.values(), *c.cotangents.values(), c.targets, *([] if c.tokens is None else [c.tokens])]
    before = [array.copy() for array in given]
    run = c.run()
    outputs = run.outputs.copy()
    first, second = c.grads(run), c.grads(run)
    c.model.output.loss_of(run.outputs, np.zeros((T, N), int), overwrite=True)
    third = c.grads(run)  # the outputs' place may be taken by the loss's gradient
    assert not np.array_equal(outputs, run.outputs)
    assert all(np.array_equal(first[k], other[k]) for other in (second, third) for k in first)
    params, inputs, state, options = c.parts(c.arrays)
    c.model.loss_and_grads(params, inputs, np.zeros((T, N), int), state, **options)
    assert all(np.array_equal(a, b) for a, b in zip(before, given, strict=True))


@EVERY_MODEL
def test_zero_cotangents_give_exactly_zero(name: str) -> None:
    c = case(**MODELS[name])
    zero = replace(c, cotangents={k: 0 * d for k, d in c.cotangents.items()})
    assert not any(array.any() for array in zero.grads().values())
    assert not any(a.any() for a in c.run().backward(0 * c.cotangents["outputs"]).params.values())


@EVERY_MODEL
def test_one_array_alone_may_be_complex(name: str) -> None:
    """A result has the dtype that its operands ask for, wherever in the model the complex one is."""
    c = case(**MODELS[name])
    wanted = c.grads()
    for k, array in c.arrays.items():
        step = 1e-30j * np.random.default_rng(2).normal(size=array.shape)
        slope = c.projection(c.arrays | {k: array + step}).imag
        assert slope == pytest.approx((wanted[k] * step.imag).sum(), rel=1e-11, abs=0), k


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_both_directions_are_one_run_from_each_end_side_by_side(flags: Options) -> None:
    c = case(flags=flags, token_inputs=False, bidirectional=True, layers=2)
    y = c.arrays["inputs"]
    for layer in (0, 1):
        outputs = []
        for direction in ("", "reverse."):
            prefix = f"layers.{layer}.{direction}"
            params = {name: c.arrays[prefix + name] for name in ("W", "U", "b")}
            states = (c.arrays[f"state.{prefix}h"], c.arrays[f"state.{prefix}c"])
            run = unroll(CELLS["lstm"], params, y, states, reverse=direction != "", **flags)
            assert_close(
                {s: c.run().state[prefix + s] for s in "hc"}, dict(zip("hc", run.states, strict=True)), 0
            )
            outputs.append(run.y)
        y = np.concatenate(outputs, axis=-1)
    assert np.allclose(c.run().outputs, y @ c.arrays["output.W"] + c.arrays["output.b"], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in MODELS if "directions" not in name])
def test_state_carried_on_is_the_whole_sequence(name: str) -> None:
    """A layer that runs from the end has its past in the next chunk: those are left out here."""
    c = case(**MODELS[name])
    params, inputs, state, options = c.parts(c.arrays)
    first = c.model.forward(params, inputs[:1], state, **options)
    second = c.model.forward(params, inputs[1:], first.state)
    joined = np.concatenate([first.outputs, second.outputs])
    assert_close({"y": joined}, {"y": c.run().outputs}, 1e-13)
    assert_close(second.state, c.run().state, 1e-13)


def test_parameters_are_named_as_the_documentation_says() -> None:
    model = Model(
        inputs=7, outputs=6, hidden=3, embedding=2, layers=2, bidirectional=True, bias="two", features=F
    )
    shapes = {name: array.shape for name, array in model.init(np.random.default_rng(0)).items()}
    layers = {
        f"layers.{layer}.{direction}{name}": shape
        for layer, D in ((0, 2), (1, 6))
        for direction in ("", "reverse.")
        for name, shape in (("W", (D, 12)), ("U", (3, 12)), ("b", (12,)), ("b_h", (12,)))
    }
    others = {
        "embedding": (7, 2),
        "output.W": (6, 6),
        "output.b": (6,),
        "initial.W": (F, 12),
        "initial.b": (12,),
    }
    assert shapes == layers | others
    assert list(model.zero_state(5)) == [
        f"layers.{layer}.{direction}{s}" for layer in (0, 1) for direction in ("", "reverse.") for s in "hc"
    ]
    tied = Model(inputs=5, outputs=5, hidden=3, embedding=3, tied=True, output_bias=False, bias="none")
    assert set(tied.init(np.random.default_rng(0))) == {"embedding", "layers.0.W", "layers.0.U"}


def test_losses_are_those_of_a_training_step() -> None:
    c = case(inputs=9, embedding=3)
    assert c.tokens is not None
    params = {name: c.arrays[name] for name in c.names}
    for backend in ("reference", "cpu"):
        model = replace(c.model, backend=backend)
        batch = Batch(c.tokens, c.targets, mask=MASK)
        each, _ = model.losses(params, batch)
        wanted = model.backprop(params, batch)
        np.testing.assert_allclose(each, wanted.each, rtol=0, atol=1e-13)
        assert not each[~MASK].any()


def test_a_batch_is_given_alone() -> None:
    c = case()
    assert c.tokens is not None
    batch, params = Batch(c.tokens, c.targets), {name: c.arrays[name] for name in c.names}
    same = c.model.loss_and_grads(params, batch, mask=None)
    assert same.loss == c.model.loss_and_grads(params, c.tokens, c.targets).loss
    with pytest.raises(ConfigError, match="give it alone"):
        c.model.loss_and_grads(params, batch, mask=MASK)
    with pytest.raises(ConfigError, match="give it alone"):
        c.model.loss_and_grads(params, batch, c.targets)
    with pytest.raises(ShapeError, match="targets must be"):
        c.model.loss_and_grads(params, c.tokens)


def test_a_size_may_be_numpys_and_is_no_truth_value() -> None:
    model = Model(inputs=np.int64(5), outputs=5, hidden=3)  # type: ignore[arg-type]
    assert model.shapes["layers.0.W"] == (5, 12)
    with pytest.raises(ConfigError, match="hidden must be a whole number"):
        Model(inputs=5, outputs=5, hidden=True)
