"""Cells whose matrices have maps, of every kind that a layer can have."""

from typing import Any

from bptt.derive import EquationCell, read
from bptt.maps import Map
from bptt.types import Array, Params, Shapes


def made(text: str, **options: Any) -> EquationCell:
    """Return the cell that a text is, with options that stand in for a decorator."""
    return EquationCell(read(text, options={"state": "h"} | options))


class Cubed(Map):
    """A map that is code: A³ s, with a number s for each column."""

    def shapes(self, rows: int, columns: int) -> Shapes:
        return {"A": (rows, columns), "s": (columns,)}

    def forward(self, raw: Params, rows: int, columns: int) -> Array:
        cubed: Array = raw["A"] ** 3 * raw["s"]
        return cubed

    def pullback(self, raw: Params, d: Array) -> Params:
        A, s = raw["A"], raw["s"]
        return {"A": 3 * A**2 * s * d, "s": (A**3 * d).sum(axis=0)}


LSTM = """
def mapped_lstm(a_i, a_f, a_o, a_g, c):
    c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    h = sigmoid(a_o) * tanh(c)
    return h, c
"""

GRU = """
def mapped_gru(a_r, a_z, x_n, u_n, h):
    r, z = sigmoid(a_r), sigmoid(a_z)
    return (1 - z) * tanh(x_n + r * u_n) + z * h
"""

CHO = """
def mapped_cho(a_r, a_z, a_n, x_n, h):
    q = sigmoid(a_r) * h
    z = sigmoid(a_z)
    return (1 - z) * tanh(a_n + x_n) + z * h
"""

MATRIX = """
def mapped_matrix(a_i, a_f, a_o, x_v, x_k, x_q, C, n):
    f, i = sigmoid(a_f), sigmoid(a_i)
    C = f * C + i * x_v * x_k
    n = f * n + i * x_k
    h = sigmoid(a_o) * sum(C * x_q, key) / (1 + abs(sum(n * x_q, key)))
    return h, C, n
"""

HIGHWAY = """
def mapped_highway(x_1, u_1, u_2, a_3, h):
    h1 = h + tanh(x_1 + u_1)
    h2 = h1 + tanh(u_2)
    return h2 * sigmoid(a_3)
"""

SEVERAL = {
    "a_f a_i": "antisymmetric(0.1)",
    "a_o": "low_rank(2)",
    "W.a_g": "tanh(M)",
    "W.a_o": "W.a_f",
    "a_g": "a_f",
}

MAPPED_LSTM = made(LSTM, state="h c", maps=SEVERAL)
CELLS = (
    made(LSTM, state="h c", maps=SEVERAL | {"W.a_i": "U.a_i"}),  # where D = H
    made(GRU, maps={"U": "low_rank(2)", "W": Cubed()}),
    made(CHO, operand={"a_n": "q"}, maps={"a_n": "orthogonal", "a_r": "a_z", "x_n": "heads(2)"}),
    made(HIGHWAY, operand={"u_2": "h1", "a_3": "h2"}, maps={"u_2": "u_1", "a_3": "orthogonal"}),
    made(
        MATRIX,
        state="h C n",
        heads=2,
        sizes={"key": 3},
        shapes={"C": "unit key", "n x_k x_q": "key", "a_i a_f": "head"},
        maps={"x_k": "tanh(M)", "x_v": "low_rank(2)", "a_o": "low_rank(2)", "a_i": "low_rank(1)"},
    ),
)
