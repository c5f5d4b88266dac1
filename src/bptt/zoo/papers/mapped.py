# mypy: ignore-errors
"""Cells whose matrices are made of what is learnt: antisymmetric, orthogonal, in blocks (see bptt.maps)."""

import numpy as np

from bptt.derive import cell
from bptt.derive.functions import exp, floor, max, mod, relu, sigmoid, sign, softplus, sqrt, tanh, where
from bptt.types import Array, Generator


@cell(state="h", maps={"a_h": "antisymmetric(0.01)"})
def antisymmetric_rnn(a_h, h, step=0.1):
    """Chang et al. 2019: the AntisymmetricRNN, a differential equation that neither grows nor fades."""
    h = h + step * tanh(a_h)
    return h


@cell(state="h", maps={"a_h": "antisymmetric(0.01)", "a_z": "a_h"})
def antisymmetric_gated(a_h, a_z, h, step=0.1):
    """Chang et al. 2019: the AntisymmetricRNN with a gate, which shares its matrix."""
    h = h + step * sigmoid(a_z) * tanh(a_h)
    return h


@cell(state="h", maps={"u_A a_W": "lipschitz(0.75, 0.001)"})
def lipschitz_rnn(u_A, a_W, h, step=0.1):
    """Erichson et al. 2021: the Lipschitz RNN, a linear and a bounded part."""
    h = h + step * (u_A + tanh(a_W))
    return h


@cell(state="h", maps={"a_h": "orthogonal"}, params="bias", bias=False)
def exp_rnn(a_h, bias):
    """Lezcano-Casado and Martinez-Rubio 2019: the exponential of an antisymmetric matrix, by modReLU."""
    size = abs(a_h) + bias
    h = where(size > 0, sign(a_h) * size, 0)
    return h


@cell(state="h", maps={"a_h": "cayley(0.5)"}, params="bias", bias=False)
def sco_rnn(a_h, bias):
    """Helfrich, Willmott and Ye 2018: the scaled Cayley transform, half of it minus ones, by modReLU."""
    size = abs(a_h) + bias
    h = where(size > 0, sign(a_h) * size, 0)
    return h


@cell(state="h c n m", maps={"a_i a_f a_o a_z": "heads(4)"})
def slstm_heads(a_i, a_f, a_o, a_z, c, n, m):
    """Beck et al. 2024 (xLSTM): the sLSTM with four heads, which do not read each other."""
    log_f = -softplus(-a_f)
    m_prev = m
    m = max(log_f + m_prev, a_i)
    i = exp(a_i - m)
    f = exp(log_f + m_prev - m)
    c = f * c + i * tanh(a_z)
    n = f * n + i
    h = sigmoid(a_o) * c / n
    return h, c, n, m


def octaves(rng: Generator, H: int) -> dict[str, Array]:
    """Return periods 1, 2, 4, 8 of four groups of units."""
    return {"period": 2.0 ** (np.arange(H) * 4 // H)}


@cell(state="h k", params={"period": (1, 8)}, init=octaves, maps={"a_h": 'masked("lower(4)")'})
def clockwork(a_h, h, k, period):
    """Koutnik et al. 2014: groups of units that move each in its period, and read those as slow or slower."""
    h = where(mod(k, max(floor(period), 1)) < 0.5, tanh(a_h), h)
    k = k + 1
    return h, k


@cell(
    state="h m",
    bias=False,
    sizes={"key": 32},
    shapes={"a_u": "head", "m u_A u_B e": "key"},
    params="e",
    operand={"u_A": "m_prev", "u_B": "u", "u_h": "m"},
    maps={"u_A u_B": "legendre(100.0)"},
)
def lmu(a_u, a_h, u_A, u_B, u_h, m, e):
    """Voelker et al. 2019: the Legendre memory unit, which keeps the last 100 steps as 32 polynomials."""
    u = a_u + sum(e * m, key)
    m = u_A + u_B
    h = tanh(a_h + u_h)
    return h, m


@cell(
    state="h A",
    sizes={"key": "unit"},
    shapes={"A": "unit key", "u_k u_s": "key"},
    operand={"u_s": "s"},
    maps={"u_k u_s": "I"},
    params={"gain": 1.0, "shift": 0.0},
)
def fast_weights(a_h, u_k, u_s, h, A, gain, shift, keep=0.95, rate=0.5):
    """Ba et al. 2016: fast weights A beside U, the outer products of late h; one inner step, normalised."""
    A = keep * A + rate * h * u_k
    s = relu(a_h)
    z = a_h + sum(A * u_s, key)
    d = z - mean(z)
    h = relu(gain * d / sqrt(mean(d * d) + 1e-5) + shift)
    return h, A


@cell(state="h", maps={"u_h": "orthogonal"}, params="bias")
def goru(a_r, a_z, x_h, u_h, h, bias):
    """Jing et al. 2019: the gated orthogonal recurrent unit, by the exponential and by modReLU."""
    r, z = sigmoid(a_r), sigmoid(a_z)
    new = x_h + r * u_h
    size = abs(new) + bias
    h = z * h + (1 - z) * where(size > 0, sign(new) * size, 0)
    return h


@cell(
    state="h m k",
    sizes={"key": 32},
    shapes={"m u_A u_B": "key", "k u_f": "row"},
    operand={"u_A": "m_prev", "u_mh": "m_prev", "u_mz": "m_prev", "u_f": "h", "u_B": "f"},
    maps={"u_A u_B": "legs"},
)
def hippo(a_h, a_z, u_A, u_mh, u_mz, u_f, u_B, h, m, k):
    """Gu et al. 2020: HiPPO-LegS, a gated network whose memory m keeps all of the past as 32 polynomials."""
    z = sigmoid(a_z + u_mz)
    h = (1 - z) * h + z * tanh(a_h + u_mh)
    f = u_f
    k = k + 1
    m = m + (u_B - u_A) / k
    return h, m, k


@cell(
    state="h",
    bias=False,
    sizes={"key": 2},
    shapes={"h a_h": "unit key"},
    params="bias",
    maps={"a_h": "unitary"},
)
def urnn(a_h, bias):
    """Arjovsky, Shah and Bengio 2016: the uRNN, complex units by a unitary matrix, and by modReLU."""
    size = sqrt(sum(a_h * a_h, key) + 1e-5)
    h = max(size + bias, 0) / size * a_h
    return h
