"""Words and entries of U that a step goes without; drops that all steps of a row share."""

from dataclasses import replace

import numpy as np
import pytest

from bptt import Model
from bptt.errors import ConfigError
from gradcheck import assert_close, complex_step
from model_cases import MASK, RESET, Options, case

CASES: dict[str, Options] = {
    "words, folded": {"embedding": 3, "embedding_dropout": 0.5},
    "words, gathered": {"embedding": 3, "inputs": 9, "embedding_dropout": 0.5, "input_dropout": 0.3},
    "words, tied": {"embedding": 3, "outputs": 5, "tied": True, "embedding_dropout": 0.5},
    "words, one-hot, both directions": {"embedding_dropout": 0.5, "bidirectional": True},
    "U": {"weight_dropout": 0.5, "layers": 2, "bidirectional": True, "cell": "gru"},
    "U of two operands": {"weight_dropout": 0.5, "cell": "mgu", "bias": "two"},
    "both, real features first": {"weight_dropout": 0.3, "features": 2, "embedding_dropout": 0.3},
    "a row's": {"dropout_per": "sequence", "dropout": 0.4, "input_dropout": 0.3, "embedding": 3, "layers": 2},
    "a row's, real": {"dropout_per": "sequence", "input_dropout": 0.3, "token_inputs": False},
    "a row's, mean": {"dropout_per": "sequence", "dropout": 0.4, "layers": 2, "bidirectional": True},
}


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_with_dropped_weights(name: str) -> None:
    for seed in (1, 2):
        c = case(flags={"seed": seed, "mask": MASK, "reset": RESET}, **CASES[name])
        plain = replace(c, flags={"mask": MASK, "reset": RESET})
        assert not np.array_equal(c.run().outputs, plain.run().outputs)
        assert_close(c.grads(), complex_step(c.projection, c.arrays), 1e-12)


def test_dropped_words_are_rows_of_zeros_and_the_output_keeps_them() -> None:
    """By a tied model: below, E with rows dropped and scaled; above, E."""
    c = case(flags={"seed": 1}, **CASES["words, tied"])
    drop = (np.random.default_rng(1).random((5, 1), dtype=np.float32) >= 0.5) / 0.5
    assert 0 < drop.sum() < 10
    E = c.arrays["embedding"]
    own = replace(
        c,
        model=replace(c.model, tied=False, embedding_dropout=0.0),
        arrays=c.arrays | {"embedding": drop * E, "output.W": E.T},
    )
    assert_close({"y": c.run().outputs}, {"y": own.run().outputs}, 1e-14)
    grads = own.grads()
    assert_close({"E": c.grads()["embedding"]}, {"E": drop * grads["embedding"] + grads["output.W"].T}, 1e-13)


def test_dropped_entries_are_the_same_at_all_steps() -> None:
    c, rng = case(flags={"seed": 1}, **CASES["U"]), np.random.default_rng(1)
    drops = {
        name: (rng.random(a.shape, dtype=np.float32) >= 0.5) / 0.5
        for name, a in c.arrays.items()
        if name.endswith("U")
    }
    assert list(drops) == [f"layers.{k}.{way}U" for k in (0, 1) for way in ("", "reverse.")]
    own = replace(c, model=replace(c.model, weight_dropout=0.0))
    own = replace(own, arrays=c.arrays | {name: c.arrays[name] * m for name, m in drops.items()})
    assert_close({"y": c.run().outputs}, {"y": own.run().outputs}, 1e-14)
    grads = own.grads()
    assert_close(c.grads(), grads | {name: grads[name] * m for name, m in drops.items()}, 1e-13)


def test_a_row_drops_the_same_at_all_steps_and_rows_differ() -> None:
    model = Model(
        inputs=20, outputs=20, hidden=20, token_inputs=False, cell="rnn-relu", bias="none",
        output_bias=False, input_dropout=0.5, dropout=0.5, dropout_per="sequence",
    )  # fmt: skip
    params = {"layers.0.W": np.eye(20), "layers.0.U": np.zeros((20, 20)), "output.W": np.eye(20)}
    y = model.forward(params, np.ones((7, 3, 20)), rng=np.random.default_rng(0)).outputs
    assert set(np.unique(y)) == {0.0, 4.0}
    assert (y == y[0]).all()
    assert not (y[0, 0] == y[0, 1]).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"embedding_dropout": 1.0}, "embedding_dropout must be at least 0 and below 1, got 1.0"),
        ({"weight_dropout": -0.1}, "weight_dropout must be at least 0 and below 1, got -0.1"),
        (
            {"embedding_dropout": 0.1, "token_inputs": False},
            "drops words, and these inputs are real features",
        ),
        ({"weight_dropout": 0.1, "cell": "indrnn"}, "U of indrnn has none"),
        ({"dropout_per": "row"}, "dropout_per must be one of step, sequence; got 'row'"),
    ],
)
def test_weights_that_cannot_be_dropped_are_told(options: Options, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Model(inputs=3, outputs=3, hidden=2, **options)
