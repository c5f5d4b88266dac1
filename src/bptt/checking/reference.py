"""Cells whose backward pass is written as text, so that single terms of it can be changed.

A backward is a list of lines, one for each gradient. A line is a sum of terms; a term is a product::

    dc = dc_next + dh * o * 1-tanh²(c)      factors, elementwise (printed with parentheses)
    dU_f = h_prev.T @ da_f                  a matrix before them, transposed
    dh_prev = da_f @ U_f.T                  a matrix after them, transposed or not

A factor is a name of an array: a gradient, or a quantity of the forward, which may look like a formula
(``1-tanh²(c)`` is one name). The matrices stand gate by gate: W_f (D, H), U_f (H, H), b_f (1, H), b_h_f.

`backward` runs many versions of a backward at once: what is the same in all of them is computed once for
all, on arrays with a leading axis of versions.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from bptt.types import Array, Params

Steps: TypeAlias = Literal["all", "first only", "last only", "but the first", "but the last"]

STEPS: tuple[Steps, ...] = ("first only", "last only", "but the first", "but the last")
"""The ways in which steps are left out."""

ORDER = "over time"
"""A version with this for a target runs its time loop from the first step to the last."""


@dataclass(frozen=True)
class Term:
    """A product: coefficient · before.T @ (factors) @ after."""

    factors: tuple[str, ...]
    before: str = ""
    after: str = ""
    scale: float = 1.0

    def __str__(self) -> str:
        text = " * ".join(f"({f})" if f[:2] in ("1-", "1+") else f for f in self.factors)
        if self.scale not in (1, -1):
            text = f"{abs(self.scale):.4g} * {text}"
        text = f"{self.before}.T @ {text}" if self.before else text
        text = f"{text} @ {self.after}" if self.after else text
        return f"-{text}" if self.scale < 0 else text


@dataclass(frozen=True)
class Line:
    """An equation, and what is done to it besides.

    ``steps`` are those at which it counts (elsewhere it is 0), ``start`` is what a sum over time starts with,
    ``limit`` what its entries are clipped at (a sum's at the end); 0 for none.
    """

    target: str
    terms: tuple[Term, ...]
    steps: Steps = "all"
    start: str = ""
    limit: float = 0.0

    def __str__(self) -> str:
        total = " + ".join(map(str, self.terms)).replace("+ -", "- ") or "0"
        return f"{self.target} {'+=' if is_sum(self.target) else '='} {total}"


Version: TypeAlias = Mapping[str, Line]
"""The lines that differ from the cell's, by target."""


@dataclass(frozen=True)
class Update:
    """Weights that are changed within the time loop of the backward, as an optimiser should after it.

    Each of those whose names begin with `which` goes down by ``rate`` times its gradient: that of all steps
    so far, or (`own`) of the step alone. The step itself goes back through those of `soon` (first letters) as
    they then are, and through the others as they were.
    """

    rate: float
    own: bool
    soon: str
    which: str = ""


@dataclass(frozen=True)
class Reference:
    """A cell, forward and backward.

    Attributes
    ----------
    name : str
    words : str
        Its equations, in short.
    gates : tuple of str
    states : tuple of str
    activations : dict
        For each quantity that comes out of an activation: which one, and of what.
    step : callable
        From parameters and a dict with x, h_prev (and c_prev) to a dict of all quantities.
    lines : tuple of Line
        The backward of one step, and the sums.
    second_bias : bool
        Whether the recurrent part's bias is another thing than the input part's (GRU, reset after).
    slip : tuple of str
        Where the step is one with a mistake in it, while the lines are those of the right one: the
        mistake's slug, a sentence, and the equation as it should be.
    """

    name: str
    words: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    activations: dict[str, tuple[str, str]]
    step: Callable[[Params, Params], Params]
    lines: tuple[Line, ...]
    second_bias: bool = False
    slip: tuple[str, str, str] | None = None


def is_sum(target: str) -> bool:
    """Return whether a gradient is summed over time (and rows): those at weights and biases."""
    return re.match(r"d([WU]|b|b_h)_|d[Vk]$", target) is not None


def parse(text: str) -> Line:
    """Return the line that a text means.

    Examples
    --------
    >>> parse("dz = dh * h_prev - dh * n").terms[1]
    Term(factors=('dh', 'n'), before='', after='', scale=-1.0)
    """
    target, total = text.strip().split(" = ")
    terms = []
    for sign, term in re.findall(r"(^|[+-] )(.*?)(?= [+-] |$)", total):
        *before, rest = term.split(".T @ ", 1)
        factors, *after = rest.split(" @ ")
        terms.append(
            Term(tuple(factors.split(" * ")), "".join(before), "".join(after), -1.0 if "-" in sign else 1.0)
        )
    return Line(target, tuple(terms))


def forward(cell: Reference, p: Params) -> list[Params]:
    """Run the cell over p["x"] (T, N, D) from p["h0"] (and "c0"); return each step's quantities."""
    states = {f"{s}_prev": p[f"{s}0"] for s in cell.states}
    steps = []
    for t, x in enumerate(p["x"]):
        now = cell.step(p, {"x": x, **states})
        for name, (kind, _) in cell.activations.items():
            now[DERIVATIVE[kind](name)] = _DERIVATIVES[kind](now[name])
        if "V" in p:
            logits = now["h"] @ p["V"] + p.get("k", 0)
            e = np.exp(logits - logits.max(axis=-1, keepdims=True))
            now |= {"logits": logits, "p": e / e.sum(axis=-1, keepdims=True)}
            if "wanted" in p:
                now["wanted"] = p["wanted"][t]
            if "targets" in p:
                now["onehot"] = np.eye(p["V"].shape[1])[p["targets"][t].astype(int)]
        states = {f"{s}_prev": now[s] for s in cell.states}
        steps.append(now)
    return steps


def backward(
    cell: Reference,
    p: Params,
    steps: Sequence[Params],
    cotangents: Params,
    versions: Sequence[Version],
    update: Update | None = None,
) -> Params:
    """Run versions of the backward through time.

    Parameters
    ----------
    cell : Reference
    p : dict of arrays
        As for `forward`.
    steps : list of dict
        From `forward`, with the quantities that the versions use besides.
    cotangents : dict of arrays
        "h" and "c" (T, N, H) at the states of each step, "h_last" and "c_last" (N, H) at the last ones;
        zero where missing. With an output layer V (H, V), k (1, V) and a loss: "loss", the factor of the
        sum of the cross-entropies (for ``p["targets"]``, integers) or of half the squares (``p["wanted"]``);
        or "logits" (T, N, V), what comes back to them.
    versions : list of dict
    update : Update, optional
        What happens to the weights on the way, for a single version.

    Returns
    -------
    dict of arrays
        Each gradient with a leading axis of versions; by the names of `p`.
    """
    if any(ORDER in version for version in versions):
        return _some_ahead(cell, p, steps, cotangents, versions)
    K, T = len(versions), len(steps)
    lines = {line.target: line for line in lines_of(cell, p, cotangents)}
    changes: dict[str, list[tuple[int, Line]]] = {name: [] for name in lines}
    for k, version in enumerate(versions):
        for name, line in version.items():
            changes[name].append((k, line))
    zero = np.zeros_like(p["h0"])
    given = {f"d{s}_T": cotangents.get(f"{s}_last", zero) for s in cell.states}

    def run(name: str, env: Params, t: int, shape: tuple[int, ...]) -> Array:
        value = np.empty((K, *shape))
        value[...] = _value(lines[name], env, t, T, shape)
        for k, line in changes[name]:
            value[k] = _value(line, _View(env, k), t, T, shape)
            if line.limit and not is_sum(name):
                value[k] = np.clip(value[k], -line.limit, line.limit)
        return value

    carry = {f"d{s}_next": zero for s in cell.states}
    carry |= {f"d{n[1]}_next": run(n, given, 0, zero.shape) for n in lines if n.endswith("_last")}
    sums: Params = {}
    env: Params = {}
    dx = np.zeros((K, *p["x"].shape))
    inner = [name for name in lines if name not in _EDGES]
    if update:
        inner.sort(key=lambda name: name in ("dh_prev", "dx"))  # behind the sums: the weights have moved
    for t in reversed(range(T)):
        at = {
            "dy" if s == "h" else f"dy_{s}": cotangents[s][t] if s in cotangents else zero
            for s in cell.states
        }
        at |= {"dout": cotangents["logits"][t], "dy_own": at["dy"]} if "logits" in cotangents else {}
        env = {**p, **steps[t], **at, **carry, "ones": np.ones((len(zero), 1))}
        for name in inner:
            if is_sum(name):
                key = name[1:]
                step = run(name, env, t, np.shape(p[key]))
                sums[key] = sums.get(key, 0) + step
                if update and key.startswith(update.which):
                    p = {**p, key: p[key] - update.rate * (step if update.own else sums[key])[0]}
                    env |= {key: p[key]} if key[0] in update.soon else {}
            else:
                like = p["x"][0] if name == "dx" else steps[t]["logits"] if name == "dlogits" else zero
                env[name] = run(name, env, t, like.shape)
        dx[:, t] = env["dx"]
        carry = {n: run(n, env, t, zero.shape) for n in lines if n.endswith("_next")}
    for name in sums:
        for k, line in changes["d" + name]:
            if line.start:
                sums[name][k] += p[line.start]
            if line.limit:
                sums[name][k] = np.clip(sums[name][k], -line.limit, line.limit)
    ends = {f"{s}0": run(f"d{s}0", env, 0, zero.shape) for s in cell.states}
    return {**sums, "x": dx, **ends}


def _some_ahead(
    cell: Reference, p: Params, steps: Sequence[Params], cotangents: Params, versions: Sequence[Version]
) -> Params:
    """Run versions of which some go forward in time: for these the steps are turned round."""
    turned = {name: g[::-1] if name in ("h", "c", "logits") else g for name, g in cotangents.items()}
    ahead = np.array([ORDER in version for version in versions])
    own = [{name: line for name, line in version.items() if name != ORDER} for version in versions]
    whole: Params = {}
    for turn, given, order in ((False, cotangents, steps), (True, turned, steps[::-1])):
        some = [version for version, is_ahead in zip(own, ahead, strict=True) if is_ahead == turn]
        for name, g in (backward(cell, p, order, given, some) if some else {}).items():
            all_of = whole.setdefault(name, np.empty((len(versions), *g.shape[1:])))
            all_of[ahead == turn] = g[:, ::-1] if turn and name == "x" else g
    return whole


_EDGES = ("dh_last", "dc_last", "dh_next", "dc_next", "dh0", "dc0")
"""Lines at the ends of the loop, and those from one step to the one before."""


def lines_of(cell: Reference, p: Params, cotangents: Params) -> list[Line]:
    """Return all lines in the order in which they run: the output layer's, the step's, the edges."""
    head = []
    if "V" in p and "loss" in cotangents:
        factor = float(cotangents["loss"])
        given, wanted = ("logits", "wanted") if "wanted" in p else ("p", "onehot")
        head = [Line("dlogits", (Term((given,), scale=factor), Term((wanted,), scale=-factor)))]
    elif "V" in p and "logits" in cotangents:
        head = [Line("dlogits", (Term(("dout",)),))]
    if head:
        through = parse("dy = dlogits @ V.T")
        own = (Term(("dy_own",)),) if {"h", "logits"} <= cotangents.keys() else ()
        head += [parse("dV = h.T @ dlogits"), replace(through, terms=(*through.terms, *own))]
        head += [parse("dk = ones.T @ dlogits")] if "k" in p else []
    edges = [
        parse(text)
        for s in cell.states
        for text in (f"d{s}_last = d{s}_T", f"d{s}_next = d{s}_prev", f"d{s}0 = d{s}_prev")
    ]
    lines = [line for line in cell.lines if not is_sum(line.target) or line.target[1:] in p]
    absent = {"dy_c"} - {f"dy_{name}" for name in cotangents}
    if len(p["x"]) == 1 and "h_last" not in cotangents:  # one step alone: what comes back is all there is
        absent |= {"dh_next"}
        edges = [line for line in edges if line.target not in ("dh_last", "dh_next", "dc_next")]
    lines = [
        replace(line, terms=tuple(t for t in line.terms if t.factors[0] not in absent)) for line in lines
    ]
    return [*head, *lines, *edges]


class _View(dict[str, Array]):
    """An environment as one version sees it."""

    def __init__(self, env: Mapping[str, Array], k: int) -> None:
        self.env, self.k = env, k

    def __getitem__(self, name: str) -> Array:
        array = self.env[name]
        return array[self.k] if array.ndim == 3 else array  # gradients alone have the axis of versions


def _value(line: Line, env: Mapping[str, Array], t: int, T: int, shape: tuple[int, ...]) -> Array:
    if (
        (line.steps == "first only" and t > 0)
        or (line.steps == "last only" and t < T - 1)
        or (line.steps == "but the first" and t == 0)
        or (line.steps == "but the last" and t == T - 1)
    ):
        return np.zeros(shape)
    total: Array = np.zeros(shape)
    for term in line.terms:
        value = env[term.factors[0]]
        for name in term.factors[1:]:
            value = value * env[name]
        if term.before:
            value = env[term.before].T @ value
        if term.after:
            value = value @ (env[term.after[:-2]].T if term.after.endswith(".T") else env[term.after])
        total = total + (value if term.scale == 1 else term.scale * value)
    return total


DERIVATIVE: dict[str, Callable[[str], str]] = {
    "sigmoid": lambda s: f"{s}(1-{s})",
    "tanh": lambda s: f"1-{s.replace('tanh(c)', 'tanh²(c)')}" + ("" if "(" in s else "²"),
    "relu": lambda s: f"[{s}>0]",
}
"""How the derivative of an activation is written, from its value."""

_DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda s: s * (1 - s),
    "tanh": lambda s: 1 - s * s,
    "relu": lambda s: (s.real > 0) * 1.0,
}
