"""Zoneout and dropout of what U reads, for cells with values over axes, several operands, or inputs."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.nets.noise import Noise
from bptt.types import Array, Params

T, N, D, H = 4, 2, 3, 4
CELLS = ("mlstm", "lstm-projected", "mamba", "gru-cho", "rhn-4", "cornn", "lstm-time-aware", "lstm-layernorm")


class Drawn:
    """Layers with noise, and numbers to run them with."""

    def __init__(self, name: str, **parts: float) -> None:
        rng, cell = np.random.default_rng(0), bptt.zoo.get(name)
        noise = Noise(cell, **parts)
        self.stack = bptt.Stack(noise.expected, inputs=D, hidden=H, layers=2, noise=noise)
        self.arrays = {n: 0.7 * rng.normal(size=s) for n, s in self.stack.shapes().items()}
        self.params = [*self.arrays]
        first = self.stack.zero_states(N, np.float64)
        self.arrays |= {f".{n}": np.abs(rng.normal(size=s.shape)) for n, s in first.items()}
        self.arrays |= {"x": rng.normal(size=(T, N, D))}
        self.given = {n: rng.normal(size=(T, N, cell.width(n, H))) for n in cell.inputs}
        self.cotangents: list[Array] = []

    def run(self, arrays: Params, seed: int | None = 1) -> Any:
        batch = bptt.Batch(arrays["x"], given=self.given or None)
        states = {n[1:]: a for n, a in arrays.items() if n[0] == "."}
        rng = None if seed is None else np.random.default_rng(seed)
        return self.stack.forward({n: arrays[n] for n in self.params}, batch, states, rng=rng)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_the_complex_steps(name: str) -> None:
    cell = bptt.zoo.get(name)
    has_product, more = bool(cell.from_h or cell.from_q), len(cell.states) > 1
    drawn = Drawn(name, recurrent_dropout=0.4 * has_product, zoneout=0.3, zoneout_cell=0.5 * more)
    run, rng = drawn.run(drawn.arrays), np.random.default_rng(2)
    assert not np.allclose(run.y, drawn.run(drawn.arrays, 3).y)
    dy, dstates = rng.normal(size=run.y.shape), {n: rng.normal(size=s.shape) for n, s in run.states.items()}
    grads = run.backward(dy, dstates)
    found = grads.params | {"x": grads.inputs} | {f".{n}": g for n, g in grads.states.items()}
    assert found.keys() == drawn.arrays.keys()
    for n, array in drawn.arrays.items():
        way = rng.normal(size=array.shape)
        lifted = {m: a.astype(complex) for m, a in drawn.arrays.items()}
        moved = drawn.run(lifted | {n: lifted[n] + 1e-30j * way})
        terms = [(moved.y * dy).imag, *((moved.states[s] * d).imag for s, d in dstates.items())]
        rise, size = (sum(float(f(t).sum()) for t in terms) / 1e-30 for f in (np.asarray, np.abs))
        assert abs((found[n] * way).sum() - rise) < 1e-11 * (1 + size), n


def test_what_is_dropped_of_a_projection_is_what_each_product_reads() -> None:
    """The projected LSTM by hand, with the same draws: m for r and for m, one for all steps; z for each."""
    drawn = Drawn("lstm-projected", recurrent_dropout=0.4, zoneout=0.3)
    cell, one = bptt.zoo.get("lstm-projected"), {n: a for n, a in drawn.arrays.items() if "layers.0" in n}
    noise, rng = Noise(cell, recurrent_dropout=0.4, zoneout=0.3), np.random.default_rng(1)
    made, given = noise.draw(rng, (T, N, H), np.float64)
    rng, R = np.random.default_rng(1), cell.width("r", H)

    def dropped(width: int) -> Array:
        return (rng.random((1, N, width), dtype=np.float32) >= 0.4) / 0.6

    wanted = [dropped(R), dropped(H), rng.random((T, N, R), dtype=np.float32) < 0.3]
    for (n, array), right in zip(given.items(), wanted, strict=True):
        np.testing.assert_array_equal(array, np.broadcast_to(right, array.shape), n)
    params = {n.removeprefix("layers.0."): a for n, a in one.items() if n[0] != "."}
    states = tuple(one[f".layers.0.{s}"] for s in cell.states)
    x = drawn.arrays["x"]
    run = bptt.unroll(made, params | given, x, states)
    m_r, m_m, z = (np.broadcast_to(w, (T, *w.shape[1:])) for w in wanted)
    r, c = states
    for t in range(T):
        first = bptt.unroll(cell, params, x[t : t + 1], (r * m_r[t], c))
        # the cell's own step, whose projection is taken again of what is left of m
        c = first.states[1]
        o = _output_gate(cell, params, x[t], r * m_r[t], states=(r, c))
        new = (o * np.tanh(c) * m_m[t]) @ params["U_m"]
        r = z[t] * r + (1 - z[t]) * new
        np.testing.assert_allclose(run.y[t], r, rtol=0, atol=1e-12)


def _output_gate(cell: Any, params: Params, x: Array, r: Array, states: tuple[Array, Array]) -> Array:
    """Return o, which sees the new c by a peephole."""
    k = cell.gates.index("o")
    a = x @ params["W"] + params["b"]
    a_o = a[:, k * H : (k + 1) * H] + r @ params["U"][:, k * H : (k + 1) * H]
    peephole = next(params[n] for n in cell.units if n.endswith("_o"))
    gate: Array = 1 / (1 + np.exp(-(a_o + peephole * states[1])))
    return gate
