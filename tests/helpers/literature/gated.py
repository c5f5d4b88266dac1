"""Kin of the LSTM and the GRU."""

from typing import Any

from torch import relu, sigmoid, tanh


def lstm_of(A: Any, read: Any, c: Any) -> Any:
    i, f, o, g = (A(gate, read) for gate in "ifog")
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def lstm_multiplicative(A: Any, p: Any, h: Any, c: Any) -> Any:
    return lstm_of(A, A("x_m") * A("u_m", h), c)


def lstm_detached(A: Any, p: Any, h: Any, c: Any) -> Any:
    return lstm_of(A, h.detach(), c)


def mi_rnn(A: Any, p: Any, h: Any) -> Any:
    wx, uz = A("x_h"), A("u_h", h)
    return (tanh(p["alpha"] * wx * uz + p["beta"] * uz + p["gamma"] * wx + p["shift"]),)


def mi_lstm(A: Any, p: Any, h: Any, c: Any) -> Any:
    def gate(g: str) -> Any:
        wx, uz = A(f"x_{g}"), A(f"u_{g}", h)
        return wx * uz * p[f"al_{g}"] + uz * p[f"be_{g}"] + wx * p[f"ga_{g}"] + p[f"b_{g}"]

    c = sigmoid(gate("f")) * c + sigmoid(gate("i")) * tanh(gate("g"))
    return sigmoid(gate("o")) * tanh(c), c


def nas(A: Any, p: Any, h: Any, c: Any) -> Any:
    """As the paper's authors published it: three layers of a tree, c added to the first of the second."""
    first = [sigmoid(A("0", h)), relu(A("1", h)), sigmoid(A("2", h)), relu(A("x_3") * A("u_3", h))]
    first += [tanh(A("4", h)), sigmoid(A("5", h)), tanh(A("6", h)), sigmoid(A("7", h))]
    second = [tanh(first[0] * first[1]), tanh(first[2] + first[3])]
    second += [tanh(first[4] * first[5]), sigmoid(first[6] + first[7])]
    c = tanh(second[0] + c) * second[1]
    return tanh(c * tanh(second[2] + second[3])), c


def janet(A: Any, p: Any, h: Any) -> Any:
    s = A("f", h)
    return (sigmoid(s) * h + (1 - sigmoid(s - 1.0)) * tanh(A("g", h)),)


def ran(A: Any, p: Any, h: Any, c: Any) -> Any:
    c = sigmoid(A("i", h)) * A("x_c") + sigmoid(A("f", h)) * c
    return tanh(c), c


def li_gru(A: Any, p: Any, h: Any) -> Any:
    z = sigmoid(A("z", h))
    return (z * h + (1 - z) * relu(A("n", h)),)


def minimal_rnn(A: Any, p: Any, h: Any) -> Any:
    z = tanh(A("x_z"))
    u = sigmoid(A("u", h) + A("u_z", z))
    return (u * h + (1 - u) * z,)


def atr(A: Any, p: Any, h: Any) -> Any:
    wx, uh = A("x_p"), A("u_q", h)
    return (sigmoid(wx + uh) * wx + sigmoid(wx - uh) * h,)


def delta_rnn(A: Any, p: Any, h: Any) -> Any:
    d_vis, d_rec = A("x_h"), A("u_h", h)
    z = tanh(p["alpha"] * d_rec * d_vis + p["beta"] * d_rec + p["gamma"] * d_vis + p["b_z"])
    r = sigmoid(d_vis + p["b_r"])
    return (tanh((1 - r) * z + r * h),)


def brc(A: Any, p: Any, h: Any) -> Any:
    a, c = 1 + tanh(A("x_a") + p["w_a"] * h), sigmoid(A("x_c") + p["w_c"] * h)
    return (c * h + (1 - c) * tanh(A("x_h") + a * h),)


def nbrc(A: Any, p: Any, h: Any) -> Any:
    a, c = 1 + tanh(A("a", h)), sigmoid(A("c", h))
    return (c * h + (1 - c) * tanh(A("x_h") + a * h),)


def star(A: Any, p: Any, h: Any) -> Any:
    k = sigmoid(A("k", h))
    return (tanh((1 - k) * h + k * tanh(A("x_z"))),)


def rhn(A: Any, p: Any, s: Any) -> Any:
    t = sigmoid(A("t", s))
    s = tanh(A("h", s)) * t + s * (1 - t)
    t = sigmoid(A("u_t", s) + p["b_t"])
    return (tanh(A("u_n", s) + p["b_n"]) * t + s * (1 - t),)


def cfn(A: Any, p: Any, h: Any) -> Any:
    return (sigmoid(A("t", h)) * tanh(h) + sigmoid(A("e", h)) * tanh(A("x_h")),)


def rnn_multiplicative(A: Any, p: Any, h: Any) -> Any:
    return (tanh(A("x_h") + A("u_h", A("x_m") * A("u_m", h))),)


def lstm_indy(A: Any, p: Any, h: Any, c: Any) -> Any:
    i, f, o, g = (A(f"x_{n}") + p[f"w_{n}"] * h for n in "ifog")
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def lstm_momentum(A: Any, p: Any, h: Any, c: Any, *v: Any) -> Any:
    v = tuple(0.6 * before + 0.6 * A(f"x_{n}") for n, before in zip("ifog", v, strict=True))
    i, f, o, g = (A(f"u_{n}", h) + now for n, now in zip("ifog", v, strict=True))
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c, *v


def lstm_working_memory(A: Any, p: Any, h: Any, c: Any) -> Any:
    i, f = (sigmoid(A(n, h) + tanh(A(f"u_c{n}", c))) for n in "if")
    c = f * c + i * tanh(A("g", h))
    return sigmoid(A("o", h) + tanh(A("u_co", c))) * tanh(c), c


STEPS = {
    name.replace("_", "-"): step
    for name, step in list(globals().items())
    if callable(step) and step.__module__ == __name__ and name != "lstm_of"
}
