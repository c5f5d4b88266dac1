"""A whole model's gradients are right: from the loss to every parameter, input, state and feature.

T·N is 8 tokens: with V = 5 an embedding and the first layer's W are multiplied once per token of the
vocabulary ("folded"), with V = 9 rows of the embedding are gathered.
"""

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pytest

from bptt import Model, unroll
from bptt.cells import CELLS
from bptt.errors import ConfigError, ShapeError
from bptt.nets.losses import LOSSES
from bptt.nets.model import ModelRun
from bptt.types import Array, Params, Reduction
from gradcheck import assert_close, central_differences, complex_step, dot

T, N, F = 4, 2, 3
MASK = np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool)
RESET = np.array([[0, 1], [0, 0], [1, 0], [0, 1]], bool)

Options = dict[str, Any]
SIZES: Options = {"inputs": 5, "outputs": 4, "hidden": 3}


@dataclass(frozen=True)
class Case:
    """A model, random values for all of its arrays, and cotangents for all of its outputs.

    ``arrays`` holds the parameters by their names, real inputs as ``inputs``, the initial states as
    ``state.<name>``, or instead ``features``.
    """

    model: Model
    arrays: Params
    cotangents: Params
    tokens: Array | None
    targets: Array
    flags: Options

    def parts(self, arrays: Params) -> tuple[Params, Array, Params | None, Options]:
        """Return parameters, inputs, state and the other arguments of `Model.forward`."""
        params = {name: arrays[name] for name in self.names}
        inputs = arrays["inputs"] if self.tokens is None else self.tokens
        options = dict(self.flags)
        if seed := options.pop("seed", None):
            options["rng"] = np.random.default_rng(seed)  # the same drops at each run
        if "features" in arrays:
            return params, inputs, None, options | {"features": arrays["features"]}
        prefix = "state."
        state = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
        return params, inputs, state, options

    @property
    def names(self) -> list[str]:
        return list(self.model.init(np.random.default_rng(0)))

    def run(self, arrays: Params | None = None) -> ModelRun:
        params, inputs, state, options = self.parts(self.arrays if arrays is None else arrays)
        return self.model.forward(params, inputs, state, **options)

    def projection(self, arrays: Params) -> Any:
        """Return a scalar of all outputs and final states."""
        run = self.run(arrays)
        return dot({"outputs": run.outputs} | run.state, self.cotangents)

    def grads(self, run: ModelRun | None = None) -> Params:
        """Return the gradient of `projection` at every one of ``arrays``, by backpropagation."""
        cotangents = dict(self.cotangents)
        grads = (run or self.run()).backward(cotangents.pop("outputs"), cotangents)
        found = dict(grads.params)
        if grads.inputs is not None:
            found["inputs"] = grads.inputs
        if grads.features is not None:
            return found | {"features": grads.features}
        return found | {f"state.{name}": d for name, d in grads.states.items()}


def case(seed: int = 0, flags: Options | None = None, **options: Any) -> Case:
    """Return a case of the model with these options, of SIZES where nothing else is said."""
    rng = np.random.default_rng(seed)
    model = Model(**(SIZES | options))
    arrays = {name: rng.normal(0, 0.6, array.shape) for name, array in model.init(rng).items()}
    tokens: Array | None = None
    if model.token_inputs:
        tokens = rng.integers(model.inputs, size=(T, N))
    else:
        arrays["inputs"] = rng.normal(size=(T, N, model.inputs))
    state = model.zero_state(N)
    if model.features:
        arrays["features"] = rng.normal(size=(N, model.features))
    else:
        arrays |= {f"state.{name}": rng.normal(size=zero.shape) for name, zero in state.items()}
    cotangents = {name: rng.normal(size=zero.shape) for name, zero in state.items()}
    cotangents["outputs"] = rng.normal(size=(T, N, model.outputs))
    if model.loss == "cross_entropy":
        targets: Array = rng.integers(model.outputs, size=(T, N))
    else:
        targets = rng.random((T, N, model.outputs))
    return Case(model, arrays, cotangents, tokens, targets, flags or {})


MODELS: dict[str, Options] = {
    "one-hot": {},
    "rnn": {"cell": "rnn"},
    "rnn-relu": {"cell": "rnn-relu"},
    "gru": {"cell": "gru"},
    "gru-cho": {"cell": "gru-cho"},
    "real inputs": {"token_inputs": False},
    "real inputs, both directions, 2 layers": {
        "token_inputs": False,
        "bidirectional": True,
        "layers": 2,
        "cell": "rnn",
    },
    "embedding, folded": {"embedding": 2},
    "embedding, unfolded": {"embedding": 2, "inputs": 9},
    "embedding, folded, both directions": {"embedding": 4, "bidirectional": True, "cell": "gru"},
    "embedding, unfolded, both directions": {
        "embedding": 4,
        "bidirectional": True,
        "inputs": 9,
        "cell": "gru",
    },
    "tied, folded": {"embedding": 3, "outputs": 5, "tied": True},
    "tied, unfolded": {"embedding": 3, "inputs": 9, "outputs": 9, "tied": True, "cell": "rnn"},
    "tied, both directions": {
        "embedding": 6,
        "outputs": 5,
        "tied": True,
        "bidirectional": True,
        "cell": "rnn",
    },
    "tied, no output bias": {"embedding": 3, "outputs": 5, "tied": True, "output_bias": False},
    "both directions": {"bidirectional": True},
    "both directions, 2 layers": {"bidirectional": True, "layers": 2, "cell": "gru", "hidden": 2},
    "3 layers": {"layers": 3, "hidden": 2},
    "3 layers of gru-cho": {"layers": 3, "hidden": 2, "cell": "gru-cho"},
    "no biases": {"bias": "none", "output_bias": False},
    "no output bias": {"output_bias": False},
    "two biases": {"bias": "two", "cell": "gru", "layers": 2},
    "features": {"features": F},
    "features, embedding, 2 layers": {"features": F, "embedding": 2, "layers": 2},
    "features, both directions, real": {
        "features": F,
        "bidirectional": True,
        "layers": 2,
        "token_inputs": False,
        "cell": "gru",
        "hidden": 2,
    },
}
FLAGS: dict[str, Options] = {"plain": {}, "mask+reset": {"mask": MASK, "reset": RESET}}
OUT, IN = {"dropout": 0.4}, {"input_dropout": 0.3}
DROPPED: dict[str, tuple[str, Options]] = {
    "one-hot": ("one-hot", OUT),
    "3 layers": ("3 layers", OUT),
    "real inputs": ("real inputs", IN),
    "real inputs, both directions, 2 layers": ("real inputs, both directions, 2 layers", OUT | IN),
    "embedding, folded": ("embedding, folded", OUT),
    "embedding, folded but for its drops": ("embedding, folded", IN),
    "embedding, unfolded": ("embedding, unfolded, both directions", OUT | IN),
    "tied": ("tied, folded", OUT | IN),
    "features": ("features, embedding, 2 layers", OUT | IN),
}
"""Models that drop: a name in `MODELS`, and what is dropped."""


def dropping(name: str, seed: int | None, flags: Options | None = None) -> Case:
    """Return a case of `DROPPED`; without a seed nothing is dropped."""
    model, options = DROPPED[name]
    return case(flags=(flags or {}) | ({"seed": seed} if seed else {}), **MODELS[model], **options)


EVERY_MODEL = pytest.mark.parametrize("name", MODELS)


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


# ---------------------------------------------------------------------- layers and directions


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


# ---------------------------------------------------------------------- the ways to look at tokens


@pytest.mark.parametrize("name", ["embedding, folded", "embedding, folded, both directions"])
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_folded_and_gathered_embeddings_are_equal(name: str, flags: Options) -> None:
    """Words that are never used turn the fold off, and change nothing else."""
    folded = case(flags=flags, **MODELS[name])
    E = folded.arrays["embedding"]
    gathered = replace(
        folded,
        model=replace(folded.model, inputs=9),
        arrays=folded.arrays | {"embedding": np.concatenate([E, np.ones((4, E.shape[1]))])},
    )
    assert_close({"y": gathered.run().outputs}, {"y": folded.run().outputs}, 1e-14)
    grads, wanted = gathered.grads(), folded.grads()
    assert not grads["embedding"][5:].any()
    assert_close(grads | {"embedding": grads["embedding"][:5]}, wanted, 1e-13)


def test_an_embedding_is_a_product_with_one_hot_inputs() -> None:
    c = case(embedding=2)
    assert c.tokens is not None
    x = c.arrays["embedding"][c.tokens]
    real = case(inputs=2, token_inputs=False)
    real = replace(real, arrays={k: c.arrays[k] for k in c.arrays if k != "embedding"} | {"inputs": x})
    assert_close({"y": real.run().outputs}, {"y": c.run().outputs}, 1e-14)


def test_tied_is_the_embedding_turned() -> None:
    tied = case(embedding=3, outputs=5, tied=True)
    E = tied.arrays["embedding"]
    own = replace(tied, model=replace(tied.model, tied=False), arrays=tied.arrays | {"output.W": E.T})
    assert np.array_equal(own.run().outputs, tied.run().outputs)
    grads = own.grads()
    wanted = tied.grads()
    grads["embedding"] = grads["embedding"] + grads.pop("output.W").T
    assert_close(grads, wanted, 1e-14)


# ---------------------------------------------------------------------- features, states, dropout


def test_features_are_the_first_output_of_every_layer() -> None:
    c = case(features=F, layers=2, bidirectional=True, cell="lstm")
    params, inputs, _, _ = c.parts(c.arrays)
    h = c.arrays["features"] @ params["initial.W"] + params["initial.b"]
    names = [name for name in c.model.zero_state(N) if name.endswith(".h")]
    assert len(names) == 4
    state = c.model.zero_state(N, np.float64) | {
        name: h[:, 3 * k : 3 * k + 3] for k, name in enumerate(names)
    }
    assert np.array_equal(c.model.forward(params, inputs, state).outputs, c.run().outputs)


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


@pytest.mark.parametrize("name", DROPPED)
def test_drops_are_the_generators(name: str) -> None:
    plain, none = case(**MODELS[DROPPED[name][0]]), dropping(name, None)
    assert np.array_equal(plain.run().outputs, none.run().outputs), "without a generator nothing is dropped"
    one, same, other = (dropping(name, seed).run().outputs for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_nothing_is_dropped_on_the_way_through_time() -> None:
    """Zaremba et al. 2014: where one layer drops its output alone, its states are whole."""
    dropped, plain = dropping("one-hot", 1).run(), case().run()
    assert not np.array_equal(dropped.outputs, plain.outputs)
    assert_close(dropped.state, plain.state, 0)


@pytest.mark.parametrize(
    ("options", "times"),
    [(OUT, 1), (IN, 1), (OUT | IN, 2), ({"layers": 3} | OUT, 3), ({"layers": 3} | OUT | IN, 4)],
)
def test_what_is_kept_is_scaled_so_that_the_mean_stays(options: Options, times: int) -> None:
    """Layers of one unit that hand their input on: what comes out was dropped so many times."""
    sizes: Options = {"inputs": 1, "outputs": 1, "hidden": 1, "token_inputs": False, "bias": "none"}
    model = Model(**sizes, cell="rnn-relu", output_bias=False, **options)
    params = {name: np.ones((1, 1)) * (name[-1] == "W") for name in model.init(np.random.default_rng(0))}
    y = model.forward(params, np.ones((200, 50, 1)), rng=np.random.default_rng(0)).outputs
    keep = 0.7 ** ("input_dropout" in options) * 0.6 ** (times - ("input_dropout" in options))
    assert np.allclose(y[y != 0], 1 / keep, rtol=1e-12)
    assert (y != 0).mean() == pytest.approx(keep, abs=0.02)


# ---------------------------------------------------------------------- names, and what does not fit


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


CONFIGS: list[Any] = [
    ({"hidden": 0}, "hidden must be a whole number from 1, got 0"),
    ({"inputs": -1}, "inputs must be a whole number from 1, got -1"),
    ({"outputs": 2.0}, "outputs must be a whole number from 1, got 2.0"),
    ({"layers": 0}, "layers must be a whole number from 1, got 0"),
    ({"embedding": 0}, "embedding must be a whole number from 1, got 0"),
    ({"features": 0}, "features must be a whole number from 1, got 0"),
    ({"cell": "lstn"}, "no cell is called 'lstn'"),
    ({"loss": "mse"}, "loss must be one of cross_entropy, .*; got 'mse'"),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
    ({"input_dropout": 1.0, "embedding": 3}, "input_dropout must be at least 0 and below 1, got 1.0"),
    ({"input_dropout": 0.1}, "one-hot has none"),
    ({"init_name": "xavier"}, "init must be one of uniform, .*; got 'xavier'"),
    ({"init_name": "fan-in", "init_scale": 0.1}, "'fan-in' takes no scale"),
    ({"embedding": 3, "token_inputs": False}, "an embedding is for tokens"),
    ({"tied": True}, "it wants E = 3 .* got E = None"),
    ({"tied": True, "embedding": 2, "outputs": 5}, "it wants E = 3 .* got E = 2"),
    ({"tied": True, "embedding": 3}, "as many outputs as inputs; .* 5 in, 4 out"),
    ({"tied": True, "embedding": 3, "outputs": 5, "bidirectional": True}, "it wants E = 6 .* got E = 3"),
    ({"bias": "three"}, "bias must be"),
    ({"reduction": "mean"}, "reduction must be"),
]


@pytest.mark.parametrize(("options", "text"), CONFIGS)
def test_options_that_mean_nothing_are_told(options: Options, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Model(**(SIZES | options))


z = np.zeros
TOKENS = z((T, N), int)
FITS: Options = {"embedding": 3, "inputs": 9}  # a model that gathers its embedding: outputs 4, hidden 3

CALLS: list[Any] = [
    ({"inputs": TOKENS[..., None]}, r"inputs must be \(T, N\) integer tokens, got int64 \(4, 2, 1\)"),
    ({"inputs": TOKENS + 9}, r"tokens must be in 0 .. V-1 = 8, got 9 .. 9"),
    ({"inputs": TOKENS - 1}, r"tokens must be in 0 .. V-1 = 8, got -1 .. -1"),
    ({"state": {}}, r"states must hold layers.0.h, layers.0.c; got none"),
    ({"state": {"layers.0.h": z((N, 3))}}, r"states must hold layers.0.h, layers.0.c; got layers.0.h"),
    ({"state": dict.fromkeys(("layers.0.h", "layers.0.c"), z((3, N)))}, r"initial h must be \(N, H\)"),
    ({"mask": MASK.T}, r"mask must be \(T, N\) = \(4, 2\), got \(2, 4\)"),
    ({"reset": RESET[:1]}, r"reset must be \(T, N\) = \(4, 2\), got \(1, 2\)"),
    ({"without": "embedding"}, r"params has no 'embedding'; it holds layers.0.W"),
    ({"without": "output.W"}, r"params has no 'output.W'; it holds embedding"),
    ({"without": "layers.0.W"}, r"params has no 'layers.0.W'"),
    ({"layers.0.U": z((12, 3))}, r"layers.0.U must be \(3, 12\), got \(12, 3\)"),
    ({"layers.0.W": z((9, 12))}, r"layers.0.W must be \(3, 12\), got \(9, 12\)"),
    ({"targets": TOKENS + 4}, r"targets must be in 0 .. V-1 = 3, got 4 .. 4"),
    ({"targets": TOKENS[:-1]}, r"targets must be \(T, N\) = \(4, 2\) integers, got int64 \(3, 2\)"),
    ({"inputs": z((T, N))}, "tokens"),
    ({"without": "output.b"}, "output.b"),
    ({"output.W": z((4, 3))}, "output.W"),
    ({"output.b": z(5)}, "output.b"),
    ({"output.b": z(1)}, "output.b"),
    ({"output.W": z((3, 7)), "output.b": z(7)}, "output"),
    ({"embedding": z((4, 3))}, "embedding"),
    ({"without": "layers.0.b"}, "layers.0.b"),
    ({"params": {"layers.1.U": z((3, 12))}}, "the model has no parameter layers.1.U"),
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
        ({"outputs": z((T, N, 5))}, "outputs"),
        ({"outputs": z((T * N, 4))}, "outputs"),
        ({"outputs": z((N, T, 4))}, "outputs"),
        ({"layers.0.h": z((3, N))}, r"gradient at the final h must be \(N, H\) = \(2, 3\), got \(3, 2\)"),
        ({"layers.0.c": None}, "layers.0.c"),
        ({"layers.1.h": z((N, 3))}, "layers.1.h"),
    ],
)
def test_cotangents_that_do_not_fit_are_told(changes: Options, text: str) -> None:
    c = case(**FITS)
    cotangents = {k: d for k, d in (c.cotangents | changes).items() if d is not None}
    with pytest.raises(ShapeError, match=text):
        replace(c, cotangents=cotangents).grads()


@pytest.mark.parametrize("x", [z((T, N)), z((T, N, 6)), z((T, N, 5), int), z((N, 5))])
def test_real_inputs_that_do_not_fit_are_told(x: Array) -> None:
    c = case(token_inputs=False)
    params, _, state, _ = c.parts(c.arrays)
    with pytest.raises(ShapeError):
        c.model.forward(params, x, state)


def test_features_are_for_a_model_made_for_them_and_replace_its_state() -> None:
    c = case(features=F)
    params, inputs, _, options = c.parts(c.arrays)
    with pytest.raises(ConfigError, match="features"):
        c.model.forward(params, inputs, c.model.zero_state(N, np.float64), **options)
    with pytest.raises(ConfigError, match="features"):
        replace(c.model, features=None).forward(params, inputs, **options)
    with pytest.raises(ShapeError, match=r"initial h must be \(N, H\) = \(2, 3\), got \(1, 3\)"):
        c.model.forward(params, inputs, features=options["features"][:1])


def test_features_of_another_size_are_told() -> None:
    c = case(features=F)
    params, inputs, _, _ = c.parts(c.arrays)
    with pytest.raises(ShapeError, match="features"):
        c.model.forward(params, inputs, features=z((N, F + 1)))


def test_a_later_chunk_has_a_gradient_for_every_parameter() -> None:
    c = case(features=F)
    params, inputs, _, options = c.parts(c.arrays)
    state = c.model.forward(params, inputs, **options).state
    grads = c.model.loss_and_grads(params, inputs, c.targets, state).grads
    assert list(grads) == list(params)
    assert not grads["initial.W"].any()
