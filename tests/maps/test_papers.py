"""Cells of the literature whose matrices are made, against steps in PyTorch written from the papers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.nets.init import Init
from mapped_cells import made

torch = pytest.importorskip("torch")

T, N, D, H = 4, 2, 3, 6
Step = Callable[..., Any]
"""From a dict of tensors by our names, x_t and the states to the states."""


def plain(a: str = "h = tanh(a_h)") -> str:
    return f"def cell(a_h, h):\n    {a}\n    return h"


def skew(M: Any) -> Any:
    return torch.triu(M, 1) - torch.triu(M, 1).T + torch.tril(M, -1) - torch.tril(M, -1).T


def antisymmetric(p: Any, x: Any, h: Any) -> Any:
    U = skew(p["U.a_h.M"]) - 0.2 * torch.eye(H)
    return (h + 0.3 * torch.tanh(x @ p["W"] + h @ U + p["b"]),)


def gated_antisymmetric(p: Any, x: Any, h: Any) -> Any:
    U = skew(p["U.a_h.M"]) - 0.2 * torch.eye(H)
    a_h, a_z = (x @ p["W"] + p["b"]).chunk(2, -1)
    return (h + 0.3 * torch.sigmoid(h @ U + a_z) * torch.tanh(h @ U + a_h),)


def exponential(p: Any, x: Any, h: Any) -> Any:
    values, vectors = torch.linalg.eigh(-1j * skew(p["U.a_h.M"]))  # i times a Hermitian matrix
    U = (vectors * torch.exp(1j * values)) @ vectors.conj().T
    return (torch.tanh(x @ p["W"] + h @ U.real + p["b"]),)


def scaled_cayley(p: Any, x: Any, h: Any) -> Any:
    A, one = skew(p["U.a_h.M"]), torch.eye(H)
    D_ = torch.diag(torch.tensor([1.0, 1, 1, -1, -1, -1]))
    U = torch.linalg.solve(one + A, (one - A) @ D_)
    return (torch.tanh(x @ p["W"] + h @ U + p["b"]),)


def chained(p: Any, x: Any, h: Any) -> Any:
    cores = [torch.stack([p[f"W.{n}_{k}"] for k in (1, 2)]) for n in "AB"]
    W = torch.einsum("rij,rkl->ikjl", *cores).reshape(D, H)
    return (torch.tanh(x @ W + h @ p["U"] + p["b"]),)


def lipschitz(p: Any, x: Any, h: Any) -> Any:
    def made(M: Any) -> Any:
        return 0.4 * (M + M.T) + 0.6 * (M - M.T) - 0.01 * torch.eye(H)

    A, W = made(p["U.u_1.M"]), made(p["U.a_2.M"])
    return (h + 0.1 * (h @ A + torch.tanh(h @ W + x @ p["W"] + p["b"])),)


def clockwork(p: Any, x: Any, h: Any, t: Any) -> Any:
    t = t + 1
    U = torch.zeros(H, H)
    for i, j in ((i, j) for i in range(3) for j in range(3) if j <= i):  # a slower group feeds a faster one
        U[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = p["U.a_h.M"][2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
    new = torch.tanh(x @ p["W"] + h @ U + p["b"])
    return torch.where(torch.remainder(t, p["period"]) == 0, new, h), t


def fast_gated(p: Any, x: Any, h: Any) -> Any:
    a = x @ p["W.x_h.left"] @ p["W.x_h.right"] + h @ p["U.u_h.left"] @ p["U.u_h.right"]
    z, new = torch.sigmoid(a + p["b_z"]), torch.tanh(a + p["b_n"])
    return ((torch.sigmoid(p["zeta"]) * (1 - z) + torch.sigmoid(p["nu"])) * new + z * h,)


def headed(p: Any, x: Any, h: Any, c: Any) -> Any:
    a = []
    for k, g in enumerate("ifog"):
        of_heads = torch.einsum("nij,bni->bnj", p[f"U.a_{g}.B"], h.view(N, 3, 2)).reshape(N, H)
        a.append(x @ p["W"][:, k * H : (k + 1) * H] + of_heads + p["b"][k * H : (k + 1) * H])
    c = torch.sigmoid(a[1]) * c + torch.sigmoid(a[0]) * torch.tanh(a[3])
    return torch.sigmoid(a[2]) * torch.tanh(c), c


def projected(p: Any, x: Any, h: Any, c: Any) -> Any:
    r = h @ p["U.left"]  # (N, P), which all the gates read
    i, f, o, g = (x @ p["W"] + r @ p["U.right"] + p["b"]).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def reflected(p: Any, x: Any, h: Any) -> Any:
    for v in p["U.a_h.V"]:  # h U, a reflection after the other
        h = h - 2 * (h @ v / (v @ v))[:, None] * v
    return (torch.tanh(x @ p["W"] + h + p["b"]),)


LSTM = (
    "def cell(a_i, a_f, a_o, a_g, c):\n    c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)\n"
    "    return sigmoid(a_o) * tanh(c), c"
)
EULER = "def cell(a_h, a_z, h):\n    return h + 0.3 * sigmoid(a_z) * tanh(a_h)"
FAST = (
    "def cell(x_h, u_h, b_z, b_n, zeta, nu, h):\n    a = x_h + u_h\n"
    "    z, n = sigmoid(a + b_z), tanh(a + b_n)\n"
    "    return (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h"
)
CLOCK = (
    "def cell(a_h, period, h, t):\n    t = t + 1\n"
    "    h = where(mod(t, period) > 0, h, tanh(a_h))\n    return h, t"
)
PAPERS: dict[str, tuple[Step, Any]] = {
    "AntisymmetricRNN": (
        antisymmetric,
        made(plain("h = h + 0.3 * tanh(a_h)"), maps={"a_h": "antisymmetric(0.2)"}),
    ),
    "AntisymmetricRNN, gated": (
        gated_antisymmetric,
        made(EULER, maps={"a_h": "antisymmetric(0.2)", "a_z": "a_h"}),
    ),
    "expRNN": (exponential, made(plain(), maps={"a_h": "orthogonal"})),
    "scoRNN": (scaled_cayley, made(plain(), maps={"a_h": "cayley(0.5)"})),
    "Lipschitz RNN": (
        lipschitz,
        made(
            "def cell(u_1, a_2, h):\n    return h + 0.1 * (u_1 + tanh(a_2))",
            maps={"u_1 a_2": "lipschitz(0.6, 0.01)"},
        ),
    ),
    "Clockwork RNN": (
        clockwork,
        made(CLOCK, state="h t", params={"period": 2.0}, maps={"a_h": "masked('lower(3)')"}),
    ),
    "FastGRNN": (
        fast_gated,
        made(
            FAST, params="b_z b_n", scalars="zeta nu", bias=False,
            maps={"W.x_h": "low_rank(2)", "u_h": "low_rank(2)"},
        ),
    ),
    "LSTM with heads": (headed, made(LSTM, state="h c", maps={"a_i a_f a_o a_g": "heads(3)"})),
    "LSTM with a projection": (projected, made(LSTM, state="h c", maps={"U": "low_rank(2)"})),
    "tensor-train RNN": (chained, made(plain(), maps={"W": "tensor_train(3, 2)"})),
    "Householder RNN": (reflected, made(plain(), maps={"a_h": "householder(4)"})),
}  # fmt: skip


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_cell_has_autograds_gradients(name: str) -> None:
    step, cell = PAPERS[name]
    rng = np.random.default_rng(0)
    params = Init().layer(rng, cell, D, H, "one", np.float64)
    params = {n: a + 0.5 * rng.normal(size=a.shape) for n, a in params.items()}
    states = [rng.normal(size=(N, H)) for _ in cell.states]
    if name == "Clockwork RNN":
        params["period"], states[1] = np.array([1.0, 1, 2, 2, 4, 4]), np.zeros((N, H))
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, H))
    ends = [rng.normal(size=(N, H)) for _ in states]
    run = bptt.unroll(cell, params, x, tuple(states))
    grads = run.backward(dy, tuple(ends))

    torch.set_default_dtype(torch.float64)
    try:
        leaves = {n: torch.tensor(a, requires_grad=True) for n, a in params.items()}
        first = [torch.tensor(s, requires_grad=True) for s in states]
        inputs = torch.tensor(x, requires_grad=True)
        now, loss = first, torch.zeros(())
        for t in range(T):
            now = step(leaves, inputs[t], *now)
            loss = loss + (now[0] * torch.tensor(dy[t])).sum()
        loss = loss + sum((s * torch.tensor(d)).sum() for s, d in zip(now, ends, strict=True))
        loss.backward()
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(run.states[0], now[0].detach().numpy(), rtol=0, atol=1e-12)
    pairs: list[Any] = [(grads.inputs, inputs), *zip(grads.states, first, strict=True)]
    pairs += [(grads.params[n], leaf) for n, leaf in leaves.items() if n != "period"]
    for got, leaf in pairs:
        assert got is not None
        wanted = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10 * (1 + np.abs(wanted).max(initial=0)))
