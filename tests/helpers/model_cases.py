"""Models of every kind with random arrays and cotangents, and the gradients that they must have.

T·N is 8 tokens: with V = 5 an embedding and the first layer's W are multiplied once per token of the
vocabulary ("folded"), with V = 9 rows of the embedding are gathered.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bptt import Model
from bptt.nets.run import ModelRun
from bptt.types import Array, Params
from gradcheck import dot

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
        targets = rng.random((T, N, 1 if model.loss == "quantile" else model.outputs))
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
    "projected": {"projection": 2},
    "projected, tied, folded": {"embedding": 2, "outputs": 5, "tied": True, "projection": 2, "layers": 2},
    "projected, tied, both directions": {
        "embedding": 4,
        "inputs": 9,
        "outputs": 9,
        "tied": True,
        "projection": 4,
        "bidirectional": True,
        "output_bias": False,
    },
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
    "projected": ("projected, tied, folded", OUT | IN),
    "features": ("features, embedding, 2 layers", OUT | IN),
}
"""Models that drop: a name in `MODELS`, and what is dropped."""


def dropping(name: str, seed: int | None, flags: Options | None = None) -> Case:
    """Return a case of `DROPPED`; without a seed nothing is dropped."""
    model, options = DROPPED[name]
    return case(flags=(flags or {}) | ({"seed": seed} if seed else {}), **MODELS[model], **options)


EVERY_MODEL = pytest.mark.parametrize("name", MODELS)
