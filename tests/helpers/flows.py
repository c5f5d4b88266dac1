"""Flows whose numbers are known, and the Jacobians that flows are judged by."""

import numpy as np

import bptt
from bptt.cells import CELLS, Cell, States
from bptt.derive import EquationCell, read
from bptt.flow import Flow, through_time
from bptt.types import Array, Params
from bptt.zoo.equations import ZOO
from gradcheck import random_layer

ALL: dict[str, Cell] = {**{f"zoo:{name}": cell for name, cell in ZOO.items()}, **CELLS}
STEP = 1e-30

SWINGS = '@bptt.cell(state="h c")\ndef swings(x_c, h, c):\n    return c, 0.9 * h + x_c\n'
SUM = '@bptt.cell(state="h")\ndef sum_of(a_h, h):\n    return a_h + h\n'


def layer(cell: Cell, H: int = 3, D: int = 2, seed: int = 0) -> Params:
    """Return parameters of a layer, drawn."""
    rng = np.random.default_rng(seed)
    return random_layer(rng, cell, H=H, D=D, bias="one" if cell.bias else "none").params


def numerical(cell: Cell, params: Params, x: Array, states: States) -> Array:
    """Return the Jacobians J_0 .. J_T by complex step of the states through bptt.unroll."""
    T, N, H, S = len(x), x.shape[1], len(params["U"]), len(cell.states)
    out = np.zeros((T + 1, N, S, H, S, H))
    out[0] = np.eye(S * H).reshape(S, H, S, H)
    for k in range(1, T + 1):
        before = bptt.unroll(cell, params, x[: T - k], states).states if k < T else states
        for s, unit in np.ndindex(S, H):
            moved = [state.astype(complex) for state in before]
            moved[s][:, unit] += STEP * 1j
            after = bptt.unroll(cell, params, x[T - k :], tuple(moved)).states
            out[k, :, :, :, s, unit] = np.stack([a.imag / STEP for a in after], axis=1)
    return out


def far(got: Array, wanted: Array) -> float:
    """Return how far two stacks of Jacobians are apart, relative to each J_k's largest entry.

    1 - tanh² of what is saturated is known to 1e-16 of one only, and with it a J_k that is small.
    """
    size = np.abs(wanted).max(axis=(1, 2, 3, 4, 5), keepdims=True)
    return float(np.max(np.abs(got - wanted) / np.maximum(size, 1e-3)))


def scaled(U: float, T: int = 60) -> Flow:
    """Return the flow of a network h = relu(1 + U h), whose gradient is U to the k."""
    params = {"W": np.ones((1, 1)), "U": np.full((1, 1), U), "b": np.ones(1)}
    return through_time("rnn-relu", params, np.zeros((T, 1, 1)))


def linear(text: str, U: float, T: int) -> Flow:
    """Return the flow of a cell that is linear, of one unit, where U is the same number for all gates."""
    cell = EquationCell(read(text))
    sizes = {"W": (1, len(cell.from_x)), "U": (1, len(cell.from_h))}
    params = {name: np.full(size, U if name == "U" else 1.0) for name, size in sizes.items()}
    return through_time(cell, params, np.zeros((T, 1, 1)))
