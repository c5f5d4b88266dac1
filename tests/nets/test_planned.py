"""A model's programs: the bits of the path that is not planned, whatever model, batch and threads."""

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import bptt
from bptt.derive.functions import exp, tanh
from bptt.errors import ShapeError
from bptt.layer import threads
from bptt.nets.run import Backprop
from bptt.types import Array, Batch, Params

V, RUNS = 11, 3
"""The first two runs are not planned."""

MODELS: dict[str, dict[str, Any]] = {
    "embedding": {"embedding": 7},
    "one-hot": {},
    "layers": {"embedding": 7, "layers": 2},
    "both ways": {"embedding": 7, "bidirectional": True, "layers": 2},
    "tied": {"embedding": 12, "tied": True},
    "projected": {"embedding": 7, "tied": True, "projection": 7},
    "two biases": {"embedding": 6, "bias": "two", "output_bias": False},
    "pooled": {"embedding": 5, "pool": "last", "bidirectional": True},
    "sum": {"embedding": 5, "reduction": "sum_over_time_mean_over_batch"},
    "float64": {"embedding": 9, "backend": "cpu"},
    "penalised": {"embedding": 7, "activation_penalty": 2.0, "temporal_penalty": 1.0},
}
CELLS = ["rnn", "lstm", "gru", "gru-cho", "lstm-peephole", "indrnn", "mgu", "slstm", "ugrnn"]


def made(cell: str = "lstm", **options: Any) -> tuple[bptt.Model, Params]:
    """Return a model, and parameters none of which is zero."""
    rng = np.random.default_rng(0)
    model = bptt.Model(inputs=V, outputs=V, hidden=12, cell=cell, **options)
    dtype = np.float64 if options.get("backend") == "cpu" else np.float32
    drawn = model.init(rng, dtype).items()
    return model, {name: p + rng.normal(0, 0.1, p.shape).astype(dtype) for name, p in drawn}


def batch_of(model: bptt.Model, T: int, N: int, seed: int, *, has_resets: bool) -> Batch:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(V, size=(T + 1, N))
    reset = rng.random((T, N)) < 0.2 if has_resets else None
    return Batch(tokens[:-1], tokens[1:] if model.pool is None else tokens[1:2], reset=reset)


def arrays_of(found: Backprop) -> Params:
    states = {f"first {name}": a for name, a in found.grads.states.items()} | found.state
    return found.grads.params | states | {"each": found.each, "loss": np.array(found.loss)}


def expect_same(found: Params, wanted: Params) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("cell", CELLS[:3])
def test_the_same_bits(cell: str, options: dict[str, Any]) -> None:
    model, params = made(cell, **options)
    for T, N in ((25, 1), (9, 8), (3, 33)):
        for has_resets in (False, True):
            first = [
                None,
                {name: s + 0.5 for name, s in model.zero_state(N, params["layers.0.U"].dtype).items()},
            ]
            for state in first:
                for seed in range(RUNS):
                    batch = batch_of(model, T, N, seed, has_resets=has_resets)
                    found = model.backprop(params, batch, state)
                    expect_same(
                        arrays_of(found), arrays_of(made(cell, **options)[0].backprop(params, batch, state))
                    )
                    each, last = model.losses(params, batch, state=state)
                    wanted, _ = made(cell, **options)[0].losses(params, batch, state=state)
                    np.testing.assert_array_equal(each, wanted)
                    expect_same(last, found.state)
                is_planned = model.bound(params, batch, state) is not None
                # a direction that runs from the end wants the resets moved by a step, which NumPy does
                assert is_planned != (has_resets and model.bidirectional), model._planned.reasons


@pytest.mark.parametrize("options", [{}, {"learn_start": True, "layers": 2}, {"bidirectional": True}])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_features(cell: str, options: dict[str, Any]) -> None:
    """Those of another dtype are read as the parameters' own."""
    model, params = made(cell, features=3, embedding=7, **options)
    rng = np.random.default_rng(0)
    for seed in range(RUNS + 1):
        batch = replace(batch_of(model, 6, 5, seed, has_resets=False), features=rng.normal(size=(5, 3)))
        found = model.backprop(params, batch)
        wanted = made(cell, features=3, embedding=7, **options)[0].backprop(params, batch)
        expect_same(arrays_of(found), arrays_of(wanted))
        reference = replace(model, backend="reference").backprop(params, batch).grads
        for name, d in (reference.params | {"features": reference.features}).items():
            own = found.grads.features if name == "features" else found.grads.params[name]
            assert own is not None
            assert d is not None
            assert own.dtype == np.float32
            np.testing.assert_allclose(own, d, rtol=2e-4, atol=2e-6, err_msg=name)
    assert model.bound(params, batch) is not None, model._planned.reasons
    later = batch_of(model, 6, 5, 9, has_resets=False)  # a chunk that goes on from the one before
    for _ in range(RUNS):
        found = model.backprop(params, later, found.state)
    assert not found.grads.params["initial.W"].any()
    assert model.bound(params, later, found.state) is not None, model._planned.reasons


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_has_a_program(cell: str) -> None:
    model, params = made(cell, embedding=5)
    for seed in range(RUNS):
        batch = batch_of(model, 6, 3, seed, has_resets=False)
        found = model.backprop(params, batch)
        expect_same(arrays_of(found), arrays_of(made(cell, embedding=5)[0].backprop(params, batch)))
    assert model.bound(params, batch) is not None, model._planned.reasons


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_whatever_the_threads(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, params = made(embedding=7, layers=2)
    batch = batch_of(model, 40, 37, 0, has_resets=False)
    wanted = arrays_of(model.backprop(params, batch))
    monkeypatch.setattr(threads, "count", lambda: count)
    for _ in range(RUNS):
        expect_same(arrays_of(model.backprop(params, batch)), wanted)


def test_tokens_and_states_are_seen_to_each_time() -> None:
    model, params = made(embedding=7)
    state = model.zero_state(2)
    batch = batch_of(model, 5, 2, 0, has_resets=False)
    for _ in range(RUNS):
        model.backprop(params, batch, state)
    assert model.bound(params, batch, state) is not None

    def changed(tokens: Array, value: int) -> Array:
        tokens = tokens.copy()
        tokens[3, 1] = value
        return tokens

    for value in (V, -1, 2**40):
        with pytest.raises(ShapeError, match="tokens must be in 0"):
            model.backprop(params, Batch(changed(batch.inputs, value), batch.targets), state)
        with pytest.raises(ShapeError, match="targets must be in 0"):
            model.backprop(params, Batch(batch.inputs, changed(batch.targets, value)), state)
    with pytest.raises(ShapeError, match="states must hold"):
        model.backprop(params, batch, {"layers.0.h": state["layers.0.h"]})
    for name in params:
        with pytest.raises(ShapeError, match=f"params has no '{name}'"):
            model.backprop({other: array for other, array in params.items() if other != name}, batch, state)
    with pytest.raises(ShapeError, match="no parameter more"):
        model.backprop(params | {"more": state["layers.0.h"]}, batch, state)
    with pytest.raises(ShapeError, match="must be"):
        model.backprop(params, Batch(batch.inputs.astype(np.float64), batch.targets), state)


def test_other_types_and_arrays_that_lie_otherwise() -> None:
    model, params = made(embedding=7)
    batch = batch_of(model, 5, 2, 0, has_resets=False)
    wanted = arrays_of(model.backprop(params, batch))
    small = Batch(batch.inputs.astype(np.uint8), np.asfortranarray(batch.targets.astype(np.int16)))
    turned = params | {"layers.0.U": np.asfortranarray(params["layers.0.U"])}
    fixed = {name: array.copy() for name, array in params.items()}
    for array in fixed.values():
        array.flags.writeable = False
    for _ in range(RUNS):
        for own, given in ((params, small), (turned, batch), (fixed, batch)):
            expect_same(arrays_of(model.backprop(own, given)), wanted)


def test_what_is_found_stays() -> None:
    model, params = made(embedding=7)
    batches = [batch_of(model, 5, 2, seed, has_resets=False) for seed in range(6)]
    found = [model.backprop(params, batch) for batch in batches]
    for batch, run in zip(batches, found, strict=True):
        expect_same(arrays_of(run), arrays_of(made(embedding=7)[0].backprop(params, batch)))


DRAWS: list[dict[str, Any]] = [
    {"dropout": 0.5, "layers": 2},
    {"dropout": 0.3, "input_dropout": 0.2, "dropout_per": "sequence", "layers": 2},
    {"embedding_dropout": 0.3, "weight_dropout": 0.4},
    {"zoneout": 0.2, "zoneout_cell": 0.1},
    {"recurrent_dropout": 0.3, "dropout": 0.1, "backend": "cpu"},
    {"dropout": 0.5, "bidirectional": True, "layers": 2, "pool": "last"},
    {"dropout": 0.2, "tied": True, "embedding_dropout": 0.2, "embedding": 12},
]


@pytest.mark.parametrize("options", DRAWS)
def test_what_is_drawn_is_what_would_be(options: dict[str, Any]) -> None:
    options = {"embedding": 7} | options
    model, params = made(**options)
    batch = batch_of(model, 6, 4, 0, has_resets=False)
    for seed in (0, 0, 0, 1, 2):
        rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
        found = model.backprop(params, batch, rng=rng)
        expect_same(arrays_of(found), arrays_of(made(**options)[0].backprop(params, batch, rng=other)))
        assert rng.random() == other.random()  # no more was drawn, and no less
    assert model.bound(params, batch, rng=rng) is not None, model._planned.reasons
    plain = model.backprop(params, batch).loss
    assert plain == model.backprop(params, batch).loss != found.loss


def test_nothing_is_drawn_where_tokens_are_wrong() -> None:
    model, params = made(embedding=7, dropout=0.5)
    batch = batch_of(model, 6, 4, 0, has_resets=False)
    for _ in range(RUNS):
        model.backprop(params, batch, rng=np.random.default_rng(0))
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match="tokens must be in 0"):
        model.backprop(params, Batch(batch.inputs + V, batch.targets), rng=rng)
    assert rng.random() == np.random.default_rng(0).random()


def masked(model: bptt.Model, T: int, N: int, seed: int, *, holes: bool = False, some: bool = False) -> Batch:
    """Return sequences of unlike lengths, whose padding is no token, of which some targets count or all."""
    rng = np.random.default_rng(seed)
    batch = batch_of(model, T, N, seed, has_resets=False)
    mask = np.arange(T)[:, None] < rng.integers(1, T + 1, N)
    mask &= (rng.random((T, N)) < 0.7) | (not holes)
    mask[0, 0] = True
    targets, counted = batch.targets, None
    if model.pool is not None:
        counted = np.ones((1, N), bool)
    elif some:
        counted = mask & (rng.random((T, N)) < 0.6) | (np.arange(T * N).reshape(T, N) == 0)
    if model.pool is None:
        targets = np.where(mask if counted is None else counted, targets, -1)
    return Batch(np.where(mask, batch.inputs, -7), targets, mask, counted)


MASKED: dict[str, dict[str, Any]] = MODELS | {
    "weights": {"embedding": 5, "class_weights": tuple(range(1, V + 1))},
    "smoothed": {"embedding": 5, "label_smoothing": 0.1},
    "over time": {"embedding": 5, "reduction": "mean_over_time_sum_over_batch"},
}


@pytest.mark.parametrize("options", MASKED.values(), ids=MASKED)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_any_lengths_have_one_program(cell: str, options: dict[str, Any]) -> None:
    model, params = made(cell, **options)
    kinds: list[dict[str, Any]] = [{}, {"some": True}, {"holes": True}]
    for kind in kinds:
        for seed in range(2 * RUNS):
            batch = masked(model, 9, 8, seed, **kind)
            found = model.backprop(params, batch)
            expect_same(arrays_of(found), arrays_of(made(cell, **options)[0].backprop(params, batch)))
            if model.pool is None and batch.counted is not None:
                assert not found.each[~batch.counted].any()
            each, last = model.losses(params, batch)
            expect_same({"each": each} | last, {"each": found.each} | found.state)
        assert model.bound(params, batch) is not None, model._planned.reasons
    assert model._planned.reasons == []


@bptt.cell(state="h", inputs="t z", shapes={"t": "row"})
def aged(a_h, h, t, z):  # type: ignore[no-untyped-def]
    """h fades as time passes, beside what is told to each unit."""
    return exp(-t) * h + tanh(a_h + z)


@pytest.mark.parametrize("options", [{"embedding": 7, "layers": 2}, {"bidirectional": True}])
def test_what_is_given_in_padding_is_not_read(options: dict[str, Any]) -> None:
    def model(backend: Any = "cpu") -> bptt.Model:
        return bptt.Model(inputs=V, outputs=V, hidden=6, cell=aged, backend=backend, **options)

    planned = model()
    params = {name: array.astype(float) for name, array in planned.init(np.random.default_rng(3)).items()}
    for seed in range(RUNS + 1):
        batch, rng = masked(planned, 9, 8, seed, holes=True), np.random.default_rng(seed)
        assert batch.mask is not None
        given = {"t": rng.uniform(0, 1, (9, 8)), "z": rng.normal(size=(9, 8, 6))}
        for array in given.values():
            array[~batch.mask] = np.nan
        batch = replace(batch, given=given)
        found, wanted = planned.backprop(params, batch), model("reference").backprop(params, batch)
        expect_same(arrays_of(found), arrays_of(model().backprop(params, batch)))
        beside, right = (dict(each.grads.given or {}) for each in (found, wanted))
        assert beside.keys() == right.keys() == given.keys()
        own, other = arrays_of(found) | beside, arrays_of(wanted) | right
        for name, array in other.items():
            np.testing.assert_allclose(own[name], array, rtol=1e-11, atol=1e-13, err_msg=name)
    assert planned.bound(params, batch) is not None, planned._planned.reasons


@pytest.mark.parametrize("options", MASKED.values(), ids=MASKED)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_steps_that_do_not_exist_change_nothing(
    cell: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bptt.kernels.cell import rows
    from bptt.kernels.ops import output

    options = options | {"backend": "cpu"}
    model, params = made(cell, **options)
    batches = [masked(model, 9, 8, 0), masked(model, 9, 8, 1, some=True), masked(model, 9, 8, 2, holes=True)]
    found = [arrays_of(model.backprop(params, batch)) for batch in batches]
    monkeypatch.setattr(rows, "FEW", 0)  # where there is more to compute they are left out
    monkeypatch.setattr(output, "FEW", 0)
    for batch, few in zip(batches, found, strict=True):
        for _ in range(RUNS):
            for name, array in arrays_of(made(cell, **options)[0].backprop(params, batch)).items():
                np.testing.assert_allclose(few[name], array, rtol=1e-12, atol=1e-14, err_msg=name)
    assert made(cell, **options)[0].bound(params, batches[0]) is None


def test_a_mask_of_large_batches_is_not_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    from bptt.kernels.cell import rows

    monkeypatch.setattr(rows, "FEW", 0)
    model, params = made(embedding=7)
    batch = masked(model, 9, 8, 0)
    assert len({model.backprop(params, batch).loss for _ in range(RUNS)}) == 1
    assert model.bound(params, batch) is None


def test_copies_have_programs_of_their_own() -> None:
    model, params = made(embedding=7)
    batch = batch_of(model, 5, 2, 0, has_resets=False)
    wanted = [arrays_of(model.backprop(params, batch)) for _ in range(RUNS)][-1]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.bound(params, batch) is None
        expect_same(arrays_of(other.backprop(params, batch)), wanted)
