"""Recurrent nets as people write them by hand, as text, in any convention; and faults to plant in the text.

For the tests of :mod:`bptt.check`. Nothing here knows of the reference that the checker changes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.check.subject import Sizes, Subject
from bptt.types import Array, Generator, Params

SIZES = Sizes(T=3, N=2, D=5, H=4, V=6)

RNN = """
def forward(x, h0, Wx, Wh, b):
    h, cache, hs = h0, [], []
    for t in range(len(x)):
        h_prev = h
        a = x[t] @ Wx + h_prev @ Wh + b
        h = np.tanh(a)
        cache.append((x[t], h_prev, a, h))
        hs.append(h)
    return np.stack(hs), h, cache

def backward(dhs, dh_last, cache, Wx, Wh, b):
    T, N = dhs.shape[:2]
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh_next = [None] * T, dh_last
    for t in reversed(range(T)):
        x, h_prev, a, h = cache[t]
        dh = dhs[t] + dh_next
        da = dh * (1 - h ** 2)
        dWx += x.T @ da
        dWh += h_prev.T @ da
        db += da.sum(0)
        dx[t] = da @ Wx.T
        dh_next = da @ Wh.T
    return np.stack(dx), dh_next, dWx, dWh, db
"""

LSTM = """
def forward(x, h0, c0, Wx, Wh, b):
    H = h0.shape[1]
    h, c, cache, hs = h0, c0, [], []
    for t in range(len(x)):
        h_prev, c_prev = h, c
        a = x[t] @ Wx + h_prev @ Wh + b
        ORDER = a[:, :H], a[:, H:2*H], a[:, 2*H:3*H], a[:, 3*H:]
        i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
        c = f * c_prev + i * g
        tc = np.tanh(c)
        h = o * tc
        cache.append((x[t], h_prev, c_prev, ai, af, ao, ag, i, f, o, g, c, tc, h))
        hs.append(h)
    return np.stack(hs), h, c, cache

def backward(dhs, dh_last, dc_last, cache, Wx, Wh, b):
    T, N = dhs.shape[:2]
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh_next, dc_next = [None] * T, dh_last, dc_last
    for t in reversed(range(T)):
        x, h_prev, c_prev, ai, af, ao, ag, i, f, o, g, c, tc, h = cache[t]
        dy = dhs[t]
        dh = dy + dh_next
        do = dh * tc
        dc = dc_next + dh * o * (1 - tc ** 2)
        df = dc * c_prev
        di = dc * g
        dg = dc * i
        dc_next = dc * f
        dai = di * i * (1 - i)
        daf = df * f * (1 - f)
        dao = do * o * (1 - o)
        dag = dg * (1 - g ** 2)
        da = np.hstack([DELTAS])
        dWx += x.T @ da
        dWh += h_prev.T @ da
        db += da.sum(0)
        dx[t] = da @ Wx.T
        dh_next = da @ Wh.T
    return np.stack(dx), dh_next, dc_next, dWx, dWh, db
"""

GRU = """
def forward(x, h0, Wx, Wh, b):
    H = h0.shape[1]
    h, cache, hs = h0, [], []
    for t in range(len(x)):
        h_prev = h
        ORDER = np.split(x[t] @ Wx + b, 3, axis=1)
        RECUR = np.split(Wh, 3, axis=1)
        r, z = sigmoid(ar + h_prev @ Ur), sigmoid(az + h_prev @ Uz)
        q = r * h_prev
        n = np.tanh(an + q @ Un)
        h = z * h_prev + (1 - z) * n
        cache.append((x[t], h_prev, r, z, n, q, Ur, Uz, Un, h))
        hs.append(h)
    return np.stack(hs), h, cache

def backward(dhs, dh_last, cache, Wx, Wh, b):
    T, N = dhs.shape[:2]
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh_next = [None] * T, dh_last
    for t in reversed(range(T)):
        x, h_prev, r, z, n, q, Ur, Uz, Un, h = cache[t]
        dy = dhs[t]
        dh = dy + dh_next
        dz = dh * h_prev - dh * n
        dn = dh * (1 - z)
        dan = dn * (1 - n ** 2)
        dq = dan @ Un.T
        dr = dq * h_prev
        dar = dr * r * (1 - r)
        daz = dz * z * (1 - z)
        da = np.hstack([DELTAS])
        dUr = h_prev.T @ dar
        dUz = h_prev.T @ daz
        dUn = q.T @ dan
        dWx += x.T @ da
        dWh += np.hstack([PRODUCTS])
        db += da.sum(0)
        dx[t] = da @ Wx.T
        dh_next = dh * z + dq * r + dar @ Ur.T + daz @ Uz.T
    return np.stack(dx), dh_next, dWx, dWh, db
"""

GRU_AFTER = """
def forward(x, h0, Wx, Wh, b, bh):
    H = h0.shape[1]
    h, cache, hs = h0, [], []
    for t in range(len(x)):
        h_prev = h
        ORDER = np.split(x[t] @ Wx + b, 3, axis=1)
        PARTS = np.split(h_prev @ Wh + bh, 3, axis=1)
        r, z = sigmoid(ar + mr), sigmoid(az + mz)
        n = np.tanh(an + r * mn)
        h = (1 - z) * h_prev + z * n
        cache.append((x[t], h_prev, r, z, n, mn, h))
        hs.append(h)
    return np.stack(hs), h, cache

def backward(dhs, dh_last, cache, Wx, Wh, b, bh):
    T, N = dhs.shape[:2]
    dWx, dWh, db, dbh = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros_like(bh)
    dx, dh_next = [None] * T, dh_last
    for t in reversed(range(T)):
        x, h_prev, r, z, n, mn, h = cache[t]
        dy = dhs[t]
        dh = dy + dh_next
        dz = dh * n - dh * h_prev
        dn = dh * z
        dan = dn * (1 - n ** 2)
        dmn = dan * r
        dr = dan * mn
        dar = dr * r * (1 - r)
        daz = dz * z * (1 - z)
        da = np.hstack([DELTAS])
        dm = np.hstack([RECURRENT])
        dWx += x.T @ da
        dWh += h_prev.T @ dm
        db += da.sum(0)
        dbh += dm.sum(0)
        dx[t] = da @ Wx.T
        dh_next = dh * (1 - z) + dm @ Wh.T
    return np.stack(dx), dh_next, dWx, dWh, db, dbh
"""

RNN_FAULTS = {
    "dh = dhs[t] + dh_next": {
        "dh = dhs[t]": "dh-without-dh-next",
        "dh = 2 * (dhs[t] + dh_next)": "dh-times-2",
        "dh = dh_next": "dh-without-dy",
        "dh = dhs[t] - dh_next": "dh-minus-dh-next",
    },
    "da = dh * (1 - h ** 2)": {
        "da = dh * (1 + h ** 2)": "da-plus",
        "da = dh / (1 - h ** 2)": "da-inverse",
        "da = dh * (1 - h)": "da-1-value",
        "da = dh * h * (1 - h)": "da-sigmoid-derivative",
        "da = dh * (1 - np.tanh(h) ** 2)": "da-derivative-of-output",
        "da = dh * (1 - a ** 2)": "da-derivative-of-input",
        "da = dh * (1 - h_prev ** 2)": "da-derivative-of-h-prev",
        "da = dh": "da-without-derivative",
        "da = dh * (1 - h ** 2) ** 2": "da-derivative-twice",
    },
    "dWx += x.T @ da": {
        "dWx = x.T @ da": "dw-first-only-step",
        "dWx -= x.T @ da": "dw-negated",
        "dWx += x.T @ da / T": "dw-divided-by-t",
        "dWx += x.T @ dh": "dw-dh-for-da",
    },
    "dWh += h_prev.T @ da": {
        "dWh += h.T @ da": "du-h-for-h-prev",
        "dWh = h_prev.T @ da": "du-first-only-step",
        "dWh += 2 * h_prev.T @ da": "du-times-2",
    },
    "db += da.sum(0)": {
        "db += da.mean(0)": "db-divided-by-n",
        "db = da.sum(0)": "db-first-only-step",
        "db += dh.sum(0)": "db-dh-for-da",
        "db += 0": "db-zero",
    },
    "dx[t] = da @ Wx.T": {"dx[t] = -da @ Wx.T": "dx-negated", "dx[t] = dh @ Wx.T": "dx-dh-for-da"},
    "dh_next = da @ Wh.T": {
        "dh_next = da @ Wh": "dh-prev-u-untransposed",
        "dh_next = dh @ Wh.T": "dh-prev-dh-for-da",
        "dh_next = dh_next + da @ Wh.T": "dh-prev-accumulated",
        "dh_next = 0 * dh": "dh-prev-zero",
    },
    "dh_next = [None] * T, dh_last": {"dh_next = [None] * T, 0 * dh_last": "dh-last-zero"},
    "return np.stack(dx), dh_next": {"return np.stack(dx), 0 * dh_next": "dh0-zero"},
    "dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)": {
        "dWx, dWh, db = Wx.copy(), Wh.copy(), b.copy()": "weights-seeded-from-parameters"
    },
}

LSTM_FAULTS = {
    "dh = dy + dh_next": {"dh = dy": "dh-without-dh-next"},
    "do = dh * tc": {
        "do = dh * c": "do-c-for-tanh-c",
        "do = dy * tc": "do-uses-local-dh",
        "do = dh": "do-without-tanh-c",
        "do = dh * h": "do-h-for-tanh-c",
        "do = dc_next * tc": "do-dc-next-for-dh",
    },
    "dc = dc_next + dh * o * (1 - tc ** 2)": {
        "dc = dc_next + dy * o * (1 - tc ** 2)": "dc-uses-local-dh",
        "dc = dh * o * (1 - tc ** 2)": "dc-without-dc-next",
        "dc = dc_next.copy()": "dc-without-dh",
        "dc = dc_next + dh * o * (1 + tc ** 2)": "dc-plus-in-dh",
        "dc = dc_next + dh * o / (1 - tc ** 2)": "dc-inverse-in-dh",
        "dc = dc_next + dh * o * (1 - np.tanh(tc) ** 2)": "dc-derivative-of-output-in-dh",
        "dc = dc_next + dh * o * (1 - c ** 2)": "dc-derivative-of-input-in-dh",
        "dc = dc_next + dh * o": "dc-without-derivative-in-dh",
        "dc = dc_next + dh * (1 - tc ** 2)": "dc-without-o-in-dh",
        "dc = dc_next + dh * o * (1 - h ** 2)": "dc-derivative-of-h-in-dh",
        "dc = dc_next + dh * o * tc": "dc-value-in-dh",
        "dc = dc_next + dh * i * (1 - tc ** 2)": "dc-i-for-o-in-dh",
        "dc = dc_next * dh * o * (1 - tc ** 2)": "dc-product-for-sum",
        "dc = dc_next * f + dh * o * (1 - tc ** 2)": "dc-extra-f-on-dc-next",
        "dc = 2 * (dc_next + dh * o * (1 - tc ** 2))": "dc-times-2",
        "dc = dc_next - dh * o * (1 - tc ** 2)": "dc-minus-dh",
    },
    "df = dc * c_prev": {
        "df = dc * c": "df-c-for-c-prev",
        "df = dc_next * c_prev": "df-dc-next-for-dc",
        "df = dh * c_prev": "df-dh-for-dc",
        "df = dc * h_prev": "df-h-prev-for-c-prev",
    },
    "di = dc * g": {"di = dc * i": "di-i-for-g", "di = dc": "di-without-g", "di = dc * f": "di-f-for-g"},
    "dg = dc * i": {"dg = dc * g": "dg-g-for-i", "dg = dc * f": "dg-f-for-i", "dg = do * i": "dg-do-for-dc"},
    "dc_next = dc * f": {
        "dc_next = dc": "dc-prev-without-f",
        "dc_next = dc * i": "dc-prev-i-for-f",
        "dc_next = dc_next * f": "dc-prev-dc-next-for-dc",
        "dc_next = 0 * dc": "dc-prev-zero",
    },
    "dai = di * i * (1 - i)": {
        "dai = di * i": "da-i-value",
        "dai = di * sigmoid(i) * (1 - sigmoid(i))": "da-i-derivative-of-output",
        "dai = di": "da-i-without-derivative",
        "dai = di * (1 - i ** 2)": "da-i-tanh-derivative",
    },
    "daf = df * f * (1 - f)": {
        "daf = df * f": "da-f-value",
        "daf = df * af * (1 - af)": "da-f-derivative-of-input",
        "daf = df * i * (1 - i)": "da-f-i-1-i-for-f-1-f",
        "daf = di * f * (1 - f)": "da-f-di-for-df",
        "daf = df * (1 - f)": "da-f-1-value",
    },
    "dao = do * o * (1 - o)": {
        "dao = do * o * (1 + o)": "da-o-plus",
        "dao = 0 * do": "da-o-zero",
        "dao = -do * o * (1 - o)": "da-o-negated",
    },
    "dag = dg * (1 - g ** 2)": {
        "dag = dg * (1 - np.tanh(g) ** 2)": "da-g-derivative-of-output",
        "dag = dg * (1 - g)": "da-g-1-value",
        "dag = dg * g * (1 - g)": "da-g-sigmoid-derivative",
        "dag = dg * (1 - ag ** 2)": "da-g-derivative-of-input",
    },
    "dWx += x.T @ da": {"dWx = x.T @ da": "dw-first-only-step", "dWx += x.T @ da / T": "dw-divided-by-t"},
    "dWh += h_prev.T @ da": {
        "dWh += h.T @ da": "du-h-for-h-prev",
        "dWh += c_prev.T @ da": "du-c-prev-for-h-prev",
    },
    "db += da.sum(0)": {"db += da.mean(0)": "db-divided-by-n", "db = da.sum(0)": "db-first-only-step"},
    "dx[t] = da @ Wx.T": {"dx[t] = 0 * da @ Wx.T": "dx-zero"},
    "dh_next = da @ Wh.T": {
        "dh_next = da @ UNTRANSPOSED": "dh-prev-untransposed-in-all",
        "dh_next = 0 * dh": "dh-prev-zero",
    },
    "dh_last, dc_last\n": {
        "0 * dh_last, dc_last\n": "dh-last-zero",
        "dh_last, 0 * dc_last\n": "dc-last-zero",
    },
}

GRU_FAULTS = {
    "dh = dy + dh_next": {"dh = dy": "dh-without-dh-next"},
    "dz = dh * h_prev - dh * n": {
        "dz = dh * h_prev": "dz-without-dh-n",
        "dz = dh * h - dh * n": "dz-h-for-h-prev-in-dh-h-prev",
        "dz = dh * h_prev + dh * n": "dz-minus-dh-n",
        "dz = dh * n - dh * h_prev": "dz-negated",
    },
    "dn = dh * (1 - z)": {
        "dn = dh * z": "dn-z-for-1-z",
        "dn = dh": "dn-without-1-z",
        "dn = dy * (1 - z)": "dn-uses-local-dh",
    },
    "dan = dn * (1 - n ** 2)": {
        "dan = dn * (1 + n ** 2)": "da-n-plus",
        "dan = dn * (1 - n)": "da-n-1-value",
        "dan = dn": "da-n-without-derivative",
    },
    "dq = dan @ Un.T": {"dq = dan @ Un": "dq-u-n-untransposed", "dq = dan @ Uz.T": "dq-u-z-for-u-n"},
    "dr = dq * h_prev": {
        "dr = dq * h": "dr-h-for-h-prev",
        "dr = dq * q": "dr-q-for-h-prev",
        "dr = dq": "dr-without-h-prev",
    },
    "dar = dr * r * (1 - r)": {
        "dar = dr * r": "da-r-value",
        "dar = dr * z * (1 - z)": "da-r-z-1-z-for-r-1-r",
    },
    "daz = dz * z * (1 - z)": {"daz = dz * z": "da-z-value", "daz = dz * (1 - z)": "da-z-1-value"},
    "dUn = q.T @ dan": {"dUn = h_prev.T @ dan": "du-n-h-prev-for-q"},
    "dUr = h_prev.T @ dar": {"dUr = q.T @ dar": "du-r-q-for-h-prev", "dUr = h.T @ dar": "du-r-h-for-h-prev"},
    "db += da.sum(0)": {"db += da.mean(0)": "db-divided-by-n"},
    "dWx += x.T @ da": {"dWx = x.T @ da": "dw-first-only-step"},
    "dh_next = dh * z + dq * r + dar @ Ur.T + daz @ Uz.T": {
        "dh_next = dq * r + dar @ Ur.T + daz @ Uz.T": "dh-prev-without-dh",
        "dh_next = dh * z + dar @ Ur.T + daz @ Uz.T": "dh-prev-without-dq",
        "dh_next = dh * z + dq * r + daz @ Uz.T": "dh-prev-without-da-r",
        "dh_next = dh * z + dq * r + dar @ Ur.T": "dh-prev-without-da-z",
        "dh_next = dh * (1 - z) + dq * r + dar @ Ur.T + daz @ Uz.T": "dh-prev-1-z-for-z-in-dh",
        "dh_next = dh * z + dq + dar @ Ur.T + daz @ Uz.T": "dh-prev-without-r-in-dq",
        "dh_next = dh * z": "dh-prev-only-dh",
        "dh_next = dh * z + dq * r + dar @ Uz.T + daz @ Uz.T": "dh-prev-u-z-for-u-r-in-da-r",
    },
}

GRU_AFTER_FAULTS = {
    "dmn = dan * r": {"dmn = dan": "da-m-without-r", "dmn = dan * z": "da-m-z-for-r"},
    "dr = dan * mn": {"dr = dan * h_prev": "dr-h-prev-for-a-m", "dr = dn * mn": "dr-dn-for-da-n"},
    "dz = dh * n - dh * h_prev": {
        "dz = dh * h_prev - dh * n": "dz-negated",
        "dz = dh * n": "dz-without-dh-h-prev",
    },
    "dn = dh * z": {"dn = dh * (1 - z)": "dn-1-z-for-z"},
    "dh_next = dh * (1 - z) + dm @ Wh.T": {
        "dh_next = dm @ Wh.T": "dh-prev-without-dh",
        "dh_next = dh * (1 - z)": "dh-prev-without-all",
        "dh_next = dh * z + dm @ Wh.T": "dh-prev-z-for-1-z-in-dh",
    },
    "dWh += h_prev.T @ dm": {
        "dWh += h_prev.T @ da": "du-n-da-n-for-da-m",
        "dWh += h.T @ dm": "du-h-for-h-prev",
    },
    "dbh += dm.sum(0)": {"dbh += da.sum(0)": "db-h-n-da-n-for-da-m"},
}

TEXTS = {
    "rnn": (RNN, "a", RNN_FAULTS),
    "lstm": (LSTM, "ifog", LSTM_FAULTS),
    "gru-cho": (GRU, "rzn", GRU_FAULTS),
    "gru": (GRU_AFTER, "rzn", GRU_AFTER_FAULTS),
}
UNTRANSPOSED = "np.vstack(np.split(Wh, 4, axis=1))"


@dataclass(frozen=True)
class Convention:
    """How somebody keeps arrays. `packed` goes from W (D, GH), U (H, GH), b (GH,), x (T, N, D) to his."""

    order: str
    transposed: bool = False
    joined: str = ""
    apart: bool = False
    interleaved: bool = False
    batch_first: bool = False
    bias: str = "one"
    roles: bool = True
    step: bool = False

    @classmethod
    def random(cls, rng: Generator, gates: str) -> "Convention":
        flags = {
            name: bool(rng.integers(2)) for name in ("transposed", "apart", "batch_first", "roles", "step")
        }
        joined = str(rng.choice(["", "xh", "hx"]))
        together = not flags["apart"] and len(gates) > 1
        bias = str(rng.choice(["one", "column", "two"]))
        interleaved = together and bool(rng.integers(2))
        return cls(
            "".join(rng.permutation(list(gates))), joined=joined, interleaved=interleaved, bias=bias, **flags
        )

    def packed(self, own: Params, gradient: bool = False) -> Params:
        G = len(self.order)
        weights = {"Wx": own["Wx"], "Wh": own["Wh"]}
        if self.joined:
            first, second = ("Wx", "Wh") if self.joined == "xh" else ("Wh", "Wx")
            weights = {"W": np.vstack([own[first], own[second]])}
        for name in own.keys() & {"b", "bh"}:
            if self.bias == "two" and name == "b" and "bh" not in own:
                share = 1.0 if gradient else 0.25
                weights |= {"b1": share * own["b"][None], "b2": (1 if gradient else 0.75) * own["b"][None]}
            else:
                weights[name] = own[name][None]
        if self.interleaved:
            weights = {
                n: w.reshape(len(w), G, -1).transpose(0, 2, 1).reshape(w.shape) for n, w in weights.items()
            }
        if self.apart and G > 1:
            weights = {
                f"{n}_{g}": w
                for n, ws in weights.items()
                for g, w in zip(self.order, np.split(ws, G, 1), strict=True)
            }
        if self.transposed:
            weights = {n: w.T for n, w in weights.items()}
        weights = {
            n: w.ravel() if n[0] == "b" and self.bias != "column" else w.copy() for n, w in weights.items()
        }
        rest = {n: a for n, a in own.items() if n[0] not in "Wb"}
        return {**{n: self.outside(a) for n, a in rest.items()}, **weights}

    def unpacked(self, his: Params) -> Params:
        """Return the arrays that `packed` packs, by its linearity: entry by entry."""
        own = {n: self.inside(a) for n, a in his.items() if n[0] not in "Wb"}
        G, D, H = len(self.order), SIZES.D, SIZES.H
        like = {"Wx": (D, G * H), "Wh": (H, G * H), "b": (G * H,)}
        like |= {"bh": (G * H,)} if any(n.startswith("bh") for n in his) else {}
        sizes = [int(np.prod(shape)) for shape in like.values()]
        numbers = np.split(np.arange(1.0, sum(sizes) + 1), np.cumsum(sizes)[:-1])
        ids = {n: a.reshape(shape) for (n, shape), a in zip(like.items(), numbers, strict=True)}
        flat = np.zeros(sum(sizes) + 1, next(iter(his.values())).dtype)
        for n, a in self.packed(ids, gradient=True).items():
            flat[a.astype(int).ravel()] += his[n].ravel()
        pieces = np.split(flat[1:], np.cumsum(sizes)[:-1])
        return own | {n: a.reshape(shape) for (n, shape), a in zip(like.items(), pieces, strict=True)}

    def outside(self, a: Array) -> Array:
        if a.ndim == 3 and self.step:
            return np.asarray(a[0])
        return a.transpose(1, 0, 2) if a.ndim == 3 and self.batch_first else a

    def inside(self, a: Array, through_time: bool | None = None) -> Array:
        if self.step and (a.shape[-1] == SIZES.D if through_time is None else through_time):
            return np.asarray(a[None])
        return a.transpose(1, 0, 2) if a.ndim == 3 and self.batch_first else a

    def role(self, name: str) -> str:
        if name in ("x", "h0", "c0"):
            return name
        part, _, gate = name.partition("_")
        joined = {"xh": "WU", "hx": "UW", "": "W"}[self.joined]
        part = {"Wx": "W", "Wh": "U", "W": joined}.get(part, "b")
        return f"{part}:{gate}" if gate else part


class Code(Subject):
    """Text with a forward and a backward, in a convention."""

    def __init__(self, text: str, convention: Convention, rng: Generator) -> None:
        self.text, self.convention, self.sizes = text, convention, SIZES
        self.name, self.form = "code", "step" if convention.step else "sequence"
        order, G = convention.order, len(convention.order)
        for word, form in (
            ("ORDER", "a{}"),
            ("RECUR ", "U{} "),
            ("PARTS", "m{}"),
            ("DELTAS", "da{}"),
            ("PRODUCTS", "dU{}"),
        ):
            text = text.replace(
                word, ", ".join(form.format(g).strip() for g in order) + " " * word.endswith(" ")
            )
        text = text.replace("RECURRENT", ", ".join("dmn" if g == "n" else f"da{g}" for g in order))
        self.code: dict[str, Any] = {"np": np, "sigmoid": lambda a: 1 / (1 + np.exp(-a))}
        exec(text.replace("UNTRANSPOSED", UNTRANSPOSED), self.code)
        T, N, D, H = 1 if convention.step else SIZES.T, SIZES.N, SIZES.D, SIZES.H
        own = {"x": (T, N, D), "h0": (N, H)} | ({"c0": (N, H)} if "c0" in text else {})
        own |= {"Wx": (D, G * H), "Wh": (H, G * H), "b": (G * H,)} | (
            {"bh": (G * H,)} if "dbh" in text else {}
        )
        self.states = [n for n in own if n in ("h0", "c0")]
        self.own = list(own)
        self.at = convention.packed({n: rng.normal(size=shape) for n, shape in own.items()})
        self.roles = {n: convention.role(n) for n in self.at} if convention.roles else {}
        self.cotangents = {n: rng.normal(size=a.shape) for n, a in self.outputs(self.at).items()}
        self.time_axis = {}

    def outputs(self, at: Params) -> Params:
        own = self.convention.unpacked(at)
        hs, *last, _ = self.code["forward"](*(own[n] for n in self.own))
        if self.convention.step:
            return dict(zip(["h", "c"], last, strict=False))
        return {"hs": self.convention.outside(hs), **dict(zip(["h_last", "c_last"], last, strict=False))}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        own = self.convention.unpacked(at)
        *_, cache = self.code["forward"](*(own[n] for n in self.own))
        given = list(cotangents.values())
        if self.convention.step:
            given = [given[0][None], np.zeros_like(given[0]), *given[1:]]
        else:
            given[0] = self.convention.inside(given[0])
        found = self.code["backward"](*given, cache, *(own[n] for n in self.own if n[0] in "Wb"))
        return self.convention.packed(dict(zip(self.own, found, strict=True)), gradient=True)

    def resized(self, sizes: Sizes, rng: Generator) -> "Subject":
        raise NotImplementedError


CHUNK = """
def chunk(inputs, targets, h, Wxh, Whh, Why, bh, by):
    xs, hs, ps, loss = {}, {-1: h}, {}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((Wxh.shape[1], 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        y = Why @ hs[t] + by
        ps[t] = np.exp(y) / np.exp(y).sum()
        loss = loss - np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dh_next = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(h)
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWhy += dy @ hs[t].T
        dby += dy
        dh = Why.T @ dy + dh_next
        da = (1 - hs[t] ** 2) * dh
        dbh += da
        dWxh += da @ xs[t].T
        dWhh += da @ hs[t - 1].T
        dh_next = Whh.T @ da
    return loss, {"Wxh": dWxh, "Whh": dWhh, "Why": dWhy, "bh": dbh, "by": dby, "h": dh_next}
"""
CHUNK_FAULTS = {
    "dy = ps[t].copy()\n        dy[targets[t]] -= 1": {
        "dy = ps[t].copy()": "rnn/dlogits-without-onehot",
        "dy = ps[t].copy()\n        dy[targets[t]] -= 1\n        dy = dy * ps[t] * (1 - ps[t])": (
            "rnn/dlogits-extra-p-1-p"
        ),
        "dy = ps[t].copy()\n        dy[targets[t]] -= 1\n        dy = dy / len(inputs)": (
            "rnn/dlogits-divided-by-t"
        ),
    },
    "dh = Why.T @ dy + dh_next": {"dh = Why.T @ dy": "rnn/dh-without-dh-next"},
    "dWhh += da @ hs[t - 1].T": {"dWhh += da @ hs[t].T": "rnn/du-h-for-h-prev"},
    "dh_next = Whh.T @ da": {"dh_next = Whh @ da": "rnn/dh-prev-u-untransposed"},
    "dWhy += dy @ hs[t].T": {"dWhy = dy @ hs[t].T": "rnn/dv-first-only-step"},
    "dby += dy": {"dby -= dy": "rnn/dk-negated"},
    "da = (1 - hs[t] ** 2) * dh": {"da = (1 + hs[t] ** 2) * dh": "rnn/da-plus"},
}


class Chunk(Subject):
    """A chunk with its loss inside, over tokens."""

    def __init__(self, text: str, rng: Generator) -> None:
        self.code: dict[str, Any] = {"np": np}
        exec(text, self.code)
        self.name, self.form, self.sizes = "chunk", "chunk", SIZES
        H, V = SIZES.H, SIZES.V
        shapes = {"h": (H, 1), "Wxh": (H, V), "Whh": (H, H), "Why": (V, H), "bh": (H, 1), "by": (V, 1)}
        self.at = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        self.roles = {"h": "h0", "Wxh": "W", "Whh": "U", "Why": "V", "bh": "b", "by": "c"}
        self.cotangents, self.time_axis = {"loss": np.array(1.0)}, {}
        self.fixed = {name: rng.integers(V, size=SIZES.T) for name in ("x", "targets")}

    def outputs(self, at: Params) -> Params:
        return {"loss": np.asarray(self.code["chunk"](self.fixed["x"], self.fixed["targets"], **at)[0])}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        gradients: Params = self.code["chunk"](self.fixed["x"], self.fixed["targets"], **at)[1]
        return gradients

    def resized(self, sizes: Sizes, rng: Generator) -> "Subject":
        raise NotImplementedError
