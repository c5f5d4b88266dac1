# mypy: ignore-errors
"""Linear in their states: the gates read x alone, so that steps may be taken side by side elsewhere."""

import numpy as np

from bptt.derive import cell
from bptt.derive.functions import cos, exp, max, sigmoid, silu, sin, tanh
from bptt.types import Array, Generator


@cell(state="h")
def t_rnn(x_z, x_f, h):
    """Balduzzi and Ghifary 2016: strongly typed, a running mean of linear features."""
    f = sigmoid(x_f)
    h = f * h + (1 - f) * x_z
    return h


@cell(state="h c z f o", bias=False)
def qrnn(x_z, x_f, x_o, x_lz, x_lf, x_lo, c, z, f, o):
    """Bradbury et al. 2017: quasi-recurrent, gates over the last two inputs (a window of 2, fo-pooling).

    The states z, f, o are the products of the last input with the window's other half.
    """
    keep = sigmoid(x_f + f)
    c = keep * c + (1 - keep) * tanh(x_z + z)
    h = sigmoid(x_o + o) * c
    z, f, o = x_lz, x_lf, x_lo
    return h, c, z, f, o


@cell(state="h")
def min_gru(x_z, x_h, h):
    """Feng et al. 2024: minGRU, the GRU's gates without h."""
    z = sigmoid(x_z)
    h = (1 - z) * h + z * x_h
    return h


@cell(state="h")
def min_lstm(x_f, x_i, x_h, h):
    """Feng et al. 2024: minLSTM, forget and input gate normalised to a sum of 1."""
    f, i = sigmoid(x_f), sigmoid(x_i)
    h = f / (f + i) * h + i / (f + i) * x_h
    return h


def fading(rng: Generator, H: int) -> dict[str, Array]:
    """Return decays spread over the units, and bonuses of three kinds, as RWKV has them."""
    k = np.arange(H)
    return {"w": -5 + 8 * (k / max(H - 1, 1)) ** 0.7, "u": ((k + 1) % 3 - 1) * 0.5 + np.log(0.3)}


@cell(state="h a b m", bias=False, start={"m": -1e38}, params="w u", init=fading)
def rwkv(x_r, x_k, x_v, a, b, m, w, u):
    """Peng et al. 2023 (RWKV-4): a mean of all v so far, by exponential weights; its token shift left out."""
    now = max(m, u + x_k)
    old, new = exp(m - now), exp(u + x_k - now)
    h = sigmoid(x_r) * (old * a + new * x_v) / (old * b + new)
    faded = m - exp(w)
    m = max(faded, x_k)
    old, new = exp(faded - m), exp(x_k - m)
    a, b = old * a + new * x_v, old * b + new
    return h, a, b, m


def ring(rng: Generator, H: int) -> dict[str, Array]:
    """Return eigenvalues between the circles of radius 0.5 and 0.99, at angles up to pi / 5."""
    nu = np.log(-0.5 * np.log(rng.uniform(0.5**2, 0.99**2, H)))
    size = np.sqrt(1 - np.exp(-2 * np.exp(nu)))
    return {"nu": nu, "theta": np.log(rng.uniform(0, np.pi / 5, H)), "gamma": np.log(size)}


@cell(
    state="h re im", params={"nu": 0.0, "theta": 0.0, "gamma": 0.0, "c_r": (-1, 1), "c_i": (-1, 1)}, init=ring
)
def lru(x_r, x_i, re, im, nu, theta, gamma, c_r, c_i):
    """Orvieto et al. 2023: the linear recurrent unit, a rotation that shrinks; C is diagonal here."""
    size = exp(-exp(nu))
    c, s = size * cos(exp(theta)), size * sin(exp(theta))
    re, im = c * re - s * im + exp(gamma) * x_r, s * re + c * im + exp(gamma) * x_i
    h = c_r * re - c_i * im
    return h, re, im


@cell(state="h re im", params={"lower": (-3, 3), "theta": (0, 3.0)})
def hgrn(x_r, x_i, x_f, x_g, re, im, lower, theta):
    """Qin et al. 2023: HGRN, a forget gate above a learnt bound, turned by an angle; h is the real part."""
    bound = sigmoid(lower)
    f = bound + (1 - bound) * sigmoid(x_f)
    c, s = f * cos(theta), f * sin(theta)
    re, im = c * re - s * im + (1 - f) * silu(x_r), s * re + c * im + (1 - f) * silu(x_i)
    h = sigmoid(x_g) * re
    return h, re, im
