"""Recurrent code as people write it, generated: forward and backward in many conventions."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from judged.people_lines import GATES, Names, Style, backward_lines, cached, forward_lines


def drawn(rng: np.random.Generator, cell: str = "", form: str = "") -> Style:
    """Return a style at random, of those that somebody might write."""
    cell = cell or str(rng.choice(list(GATES)))
    form = form or str(rng.choice(list(FORMS)))

    def flip(p: float = 0.5) -> bool:
        return bool(rng.random() < p)

    rows = flip(0.65)
    after = cell == "gru" and flip()
    concat = "" if after or flip(0.6) else str(rng.choice(["hx", "xh"]))
    gru_before = cell == "gru" and not after
    return Style(
        cell=cell,
        form=form,
        order="".join(rng.permutation(list(GATES[cell]))),
        rows=rows,
        out_in=not rows or flip(0.35),
        concat=concat,
        joint=cell == "rnn" or (flip() and not gru_before),
        biases=int(rng.choice([0, 1] if concat else [2] if after and flip() else [0, 1, 1, 2])),
        batch_first=flip(),
        single=flip(0.2),
        c_first=flip(0.3),
        after=after,
        opposite=flip(),
    )


def indented(lines: list[str], depth: int = 1) -> str:
    return "\n".join("    " * depth + line for line in lines)


HEAD = """import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


"""


def source(style: Style) -> str:
    """Return the text of a file."""
    return HEAD + FORMS[style.form](style, Names(style))


def _ordered(style: Style, h: str, c: str) -> list[str]:
    if style.cell != "lstm":
        return [h]
    return [c, h] if style.c_first else [h, c]


def _cast(style: Style, names: list[str]) -> list[str]:
    return [f"{name} = {name}.astype(np.float32)" for name in names] if style.single else []


def _step(s: Style, n: Names) -> str:
    states, w = _ordered(replace(s, c_first=False), "h_prev", "c_prev"), n.weights()
    cache = ", ".join(dict.fromkeys(cached(n) + w))
    grads = ["dx", *_ordered(replace(s, c_first=False), "dh_prev", "dc_prev"), *(f"d{k}" for k in w)]
    fore = _cast(s, ["x", *states, *w]) + forward_lines(n)
    fore += [
        f"cache = ({cache})",
        f"return {', '.join(_ordered(replace(s, c_first=False), 'h', 'c'))}, cache",
    ]
    back = [f"{cache} = cache", *backward_lines(n, add=False), f"return {', '.join(grads)}"]
    name = f"{s.cell}_step"
    return (
        f"def {name}_forward({', '.join(['x', *states, *w])}):\n{indented(fore)}\n\n\n"
        f"def {name}_backward({', '.join(_ordered(s, 'dh', 'dc'))}, cache):\n{indented(back)}\n"
    )


def _sequence(s: Style, n: Names) -> str:
    w, lstm = n.weights(), s.cell == "lstm"
    axis = 1 if s.batch_first and s.rows else 0
    at = ":, t" if axis else "t"
    keep = cached(n)
    states = _ordered(replace(s, c_first=False), "h0", "c0")
    cache = ", ".join(dict.fromkeys(keep))
    fore = [*_cast(s, ["xs", *states, *w]), f"T = xs.shape[{axis}]", "caches, hs = [], []", "h_prev = h0"]
    fore += ["c_prev = c0"] if lstm else []
    body = [f"x = xs[{at}]", *forward_lines(n), f"caches.append(({cache}))", "hs.append(h)", "h_prev = h"]
    body += ["c_prev = c"] if lstm else []
    fore += ["for t in range(T):", *(f"    {line}" for line in body)]
    fore += [f"cache = (xs, caches, {', '.join(w)})", f"return np.stack(hs, axis={axis}), cache"]
    back = [f"xs, caches, {', '.join(w)} = cache", f"T = xs.shape[{axis}]", "dxs = np.zeros_like(xs)"]
    back += [f"d{k} = np.zeros_like({k})" for k in w] + [
        f"dh_next = np.zeros_like(dhs[{at.replace('t', '0')}])"
    ]
    back += ["dc_next = np.zeros_like(dh_next)"] if lstm else []
    inner = [f"{cache} = caches[t]", f"dh = dhs[{at}] + dh_next", *(["dc = dc_next"] if lstm else [])]
    inner += [*backward_lines(n, add=True), f"dxs[{at}] = dx", "dh_next = dh_prev"]
    inner += ["dc_next = dc_prev"] if lstm else []
    back += ["for t in reversed(range(T)):", *(f"    {line}" for line in inner)]
    returned = ["dxs", "dh_next", *(["dc_next"] if lstm else []), *(f"d{k}" for k in w)]
    back += [f"return {', '.join(returned)}"]
    return (
        f"def {s.cell}_forward({', '.join(['xs', *states, *w])}):\n{indented(fore)}\n\n\n"
        f"def {s.cell}_backward(dhs, cache):\n{indented(back)}\n"
    )


def _shape(s: Style, n: Names, name: str, D: str) -> str:
    blocks = len(s.order) if s.joint and s.cell != "rnn" else 1
    out = f"{blocks} * hidden_size" if blocks > 1 else "hidden_size"
    if name.startswith("b"):
        return f"{out}" if s.rows else f"{out}, 1"
    wide = f"hidden_size + {D}" if s.concat else D if name.startswith(n.W) else "hidden_size"
    return f"{out}, {wide}" if s.out_in else f"{wide}, {out}"


def _ends(s: Style) -> str:
    return "vocab_size, hidden_size" if s.out_in else "hidden_size, vocab_size"


def _softmax(s: Style, n: Names, y: str = "y") -> list[str]:
    return [f"{y} = {n.product('h', 'Why')} + by", f"p = np.exp({y} - np.max({y}))", "p = p / np.sum(p)"]


def _chunk(s: Style, n: Names) -> str:
    w, lstm = n.weights(), s.cell == "lstm"
    every = [*w, "Why", "by"]
    text = ["hidden_size = 12", "vocab_size = 20"]
    text += [f"{k} = np.random.randn({_shape(s, n, k, 'vocab_size')}) * 0.01" for k in w]
    text += [f"Why = np.random.randn({_ends(s)}) * 0.01"]
    text += [f"by = np.zeros(({'vocab_size, 1' if not s.rows else '1, vocab_size'}))", "", ""]
    hot = "x[0, inputs[t]] = 1" if s.rows else "x[inputs[t]] = 1"
    ket = "[0, targets[t]]" if s.rows else "[targets[t], 0]"
    cache = ", ".join(dict.fromkeys([*cached(n), "h", "p"]))
    fore = ["caches, loss = [], 0", "h_prev = hprev", *(["c_prev = cprev"] if lstm else [])]
    body = [f"x = np.zeros(({'1, vocab_size' if s.rows else 'vocab_size, 1'}))", hot, *forward_lines(n)]
    body += [*_softmax(s, n), f"loss += -np.log(p{ket})", f"caches.append(({cache}))", "h_prev = h"]
    body += ["c_prev = c"] if lstm else []
    fore += ["for t in range(len(inputs)):", *(f"    {line}" for line in body)]
    fore += [f"d{k} = np.zeros_like({k})" for k in every] + ["dh_next = np.zeros_like(h)"]
    fore += ["dc_next = np.zeros_like(h)"] if lstm else []
    inner = [
        f"{cache} = caches[t]",
        "dy = p.copy()",
        f"dy{ket} -= 1",
        f"dWhy += {n.outer('h', 'dy')}",
        "dby += dy",
    ]
    inner += [f"dh = {n.back('dy', 'Why')} + dh_next", *(["dc = dc_next"] if lstm else [])]
    inner += [*backward_lines(n, add=True), "dh_next = dh_prev", *(["dc_next = dc_prev"] if lstm else [])]
    last = ["h_prev_last", "c_prev_last"] if lstm else ["h_prev_last"]
    fore += ["h_prev_last = h_prev", *(["c_prev_last = c_prev"] if lstm else [])]
    fore += ["for t in reversed(range(len(inputs))):", *(f"    {line}" for line in inner)]
    fore += [f"return loss, {', '.join(f'd{k}' for k in every)}, {', '.join(last)}"]
    states = "hprev, cprev" if lstm else "hprev"
    return "\n".join(text) + f"\ndef loss_fun(inputs, targets, {states}):\n{indented(fore)}\n"


def _class(s: Style, n: Names) -> str:
    w = n.weights()
    init = ["self.hidden_size = hidden_size", "self.params = {}"]
    init += [f"self.params['{k}'] = np.random.randn({_shape(s, n, k, 'input_size')}) * 0.1" for k in w]
    states = _ordered(replace(s, c_first=False), "h_prev", "c_prev")
    fore = [*_cast(s, ["x", *states]), *(f"{k} = self.params['{k}']" for k in w), *forward_lines(n)]
    fore += [
        f"cache = ({', '.join(cached(n))})",
        f"return {', '.join(_ordered(replace(s, c_first=False), 'h', 'c'))}, cache",
    ]
    back = [f"{', '.join(cached(n))} = cache", *(f"{k} = self.params['{k}']" for k in w)]
    back += backward_lines(n, add=False)
    back += [f"grads = {{{', '.join(f'{k!r}: d{k}' for k in w)}}}"]
    back += [f"return {', '.join(['dx', *_ordered(replace(s, c_first=False), 'dh_prev', 'dc_prev')])}, grads"]
    return (
        f"class {s.cell.upper()}:\n    def __init__(self, input_size, hidden_size):\n{indented(init, 2)}\n\n"
        f"    def forward(self, {', '.join(['x', *states])}):\n{indented(fore, 2)}\n\n"
        f"    def backward(self, {', '.join(_ordered(s, 'dh', 'dc'))}, cache):\n{indented(back, 2)}\n"
    )


def _model(s: Style, n: Names) -> str:
    w = n.weights()
    lstm = s.cell == "lstm"
    init = ["self.params = {}"]
    init += [f"self.params['{k}'] = np.random.randn({_shape(s, n, k, 'vocab_size')}) * 0.1" for k in w]
    init += [
        f"self.params['Why'] = np.random.randn({_ends(s)})",
        f"self.params['by'] = np.zeros(({'1, vocab_size' if s.rows else 'vocab_size, 1'}))",
    ]
    every = [*w, "Why", "by"]
    cache = ", ".join(dict.fromkeys([*cached(n), "h"]))
    axis = 1 if s.rows else 0
    fore = [
        *(f"{k} = self.params['{k}']" for k in every),
        *forward_lines(n),
        f"y = {n.product('h', 'Why')} + by",
    ]
    fore += [
        f"e = np.exp(y - np.max(y, axis={axis}, keepdims=True))",
        f"p = e / np.sum(e, axis={axis}, keepdims=True)",
    ]
    fore += [f"cache = ({cache})", f"return p, {'h, c' if lstm else 'h'}, cache"]
    back = [f"{cache} = cache", *(f"{k} = self.params['{k}']" for k in every), "dy = p - target"]
    back += [f"dWhy = {n.outer('h', 'dy')}", f"dby = dy.sum(axis={1 - axis}, keepdims=True)"]
    back += [f"dh = {n.back('dy', 'Why')} + dh_next", *(["dc = dc_next"] if lstm else [])]
    back += backward_lines(n, add=False)
    back += [f"grads = {{{', '.join(f'{k!r}: d{k}' for k in every)}}}"]
    back += [f"return grads, {'dh_prev, dc_prev' if lstm else 'dh_prev'}"]
    nexts = ", ".join(_ordered(s, "dh_next", "dc_next"))
    states = "h_prev, c_prev" if lstm else "h_prev"
    return (
        f"class {s.cell.upper()}Model:\n    def __init__(self, vocab_size, hidden_size):\n"
        f"{indented(init, 2)}\n\n"
        f"    def forward(self, x, {states}):\n{indented(fore, 2)}\n\n"
        f"    def backward(self, p, target, {nexts}, cache):\n{indented(back, 2)}\n"
    )


FORMS: dict[str, Callable[[Style, Names], str]] = {
    "step": _step,
    "sequence": _sequence,
    "chunk": _chunk,
    "class": _class,
    "model": _model,
}
