"""A transformer's block for one sequence: causal attention in two heads, norms before, a smooth two-layer net."""
import numpy as np


class Norm:
    def __init__(self, d):
        self.g, self.b = np.random.randn(d), np.random.randn(d)

    def fwd(self, x):
        mu, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        self.inv = 1 / np.sqrt(var + 1e-5)
        self.hat = (x - mu) * self.inv
        return self.hat * self.g + self.b

    def bwd(self, dy):
        self.dg, self.db = (dy * self.hat).sum(0), dy.sum(0)
        dhat = dy * self.g
        return self.inv * (dhat - dhat.mean(-1, keepdims=True) - self.hat * (dhat * self.hat).mean(-1, keepdims=True))


class Block:
    def __init__(self, d, heads, wide):
        r = np.random.randn
        self.h = heads
        self.n1, self.n2 = Norm(d), Norm(d)
        self.Wqkv, self.Wo, self.W1, self.W2 = r(d, 3 * d) / 2, r(d, d) / 2, r(d, wide) / 2, r(wide, d) / 2

    def split(self, m):
        return m.reshape(len(m), self.h, -1).swapaxes(0, 1)

    def merge(self, m):
        return m.swapaxes(0, 1).reshape(m.shape[1], -1)

    def forward(self, x):
        self.a = self.n1.fwd(x)
        self.q, self.k, self.v = (self.split(m) for m in np.split(self.a @ self.Wqkv, 3, axis=1))
        self.scale = self.q.shape[-1] ** -0.5
        s = self.q @ self.k.swapaxes(1, 2) * self.scale
        s = np.where(np.tri(len(x)) > 0, s, -np.inf)
        e = np.exp(s - s.max(-1, keepdims=True))
        self.p = e / e.sum(-1, keepdims=True)
        self.z = self.merge(self.p @ self.v)
        x = x + self.z @ self.Wo
        self.m = self.n2.fwd(x)
        self.u = self.m @ self.W1
        self.s = 1 / (1 + np.exp(-self.u))
        return x + (self.u * self.s) @ self.W2

    def backward(self, dy):
        self.dW2 = (self.u * self.s).T @ dy
        du = dy @ self.W2.T * (self.s + self.u * self.s * (1 - self.s))
        self.dW1 = self.m.T @ du
        dx = dy + self.n2.bwd(du @ self.W1.T)
        self.dWo = self.z.T @ dx
        dz = self.split(dx @ self.Wo.T)
        dp = dz @ self.v.swapaxes(1, 2)
        ds = self.p * (dp - (dp * self.p).sum(-1, keepdims=True)) * self.scale
        dq, dk, dv = ds @ self.k, ds.swapaxes(1, 2) @ self.q, self.p.swapaxes(1, 2) @ dz
        dqkv = np.hstack([self.merge(m) for m in (dq, dk, dv)])
        self.dWqkv = self.a.T @ dqkv
        return dx + self.n1.bwd(dqkv @ self.Wqkv.T)
