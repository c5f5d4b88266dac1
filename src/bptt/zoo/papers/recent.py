# mypy: ignore-errors
"""Recurrences of 2024 to 2026, and one of 2019 whose memory is as long: what is kept, corrected, and turned.

A state ``"unit key"`` of a head is a matrix, as in :mod:`~bptt.zoo.papers.memories`.
"""

from bptt.derive import cell
from bptt.derive.functions import cos, exp, relu, sigmoid, silu, sin, softplus, sqrt
from bptt.types import Array, Generator
from bptt.zoo.papers.memories import HEADS, SQUARE, normal, selective, unit_length


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    params={"gain": 1.0, "rate": (0, 2.8)},
    shapes={"S": "unit key", "x_k x_q x_a": "key", "x_b rate": "head"},
)
def kda(x_q, x_k, x_v, x_g, x_a, x_b, S, gain, rate):
    """Zhang et al. 2025: Kimi delta attention, the delta rule with a forget gate for each key."""
    q, k = unit_length(silu(x_q)), unit_length(silu(x_k))
    S = exp(-exp(rate) * softplus(x_a)) * S
    S = S + sigmoid(x_b) * (silu(x_v) - sum(S * k, key)) * k
    h = sigmoid(x_g) * normal(sum(S * q, key), gain)
    return h, S


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    params={"gain": 1.0, "rate": (0, 2.8), "back": 0.0, "direct": 1.0},
    shapes={"S": "unit key", "x_k x_q": "key", "x_a x_b rate back direct": "head"},
)
def comba(x_q, x_k, x_v, x_g, x_a, x_b, S, gain, rate, back, direct):
    """Hu et al. 2025: Comba, a closed loop: what is known is taken off in part, of the query, too."""
    k = unit_length(silu(x_k))
    q = unit_length(silu(x_q)) - direct * k
    new = silu(x_v) - sigmoid(back) * sum(S * k, key)
    S = exp(-exp(rate) * softplus(x_a)) * S + sigmoid(x_b) * new * k
    h = silu(x_g) * normal(sum(S * q, key), gain)
    return h, S


@cell(
    state="h S",
    heads=HEADS,
    sizes=SQUARE,
    bias=False,
    params={"w": (-6, 1), "bonus": 0.5, "gain": 1.0, "shift": 0.0},
    shapes={"S": "unit key", "x_r x_k x_w w bonus": "key"},
)
def rwkv6(x_r, x_k, x_v, x_g, x_w, S, w, bonus, gain, shift):
    """Peng et al. 2024 (RWKV-6): a decay of each key that x decides, a bonus; its token shift left out."""
    y = sum((S + bonus * x_k * x_v) * x_r, key)
    S = exp(-exp(w + x_w)) * S + x_k * x_v
    d = y - mean(y)
    h = silu(x_g) * (gain * d / sqrt(mean(d * d) + 0.00064) + shift)
    return h, S


@cell(
    state="h Sr Si Pr Pi",
    heads=HEADS,
    sizes={"key": 16},
    params="A dt D gain",
    shapes={"Sr Si Pr Pi": "unit key", "x_Br x_Bi x_Cr x_Ci x_w": "key", "x_d x_l A dt D": "head"},
    init=selective,
)
def mamba3(x_u, x_z, x_Br, x_Bi, x_Cr, x_Ci, x_w, x_d, x_l, Sr, Si, Pr, Pi, A, dt, D, gain):
    """Lahoti et al. 2026: Mamba-3, by the trapezoid of this input and the last, turned; without its MIMO."""
    step, late = softplus(x_d + dt), sigmoid(x_l)
    size, angle = exp(-step * exp(A)), step * x_w
    a, b = size * cos(angle), size * sin(angle)
    Qr, Qi = Sr + (1 - late) * step * Pr, Si + (1 - late) * step * Pi
    Pr, Pi = x_u * x_Br, x_u * x_Bi
    Sr, Si = a * Qr - b * Qi + late * step * Pr, b * Qr + a * Qi + late * step * Pi
    y = sum(Sr * x_Cr - Si * x_Ci, key) + D * x_u
    h = normal(y * silu(x_z), gain)
    return h, Sr, Si, Pr, Pi


def oscillators(rng: Generator, H: int) -> dict[str, Array]:
    """Return LinOSS's starts: 16 oscillators, steps and squared frequencies uniform, D normal."""
    dt = rng.uniform(0, 1, 16)
    return {"A": rng.uniform(0, 1, 16), "dt": dt, "D": rng.normal(size=H)}


@cell(
    state="h yr yi zr zi",
    bias=False,
    sizes={"key": 16},
    params="A dt D",
    shapes={"yr yi zr zi x_r x_i A dt": "key"},
    operand={"u_r": "yr", "u_i": "yi"},
    init=oscillators,
)
def linoss(x, x_r, x_i, u_r, u_i, yr, yi, zr, zi, A, dt, D):
    """Rusch and Rus 2025: LinOSS, 16 forced oscillators by an implicit step (LinOSS-IM)."""
    step, square = sigmoid(dt), relu(A)
    damp = 1 / (1 + step * step * square)
    zr, zi = damp * (zr + step * (x_r - square * yr)), damp * (zi + step * (x_i - square * yi))
    yr, yi = yr + step * zr, yi + step * zi
    h = u_r - u_i + D * x
    return h, yr, yi, zr, zi


def length(v):
    """Return v by its 5-norm over the units."""
    return v / (sum(v**5) + 1e-5) ** 0.2


@cell(
    state="h m",
    sizes={"key": 4},
    shapes={"a_w a_e u_w u_e": "key", "a_v a_o u_v u_o": "unit key"},
    operand={"u_m": "m_prev", "u_w": "m_prev", "u_e": "m_prev", "u_v": "m_prev", "u_o": "m_prev"}
    | {"a_w": "h", "a_e": "h", "a_v": "h", "a_o": "h"},
)
def nru(a_h, u_m, a_w, u_w, a_e, u_e, a_v, u_v, a_o, u_o, m):
    """Chandar et al. 2019: non-saturating units, which write 4 vectors a step to a memory, and erase 4."""
    h = relu(a_h + u_m)
    m = m + mean(relu(a_w + u_w) * length(relu(a_v + u_v)), key)
    m = m - mean(relu(a_e + u_e) * length(relu(a_o + u_o)), key)
    return h, m
