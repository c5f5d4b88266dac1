"""Code in the styles in which people publish it, each right, with a line that can be made wrong."""

from typing import NamedTuple


class Style(NamedTuple):
    """Code, a line of it, that line with a fault, and what the right one's notes must hold."""

    text: str
    right: str
    wrong: str
    notes: str = ""


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

NODES = Style(
    """
import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

class LstmParam:
    def __init__(self, mem_cell_ct, x_dim):
        self.mem_cell_ct, self.x_dim = mem_cell_ct, x_dim
        for k in "gifo":
            self.__dict__["w" + k] = np.random.rand(mem_cell_ct, x_dim + mem_cell_ct)
            self.__dict__["b" + k] = np.random.rand(mem_cell_ct)
            self.__dict__["w" + k + "_diff"] = np.zeros((mem_cell_ct, x_dim + mem_cell_ct))
            self.__dict__["b" + k + "_diff"] = np.zeros(mem_cell_ct)

class LstmNode:
    def __init__(self, param):
        self.param = param

    def bottom_data_is(self, x, s_prev, h_prev):
        p = vars(self.param)
        self.xc, self.s_prev = np.hstack((x, h_prev)), s_prev
        self.g = np.tanh(p["wg"] @ self.xc + p["bg"])
        self.i, self.f, self.o = (sigmoid(p["w" + k] @ self.xc + p["b" + k]) for k in "ifo")
        self.s = self.g * self.i + s_prev * self.f
        self.h = self.s * self.o

    def top_diff_is(self, top_diff_h, top_diff_s):
        ds = self.o * top_diff_h + top_diff_s
        d = {"i": ds * self.g * self.i * (1 - self.i), "f": ds * self.s_prev * self.f * (1 - self.f),
             "o": top_diff_h * self.s * self.o * (1 - self.o), "g": ds * self.i * (1 - self.g ** 2)}
        dxc = 0
        for k, delta in d.items():
            vars(self.param)["w" + k + "_diff"] += np.outer(delta, self.xc)
            vars(self.param)["b" + k + "_diff"] += delta
            dxc = dxc + vars(self.param)["w" + k].T @ delta
        self.bottom_diff_s = ds * self.f
        self.bottom_diff_h = dxc[self.param.x_dim:]

class LstmNetwork:
    def __init__(self, lstm_param):
        self.lstm_param, self.nodes, self.x_list = lstm_param, [], []

    def x_list_add(self, x):
        self.x_list.append(x)
        zero = np.zeros(self.lstm_param.mem_cell_ct)
        s, h = (self.nodes[-1].s, self.nodes[-1].h) if self.nodes else (zero, zero)
        self.nodes.append(LstmNode(self.lstm_param))
        self.nodes[-1].bottom_data_is(x, s, h)

    def y_list_is(self, y_list, loss_layer):
        loss, diff_h, diff_s = 0, 0, np.zeros(self.lstm_param.mem_cell_ct)
        for node, y in zip(self.nodes[::-1], y_list[::-1]):
            loss += loss_layer.loss(node.h, y)
            node.top_diff_is(loss_layer.bottom_diff(node.h, y) + diff_h, diff_s)
            diff_h, diff_s = node.bottom_diff_h, node.bottom_diff_s
        return loss
""",
    "self.bottom_diff_s = ds * self.f",
    "self.bottom_diff_s = top_diff_s * self.f",
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

ASCENT = Style(
    """
import numpy as np

def sigmoid(x, derivative=False):
    return x * (1 - x) if derivative else 1 / (1 + np.exp(-x))

class LSTM:
    def __init__(self, input_size, hidden_size, output_size, num_epochs, learning_rate):
        self.learning_rate, self.hidden_size = learning_rate, hidden_size
        for k in "fico":
            setattr(self, "w" + k, np.random.randn(hidden_size, input_size))
            setattr(self, "b" + k, np.zeros((hidden_size, 1)))
        self.wy, self.by = np.random.randn(output_size, hidden_size), np.zeros((output_size, 1))

    def forward(self, inputs):
        self.hs, self.cs = {-1: np.zeros((self.hidden_size, 1))}, {-1: np.zeros((self.hidden_size, 1))}
        self.concat_inputs, self.gates, outputs = {}, {}, []
        for t, x in enumerate(inputs):
            z = self.concat_inputs[t] = np.concatenate((self.hs[t - 1], x))
            f, i, o = (sigmoid(getattr(self, "w" + k) @ z + getattr(self, "b" + k)) for k in "fio")
            c = np.tanh(self.wc @ z + self.bc)
            self.gates[t] = f, i, o, c
            self.cs[t] = f * self.cs[t - 1] + i * c
            self.hs[t] = o * np.tanh(self.cs[t])
            outputs.append(self.wy @ self.hs[t] + self.by)
        return outputs

    def backward(self, errors, inputs):
        step, dh, dc = {}, 0, 0
        for t in reversed(range(len(inputs))):
            f, i, o, c = self.gates[t]
            dh = self.wy.T @ errors[t] + dh
            dc = dc + dh * o * (1 - np.tanh(self.cs[t]) ** 2)
            da = {"o": dh * np.tanh(self.cs[t]) * sigmoid(o, derivative=True),
                  "f": dc * self.cs[t - 1] * sigmoid(f, derivative=True),
                  "i": dc * c * sigmoid(i, derivative=True), "c": dc * i * (1 - c ** 2)}
            step["wy"] = step.get("wy", 0) + errors[t] @ self.hs[t].T
            step["by"] = step.get("by", 0) + errors[t]
            for k, d in da.items():
                step["w" + k] = step.get("w" + k, 0) + d @ inputs[t].T
                step["b" + k] = step.get("b" + k, 0) + d
            dz = sum(getattr(self, "w" + k).T @ d for k, d in da.items())
            dh, dc = dz[:self.hidden_size], dc * f
        for name, s in step.items():
            setattr(self, name, getattr(self, name) + self.learning_rate * np.clip(s, -1, 1))
""",
    "dc = dc + dh * o *",
    "dc = dh * o *",
    "minus what it is given",
)

GLOBALS = Style(
    """
import numpy as np
chars = open("not_there.txt").read()
H = hidden_size = 100
V = vocab_size = len(chars)
HV = H + V
Wf, bf = np.random.randn(H, HV), np.zeros((H, 1))
Wcc = np.random.randn(H, HV)

def lossFun(inputs, targets, hprev, cprev):
    hs, cs, ps, zs, gates, loss = {-1: hprev}, {-1: cprev}, {}, {}, {}, 0
    for t in range(len(inputs)):
        x = np.zeros((V, 1))
        x[inputs[t]] = 1
        zs[t] = np.vstack((x, hs[t - 1]))
        f, i, o = sigmoid(Wf @ zs[t] + bf), sigmoid(Wi @ zs[t] + bi), sigmoid(Wo @ zs[t] + bo)
        cc = np.tanh(Wcc @ zs[t] + bcc)
        gates[t] = f, i, o, cc
        cs[t] = f * cs[t - 1] + i * cc
        hs[t] = o * np.tanh(cs[t])
        e = np.exp(Wy @ hs[t] + by)
        ps[t] = e / e.sum()
        loss -= np.log(ps[t][targets[t], 0])
    dWf, dWi, dWcc, dWo, dWy = (np.zeros_like(W) for W in (Wf, Wi, Wcc, Wo, Wy))
    dbf, dbi, dbcc, dbo, dby = (np.zeros_like(b) for b in (bf, bi, bcc, bo, by))
    dh, dc = np.zeros_like(hprev), np.zeros_like(cprev)
    for t in reversed(range(len(inputs))):
        f, i, o, cc = gates[t]
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWy += dy @ hs[t].T
        dby += dy
        dh = Wy.T @ dy + dh
        dc = dc + dh * o * (1 - np.tanh(cs[t]) ** 2)
        df, di = dc * cs[t - 1] * f * (1 - f), dc * cc * i * (1 - i)
        do, dcc = dh * np.tanh(cs[t]) * o * (1 - o), dc * i * (1 - cc ** 2)
        dWf += df @ zs[t].T; dWi += di @ zs[t].T; dWo += do @ zs[t].T; dWcc += dcc @ zs[t].T
        dbf += df; dbi += di; dbo += do; dbcc += dcc
        dz = Wf.T @ df + Wi.T @ di + Wo.T @ do + Wcc.T @ dcc
        dh, dc = dz[V:], dc * f
    return loss, dWf, dbf, dWi, dbi, dWcc, dbcc, dWo, dbo, dWy, dby, hs[t], cs[t]
""",
    "dc * i * (1 - cc ** 2)",
    "dc * i * (1 - np.tanh(cc) ** 2)",
    "sigmoid: not defined in the file",
)

MEAN = Style(
    """
import numpy as np

def loss_fun(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
    hs, ps, loss = [hprev], [], 0
    for k, y in zip(inputs, targets):
        x = np.zeros((Wxh.shape[1], 1)); x[k] = 1
        hs.append(np.tanh(Wxh @ x + Whh @ hs[-1] + bh))
        e = np.exp(Why @ hs[-1] + by)
        ps.append(e / e.sum())
        loss -= np.log(ps[-1][y, 0]) / len(inputs)
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dh = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(hprev)
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy(); dy[targets[t]] -= 1
        dWhy += dy @ hs[t + 1].T
        dby += dy
        da = (Why.T @ dy + dh) * (1 - hs[t + 1] ** 2)
        dWxh[:, [inputs[t]]] += da
        dWhh += da @ hs[t].T
        dbh += da
        dh = Whh.T @ da
    total = np.sqrt(sum(np.sum(d ** 2) for d in (dWxh, dWhh, dWhy, dbh, dby)))
    if total > 0.25:
        for d in (dWxh, dWhh, dWhy, dbh, dby):
            d *= 0.25 / total
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[-1]
""",
    "da @ hs[t].T",
    "da @ hs[t + 1].T",
    "T times the loss that is returned (a sum, where that is a mean)",
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

LOSS_IN_FORWARD = Style(
    """
import numpy as np

def rnn_forward(X, Y, a0, parameters, vocab_size=27):
    x, a, y_hat, loss = {}, {-1: a0}, {}, 0
    for t in range(len(X)):
        x[t] = np.zeros((vocab_size, 1))
        x[t][X[t]] = 1
        a[t] = np.tanh(parameters["Wax"] @ x[t] + parameters["Waa"] @ a[t - 1] + parameters["b"])
        y_hat[t] = softmax(parameters["Wya"] @ a[t] + parameters["by"])
        loss -= np.log(y_hat[t][Y[t], 0])
    cache = (y_hat, a, x)
    return loss, cache

def rnn_backward(X, Y, parameters, cache):
    y_hat, a, x = cache
    gradients = {"d" + name: np.zeros_like(p) for name, p in parameters.items()}
    gradients["da_next"] = np.zeros_like(a[0])
    for t in reversed(range(len(X))):
        dy = y_hat[t].copy()
        dy[Y[t]] -= 1
        gradients["dWya"] += dy @ a[t].T
        gradients["dby"] += dy
        da = (1 - a[t] ** 2) * (parameters["Wya"].T @ dy + gradients["da_next"])
        gradients["db"] += da
        gradients["dWax"] += da @ x[t].T
        gradients["dWaa"] += da @ a[t - 1].T
        gradients["da_next"] = parameters["Waa"].T @ da
    return gradients, a
""",
    'gradients["db"] += da',
    'gradients["db"] = da',
    "softmax: not defined in the file",
)

PYTHON2 = Style(
    """
import numpy as np

def rnn_forward(x, h0, W, b):
    d = W.shape[1] / 1
    hs = [h0]
    for t in xrange(len(x)):
        hs.append(np.tanh(np.hstack([x[t], hs[-1]]).dot(W[:, :d]) + b))
    print 'ran'
    return np.array(hs[1:]), (x, hs, W)

def rnn_backward(dh, cache):
    x, hs, W = cache
    dx, dW, db, d = np.zeros_like(x), np.zeros_like(W), 0, np.zeros_like(hs[0])
    for t in xrange(len(x) - 1, -1, -1):
        da = (dh[t] + d) * (1 - hs[t + 1] ** 2)
        both = da.dot(W.T)
        dx[t], d = both[:, :x.shape[2]], both[:, x.shape[2]:]
        dW += np.hstack([x[t], hs[t]]).T.dot(da)
        db = db + da.sum(0)
    return dx, d, dW, db
""",
    "(dh[t] + d)",
    "dh[t]",
)

GATE_CLASSES = Style(
    """
import numpy as np

class Multiply:
    def forward(self, W, x):
        return W @ x
    def backward(self, W, x, dz):
        return np.outer(dz, x), W.T @ dz

class Tanh:
    def forward(self, x):
        return np.tanh(x)
    def backward(self, x, top_diff):
        return (1 - np.tanh(x) ** 2) * top_diff

class Softmax:
    def predict(self, x):
        return np.exp(x) / np.exp(x).sum()
    def loss(self, x, y):
        return -np.log(self.predict(x)[y])
    def diff(self, x, y):
        p = self.predict(x)
        p[y] -= 1
        return p

multiply, tanh = Multiply(), Tanh()

class Layer:
    def forward(self, x, prev_s, U, W, V):
        self.sum = multiply.forward(U, x) + multiply.forward(W, prev_s)
        self.s = tanh.forward(self.sum)
        self.logits = multiply.forward(V, self.s)
    def backward(self, x, prev_s, U, W, V, diff_s, dlogits):
        dV, ds = multiply.backward(V, self.s, dlogits)
        dsum = tanh.backward(self.sum, ds + diff_s)
        dW, dprev_s = multiply.backward(W, prev_s, dsum)
        return dprev_s, multiply.backward(U, x, dsum)[0], dW, dV

class Model:
    def __init__(self, word_dim, hidden_dim=100):
        self.word_dim, self.hidden_dim = word_dim, hidden_dim
        self.U = np.random.randn(hidden_dim, word_dim)
        self.W = np.random.randn(hidden_dim, hidden_dim)
        self.V = np.random.randn(word_dim, hidden_dim)
    def forward_propagation(self, x):
        layers, s = [], np.zeros(self.hidden_dim)
        for k in x:
            layer = Layer()
            layer.forward(np.eye(self.word_dim)[k], s, self.U, self.W, self.V)
            s = layer.s
            layers.append(layer)
        return layers
    def calculate_loss(self, x, y):
        layers = self.forward_propagation(x)
        return sum(Softmax().loss(layer.logits, k) for layer, k in zip(layers, y)) / len(y)
    def bptt(self, x, y):
        layers, diff_s = self.forward_propagation(x), np.zeros(self.hidden_dim)
        dU, dW, dV = np.zeros_like(self.U), np.zeros_like(self.W), np.zeros_like(self.V)
        for t in reversed(range(len(x))):
            s = layers[t - 1].s if t else np.zeros(self.hidden_dim)
            diff_s, dU_t, dW_t, dV_t = layers[t].backward(
                np.eye(self.word_dim)[x[t]], s, self.U, self.W, self.V, diff_s,
                Softmax().diff(layers[t].logits, y[t]))
            dU, dW, dV = dU + dU_t, dW + dW_t, dV + dV_t
        return dU, dW, dV
""",
    "ds + diff_s)",
    "ds)",
    "T times the loss that is returned",
)

MANY_TO_ONE = Style(
    """
import numpy as np

class Net:
    def __init__(self, input_size, hidden_size, output_size):
        self.Wxh = np.random.randn(hidden_size, input_size)
        self.Whh = np.random.randn(hidden_size, hidden_size)
        self.Why = np.random.randn(output_size, hidden_size)
        self.bh, self.by = np.zeros(hidden_size), np.zeros(output_size)
    def forward(self, x):
        self.hs = [np.zeros(self.Whh.shape[0])]
        for t in range(x.shape[0]):
            self.hs.append(np.tanh(self.Wxh @ x[t] + self.Whh @ self.hs[-1] + self.bh))
        return self.Why @ self.hs[-1] + self.by
    def bptt(self, x, target, learning_rate=0.1):
        err = self.forward(x) - target
        self.dWxh, self.dWhh, self.dbh = (np.zeros_like(a) for a in (self.Wxh, self.Whh, self.bh))
        self.dWhy, self.dby = np.outer(err, self.hs[-1]), err
        dh = self.Why.T @ err
        for t in reversed(range(len(x))):
            da = (1 - self.hs[t + 1] ** 2) * dh
            self.dbh += da
            self.dWxh += np.outer(da, x[t])
            self.dWhh += np.outer(da, self.hs[t])
            dh = self.Whh.T @ da
        for name in ("Wxh", "Whh", "Why", "bh", "by"):
            setattr(self, name, getattr(self, name) - learning_rate * getattr(self, "d" + name))
        return 0.5 * (err ** 2).sum()
""",
    "dh = self.Whh.T @ da",
    "dh = self.Whh @ da",
)

GRADIENTS_IN_GLOBALS = Style(
    """
import numpy as np
text = open("input.txt").read()
X_size, H_size = len(set(text)), 100
W_x, W_h = np.random.randn(H_size, X_size), np.random.randn(H_size, H_size)
W_y, b_h, b_y = np.random.randn(X_size, H_size), np.zeros((H_size, 1)), np.zeros((X_size, 1))
dW_x, dW_h, dW_y = np.zeros_like(W_x), np.zeros_like(W_h), np.zeros_like(W_y)
db_h, db_y = np.zeros_like(b_h), np.zeros_like(b_y)

def forward(x, h_prev):
    assert x.shape == (X_size, 1) and h_prev.shape == (H_size, 1)
    h = np.tanh(W_x @ x + W_h @ h_prev + b_h)
    y = W_y @ h + b_y
    p = np.exp(y) / np.exp(y).sum()
    return h, y, p

def backward(target, dh_next, x, h_prev, h, y, p):
    global dW_x, dW_h, dW_y, db_h, db_y
    dy = np.copy(p)
    dy[target] -= 1
    dW_y += dy @ h.T
    db_y += dy
    da = (W_y.T @ dy + dh_next) * (1 - h * h)
    dW_x += da @ x.T
    dW_h += da @ h_prev.T
    db_h += da
    return W_h.T @ da
""",
    "dW_h += da @ h_prev.T",
    "dW_h += da @ h.T",
)

DICT_IN_GLOBALS = Style(
    """
import numpy as np
from scipy_that_is_not_there import expit
H = 64
D = len(open("text.txt").read())

def forward(X, state):
    m = model
    h_old, c_old = state
    one = np.zeros((1, D))
    one[0, X] = 1.0
    z = np.column_stack((h_old, one))
    f, i, o = (expit(z @ m["W" + k] + m["b" + k]) for k in "fio")
    g = np.tanh(z @ m["Wc"] + m["bc"])
    c = f * c_old + i * g
    h = o * np.tanh(c)
    y = h @ m["Wy"] + m["by"]
    prob = np.exp(y) / np.exp(y).sum()
    return prob, (h, c), (m["Wf"], m["Wi"], m["Wo"], m["Wc"], m["Wy"], m["bf"], m["bi"], m["bo"], m["by"],
                          z, f, i, o, g, c, c_old, h)

def backward(prob, y_train, d_next, cache):
    Wf, Wi, Wo, Wc, Wy, bf, bi, bo, by, z, f, i, o, g, c, c_old, h = cache
    dh_next, dc_next = d_next
    dy = prob.copy()
    dy[0, y_train] -= 1.0
    dh = dy @ Wy.T + dh_next
    dc = dh * o * (1 - np.tanh(c) ** 2) + dc_next
    do = dh * np.tanh(c) * o * (1 - o)
    df = dc * c_old * f * (1 - f)
    di = dc * g * i * (1 - i)
    dg = dc * i * (1 - g * g)
    dz = df @ Wf.T + di @ Wi.T + do @ Wo.T + dg @ Wc.T
    grad = dict(Wf=z.T @ df, Wi=z.T @ di, Wo=z.T @ do, Wc=z.T @ dg, Wy=h.T @ dy)
    grad.update(bf=df, bi=di, bo=do, bc=dg, by=dy)
    return grad, (dz[:, :H], f * dc)
""",
    "df = dc * c_old * f",
    "df = dc * c * f",
)

VECTORS_OF_OUTPUTS = Style(
    """
import numpy as np

class Net:
    def __init__(self, input_size, hidden_size):
        self.Wxh = np.random.randn(hidden_size, input_size)
        self.Whh = np.random.randn(hidden_size, hidden_size)
        self.Why = np.random.randn(input_size, hidden_size)
        self.bh, self.by, self.b_unused = np.zeros((hidden_size, 1)), np.zeros((input_size, 1)), np.ones(3)
        self.mWxh = np.zeros_like(self.Wxh)
    def lossFun(self, inputs, targets, hprev):
        hs, ps, loss = {-1: hprev}, {}, 0
        for t in range(len(inputs)):
            hs[t] = np.tanh(self.Wxh @ inputs[t] + self.Whh @ hs[t - 1] + self.bh)
            y = self.Why @ hs[t] + self.by
            ps[t] = np.exp(y) / np.exp(y).sum()
            loss += -np.log(ps[t][targets[t], 0])
        dWxh, dWhh, dWhy = np.zeros_like(self.Wxh), np.zeros_like(self.Whh), np.zeros_like(self.Why)
        dbh, dby, dhnext = np.zeros_like(self.bh), np.zeros_like(self.by), np.zeros_like(hprev)
        for t in reversed(range(len(inputs))):
            dy = ps[t].copy()
            dy[targets[t]] -= 1
            dWhy += dy @ hs[t].T
            dby += dy
            da = (self.Why.T @ dy + dhnext) * (1 - hs[t] ** 2)
            dbh += da
            dWxh += da @ inputs[t].T
            dWhh += da @ hs[t - 1].T
            dhnext = self.Whh.T @ da
        return loss, [dWxh, dWhh, dWhy, dbh, dby], hs[len(inputs) - 1]
""",
    "dhnext = self.Whh.T @ da",
    "dhnext = self.Whh.T @ da * 0.5",
)

NOT_READ = Style(
    """
import numpy as np

class Net:
    def __init__(self, word_dim, hidden_dim=100, bptt_truncate=4):
        self.bptt_truncate = bptt_truncate
        self.U, self.W = np.random.randn(hidden_dim, word_dim), np.random.randn(hidden_dim, hidden_dim)
        self.V = np.random.randn(word_dim, hidden_dim)
        self.b_hidden, self.b_out = np.zeros((hidden_dim, 1)), np.zeros((word_dim, 1))
    def forward(self, x):
        s = np.zeros((len(x) + 1, self.W.shape[0]))
        o = np.zeros((len(x), self.V.shape[0]))
        for t in range(len(x)):
            s[t] = np.tanh(self.U[:, x[t]] + self.W @ s[t - 1])
            o[t] = np.exp(self.V @ s[t]) / np.exp(self.V @ s[t]).sum()
        return o, s
    def back_propagation_trough_time(self, x, y):
        o, s = self.forward(x)
        dU, dV, dW = np.zeros_like(self.U), np.zeros_like(self.V), np.zeros_like(self.W)
        o[np.arange(len(y)), y] -= 1
        for t in range(len(y)):
            dV += np.outer(o[t], s[t])
            delta = self.V.T @ o[t] * (1 - s[t] ** 2)
            for k in range(max(0, t - self.bptt_truncate), t + 1)[::-1]:
                dW += np.outer(delta, s[k - 1])
                dU[:, x[k]] += delta
                delta = self.W.T @ delta * (1 - s[k - 1] ** 2)
        return dV, dU, dW
""",
    "dU[:, x[k]] += delta",
    "dU[:, x[t]] += delta",
    "truncated by design",
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

STYLES = {
    "a class per gate, a method for the loss": GATE_CLASSES,
    "the bias as a row of the weights, static methods": BIAS_ROW,
    "linked state objects": NODES,
    "weights that are updated": UPDATES,
    "ascent, from the inputs that the object keeps": ASCENT,
    "globals from a text that is not there": GLOBALS,
    "a mean printed, a sum differentiated, the norm clipped": MEAN,
    "logits, and no loss": SQUARED,
    "gradients that add up in a dict": GRADS_IN_DICT,
    "a dict of states by time": DICT_OF_STEPS,
    "the loss in the forward": LOSS_IN_FORWARD,
    "Python 2": PYTHON2,
    "one target for the last step": MANY_TO_ONE,
    "gradients in globals, one-hot inputs": GRADIENTS_IN_GLOBALS,
    "a dict of parameters in a global": DICT_IN_GLOBALS,
    "inputs of the outputs' size": VECTORS_OF_OUTPUTS,
    "parameters that nothing reads, a number of steps": NOT_READ,
    "clipped on the way in": CONSTRUCTOR_WITH_SCALE,
}
