"""An echo state network: a fixed reservoir, a trained readout, and three trained dials (gain, reach, leak)."""
import numpy as np


class EchoState:
    def __init__(self, n, d, k):
        self._A = np.random.uniform(-1, 1, (n, n))
        self._A /= max(abs(np.linalg.eigvals(self._A)))
        self._B = np.random.uniform(-1, 1, (n, d))
        self.readout = np.random.normal(0, 1, (k, n + 1))
        self.dials = np.array([0.9, 0.7, 0.4])

    def listen(self, series):
        gain, reach, leak = self.dials
        state = np.zeros(self._A.shape[0])
        self._log = []
        answers = []
        for value in series:
            rec, inp = self._A @ state, self._B @ value
            bent = np.tanh(gain * rec + reach * inp)
            self._log.append((state, rec, inp, bent))
            state = (1 - leak) * state + leak * bent
            answers.append(self.readout @ np.append(state, 1.0))
        self._last = state
        return np.array(answers)

    def fit_step(self, series, wanted, ridge=0.01):
        answers = self.listen(series)
        gap = answers - wanted
        self.loss = (gap**2).mean() + ridge * (self.readout**2).sum()
        slope = 2 * gap / gap.size
        self.readout_grad = 2 * ridge * self.readout
        self.dials_grad = np.zeros(3)
        gain, reach, leak = self.dials
        after, dstate = self._last, np.zeros_like(self._last)
        for (state, rec, inp, bent), s in zip(reversed(self._log), reversed(slope)):
            self.readout_grad += np.outer(s, np.append(after, 1.0))
            dstate = dstate + (self.readout.T @ s)[:-1]
            dpre = dstate * leak * (1 - bent**2)
            self.dials_grad += [dpre @ rec, dpre @ inp, dstate @ (bent - state)]
            dstate = (1 - leak) * dstate + gain * self._A.T @ dpre
            after = state
        return self.loss
