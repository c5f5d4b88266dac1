"""The derived backward against the one written by hand, for every built-in cell, through time.

Masks, resets, both directions, no bias, one, two, gradients at the outputs and at the final states.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from bptt.cells import CELLS, Cell
from bptt.derive import EquationCell
from bptt.types import Array, Params
from bptt.zoo.equations import ZOO
from gradcheck import random_layer

T, N, H = 6, 3, 3
RNG = np.random.default_rng(5)
MASK = RNG.random((T, N)) < 0.7
RESET = RNG.random((T, N)) < 0.3
FLAGS = {"all": (None, None), "mask": (MASK, None), "reset": (None, RESET), "both": (MASK, RESET)}

TWICE = [name for name in CELLS if name in ZOO]  # one that no equations can say is in the first alone
assert {"rnn", "rnn-relu", "lstm", "gru", "gru-cho"} <= {*TWICE}

OTHER_NAMES = {"rnn": {"h": "a"}, "rnn-relu": {"h": "a"}, "gru": {"x_n": "n", "u_n": "m"}}
"""Where equations call a gate otherwise than the cell written by hand."""


@pytest.mark.parametrize("name", TWICE)
def test_the_two_are_the_same_cell(name: str) -> None:
    """What they are compared by: the same states, and the same gates in the same columns of W and U."""
    by_hand, derived = CELLS[name], ZOO[name]
    assert isinstance(derived, EquationCell)
    assert not isinstance(by_hand, EquationCell)
    names = OTHER_NAMES.get(name, {})

    def columns(cell: Cell) -> list[list[str]]:
        return [[names.get(g, g) for g in gates] for gates in (cell.from_x, cell.from_h, cell.from_q)]

    assert columns(derived) == columns(by_hand)
    assert derived.states == by_hand.states


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bias", ["none", "one", "two"])
@pytest.mark.parametrize("flags", FLAGS)
def test_derived_equals_hand_written(
    name: str, reverse: bool, bias: Literal["none", "one", "two"], flags: str
) -> None:
    mask, reset = FLAGS[flags]
    rng = np.random.default_rng(1)
    by_hand = random_layer(
        rng, CELLS[name], T=T, N=N, H=H, bias=bias, mask=mask, reset=reset, reverse=reverse
    )
    derived = replace(by_hand, cell=ZOO[name])
    agree(derived.outputs(), by_hand.outputs())
    agree(derived.grads(), by_hand.grads())


def agree(got: Params, wanted: Params) -> None:
    assert got.keys() == wanted.keys()
    for key, array in wanted.items():
        assert np.abs(array).max() > 0, key
        assert np.abs(got[key] - array).max() <= 1e-12 * np.abs(array).max(), key


def test_the_comparison_can_fail() -> None:
    """With two gates' weights exchanged nothing agrees: the test above does tell gates apart."""
    by_hand = random_layer(np.random.default_rng(1), CELLS["lstm"], H=H)

    def exchanged(array: Array) -> Array:
        i, f, *rest = np.split(array, 4, axis=-1)
        return np.concatenate([f, i, *rest], axis=-1)

    arrays = {k: exchanged(v) if k in ("W", "U", "b", "b_h") else v for k, v in by_hand.arrays.items()}
    derived = replace(by_hand, cell=ZOO["lstm"], arrays=arrays)
    with pytest.raises(AssertionError):
        agree(derived.grads(), by_hand.grads())


@pytest.mark.parametrize("name", TWICE)
def test_a_second_call_gives_the_same(name: str) -> None:
    """A backward leaves alone what the forward kept, and what it is given."""
    layer = random_layer(np.random.default_rng(1), ZOO[name])
    run = layer.run()
    before = {k: v.copy() for k, v in layer.cotangents.items()}
    first = {k: v.copy() for k, v in layer.grads(run).items()}
    second = layer.grads(run)
    assert all(first[k].tobytes() == second[k].tobytes() for k in first)
    assert all(before[k].tobytes() == layer.cotangents[k].tobytes() for k in before)
