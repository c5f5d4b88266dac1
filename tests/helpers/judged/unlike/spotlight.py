"""A plain recurrent reader, then attention with a learned query over all its states, then one regression."""
import numpy as np


class Spotlight:
    def __init__(self, d, k, a):
        n = np.random.normal
        self.E, self.R = n(size=(k, d)), n(size=(k, k))
        self.K, self.q = n(size=(a, k)), n(size=a)
        self.out = n(size=k)

    def energy(self, x, y):
        """x is (T, d), y a number."""
        T = len(x)
        S = np.zeros((T + 1, len(self.out)))
        for t in range(T):
            S[t + 1] = np.tanh(self.E.dot(x[t]) + self.R.dot(S[t]))
        keys = np.tanh(S[1:].dot(self.K.T))
        score = keys.dot(self.q)
        alpha = np.exp(score - score.max())
        alpha /= alpha.sum()
        context = alpha.dot(S[1:])
        guess = context.dot(self.out)
        self.mem = x, S, keys, alpha, context, guess - y
        return 0.5 * (guess - y) ** 2

    def slopes(self):
        x, S, keys, alpha, context, err = self.mem
        g = {"out": err * context}
        dcontext = err * self.out
        dalpha = S[1:].dot(dcontext)
        dS = np.outer(alpha, dcontext)
        dscore = alpha * (dalpha - alpha.dot(dalpha))
        g["q"] = dscore.dot(keys)
        dpre = np.outer(dscore, self.q) * (1 - keys**2)
        g["K"] = dpre.T.dot(S[1:])
        dS += dpre.dot(self.K)
        g["E"], g["R"] = np.zeros(self.E.shape), np.zeros(self.R.shape)
        carry = np.zeros(len(self.out))
        for t in range(len(x) - 1, -1, -1):
            da = (dS[t] + carry) * (1 - S[t + 1] ** 2)
            g["E"] += np.outer(da, x[t])
            g["R"] += np.outer(da, S[t])
            carry = self.R.T.dot(da)
        return g
