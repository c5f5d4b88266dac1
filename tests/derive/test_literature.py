"""Cells of the literature that the words make possible, against steps of PyTorch written by hand.

Every element of every gradient: three steps, two rows, float64; and the compiled loop against the reference.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page, read
from bptt.layer.shapes import layer_shapes

torch: Any = pytest.importorskip("torch")
T, N, D, H = 3, 2, 3, 5


class Spike(torch.autograd.Function):  # type: ignore[misc]
    """Bellec et al. 2018: a step forward, a triangle of height 0.3 backward."""

    @staticmethod
    def forward(ctx: Any, v: Any) -> Any:
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, dz: Any) -> Any:
        (v,) = ctx.saved_tensors
        return dz * 0.3 * torch.clamp(1 - v.abs(), min=0)


class Through(torch.autograd.Function):  # type: ignore[misc]
    """Bengio et al. 2013: rounded forward, as if it were not backward."""

    @staticmethod
    def forward(ctx: Any, u: Any) -> Any:
        return torch.floor(u + 0.5)

    @staticmethod
    def backward(ctx: Any, du: Any) -> Any:
        return du


def lru(a: Any, s: Any, p: Any) -> Any:
    x_r, x_i = a
    _, re, im = s
    z = torch.complex(re, im) * torch.exp(torch.complex(-torch.exp(p["nu"]), p["theta"]))
    size = torch.sqrt(1 - torch.exp(-2 * torch.exp(p["nu"])))
    z = z + size * torch.complex(x_r, x_i)
    return z.real + 0.5 * z.imag, z.real, z.imag


def silu_gated(a: Any, s: Any, p: Any) -> Any:
    g, f, o = a
    c = torch.sigmoid(f) * s[1] + (1 - torch.sigmoid(f)) * torch.nn.functional.silu(g)
    return torch.nn.functional.gelu(c + o) * torch.erf(o), c


def lsnn(a: Any, s: Any, p: Any) -> Any:
    (i,), (z, v, b) = a, s
    b = 0.9 * b + 0.1 * z
    size = 0.6 + p["beta"] * b
    v = 0.8 * v + i - z * size
    return Spike.apply((v - size) / size), v, b


def phased(a: Any, s: Any, p: Any) -> Any:
    i, f, o, g, t = a
    h, c = s
    tau = torch.exp(p["log_tau"])
    phi = torch.remainder(t - p["shift"], tau) / tau
    k = torch.where(phi < 0.3, 2 * phi / 0.6, torch.where(phi < 0.6, 2 - 2 * phi / 0.6, 0.001 * phi))
    new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    out = torch.sigmoid(o) * torch.tanh(new)
    return k * out + (1 - k) * h, k * new + (1 - k) * c


def clockwork(a: Any, s: Any, p: Any) -> Any:
    (g,), (h, k) = a, s
    period = torch.clamp(torch.floor(p["period"]), min=1)
    return torch.where(torch.remainder(k, period) < 0.5, torch.tanh(g), h), k + 1


def detached(a: Any, s: Any, p: Any) -> Any:
    f, g = a
    h, c = s
    c = torch.sigmoid(f + 0.5 * h.detach()) * c + torch.nn.functional.logsigmoid(g)
    return torch.nn.functional.hardtanh(c, -0.7, 0.9), c


def skip(a: Any, s: Any, p: Any) -> Any:
    g, d = a
    h, u = s
    gate = Through.apply(u)
    h = gate * torch.tanh(g) + (1 - gate) * h
    more = torch.sigmoid(d)
    return h, gate * more + (1 - gate) * (u + torch.minimum(more, 1 - u))


def rotated(a: Any, s: Any, p: Any) -> Any:
    (g, v), (h, w) = a, s
    turn = torch.pi * torch.tanh(v)
    return torch.cos(turn) * h - torch.sin(turn) * w + torch.sign(g) * g.abs() ** 1.5, torch.sin(turn) * h


def fast(a: Any, s: Any, p: Any) -> Any:
    ((h,), g) = s, a[0]
    return (torch.sigmoid(p["alpha"]) * torch.tanh(g) + torch.sigmoid(p["beta"]) * h,)


def fast_gated(a: Any, s: Any, p: Any) -> Any:
    ((h,), (z, g)) = s, a
    z = torch.sigmoid(z)
    return ((torch.sigmoid(p["zeta"]) * (1 - z) + torch.sigmoid(p["nu"])) * torch.tanh(g * p["u"]) + z * h,)


CELLS: dict[str, tuple[str, Callable[..., Any]]] = {
    "Orvieto et al. 2023: the linear recurrent unit, a rotation": (
        """@bptt.cell(state="h re im", params={"nu": (-1, 1), "theta": (0, 3)})
def lru(x_r, x_i, re, im, nu, theta):
    lam, size = exp(-exp(nu)), sqrt(1 - exp(-2 * exp(nu)))
    c, s = lam * cos(theta), lam * sin(theta)
    re, im = c * re - s * im + size * x_r, s * re + c * im + size * x_i
    h = re + 0.5 * im
    return h, re, im""",
        lru,
    ),
    "gates of SiLU, GELU and erf": (
        """@bptt.cell(state="h c")
def gated(a_g, a_f, a_o, c):
    f = sigmoid(a_f)
    c = f * c + (1 - f) * silu(a_g)
    h = gelu(c + a_o) * erf(a_o)
    return h, c""",
        silu_gated,
    ),
    "Bellec et al. 2018: spiking units that adapt": (
        """@bptt.cell(state="z v b", params="beta")
def lsnn(a_i, z, v, b, beta):
    def spike(u):
        return surrogate(where(u > 0, 1, 0), 0.3 * max(0, 1 - abs(u)), u)
    b = 0.9 * b + 0.1 * z
    size = 0.6 + beta * b
    v = 0.8 * v + a_i - z * size
    z = spike((v - size) / size)
    return z, v, b""",
        lsnn,
    ),
    "Neil et al. 2016: the phased LSTM, its time in the input": (
        """@bptt.cell(state="h c", params="log_tau shift")
def phased(a_i, a_f, a_o, a_g, x_t, h, c, log_tau, shift, r=0.6):
    tau = exp(log_tau)
    phi = mod(x_t - shift, tau) / tau
    k = where(phi < r / 2, 2 * phi / r, where(phi < r, 2 - 2 * phi / r, 0.001 * phi))
    new = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    h = k * sigmoid(a_o) * tanh(new) + (1 - k) * h
    c = k * new + (1 - k) * c
    return h, c""",
        phased,
    ),
    "Koutnik et al. 2014: units of the clockwork, each with its period": (
        """@bptt.cell(state="h k", params={"period": (1, 4)})
def clockwork(a_g, h, k, period):
    h = where(k % max(floor(period), 1) < 0.5, tanh(a_g), h)
    k = k + 1
    return h, k""",
        clockwork,
    ),
    "Kanuparthi et al. 2019: gates to which no gradient comes": (
        """@bptt.cell(state="h c")
def detached(a_f, a_g, h, c):
    c = sigmoid(a_f + 0.5 * stop(h)) * c + logsigmoid(a_g)
    return clip(c, -0.7, 0.9), c""",
        detached,
    ),
    "Campos et al. 2018: a gate that is 0 or 1, straight through": (
        """@bptt.cell(state="h u")
def skip(a_g, a_d, h, u):
    gate = surrogate(floor(u + 0.5), 1, u)
    h = gate * tanh(a_g) + (1 - gate) * h
    more = sigmoid(a_d)
    u = gate * more + (1 - gate) * (u + min(more, 1 - u))
    return h, u""",
        skip,
    ),
    "Kusupati et al. 2018: FastRNN, whose two numbers all units share": (
        """@bptt.cell(state="h", scalars={"alpha": -3.0, "beta": 3.0})
def fastrnn(a_h, h, alpha, beta):
    return sigmoid(alpha) * tanh(a_h) + sigmoid(beta) * h""",
        fast,
    ),
    "Kusupati et al. 2018: FastGRNN, with weights of units": (
        """@bptt.cell(state="h", params="u", scalars={"zeta": 1.0, "nu": (-4, -3)})
def fastgrnn(a_z, a_h, h, zeta, nu, u):
    z = sigmoid(a_z)
    h = (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * tanh(a_h * u) + z * h
    return h""",
        fast_gated,
    ),
    "a rotation by what is read": (
        """@bptt.cell(state="h w")
def rotated(a_g, a_v, h, w):
    turn = 3.141592653589793 * tanh(a_v)
    h, w = cos(turn) * h - sin(turn) * w + sign(a_g) * abs(a_g) ** 1.5, sin(turn) * h
    return h, w""",
        rotated,
    ),
}


def drawn(cell: EquationCell, seed: int = 0) -> tuple[dict[str, Any], Any, Any, Any, Any]:
    rng = np.random.default_rng(seed)
    shapes = layer_shapes(cell, D, H)
    params = {n: rng.normal(0, 0.7, shape) for n, shape in shapes.items()}
    if "period" in params:
        params["period"] = rng.uniform(1, 4, H)
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, H))
    states, dstates = (tuple(rng.normal(size=(N, H)) for _ in cell.states) for _ in range(2))
    if "k" in cell.states:  # a clock
        states = (states[0], rng.integers(0, 5, (N, H)).astype(float))
    if "u" in cell.states:
        states = (states[0], rng.uniform(0.1, 0.9, (N, H)))
    return params, x, states, dy, dstates


def by_autograd(
    cell: EquationCell, step: Any, params: Any, x: Any, states: Any, dy: Any, dstates: Any
) -> Any:
    at = {n: torch.tensor(a, requires_grad=True) for n, a in params.items()}
    given = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    now, ys = tuple(given[1:]), []
    gates, with_h = cell.equations.gates, [g for g in cell.equations.gates if g[0] == "a"]
    for x_t in given[0]:
        a = dict(zip(gates, (x_t @ at["W"] + at["b"]).chunk(len(gates), -1), strict=True))
        if with_h:
            u = (now[0] @ at["U"]).chunk(len(with_h), -1)
            a |= {g: a[g] + part for g, part in zip(with_h, u, strict=True)}
        now = step([*a.values()], now, at)
        ys.append(now[0])
    pairs = [*zip(ys, dy, strict=True), *zip(now, dstates, strict=True)]
    loss = sum((s * torch.tensor(d)).sum() for s, d in pairs)
    wanted = torch.autograd.grad(loss, [*at.values(), *given], allow_unused=True, materialize_grads=True)
    return torch.stack(ys), dict(zip([*at, "x", *cell.states], wanted, strict=True))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.filterwarnings("ignore::bptt.errors.ZeroGradientWarning")
def test_gradients_are_those_of_a_step_by_hand(name: str, backend: Any) -> None:
    text, step = CELLS[name]
    cell = EquationCell(read(text))
    for seed in range(3):
        params, x, states, dy, dstates = drawn(cell, seed)
        ran = bptt.unroll(cell, params, x, states, backend=backend)
        grads = ran.backward(dy, dstates)
        got: Any = grads.params | {"x": grads.inputs} | dict(zip(cell.states, grads.states, strict=True))
        y, wanted = by_autograd(cell, step, params, x, states, dy, dstates)
        np.testing.assert_allclose(ran.y, y.detach().numpy(), rtol=1e-12, atol=1e-12)
        for n, d in wanted.items():
            np.testing.assert_allclose(got[n], d.numpy(), rtol=1e-10, atol=1e-10, err_msg=n)
        assert any(np.abs(d.numpy()).max(initial=0) > 1e-3 for d in wanted.values())


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.filterwarnings("ignore::bptt.errors.ZeroGradientWarning")
def test_what_is_printed_of_them_is_proven(name: str) -> None:
    cell = EquationCell(read(CELLS[name][0]))
    for form in ("text", "latex", "html", "numpy", "torch"):
        assert page(cell, form)
