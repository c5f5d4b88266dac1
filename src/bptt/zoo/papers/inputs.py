# mypy: ignore-errors
"""What reads its input itself, as wide as its units, and what is told the time."""

import numpy as np

from bptt.derive import cell
from bptt.derive.functions import exp, log, mod, relu, sigmoid, softplus, sqrt, tanh, where
from bptt.types import Array, Generator


@cell(state="h c", params="v_f v_r")
def sru(x_g, x_f, x_r, x, c, v_f, v_r):
    """Lei et al. 2018: the simple recurrent unit, with gates that see c, and a highway for x."""
    f, r = sigmoid(x_f + v_f * c), sigmoid(x_r + v_r * c)
    c = f * c + (1 - f) * x_g
    h = r * c + (1 - r) * x
    return h, c


@cell(
    state="y h",
    operand=dict.fromkeys(("a_y", "a_h", "a_gy", "a_gh"), "h_prev"),
    init={"a_gy": 1.0, "a_gh": 1.0},
)
def intersection_rnn(a_y, a_h, a_gy, a_gh, x, h):
    """Collins, Sohl-Dickstein and Sussillo 2017: the +RNN, coupled in depth, y, as in time, h."""
    gy, gh = sigmoid(a_gy), sigmoid(a_gh)
    y = gy * x + (1 - gy) * relu(a_y)
    h = gh * h + (1 - gh) * tanh(a_h)
    return y, h


def spans(rng: Generator, H: int) -> dict[str, Array]:
    """Return decays a, to the eighth power between 0.9 and 0.999."""
    a = rng.uniform(0.9, 0.999, H)
    return {"rate": np.log(np.expm1(-np.log(a) / 8))}


@cell(state="h", params="rate", init=spans)
def rg_lru(x_r, x_i, x, h, rate):
    """De et al. 2024 (Griffin): the real-gated linear recurrent unit; its W is dense here."""
    a = exp(-8 * softplus(rate) * sigmoid(x_r))
    h = a * h + sqrt(1 - a * a) * sigmoid(x_i) * x
    return h


@cell(state="h", params="rate", init=spans, maps={"W.x_r W.x_i": "heads(4)"})
def rg_lru_heads(x_r, x_i, x, h, rate):
    """De et al. 2024 (Griffin): the RG-LRU whose gates read x in four blocks, as the paper's."""
    a = exp(-8 * softplus(rate) * sigmoid(x_r))
    h = a * h + sqrt(1 - a * a) * sigmoid(x_i) * x
    return h


@cell(state="h", operand={"u_h": "q"}, params={"shift": 0.0})
def mut1(x_z, a_r, u_h, x, h, shift):
    """Jozefowicz, Zaremba and Sutskever 2015: MUT1, found by mutation; it reads tanh(x)."""
    z = sigmoid(x_z)
    q = sigmoid(a_r) * h
    h = tanh(u_h + tanh(x) + shift) * z + h * (1 - z)
    return h


@cell(state="h", operand={"a_h": "q"}, params={"shift": 0.0})
def mut2(a_z, u_r, a_h, x, h, shift):
    """Jozefowicz, Zaremba and Sutskever 2015: MUT2, whose reset gate reads x as it is."""
    z = sigmoid(a_z)
    q = sigmoid(x + u_r + shift) * h
    h = tanh(a_h) * z + h * (1 - z)
    return h


GATES = "ifog"


@cell(
    state="h c",
    operand={"u_2": "x1"} | {f"u_x{g}": "x1" for g in GATES} | {f"u_h{g}": "h1" for g in GATES},
    params={f"b_{g}": float(g == "f") for g in GATES},
)
def lstm_mogrifier(u_1, u_2, u_xi, u_xf, u_xo, u_xg, u_hi, u_hf, u_ho, u_hg, x, h, c, b_i, b_f, b_o, b_g):
    """Melis, Kocisky and Blunsom 2020: x and h gate each other before the LSTM reads them, two rounds."""
    x1 = 2 * sigmoid(u_1) * x
    h1 = 2 * sigmoid(u_2) * h
    i, f = sigmoid(u_xi + u_hi + b_i), sigmoid(u_xf + u_hf + b_f)
    o, g = sigmoid(u_xo + u_ho + b_o), tanh(u_xg + u_hg + b_g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


def rhythms(rng: Generator, H: int) -> dict[str, Array]:
    """Return periods from 1 to 400, uniform in their logarithm, and shifts within them."""
    tau = rng.uniform(0, 6, H)
    return {"tau": tau, "shift": rng.uniform(0, np.exp(tau))}


@cell(
    state="h c",
    inputs="t",
    shapes={"t": "row"},
    params={"p_i": 0.0, "p_f": 0.0, "p_o": 0.0, "tau": (0, 6), "shift": 0.0},
    init=rhythms,
)
def lstm_phased(a_i, a_f, a_o, a_g, t, h, c, p_i, p_f, p_o, tau, shift, ratio=0.05, leak=0.001):
    """Neil, Pfeiffer and Liu 2016: the phased LSTM, each unit open for a part of its period."""
    phase = mod(t - shift, exp(tau)) / exp(tau)
    late = where(phase < ratio, 2 - 2 * phase / ratio, leak * phase)
    k = where(phase < ratio / 2, 2 * phase / ratio, late)
    new = sigmoid(a_f + p_f * c) * c + sigmoid(a_i + p_i * c) * tanh(a_g)
    out = sigmoid(a_o + p_o * new) * tanh(new)
    c = k * new + (1 - k) * c
    h = k * out + (1 - k) * h
    return h, c


@cell(state="h c", inputs="t", shapes={"t": "row"}, operand={"u_s": "c_prev"}, params={"b_s": 0.0})
def lstm_time_aware(a_i, a_f, a_o, a_g, u_s, t, c, b_s):
    """Baytas et al. 2017: the T-LSTM, whose short-term memory fades with the time t since the last step."""
    s = tanh(u_s + b_s)
    c = c - s + s / log(2.718281828459045 + t)
    c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    h = sigmoid(a_o) * tanh(c)
    return h, c


@cell(state="h", inputs="t", operand={"a_r": "q", "a_z": "q", "a_n": "p"}, params={"w": (0, 0.1), "b_t": 0.0})
def gru_decay(a_r, a_z, a_n, t, h, w, b_t):
    """Che et al. 2018: GRU-D's state, which fades with the time t since each unit's last reading."""
    q = exp(-relu(w * t + b_t)) * h
    p = sigmoid(a_r) * q
    z = sigmoid(a_z)
    h = (1 - z) * q + z * tanh(a_n)
    return h


@cell(state="h", inputs="t", shapes={"t": "row"})
def cfc_timed(a_f, a_g, a_k, t):
    """Hasani et al. 2022: closed-form continuous time, with the time t between readings."""
    now = sigmoid(-a_f * t)
    h = now * tanh(a_g) + (1 - now) * tanh(a_k)
    return h


def modes(rng: Generator, H: int) -> dict[str, Array]:
    """Return S5's starts: 16 modes -1/2 + i pi n, a step between 0.001 and 0.1, D normal."""
    n = np.arange(16)
    dt = rng.uniform(np.log(1e-3), np.log(1e-1), 16)
    return {"A_r": np.full(16, np.log(0.5)), "A_i": np.pi * n, "dt": dt, "D": rng.normal(size=H)}


@cell(
    state="h re im",
    bias=False,
    sizes={"key": 16},
    params="A_r A_i dt D",
    shapes={"re im x_r x_i A_r A_i dt": "key"},
    operand={"u_r": "re", "u_i": "im"},
    init=modes,
)
def s5(x, x_r, x_i, u_r, u_i, re, im, A_r, A_i, dt, D):
    """Smith, Warrington and Linderman 2023: S5, 16 modes that all inputs drive and all outputs read."""
    r, w = -exp(A_r), A_i
    size, angle = exp(exp(dt) * r), exp(dt) * w
    a, b = size * cos(angle), size * sin(angle)
    square = r * r + w * w
    p, q = ((a - 1) * r + b * w) / square, (b * r - (a - 1) * w) / square
    re, im = a * re - b * im + p * x_r - q * x_i, b * re + a * im + p * x_i + q * x_r
    h = 2 * (u_r - u_i) + D * x
    return h, re, im


def shifted(x, last, mu):
    """Return what is between x and the last one."""
    return x + mu * (last - x)


SHIFTS = {f"mu_{n}": (0, 1) for n in "rwkvag"}


def goose(rng: Generator, H: int) -> dict[str, Array]:
    """Return decays spread over the keys."""
    return {"w": -6 + 7 * (np.arange(H) / max(H - 1, 1)) ** 0.9, "gain": np.ones(H)}


@cell(
    state="h S last",
    heads=4,
    sizes={"key": "unit"},
    bias=False,
    operand={"u_r": "xr", "u_w": "xw", "u_k": "xk", "u_v": "xv", "u_a": "xa", "u_g": "xg"},
    params=SHIFTS | {"w": (-6, 1), "a": 0, "xi": 0.85, "alpha": 1, "rho": 0, "gain": 1, "shift": 0},
    shapes={"S": "unit key", "u_r u_w u_k u_a w a xi alpha rho": "key"},
    init=goose,
)
def rwkv7(
    u_r, u_w, u_k, u_v, u_a, u_g, x, S, last,
    mu_r, mu_w, mu_k, mu_v, mu_a, mu_g, w, a, xi, alpha, rho, gain, shift,
):  # fmt: skip
    """Peng et al. 2025 (RWKV-7): a delta rule with a rate and a decay for each key; with its token shift."""
    xr, xw, xk = shifted(x, last, mu_r), shifted(x, last, mu_w), shifted(x, last, mu_k)
    xv, xa, xg = shifted(x, last, mu_v), shifted(x, last, mu_a), shifted(x, last, mu_g)
    last = x
    keep, rate = exp(-exp(-0.5) * sigmoid(w + u_w)), sigmoid(a + u_a)
    n = xi * u_k
    n = n / sqrt(sum(n * n, key) + 1e-12)
    k = u_k * (1 + (rate - 1) * alpha)
    S = keep * S - sum(S * n, key) * rate * n + u_v * k
    y = sum(S * u_r, key)
    d = y - mean(y)
    y = gain * d / sqrt(mean(d * d) + 0.00064) + shift
    h = sigmoid(u_g) * (y + sum(rho * u_r * k, key) * u_v)
    return h, S, last


@cell(
    state="h",
    inputs="t",
    shapes={"t": "row"},
    operand={"u_dr": "h_prev", "u_dz": "h_prev", "u_dn": "s", "a_r": "q", "a_z": "q", "a_n": "p"},
    params={"b_dr": 0.0, "b_dz": 0.0, "b_dn": 0.0},
)
def gru_ode(u_dr, u_dz, u_dn, a_r, a_z, a_n, t, h, b_dr, b_dz, b_dn):
    """De Brouwer et al. 2019: GRU-ODE, one Euler step of the time t, and then a GRU for what is read."""
    s = sigmoid(u_dr + b_dr) * h
    q = h + t * (1 - sigmoid(u_dz + b_dz)) * (tanh(u_dn + b_dn) - h)
    p = sigmoid(a_r) * q
    z = sigmoid(a_z)
    h = z * q + (1 - z) * tanh(a_n)
    return h


@cell(state="h c", inputs="t", shapes={"t": "row"}, params="p_i p_f p_o v_1 v_2 v_o")
def lstm_timed(a_i, a_f, a_o, a_g, x_1, x_2, t, c, p_i, p_f, p_o, v_1, v_2, v_o):
    """Zhu et al. 2017: Time-LSTM 2, two gates by the time t: for what is put out, for what is kept."""
    near, far = sigmoid(x_1 + sigmoid(v_1 * t)), sigmoid(x_2 + sigmoid(v_2 * t))
    i, f, g = sigmoid(a_i + p_i * c), sigmoid(a_f + p_f * c), tanh(a_g)
    now = f * c + i * near * g
    c = f * c + i * far * g
    o = sigmoid(a_o + v_o * t + p_o * now)
    h = o * tanh(now)
    return h, c
