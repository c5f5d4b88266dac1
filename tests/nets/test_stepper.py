"""A model that takes one step at a time: the numbers of the whole sequence, whatever its cell reads."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.nets.stepper import Stepper
from bptt.zoo.papers import EVERY

H, T = 8, 5
READ_X = [name for name in EVERY if "x" in bptt.zoo.get(name).given]


@pytest.mark.parametrize(
    "options", [{"embedding": H, "inputs": 11, "outputs": 11}, {"inputs": H, "outputs": H}]
)
@pytest.mark.parametrize("cell", [*READ_X, "lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_each_step_is_that_of_the_sequence(cell: str, options: dict[str, Any], layers: int) -> None:
    model = bptt.Model(hidden=H, cell=cell, layers=layers, **options)
    rng = np.random.default_rng(0)
    params = {name: a + rng.normal(0, 0.1, a.shape).astype("f4") for name, a in model.init(rng).items()}
    for N in (1, 3):
        tokens = rng.integers(model.inputs, size=(T, N))
        run, stepper = model.forward(params, tokens), Stepper(model, params, batch=N)
        for t in range(T):
            np.testing.assert_allclose(stepper.read(tokens[t]), run.outputs[t], rtol=1e-4, atol=1e-5)
        for name, state in stepper.state.items():
            np.testing.assert_allclose(state, run.state[name], rtol=1e-4, atol=1e-5)
