"""Normalisation, an order of the units, one decision for all; several products in a step; x and time."""

from typing import Any

import torch
from torch import sigmoid, tanh
from torch.nn.functional import layer_norm


def lstm_layernorm(A: Any, p: Any, h: Any, c: Any) -> Any:
    def joint(kind: str, *read: Any) -> Any:
        whole = torch.cat([A(f"{kind}_{g}", *read) for g in "ifog"], -1)
        gain = torch.cat([p[f"g{kind}_{g}"] for g in "ifog"])
        return layer_norm(whole, whole.shape[-1:], gain, torch.zeros_like(gain))

    both = joint("x") + joint("u", h) + torch.cat([p[f"b_{g}"] for g in "ifog"])
    i, f, o, g = both.chunk(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(layer_norm(c, c.shape[-1:], p["gain"], p["shift"])), c


def on_lstm(A: Any, p: Any, h: Any, c: Any) -> Any:
    i, f, o, g = (A(n, h) for n in "ifog")
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), tanh(g)
    forget = torch.softmax(A("mf", h), -1).cumsum(-1)
    write = 1 - torch.softmax(A("mi", h), -1).cumsum(-1)
    omega = forget * write
    c = (f * omega + (forget - omega)) * c + (i * omega + (write - omega)) * g
    return o * tanh(c), c


class Round(torch.autograd.Function):  # type: ignore[misc]
    """Rounded forward, as if it were not backward."""

    @staticmethod
    def forward(ctx: Any, u: Any) -> Any:
        return torch.floor(u + 0.5)

    @staticmethod
    def backward(ctx: Any, du: Any) -> Any:
        return du


def skip_lstm(A: Any, p: Any, h: Any, c: Any, u: Any) -> Any:
    taken = Round.apply(u)
    new = sigmoid(A("f", h)) * c + sigmoid(A("i", h)) * tanh(A("g", h))
    h = taken * (sigmoid(A("o", h)) * tanh(new)) + (1 - taken) * h
    c = taken * new + (1 - taken) * c
    more = sigmoid(c @ p["w"][:, None] + p["b_u"])
    return h, c, taken * more + (1 - taken) * (u + torch.minimum(more, 1 - u))


def mut3(A: Any, p: Any, h: Any) -> Any:
    z = sigmoid(A("x_z") + A("u_z", tanh(h)))
    return (tanh(A("n", sigmoid(A("r", h)) * h)) * z + h * (1 - z),)


def rhn_4(A: Any, p: Any, s: Any) -> Any:
    t = sigmoid(A("t", s))
    s = tanh(A("h", s)) * t + s * (1 - t)
    for k in (2, 3, 4):
        t = sigmoid(A(f"u_t{k}", s) + p[f"b_t{k}"])
        s = tanh(A(f"u_h{k}", s) + p[f"b_h{k}"]) * t + s * (1 - t)
    return (s,)


def lstm_nested(A: Any, p: Any, h: Any, c: Any, d: Any) -> Any:
    within, x = sigmoid(A("f", h)) * c, sigmoid(A("i", h)) * tanh(A("g", h))
    i, f, o, g = (A(f"u_x{n}", x) + A(f"u_q{n}", within) + p[f"b_{n}"] for n in "ifog")
    d = sigmoid(f) * d + sigmoid(i) * tanh(g)
    c = sigmoid(o) * tanh(d)
    return sigmoid(A("o", h)) * tanh(c), c, d


def lstm_projected(A: Any, p: Any, r: Any, c: Any) -> Any:
    i, f = sigmoid(A("i", r) + p["p_i"] * c), sigmoid(A("f", r) + p["p_f"] * c)
    c = f * c + i * tanh(A("g", r))
    return A("u_r", sigmoid(A("o", r) + p["p_o"] * c) * tanh(c)), c


def scrn(A: Any, p: Any, h: Any, s: Any) -> Any:
    s = 0.05 * A("x_s") + 0.95 * s
    return sigmoid(A("h", h) + A("u_s", s)), s


def sru(A: Any, p: Any, h: Any, c: Any) -> Any:
    f, r = sigmoid(A("x_f") + p["v_f"] * c), sigmoid(A("x_r") + p["v_r"] * c)
    c = f * c + (1 - f) * A("x_g")
    return r * c + (1 - r) * A.x, c


def intersection_rnn(A: Any, p: Any, y: Any, h: Any) -> Any:
    gy, gh = sigmoid(A("gy", h)), sigmoid(A("gh", h))
    return gy * A.x + (1 - gy) * torch.relu(A("y", h)), gh * h + (1 - gh) * tanh(A("h", h))


def rg_lru(A: Any, p: Any, h: Any) -> Any:
    log_a = -8 * torch.nn.functional.softplus(p["rate"]) * sigmoid(A("x_r"))
    return (torch.exp(log_a) * h + torch.sqrt(-torch.expm1(2 * log_a)) * sigmoid(A("x_i")) * A.x,)


def rg_lru_heads(A: Any, p: Any, h: Any) -> Any:
    r, i = (sigmoid(A(g) + A.x @ torch.block_diag(*p[f"W.{g}.B"])) for g in ("x_r", "x_i"))
    log_a = -8 * torch.nn.functional.softplus(p["rate"]) * r
    return (torch.exp(log_a) * h + torch.sqrt(-torch.expm1(2 * log_a)) * i * A.x,)


def mut1(A: Any, p: Any, h: Any) -> Any:
    z = sigmoid(A("x_z"))
    return (tanh(A("u_h", sigmoid(A("r", h)) * h) + tanh(A.x) + p["shift"]) * z + h * (1 - z),)


def mut2(A: Any, p: Any, h: Any) -> Any:
    z = sigmoid(A("z", h))
    return (tanh(A("h", sigmoid(A.x + A("u_r", h) + p["shift"]) * h)) * z + h * (1 - z),)


def lstm_mogrifier(A: Any, p: Any, h: Any, c: Any) -> Any:
    x = 2 * sigmoid(A("u_1", h)) * A.x
    h = 2 * sigmoid(A("u_2", x)) * h
    i, f, o, g = (A(f"u_x{n}", x) + A(f"u_h{n}", h) + p[f"b_{n}"] for n in "ifog")
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def lstm_phased(A: Any, p: Any, h: Any, c: Any) -> Any:
    tau = torch.exp(p["tau"])
    phi = torch.remainder(A.t - p["shift"], tau) / tau
    k = torch.where(phi < 0.025, 2 * phi / 0.05, torch.where(phi < 0.05, 2 - 2 * phi / 0.05, 0.001 * phi))
    i, f = sigmoid(A("i", h) + p["p_i"] * c), sigmoid(A("f", h) + p["p_f"] * c)
    new = f * c + i * tanh(A("g", h))
    out = sigmoid(A("o", h) + p["p_o"] * new) * tanh(new)
    return k * out + (1 - k) * h, k * new + (1 - k) * c


def lstm_time_aware(A: Any, p: Any, h: Any, c: Any) -> Any:
    short = tanh(A("u_s", c) + p["b_s"])
    c = (c - short) + short / torch.log(torch.e + A.t)
    c = sigmoid(A("f", h)) * c + sigmoid(A("i", h)) * tanh(A("g", h))
    return sigmoid(A("o", h)) * tanh(c), c


def gru_decay(A: Any, p: Any, h: Any) -> Any:
    h = torch.exp(-torch.clamp(p["w"] * A.t + p["b_t"], min=0)) * h
    z = sigmoid(A("z", h))
    return ((1 - z) * h + z * tanh(A("n", sigmoid(A("r", h)) * h)),)


def cfc_timed(A: Any, p: Any, h: Any) -> Any:
    open_ = sigmoid(-A("f", h) * A.t)
    return (open_ * tanh(A("g", h)) + (1 - open_) * tanh(A("k", h)),)


def direction(a: Any) -> Any:
    return a / torch.sqrt((a * a).sum(-1, keepdim=True) + 1e-12)


def rum(A: Any, p: Any, h: Any) -> Any:
    """The rotation as a matrix: I - e eᵀ - v vᵀ + (e, v) R (e, v)ᵀ, R by the angle from x W to its target."""
    x, target = A("x_e"), A("t", h)
    e = direction(x)
    v = direction(target - (e * target).sum(-1, keepdim=True) * e)
    cos, sin = ((a * direction(target)).sum(-1) for a in (e, v))
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    plane = torch.stack([e, v], -1)
    matrix = torch.eye(h.shape[-1], dtype=h.dtype) - plane @ plane.mT + plane @ turn @ plane.mT
    u = sigmoid(A("u", h))
    return (u * h + (1 - u) * torch.relu(x + (matrix @ h[..., None])[..., 0]),)


def s5(A: Any, p: Any, h: Any, re: Any, im: Any) -> Any:
    modes = torch.complex(-torch.exp(p["A_r"]), p["A_i"])
    held = torch.exp(modes * torch.exp(p["dt"]))
    now = held * torch.complex(re, im) + (held - 1) / modes * torch.complex(A("x_r"), A("x_i"))
    return 2 * (A("u_r", now.real) - A("u_i", now.imag)) + p["D"] * A.x, now.real, now.imag


def rwkv7(A: Any, p: Any, h: Any, S: Any, last: Any) -> Any:
    def of(n: str) -> Any:
        return A(f"u_{n}", torch.lerp(A.x, last, p[f"mu_{n}"]))

    def heads(a: Any) -> Any:
        return a.unflatten(-1, (4, -1))

    r, v, k, rate = heads(of("r")), heads(of("v")), of("k"), sigmoid(p["a"] + of("a"))
    keep = heads(torch.exp(-sigmoid(p["w"] + of("w")) / torch.e**0.5))
    n = direction(heads(p["xi"] * k))
    k = heads(k * torch.lerp(torch.ones_like(rate), rate, p["alpha"]))
    S = S.unflatten(-1, (*v.shape[1:], -1))
    turned = torch.diag_embed(keep) - n[..., :, None] * (heads(rate) * n)[..., None, :]
    S = S @ turned + v[..., None] * k[..., None, :]
    y = torch.nn.functional.group_norm((S @ r[..., None]).flatten(1), 4, p["gain"], p["shift"], 64e-5)
    bonus = (r * heads(p["rho"]) * k).sum(-1, keepdim=True) * v
    return sigmoid(of("g")) * (y + bonus.flatten(1)), S.flatten(1), A.x


def gru_ode(A: Any, p: Any, h: Any) -> Any:
    r, z = sigmoid(A("u_dr", h) + p["b_dr"]), sigmoid(A("u_dz", h) + p["b_dz"])
    h = h + A.t * (1 - z) * (tanh(A("u_dn", r * h) + p["b_dn"]) - h)
    z = sigmoid(A("z", h))
    return (z * h + (1 - z) * tanh(A("n", sigmoid(A("r", h)) * h)),)


def lstm_timed(A: Any, p: Any, h: Any, c: Any) -> Any:
    T1, T2 = (sigmoid(A(f"x_{k}") + sigmoid(p[f"v_{k}"] * A.t)) for k in "12")
    i, f = (sigmoid(A(n, h) + p[f"p_{n}"] * c) for n in "if")
    write = i * tanh(A("g", h))
    out, c = f * c + T1 * write, f * c + T2 * write
    return sigmoid(A("o", h) + A.t * p["v_o"] + p["p_o"] * out) * tanh(out), c


NAMES = "lstm-layernorm on-lstm skip-lstm mut3 rhn-4 lstm-nested lstm-projected scrn"
NAMES += (
    " sru intersection-rnn rg-lru mut1 mut2 lstm-mogrifier lstm-phased lstm-time-aware gru-decay cfc-timed"
)
NAMES += " rg-lru-heads"
NAMES += " rum s5 rwkv7 gru-ode lstm-timed"
STEPS = {name: globals()[name.replace("-", "_")] for name in NAMES.split()}
