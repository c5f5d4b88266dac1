from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np


@dataclass
class Gate:
    w: np.ndarray
    u: np.ndarray
    b: np.ndarray

    @classmethod
    def random(cls, d: int, h: int) -> Gate:
        return cls(np.random.randn(h, d), np.random.randn(h, h), np.random.randn(h, 1))

    def like(self) -> Gate:
        return Gate(*(np.zeros_like(getattr(self, f.name)) for f in fields(self)))

    def __call__(self, x, h):
        return self.w @ x + self.u @ h + self.b

    def add(self, da, x, h):
        self.w += da @ x.T
        self.u += da @ h.T
        self.b += da.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Moment:
    x: np.ndarray
    h: np.ndarray
    c: np.ndarray
    f: np.ndarray
    n: np.ndarray
    o: np.ndarray
    tc: np.ndarray


@dataclass
class CoupledLSTM:
    """Input and forget gate are one: c' = f c + (1 - f) n."""

    forget: Gate
    new: Gate
    out: Gate
    moments: list = field(default_factory=list)

    def forward(self, xs, h, c):
        self.moments.clear()
        hs = []
        for x in xs:
            f = 1 / (1 + np.exp(-self.forget(x, h)))
            o = 1 / (1 + np.exp(-self.out(x, h)))
            n = np.tanh(self.new(x, h))
            c_new = f * c + (1 - f) * n
            tc = np.tanh(c_new)
            self.moments.append(Moment(x, h, c, f, n, o, tc))
            h, c = o * tc, c_new
            hs.append(h)
        return hs

    def backward(self, dhs):
        grads = CoupledLSTM(self.forget.like(), self.new.like(), self.out.like())
        dh = dc = np.zeros_like(dhs[0])
        dxs = []
        for m, up in zip(reversed(self.moments), reversed(dhs)):
            dh = dh + up
            dc = dc + dh * m.o * (1 - m.tc**2)
            daf = dc * (m.c - m.n) * m.f * (1 - m.f)
            dan = dc * (1 - m.f) * (1 - m.n**2)
            dao = dh * m.tc * m.o * (1 - m.o)
            grads.forget.add(daf, m.x, m.h)
            grads.new.add(dan, m.x, m.h)
            grads.out.add(dao, m.x, m.h)
            dxs.append(self.forget.w.T @ daf + self.new.w.T @ dan + self.out.w.T @ dao)
            dh = self.forget.u.T @ daf + self.new.u.T @ dan + self.out.u.T @ dao
            dc = dc * m.f
        return grads, dxs[::-1], dh, dc
