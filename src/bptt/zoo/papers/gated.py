# mypy: ignore-errors
"""Kin of the LSTM and the GRU: gates from x and h say what is kept and what is written."""

from bptt.derive import cell
from bptt.derive.functions import relu, sigmoid, stop, tanh
from bptt.zoo.equations import chrono


@cell(state="h c", operand=dict.fromkeys(("a_i", "a_f", "a_o", "a_g"), "m"))
def lstm_multiplicative(x_m, u_m, a_i, a_f, a_o, a_g, c):
    """Krause et al. 2016: the LSTM whose U reads m, another h for each input (their mLSTM)."""
    m = x_m * u_m
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * g
    h = tanh(c) * o
    return h, c


def integrated(x, u, alpha, beta, gamma, b):
    """Return x and u together, their product among them."""
    return alpha * x * u + beta * u + gamma * x + b


@cell(state="h", bias=False, params={"alpha": 1.0, "beta": 0.5, "gamma": 0.5, "shift": 0.0})
def mi_rnn(x_h, u_h, alpha, beta, gamma, shift):
    """Wu et al. 2016: multiplicative integration, x W times h U beside their sum."""
    h = tanh(integrated(x_h, u_h, alpha, beta, gamma, shift))
    return h


MI = {f"{n}_{g}": start for g in "ifog" for n, start in (("al", 1.0), ("be", 0.5), ("ga", 0.5), ("b", 0.0))}


@cell(state="h c", bias=False, params=MI)
def mi_lstm(
    x_i, x_f, x_o, x_g, u_i, u_f, u_o, u_g, c,
    al_i, be_i, ga_i, b_i, al_f, be_f, ga_f, b_f, al_o, be_o, ga_o, b_o, al_g, be_g, ga_g, b_g,
):  # fmt: skip
    """Wu et al. 2016: the LSTM with multiplicative integration in each of its gates."""
    i = sigmoid(integrated(x_i, u_i, al_i, be_i, ga_i, b_i))
    f = sigmoid(integrated(x_f, u_f, al_f, be_f, ga_f, b_f))
    o = sigmoid(integrated(x_o, u_o, al_o, be_o, ga_o, b_o))
    g = tanh(integrated(x_g, u_g, al_g, be_g, ga_g, b_g))
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell(state="h c")
def nas(x_3, u_3, a_0, a_1, a_2, a_4, a_5, a_6, a_7, c):
    """Zoph and Le 2017: the cell that a search by reinforcement found."""
    l0, l1 = sigmoid(a_0), relu(a_1)
    l2, l3 = sigmoid(a_2), relu(x_3 * u_3)
    l4, l5 = tanh(a_4), sigmoid(a_5)
    l6, l7 = tanh(a_6), sigmoid(a_7)
    c = tanh(tanh(l0 * l1) + c) * tanh(l2 + l3)
    h = tanh(c * tanh(tanh(l4 * l5) + sigmoid(l6 + l7)))
    return h, c


def forgetting(rng, H):
    """Return the chrono start of the forget gate."""
    return {"a_f": chrono(rng, H)["a_f"]}


@cell(state="h", init=forgetting)
def janet(a_f, a_g, h, beta=1.0):
    """Van der Westhuizen and Lasenby 2018: just another network, the LSTM's forget gate alone."""
    h = sigmoid(a_f) * h + (1 - sigmoid(a_f - beta)) * tanh(a_g)
    return h


@cell(state="h c")
def ran(x_c, a_i, a_f, c):
    """Lee, Levy and Zettlemoyer 2017: a recurrent additive network, a weighted sum of what was read."""
    i, f = sigmoid(a_i), sigmoid(a_f)
    c = i * x_c + f * c
    h = tanh(c)
    return h, c


@cell(state="h")
def li_gru(a_z, a_n, h):
    """Ravanelli et al. 2018: the light GRU, rectified and without a reset; batch normalisation left out."""
    z, n = sigmoid(a_z), relu(a_n)
    h = z * h + (1 - z) * n
    return h


@cell(state="h", operand={"u_z": "z"})
def minimal_rnn(x_z, u_z, a_u, h):
    """Chen 2017: MinimalRNN, whose one gate reads what is written, z, and h."""
    z = tanh(x_z)
    u = sigmoid(a_u + u_z)
    h = u * h + (1 - u) * z
    return h


@cell(state="h", bias=False)
def atr(x_p, u_q, h):
    """Zhang et al. 2018: twin gates, the sum and the difference of x W and h U."""
    i, f = sigmoid(x_p + u_q), sigmoid(x_p - u_q)
    h = i * x_p + f * h
    return h


@cell(state="h", bias=False, params={"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "b_z": 0.0, "b_r": 0.0})
def delta_rnn(x_h, u_h, h, alpha, beta, gamma, b_z, b_r):
    """Ororbia, Mikolov and Reitter 2017: the Delta-RNN, one x W for the gate and for what is written."""
    z = tanh(alpha * u_h * x_h + beta * u_h + gamma * x_h + b_z)
    r = sigmoid(x_h + b_r)
    h = tanh((1 - r) * z + r * h)
    return h


@cell(state="h", params={"w_a": (-1, 1), "w_c": (-1, 1)})
def brc(x_a, x_c, x_h, h, w_a, w_c):
    """Vecoven, Ernst and Drion 2021: a bistable cell, each unit recurrent with itself alone."""
    a, c = 1 + tanh(x_a + w_a * h), sigmoid(x_c + w_c * h)
    h = c * h + (1 - c) * tanh(x_h + a * h)
    return h


@cell(state="h")
def nbrc(a_a, a_c, x_h, h):
    """Vecoven, Ernst and Drion 2021: the bistable cell whose feedback a others modulate."""
    a, c = 1 + tanh(a_a), sigmoid(a_c)
    h = c * h + (1 - c) * tanh(x_h + a * h)
    return h


@cell(state="h", init={"a_k": -1.0})
def star(a_k, x_z, h):
    """Turkoglu et al. 2021: the stackable recurrent cell, one gate."""
    k, z = sigmoid(a_k), tanh(x_z)
    h = tanh((1 - k) * h + k * z)
    return h


@cell(state="h", init={"a_t": -2.0}, operand={"u_n": "s", "u_t": "s"}, params={"b_n": 0.0, "b_t": -2.0})
def rhn(a_h, a_t, u_n, u_t, h, b_n, b_t):
    """Zilly et al. 2017: the recurrent highway network, two highway layers a step."""
    t = sigmoid(a_t)
    s = tanh(a_h) * t + h * (1 - t)
    t = sigmoid(u_t + b_t)
    h = tanh(u_n + b_n) * t + s * (1 - t)
    return h


@cell(state="h c", operand=dict.fromkeys(("a_i", "a_f", "a_o", "a_g"), "q"))
def lstm_detached(a_i, a_f, a_o, a_g, h, c):
    """Kanuparthi et al. 2019: h-detach at each step, so that gradients flow along c alone."""
    q = stop(h)
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell(state="h", init={"a_t": 1.0, "a_e": -1.0})
def cfn(a_t, a_e, x_h, h):
    """Laurent and von Brecht 2017: a network without chaos, which falls to rest when nothing is read."""
    h = sigmoid(a_t) * tanh(h) + sigmoid(a_e) * tanh(x_h)
    return h


@cell(state="h", operand={"u_h": "m"})
def rnn_multiplicative(x_m, u_m, x_h, u_h):
    """Sutskever, Martens and Hinton 2011: the RNN whose U reads m, another h for each input."""
    m = x_m * u_m
    h = tanh(x_h + u_h)
    return h


@cell(state="h c", params={f"w_{g}": (-0.1, 0.1) for g in "ifog"}, init={"x_f": 1.0})
def lstm_indy(x_i, x_f, x_o, x_g, h, c, w_i, w_f, w_o, w_g):
    """Gonnet and Deselaers 2020: IndyLSTM, each unit recurrent with itself alone."""
    i, f = sigmoid(x_i + w_i * h), sigmoid(x_f + w_f * h)
    o, g = sigmoid(x_o + w_o * h), tanh(x_g + w_g * h)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell(state="h c v_i v_f v_o v_g", init={"x_f": 1.0})
def lstm_momentum(x_i, x_f, x_o, x_g, u_i, u_f, u_o, u_g, c, v_i, v_f, v_o, v_g, mu=0.6, epsilon=0.6):
    """Nguyen et al. 2020: the MomentumLSTM, in which what x gives has momentum."""
    v_i, v_f = mu * v_i + epsilon * x_i, mu * v_f + epsilon * x_f
    v_o, v_g = mu * v_o + epsilon * x_o, mu * v_g + epsilon * x_g
    i, f, o, g = sigmoid(u_i + v_i), sigmoid(u_f + v_f), sigmoid(u_o + v_o), tanh(u_g + v_g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c, v_i, v_f, v_o, v_g


@cell(state="h c", operand={"u_ci": "c_prev", "u_cf": "c_prev", "u_co": "c"})
def lstm_working_memory(a_i, a_f, a_o, a_g, u_ci, u_cf, u_co, c):
    """Landi et al. 2021: working memory connections, gates that see all of c through matrices."""
    i, f = sigmoid(a_i + tanh(u_ci)), sigmoid(a_f + tanh(u_cf))
    c = f * c + i * tanh(a_g)
    o = sigmoid(a_o + tanh(u_co))
    h = o * tanh(c)
    return h, c
