"""Edits of one statement, by the value that it must have: as its author would have written it."""

import ast
import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptt.checking.mend.edit import Edit, Place, Text
from bptt.checking.mend.matching import Instance, Matching
from bptt.checking.mend.scope import Scope
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


def place(text: Text, member: int | None = None) -> Place:
    """Return the value of the first statement of a text's last function, or a member of it."""
    function = text.tree.body[-1]
    assert isinstance(function, ast.FunctionDef)
    statement = function.body[0]
    assert isinstance(statement, ast.Assign | ast.AugAssign | ast.Return)
    value = statement.value
    if member is not None:
        assert isinstance(value, ast.Tuple)
        value = value.elts[member]
    assert value is not None
    return Place(value, function, text)


def instance(right: str, seed: int, member: int | None = None) -> Instance:
    """Return a time of a place: other numbers with each seed, and what the right line gives with them."""
    value = eval(right.split("=", 1)[1].split("#")[0], names(seed))
    value = value if member is None else value[member]
    return Instance(names(seed), value.reshape(-1), value.shape)


def matching(wrong: str, right: str, member: int | None = None) -> tuple[Text, Matching]:
    text = Text(FUNCTION.format(wrong))
    return text, Matching(place(text, member), [instance(right, seed, member) for seed in (0, 1, 2)])


def lines(text: Text, edits: Iterable[Edit]) -> list[str]:
    """Return the first line of the function with each of some edits."""
    return [edit.applied(text.text).split("\n")[6].strip() for edit in edits]


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
    ("s = slope(slope(n))", "s = slope(n)"),
    ("da = dh * z", "da = dh * slope(n)"),
    ("da = hs[t] * (1 - hs[t])", "da = hs[t - 1] * (1 - hs[t - 1])"),
]


@pytest.mark.parametrize(("wrong", "right"), ONE, ids=[w for w, _ in ONE])
def test_one_small_edit_gives_the_author_s_line(wrong: str, right: str) -> None:
    text, found = matching(wrong, right)
    assert right in lines(text, found.edits())[:2]


def test_what_gives_it_at_one_time_alone_is_no_edit() -> None:
    """At the last time `later` is `hp`, too: the others tell which of them is meant."""
    text = Text(FUNCTION.format("da = dh * z"))
    times = [instance("da = dh * later", seed) for seed in (0, 1, 2)]
    alike = {"hp": times[2].names["later"].copy()}
    alone = replace(times[2], names={**times[2].names, **alike})
    assert "da = dh * hp" in lines(text, Matching(place(text), [alone]).edits())
    among = lines(text, Matching(place(text), [*times[:2], alone]).edits())
    assert among[0] == "da = dh * later"
    assert not any("hp" in line for line in among)


def test_a_member_of_a_tuple_is_edited_and_the_others_stay() -> None:
    text, found = matching("dx, dhp = da @ V.T, da @ W", "dx, dhp = da @ V.T, da @ W.T", member=1)
    assert lines(text, found.edits())[0] == "dx, dhp = da @ V.T, da @ W.T"


LISTS = [
    ("[(1 - hs[t][j]) * dh[j] for j in range(4)]", "[(1 - hs[t][j] ** 2) * dh[j] for j in range(4)]"),
    ("[dy[j] for j in range(4)]", "[dy[j] + dh[j] for j in range(4)]"),
    ("[sum(W[j][i] * dh[i] for i in range(4)) for j in range(4)]",) * 2,
    ("[[dy[i] * hs[t][j] for j in range(4)] for i in range(4)]",) * 2,
]
LISTS[2:] = [
    (right.replace("W[j][i]", "W[i][j]").replace("hs[t]", "hs[t - 1]"), right) for right, _ in LISTS[2:]
]


@pytest.mark.parametrize(("wrong", "right"), LISTS)
def test_what_is_said_of_each_entry_of_a_list_is_edited(wrong: str, right: str) -> None:
    text, times = Text(f"def back(W, dy, dh, hs, t):\n    return {wrong}\n"), []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        here = {
            n: rng.normal(size=s).tolist() for n, s in (("W", (4, 4)), ("dy", 4), ("dh", 4), ("hs", (3, 4)))
        }
        wanted = np.array(eval(right, here | {"t": 1 + seed}))
        times.append(Instance(here | {"t": 1 + seed}, wanted.reshape(-1), wanted.shape))
    assert right in [place(text).edited(edit) for edit in Matching(place(text), times).edits()[:2]]


SUMS = {
    "all of it": ("dh = c * 3", "da * z + dy @ V + later"),
    "two more terms": ("dh = dy @ V", "dy @ V + da * z + later"),
    "one of three": ("dh = dy @ V + da * n", "dy @ V + da * z + later"),
    "a sum over rows": ("db = dy[0] @ V", "da.sum(0) + c.sum(0)"),
    "a product of four": ("da = dh + c", "dh * n * z * (1 - z)"),
}


@pytest.mark.parametrize("kind", SUMS)
def test_a_sum_that_no_small_edit_gives(kind: str) -> None:
    wrong, right = SUMS[kind]
    text, found = matching(wrong, "_ = " + right)
    edits = found.edits()
    assert edits
    for seed in (3, 4):  # numbers that were not looked at
        said = lines(text, edits[:1])[0].split("=", 1)[1]
        np.testing.assert_allclose(eval(said, names(seed)), eval(right, names(seed)), rtol=1e-9)


def test_a_value_that_needs_no_edit_of_a_name_outside_the_function() -> None:
    """An example's names are in the same namespace: they are not to be written into the file."""
    text = Text(FUNCTION.format("da = dh * z"))
    times = []
    for seed in (0, 1):
        here = names(seed)
        given = here["dh"] * np.cos(here["x"]).sum()
        times.append(Instance(here | {"given": given}, (given * here["z"]).reshape(-1), given.shape))
    assert Matching(place(text), times).edits() == []


def test_what_is_added_may_be_broadcast() -> None:
    """What is wanted has the shape of what is added to; a vector does."""
    text = Text(FUNCTION.format("dW += da.mean(0)"))
    here = names(0)
    wanted = np.broadcast_to(here["da"].sum(0), (H, H))
    edits = Matching(place(text), [Instance(here, wanted.reshape(-1), (H, H))]).edits()
    assert lines(text, edits)[0] == "dW += da.sum(0)"


@pytest.mark.parametrize(
    "line",
    [
        "da = dh * z",
        "da = dh - z",
        "da = z * dh * 1",
    ],
)
def test_nothing_is_taken_from_itself_nor_by_zero(line: str) -> None:
    text, found = matching(line, line)
    tried = lines(text, [edits[-1] for edits in found.blind(3.0)])
    assert len(tried) > 9
    for new in tried:
        with contextlib.suppress(ValueError):  # shapes that do not fit
            assert np.any(eval(new.split("=", 1)[1], names(0))), new


def test_evaluating_changes_nothing_that_was_recorded() -> None:
    text = Text("def f(a, items):\n    return a * items.pop()\n")
    here: dict[str, Any] = {"a": np.ones(3), "items": [np.full(3, 2.0)], "np": np}
    edits = Matching(place(text), [Instance(here, np.full(3, -2.0), (3,))]).edits()
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


def test_a_slice_in_parentheses_is_no_expression() -> None:
    """An option for a slice may be none in this place; it is passed over."""
    text = Text("def f(a, n):\n    return a[-n:, :]\n")
    here: dict[str, Any] = {"a": np.ones((3, 2)), "n": 2, "np": np}
    found = Matching(place(text), [Instance(here, np.ones(4), (2, 2))])
    assert all(
        compile(place(text).edited(edit), "edit", "eval") for edits in found.blind(3.0) for edit in edits
    )


def test_what_changes_something_is_not_called() -> None:
    """Nor is what calls what does: a trial would change what the next is tried on."""
    text = Text(
        "class Net:\n"
        "    def forward(self, x):\n        self.h = x\n        return x\n"
        "    def predict(self, x):\n        return self.forward(x)\n"
        "    def guess(self, x):\n        return self.predict(x)\n"
        "    def slope(self, x):\n        return 1 - x**2\n"
        "    def back(self, d):\n        return d * self.slope(self.h)\n"
    )
    made: dict[str, Any] = {}
    exec(text.text, made)
    function = text.tree.body[0].body[-1]  # type: ignore[attr-defined]
    assert Scope(text, function, {"self": made["Net"](), "d": np.ones(2)}).functions == ["self.slope"]
