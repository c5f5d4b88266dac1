"""Reads one sentence, writes another: two GRUs without biases (the reset inside the product), tokens, one-hot rows."""
import numpy as np


class Unit:
    def __init__(self, words, size):
        self.w = {k: np.random.randn(words if k[0] == "x" else size, size) * 0.7 for k in ("xz", "xr", "xn", "hz", "hr", "hn")}
        self.zero()

    def zero(self):
        self.g = {k: np.zeros_like(v) for k, v in self.w.items()}
        self.past = []

    def tick(self, word, h):
        w = self.w
        z = 1 / (1 + np.exp(-(w["xz"][word] + h @ w["hz"])))
        r = 1 / (1 + np.exp(-(w["xr"][word] + h @ w["hr"])))
        q = h @ w["hn"]
        n = np.tanh(w["xn"][word] + r * q)
        self.past.append((word, h, z, r, q, n))
        return z * h + (1 - z) * n

    def tock(self, dh):
        w, g = self.w, self.g
        word, h, z, r, q, n = self.past.pop()
        dn = dh * (1 - z) * (1 - n**2)
        dz = dh * (h - n) * z * (1 - z)
        dr = dn * q * r * (1 - r)
        dq = dn * r
        for key, d in (("n", dn), ("z", dz), ("r", dr)):
            g["x" + key][word] += d
        g["hn"] += np.outer(h, dq)
        g["hz"] += np.outer(h, dz)
        g["hr"] += np.outer(h, dr)
        return dh * z + dq @ w["hn"].T + dz @ w["hz"].T + dr @ w["hr"].T


class Translator:
    def __init__(self, source, target, size):
        self.reader, self.writer = Unit(source, size), Unit(target, size)
        self.choose = np.random.randn(size, target)

    def surprise(self, heard, said):
        """Token 0 of the target begins a sentence."""
        self.reader.zero(), self.writer.zero()
        h = np.zeros(len(self.choose))
        for word in heard:
            h = self.reader.tick(word, h)
        self.notes, total = [], 0.0
        for previous, word in zip([0, *said[:-1]], said):
            h = self.writer.tick(previous, h)
            e = np.exp(h @ self.choose)
            self.notes.append((h, e / e.sum(), word))
            total -= np.log(e[word] / e.sum())
        return total / len(said)

    def regret(self):
        self.gchoose, dh, share = np.zeros_like(self.choose), 0, 1 / len(self.notes)
        while self.notes:
            h, p, word = self.notes.pop()
            d = p * share
            d[word] -= share
            self.gchoose += np.outer(h, d)
            dh = self.writer.tock(dh + self.choose @ d)
        while self.reader.past:
            dh = self.reader.tock(dh)
