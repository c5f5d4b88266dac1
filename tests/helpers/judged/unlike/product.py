"""A multiplicative network: the input chooses the recurrent matrix through a product of factors."""
import numpy as np


def mrnn(P, xs, h):
    """P: U (H,D), F (K,D), G (K,H), V (H,K), Y (O,H). xs: a list of (D,N)."""
    yield_back = []
    ys = []
    for x in xs:
        f, g = P.F @ x, P.G @ h
        m = f * g
        new = np.tanh(P.U @ x + P.V @ m)
        yield_back.append((x, h, f, g, m, new))
        h = new
        ys.append(P.Y @ h)
    return ys, yield_back


def mrnn_vjp(P, tape, dys):
    d = type(P)(*(np.zeros_like(a) for a in (P.U, P.F, P.G, P.V, P.Y)))
    dh = 0.0
    dxs = [None] * len(tape)
    n = len(tape)
    while n:
        n -= 1
        x, h, f, g, m, new = tape[n]
        d.Y += dys[n] @ new.T
        dh = dh + P.Y.T @ dys[n]
        da = dh * (1.0 - new * new)
        d.U += da @ x.T
        d.V += da @ m.T
        dm = P.V.T @ da
        df, dg = dm * g, dm * f
        d.F += df @ x.T
        d.G += dg @ h.T
        dxs[n] = P.U.T @ da + P.F.T @ df
        dh = P.G.T @ dg
    return d, dxs, dh


class Factors:
    __slots__ = ("U", "F", "G", "V", "Y")

    def __init__(self, *arrays):
        for name, array in zip(self.__slots__, arrays):
            setattr(self, name, array)
