# mypy: ignore-errors
"""What is computed over all units: normalisation, an order of units, one decision for a whole layer."""

from bptt.derive import cell
from bptt.derive.functions import floor, min, relu, sigmoid, sqrt, surrogate, tanh


def over_four(i, f, o, g):
    """Return the mean over units and four gates."""
    return (mean(i) + mean(f) + mean(o) + mean(g)) / 4


@cell(
    state="h c",
    params={f"{p}_{g}": float(p != "b") for g in "ifog" for p in ("gx", "gu", "b")}
    | {"gain": 1.0, "shift": 0.0},
    bias=False,
)
def lstm_layernorm(
    x_i, x_f, x_o, x_g, u_i, u_f, u_o, u_g, c, gain, shift,
    gx_i, gu_i, b_i, gx_f, gu_f, b_f, gx_o, gu_o, b_o, gx_g, gu_g, b_g,
):  # fmt: skip
    """Ba, Kiros and Hinton 2016: the LSTM with layer normalisation of x W, of h U, and of c."""
    m = over_four(x_i, x_f, x_o, x_g)
    x_i, x_f, x_o, x_g = x_i - m, x_f - m, x_o - m, x_g - m
    s = 1 / sqrt(over_four(x_i * x_i, x_f * x_f, x_o * x_o, x_g * x_g) + 1e-5)
    n = over_four(u_i, u_f, u_o, u_g)
    u_i, u_f, u_o, u_g = u_i - n, u_f - n, u_o - n, u_g - n
    r = 1 / sqrt(over_four(u_i * u_i, u_f * u_f, u_o * u_o, u_g * u_g) + 1e-5)
    i = sigmoid(gx_i * s * x_i + gu_i * r * u_i + b_i)
    f = sigmoid(gx_f * s * x_f + gu_f * r * u_f + b_f)
    o = sigmoid(gx_o * s * x_o + gu_o * r * u_o + b_o)
    g = tanh(gx_g * s * x_g + gu_g * r * u_g + b_g)
    c = f * c + i * g
    d = c - mean(c)
    h = o * tanh(gain * d / sqrt(mean(d * d) + 1e-5) + shift)
    return h, c


@cell(state="h c")
def on_lstm(a_i, a_f, a_o, a_g, a_mi, a_mf, c):
    """Shen et al. 2019: ordered neurons, master gates that are cumulative softmaxes over the units."""
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    mf, mi = cumsum(softmax(a_mf)), 1 - cumsum(softmax(a_mi))
    both = mf * mi
    c = (f * both + mf - both) * c + (i * both + mi - both) * g
    h = o * tanh(c)
    return h, c


@cell(
    state="h c u",
    shapes={"u": "head"},
    start={"u": 1.0},
    params={"w": (-0.1, 0.1)},
    scalars={"b_u": 1.0},
    init={"a_f": 1.0},
)
def skip_lstm(a_i, a_f, a_o, a_g, h, c, u, w, b_u):
    """Campos et al. 2018: the Skip LSTM decides for all units whether a step is taken, straight through."""
    gate = surrogate(floor(u + 0.5), 1, u)
    new = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    h = gate * sigmoid(a_o) * tanh(new) + (1 - gate) * h
    c = gate * new + (1 - gate) * c
    more = sigmoid(sum(w * c) + b_u)
    u = gate * more + (1 - gate) * (u + min(more, 1 - u))
    return h, c, u


@cell(state="h")
def rum(x_e, a_t, a_u, h):
    """Dangovski et al. 2019: the rotational unit of memory turns h as it would turn x W to a target."""
    e = x_e / sqrt(sum(x_e * x_e) + 1e-12)
    d = a_t - sum(e * a_t) * e
    v = d / sqrt(sum(d * d) + 1e-12)
    size = sqrt(sum(a_t * a_t) + 1e-12)
    c, s = sum(e * a_t) / size, sum(v * a_t) / size
    a, b = sum(e * h), sum(v * h)
    turned = h + (c * a - s * b - a) * e + (s * a + c * b - b) * v
    u = sigmoid(a_u)
    h = u * h + (1 - u) * relu(x_e + turned)
    return h
