"""Jordan's network: the last answer comes back as an input. Vectors, squared error, plain gradient steps."""
import numpy as np


def logistic(v):
    return 1 / (1 + np.exp(-v))


class Jordan:
    def __init__(self, ins, hid, outs, eta=0.3):
        self.win = np.random.uniform(-1, 1, (hid, ins))
        self.wctx = np.random.uniform(-1, 1, (hid, outs))
        self.wout = np.random.uniform(-1, 1, (outs, hid))
        self.eta = eta

    def respond(self, pattern):
        ctx = np.full(self.wout.shape[0], 0.5)
        self.trace = []
        for x in pattern:
            hid = logistic(self.win @ x + self.wctx @ ctx)
            out = logistic(self.wout @ hid)
            self.trace.append((x, ctx, hid, out))
            ctx = out
        return [step[3] for step in self.trace]

    def sse(self, pattern, desired):
        return sum(((o - d) ** 2).sum() for o, d in zip(self.respond(pattern), desired)) / 2

    def teach(self, pattern, desired):
        error = self.sse(pattern, desired)
        up_in, up_ctx, up_out = np.zeros(self.win.shape), np.zeros(self.wctx.shape), np.zeros(self.wout.shape)
        from_future = np.zeros(len(self.wout))
        for (x, ctx, hid, out), want in zip(self.trace[::-1], desired[::-1]):
            delta_out = (out - want + from_future) * out * (1 - out)
            delta_hid = (self.wout.T @ delta_out) * hid * (1 - hid)
            up_out += np.outer(delta_out, hid)
            up_in += np.outer(delta_hid, x)
            up_ctx += np.outer(delta_hid, ctx)
            from_future = self.wctx.T @ delta_hid
        self.win -= self.eta * up_in
        self.wctx -= self.eta * up_ctx
        self.wout -= self.eta * up_out
        return error
