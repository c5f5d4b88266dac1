"""Layers in the styles in which people publish them: objects that are given gradients, or keep them."""

from judged.style import Style

BIAS_ROW = Style(
    """
import numpy as np

class LSTM:
    @staticmethod
    def forward(X, W, c0=None, h0=None):
        T, N, D = X.shape
        H = W.shape[1] // 4
        c0 = np.zeros((N, H)) if c0 is None else c0
        h0 = np.zeros((N, H)) if h0 is None else h0
        hs, cs, rows, gates = [h0], [c0], [], []
        for t in range(T):
            rows.append(np.hstack([np.ones((N, 1)), X[t], hs[-1]]))
            a = rows[-1] @ W
            i, f, o = (1 / (1 + np.exp(-a[:, k * H:(k + 1) * H])) for k in range(3))
            g = np.tanh(a[:, 3 * H:])
            gates.append((i, f, o, g))
            cs.append(f * cs[-1] + i * g)
            hs.append(o * np.tanh(cs[-1]))
        return np.array(hs[1:]), cs[-1], hs[-1], dict(W=W, rows=rows, gates=gates, cs=cs, D=D)

    @staticmethod
    def backward(dH, cache, dcn=None, dhn=None):
        W, cs, D = cache["W"], cache["cs"], cache["D"]
        T = len(dH)
        dX, dW = np.zeros((*dH.shape[:2], D)), np.zeros_like(W)
        dh = np.zeros_like(dH[0]) if dhn is None else dhn.copy()
        dc = np.zeros_like(dH[0]) if dcn is None else dcn.copy()
        for t in reversed(range(T)):
            i, f, o, g = cache["gates"][t]
            dh = dh + dH[t]
            tc = np.tanh(cs[t + 1])
            dc = dc + dh * o * (1 - tc ** 2)
            da = np.hstack([dc * g * i * (1 - i), dc * cs[t] * f * (1 - f), dh * tc * o * (1 - o),
                            dc * i * (1 - g ** 2)])
            dW += cache["rows"][t].T @ da
            back = da @ W.T
            dX[t], dh, dc = back[:, 1:D + 1], back[:, D + 1:], dc * f
        return dX, dW, dc, dh
""",
    "dc * f\n",
    "dc * i\n",
)


UPDATES = Style(
    """
import numpy as np

class RNN:
    def __init__(self, input_size, output_size, hidden_size=64):
        self.Whh = np.random.randn(hidden_size, hidden_size)
        self.Wxh = np.random.randn(hidden_size, input_size)
        self.Why = np.random.randn(output_size, hidden_size)
        self.bh, self.by = np.zeros((hidden_size, 1)), np.zeros((output_size, 1))

    def forward(self, inputs):
        h = np.zeros((self.Whh.shape[0], 1))
        self.inputs, self.hs = inputs, [h]
        for x in inputs:
            h = np.tanh(self.Wxh @ x + self.Whh @ h + self.bh)
            self.hs.append(h)
        return self.Why @ h + self.by, h

    def backprop(self, d_y, learn_rate=2e-2):
        d_Whh, d_Wxh, d_bh = 0, 0, 0
        d_Why, d_by = d_y @ self.hs[-1].T, d_y
        d_h = self.Why.T @ d_y
        for t in reversed(range(len(self.inputs))):
            d = (1 - self.hs[t + 1] ** 2) * d_h
            d_bh, d_Whh, d_Wxh = d_bh + d, d_Whh + d @ self.hs[t].T, d_Wxh + d @ self.inputs[t].T
            d_h = self.Whh.T @ d
        self.Whh -= learn_rate * d_Whh
        self.Wxh -= learn_rate * d_Wxh
        self.Why -= learn_rate * d_Why
        self.bh -= learn_rate * d_bh
        self.by -= learn_rate * d_by
""",
    "d_h = self.Whh.T @ d",
    "d_h = self.Whh @ d",
)


SQUARED = Style(
    """
import numpy as np

class Net:
    def __init__(self, input_dim, hidden_dim, output_dim):
        self.input_dim, self.hidden_dim = input_dim, hidden_dim
        self.Wxh, self.Whh = np.zeros((hidden_dim, input_dim)), np.zeros((hidden_dim, hidden_dim))
        self.Why = np.zeros((output_dim, hidden_dim))
        self.bh, self.by = np.zeros((hidden_dim, 1)), np.zeros((output_dim, 1))

    def forward(self, inputs):
        xs, hs, ys = {}, {-1: np.zeros((self.hidden_dim, 1))}, {}
        for t in range(len(inputs)):
            xs[t] = np.zeros((self.input_dim, 1)); xs[t][inputs[t]] = 1
            hs[t] = np.tanh(self.Wxh @ xs[t] + self.Whh @ hs[t - 1] + self.bh)
            ys[t] = self.Why @ hs[t] + self.by
        return xs, hs, ys

    def backward(self, xs, hs, ys, targets):
        dWxh, dWhh, dWhy = np.zeros_like(self.Wxh), np.zeros_like(self.Whh), np.zeros_like(self.Why)
        dbh, dby, dh = np.zeros_like(self.bh), np.zeros_like(self.by), 0
        for t in reversed(range(len(targets))):
            dy = ys[t].copy(); dy[targets[t]] -= 1
            dWhy += dy @ hs[t].T
            dby += dy
            da = (self.Why.T @ dy + dh) * (1 - hs[t] ** 2)
            dbh += da
            dWxh += da @ xs[t].T
            dWhh += da @ hs[t - 1].T
            dh = self.Whh.T @ da
        return dWxh, dWhh, dWhy, dbh, dby
""",
    "(1 - hs[t] ** 2)",
    "(1 + hs[t] ** 2)",
    "half the squared error",
)


GRADS_IN_DICT = Style(
    """
import numpy as np

class LSTM:
    def __init__(self, char_to_idx, idx_to_char, vocab_size, n_h=100, seq_len=25, epochs=10, lr=0.01):
        self.vocab_size, self.n_h, self.seq_len, self.lr = vocab_size, n_h, seq_len, lr
        self.params = {"W" + k: np.random.randn(n_h, n_h + vocab_size) for k in "fico"}
        self.params |= {"b" + k: np.ones((n_h, 1)) for k in "fico"}
        self.params |= {"Wv": np.random.randn(vocab_size, n_h), "bv": np.zeros((vocab_size, 1))}
        self.grads = {"d" + k: np.zeros_like(p) for k, p in self.params.items()}

    def forward_step(self, x, h_prev, c_prev):
        p = self.params
        z = np.vstack((h_prev, x))
        f, i, o = (1 / (1 + np.exp(-p["W" + k] @ z - p["b" + k])) for k in "fio")
        c_bar = np.tanh(p["Wc"] @ z + p["bc"])
        c = f * c_prev + i * c_bar
        h = o * np.tanh(c)
        v = np.exp(p["Wv"] @ h + p["bv"])
        y_hat = v / v.sum()
        return y_hat, v, h, o, c, c_bar, i, f, z

    def backward_step(self, y, y_hat, dh_next, dc_next, c_prev, z, f, i, c_bar, c, o, h):
        dv = y_hat.copy()
        dv[y] -= 1
        self.grads["dWv"] += dv @ h.T
        self.grads["dbv"] += dv
        dh = self.params["Wv"].T @ dv + dh_next
        dc = dh * o * (1 - np.tanh(c) ** 2) + dc_next
        da = {"f": dc * c_prev * f * (1 - f), "i": dc * c_bar * i * (1 - i),
              "c": dc * i * (1 - c_bar ** 2), "o": dh * np.tanh(c) * o * (1 - o)}
        for k, d in da.items():
            self.grads["dW" + k] += d @ z.T
            self.grads["db" + k] += d
        dz = sum(self.params["W" + k].T @ d for k, d in da.items())
        return dz[:self.n_h], f * dc
""",
    "+ dc_next",
    "+ 0 * dc_next",
)


DICT_OF_STEPS = Style(
    """
import numpy as np

class GRULayer:
    def __init__(self, x_n, h_n):
        self.W, self.Wr, self.Wz = (np.random.randn(h_n, h_n) for _ in range(3))
        self.U, self.Ur, self.Uz = (np.random.randn(h_n, x_n) for _ in range(3))

    def forward(self, x, initial_h=None):
        if initial_h == None:
            initial_h = np.zeros(len(self.W))
        self.x, self.h, self.n, self.z, self.r = x, {-1: initial_h}, {}, {}, {}
        for t in range(len(x)):
            before = self.h[t - 1]
            self.z[t] = 1 / (1 + np.exp(-self.Wz @ before - self.Uz @ x[t]))
            self.r[t] = 1 / (1 + np.exp(-self.Wr @ before - self.Ur @ x[t]))
            self.n[t] = np.tanh(self.W @ (self.r[t] * before) + self.U @ x[t])
            self.h[t] = (1 - self.z[t]) * before + self.z[t] * self.n[t]
        return self.h

    def backward(self, dh):
        for name in ("W", "Wr", "Wz", "U", "Ur", "Uz"):
            setattr(self, "d" + name, np.zeros_like(getattr(self, name)))
        back = 0
        for t in reversed(range(len(self.x))):
            before, n, z, r = self.h[t - 1], self.n[t], self.z[t], self.r[t]
            d = dh[t] + back
            dn = d * z * (1 - n * n)
            dq = self.W.T @ dn
            dr, dz = dq * before * r * (1 - r), d * (n - before) * z * (1 - z)
            self.dW += np.outer(dn, r * before); self.dU += np.outer(dn, self.x[t])
            self.dWr += np.outer(dr, before); self.dUr += np.outer(dr, self.x[t])
            self.dWz += np.outer(dz, before); self.dUz += np.outer(dz, self.x[t])
            back = d * (1 - z) + dq * r + self.Wr.T @ dr + self.Wz.T @ dz
""",
    "+ dq * r +",
    "+ dq +",
)


CONSTRUCTOR_WITH_SCALE = Style(
    """
import numpy as np

class Cell:
    def __init__(self, input_size, hidden_size, weight_scale=0.01):
        self.Wxh = np.random.randn(hidden_size, input_size) * weight_scale
        self.Whh = np.random.randn(hidden_size, hidden_size) * weight_scale
        self.bh, self.by = np.zeros((hidden_size, 1)), np.zeros((1, 1))
        self.Why = np.random.randn(1, hidden_size)
    def forward(self, x, h_prev):
        self.x, self.h_prev = x, h_prev
        self.h = np.tanh(self.Wxh @ x + self.Whh @ h_prev + self.bh)
        return self.h, self.Why @ self.h + self.by
    def backward(self, dh_next, dy):
        dh_next = np.clip(dh_next, -0.1, 0.1)
        da = (self.Why.T @ dy + dh_next) * (1 - self.h ** 2)
        grads = {"Wxh": da @ self.x.T, "Whh": da @ self.h_prev.T, "bh": da, "Why": dy @ self.h.T, "by": dy}
        return self.Wxh.T @ da, self.Whh.T @ da, grads
""",
    '"Whh": da @ self.h_prev.T',
    '"Whh": da @ self.h.T',
    "np.clip changes something",
)


LAYERS = {
    "the bias as a row of the weights, static methods": BIAS_ROW,
    "weights that are updated": UPDATES,
    "logits, and no loss": SQUARED,
    "gradients that add up in a dict": GRADS_IN_DICT,
    "a dict of states by time": DICT_OF_STEPS,
    "clipped on the way in": CONSTRUCTOR_WITH_SCALE,
}
