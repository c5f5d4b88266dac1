"""Two LSTM layers as a linked list: every moment is an object that knows the one before it; dropped units between."""
import numpy as np


class Moment:
    def __init__(self, layer, x, earlier):
        self.layer, self.x, self.earlier = layer, x, earlier
        self.joined = np.r_[x, earlier.h, 1]
        a = layer.M @ self.joined
        self.i, self.f, self.o = (1 / (1 + np.exp(-part)) for part in np.split(a[: 3 * layer.n], 3))
        self.g = np.tanh(a[3 * layer.n :])
        self.c = self.f * earlier.c + self.i * self.g
        self.h = self.o * np.tanh(self.c)
        self.dh, self.dc = np.zeros(layer.n), np.zeros(layer.n)

    def undo(self):
        tanh_c = np.tanh(self.c)
        self.dc += self.dh * self.o * (1 - tanh_c**2)
        da = np.concatenate([
            self.dc * self.g * self.i * (1 - self.i),
            self.dc * self.earlier.c * self.f * (1 - self.f),
            self.dh * tanh_c * self.o * (1 - self.o),
            self.dc * self.i * (1 - self.g**2),
        ])
        self.layer.dM += np.outer(da, self.joined)
        back = self.layer.M.T @ da
        self.earlier.dh += back[len(self.x) : -1]
        self.earlier.dc += self.dc * self.f
        return back[: len(self.x)]


class Start:
    def __init__(self, n):
        self.h, self.c, self.dh, self.dc = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)


class LayerOf:
    def __init__(self, d, n):
        self.n, self.M = n, np.random.randn(4 * n, d + n + 1)
        self.dM = np.zeros_like(self.M)


def chain(lower, upper, xs, masks):
    a, b, pairs = Start(lower.n), Start(upper.n), []
    for x, mask in zip(xs, masks):
        a = Moment(lower, x, a)
        b = Moment(upper, a.h * mask / 0.5, b)
        pairs.append((a, b))
    return pairs


def unchain(pairs, masks, slopes):
    dxs = []
    for (a, b), mask, slope in zip(pairs[::-1], masks[::-1], slopes[::-1]):
        b.dh += slope
        a.dh += b.undo() * mask / 0.5
        dxs.append(a.undo())
    return dxs[::-1]
