# mypy: ignore-errors
"""Several products one after the other in a step: what one gives is what the next reads."""

from bptt.derive import cell
from bptt.derive.functions import sigmoid, tanh


@cell(state="h", operand={"u_z": "q", "a_n": "r"})
def mut3(x_z, u_z, a_r, a_n, h):
    """Jozefowicz, Zaremba and Sutskever 2015: MUT3, found by mutation; its z reads tanh(h)."""
    q = tanh(h)
    z = sigmoid(x_z + u_z)
    r = sigmoid(a_r) * h
    h = tanh(a_n) * z + h * (1 - z)
    return h


@cell(
    state="h",
    init={"a_t": -2.0},
    operand={"u_h2": "s1", "u_t2": "s1", "u_h3": "s2", "u_t3": "s2", "u_h4": "s3", "u_t4": "s3"},
    params={f"b_h{k}": 0.0 for k in (2, 3, 4)} | {f"b_t{k}": -2.0 for k in (2, 3, 4)},
)
def rhn_4(a_h, a_t, u_h2, u_t2, u_h3, u_t3, u_h4, u_t4, h, b_h2, b_t2, b_h3, b_t3, b_h4, b_t4):
    """Zilly et al. 2017: the recurrent highway network, four highway layers a step."""

    def layer(a_h, a_t, s):
        t = sigmoid(a_t)
        return tanh(a_h) * t + s * (1 - t)

    s1 = layer(a_h, a_t, h)
    s2 = layer(u_h2 + b_h2, u_t2 + b_t2, s1)
    s3 = layer(u_h3 + b_h3, u_t3 + b_t3, s2)
    h = layer(u_h4 + b_h4, u_t4 + b_t4, s3)
    return h


@cell(
    state="h c d",
    operand={f"u_x{g}": "z" for g in "ifog"} | {f"u_q{g}": "q" for g in "ifog"},
    params={"b_i": 0.0, "b_f": 1.0, "b_o": 0.0, "b_g": 0.0},
)
def lstm_nested(
    a_i, a_f, a_o, a_g, u_xi, u_xf, u_xo, u_xg, u_qi, u_qf, u_qo, u_qg, c, d, b_i, b_f, b_o, b_g
):  # fmt: skip
    """Moniz and Krueger 2017: the nested LSTM, whose memory c is what an LSTM within puts out."""
    q, z = sigmoid(a_f) * c, sigmoid(a_i) * tanh(a_g)
    i, f = sigmoid(u_xi + u_qi + b_i), sigmoid(u_xf + u_qf + b_f)
    o, g = sigmoid(u_xo + u_qo + b_o), tanh(u_xg + u_qg + b_g)
    d = f * d + i * g
    c = o * tanh(d)
    h = sigmoid(a_o) * tanh(c)
    return h, c, d


@cell(
    state="r c",
    sizes={"key": 32},
    shapes={"r u_r": "key"},
    operand={"u_r": "m"},
    params="p_i p_f p_o",
)
def lstm_projected(a_i, a_f, a_o, a_g, u_r, c, p_i, p_f, p_o):
    """Sak, Senior and Beaufays 2014: the LSTM with peepholes, its output projected onto 32 numbers."""
    i, f = sigmoid(a_i + p_i * c), sigmoid(a_f + p_f * c)
    c = f * c + i * tanh(a_g)
    m = sigmoid(a_o + p_o * c) * tanh(c)
    r = u_r
    return r, c


@cell(state="h s", sizes={"key": 32}, shapes={"s x_s": "key"}, operand={"u_s": "s"}, bias=False)
def scrn(x_s, a_h, u_s, s, alpha=0.95):
    """Mikolov et al. 2015: a slow context of 32 units beside fast ones, which are the output."""
    s = (1 - alpha) * x_s + alpha * s
    h = sigmoid(a_h + u_s)
    return h, s
