# mypy: disable-error-code="no-untyped-def,name-defined"
# ruff: noqa: F821, F841, RET504
"""Cells whose values have heads, units and keys, with several operands, with inputs at each step."""

import bptt


@bptt.cell(
    state="h C n m",
    heads=2,
    sizes={"key": 5},
    shapes={"C": "unit key", "n x_k x_q": "key", "m x_i x_f": "head"},
)
def mlstm(x_i, x_f, x_o, x_v, x_k, x_q, C, n, m):
    lf = -softplus(-x_f)
    m_new = max(lf + m, x_i)
    i, f = exp(x_i - m_new), exp(lf + m - m_new)
    C = f * C + i * x_v * x_k
    n = f * n + i * x_k
    h = sigmoid(x_o) * sum(C * x_q, key) / max(abs(sum(n * x_q, key)), 1)
    return h, C, n, m_new


@bptt.cell(state="h c", params={"gain": 1.0, "sh": 0.0})
def norm(a_i, a_f, a_o, a_g, gain, sh, c):
    i, f, o, u = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * u
    d = c - mean(c)
    h = o * tanh(gain * d / sqrt(mean(d * d) + 1e-5) + sh)
    return h, c


@bptt.cell(state="h c")
def ordered(a_i, a_f, a_o, a_g, a_mf, a_mi, c):
    i, f, o, u = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    mf, mi = cumsoftmax(a_mf), 1 - cumsoftmax(a_mi)
    w = mf * mi
    c = (f * w + mf - w) * c + (i * w + mi - w) * u
    h = o * tanh(c)
    return h, c


@bptt.cell(state="h c", operand={"u_h": "m"}, sizes={"key": 3}, shapes={"h u_h": "key"}, bias=True)
def projected(a_i, a_f, a_o, a_g, u_h, c):
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * g
    m = o * tanh(c)
    h = u_h * 1
    return h, c


@bptt.cell(state="h", operand={"u_t": "s1", "u_r": "s1", "u_t3": "s2", "u_r3": "s2"})
def deep(a_t, a_r, u_t, u_r, u_t3, u_r3, h):
    t = sigmoid(a_t)
    s1 = tanh(a_r) * t + h * (1 - t)
    t2 = sigmoid(u_t)
    s2 = tanh(u_r) * t2 + s1 * (1 - t2)
    t3 = sigmoid(u_t3)
    h = tanh(u_r3) * t3 + s2 * (1 - t3)
    return h


@bptt.cell(state="h", inputs="t z", shapes={"t": "row"})
def timed(a_h, h, t, z, x):
    k = exp(-softplus(z) * t)
    h = k * h + (1 - k) * tanh(a_h + x * z)
    return h


@bptt.cell(
    state="h s", operand={"u_s": "s_prev"}, sizes={"key": 3}, shapes={"s x_s": "key"}, scalars={"al": 0.5}
)
def context(a_h, u_s, x_s, s, al):
    s = (1 - al) * x_s + al * s
    h = sigmoid(a_h + u_s)
    return h, s


@bptt.cell(state="h u")
def odd(a_h, a_u, h, u):
    u = mean(sigmoid(a_u)) + 0.5 * cumsum(u)
    h = tanh(a_h) * softmax(u) + max(h) * sum(u) + 0.1 * sum(cumsum(h))
    return h, u


@bptt.cell(state="h C", heads=3, sizes={"key": 5}, shapes={"C": "unit key", "x_k x_q x_a": "key"})
def gla(x_v, x_k, x_q, x_a, a_o, C):
    C = sigmoid(x_a) * C + x_v * x_k
    y = sigmoid(a_o) * sum(C * x_q, key)
    h = y / sqrt(mean(y * y) + 0.1)
    return h, C


@bptt.cell(
    state="h C", heads=2, sizes={"key": "unit"}, shapes={"C": "unit key", "x_k x_q": "key", "a_b": "head"}
)
def delta(x_v, x_k, x_q, a_b, C):
    k = softmax(x_k, key)
    C = C + sigmoid(a_b) * (x_v - sum(C * k, key)) * k
    h = sum(C * x_q, key)
    return h, C


@bptt.cell(
    state="h c",
    operand={"a_n": "q", "u_m": "c_prev", "a_s": "p"},
    inputs="t x",
    shapes={"t": "row"},
    scalars="al",
)
def several(a_r, a_n, u_m, a_s, a_z, t, x, al, h, c):
    r = sigmoid(a_r + u_m)
    q = r * h * a_r + t
    p = tanh(a_n) * r
    c = al * c + (1 - exp(-t * t)) * tanh(a_s) * x
    h = tanh(h + sigmoid(a_z) * c)
    return h, c


@bptt.cell(
    state="h C D",
    heads=2,
    sizes={"key": 3},
    shapes={"C D": "unit key", "x_k": "key"},
    operand={"a_n": "C_prev"},
)
def exchanged(a_n, x_v, x_k, C_prev, D_prev):
    C = D_prev
    D = tanh(C_prev + x_v * x_k)
    h = tanh(a_n) * sum(C * D, key)
    return h, C, D


CELLS = (mlstm, norm, ordered, projected, deep, timed, context, odd)
MORE = (gla, delta, several, exchanged)
KNOWN = {cell.name: cell for cell in (*CELLS, *MORE)}
"""All by name."""
