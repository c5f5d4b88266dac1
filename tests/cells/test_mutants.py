"""Faults that public code has had, planted one at a time: the gradient check sees every one of them.

A test of gradients that no wrong gradient fails proves nothing. Here an LSTM's backward, and the loop through
time around it, are written as rules, a line each; a mutant replaces a rule, and the measure that the other
tests use must find it out. With no rule replaced it must find nothing.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bptt.cells import CELLS, LSTM, Cache, States, sigmoid
from bptt.types import Array, Params
from gradcheck import Layer, assert_close, complex_step, errors, random_layer

Rule = Callable[[Any], Any]
Rules = dict[str, Rule]
TOLERANCE = 1e-6  # that of the looser of the two checks: central differences

# ---------------------------------------------------------------------- in the cell

STEP: Rules = {
    "do": lambda v: v.dh * v.tanh_c,
    "dc": lambda v: v.dc_next + v.dh * v.o * (1 - v.tanh_c**2),
    "df": lambda v: v.dc * v.c_prev,
    "di": lambda v: v.dc * v.g,
    "dg": lambda v: v.dc * v.i,
    "da_i": lambda v: v.di * v.i * (1 - v.i),
    "da_f": lambda v: v.df * v.f * (1 - v.f),
    "da_o": lambda v: v.do * v.o * (1 - v.o),
    "da_g": lambda v: v.dg * (1 - v.g**2),
    "dh_prev": lambda v: 0 * v.dh,
    "dc_prev": lambda v: v.dc * v.f,
}
"""The LSTM's backward, in the order in which it is computed."""

CELL_FAULTS: dict[str, Rules] = {
    "the way of dh into dc dropped": {"dc": lambda v: v.dc_next},
    "dc assigned, not added to": {"dc": lambda v: v.dh * v.o * (1 - v.tanh_c**2)},
    "dc multiplied by the future dc": {"dc": lambda v: v.dc_next * v.dh * v.o * (1 - v.tanh_c**2)},
    "dc added to itself": {"dc": lambda v: 2 * (v.dc_next + v.dh * v.o * (1 - v.tanh_c**2))},
    "dc without the output gate": {"dc": lambda v: v.dc_next + v.dh * (1 - v.tanh_c**2)},
    "dc with the tanh of a tanh": {"dc": lambda v: v.dc_next + v.dh * v.o * (1 - np.tanh(v.tanh_c) ** 2)},
    "dc with c for tanh(c)": {"dc": lambda v: v.dc_next + v.dh * v.o * (1 - v.c**2)},
    "dc never fed back": {"dc_prev": lambda v: 0 * v.dc},
    "dc fed back without the forget gate": {"dc_prev": lambda v: v.dc},
    "dc fed back without the local part": {"dc_prev": lambda v: v.dc_next * v.f},
    "a state's own way back invented": {"dh_prev": lambda v: v.dh * v.f},
    "sigma for its derivative": {"da_f": lambda v: v.df * v.f},
    "sigma's derivative taken of sigma": {"da_i": lambda v: v.di * sigmoid(v.i) * (1 - sigmoid(v.i))},
    "1 + tanh²": {"da_g": lambda v: v.dg * (1 + v.g**2)},
    "1 / (1 - tanh²)": {"da_g": lambda v: v.dg / (1 - v.g**2)},
    "tanh's derivative forgotten": {"da_g": lambda v: v.dg},
    "deltas of two gates swapped": {
        "da_i": lambda v: v.df * v.f * (1 - v.f),
        "da_f": lambda v: v.di * v.i * (1 - v.i),
    },
    "di and dg swapped": {"di": lambda v: v.dc * v.i, "dg": lambda v: v.dc * v.g},
    "df by c, not by c_prev": {"df": lambda v: v.dc * v.c},
    "do by c, not by tanh(c)": {"do": lambda v: v.dh * v.c},
    "a sign": {"da_o": lambda v: -v.do * v.o * (1 - v.o)},
    "one part in 100,000": {"da_o": lambda v: v.do * v.o * (1 - v.o) * 1.00001},
}


class FaultyLSTM(LSTM):
    """An LSTM whose backward follows the rules of `STEP`, but for those given."""

    def __init__(self, rules: Rules) -> None:
        self.rules = STEP | rules

    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        new, _ = super().forward(a, states)
        return new, (a, states, new)

    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        a, (_, c_prev), (_, c) = cache
        a_i, a_f, a_o, a_g = np.split(a, 4, axis=-1)
        gates = {"i": sigmoid(a_i), "f": sigmoid(a_f), "o": sigmoid(a_o), "g": np.tanh(a_g)}
        v = SimpleNamespace(dh=dstates[0], dc_next=dstates[1], c_prev=c_prev, c=c, tanh_c=np.tanh(c), **gates)
        for name, rule in self.rules.items():
            setattr(v, name, rule(v))
        return np.concatenate([v.da_i, v.da_f, v.da_o, v.da_g], axis=-1), (v.dh_prev, v.dc_prev)


def lstm_with(rules: Rules) -> Layer:
    return random_layer(np.random.default_rng(0), FaultyLSTM(rules))


def test_the_rules_of_the_cell_are_right_when_none_is_replaced() -> None:
    layer = lstm_with({})
    assert_close(layer.grads(), complex_step(layer.loss, layer.arrays), 1e-12)


@pytest.mark.parametrize("fault", CELL_FAULTS)
def test_a_fault_in_the_cell_is_caught(fault: str) -> None:
    assert CELL_FAULTS[fault].keys() <= STEP.keys()
    layer = lstm_with(CELL_FAULTS[fault])
    with pytest.raises(AssertionError, match="above 1e-06"):
        assert_close(layer.grads(), complex_step(layer.loss, layer.arrays), TOLERANCE)


# ---------------------------------------------------------------------- in the loop

LOOP: Rules = {
    "order": lambda v: reversed(range(v.T)),
    "first": lambda v: [v.dfinal[s] for s in v.cell.states],
    "mask": lambda v: v.mask[v.t][:, None],
    "dh": lambda v: v.dstates[0] + v.dy[v.t],
    "cache": lambda v: v.caches[v.t],
    "da": lambda v: v.da,
    "dh_prev": lambda v: v.da @ v.U.T,
    "W": lambda v: sum(v.x[t].T @ v.das[t] for t in range(v.T)),
    "U": lambda v: sum(v.h[t].T @ v.das[t] for t in range(v.T)),  # h[t] is the state before step t
    "b": lambda v: sum(v.das[t].sum(0) for t in range(v.T)),
    "b_h": lambda v: sum(v.das[t].sum(0) for t in range(v.T)),
    "x": lambda v: np.stack([v.das[t] @ v.W.T for t in range(v.T)]),
}
"""Backpropagation through time: those that a step takes, and then the sums over time."""


LOOP_FAULTS: dict[str, tuple[str, Rules]] = {
    "dh never fed back": ("lstm", {"dh_prev": lambda v: 0 * v.dh}),
    "dh fed back from the loss alone": ("lstm", {"dh": lambda v: v.dy[v.t]}),
    "gradient through the final h dropped": ("lstm", {"first": lambda v: [0 * v.dfinal["h"], v.dfinal["c"]]}),
    "gradient through the final c dropped": ("lstm", {"first": lambda v: [v.dfinal["h"], 0 * v.dfinal["c"]]}),
    "derivative taken at t+1": ("lstm", {"cache": lambda v: v.caches[min(v.t + 1, v.T - 1)]}),
    "U for its transpose": ("rnn", {"dh_prev": lambda v: v.da @ v.U}),
    "rows of W in another order": ("lstm", {"x": lambda v: LOOP["x"](v)[..., ::-1]}),
    "h off by one in dU": ("lstm", {"U": lambda v: sum(v.h[t + 1].T @ v.das[t] for t in range(v.T))}),
    "first step missing from dU": ("lstm", {"U": lambda v: sum(v.h[t].T @ v.das[t] for t in range(1, v.T))}),
    "h stuck at the start in dU": ("lstm", {"U": lambda v: sum(v.h[0].T @ v.das[t] for t in range(v.T))}),
    "last step alone in db": ("lstm", {"b": lambda v: v.das[-1].sum(0)}),
    "db of the wrong gate": ("lstm", {"b": lambda v: sum(np.roll(d.sum(0), 3) for d in v.das)}),
    "db of one row": ("lstm", {"b": lambda v: sum(d[0] for d in v.das)}),
    "db_h twice": ("lstm", {"b_h": lambda v: 2 * LOOP["b_h"](v)}),
    "steps taken in forward order": ("lstm", {"order": lambda v: range(v.T)}),
    "the first step's mask at every step": ("lstm", {"mask": lambda v: v.mask[0][:, None]}),
    "no mask on the way back": ("lstm", {"mask": lambda v: np.ones((2, 1), bool)}),
    "scaled by T": ("rnn", {"W": lambda v: LOOP["W"](v) / v.T}),
    "seeded from the parameter": ("rnn", {"W": lambda v: v.W + LOOP["W"](v)}),
    "first step of dx missing": ("lstm", {"x": lambda v: LOOP["x"](v) * (np.arange(v.T) > 0)[:, None, None]}),
    "zeros": ("lstm", {"U": lambda v: 0 * v.U}),
    "clipped in the loop": ("rnn", {"da": lambda v: v.da.clip(-0.5, 0.5)}),
    "detached after a step": ("rnn", {"dh_prev": lambda v: v.da @ v.U.T * (v.t != 2)}),
}  # fmt: skip

NEEDS_MORE_THAN_ONE_STEP = {
    "dh never fed back": False,  # seen at h0 even where there is one step
    "dh fed back from the loss alone": False,
    "derivative taken at t+1": True,
    "steps taken in forward order": True,
    "the first step's mask at every step": True,
    "last step alone in db": True,
    "scaled by T": True,
    "detached after a step": True,
}
"""Faults by whether a check at T = 1 passes them."""


def layer_of(name: str, T: int = 5) -> Layer:
    mask = np.ones((T, 2), bool)
    mask[1:3, 0] = mask[3:4, 1] = False
    return random_layer(np.random.default_rng(0), CELLS[name], T=T, mask=mask)


def by_rules(layer: Layer, rules: Rules) -> Params:
    """Return the gradients as `Layer.grads` does, by a loop of its own that follows the rules."""
    rule, cell, A = LOOP | rules, layer.cell, layer.arrays
    v = SimpleNamespace(**A, cell=cell, mask=layer.mask, T=len(A["x"]), das=[None] * len(A["x"]), caches=[])
    v.dfinal = dict(layer.cotangents)
    v.dy = v.dfinal.pop("y")
    states = [A[f"{s}0"] for s in cell.states]
    v.h = [states[0]]
    for t in range(v.T):
        new, cache = cell.forward(v.x[t] @ v.W + v.b + states[0] @ v.U + v.b_h, tuple(states))
        states = [np.where(v.mask[t][:, None], s, before) for s, before in zip(new, states, strict=True)]
        v.h.append(states[0])
        v.caches.append(cache)
    v.dstates = rule["first"](v)
    for t in rule["order"](v):
        v.t = t
        m = rule["mask"](v)
        v.dh = rule["dh"](v)
        inside = tuple(np.where(m, d, 0) for d in (v.dh, *v.dstates[1:]))
        held = [np.where(m, 0, d) for d in v.dstates]  # y is zero there, so dy goes nowhere
        v.da, dprev = cell.backward(inside, rule["cache"](v))
        v.das[t] = v.da = rule["da"](v)
        v.dstates = [d + h for d, h in zip(dprev, held, strict=True)]
        v.dstates[0] = v.dstates[0] + rule["dh_prev"](v)
    grads = {name: rule[name](v) for name in ("W", "U", "b", "b_h", "x")}
    return grads | {f"{s}0": d for s, d in zip(cell.states, v.dstates, strict=True)}


@pytest.mark.parametrize("name", ["rnn", "lstm"])
@pytest.mark.parametrize("T", [1, 5])
def test_the_rules_of_the_loop_are_right_when_none_is_replaced(name: str, T: int) -> None:
    layer = layer_of(name, T)
    assert_close(by_rules(layer, {}), complex_step(layer.loss, layer.arrays), 1e-12)
    assert_close(by_rules(layer, {}), layer.grads(), 1e-13)


@pytest.mark.parametrize("fault", LOOP_FAULTS)
def test_a_fault_in_the_loop_is_caught(fault: str) -> None:
    name, rules = LOOP_FAULTS[fault]
    assert rules.keys() <= LOOP.keys()
    layer = layer_of(name)
    with pytest.raises(AssertionError, match="above 1e-06"):
        assert_close(by_rules(layer, rules), complex_step(layer.loss, layer.arrays), TOLERANCE)


@pytest.mark.parametrize("fault", NEEDS_MORE_THAN_ONE_STEP)
def test_some_faults_pass_at_one_step(fault: str) -> None:
    """Why the sequences of these tests are not of one step."""
    name, rules = LOOP_FAULTS[fault]
    layer = layer_of(name, T=1)
    worst = max(errors(by_rules(layer, rules), complex_step(layer.loss, layer.arrays)).values())
    assert (worst < TOLERANCE) == NEEDS_MORE_THAN_ONE_STEP[fault]
