"""Independent recurrent units, rectified; arrays are (batch, channel, time); buffers are filled in place."""
import numpy as np


class IndRNNLayer:
    def __init__(self, channels_in, channels, batch, length):
        self.K = np.random.uniform(-1, 1, (channels, channels_in))
        self.recur = np.random.uniform(-1, 1, channels)
        self.shift = np.random.uniform(-1, 1, channels)
        self.state = np.zeros((batch, channels, length + 1))
        self.grad_state = np.zeros_like(self.state)
        self.pre = np.zeros((batch, channels, length))

    def __call__(self, signal):
        self.signal = signal
        self.pre[...] = np.einsum("oc,bct->bot", self.K, signal)
        for t in range(signal.shape[-1]):
            self.pre[..., t] += self.recur * self.state[..., t] + self.shift
            np.maximum(self.pre[..., t], 0, out=self.state[..., t + 1])
        return self.state[..., 1:]

    def backprop(self, grad_out):
        gs = self.grad_state
        gs.fill(0)
        gs[..., 1:] += grad_out
        self.dK, self.drecur, self.dshift = np.zeros_like(self.K), np.zeros_like(self.recur), np.zeros_like(self.shift)
        grad_signal = np.empty_like(self.signal)
        for t in range(self.signal.shape[-1] - 1, -1, -1):
            gp = gs[..., t + 1] * (self.pre[..., t] > 0)
            self.dK += np.einsum("bo,bc->oc", gp, self.signal[..., t])
            self.drecur += np.einsum("bo,bo->o", gp, self.state[..., t])
            self.dshift += np.einsum("bo->o", gp)
            grad_signal[..., t] = np.einsum("bo,oc->bc", gp, self.K)
            gs[..., t] += gp * self.recur
        return grad_signal
