"""Other systems' cells as their documentation has them, a step each, over their own arrays."""

from collections.abc import Callable
from functools import partial

import numpy as np

from bptt.types import Array, Params

States = tuple[Array, ...]


Step = Callable[[Params, Array, States], States]


Phi = Callable[[Array], Array]


T, N, D, H = 4, 2, 3, 5


def sigma(a: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-a)))


def relu(a: Array) -> Array:
    return np.where(a.real > 0, a, 0)  # of the real part, for complex steps


def memory(i: Array, f: Array, o: Array, g: Array, c: Array) -> States:
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    return sigma(o) * np.tanh(c), c


def torch_gates(p: Params, x: Array, h: Array, count: int) -> tuple[list[Array], list[Array]]:
    a, u = x @ p["weight_ih"].T + p["bias_ih"], h @ p["weight_hh"].T + p["bias_hh"]
    return np.split(a, count, axis=1), np.split(u, count, axis=1)


def pytorch_rnn(phi: Phi, p: Params, x: Array, s: States) -> States:
    (a,), (u,) = torch_gates(p, x, s[0], 1)
    return (phi(a + u),)


def pytorch_lstm(p: Params, x: Array, s: States) -> States:
    a, u = torch_gates(p, x, s[0], 4)
    i, f, g, o = (a[k] + u[k] for k in range(4))
    return memory(i, f, o, g, s[1])


def pytorch_gru(p: Params, x: Array, s: States) -> States:
    (a_r, a_z, a_n), (u_r, u_z, u_n) = torch_gates(p, x, s[0], 3)
    r, z = sigma(a_r + u_r), sigma(a_z + u_z)
    n = np.tanh(a_n + r * u_n)
    return ((1 - z) * n + z * s[0],)


def keras_rnn(phi: Phi, p: Params, x: Array, s: States) -> States:
    return (phi(x @ p["kernel"] + p["bias"] + s[0] @ p["recurrent_kernel"]),)


def keras_lstm(p: Params, x: Array, s: States) -> States:
    z0, z1, z2, z3 = np.split(x @ p["kernel"] + s[0] @ p["recurrent_kernel"] + p["bias"], 4, axis=1)
    c = sigma(z1) * s[1] + sigma(z0) * np.tanh(z2)
    return sigma(z3) * np.tanh(c), c


def keras_gru_reset_after(p: Params, x: Array, s: States) -> States:
    x_z, x_r, x_h = np.split(x @ p["kernel"] + p["bias"][0], 3, axis=1)
    u_z, u_r, u_h = np.split(s[0] @ p["recurrent_kernel"] + p["bias"][1], 3, axis=1)
    z, r = sigma(x_z + u_z), sigma(x_r + u_r)
    return (z * s[0] + (1 - z) * np.tanh(x_h + r * u_h),)


def keras_gru_reset_before(p: Params, x: Array, s: States) -> States:
    x_z, x_r, x_h = np.split(x @ p["kernel"] + p["bias"], 3, axis=1)
    U_z, U_r, U_h = np.split(p["recurrent_kernel"], 3, axis=1)
    z, r = sigma(x_z + s[0] @ U_z), sigma(x_r + s[0] @ U_r)
    return (z * s[0] + (1 - z) * np.tanh(x_h + (r * s[0]) @ U_h),)


def cudnn_products(p: Params, x: Array, h: Array) -> tuple[list[Array], list[Array]]:
    """By linLayerID: the first half at the input, the second at the recurrent input."""
    G = len(p) // 4
    a = [x @ p[f"matrix.{k}"].T + p[f"bias.{k}"] for k in range(G)]
    return a, [h @ p[f"matrix.{k}"].T + p[f"bias.{k}"] for k in range(G, 2 * G)]


def cudnn_rnn(phi: Phi, p: Params, x: Array, s: States) -> States:
    a, u = cudnn_products(p, x, s[0])
    return (phi(a[0] + u[0]),)


def cudnn_lstm(p: Params, x: Array, s: States) -> States:
    a, u = cudnn_products(p, x, s[0])
    i, f, new, o = (a[k] + u[k] for k in range(4))
    return memory(i, f, o, new, s[1])


def cudnn_gru(p: Params, x: Array, s: States) -> States:
    a, u = cudnn_products(p, x, s[0])
    reset, update = sigma(a[0] + u[0]), sigma(a[1] + u[1])
    return ((1 - update) * np.tanh(a[2] + reset * u[2]) + update * s[0],)


def onnx_rnn(phi: Phi, p: Params, x: Array, s: States) -> States:
    Wb, Rb = np.split(p["B"][0], 2)
    return (phi(x @ p["W"][0].T + s[0] @ p["R"][0].T + Wb + Rb),)


def onnx_lstm(p: Params, x: Array, s: States) -> States:
    Wb, Rb = np.split(p["B"][0], 2)
    i, o, f, c = np.split(x @ p["W"][0].T + s[0] @ p["R"][0].T + Wb + Rb, 4, axis=1)
    return memory(i, f, o, c, s[1])


def onnx_gru(linear_before_reset: bool, p: Params, x: Array, s: States) -> States:
    (h,) = s
    Wz, Wr, Wh = np.split(p["W"][0], 3)
    Rz, Rr, Rh = np.split(p["R"][0], 3)
    Wbz, Wbr, Wbh, Rbz, Rbr, Rbh = np.split(p["B"][0], 6)
    z, r = sigma(x @ Wz.T + h @ Rz.T + Wbz + Rbz), sigma(x @ Wr.T + h @ Rr.T + Wbr + Rbr)
    if linear_before_reset:
        new = np.tanh(x @ Wh.T + r * (h @ Rh.T + Rbh) + Wbh)
    else:
        new = np.tanh(x @ Wh.T + (r * h) @ Rh.T + Rbh + Wbh)
    return ((1 - z) * new + z * h,)


def equinox_lstm(p: Params, x: Array, s: States) -> States:
    i, f, g, o = np.split(x @ p["weight_ih"].T + s[0] @ p["weight_hh"].T + p["bias"], 4, axis=1)
    return memory(i, f, o, g, s[1])


def equinox_gru(p: Params, x: Array, s: States) -> States:
    a = np.split(x @ p["weight_ih"].T + p["bias"], 3, axis=1)
    u = np.split(s[0] @ p["weight_hh"].T, 3, axis=1)
    reset, inp = sigma(a[0] + u[0]), sigma(a[1] + u[1])
    new = np.tanh(a[2] + reset * (u[2] + p["bias_n"]))
    return (new + inp * (s[0] - new),)


def tf1_lstm(forget_bias: float, p: Params, x: Array, s: States) -> States:
    i, j, f, o = np.split(np.concatenate([x, s[0]], axis=1) @ p["kernel"] + p["bias"], 4, axis=1)
    c = s[1] * sigma(f + forget_bias) + sigma(i) * np.tanh(j)
    return np.tanh(c) * sigma(o), c


def cs231n_lstm(p: Params, x: Array, s: States) -> States:
    a = x @ p["Wx"] + s[0] @ p["Wh"] + p["b"]
    H = a.shape[1] // 4
    return memory(a[:, :H], a[:, H : 2 * H], a[:, 2 * H : 3 * H], a[:, 3 * H :], s[1])


def chainer_lstm(p: Params, x: Array, s: States) -> States:
    gates = x @ p["upward/W"].T + p["upward/b"] + s[0] @ p["lateral/W"].T
    a, i, f, o = np.moveaxis(gates.reshape(len(gates), -1, 4), 2, 0)
    return memory(i, f, o, a, s[1])


def thinc_lstm(p: Params, x: Array, s: States) -> States:
    flat = np.concatenate([array.ravel() for array in p.values()])  # Thinc's one parameter
    H = s[0].shape[1]
    Wx, bx, Wh, bh = np.split(flat, np.cumsum([4 * H * x.shape[1], 4 * H, 4 * H * H]))
    a = x @ Wx.reshape(4 * H, -1).T + bx + s[0] @ Wh.reshape(4 * H, H).T + bh
    hf, hi, ho, hc = np.split(a, 4, axis=1)
    return memory(hi, hf, ho, hc, s[1])


def dynet_lstm(forget_bias: float, p: Params, x: Array, s: States) -> States:
    columns = p["Wx"] @ x.T + p["Wh"] @ s[0].T + p["b"][:, None]
    i, f, o, g = np.split(columns, 4)
    return memory(i.T, f.T + forget_bias, o.T, g.T, s[1])


def flax_lstm(p: Params, x: Array, s: States) -> States:
    a = {k: x @ p[f"i{k}/kernel"] + s[0] @ p[f"h{k}/kernel"] + p[f"h{k}/bias"] for k in "ifgo"}
    return memory(a["i"], a["f"], a["o"], a["g"], s[1])


def chung_gru(p: Params, x: Array, s: States) -> States:
    (h,) = s
    z = sigma(x @ p["W_z"].T + h @ p["U_z"].T + p["b_z"])
    r = sigma(x @ p["W_r"].T + h @ p["U_r"].T + p["b_r"])
    return ((1 - z) * h + z * np.tanh(x @ p["W"].T + (r * h) @ p["U"].T + p["b"]),)


STEPS: dict[tuple[str, str], Step] = {
    ("pytorch", "rnn"): partial(pytorch_rnn, np.tanh),
    ("pytorch", "rnn-relu"): partial(pytorch_rnn, relu),
    ("pytorch", "lstm"): pytorch_lstm,
    ("pytorch", "gru"): pytorch_gru,
    ("keras", "rnn"): partial(keras_rnn, np.tanh),
    ("keras", "rnn-relu"): partial(keras_rnn, relu),
    ("keras", "lstm"): keras_lstm,
    ("keras", "gru"): keras_gru_reset_after,
    ("keras", "gru-cho"): keras_gru_reset_before,
    ("cudnn", "rnn"): partial(cudnn_rnn, np.tanh),
    ("cudnn", "rnn-relu"): partial(cudnn_rnn, relu),
    ("cudnn", "lstm"): cudnn_lstm,
    ("cudnn", "gru"): cudnn_gru,
    ("onnx", "rnn"): partial(onnx_rnn, np.tanh),
    ("onnx", "rnn-relu"): partial(onnx_rnn, relu),
    ("onnx", "lstm"): onnx_lstm,
    ("onnx", "gru"): partial(onnx_gru, True),
    ("onnx", "gru-cho"): partial(onnx_gru, False),
    ("equinox", "lstm"): equinox_lstm,
    ("equinox", "gru"): equinox_gru,
    ("tf1", "lstm"): partial(tf1_lstm, 1.0),
    ("cs231n", "lstm"): cs231n_lstm,
    ("chainer", "lstm"): chainer_lstm,
    ("thinc", "lstm"): thinc_lstm,
    ("dynet", "lstm"): partial(dynet_lstm, 1.0),
    ("flax", "lstm"): flax_lstm,
    ("chung", "gru-cho"): chung_gru,
}
