# mypy: ignore-errors
"""Matrices as memories: a value is written under a key, and a query reads.

A state ``"unit key"`` of a head is a matrix, with a row for each unit and a column for each of its keys.
"""

import numpy as np

from bptt.derive import cell
from bptt.derive.functions import cos, exp, max, min, sigmoid, silu, sin, softplus, sqrt, where
from bptt.types import Array, Generator

HEADS = 4
SQUARE = {"key": "unit"}


def normal(y, gain):
    """Return y with a mean square of 1 over the units of a head."""
    return gain * y / sqrt(mean(y * y) + 1e-5)


def feature(x):
    """Return elu(x) + 1."""
    return where(x > 0, x + 1, exp(min(x, 0)))


def keeping(rng: Generator, H: int) -> dict[str, Array]:
    """Return the starts of the mLSTM's forget gates, from 3 to 6 over the heads."""
    return {"x_f": np.linspace(3, 6, HEADS)}


@cell(
    state="h C n m",
    heads=HEADS,
    sizes=SQUARE,
    shapes={"C": "unit key", "n x_k x_q": "key", "m x_i x_f": "head"},
    init=keeping,
)
def mlstm(x_i, x_f, x_o, x_v, x_k, x_q, C, n, m, scale=0.25):
    """Beck et al. 2024 (xLSTM): a matrix memory with an exponential input gate, and a stabiliser m."""
    log_f = -softplus(-x_f)
    faded = log_f + m
    m = max(faded, x_i)
    f, i = exp(faded - m), exp(x_i - m)
    k = scale * x_k
    C = f * C + i * x_v * k
    n = f * n + i * k
    h = sigmoid(x_o) * sum(C * x_q, key) / max(abs(sum(n * x_q, key)), exp(-m))
    return h, C, n, m


@cell(state="h S z", heads=HEADS, sizes=SQUARE, bias=False, shapes={"S": "unit key", "z x_k x_q": "key"})
def linear_attention(x_q, x_k, x_v, S, z):
    """Katharopoulos et al. 2020: attention whose softmax is a product of features, as a recurrent network."""
    k, q = feature(x_k), feature(x_q)
    S = S + x_v * k
    z = z + k
    h = sum(S * q, key) / (sum(z * q, key) + 1e-6)
    return h, S, z


def slower(rng: Generator, H: int) -> dict[str, Array]:
    """Return the decays of RetNet's heads, as logits: 1 - 2^-5, 1 - 2^-6, ..."""
    return {"decay": np.log(2.0 ** (5 + np.arange(HEADS)) - 1), "gain": np.ones(H)}


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    bias=False,
    params="decay gain",
    shapes={"S": "unit key", "x_k x_q": "key", "decay": "head"},
    init=slower,
)
def retnet(x_q, x_k, x_v, x_g, S, decay, gain, scale=0.25):
    """Sun et al. 2023: retention, each head with a decay; here that is learnt, and nothing is rotated."""
    S = sigmoid(decay) * S + scale * x_v * x_k
    h = silu(x_g) * normal(sum(S * x_q, key), gain)
    return h, S


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    params={"gain": 1.0},
    shapes={"S": "unit key", "x_k x_q x_a": "key"},
)
def gla(x_q, x_k, x_v, x_a, x_r, S, gain, scale=0.25):
    """Yang et al. 2024: gated linear attention, a forget gate for each key; its matrix of full rank here."""
    a = exp(-softplus(-x_a) / 16)
    S = a * S + x_v * x_k
    h = silu(x_r) * normal(scale * sum(S * x_q, key), gain)
    return h, S


def unit_length(k):
    """Return a key of length 1."""
    return k / sqrt(sum(k * k, key) + 1e-6)


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    params={"gain": 1.0},
    shapes={"S": "unit key", "x_k x_q": "key", "x_b": "head"},
)
def deltanet(x_q, x_k, x_v, x_b, S, gain):
    """Schlag et al. 2021, as in Yang et al. 2024: what is stored under a key is corrected, not added to."""
    q, k = unit_length(silu(x_q)), unit_length(silu(x_k))
    S = S + sigmoid(x_b) * (silu(x_v) - sum(S * k, key)) * k
    h = normal(sum(S * q, key), gain)
    return h, S


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    params={"gain": 1.0, "rate": (0, 2.8)},
    shapes={"S": "unit key", "x_k x_q": "key", "x_a x_b rate": "head"},
)
def gated_deltanet(x_q, x_k, x_v, x_g, x_a, x_b, S, gain, rate):
    """Yang et al. 2025: the delta rule, and a gate by which a head forgets."""
    q, k = unit_length(silu(x_q)), unit_length(silu(x_k))
    S = exp(-exp(rate) * softplus(x_a)) * S
    S = S + sigmoid(x_b) * (silu(x_v) - sum(S * k, key)) * k
    h = silu(x_g) * normal(sum(S * q, key), gain)
    return h, S


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    params={"lower": (-3, 3), "gain": 1.0},
    shapes={"S": "unit key", "x_f x_q lower": "key"},
)
def hgrn2(x_q, x_f, x_v, S, lower, gain):
    """Qin et al. 2024: HGRN2, a key that is 1 - f: what is forgotten is what is written."""
    bound = sigmoid(lower)
    f = bound + (1 - bound) * sigmoid(x_f)
    S = f * S + (1 - f) * x_v
    h = normal(sum(S * silu(x_q), key), gain)
    return h, S


def spread(rng: Generator, H: int) -> dict[str, Array]:
    """Return Mamba's starts: A is -1, -2, ..., a step between 0.001 and 0.1, D is 1."""
    step = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), H))
    A = np.broadcast_to(np.log(np.arange(1, 17)), (H, 16)).ravel()
    return {"A": A, "dt": np.log(np.expm1(step)), "D": np.ones(H)}


@cell(
    state="h S",
    bias=False,
    sizes={"key": 16},
    params="A dt D",
    shapes={"S A": "unit key", "u_B u_C": "key"},
    operand={"u_d": "u", "u_B": "u", "u_C": "u"},
    init=spread,
)
def mamba(x_u, x_z, u_d, u_B, u_C, S, A, dt, D):
    """Gu and Dao 2023: a selective state space, 16 states a unit; its convolution left out."""
    u = silu(x_u)
    step = softplus(u_d + dt)
    S = exp(-step * exp(A)) * S + step * u * u_B
    h = (sum(S * u_C, key) + D * u) * silu(x_z)
    return h, S


def lin(rng: Generator, H: int) -> dict[str, Array]:
    """Return S4D-Lin's starts: A_n = -1/2 + i pi n, a step between 0.001 and 0.1, C normal."""
    real, imag = np.full((H, 16), np.log(0.5)), np.broadcast_to(np.pi * np.arange(16), (H, 16))
    C = rng.normal(0, np.sqrt(0.5), (2, H * 16))
    dt = rng.uniform(np.log(1e-3), np.log(1e-1), H)
    return {
        "A_r": real.ravel(),
        "A_i": imag.ravel(),
        "dt": dt,
        "C_r": C[0],
        "C_i": C[1],
        "D": rng.normal(size=H),
    }


@cell(
    state="h re im",
    sizes={"key": 16},
    params="A_r A_i dt C_r C_i D",
    shapes={"re im A_r A_i C_r C_i": "unit key"},
    init=lin,
)
def s4d(x_u, re, im, A_r, A_i, dt, C_r, C_i, D):
    """Gu et al. 2022: a diagonal state space, 16 complex states a unit, discretised exactly; W before it."""
    r, w = -exp(A_r), A_i
    size, angle = exp(exp(dt) * r), exp(dt) * w
    a, b = size * cos(angle), size * sin(angle)
    square = r * r + w * w
    p, q = ((a - 1) * r + b * w) / square, (b * r - (a - 1) * w) / square
    re, im = a * re - b * im + p * x_u, b * re + a * im + q * x_u
    h = 2 * sum(C_r * re - C_i * im, key) + D * x_u
    return h, re, im


def selective(rng: Generator, H: int) -> dict[str, Array]:
    """Return Mamba-2's starts: A between -1 and -16, a step between 0.001 and 0.1, D is 1."""
    step = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), HEADS))
    A = np.log(rng.uniform(1, 16, HEADS))
    return {"A": A, "dt": np.log(np.expm1(step)), "D": np.ones(HEADS), "gain": np.ones(H)}


@cell(
    state="h S",
    heads=HEADS,
    sizes={"key": 16},
    bias=False,
    params="A dt D gain",
    shapes={"S": "unit key", "x_B x_C": "key", "x_d A dt D": "head"},
    init=selective,
)
def mamba2(x_u, x_z, x_B, x_C, x_d, S, A, dt, D, gain):
    """Dao and Gu 2024: Mamba-2, one decay for a head; B and C for each head, its convolution left out."""
    u = silu(x_u)
    step = softplus(x_d + dt)
    S = exp(-step * exp(A)) * S + step * u * silu(x_B)
    y = (sum(S * silu(x_C), key) + D * u) * silu(x_z)
    h = normal(y, gain)
    return h, S


@cell(state="h Sr Si", heads=HEADS, sizes=SQUARE, shapes={"Sr Si": "unit key", "x_k x_q x_a x_w": "key"})
def gateloop(x_q, x_k, x_v, x_g, x_a, x_w, Sr, Si):
    """Katsch 2023: GateLoop, decays that are complex, by size and by angle; q and k are real here."""
    a, b = sigmoid(x_a) * cos(x_w), sigmoid(x_a) * sin(x_w)
    Sr, Si = a * Sr - b * Si + x_v * x_k, b * Sr + a * Si
    h = silu(x_g) * sum(Sr * x_q, key)
    return h, Sr, Si


@cell(
    state="h M S",
    heads=HEADS,
    sizes=SQUARE,
    params={"gain": 1.0},
    shapes={"M S": "unit key", "x_k x_q": "key", "x_a x_e x_t": "head"},
    init={"x_a": -3.0},
)
def titans(x_q, x_k, x_v, x_a, x_e, x_t, M, S, gain):
    """Behrouz, Zhong and Mirrokni 2024: Titans' memory, a linear one: surprise with momentum, forgetting."""
    q, k = unit_length(silu(x_q)), unit_length(silu(x_k))
    S = sigmoid(x_e) * S + sigmoid(x_t) * (silu(x_v) - sum(M * k, key)) * k
    M = (1 - sigmoid(x_a)) * M + S
    h = normal(sum(M * q, key), gain)
    return h, M, S


def reflected(S, k, v, b):
    """Return what the delta rule makes of S, with a rate up to 2."""
    n = unit_length(silu(k))
    return S + 2 * sigmoid(b) * (silu(v) - sum(S * n, key)) * n


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    params={"gain": 1.0},
    shapes={"S": "unit key", "x_k1 x_k2 x_q": "key", "x_b1 x_b2": "head"},
)
def deltaproduct(x_q, x_k1, x_v1, x_b1, x_k2, x_v2, x_b2, S, gain):
    """Siems et al. 2025: DeltaProduct, two steps of the delta rule for each input."""
    S1 = reflected(S, x_k1, x_v1, x_b1)
    S = reflected(S1, x_k2, x_v2, x_b2)
    h = normal(sum(S * unit_length(silu(x_q)), key), gain)
    return h, S


@cell(
    state="h S",
    bias=False,
    sizes={"key": 16},
    params={"D": 1.0},
    shapes={"S": "unit key", "u_k u_q": "key"},
    operand={"u_b": "u", "u_k": "u", "u_q": "u"},
)
def longhorn(x_u, x_z, u_b, u_k, u_q, S, D):
    """Liu et al. 2024: Longhorn, a step of online regression in closed form; its convolution left out."""
    u, b = silu(x_u), sigmoid(u_b)
    rate = b / (1 + b * sum(u_k * u_k, key))
    S = (1 - rate * u_k * u_k) * S + rate * u * u_k
    h = (sum(S * u_q, key) + D * u) * silu(x_z)
    return h, S


@cell(
    state="h K V",
    heads=HEADS,
    sizes={"key": 16},
    params={"gain": 1.0},
    shapes={"K V": "unit key", "x_a": "key"},
)
def gsa(x_q, x_k, x_v, x_a, K, V, gain):
    """Zhang et al. 2024: gated slot attention, a softmax over 16 slots that fade as they are written."""
    a = exp(-softplus(-x_a) / 8)
    K, V = a * K + (1 - a) * silu(x_k), a * V + (1 - a) * silu(x_v)
    h = normal(sum(V * softmax(sum(K * silu(x_q)), key), key), gain)
    return h, K, V
