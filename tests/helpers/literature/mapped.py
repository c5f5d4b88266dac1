"""Cells whose matrices are made: each matrix from what is learnt, by PyTorch."""

from typing import Any

import numpy as np
import torch
from torch import sigmoid, tanh
from torch.nn.functional import logsigmoid


def skew(M: Any) -> Any:
    return M - M.T


def antisymmetric_rnn(A: Any, p: Any, h: Any) -> Any:
    U = skew(p["U.a_h.M"]) - 0.01 * torch.eye(h.shape[-1], dtype=h.dtype)
    return (h + 0.1 * tanh(A("h") + h @ U),)


def antisymmetric_gated(A: Any, p: Any, h: Any) -> Any:
    U = skew(p["U.a_h.M"]) - 0.01 * torch.eye(h.shape[-1], dtype=h.dtype)
    return (h + 0.1 * sigmoid(A("z") + h @ U) * tanh(A("h") + h @ U),)


def lipschitz_rnn(A: Any, p: Any, h: Any) -> Any:
    def made(M: Any) -> Any:
        return 0.25 * (M + M.T) + 0.75 * (M - M.T) - 0.001 * torch.eye(h.shape[-1], dtype=h.dtype)

    return (h + 0.1 * (h @ made(p["U.u_A.M"]) + tanh(A("W") + h @ made(p["U.a_W.M"]))),)


def mod_relu(a: Any, bias: Any) -> Any:
    return torch.sign(a) * torch.relu(a.abs() + bias)


def exp_rnn(A: Any, p: Any, h: Any) -> Any:
    return (mod_relu(A("h") + h @ torch.linalg.matrix_exp(skew(p["U.a_h.M"])), p["bias"]),)


def sco_rnn(A: Any, p: Any, h: Any) -> Any:
    S, one = skew(p["U.a_h.M"]), torch.eye(h.shape[-1], dtype=h.dtype)
    signs = torch.ones(h.shape[-1], dtype=h.dtype)
    signs[h.shape[-1] // 2 :] = -1
    return (mod_relu(A("h") + h @ torch.linalg.inv(one + S) @ (one - S) @ torch.diag(signs), p["bias"]),)


def slstm_heads(A: Any, p: Any, h: Any, c: Any, n: Any, m: Any) -> Any:
    """The sLSTM without its stabiliser, which changes nothing but the sizes of c and n."""
    i, f, o, z = (A(g) + h @ torch.block_diag(*p[f"U.a_{g}.B"]) for g in "ifoz")
    c, n = c * torch.exp(m), n * torch.exp(m)
    c, n = sigmoid(f) * c + torch.exp(i) * tanh(z), sigmoid(f) * n + torch.exp(i)
    m = torch.maximum(logsigmoid(f) + m, i)
    return sigmoid(o) * c / n, c * torch.exp(-m), n * torch.exp(-m), m


def clockwork(A: Any, p: Any, h: Any, k: Any) -> Any:
    group = torch.arange(h.shape[-1]) * 4 // h.shape[-1]
    U = p["U.a_h.M"] * (group[:, None] >= group)
    now = torch.remainder(k, torch.clamp(torch.floor(p["period"]), min=1)) == 0
    return torch.where(now, tanh(A("h") + h @ U), h), k + 1


def lmu(A: Any, p: Any, h: Any, m: Any) -> Any:
    """The memory by the matrices of the paper, held between two steps (zero-order hold)."""
    K = m.shape[-1]
    i, j = torch.arange(K, dtype=h.dtype)[:, None], torch.arange(K, dtype=h.dtype)
    a = (2 * i + 1) * torch.where(i < j, -1.0, (-1.0) ** (i - j + 1)).to(h.dtype)
    b = (2 * i + 1) * (-1.0) ** i
    step = torch.linalg.matrix_exp(a / 100)
    held = torch.linalg.solve(a, (step - torch.eye(K, dtype=h.dtype)) @ b)
    u = A("u") + h @ p["U"][:, :1] + (p["e"] * m).sum(-1, keepdim=True)
    m = m @ step.T + u @ held.T
    return tanh(A("h") + h @ p["U"][:, 1:] + m @ p["U_m"]), m


def fast_weights(A: Any, p: Any, h: Any, F: Any) -> Any:
    F = 0.95 * F + 0.5 * (h[:, :, None] * h[:, None, :]).flatten(1)
    a = A("h") + h @ p["U"]
    z = a + (F.unflatten(1, (h.shape[-1], -1)) @ torch.relu(a)[:, :, None])[..., 0]
    return torch.relu(torch.nn.functional.layer_norm(z, z.shape[1:], p["gain"], p["shift"])), F


def goru(A: Any, p: Any, h: Any) -> Any:
    r, z = sigmoid(A("r") + h @ p["U"].chunk(2, -1)[0]), sigmoid(A("z") + h @ p["U"].chunk(2, -1)[1])
    turned = h @ torch.linalg.matrix_exp(skew(p["U.u_h.M"]))
    return (z * h + (1 - z) * mod_relu(A("x_h") + r * turned, p["bias"]),)


def hippo(A: Any, p: Any, h: Any, m: Any, k: Any) -> Any:
    H, n = h.shape[-1], torch.arange(m.shape[-1], dtype=h.dtype)
    root = torch.sqrt(2 * n + 1)
    a, k = torch.tril(root[:, None] * root, -1) + torch.diag(n + 1), k + 1
    by_h, by_m = p["U"].split([H, H, 1], -1), p["U_m_prev"].split([H, H], -1)
    z = sigmoid(A("z") + h @ by_h[1] + m @ by_m[1])
    h = (1 - z) * h + z * tanh(A("h") + h @ by_h[0] + m @ by_m[0])
    return h, m - m @ a.T / k + (h @ by_h[2]) * root / k, k


def urnn(A: Any, p: Any, h: Any) -> Any:
    """In complex numbers: W h by angles, Fourier's transform, reflections and an order."""
    z = torch.view_as_complex(h.unflatten(-1, (-1, 2)))
    a, b, c = (torch.exp(1j * p[f"U.a_h.{n}"]) for n in "abc")
    v, w = (torch.view_as_complex(p[f"U.a_h.{n}"].unflatten(-1, (-1, 2)))[0] for n in "vw")

    def reflected(z: Any, v: Any) -> Any:
        return z - 2 * (z * v.conj()).sum(-1, keepdim=True) / (v * v.conj()).sum() * v

    order = torch.tensor(np.argsort(np.random.default_rng(0).permutation(z.shape[-1])))
    z = reflected(torch.fft.fft(a * z, norm="ortho"), v)[:, order]
    z = c * reflected(torch.fft.ifft(b * z, norm="ortho"), w)
    z = z + torch.view_as_complex(A("h").unflatten(-1, (-1, 2)))
    size = torch.sqrt(z.real**2 + z.imag**2 + 1e-5)
    return (torch.view_as_real(z / size * torch.relu(size + p["bias"])).flatten(-2),)


NAMES = "antisymmetric-rnn antisymmetric-gated lipschitz-rnn exp-rnn sco-rnn slstm-heads clockwork"
NAMES += " lmu fast-weights"
NAMES += " goru hippo urnn"
STEPS = {name: globals()[name.replace("-", "_")] for name in NAMES.split()}
