"""Layers in a list, functions by name, targets as one-hot rows, gradients kept in a list of pairs."""
import numpy as np

FUNCS = {
    "elu": (lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))), lambda a: np.where(a > 0, 1.0, np.exp(np.minimum(a, 0)))),
    "softplus": (lambda a: np.logaddexp(0, a), lambda a: 1 / (1 + np.exp(-a))),
    "linear": (lambda a: a, lambda a: np.ones_like(a)),
}


class Perceptron(object):
    def __init__(self, sizes, names):
        self.names = names
        self.layers = [[np.random.randn(m, n), np.random.randn(m)] for n, m in zip(sizes[:-1], sizes[1:])]

    def feed(self, batch):
        self.zs, self.acts = [], [batch]
        for (w, b), name in zip(self.layers, self.names):
            self.zs.append(np.dot(self.acts[-1], w.T) + b)
            self.acts.append(FUNCS[name][0](self.zs[-1]))
        return self.acts[-1]

    def objective(self, batch, onehot, decay=0.01):
        s = self.feed(batch)
        logp = s - np.log(np.exp(s).sum(1))[:, None]
        return -(onehot * logp).sum() / len(batch) + decay / 2 * sum((w**2).sum() for w, _ in self.layers)

    def gradient(self, batch, onehot, decay=0.01):
        s = self.feed(batch)
        soft = np.exp(s) / np.exp(s).sum(1)[:, None]
        delta = (soft - onehot) / len(batch) * FUNCS[self.names[-1]][1](self.zs[-1])
        nabla = []
        for l in range(1, len(self.layers) + 1):
            w = self.layers[-l][0]
            nabla.append((np.dot(delta.T, self.acts[-l - 1]) + decay * w, delta.sum(axis=0)))
            if l < len(self.layers):
                delta = np.dot(delta, w) * FUNCS[self.names[-l - 1]][1](self.zs[-l - 1])
        nabla.reverse()
        return nabla
