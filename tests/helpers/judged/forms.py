"""Recurrent code of our own in many conventions: steps, sequences, chunks with their loss, models."""

from typing import Any

import numpy as np

from bptt.checking.numeric import complex_step
from bptt.checking.subject import Subject
from bptt.types import Array, Params

Namespace = dict[str, Any]


def σ(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def named(*functions: Any) -> Namespace:
    return {function.__name__: function for function in functions}


def lstm_rows() -> Namespace:
    """(N, D) rows, gates i f o g, cotangents as (dc, dh), the cell state returned first."""

    def lstm_step_forward(x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array) -> Any:
        i, f, o, g = np.split(x @ Wx + prev_h @ Wh + b, 4, axis=1)
        i, f, o, g = σ(i), σ(f), σ(o), np.tanh(g)
        next_c = f * prev_c + i * g
        next_h = o * np.tanh(next_c)
        return next_c, next_h, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)

    def lstm_step_backward(dnext_c: Array, dnext_h: Array, cache: Any) -> Any:
        x, prev_h, prev_c, Wx, Wh, i, f, o, g, c = cache
        t = np.tanh(c)
        dc = dnext_c + dnext_h * o * (1 - t * t)
        da = np.hstack(
            [dc * g * i * (1 - i), dc * prev_c * f * (1 - f), dnext_h * t * o * (1 - o), dc * i * (1 - g * g)]
        )
        dprev_c = dc * f
        dprev_h = da @ Wh.T
        return dprev_c, dprev_h, da @ Wx.T, x.T @ da, prev_h.T @ da, da.sum(0)

    return named(lstm_step_forward, lstm_step_backward)


def rnn_joint_columns() -> Namespace:
    """(H, N) columns, one (H, H + D) matrix over [h; x], gradients in a dict."""

    def cell_forward(xt: Array, a_prev: Array, parameters: Params) -> Any:
        a_next = np.tanh(parameters["W"] @ np.vstack([a_prev, xt]) + parameters["b"])
        return a_next, (xt, a_prev, a_next, parameters)

    def cell_backward(da_next: Array, cache: Any) -> Any:
        xt, a_prev, a_next, parameters = cache
        dz = da_next * (1 - a_next**2)
        dboth = parameters["W"].T @ dz
        H = len(a_prev)
        return {
            "db": dz.sum(1, keepdims=True),
            "dW": dz @ np.vstack([a_prev, xt]).T,
            "dxt": dboth[H:],
            "da_prev": dboth[:H],
        }

    return named(cell_forward, cell_backward)


def gru_gates() -> Namespace:
    """A matrix for each gate over [x, h], the reset before the product; no bias; a state called h_old."""

    def fwd_gru(x: Array, h_old: Array, Wz: Array, Wr: Array, Wh: Array) -> Any:
        both = np.concatenate([x, h_old], axis=1)
        z, r = σ(both @ Wz), σ(both @ Wr)
        n = np.tanh(np.concatenate([x, r * h_old], axis=1) @ Wh)
        h = (1 - z) * h_old + z * n
        return h, (x, h_old, z, r, n, Wz, Wr, Wh)

    def bwd_gru(dh: Array, cache: Any) -> Any:
        x, h_old, z, r, n, Wz, Wr, Wh = cache
        D = x.shape[1]
        both, reset = np.concatenate([x, h_old], axis=1), np.concatenate([x, r * h_old], axis=1)
        dan = dh * z * (1 - n * n)
        dreset = dan @ Wh.T
        daz = dh * (n - h_old) * z * (1 - z)
        dar = dreset[:, D:] * h_old * r * (1 - r)
        dboth = daz @ Wz.T + dar @ Wr.T
        dx = dboth[:, :D] + dreset[:, :D]
        dh_old = dboth[:, D:] + dreset[:, D:] * r + dh * (1 - z)
        return dx, dh_old, both.T @ daz, both.T @ dar, reset.T @ dan

    return named(fwd_gru, bwd_gru)


def rnn_vector() -> Namespace:
    """Vectors, without a batch; W for the states and U for the inputs; the backward takes what it needs."""

    def forward(x: Array, s_prev: Array, U: Array, W: Array) -> Any:
        if x.ndim != 1:
            raise ValueError("one example at a time")
        return np.tanh(U @ x + W @ s_prev)

    def backward(ds: Array, x: Array, s_prev: Array, U: Array, W: Array) -> Any:
        s = np.tanh(U @ x + W @ s_prev)
        dz = ds * (1 - s * s)
        dU, dW = np.outer(dz, x), np.outer(dz, s_prev)
        return dU, dW, U.T @ dz, W.T @ dz

    return named(forward, backward)


def lstm_state_tuple() -> Namespace:
    """The states in a tuple, a matrix for each gate and each operand, out-first, columns."""

    def forward(x: Array, state: Any, Wxi: Array, Wxf: Array, Wxo: Array, Wxg: Array,
                Whi: Array, Whf: Array, Who: Array, Whg: Array) -> Any:  # fmt: skip
        h, c = state
        i, f, o = (σ(A @ x + B @ h) for A, B in ((Wxi, Whi), (Wxf, Whf), (Wxo, Who)))
        g = np.tanh(Wxg @ x + Whg @ h)
        c_next = f * c + i * g
        new = (o * np.tanh(c_next), c_next)
        return new, (x, h, c, i, f, o, g, c_next, (Wxi, Wxf, Wxo, Wxg), (Whi, Whf, Who, Whg))

    def backward(dstate: Any, cache: Any) -> Any:
        dh, dc = dstate
        x, h, c, i, f, o, g, c_next, Wx, Wh = cache
        t = np.tanh(c_next)
        dc = dc + dh * o * (1 - t * t)
        das = (dc * g * i * (1 - i), dc * c * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g * g))
        dx = sum(W.T @ da for W, da in zip(Wx, das, strict=True))
        dh_prev = sum(W.T @ da for W, da in zip(Wh, das, strict=True))
        dc_prev = dc * f
        dWxi, dWxf, dWxo, dWxg = (da @ x.T for da in das)
        dWhi, dWhf, dWho, dWhg = (da @ h.T for da in das)
        return dx, (dh_prev, dc_prev), dWxi, dWxf, dWxo, dWxg, dWhi, dWhf, dWho, dWhg

    return named(forward, backward)


class Recurrent:
    """A class with its parameters as attributes, its cache and its gradients in the object."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.Wx = np.zeros((input_size, hidden_size))
        self.Wh = np.zeros((hidden_size, hidden_size))
        self.b = np.zeros(hidden_size)

    def forward(self, x: Array, h_prev: Array) -> Array:
        h = np.tanh(x @ self.Wx + h_prev @ self.Wh + self.b)
        self.cache = x, h_prev, h
        return h

    def backward(self, dh: Array) -> Any:
        x, h_prev, h = self.cache
        da = dh * (1 - h * h)
        self.dWx, self.dWh, self.db = x.T @ da, h_prev.T @ da, da.sum(0)
        return da @ self.Wx.T, da @ self.Wh.T


class Given:
    """A layer that is given its parameters and keeps its gradients in a list beside them."""

    def __init__(self, Wx: Array, Wh: Array, b: Array) -> None:
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]

    def forward(self, x: Array, h_prev: Array) -> Any:
        Wx, Wh, b = self.params
        h_next = np.tanh(x @ Wx + h_prev @ Wh + b)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next: Array) -> Any:
        x, h_prev, h_next = self.cache
        da = dh_next * (1 - h_next**2)
        dx, dh_prev = da @ self.params[0].T, da @ self.params[1].T
        for kept, new in zip(self.grads, (x.T @ da, h_prev.T @ da, da.sum(0)), strict=True):
            kept[...] = new
        return dx, dh_prev


class Updated(Recurrent):
    """Its gradients can be seen only as the change of its parameters."""

    def __init__(self, input_size: int, hidden_size: int, learning_rate: float = 0.01) -> None:
        super().__init__(input_size, hidden_size)
        self.learning_rate = learning_rate

    def forward(self, x: Array, h_prev: Array) -> Any:
        return super().forward(x, h_prev)

    def backward(self, dh: Array) -> Any:
        x, h_prev, h = self.cache
        da = dh * (1 - h * h)
        dx, dh_prev = da @ self.Wx.T, da @ self.Wh.T
        self.Wx -= self.learning_rate * x.T @ da
        self.Wh -= self.learning_rate * h_prev.T @ da
        self.b -= self.learning_rate * da.sum(0)
        return dx, dh_prev


def rnn_sequence(layout: str) -> Namespace:
    """A sequence in the layout (N, T, D) or (T, N, D)."""

    def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> Any:
        x = x if layout == "TND" else x.transpose(1, 0, 2)
        hs = [h0]
        for x_t in x:
            if x_t.shape[0] != h0.shape[0]:
                raise ValueError("rows do not fit")
            hs.append(np.tanh(x_t @ Wx + hs[-1] @ Wh + b))
        h = np.stack(hs[1:], axis=0 if layout == "TND" else 1)
        return h, (x, hs, Wx, Wh)

    def rnn_backward(dh: Array, cache: Any) -> Any:
        x, hs, Wx, Wh = cache
        dh = dh if layout == "TND" else dh.transpose(1, 0, 2)
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(len(Wh))
        dprev = np.zeros_like(hs[0])
        for t in reversed(range(len(x))):
            da = (dh[t] + dprev) * (1 - hs[t + 1] ** 2)
            dx[t], dprev = da @ Wx.T, da @ Wh.T
            dWx, dWh, db = dWx + x[t].T @ da, dWh + hs[t].T @ da, db + da.sum(0)
        return dx if layout == "TND" else dx.transpose(1, 0, 2), dprev, dWx, dWh, db

    return named(rnn_forward, rnn_backward)


def rnn_last_axis() -> Namespace:
    """(D, N, T) with parameters in a dict, a prediction beside the states, and a step function of its own."""

    def rnn_cell_forward(xt: Array, a_prev: Array, parameters: Params) -> Any:
        Wax, Waa, ba = parameters["Wax"], parameters["Waa"], parameters["ba"]
        a_next = np.tanh(Wax @ xt + Waa @ a_prev + ba)
        yt_pred = parameters["Wya"] @ a_next + parameters["by"]
        return a_next, yt_pred, (a_next, a_prev, xt, parameters)

    def rnn_forward(x: Array, a0: Array, parameters: Params) -> Any:
        _, _, T = x.shape
        caches, steps, y = [], [], []
        a_next = a0
        for t in range(T):
            a_next, yt, cache = rnn_cell_forward(x[:, :, t], a_next, parameters)
            steps.append(a_next)
            y.append(yt)
            caches.append(cache)
        a, y_pred = np.stack(steps, axis=2), np.stack(y, axis=2)
        return a, y_pred, (caches, x)

    def rnn_cell_backward(da_next: Array, cache: Any) -> Any:
        a_next, a_prev, xt, parameters = cache
        dz = da_next * (1 - a_next**2)
        return {
            "dxt": parameters["Wax"].T @ dz,
            "da_prev": parameters["Waa"].T @ dz,
            "dWax": dz @ xt.T,
            "dWaa": dz @ a_prev.T,
            "dba": dz.sum(1, keepdims=True),
        }

    def rnn_backward(da: Array, caches: Any) -> Any:
        caches, x = caches
        total: Params = {"dWax": np.zeros(1), "dWaa": np.zeros(1), "dba": np.zeros(1)}
        dx, da_prev = np.zeros_like(x), np.zeros(1)
        for t in reversed(range(x.shape[2])):
            step = rnn_cell_backward(da[:, :, t] + da_prev, caches[t])
            dx[:, :, t], da_prev = step["dxt"], step["da_prev"]
            total = {name: total[name] + step[name] for name in total}
        return {"dx": dx, "da0": da_prev, **total}

    return named(rnn_cell_forward, rnn_cell_backward, rnn_forward, rnn_backward)


CHUNK = """
import numpy as np

hidden_size = 50

def loss_fun(inputs, targets, hprev):
    xs, hs, ps, loss = {}, {-1: np.copy(hprev)}, {}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        y = np.exp(Why @ hs[t] + by)
        ps[t] = y / np.sum(y)
        loss += -np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dnext = np.zeros_like(bh), np.zeros_like(by), np.zeros((hidden_size, 1))
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dz = (Why.T @ dy + dnext) * (1 - hs[t] ** 2)
        dnext = Whh.T @ dz
        dWxh += dz @ xs[t].T
        dWhh += dz @ hs[t - 1].T
        dWhy += dy @ hs[t].T
        dbh += dz
        dby += dy
    for d in [dWxh, dWhh, dWhy, dbh, dby]:
        np.clip(d, -LIMIT, LIMIT, out=d)
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]
"""


def chunk(limit: float = 5.0) -> tuple[Namespace, str]:
    """The loss of a chunk over parameters that its module never makes: the file was not run."""
    text = CHUNK.replace("LIMIT", str(limit))
    namespace: Namespace = {}
    exec(compile(text, "chunk.py", "exec"), namespace)
    return namespace, text


class Words:
    """One token a call; parameters in a dict, of other sizes than a trial's; [h, x] in one matrix."""

    def __init__(self) -> None:
        self.H = 40
        self.D = 300
        self.model = {
            "W": np.zeros((self.H + self.D, self.H)),
            "Wy": np.zeros((self.H, self.D)),
            "b": np.zeros((1, self.H)),
            "by": np.zeros((1, self.D)),
        }

    def forward(self, X: int, h_old: Array) -> Any:
        hot = np.zeros((1, self.D))
        hot[0, X] = 1.0
        both = np.column_stack((h_old, hot))
        h = np.tanh(both @ self.model["W"] + self.model["b"])
        e = np.exp(h @ self.model["Wy"] + self.model["by"])
        prob = e / e.sum()
        cache = (both, h)
        return prob, h, cache

    def backward(self, prob: Array, y_train: Array, dh_next: Array, cache: Any) -> Any:
        both, h = cache
        dy = prob - y_train
        da = (dy @ self.model["Wy"].T + dh_next) * (1 - h * h)
        dh_prev = (da @ self.model["W"].T)[:, : self.H]
        grad = {"W": both.T @ da, "b": da, "Wy": h.T @ dy, "by": dy}
        return grad, dh_prev


class Letters:
    """Probabilities for all steps at once; the backward runs the forward again and returns a list."""

    def __init__(self, word_dim: int, hidden_dim: int = 30, bptt_truncate: int = 4) -> None:
        self.bptt_truncate = bptt_truncate
        self.U = np.zeros((hidden_dim, word_dim))
        self.V = np.zeros((word_dim, hidden_dim))
        self.W = np.zeros((hidden_dim, hidden_dim))

    def forward_propagation(self, x: list[int]) -> Any:
        s, o = [0 * self.W[0]], []
        for k in x:
            s.append(np.tanh(self.U[:, k] + self.W @ s[-1]))
            e = np.exp(self.V @ s[-1])
            o.append(e / e.sum())
        return [np.array(o), s]

    def bptt(self, x: list[int], y: list[int]) -> Any:
        o, s = self.forward_propagation(x)
        dLdU, dLdV, dLdW = np.zeros_like(self.U), np.zeros_like(self.V), np.zeros_like(self.W)
        d = 0 * self.W[0]
        for t in reversed(range(len(x))):
            dy = o[t] - np.eye(len(self.V))[y[t]]
            dLdV += np.outer(dy, s[t + 1])
            dz = (self.V.T @ dy + d) * (1 - s[t + 1] ** 2)
            dLdU[:, x[t]] += dz
            dLdW += np.outer(dz, s[t])
            d = self.W.T @ dz
        return [dLdU, dLdV, dLdW]


def right(subject: Subject) -> None:
    """Fail unless every gradient that the code gives is that of the complex step."""

    def loss(at: Params) -> Any:
        outputs = subject.outputs(at)
        return sum((outputs[name] * cotangent).sum() for name, cotangent in subject.cotangents.items())

    before = {name: array.copy() for name, array in subject.at.items()}
    given, wanted = subject.gradients(subject.at, subject.cotangents), complex_step(loss, subject.at)
    for name, gradient in given.items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-9, atol=1e-12, err_msg=name)
    for name, array in before.items():
        np.testing.assert_array_equal(subject.at[name], array)
