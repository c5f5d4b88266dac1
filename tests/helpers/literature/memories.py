"""Matrices as memories, by heads: PyTorch's einsum over (row, head, unit, key)."""

from typing import Any

import torch
from torch import sigmoid
from torch.nn.functional import elu, logsigmoid, silu, softplus

HEADS = 4


def split(flat: Any) -> Any:
    """Return (N, heads, size of each)."""
    return flat.unflatten(-1, (HEADS, -1))


def matrix(flat: Any, like: Any) -> Any:
    """Return (N, heads, units, keys) of a state."""
    return flat.unflatten(-1, (HEADS, -1, like.shape[-1]))


def outer(v: Any, k: Any) -> Any:
    return torch.einsum("nhu,nhk->nhuk", v, k)


def read(S: Any, q: Any) -> Any:
    return torch.einsum("nhuk,nhk->nhu", S, q)


def rms(y: Any, gain: Any) -> Any:
    return (y / torch.sqrt((y**2).mean(-1, keepdim=True) + 1e-5)).flatten(1) * gain


def mlstm(A: Any, p: Any, h: Any, C: Any, n: Any, m: Any) -> Any:
    """The mLSTM without its stabiliser, which changes nothing but the sizes of C and n."""
    q, k, v = split(A("x_q")), split(A("x_k")) * 0.25, split(A("x_v"))
    C, n = matrix(C, k) * torch.exp(m)[..., None, None], split(n) * torch.exp(m)[..., None]
    i, f = torch.exp(A("x_i")), sigmoid(A("x_f"))
    C = f[..., None, None] * C + i[..., None, None] * outer(v, k)
    n = f[..., None] * n + i[..., None] * k
    low = torch.clamp((n * q).sum(-1).abs(), min=1)
    out = sigmoid(A("x_o")) * (read(C, q) / low[..., None]).flatten(1)
    m = torch.maximum(logsigmoid(A("x_f")) + m, A("x_i"))
    return out, (C * torch.exp(-m)[..., None, None]).flatten(1), (n * torch.exp(-m)[..., None]).flatten(1), m


def linear_attention(A: Any, p: Any, h: Any, S: Any, z: Any) -> Any:
    q, k, v = elu(split(A("x_q"))) + 1, elu(split(A("x_k"))) + 1, split(A("x_v"))
    S, z = matrix(S, k) + outer(v, k), split(z) + k
    out = read(S, q) / ((z * q).sum(-1, keepdim=True) + 1e-6)
    return out.flatten(1), S.flatten(1), z.flatten(1)


def retnet(A: Any, p: Any, h: Any, S: Any) -> Any:
    q, k, v = split(A("x_q")), split(A("x_k")) * 0.25, split(A("x_v"))
    S = sigmoid(p["decay"])[:, None, None] * matrix(S, k) + outer(v, k)
    return silu(A("x_g")) * rms(read(S, q), p["gain"]), S.flatten(1)


def gla(A: Any, p: Any, h: Any, S: Any) -> Any:
    q, k, v = split(A("x_q")), split(A("x_k")), split(A("x_v"))
    alpha = sigmoid(split(A("x_a"))) ** (1 / 16)
    S = matrix(S, k) * alpha[:, :, None] + outer(v, k)
    return silu(A("x_r")) * rms(0.25 * read(S, q), p["gain"]), S.flatten(1)


def lengths(a: Any) -> Any:
    a = silu(split(a))
    return a / torch.sqrt((a * a).sum(-1, keepdim=True) + 1e-6)


def deltanet(A: Any, p: Any, h: Any, S: Any) -> Any:
    q, k, v, beta = lengths(A("x_q")), lengths(A("x_k")), silu(split(A("x_v"))), sigmoid(A("x_b"))[..., None]
    S = matrix(S, k)
    S = S - outer(beta * read(S, k), k) + outer(beta * v, k)
    return rms(read(S, q), p["gain"]), S.flatten(1)


def gated_deltanet(A: Any, p: Any, h: Any, S: Any) -> Any:
    q, k, v, beta = lengths(A("x_q")), lengths(A("x_k")), silu(split(A("x_v"))), sigmoid(A("x_b"))[..., None]
    alpha = torch.exp(-torch.exp(p["rate"]) * softplus(A("x_a")))[..., None, None]
    S = matrix(S, k)
    S = alpha * (S - outer(beta * read(S, k), k)) + outer(beta * v, k)
    return silu(A("x_g")) * rms(read(S, q), p["gain"]), S.flatten(1)


def hgrn2(A: Any, p: Any, h: Any, S: Any) -> Any:
    low = sigmoid(p["lower"])
    f, v = split(low + (1 - low) * sigmoid(A("x_f"))), split(A("x_v"))
    S = matrix(S, f) * f[:, :, None] + outer(v, 1 - f)
    return rms(read(S, split(silu(A("x_q")))), p["gain"]), S.flatten(1)


def mamba(A: Any, p: Any, h: Any, S: Any) -> Any:
    u = silu(A("x_u"))
    dt, B, C = softplus(A("u_d", u) + p["dt"]), A("u_B", u), A("u_C", u)
    S = S.unflatten(-1, (-1, 16))
    S = torch.exp(dt[..., None] * -torch.exp(p["A"].view(-1, 16))) * S + (dt * u)[..., None] * B[:, None]
    return ((S * C[:, None]).sum(-1) + p["D"] * u) * silu(A("x_z")), S.flatten(1)


def s4d(A: Any, p: Any, h: Any, re: Any, im: Any) -> Any:
    lam = torch.complex(-torch.exp(p["A_r"]), p["A_i"]).view(-1, 16)
    dA = torch.exp(torch.exp(p["dt"])[:, None] * lam)
    z = dA * torch.complex(re, im).unflatten(-1, (-1, 16)) + (dA - 1) / lam * A("x_u")[..., None]
    y = 2 * (torch.complex(p["C_r"], p["C_i"]).view(-1, 16) * z).sum(-1).real + p["D"] * A("x_u")
    return y, z.real.flatten(1), z.imag.flatten(1)


def mamba2(A: Any, p: Any, h: Any, S: Any) -> Any:
    u, B, C = (silu(split(A(n))) for n in ("x_u", "x_B", "x_C"))
    dt = softplus(A("x_d") + p["dt"])[..., None]
    S = torch.exp(-dt * torch.exp(p["A"])[:, None])[..., None] * matrix(S, B) + outer(dt * u, B)
    y = (read(S, C) + p["D"][:, None] * u) * silu(split(A("x_z")))
    return rms(y, p["gain"]), S.flatten(1)


def gateloop(A: Any, p: Any, h: Any, Sr: Any, Si: Any) -> Any:
    q, k, v = split(A("x_q")), split(A("x_k")), split(A("x_v"))
    a = torch.polar(sigmoid(split(A("x_a"))), split(A("x_w")))
    S = a[..., None, :] * torch.complex(matrix(Sr, k), matrix(Si, k)) + outer(v, k)
    return silu(A("x_g")) * read(S.real, q).flatten(1), S.real.flatten(1), S.imag.flatten(1)


def titans(A: Any, p: Any, h: Any, M: Any, S: Any) -> Any:
    """By the gradient of a half of |M k - v|², which autograd finds."""
    q, k = lengths(A("x_q")), lengths(A("x_k"))
    v, M, S = silu(split(A("x_v"))), matrix(M, k), matrix(S, k)
    a, e, t = (sigmoid(A(f"x_{n}"))[..., None, None] for n in "aet")
    (slope,) = torch.autograd.grad(((read(M, k) - v) ** 2).sum() / 2, M, create_graph=True)
    S = e * S - t * slope
    M = (1 - a) * M + S
    return rms(read(M, q), p["gain"]), M.flatten(1), S.flatten(1)


def deltaproduct(A: Any, p: Any, h: Any, S: Any) -> Any:
    """By Householder's matrices, I - b k kᵀ with b to 2."""
    S = S.unflatten(-1, (HEADS, h.shape[-1] // HEADS, -1))
    for n in "12":
        k, v, b = lengths(A(f"x_k{n}")), silu(split(A(f"x_v{n}"))), 2 * sigmoid(A(f"x_b{n}"))
        one = torch.eye(k.shape[-1], dtype=k.dtype)
        S = S @ (one - b[..., None, None] * outer(k, k)) + b[..., None, None] * outer(v, k)
    return rms(read(S, lengths(A("x_q"))), p["gain"]), S.flatten(1)


def longhorn(A: Any, p: Any, h: Any, S: Any) -> Any:
    u = silu(A("x_u"))
    b, k, q = sigmoid(A("u_b", u)), A("u_k", u)[:, None], A("u_q", u)[:, None]
    rate = (b / (1 + b * (k * k).sum(-1)))[..., None]
    S = (1 - rate * k**2) * S.unflatten(-1, (u.shape[-1], -1)) + rate * u[..., None] * k
    return ((S * q).sum(-1) + p["D"] * u) * silu(A("x_z")), S.flatten(1)


def gsa(A: Any, p: Any, h: Any, K: Any, V: Any) -> Any:
    q, k, v = (silu(split(A(n))) for n in ("x_q", "x_k", "x_v"))
    a = sigmoid(split(A("x_a"))) ** (1 / 8)
    K, V = (a[..., None, :] * matrix(S, a) + outer(w, 1 - a) for S, w in ((K, k), (V, v)))
    slots = torch.softmax(torch.einsum("nhuk,nhu->nhk", K, q), -1)
    return rms(read(V, slots), p["gain"]), K.flatten(1), V.flatten(1)


NAMES = "mlstm linear-attention retnet gla deltanet gated-deltanet hgrn2 mamba s4d"
NAMES += " mamba2 gateloop titans deltaproduct longhorn gsa"
STEPS = {name: globals()[name.replace("-", "_")] for name in NAMES.split()}
