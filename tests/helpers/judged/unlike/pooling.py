"""Convolutions over pairs of steps make the gates of all steps at once; only a forgetting sum runs through time."""
import numpy as np


class ForgetPool:
    def __init__(self, d, n):
        self.W = {g: np.random.randn(2, d, n) for g in "zfo"}
        self.b = np.random.randn(3, n)

    @staticmethod
    def shifted(X):
        return np.concatenate([np.zeros_like(X[:1]), X[:-1]])

    def forward(self, X):
        """X (T, N, d) to H (T, N, n)."""
        self.X, self.X1 = X, self.shifted(X)
        Z, F, O = (self.X1 @ self.W[g][0] + X @ self.W[g][1] + b for g, b in zip("zfo", self.b))
        Z, F, O = np.tanh(Z), 1 / (1 + np.exp(-F)), 1 / (1 + np.exp(-O))
        C = np.empty_like(Z)
        c = 0
        for t in range(len(X)):
            c = C[t] = F[t] * c + (1 - F[t]) * Z[t]
        self.saved = Z, F, O, C
        return O * C

    def backward(self, dH):
        Z, F, O, C = self.saved
        dC = dH * O
        for t in range(len(dH) - 1, 0, -1):
            dC[t - 1] += F[t] * dC[t]
        before = self.shifted(C)
        dA = {"z": dC * (1 - F) * (1 - Z**2), "f": dC * (before - Z) * F * (1 - F), "o": dH * C * O * (1 - O)}
        self.db = np.array([dA[g].sum(axis=(0, 1)) for g in "zfo"])
        self.dW, dX = {}, np.zeros_like(self.X)
        for g, d in dA.items():
            self.dW[g] = np.stack([np.einsum("tnd,tnh->dh", X, d) for X in (self.X1, self.X)])
            dX += d @ self.W[g][1].T
            dX[:-1] += d[1:] @ self.W[g][0].T
        return dX
