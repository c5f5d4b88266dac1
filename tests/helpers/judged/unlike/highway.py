"""A recurrent highway: two gated storeys inside each step of time; carry and transform are coupled."""
import numpy as np


class RecurrentHighway:
    depth = 2

    def __init__(self, nin, n):
        self.Wh, self.Wt = np.random.randn(nin, n), np.random.randn(nin, n)
        self.Rh = [np.random.randn(n, n) for _ in range(self.depth)]
        self.Rt = [np.random.randn(n, n) for _ in range(self.depth)]

    def drive(self, road, s):
        self.trip = []
        for x in road:
            for storey in range(self.depth):
                first = float(storey == 0)
                h = np.tanh(first * (x @ self.Wh) + s @ self.Rh[storey])
                t = 1 / (1 + np.exp(-(first * (x @ self.Wt) + s @ self.Rt[storey] - 1)))
                self.trip.append((x, storey, s, h, t))
                s = h * t + s * (1 - t)
        return s

    def drive_home(self, ds):
        grads = {
            "Wh": np.zeros_like(self.Wh), "Wt": np.zeros_like(self.Wt),
            "Rh": [np.zeros_like(r) for r in self.Rh], "Rt": [np.zeros_like(r) for r in self.Rt],
        }  # fmt: skip
        while self.trip:
            x, storey, s, h, t = self.trip.pop()
            dah = ds * t * (1 - h**2)
            dat = ds * (h - s) * t * (1 - t)
            grads["Rh"][storey] += s.T @ dah
            grads["Rt"][storey] += s.T @ dat
            if storey == 0:
                grads["Wh"] += x.T @ dah
                grads["Wt"] += x.T @ dat
            ds = ds * (1 - t) + dah @ self.Rh[storey].T + dat @ self.Rt[storey].T
        return grads, ds
