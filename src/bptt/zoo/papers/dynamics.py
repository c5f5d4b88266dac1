# mypy: ignore-errors
"""Differential equations taken in steps, oscillators, and spikes."""

import numpy as np

from bptt.derive import cell
from bptt.derive.functions import cos, exp, max, relu, sigmoid, surrogate, tanh, where
from bptt.types import Array, Generator


@cell(state="h", operand={"a_h": "r"}, params={"tau": 1.0})
def ctrnn(a_h, h, tau, dt=0.5):
    """Funahashi and Nakamura 1993: the continuous-time network by Euler's steps; U reads tanh(h)."""
    r = tanh(h)
    h = h + dt * (a_h - h / tau)
    return h


@cell(state="h")
def rnn_leaky(a_h, h, alpha=0.3):
    """Jaeger et al. 2007: leaky units, those of an echo state network; here U and W are learnt, too."""
    h = (1 - alpha) * h + alpha * tanh(a_h)
    return h


@cell(state="h", params={"A": (-1, 1), "tau": 1.0})
def ltc(a_f, h, A, tau, dt=0.5):
    """Hasani et al. 2021: liquid time constants, one step of the fused solver."""
    f = sigmoid(a_f)
    h = (h + dt * f * A) / (1 + dt * (1 / tau + f))
    return h


@cell(state="h")
def cfc(a_f, a_g, a_k, t=1.0):
    """Hasani et al. 2022: closed-form continuous time, from g to k as time passes; t is 1 at each step."""
    now = sigmoid(-a_f * t)
    h = now * tanh(a_g) + (1 - now) * tanh(a_k)
    return h


@cell(state="y z", operand={"u_z": "z_prev"})
def cornn(a_y, u_z, y, z, dt=0.042, gamma=2.7, epsilon=4.7):
    """Rusch and Mishra 2021: coupled oscillators, damped and driven."""
    z = z + dt * (tanh(a_y + u_z) - gamma * y - epsilon * z)
    y = y + dt * z
    return y, z


@cell(state="y z", params={"w": (0, 1), "c": (-0.1, 0.1)})
def unicornn(x_y, y, z, w, c, dt=0.19, alpha=30.65):
    """Rusch and Mishra 2021: UnICORNN, undamped oscillators that are independent within a layer."""
    step = dt * sigmoid(c)
    z = z - step * (tanh(w * y + x_y) + alpha * y)
    y = y + step * z
    return y, z


@cell(state="y z", operand={"a_y": "z"})
def lem(a_1, a_2, a_z, a_y, y, z, dt=1.0):
    """Rusch et al. 2022: long expressive memory, two scales of time that are learnt."""
    fast, slow = dt * sigmoid(a_1), dt * sigmoid(a_2)
    z = (1 - fast) * z + fast * tanh(a_z)
    y = (1 - slow) * y + slow * tanh(a_y)
    return y, z


@cell(state="h", scalars={"alpha": -3.0, "beta": 3.0})
def fastrnn(a_h, h, alpha, beta):
    """Kusupati et al. 2018: FastRNN, a residual connection with two weights for all units."""
    h = sigmoid(alpha) * tanh(a_h) + sigmoid(beta) * h
    return h


@cell(state="h", bias=False, params={"b_z": 1.0, "b_n": 1.0}, scalars={"zeta": 1.0, "nu": -4.0})
def fastgrnn(a_s, h, b_z, b_n, zeta, nu):
    """Kusupati et al. 2018: FastGRNN, a gate that shares the matrices of what is written."""
    z, n = sigmoid(a_s + b_z), tanh(a_s + b_n)
    h = (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h
    return h


@cell(state="z v b")
def lsnn(a_i, z, v, b, alpha=0.95, rho=0.995, beta=1.8, threshold=1.0):
    """Bellec et al. 2018: spiking units whose thresholds adapt; a triangle is the spike's derivative."""

    def spike(u):
        return surrogate(where(u > 0, 1, 0), 0.3 * max(0, 1 - abs(u)), u)

    b = rho * b + (1 - rho) * z
    size = threshold + beta * b
    v = alpha * v + (1 - alpha) * a_i - z * size
    z = spike((v - size) / size)
    return z, v, b


@cell(
    state="y u l su sl ss",
    start={"su": 1.0, "sl": 1.0},
    params={"t_uu": 1.0, "t_ul": 0.2, "t_lu": -0.2, "t_ll": 1.0, "q_u": -2.0, "q_l": -2.0},
)
def rkn(x_w, x_s, u, l, su, sl, ss, t_uu, t_ul, t_lu, t_ll, q_u, q_l):
    """Becker et al. 2019: the recurrent Kalman network; its transition keeps units apart."""
    at_u, at_l = t_uu * u + t_ul * l, t_lu * u + t_ll * l
    pu = t_uu * t_uu * su + 2 * t_uu * t_ul * ss + t_ul * t_ul * sl + exp(q_u)
    pl = t_lu * t_lu * su + 2 * t_lu * t_ll * ss + t_ll * t_ll * sl + exp(q_l)
    ps = t_uu * t_lu * su + (t_uu * t_ll + t_ul * t_lu) * ss + t_ul * t_ll * sl
    whole = pu + exp(x_s)
    gain_u, gain_l = pu / whole, ps / whole
    u, l = at_u + gain_u * (x_w - at_u), at_l + gain_l * (x_w - at_u)
    su, sl, ss = (1 - gain_u) * pu, pl - gain_l * ps, (1 - gain_u) * ps
    y = u
    return y, u, l, su, sl, ss


def frequencies(rng: Generator, H: int) -> dict[str, Array]:
    """Return five frequencies for each unit, from none to 4 periods in the time T, and phases."""
    f = np.broadcast_to(np.arange(5.0), (H, 5))
    return {"f": f.ravel(), "phase": rng.uniform(0, 2 * np.pi, 5 * H)}


@cell(
    state="h m k",
    sizes={"key": 5},
    shapes={"m f phase": "unit key", "k": "row"},
    params={"f": (0, 4), "phase": (0, 6.283185307179586), "shift": 0.0},
    operand={"u_g": "m_prev", "u_h": "m"},
    init=frequencies,
)
def fru(x_g, u_g, u_h, m, k, f, phase, shift, T=100.0, turn=6.283185307179586):
    """Zhang et al. 2018: the Fourier recurrent unit, a sum of what was read by five waves of each unit."""
    g = tanh(x_g + u_g)
    k = k + 1
    m = m + g * cos(turn * f * k / T + phase) / T
    h = relu(u_h + shift)
    return h, m, k
