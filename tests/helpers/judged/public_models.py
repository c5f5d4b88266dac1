"""Whole models in the styles in which people publish them: objects with a loss and targets."""

from judged.style import Style

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


MODELS = {
    "linked state objects": NODES,
    "ascent, from the inputs that the object keeps": ASCENT,
    "a class per gate, a method for the loss": GATE_CLASSES,
    "one target for the last step": MANY_TO_ONE,
    "inputs of the outputs' size": VECTORS_OF_OUTPUTS,
    "parameters that nothing reads, a number of steps": NOT_READ,
}
