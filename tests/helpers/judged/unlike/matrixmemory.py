"""A matrix for a state: each step writes value x key into it, fades it, and reads it with a query."""
import numpy as np


def features(v):
    return np.where(v > 0, v + 1, np.exp(np.minimum(v, 0)))


def features_slope(v):
    return np.where(v > 0, 1.0, np.exp(np.minimum(v, 0)))


class MatrixMemory:
    def __init__(self, size, keys, values):
        self.Wk = np.random.normal(0, 0.7, (keys, size))
        self.Wq = np.random.normal(0, 0.7, (keys, size))
        self.Wv = np.random.normal(0, 0.7, (values, size))
        self.fade = np.array(0.8)

    def scan(self, xs, memory):
        self.notebook, reads = [], []
        for x in xs:
            k, q, v = self.Wk @ x, self.Wq @ x, self.Wv @ x
            old, memory = memory, self.fade * memory + np.outer(v, features(k))
            reads.append(memory @ features(q))
            self.notebook.append((x, k, q, v, old, memory))
        self.final = memory
        return np.array(reads)

    def scan_back(self, dreads, dmemory=None):
        gk, gq, gv, gfade = 0 * self.Wk, 0 * self.Wq, 0 * self.Wv, 0 * self.fade
        carry = 0 * self.final if dmemory is None else dmemory
        dxs = []
        for dread, (x, k, q, v, old, memory) in list(zip(dreads, self.notebook))[::-1]:
            carry = carry + np.outer(dread, features(q))
            dq = memory.T @ dread * features_slope(q)
            dv = carry @ features(k)
            dk = carry.T @ v * features_slope(k)
            gfade = gfade + (carry * old).sum()
            gk, gq, gv = gk + np.outer(dk, x), gq + np.outer(dq, x), gv + np.outer(dv, x)
            dxs.append(self.Wk.T @ dk + self.Wq.T @ dq + self.Wv.T @ dv)
            carry = self.fade * carry
        return {"Wk": gk, "Wq": gq, "Wv": gv, "fade": gfade}, np.array(dxs[::-1]), carry
