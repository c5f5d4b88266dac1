"""A word model: table of words, LSTM, softmax over all words. train_on updates the weights by Adagrad itself."""
import numpy as np


class Phrases:
    def __init__(self, words, size, cells, rate=0.1):
        u = lambda *s: np.random.uniform(-0.5, 0.5, s)
        self.model = {"table": u(words, size), "lstm": u(size + cells + 1, 4 * cells), "soft": u(cells, words)}
        self.memory = {k: np.zeros_like(v) for k, v in self.model.items()}
        self.cells, self.rate = cells, rate

    def forward(self, ids, nxt):
        m, H = self.model, self.cells
        h, c, self.steps, nll = np.zeros(H), np.zeros(H), [], 0.0
        for i, j in zip(ids, nxt):
            row = np.concatenate([m["table"][i], h, [1.0]])
            a = row @ m["lstm"]
            gates = 1 / (1 + np.exp(-a[: 3 * H]))
            put, drop, show = gates[:H], gates[H : 2 * H], gates[2 * H :]
            cand = np.tanh(a[3 * H :])
            c_new = put * cand + drop * c
            h = show * np.tanh(c_new)
            z = h @ m["soft"]
            prob = np.exp(z - z.max())
            prob /= prob.sum()
            nll -= np.log(prob[j])
            self.steps.append((i, j, row, put, drop, show, cand, c, c_new, h, prob))
            c = c_new
        return nll

    def train_on(self, ids, nxt):
        nll = self.forward(ids, nxt)
        m, H, W = self.model, self.cells, self.model["table"].shape[1]
        grad = {k: np.zeros_like(v) for k, v in m.items()}
        dh, dc = np.zeros(H), np.zeros(H)
        for i, j, row, put, drop, show, cand, c, c_new, h, prob in self.steps[::-1]:
            dz = prob.copy()
            dz[j] -= 1
            grad["soft"] += np.outer(h, dz)
            dh = dh + m["soft"] @ dz
            tc = np.tanh(c_new)
            dc = dc + dh * show * (1 - tc * tc)
            dgates = np.concatenate([dc * cand, dc * c, dh * tc])
            gates = np.concatenate([put, drop, show])
            da = np.concatenate([dgates * gates * (1 - gates), dc * put * (1 - cand**2)])
            grad["lstm"] += np.outer(row, da)
            drow = m["lstm"] @ da
            grad["table"][i] += drow[:W]
            dh = drow[W:-1]
            dc = dc * drop
        for k in m:
            self.memory[k] += grad[k] ** 2
            m[k] -= self.rate * grad[k] / np.sqrt(self.memory[k] + 1e-8)
        return nll / len(ids)
