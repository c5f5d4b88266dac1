"""What strangers write as other libraries have it, and what the refusal says to write in its place."""

import math
import re
from typing import Any

import numpy as np
import pytest

from bptt.derive import EquationCell, EquationError, read
from bptt.derive.instead import FORMULAS

BODY = {
    "g = leaky_relu(a_g)": "leaky_relu is not known: ... def leaky_relu(u): return max(u, 0.01 * u)",
    "g = F.hard_sigmoid(a_g)": "def hard_sigmoid(u): return clip(u / 6 + 0.5, 0, 1)",
    "g = np.mean(a_g, axis=1)": "np.mean is not known: mean(v) goes over the units, mean(v, key) over",
    "g = np.einsum('bi,bj->bij', a_g, h)": 'products with matrices are outside, ... shapes={"S": "unit key"}',
    "g = torch.cat([a_g, h])": "a gate reads input and state, a_h is x W_h + h U_h + b_h",
    "g = np.dot(a_g, h)": "sum(u * v) goes over the units",
    "g = a_g + np.random.randn()": "what is drawn is given at each step, inputs=",
    "i, g = chunk(a_g, 2)": "as many values as names: i, f = sigmoid(a_i), sigmoid(a_f), each an argument",
    "g = where(h > 0 or a_g > 1, a_g, h)": "where(a > b, this, where(c > d, this, that)) is a or b",
    "g = where(h > 0 and a_g > 1, a_g, h)": "where(a > b, where(c > d, this, that), that) is a and b",
    "g = where(0 < h < 1, a_g, h)": "where(a > b, where(c > d, this, that), that) is a and b",
    "g = where(not h, a_g, h)": "for not, exchange what is chosen: where(a > b, that, this)",
    "h[t] = a_g + h[t - 1]": "h[t]: an equation sets a name, h = ..., and h is the step before's",
    "g = a_g + h[0]": "h is that unit's, of a state the step before's",
    "g = a_g[:, 0]": "a_g is that unit's",
    "g = np.power(a_g, 2)": "arithmetic has signs: ... u ** 2",
    "g = where((h > 0) & (a_g > 1), a_g, h)": "where(a > b, where(c > d, this, that), that) is a and b",
    "g = where((h > 0) | (a_g > 1), a_g, h)": "where(a > b, this, where(c > d, this, that)) is a or b",
    "g = where(~(h > 0), a_g, h)": "for not, exchange what is chosen: where(a > b, that, this)",
    "g = where(np.logical_or(h > 0, a_g > 1), a_g, h)": "where(c > d, this, that)) is a or b",
    "g = a_g.clamp(min=0)": "clip(a_g, low, high) is meant",
    "g = a_g // 2": "write floor(a / b)",
    "g = a_g * 1j": "a complex value is two, with an equation each",
}
ARGUMENTS = {
    "a_g, h, W_h": "matrices and biases are outside: a_h is x W_h + h U_h + b_h",
    "a_g, h_t": "the state before the step is h, or h_prev",
    "a_g, prev_h": "the state before the step is h, or h_prev",
    "a_g, state": "each state is an argument by its own name: h",
    "g, h": 'a gate is a_g, a parameter stands in params="g", what is given in inputs="g"',
    "gates, h": "each gate is an argument of its own: a_i, a_f",
    "a_g, h, act='tanh'": "the constant act must be a number, got 'tanh'",
    "a_g, h, ks=[1, 2]": "the constant ks must be a number, got [1, 2]",
    "a_g, h=None": 'a state has no value here: where it starts stands in start={"h": 1.0}',
    "h": "a cell has at least one gate: an argument such as a_h; a_h is x W_h + h U_h + b_h",
}


def refusal(arguments: str, line: str) -> str:
    """Return what is said of a cell."""
    text = f"@bptt.cell(state='h')\ndef mine({arguments}):\n    {line}\n    return tanh(g) + h\n"
    with pytest.raises(EquationError) as told:
        read(text)
    return str(told.value)


@pytest.mark.parametrize("line", BODY)
def test_a_line_that_is_no_equation(line: str) -> None:
    said = refusal("a_g, h", line)
    assert all(piece.strip() in said for piece in BODY[line].split(" ... ")), said


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_an_argument_that_is_none(arguments: str) -> None:
    said = refusal(arguments, "g = a_g + h")
    assert ARGUMENTS[arguments] in said, said


OWN: dict[str, Any] = {
    "leaky_relu": lambda u: np.where(u > 0, u, 0.01 * u),
    "elu": lambda u: np.where(u > 0, u, np.expm1(u)),
    "selu": lambda u: np.where(u > 0, 1.0507 * u, 1.0507 * 1.6733 * np.expm1(u)),
    "relu6": lambda u: np.clip(u, 0, 6),
    "hardtanh": lambda u: np.clip(u, -1, 1),
    "hardsigmoid": lambda u: np.clip(u + 3, 0, 6) / 6,
    "hardswish": lambda u: u * np.clip(u + 3, 0, 6) / 6,
    "softsign": lambda u: u / (1 + np.abs(u)),
    "mish": lambda u: u * np.tanh(np.log1p(np.exp(u))),
    "logit": lambda u: np.log(u) - np.log1p(-u),
    "rsqrt": lambda u: u**-0.5,
    "erfc": np.vectorize(math.erfc),
    "heaviside": lambda u: np.heaviside(u, 0),
    "var": lambda u: u.var(-1, keepdims=True),
    "std": lambda u: u.std(-1, keepdims=True),
    "norm": lambda u: np.linalg.norm(u, axis=-1, keepdims=True),
    "normalize": lambda u: u / np.sqrt((u * u).sum(-1, keepdims=True) + 1e-6),
    "layernorm": lambda u: (u - u.mean(-1, keepdims=True)) / np.sqrt(u.var(-1, keepdims=True) + 1e-5),
    "rmsnorm": lambda u: u / np.sqrt((u * u).mean(-1, keepdims=True) + 1e-6),
    "logsumexp": lambda u: np.log(np.exp(u).sum(-1, keepdims=True)),
    "logsoftmax": lambda u: u - np.log(np.exp(u).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_the_function(name: str) -> None:
    said = refusal("a_g, h", f"g = {name}(a_g)")
    helper = re.search(r"def .*?: return .*?(?= \(bptt derive)", said)
    assert helper is not None
    lines = f"    {helper[0]}\n    return {name}(a_g) + 0 * h\n"
    cell = EquationCell(read(f"@bptt.cell(state='h')\ndef mine(a_g, h):\n{lines}"))
    negative = name not in ("logit", "rsqrt", "log1p", "log2", "log10", "arctanh")
    u = np.random.default_rng(0).uniform(-4 if negative else 0.05, 4 if negative else 0.95, (2, 5))
    (got,), _ = cell.forward(u, (np.zeros_like(u),))
    own = OWN.get(name) or getattr(np, name)
    np.testing.assert_allclose(got, np.broadcast_to(own(u), u.shape), 1e-12, 1e-12)
