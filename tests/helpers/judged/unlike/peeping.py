import numpy as np

sigma = lambda z: 1.0 / (1.0 + np.exp(-z))


class Tensor:
    def __init__(self, *shape):
        self.value = np.random.randn(*shape)
        self.grad = None


class Peeping:
    """An LSTM whose gates look at the cell; parameters are Tensors in a dict, states dicts of time."""

    def __init__(self, D, H):
        self.t = {"W": Tensor(4 * H, D + H), "b": Tensor(4 * H, 1), "pi": Tensor(H, 1), "pf": Tensor(H, 1), "po": Tensor(H, 1)}
        self.D, self.H = D, H

    def run(self, X):
        v = {k: t.value for k, t in self.t.items()}
        T, _, N = X.shape
        self.s = s = {"x": X, "h": {-1: np.zeros((self.H, N))}, "c": {-1: np.zeros((self.H, N))}, "i": {}, "f": {}, "g": {}, "o": {}}
        for t in range(T):
            z = v["W"] @ np.concatenate((X[t], s["h"][t - 1])) + v["b"]
            zi, zf, zg, zo = z.reshape(4, self.H, N)
            s["i"][t] = sigma(zi + v["pi"] * s["c"][t - 1])
            s["f"][t] = sigma(zf + v["pf"] * s["c"][t - 1])
            s["g"][t] = np.tanh(zg)
            s["c"][t] = s["f"][t] * s["c"][t - 1] + s["i"][t] * s["g"][t]
            s["o"][t] = sigma(zo + v["po"] * s["c"][t])
            s["h"][t] = s["o"][t] * np.tanh(s["c"][t])
        return np.array([s["h"][t] for t in range(T)])

    def trace(self, dH):
        s, v = self.s, {k: t.value for k, t in self.t.items()}
        for t in self.t.values():
            t.grad = np.zeros_like(t.value)
        gh, gc = np.zeros_like(dH[0]), np.zeros_like(dH[0])
        dX = np.zeros_like(s["x"])
        for t in range(len(dH) - 1, -1, -1):
            i, f, g, o, c, cp = s["i"][t], s["f"][t], s["g"][t], s["o"][t], s["c"][t], s["c"][t - 1]
            gh = gh + dH[t]
            zo = gh * np.tanh(c) * o * (1 - o)
            gc = gc + gh * o * (1 - np.tanh(c) ** 2) + zo * v["po"]
            zi, zf, zg = gc * g * i * (1 - i), gc * cp * f * (1 - f), gc * i * (1 - g**2)
            z = np.concatenate((zi, zf, zg, zo))
            self.t["W"].grad += z @ np.concatenate((s["x"][t], s["h"][t - 1])).T
            self.t["b"].grad += z.sum(1, keepdims=True)
            self.t["pi"].grad += (zi * cp).sum(1, keepdims=True)
            self.t["pf"].grad += (zf * cp).sum(1, keepdims=True)
            self.t["po"].grad += (zo * c).sum(1, keepdims=True)
            both = v["W"].T @ z
            dX[t], gh = both[: self.D], both[self.D :]
            gc = gc * f + zi * v["pi"] + zf * v["pf"]
        return dX
