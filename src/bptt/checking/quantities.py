"""Quantities that stand in wrong lines: derivatives as people miswrite them, and those of another step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bptt.cells import sigmoid
from bptt.checking.reference import DERIVATIVE, Reference
from bptt.types import Array, Params


@dataclass(frozen=True)
class Wrong:
    """A wrong derivative of an activation with value v, taken of a."""

    token: str
    slug: str
    words: str
    value: Callable[[Array, Array], Array]


def wrong_derivatives(kind: str, v: str, a: str) -> list[Wrong]:
    """Return what people write for σ'(a) = v (1 - v), tanh'(a) = 1 - v², relu'(a)."""
    if kind == "relu":
        return [Wrong(v, "value", "the activation itself", lambda v, a: v)]
    if kind == "sigmoid":
        return [
            Wrong(v, "value", "σ itself", lambda v, a: v),
            Wrong(f"σ'({v})", "derivative-of-output", "σ' of σ's output", lambda v, a: _dsigmoid(sigmoid(v))),
            Wrong(
                f"{a}(1-{a})", "derivative-of-input", f"{a} (1 - {a}) of σ's input", lambda v, a: a * (1 - a)
            ),
            Wrong(f"1-{v}", "1-value", "1 - σ", lambda v, a: 1 - v),
            Wrong(f"({v}(1-{v}))²", "derivative-twice", "σ' twice", lambda v, a: _dsigmoid(v) ** 2),
            Wrong(f"1-{v}²", "tanh-derivative", "tanh's derivative", lambda v, a: 1 - v * v),
            Wrong(f"{v}(1+{v})", "plus", "a plus for the minus", lambda v, a: v * (1 + v)),
        ]
    return [
        Wrong(f"1+{v}²", "plus", "1 + tanh²", lambda v, a: 1 + v * v),
        Wrong(f"1/(1-{v}²)", "inverse", "1 / (1 - tanh²)", lambda v, a: 1 / (1 - v * v)),
        Wrong(
            f"1-tanh²({v})",
            "derivative-of-output",
            "tanh' of tanh's output",
            lambda v, a: 1 - np.tanh(v) ** 2,
        ),
        Wrong(f"1-{a}²", "derivative-of-input", f"1 - {a}² of tanh's input", lambda v, a: 1 - a * a),
        Wrong(f"1-{v}", "1-value", "1 - tanh, without the square", lambda v, a: 1 - v),
        Wrong(v, "value", "tanh itself", lambda v, a: v),
        Wrong(f"(1-{v}²)²", "derivative-twice", "tanh' twice", lambda v, a: (1 - v * v) ** 2),
        Wrong(f"{v}(1-{v})", "sigmoid-derivative", "σ's derivative", lambda v, a: v * (1 - v)),
        Wrong(f"{v}²", "square", "tanh², without 1 -", lambda v, a: v * v),
    ]


def _dsigmoid(s: Array) -> Array:
    slope: Array = s * (1 - s)
    return slope


DERIVATIVES_OF_ERROR: dict[str, tuple[str, str, Callable[[Array], Array]]] = {
    "d(1-d)": (
        "sigmoid-derivative",
        "d (1 - d), σ's derivative as if d were σ's value,",
        lambda d: d * (1 - d),
    ),
    "σ'(d)": (
        "derivative-of-sigmoid",
        "σ(d) (1 - σ(d)), σ's derivative at d,",
        lambda d: _dsigmoid(sigmoid(d)),
    ),
    "1-d²": ("tanh-derivative", "1 - d², tanh's derivative as if d were tanh's value,", lambda d: 1 - d * d),
    "1-tanh²(d)": (
        "derivative-of-tanh",
        "1 - tanh²(d), tanh's derivative at d,",
        lambda d: 1 - np.tanh(d) ** 2,
    ),
}
"""What people make of d = p - onehot by a derivative too many: the quantity, a slug, words, and how."""


def with_wrong_quantities(cell: Reference, steps: Sequence[Params]) -> list[Params]:
    """Return the steps with all quantities that a wrong line may use besides."""
    whole = []
    for now in steps:
        more: Params = {"1": np.ones_like(now["h"])}
        for v, (kind, a) in cell.activations.items():
            for wrong in wrong_derivatives(kind, v, a):
                more.setdefault(wrong.token, wrong.value(now[v], now[a]))
        if "r" in now:
            more |= {f"r[j{k:+d}]": np.roll(now["r"], -k, axis=-1) for k in (1, -1)}
        more |= {"1-h²": 1 - now["h"] ** 2, "1-h_prev²": 1 - now["h_prev"] ** 2}
        if "p" in now:
            q, s = now["p"], sigmoid(now["logits"])
            more |= {
                "p(1-p)": q * (1 - q),
                "σ'(logits)": s * (1 - s),
                "1-p": 1 - q,
                "σ'(p)": _dsigmoid(sigmoid(q)),
            }
        if "onehot" in now or "wanted" in now:
            d = now["logits"] - now["wanted"] if "wanted" in now else now["p"] - now["onehot"]
            more |= {token: value(d) for token, (_, _, value) in DERIVATIVES_OF_ERROR.items()}
        whole.append({**now, **more})
    shifted = [*cell.gates, *(DERIVATIVE[kind](v) for v, (kind, _) in cell.activations.items())]
    for t, now in enumerate(list(whole)):
        before, after = whole[max(t - 1, 0)], whole[min(t + 1, len(whole) - 1)]
        for v in shifted:
            if v in now:
                now |= {f"{v}[t-1]": before[v], f"{v}[t+1]": after[v]}
    return whole
