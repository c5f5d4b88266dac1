"""Which cell a Keras layer has: one of bptt's or, where its activations are others, its equations."""

import re
from functools import lru_cache
from typing import Any

from bptt.cells import Cell
from bptt.derive import EquationCell, read
from bptt.errors import ConfigError
from bptt.zoo import get

ACTIVATIONS = {
    "tanh": "tanh({0})",
    "sigmoid": "sigmoid({0})",
    "relu": "relu({0})",
    "linear": "{0}",
    "softplus": "softplus({0})",
    "exponential": "exp({0})",
    "softsign": "{0} / (1 + abs({0}))",
    "silu": "{0} * sigmoid({0})",
    "swish": "{0} * sigmoid({0})",
    "elu": "where({0} > 0, {0}, exp(min({0}, 0)) - 1)",
    "relu6": "min(relu({0}), 6)",
    "hard_sigmoid": "max(0, min(1, {0} / 6 + 0.5))",
}
"""Keras's activations in the notation of equations."""

OLD = ("1.", "2.")
"""Versions of Keras, of which some left out of a configuration what was so by default."""

HARD_SIGMOID = "max(0, min(1, 0.2 * {0} + 0.5))"
"""What it was in these."""

STANDARD = {"lstm": ("tanh", "sigmoid"), "gru": ("tanh", "sigmoid"), "gru-cho": ("tanh", "sigmoid")}

EQUATIONS = {
    "lstm": (
        "h c",
        "",
        "a_i, a_f, a_o, a_g, c",
        ("i = R(a_i)", "f = R(a_f)", "o = R(a_o)", "g = A(a_g)", "c = f * c + i * g", "h = o * A(c)"),
    ),
    "gru": (
        "h",
        "",
        "a_r, a_z, x_n, u_n, h",
        ("r = R(a_r)", "z = R(a_z)", "s = x_n + r * u_n", "n = A(s)", "h = z * h + (1 - z) * n"),
    ),
    "gru-cho": (
        "h",
        ", operand={'a_n': 'q'}",
        "a_r, a_z, a_n, h",
        ("r = R(a_r)", "q = r * h", "z = R(a_z)", "n = A(a_n)", "h = z * h + (1 - z) * n"),
    ),
    "rnn": ("h", "", "a_h", ("h = A(a_h)",)),
}
"""For each cell its states, what else it says, its arguments, and its equations by A, the activation, and R,
the gates'."""


def base_of(kind: str, config: dict[str, Any]) -> str:
    """Return which of bptt's cells has arrays as those of a Keras layer."""
    if kind == "GRU":
        return (
            "gru" if config.get("reset_after", False) else "gru-cho"
        )  # it was False before there was a choice
    return {"LSTM": "lstm", "SimpleRNN": "rnn"}[kind]


def cell_of(kind: str, config: dict[str, Any], version: str) -> Cell:
    """Return the cell of a Keras layer; ConfigError where an activation is none that is known."""
    base = base_of(kind, config)
    own = activation(config.get("activation", "tanh"))
    if base == "rnn":
        known = {"tanh": "rnn", "relu": "rnn-relu"}
        return get(known[own]) if own in known else _made(base, own, None, version)
    default = "hard_sigmoid" if version.startswith(OLD) else "sigmoid"
    gates = activation(config.get("recurrent_activation", default))
    if (own, gates) == STANDARD[base]:
        return get(base)
    return _made(base, own, gates, version)


def activation(value: object) -> str:
    """Return an activation's name, however it is written down."""
    if isinstance(value, dict):
        named = value.get("config")
        value = named if isinstance(named, str) else value.get("class_name")
    return "linear" if value is None else str(value).rpartition(">")[2].lower()


@lru_cache(maxsize=64)
def _made(base: str, own: str, gates: str | None, version: str) -> Cell:
    """Return a cell of these activations, made of its equations."""
    table = dict(ACTIVATIONS)
    if version.startswith(OLD):
        table["hard_sigmoid"] = HARD_SIGMOID
    for name in (own, gates):
        if name is not None and name not in table:
            raise ConfigError(f"the activation {name:.60} is not known; there are {', '.join(table)}")
    states, more, arguments, lines = EQUATIONS[base]
    used = {"A": table[own], "R": table[gates or own]}
    body = [re.sub(r"\b([AR])\((\w+)\)", lambda at: f"({used[at[1]].format(at[2])})", line) for line in lines]
    name = "_".join(filter(None, (base, own, gates))).replace("-", "_")
    head = f"@bptt.cell(state={states!r}{more})\ndef {name}({arguments}):"
    text = "\n    ".join((head, *body, f"return {states.replace(' ', ', ')}"))
    return EquationCell(read(text, name=name.replace("_", "-"), file="the equations of a Keras layer"))
