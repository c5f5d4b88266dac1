"""A small convolutional net over one-dimensional signals: convolve, rectify, pool, classify."""
import numpy as np


def conv_fwd(x, k, b):
    N, C, L = x.shape
    F, _, S = k.shape
    out = np.empty((N, F, L - S + 1))
    for i in range(out.shape[2]):
        out[:, :, i] = np.tensordot(x[:, :, i:i + S], k, axes=([1, 2], [1, 2])) + b
    return out, (x, k)


def conv_bwd(dout, cache):
    x, k = cache
    S = k.shape[2]
    dx, dk, db = np.zeros_like(x), np.zeros_like(k), dout.sum(axis=(0, 2))
    for i in range(dout.shape[2]):
        here = dout[:, :, i]
        dk += np.tensordot(here, x[:, :, i:i + S], axes=([0], [0]))
        dx[:, :, i:i + S] += np.tensordot(here, k, axes=([1], [0]))
    return dx, dk, db


def pool_fwd(x):
    N, F, L = x.shape
    pairs = x[:, :, :L // 2 * 2].reshape(N, F, L // 2, 2)
    return pairs.max(axis=3), (x.shape, pairs.argmax(axis=3))


def pool_bwd(dout, cache):
    shape, which = cache
    N, F, L = shape
    dpairs = (np.arange(2) == which[..., None]) * dout[..., None]
    dx = np.zeros(shape)
    dx[:, :, :L // 2 * 2] = dpairs.reshape(N, F, L // 2 * 2)
    return dx


class Stripes:
    def __init__(self, channels, filters, span, length, classes):
        flat = filters * ((length - span + 1) // 2)
        self.params = {"k": np.random.randn(filters, channels, span), "kb": np.random.randn(filters),
                       "w": np.random.randn(flat, classes), "wb": np.random.randn(classes)}  # fmt: skip

    def loss(self, X, y=None):
        k, kb, w, wb = (self.params[n] for n in ("k", "kb", "w", "wb"))
        a, c1 = conv_fwd(X, k, kb)
        r = np.where(a > 0, a, 0.1 * a)
        p, c2 = pool_fwd(r)
        f = p.reshape(len(X), -1)
        scores = f @ w + wb
        if y is None:
            return scores
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(probs[range(len(y)), y]).mean()
        ds = (probs - (np.arange(len(wb)) == np.array(y)[:, None])) / len(y)
        grads = {"w": f.T @ ds, "wb": ds.sum(axis=0)}
        dp = (ds @ w.T).reshape(p.shape)
        dr = pool_bwd(dp, c2)
        da = dr * np.where(a > 0, 1, 0.1)
        _, grads["k"], grads["kb"] = conv_bwd(da, c1)
        return loss, grads
