"""The first place that is wrong is found, with what it must give; right code raises no suspicion."""

import ast
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from bptt.checking.locate.classes import classify
from bptt.checking.locate.search import Hypothesis, Locator
from bptt.checking.locate.units import families
from bptt.checking.telling import Examined
from bptt.checking.verdict.goal import Goal
from small_files import CODE, changed, examined, line

TWO = changed(
    ("        da = dh * (1 - h**2)\n", "        dW_, dU_, dx, dh = step(x, before, h, W, U, dh)\n"),
    ("        dW += x.T @ da\n", "        dW += dW_\n"),
    ("        dU += before.T @ da\n", "        dU += dU_\n"),
    ("        dxs.insert(0, da @ W.T)\n        dh = da @ U.T\n", "        dxs.insert(0, dx)\n"),
    ("def backward", "def step(x, before, h, W, U, d):\n    da = d * (1 - h**2)\n"
     "    return x.T @ da, before.T @ da, da @ W.T, da @ U.T\n\ndef backward"),
)  # fmt: skip


CARRIED = changed(
    ("    for x, before", "    later = 0 * dh\n    for x, before"),
    ("        da = dh *", "        dh = dh + later\n        da = dh *"),
    ("        dh = da @ U.T\n", "        dh, later = 0, da @ U.T\n"),
    ("return np.array(dxs), dh,", "return np.array(dxs), later,"),
)
CALL = changed(
    ("        dh = da @ U.T\n", "        dh = into(da, U)\n"),
    ("def backward", "def into(d, weight):\n    return d @ weight.T\n\ndef backward"),
)


def locator(one: Examined) -> Locator:
    return Locator(one.found, one.chosen, Goal(one.found, one.judged), seconds=30)


def told(places: Iterable[Hypothesis]) -> list[tuple[int, str]]:
    """Return places as lines and texts."""
    return [(one.unit.statement.tree.lineno, ast.unparse(one.unit.tree)) for one in places]


ONE = [
    (CODE, "da = dh * (1 - h**2)", "da = dh * (1 + h**2)", "da =", "dh * (1 + h ** 2)"),
    (CODE, "da = dh * (1 - h**2)", "slope = 1 - h\n        da = dh * slope", "da =", "dh * slope"),
    (CODE, "dW += x.T @ da", "dW += x.T @ dh", "dW +=", "x.T @ dh"),
    (CODE, "dU += before.T @ da", "dU += h.T @ da", "dU +=", "h.T @ da"),
    (CODE, "dh = da @ U.T", "dh = da @ U", "dh =", "da @ U"),
    (CODE, "dh = da @ U.T", "dh = dh @ U.T", "dh =", "dh @ U.T"),
    (CODE, "insert(0, da @ W.T)", "insert(0, dh @ W.T)", "dxs.insert", "dh @ W.T"),
    (CODE, "dh, dW, dU", "dh, 2 * dW, dU", "return np.array", "2 * dW"),
    (CARRIED, "dh = dh + later", "dh = dh", "da =", "dh * (1 - h ** 2)"),
    (CARRIED, "dh = dh + later", "dh = dh - later", "dh = dh", "dh - later"),
    (CALL, "into(da, U)", "into(dh, U)", "dh =", "dh"),
    (CALL, "into(da, U)", "into(da, U.T)", "dh =", "into(da, U.T)"),
    (TWO, "step(x, before, h, W, U, dh)", "step(x, before, h, W, U, dh * h)", "dW_, dU_", "dh * h"),
]


@pytest.mark.parametrize(("code", "old", "new", "at", "text"), ONE)
def test_the_first_place_that_is_wrong(
    code: str, old: str, new: str, at: str, text: str, tmp_path: Path
) -> None:
    wrong = changed((old, new), code=code)
    one = examined(tmp_path, wrong)
    assert one.judged.verdict == "wrong"
    first = next(locator(one).single())
    assert told([first]) == [(line(wrong, at), text)]


def test_later_places_that_would_do_come_later(tmp_path: Path) -> None:
    """What is handed over is wrong; what comes of it may be put right as well, and then all is right, too."""
    wrong = changed(("into(da, U)", "into(dh, U)"), code=CALL)
    one = examined(tmp_path, wrong)
    found = list(locator(one).single())
    lines = [line(wrong, "dh ="), line(wrong, "dh ="), line(wrong, "return d @")]
    assert told(found) == list(zip(lines, ["dh", "into(dh, U)", "d @ weight.T"], strict=True))
    assert [place.when for place in found] == sorted(place.when for place in found)


def test_the_step_at_which_it_first_goes_wrong(tmp_path: Path) -> None:
    """Without the carry the last step of time, which is the backward's first, is right."""
    one = examined(tmp_path, changed(("dh = dh + later", "dh = dh"), code=CARRIED))
    places = locator(one)
    first = next(places.single())
    assert first.first == 1
    assert first.row.text() == "the gradient at `x @ W` of line 7 (time 2)"
    np.testing.assert_allclose(places.targets(first)[0], first.unit.times[0].numbers, rtol=1e-6, atol=1e-8)


def test_what_it_must_give_is_what_the_right_one_gives(tmp_path: Path) -> None:
    one = examined(tmp_path, changed(("dh = da @ U.T", "dh = da @ U")))
    places = locator(one)
    targets = places.targets(next(places.single()))
    names = one.found.point.case.run().names
    kept, _, U = names["cache"]
    d = names["dout"]
    for step, (_, _, h) in enumerate(reversed(kept)):
        d = d * (1 - h**2) @ U.T
        np.testing.assert_allclose(targets[step], d.reshape(-1), rtol=1e-6, atol=1e-8)


def test_without_time_nothing_is_tried(tmp_path: Path) -> None:
    one = examined(tmp_path, changed(("dh = da @ U.T", "dh = da @ U")))
    places = Locator(one.found, one.chosen, Goal(one.found, one.judged), seconds=0)
    assert list(places.single()) == []


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        TWO,
        changed(("da = dh * (1 - h**2)", "square = dh * h**2\n        da = dh - square")),
        changed(("dh = da @ U.T", "dh = np.einsum('nh,kh->nk', da, U)")),
        changed(("da = dh * (1 - h**2)", "half = 0.5 * dh\n        da = 2 * half * (1 - h) * (1 + h)")),
    ],
)
def test_right_code_raises_no_suspicion(code: str, tmp_path: Path) -> None:
    one = examined(tmp_path, code)
    assert one.judged.verdict == "right"
    assert not [step.statement.tree.lineno for step in classify(one.found, one.chosen) if step.suspect]


def test_where_it_begins_is_known_without_a_search(tmp_path: Path) -> None:
    """The first statement that takes gradients and gives none; what it must, where it is right at times."""
    wrong = changed(("1 - h**2", "1 - h ** (1 if dxs else 2)"))
    step, must = locator(examined(tmp_path, wrong)).first() or (None, None)
    assert step is not None
    assert must is not None
    assert (step.statement.tree.lineno, step.number) == (line(wrong, "da ="), 1)
    assert must.row.text() == "the gradient at `x @ W` of line 7 (time 2)"
    never = changed(("1 - h**2", "1 + h**2"), ("before.T @ da", "h.T @ da"))
    step, must = locator(examined(tmp_path, never)).first() or (None, None)
    assert step is not None
    assert (step.statement.tree.lineno, step.number, must) == (line(never, "da ="), 0, None)
    assert locator(examined(tmp_path, CODE)).first() is None


def test_a_helper_is_another_expression_wherever_it_is_called(tmp_path: Path) -> None:
    helped = changed(
        ("x @ W + h @ U", "times(x, W) + times(h, U)"),
        ("def forward", "def times(a, b):\n    return a @ b\n\ndef forward"),
    )
    one = examined(tmp_path, helped)
    own = [
        [row and row.use for row in family.rows]
        for family in families(one.found, one.chosen)
        if any(row and row.node and ast.unparse(row.node.tree) == "a @ b" for row in family.rows)
    ]
    assert [0, 1, 2, 3, 4, 5] in own
    assert [0, 2, 4] in own or [0, 1, 2, 3, 4, 5] in own


def test_only_what_reaches_all_that_is_wrong_is_put_right(tmp_path: Path) -> None:
    one = examined(tmp_path, changed(("1 - h**2", "1 + h**2")))
    places = {told([place])[0][1] for place in locator(one).single()}
    assert "x.T @ da" not in places
