"""Recurrent nets as people write them by hand, as text, in any convention; and faults to plant in the text.

For the tests of :mod:`bptt.checking`. Nothing here knows of the reference that the checker changes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checking.subject import Sizes, Subject
from bptt.types import Array, Generator, Params
from judged.written_faults import GRU_AFTER_FAULTS, GRU_FAULTS, LSTM_FAULTS, RNN_FAULTS
from judged.written_texts import GRU, GRU_AFTER, LSTM, RNN

SIZES = Sizes(T=3, N=2, D=5, H=4, V=6)

TEXTS = {
    "rnn": (RNN, "a", RNN_FAULTS),
    "lstm": (LSTM, "ifog", LSTM_FAULTS),
    "gru-cho": (GRU, "rzn", GRU_FAULTS),
    "gru": (GRU_AFTER, "rzn", GRU_AFTER_FAULTS),
}
OUTSIDE = {
    "weights-updated-in-loop": (
        "rnn",
        "dh_next = da @ Wh.T",
        "Wh = Wh - 0.1 * dWh\n        dh_next = da @ Wh.T",
    ),
    "weights-updated-in-loop by the step's own": (
        "lstm",
        "dh_next = da @ Wh.T",
        "dh_next = da @ Wh.T\n        Wh = Wh + 0.05 * (h_prev.T @ da)",
    ),
    "dh-prev-clipped": ("rnn", "dh_next = da @ Wh.T", "dh_next = np.clip(da @ Wh.T, -0.5, 0.5)"),
    "deltas-clipped": ("lstm", "da = np.hstack([DELTAS])", "da = np.clip(np.hstack([DELTAS]), -0.1, 0.1)"),
    "forward-h-prev-stuck": ("rnn", "h_prev = h\n", "h_prev = h0\n"),
    "forward-b-i-for-b-f": (
        "lstm",
        "i, f, o, g = sigmoid(ai)",
        "af = af - b[H:2*H] + b[:H]\n        i, f, o, g = sigmoid(ai)",
    ),
}
"""Faults that are no change of a term, by their id: a cell, the text and what stands in its place."""

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
