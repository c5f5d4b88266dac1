"""What is drawn of a generated implementation: its style, and the names that stand in it."""

from dataclasses import dataclass

import numpy as np

GATES = {
    "rnn": "n",
    "relu": "n",
    "leaky": "n",
    "lstm": "ifog",
    "coupled": "fog",
    "gru": "zrn",
    "after": "zrn",
    "mgu": "fn",
}


@dataclass(frozen=True)
class Style:
    """How somebody writes a recurrent network."""

    cell: str
    layout: str  # rows (N, D), cols (D, N), vec (D,)
    batch_first: bool  # of rows: whether arrays are (N, T, D)
    out_in: bool  # whether a weight is (out, in)
    weights: str  # separate for operand and gate; concat over [x, h]; packed over the gates
    form: str  # class, functions, one, globals, closure
    loss: str  # cotangents, softmax, squares, bce
    layer: bool  # whether outputs are made of states
    every: bool  # a loss at every step, or at the last
    onehot: bool  # targets
    mean: str  # over what: "", T, N, TN
    half: bool  # of squares
    eps: str
    update: str  # "", rate, adagrad, momentum
    clip: str  # "", entries, norm
    inputs: str  # vectors, lookup, onehot
    start: bool  # whether the initial state is given
    single: bool
    bias: bool
    dot: str
    derivative: str
    loop: str
    cache: str  # tuples, lists, arrays
    grads: str  # dict, names
    unpack: bool  # whether a dict's parameters are named first
    kept: bool  # gradients kept in the object


def drawn(rng: np.random.Generator) -> Style:
    """Return a style that somebody might write."""

    def one(*of: str) -> str:
        return str(rng.choice(of))

    def flip(p: float = 0.5) -> bool:
        return bool(rng.random() < p)

    cell, layout = one(*GATES), one("rows", "rows", "cols", "vec")
    weights = one(
        "separate",
        *(["concat"] if cell != "after" else []),
        *(["packed"] if cell not in ("gru", "mgu") else []),
    )
    loss, form = (
        one("cotangents", "softmax", "softmax", "squares", "bce"),
        one("class", "class", "functions", "one", "globals", "closure"),
    )
    if loss == "cotangents" and form in ("one", "globals"):
        form = "functions"
    every = flip(0.75) or loss == "cotangents"
    means = [k for k in ("T", "N", "TN") if (every or "T" not in k) and (layout != "vec" or "N" not in k)]
    update = one("", "rate", "adagrad", "momentum") if form in ("class", "globals") else ""
    return Style(
        cell=cell,
        layout=layout,
        batch_first=layout == "rows" and flip(0.4),
        out_in=layout != "rows" or flip(0.35),
        weights=weights,
        form=form,
        loss=loss,
        layer=loss != "cotangents" or flip(),
        every=every,
        onehot=flip(),
        mean=one("", *means) if loss != "cotangents" else "",
        half=flip(0.7),
        eps=one("", "", "1e-8", "1e-10", "1e-12"),
        update=update,
        clip=one("", "entries", "norm") if loss != "cotangents" else "",
        inputs=one("vectors", "vectors", "onehot", *(["lookup"] if weights != "concat" else [])),
        start=flip(0.6) or layout != "rows",
        single=flip(0.15),
        bias=flip(0.8),
        dot=one("@", "@", "np.dot", "dot"),
        derivative=one("square", "product", "function", "np.square"),
        loop=one("reversed", "range", "slice", "while"),
        cache=one("tuples", "lists", "arrays"),
        grads=one("dict", "names"),
        unpack=flip(),
        kept=form == "class" and flip(0.7),
    )  # fmt: skip


class Names:
    """The names of one implementation.

    Parameters
    ----------
    rng
        What draws them.
    """

    def __init__(self, rng: np.random.Generator):
        def one(*of: str) -> str:
            return str(rng.choice(of))

        long = {"i": "inp", "f": "keep", "o": "outp", "g": "cand", "z": "upd", "r": "res", "n": "fresh"}
        self.gates = long if rng.random() < 0.3 else {k: k for k in long}
        self.wx, self.wh, self.w, self.b, self.bh = {
            "plain": ("Wx{}", "Wh{}", "W{}", "b{}", "bh{}"),
            "scored": ("W_x{}", "W_h{}", "W_{}", "b_{}", "bb_{}"),
            "letters": ("U{}", "V{}", "M{}", "b{}", "e{}"),
            "words": ("inWeights{}", "recWeights{}", "weights{}", "bias{}", "recBias{}"),
            "other": ("from_input_{}", "from_past_{}", "both_{}", "offset_{}", "past_offset_{}"),
        }[one("plain", "scored", "letters", "words", "other")]
        self.wy, self.by = {
            "a": ("Wy", "by"), "b": ("readout", "readout_bias"), "c": ("Q", "q"),
            "d": ("outWeights", "outBias"),
        }[one(*"abcd")]  # fmt: skip
        self.d = one("d", "d", "grad_", "g", "delta_", "slope")
        self.x = one("x", "xt", "inp_t", "u")
        self.h = one("h", "s", "state", "ht", "hid")
        self.c = one("c", "mem", "ct", "cell")
        self.prev = one("{}_prev", "prev_{}", "{}p", "old_{}", "{}_before")
        self.xs = one("xs", "X", "inputs", "series", "seq")
        self.targets = one("targets", "ys_true", "wanted", "labels", "goal")
        self.fore, self.back = {
            "a": ("forward", "backward"), "b": ("run", "rewind"), "c": ("fprop", "bprop"),
            "d": ("feed", "teach"), "e": ("unroll", "pull_back"), "f": ("vorwaerts", "rueckwaerts"),
        }[one(*"abcdef")]  # fmt: skip
        self.cls = one("Net", "RecurrentModel", "Predictor", "Layer", "Netz", "charModel")
        self.t = one("t", "t", "k", "step", "n_")
        self.sig = one("sigmoid", "sigm", "logistic", "sg")

    def past(self, name: str) -> str:
        return self.prev.format(name)
