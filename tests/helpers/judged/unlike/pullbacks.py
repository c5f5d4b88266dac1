"""A GRU made of closures: a step gives back its value and the function that pulls gradients through it."""
import numpy as np


def squash(v):
    s = 1 / (1 + np.exp(-v))
    return s, lambda ds: ds * s * (1 - s)


def bend(v):
    b = np.tanh(v)
    return b, lambda db: db * (1 - b * b)


def affine(theta, x, h):
    W, U, b = theta

    def pull(dv, acc):
        acc[0] += x.T @ dv
        acc[1] += h.T @ dv
        acc[2] += dv.sum(0)
        return dv @ W.T, dv @ U.T

    return x @ W + h @ U + b, pull


def gated(theta, x, h):
    u, pull_u = affine(theta["u"], x, h)
    u, squash_u = squash(u)
    r, pull_r = affine(theta["r"], x, h)
    r, squash_r = squash(r)
    n, pull_n = affine(theta["n"], x, r * h)
    n, bend_n = bend(n)

    def pull(dh_new, acc):
        dx_n, drh = pull_n(bend_n(dh_new * u), acc["n"])
        dx_r, dh_r = pull_r(squash_r(drh * h), acc["r"])
        dx_u, dh_u = pull_u(squash_u(dh_new * (n - h)), acc["u"])
        return dx_n + dx_r + dx_u, dh_new * (1 - u) + drh * r + dh_r + dh_u

    return (1 - u) * h + u * n, pull


def sequence(theta, xs, h):
    pulls, hs = [], []
    for x in xs:
        h, pull = gated(theta, x, h)
        pulls.append(pull)
        hs.append(h)

    def pullback(dhs):
        acc = {gate: [np.zeros_like(a) for a in arrays] for gate, arrays in theta.items()}
        dxs, dh = [], np.zeros_like(h)
        for pull, d in zip(pulls[::-1], dhs[::-1]):
            dx, dh = pull(d + dh, acc)
            dxs.insert(0, dx)
        return acc, np.array(dxs), dh

    return np.array(hs), pullback


def fresh(d, k):
    return {g: [np.random.randn(d, k), np.random.randn(k, k), np.random.randn(k)] for g in "urn"}
