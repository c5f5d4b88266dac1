"""The newest recurrences: PyTorch's complex numbers, products of matrices and norms."""

from typing import Any

import torch
from torch import relu, sigmoid
from torch.nn.functional import silu, softplus

from literature.memories import HEADS, lengths, matrix, outer, read, rms, split


def kda(A: Any, p: Any, h: Any, S: Any) -> Any:
    """S (I - b k kᵀ) of a memory whose columns have faded."""
    q, k, v = lengths(A("x_q")), lengths(A("x_k")), silu(split(A("x_v")))
    fade = torch.exp(-torch.exp(p["rate"])[:, None] * softplus(split(A("x_a"))))
    b = sigmoid(A("x_b"))[..., None, None]
    S = (matrix(S, k) * fade[..., None, :]) @ (torch.eye(k.shape[-1], dtype=k.dtype) - b * outer(k, k))
    S = S + b * outer(v, k)
    return sigmoid(A("x_g")) * rms(read(S, q), p["gain"]), S.flatten(1)


def comba(A: Any, p: Any, h: Any, S: Any) -> Any:
    """S (a I - c b k kᵀ) + b v kᵀ, read by q - d k."""
    q, k, v = lengths(A("x_q")), lengths(A("x_k")), silu(split(A("x_v")))
    a = torch.exp(-torch.exp(p["rate"]) * softplus(A("x_a")))[..., None, None]
    b, c = sigmoid(A("x_b"))[..., None, None], sigmoid(p["back"])[:, None, None]
    S = matrix(S, k) @ (a * torch.eye(k.shape[-1], dtype=k.dtype) - c * b * outer(k, k)) + b * outer(v, k)
    return silu(A("x_g")) * rms(read(S, q - p["direct"][:, None] * k), p["gain"]), S.flatten(1)


def rwkv6(A: Any, p: Any, h: Any, S: Any) -> Any:
    r, k, v = (split(A(n)) for n in ("x_r", "x_k", "x_v"))
    S, kv = matrix(S, k), outer(v, k)
    w, bonus = split(torch.exp(-torch.exp(p["w"] + A("x_w")))), p["bonus"].unflatten(-1, (HEADS, -1))
    y = read(S + bonus[:, None, :] * kv, r)
    y = torch.nn.functional.layer_norm(y, y.shape[-1:], eps=0.00064).flatten(1)
    return silu(A("x_g")) * (p["gain"] * y + p["shift"]), (S * w[..., None, :] + kv).flatten(1)


def mamba3(A: Any, p: Any, h: Any, Sr: Any, Si: Any, Pr: Any, Pi: Any) -> Any:
    """Its states as complex numbers."""
    u, step, late = split(A("x_u")), softplus(A("x_d") + p["dt"])[..., None], sigmoid(A("x_l"))[..., None]
    B, C = (torch.complex(split(A(f"x_{n}r")), split(A(f"x_{n}i"))) for n in "BC")
    turn = torch.exp(step * torch.complex(-torch.exp(p["A"])[:, None].expand(B.shape), split(A("x_w"))))
    S, last = torch.complex(matrix(Sr, B), matrix(Si, B)), torch.complex(matrix(Pr, B), matrix(Pi, B))
    new, step, late, turn = (
        u[..., None] * B[..., None, :],
        step[..., None],
        late[..., None],
        turn[..., None, :],
    )
    S = turn * S + (1 - late) * step * turn * last + late * step * new
    y = (S * C[..., None, :]).sum(-1).real + p["D"][:, None] * u
    states = (S.real, S.imag, new.real, new.imag)
    return rms(y * silu(split(A("x_z"))), p["gain"]), *(s.flatten(1) for s in states)


def linoss(A: Any, p: Any, h: Any, yr: Any, yi: Any, zr: Any, zi: Any) -> Any:
    """The implicit step as its 2 x 2 system for each oscillator, solved."""
    step, square = sigmoid(p["dt"]), relu(p["A"])
    one = torch.ones_like(step)
    left = torch.stack([torch.stack([one, step * square], -1), torch.stack([-step, one], -1)], -2)
    states = []
    for y, z, u in ((yr, zr, A("x_r")), (yi, zi, A("x_i"))):
        states.append(torch.linalg.solve(left, torch.stack([z + step * u, y], -1)[..., None])[..., 0])
    (zr, yr), (zi, yi) = (s.unbind(-1) for s in states)
    return A("u_r", yr) - A("u_i", yi) + p["D"] * A.x, yr, yi, zr, zi


def nru(A: Any, p: Any, h: Any, m: Any) -> Any:
    h = relu(A("h", h) + A("u_m", m))

    def written(a: str, v: str) -> Any:
        vectors = relu(A(v, h) + A(f"u_{v}", m)).unflatten(-1, (m.shape[-1], 4))
        norm = (vectors.pow(5).sum(-2, keepdim=True) + 1e-5).pow(0.2)
        return (relu(A(a, h) + A(f"u_{a}", m))[:, None] * vectors / norm).mean(-1)

    return h, m + written("w", "v") - written("e", "o")


NAMES = "kda comba rwkv6 mamba3 linoss nru"
STEPS = {name: globals()[name] for name in NAMES.split()}
