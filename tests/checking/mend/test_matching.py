"""Edits of one statement, by the value that it must have: as its author would have written it."""

import ast
from typing import Any

import numpy as np
import pytest

from bptt.checking.adjoints.record import sketch
from bptt.checking.mend.edit import Edit, Place, Text
from bptt.checking.mend.matching import Goal, Matching
from bptt.checking.taps.values import flat, leaves
from bptt.types import Array

FUNCTION = """
def slope(v):
    return 1 - v ** 2


def back(self, dy, hs, t, W, V, x, h, hp, z, n, dh, dz, da, c, later):
    {}
    return [hs[t], hs[t - 1], W.T, V, du[2:], du[:2], z * dz]
"""
H, D, N = 4, 2, 3


def names(seed: int) -> dict[str, Any]:
    """Return what the function's names stand for: rows are examples, and no two sizes are alike."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Array:
        return rng.normal(size=shape)

    rows = {k: draw(N, H) for k in ("h", "hp", "z", "n", "dh", "dz", "da", "c", "later")}
    out: dict[str, Any] = rows | {
        "W": draw(H, H),
        "V": draw(D, H),
        "x": draw(N, D),
        "dy": draw(N, D),
        "du": draw(N, D + H).T,
    }
    out |= {"hs": [draw(N, H) for _ in range(4)], "t": 2, "np": np, "i": np.array([1, 0, 1])}
    exec(FUNCTION.format("pass").split("def back")[0], out)
    return out


def place(text: Text) -> Place:
    """Return the first statement of a text's last function."""
    function = text.tree.body[-1]
    assert isinstance(function, ast.FunctionDef)
    return Place(function.body[0], function, text)


def matching(wrong: str, right: str) -> tuple[Text, Matching]:
    text = Text(FUNCTION.format(wrong))
    value = eval(right.split("=", 1)[1].split("#")[0], names(0))
    goal = Goal({n.size: sketch(n)[None] for _, v in leaves(value) if (n := flat(v)) is not None})
    return text, Matching(place(text), names(0), goal.start(value))


ONE = [
    ("da = dh * n", "da = dh * (1 - n ** 2)"),
    ("da = dh * (1 - n)  # tanh", "da = dh * (1 - n ** 2)  # tanh"),
    ("da = dh * (1 + n**2)", "da = dh * (1 - n**2)"),
    ("da = dh * (n - hp)", "da = dh * (hp - n)"),
    ("da = dh * z * (1 - n)", "da = dh * z * (1 - z)"),
    ("da = dh", "da = dh * z * (1 - z)"),
    ("da = dh * np.tanh(n)", "da = dh * (1 - np.tanh(n) ** 2)"),
    ("da = (dh + later) * z", "da = dh * z"),
    ("da = dh @ W", "da = dh @ W.T"),
    ("dW = np.dot(h, da.T)", "dW = np.dot(h.T, da)"),
    ("dW = hs[t].T @ da", "dW = hs[t - 1].T @ da"),
    ("dW = h.T * 2 @ da", "dW = h.T @ da"),
    ("dh = dy @ V", "dh = dy @ V + later"),
    ("dh = dy @ V - later", "dh = dy @ V + later"),
    ("db = da", "db = da.sum(0)"),
    ("db = da.mean(0)", "db = da.sum(0)"),
    ("db = np.sum(da, axis=1)", "db = np.sum(da, axis=0)"),
    ("dv = du[:2]", "dv = du[2:]"),
    ("dx, dhp = da @ V.T, da @ W", "dx, dhp = da @ V.T, da @ W.T"),
    ("s = slope(slope(n))", "s = slope(n)"),
    ("da = dh * z", "da = dh * slope(n)"),
]


@pytest.mark.parametrize(("wrong", "right"), ONE, ids=[w for w, _ in ONE])
def test_one_small_edit_gives_the_author_s_line(wrong: str, right: str) -> None:
    text, found = matching(wrong, right)
    lines = [e.applied(text.text).split("\n")[6].strip() for e in found.one()]
    assert right in lines[:2]


def test_a_value_that_needs_no_edit_of_a_name_outside_the_function() -> None:
    """An example's names are in the same namespace: they are not to be written into the file."""
    text = Text(FUNCTION.format("da = dh * z"))
    here = names(0) | {"given": names(0)["dh"] * 3.0}
    goal = Goal({N * H: sketch((here["given"] * here["z"]).reshape(-1))[None]})
    found = Matching(place(text), here, goal.start(here["dh"]))
    assert not found.one()


@pytest.mark.parametrize("line", ["da = dh * z", "da = dh - z", "da = z * dh * 1"])
def test_nothing_is_taken_from_itself_nor_by_zero(line: str) -> None:
    text, found = matching(line, line)
    for edit in found.one(blind=3.0):
        value = edit.applied(text.text).split("\n")[6].split("=", 1)[1]
        assert np.any(eval(value, names(0)))


def test_evaluating_changes_nothing_that_was_recorded() -> None:
    text = Text("def f(a, items):\n    return a * items.pop()\n")
    here: dict[str, Any] = {"a": np.ones(3), "items": [np.full(3, 2.0)], "np": np}
    goal = Goal({3: sketch(np.full(3, -2.0))[None]}).start(np.ones(3))
    edits = Matching(place(text), here, goal).one()
    assert len(here["items"]) == 1
    assert edits


def test_columns_count_bytes_and_offsets_characters() -> None:
    text = Text("Δ = 'é'; b = Δ + c\n")
    statement = text.tree.body[1]
    assert isinstance(statement, ast.Assign)
    assert isinstance(statement.value, ast.BinOp)
    node = statement.value.right
    assert text.of(node) == "c"
    assert Edit(((*text.span(node), "d"),), "", 1.0).applied(text.text) == "Δ = 'é'; b = Δ + d\n"
