"""A state that hears from the last step and from three steps ago; class scores at each step; loss is a mean."""
import numpy as np


class Dilated:
    SKIP = 3

    def __init__(self, n_feat, n_state, n_class):
        self.weights = {
            "x": np.random.randn(n_state, n_feat),
            "near": np.random.randn(n_state, n_state) * 0.5,
            "far": np.random.randn(n_state, n_state) * 0.5,
            "out": np.random.randn(n_class, n_state),
        }

    def states(self, x):
        w, zero = self.weights, np.zeros((len(self.weights["x"]), x.shape[2]))
        s = []
        for t in range(len(x)):
            near = s[t - 1] if t >= 1 else zero
            far = s[t - self.SKIP] if t >= self.SKIP else zero
            s.append(np.tanh(w["x"] @ x[t] + w["near"] @ near + w["far"] @ far))
        return s

    def nll(self, x, onehot):
        self.x, self.y, self.s = x, onehot, self.states(x)
        logits = np.stack([self.weights["out"] @ s for s in self.s])
        logits -= logits.max(axis=1, keepdims=True)
        self.p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return -(onehot * np.log(self.p)).sum(axis=1).mean()

    def grad(self):
        w, g = self.weights, {k: np.zeros_like(v) for k, v in self.weights.items()}
        T, _, N = self.p.shape
        ds = [w["out"].T @ d for d in (self.p - self.y) / (T * N)]
        for t in range(T - 1, -1, -1):
            g["out"] += (self.p[t] - self.y[t]) @ self.s[t].T / (T * N)
            da = ds[t] * (1 - self.s[t] ** 2)
            g["x"] += da @ self.x[t].T
            if t >= 1:
                g["near"] += da @ self.s[t - 1].T
                ds[t - 1] = ds[t - 1] + w["near"].T @ da
            if t >= self.SKIP:
                g["far"] += da @ self.s[t - self.SKIP].T
                ds[t - self.SKIP] = ds[t - self.SKIP] + w["far"].T @ da
        return g
