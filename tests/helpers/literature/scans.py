"""Linear in their states."""

from typing import Any

import torch
from torch import sigmoid, tanh
from torch.nn.functional import silu


def t_rnn(A: Any, p: Any, h: Any) -> Any:
    f = sigmoid(A("x_f"))
    return (f * h + (1 - f) * A("x_z"),)


def qrnn(A: Any, p: Any, h: Any, c: Any, *last: Any) -> Any:
    z, f, o = (A(f"x_{g}") + before for g, before in zip("zfo", last, strict=True))
    c = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(z)
    return (sigmoid(o) * c, c, *(A(f"x_l{g}") for g in "zfo"))


def min_gru(A: Any, p: Any, h: Any) -> Any:
    z = sigmoid(A("x_z"))
    return (h + z * (A("x_h") - h),)


def min_lstm(A: Any, p: Any, h: Any) -> Any:
    f, i = torch.softmax(torch.stack([torch.log(sigmoid(A(g))) for g in ("x_f", "x_i")]), 0)
    return (f * h + i * A("x_h"),)


def rwkv(A: Any, p: Any, h: Any, a: Any, b: Any, m: Any) -> Any:
    """The WKV mean without its stabiliser, which changes nothing but the sizes of a and b."""
    k, v = A("x_k"), A("x_v")
    num, den = a * torch.exp(m), b * torch.exp(m)
    bonus, keep = torch.exp(p["u"] + k), torch.exp(-torch.exp(p["w"]))
    out = sigmoid(A("x_r")) * (num + bonus * v) / (den + bonus)
    num, den = keep * num + torch.exp(k) * v, keep * den + torch.exp(k)
    m = torch.maximum(m - torch.exp(p["w"]), k)
    return out, num * torch.exp(-m), den * torch.exp(-m), m


def lru(A: Any, p: Any, h: Any, re: Any, im: Any) -> Any:
    turn = torch.exp(torch.complex(-torch.exp(p["nu"]), torch.exp(p["theta"])))
    z = turn * torch.complex(re, im) + torch.exp(p["gamma"]) * torch.complex(A("x_r"), A("x_i"))
    return (torch.complex(p["c_r"], p["c_i"]) * z).real, z.real, z.imag


def hgrn(A: Any, p: Any, h: Any, re: Any, im: Any) -> Any:
    low = sigmoid(p["lower"])
    f = low + (1 - low) * sigmoid(A("x_f"))
    c = torch.complex(silu(A("x_r")), silu(A("x_i")))
    z = f * torch.polar(torch.ones_like(f), p["theta"].expand_as(f)) * torch.complex(re, im) + (1 - f) * c
    return sigmoid(A("x_g")) * z.real, z.real, z.imag


STEPS = {
    name.replace("_", "-"): step
    for name, step in list(globals().items())
    if callable(step) and step.__module__ == __name__
}
