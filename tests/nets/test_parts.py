"""What each part of a model is: an embedding, a tied matrix, features, drops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptt import Batch, Model
from bptt.errors import ConfigError, ShapeError
from bptt.nets.stepper import Stepper
from bptt.types import Params
from gradcheck import assert_close, central_differences, complex_step
from model_cases import DROPPED, FLAGS, IN, MASK, MODELS, OUT, F, N, Options, case, dropping


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


def test_a_projected_output_is_one_matrix_of_two() -> None:
    """Whose rank is at most R, and a tied one is the embedding after P."""
    for name in ("projected", "projected, tied, folded", "projected, tied, both directions"):
        c = case(**MODELS[name])
        params, inputs, state, _ = c.parts(c.arrays)
        model, whole = c.model.unprojected(params)
        assert (model.projection, model.tied) == (None, False)
        V = params["embedding"].T if c.model.tied else params["output.W"]
        assert_close({"V": whole["output.W"]}, {"V": params["output.P"] @ V}, 1e-14)
        assert model.forward(params=whole, inputs=inputs, state=state).outputs == pytest.approx(
            c.run().outputs, rel=1e-12
        )
        assert "output.P" not in whole
    plain = case()
    assert plain.model.unprojected(plain.arrays) == (plain.model, plain.arrays)


@pytest.mark.parametrize("name", ["projected", "projected, tied, folded", "projected, tied, both directions"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_compiled_a_projection_has_the_gradients_of_the_reference(name: str, smoothing: float) -> None:
    c = case(**MODELS[name], label_smoothing=smoothing)
    params, inputs, state, _ = c.parts(c.arrays)
    batch = Batch(inputs, c.targets, mask=MASK)

    def of(params: Params) -> Any:
        return c.model.backprop(params, batch, state).loss

    found = replace(c.model, backend="cpu").backprop(params, batch, state)
    assert found.loss == pytest.approx(of(params), rel=1e-13)
    assert_close(found.grads.params, complex_step(of, params), 1e-12)
    assert_close(found.grads.params, central_differences(of, params), 1e-6)
    planted = found.grads.params | {"output.P": found.grads.params["output.P"][::-1]}
    with pytest.raises(AssertionError, match=r"output\.P"):
        assert_close(planted, complex_step(of, params), 1e-12)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("V", [7, 30])
def test_one_step_after_another_a_projection_gives_the_outputs_of_the_whole(backend: Any, V: int) -> None:
    model = Model(
        inputs=V, outputs=V, hidden=6, embedding=4, projection=4, tied=True, layers=2, backend=backend
    )
    rng = np.random.default_rng(3)
    params = {name: rng.normal(0, 0.7, shape) for name, shape in model.shapes.items()}
    tokens = rng.integers(V, size=(4, 2))
    stepper = Stepper(model, params, batch=2)
    steps = [stepper.read(row) for row in tokens]
    assert_close({"y": np.stack(steps)}, {"y": model.forward(params, tokens).outputs}, 1e-12)


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
        c.model.forward(params, inputs, features=np.zeros((N, F + 1)))


def test_a_later_chunk_has_a_gradient_for_every_parameter() -> None:
    c = case(features=F)
    params, inputs, _, options = c.parts(c.arrays)
    state = c.model.forward(params, inputs, **options).state
    grads = c.model.loss_and_grads(params, inputs, c.targets, state).grads
    assert list(grads) == list(params)
    assert not grads["initial.W"].any()
