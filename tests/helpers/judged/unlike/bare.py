"""A minimal gated unit without any library: lists of lists of floats. f gates the old state, both in and out."""
import math
import random


def rand(*shape):
    if not shape:
        return random.uniform(-1, 1)
    return [rand(*shape[1:]) for _ in range(shape[0])]


def zeros(like):
    return [zeros(v) for v in like] if isinstance(like, list) else 0.0


def mul(M, v):
    return [sum(a * b for a, b in zip(row, v)) for row in M]


def mul_t(M, v):
    return [sum(M[i][j] * v[i] for i in range(len(v))) for j in range(len(M[0]))]


def add_outer(G, a, b):
    for i in range(len(a)):
        for j in range(len(b)):
            G[i][j] += a[i] * b[j]


def think(weights, xs):
    Wf, Wn, _ = weights
    h, steps = [0.0] * len(Wf), []
    for x in xs:
        f = [1 / (1 + math.exp(-a)) for a in mul(Wf, x + h)]
        gated = [a * b for a, b in zip(f, h)]
        n = [math.tanh(a) for a in mul(Wn, x + gated)]
        steps.append((x, h, f, gated, n))
        h = [(1 - f[i]) * h[i] + f[i] * n[i] for i in range(len(h))]
    return h, steps


def error(weights, xs, goal):
    h, steps = think(weights, xs)
    y = mul(weights[2], h)
    return sum((a - b) ** 2 for a, b in zip(y, goal)) / 2


def rethink(weights, xs, goal):
    Wf, Wn, Wy = weights
    h, steps = think(weights, xs)
    gf, gn, gy = zeros(Wf), zeros(Wn), zeros(Wy)
    dy = [a - b for a, b in zip(mul(Wy, h), goal)]
    add_outer(gy, dy, h)
    dh = mul_t(Wy, dy)
    for x, h, f, gated, n in reversed(steps):
        dan = [dh[i] * f[i] * (1 - n[i] ** 2) for i in range(len(h))]
        add_outer(gn, dan, x + gated)
        dgated = mul_t(Wn, dan)[len(x):]
        df = [dh[i] * (n[i] - h[i]) + dgated[i] * h[i] for i in range(len(h))]
        daf = [df[i] * f[i] * (1 - f[i]) for i in range(len(h))]
        add_outer(gf, daf, x + h)
        through = mul_t(Wf, daf)[len(x):]
        dh = [dh[i] * (1 - f[i]) + dgated[i] * f[i] + through[i] for i in range(len(h))]
    return [gf, gn, gy]
