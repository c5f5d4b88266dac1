"""Leaky rates that are integrated by Euler's method; each neuron learns its own time constant."""
import numpy as np

DT = 0.5


class Rates:
    def __init__(self, n_in, n, n_out):
        self.J = 1.2 * np.random.randn(n, n) / np.sqrt(n)
        self.B = np.random.randn(n, n_in)
        self.C = np.random.randn(n_out, n)
        self.log_tau = 0.3 * np.random.randn(n, 1)

    def simulate(self, u):
        """u: (T, n_in, trials)"""
        T, _, K = u.shape
        n = self.J.shape[0]
        self.u, self.v = u, np.zeros((T + 1, n, K))
        self.r, self.drive = np.zeros((T + 1, n, K)), np.zeros((T, n, K))
        for t in range(T):
            self.drive[t] = -self.v[t] + self.J @ self.r[t] + self.B @ u[t]
            self.v[t + 1] = self.v[t] + DT * np.exp(-self.log_tau) * self.drive[t]
            self.r[t + 1] = np.tanh(self.v[t + 1])
        return np.matmul(self.C, self.r[1:])

    def mse(self, u, target):
        self.err = self.simulate(u) - target
        return 0.5 * (self.err**2).sum() / self.err.shape[-1]

    def adjoint(self):
        T, _, K = self.u.shape
        e = self.err / K
        dC = sum(e[t] @ self.r[t + 1].T for t in range(T))
        dJ, dB, dlog = np.zeros_like(self.J), np.zeros_like(self.B), np.zeros_like(self.log_tau)
        lam = np.zeros_like(self.v[0])
        rate = DT * np.exp(-self.log_tau)
        psi = np.zeros_like(lam)
        for t in range(T - 1, -1, -1):
            lam = lam + (self.C.T @ e[t] + psi) * (1 - self.r[t + 1] ** 2)
            w = rate * lam
            dlog -= (w * self.drive[t]).sum(axis=1, keepdims=True)
            dJ += w @ self.r[t].T
            dB += w @ self.u[t].T
            psi = self.J.T @ w
            lam = lam - w
        return {"J": dJ, "B": dB, "C": dC, "log_tau": dlog}
