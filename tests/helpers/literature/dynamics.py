"""Differential equations taken in steps, oscillators, spikes, clocks."""

from typing import Any

import torch
from torch import sigmoid, tanh


def ctrnn(A: Any, p: Any, h: Any) -> Any:
    return (h + 0.5 * (-h / p["tau"] + A("h", tanh(h))),)


def rnn_leaky(A: Any, p: Any, h: Any) -> Any:
    return (0.7 * h + 0.3 * tanh(A("h", h)),)


def ltc(A: Any, p: Any, h: Any) -> Any:
    f = sigmoid(A("f", h))
    return ((h + 0.5 * f * p["A"]) / (1 + 0.5 * (1 / p["tau"] + f)),)


def cfc(A: Any, p: Any, h: Any) -> Any:
    f = A("f", h)
    return (sigmoid(-f) * tanh(A("g", h)) + (1 - sigmoid(-f)) * tanh(A("k", h)),)


def cornn(A: Any, p: Any, y: Any, z: Any) -> Any:
    z = z + 0.042 * (tanh(A("y", y) + A("u_z", z)) - 2.7 * y - 4.7 * z)
    return y + 0.042 * z, z


def unicornn(A: Any, p: Any, y: Any, z: Any) -> Any:
    dt = 0.19 * (0.5 + 0.5 * tanh(p["c"] / 2))
    z = z - dt * (tanh(p["w"] * y + A("x_y")) + 30.65 * y)
    return y + dt * z, z


def lem(A: Any, p: Any, y: Any, z: Any) -> Any:
    one, two = sigmoid(A("1", y)), sigmoid(A("2", y))
    z = (1 - one) * z + one * tanh(A("z", y))
    return (1 - two) * y + two * tanh(A("y", z)), z


def fastrnn(A: Any, p: Any, h: Any) -> Any:
    return (sigmoid(p["alpha"]) * tanh(A("h", h)) + sigmoid(p["beta"]) * h,)


def fastgrnn(A: Any, p: Any, h: Any) -> Any:
    both = A("s", h)
    z = sigmoid(both + p["b_z"])
    return ((sigmoid(p["zeta"]) * (1 - z) + sigmoid(p["nu"])) * tanh(both + p["b_n"]) + z * h,)


class Spike(torch.autograd.Function):  # type: ignore[misc]
    """A step forward, a triangle of height 0.3 backward."""

    @staticmethod
    def forward(ctx: Any, v: Any) -> Any:
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, dz: Any) -> Any:
        (v,) = ctx.saved_tensors
        return dz * 0.3 * torch.clamp(1 - v.abs(), min=0)


def lsnn(A: Any, p: Any, z: Any, v: Any, b: Any) -> Any:
    b = 0.995 * b + 0.005 * z
    size = 1.0 + 1.8 * b
    v = 0.95 * v + 0.05 * A("i", z) - z * size
    return Spike.apply((v - size) / size), v, b


def rkn(A: Any, p: Any, y: Any, u: Any, l: Any, su: Any, sl: Any, ss: Any) -> Any:
    """By matrices, 2 by 2 for each unit."""

    def square(a: Any, b: Any, c: Any, d: Any) -> Any:
        return torch.stack([torch.stack([a, b], -1), torch.stack([c, d], -1)], -2)

    T = square(p["t_uu"], p["t_ul"], p["t_lu"], p["t_ll"])
    noise = torch.diag_embed(torch.exp(torch.stack([p["q_u"], p["q_l"]], -1)))
    z = (T @ torch.stack([u, l], -1)[..., None])[..., 0]
    P = T @ square(su, ss, ss, sl) @ T.mT + noise
    K = P[..., :, 0] / (P[..., 0, 0] + torch.exp(A("x_s")))[..., None]
    z = z + K * (A("x_w") - z[..., 0])[..., None]
    P = P - K[..., :, None] * P[..., 0, None, :]
    return z[..., 0], z[..., 0], z[..., 1], P[..., 0, 0], P[..., 1, 1], P[..., 0, 1]


def fru(A: Any, p: Any, h: Any, m: Any, k: Any) -> Any:
    g, k = tanh(A("x_g") + A("u_g", m)), k + 1
    wave = torch.cos(2 * torch.pi * k * p["f"] / 100 + p["phase"])
    m = m + wave * g.repeat_interleave(5, -1) / 100
    return torch.relu(A("u_h", m) + p["shift"]), m, k


STEPS = {
    name.replace("_", "-"): step
    for name, step in list(globals().items())
    if callable(step) and step.__module__ == __name__ and name != "Spike"
}
