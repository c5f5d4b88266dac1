import numpy as np


class OneWay:
    def __init__(self, nx, nh, flip):
        self.flip = flip
        self.par = [np.random.randn(nx, nh), np.random.randn(nh, nh), np.random.randn(nh)]

    def read(self, xs):
        V, U, b = self.par
        seq = xs[::-1] if self.flip else xs
        self.xs, self.hs = seq, [np.zeros((xs.shape[1], len(b)))]
        for x in seq:
            self.hs.append(np.tanh(x @ V + self.hs[-1] @ U + b))
        hs = np.stack(self.hs[1:])
        return hs[::-1] if self.flip else hs

    def unread(self, dhs):
        V, U, b = self.par
        if self.flip:
            dhs = dhs[::-1]
        self.gpar = dV, dU, db = [np.zeros_like(a) for a in self.par]
        dxs, carry = np.zeros_like(self.xs), np.zeros_like(self.hs[0])
        for t in range(len(dhs) - 1, -1, -1):
            da = (dhs[t] + carry) * (1 - self.hs[t + 1] ** 2)
            dV += self.xs[t].T @ da
            dU += self.hs[t].T @ da
            db += da.sum(0)
            dxs[t] = da @ V.T
            carry = da @ U.T
        return dxs[::-1] if self.flip else dxs


class BothWays:
    def __init__(self, nx, nh, ny):
        self.lr, self.rl = OneWay(nx, nh, False), OneWay(nx, nh, True)
        self.top = np.random.randn(2 * nh, ny)

    def predict(self, xs):
        self.joined = np.concatenate([self.lr.read(xs), self.rl.read(xs)], axis=-1)
        return self.joined @ self.top

    def learn_from(self, dys):
        self.gtop = np.tensordot(self.joined, dys, ((0, 1), (0, 1)))
        djoined = dys @ self.top.T
        left, right = np.split(djoined, 2, axis=-1)
        return self.lr.unread(left) + self.rl.unread(right)
