"""What must be kept at the end: numbers that are off are not met, however they are kept; right ones are."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bptt.checking.adjoints.record import Case
from bptt.checking.file import read
from bptt.checking.taps.program import Hooks
from bptt.checking.telling import Examined
from bptt.checking.verdict.goal import Goal
from small_files import CODE, EXAMPLE, changed, examined, line

RETURN = "return np.array(dxs), dh, dW, dU"
NAMES = ("xs", "h", "W", "U")


def goal(one: Examined) -> Goal:
    return Goal(one.found, one.judged)


def other(one: Examined, code: str) -> Case:
    """Return the example at the same point, with another text of its file."""
    case, path = one.found.point.case, one.source.path
    path.write_text(code)
    return replace(case, program=case.program.replaced({path: read(path)}))


def named(one: Goal, reached: Sequence[float]) -> dict[str, float]:
    return {wanted.name: part for wanted, part in zip(one.wanted, reached, strict=True)}


def test_right_code_reaches_all_of_it(tmp_path: Path) -> None:
    one = examined(tmp_path)
    assert [wanted.was_right for wanted in goal(one).wanted] == [True] * 4
    assert named(goal(one), goal(one).reached(one.found.point.case)) == dict.fromkeys("hWU", 1.0) | {
        "xs": 1.0
    }


@pytest.mark.parametrize(
    ("new", "met"),
    [
        ("return np.array(dxs), dh, -dW, dU", {"W": 0.0}),
        ("return np.array(dxs), dh, dW + 1e-5 * np.sign(dW), 2 * dU", {"W": 0.0, "U": 0.0}),
        ("return np.array(dxs), dh, dW, dU * (np.arange(4) > 0)", {"U": 0.75}),
        ("return np.array(dxs)[::-1], dh, dW, dU", {"xs": 1 / 3}),  # the middle one of three stays
        ("return np.array(dxs), dh, dW[1:], dU", {"W": 0.0}),
        ("return np.array(dxs), dh, dW[:0], dU", {"W": 0.0}),
        ("return np.array(dxs), dh, None, dU", {"W": 0.0}),
        ("return np.array(dxs), dh, dW * np.nan, dU", {"W": 0.0}),
    ],
)
def test_planted_numbers_are_not_met(new: str, met: dict[str, float], tmp_path: Path) -> None:
    one = examined(tmp_path)
    reached = named(goal(one), goal(one).reached(other(one, changed((RETURN, new)))))
    assert reached == pytest.approx(dict.fromkeys(NAMES, 1.0) | met)


def test_what_was_wrong_is_wanted_as_it_is_measured(tmp_path: Path) -> None:
    wrong = changed((RETURN, "return np.array(dxs), dh, dW - 3 * x.T @ da, dU / 2"))
    one = examined(tmp_path, wrong)
    assert named(goal(one), goal(one).reached(one.found.point.case)) == {"xs": 1, "h": 1, "W": 0, "U": 0}
    assert goal(one).reached(other(one, CODE)) == [1.0] * 4
    right = examined(tmp_path)
    for wanted, kept in zip(goal(one).wanted, goal(right).wanted, strict=True):
        np.testing.assert_allclose(wanted.numbers, kept.numbers, rtol=1e-6, atol=1e-8)


def test_hooks_put_it_right(tmp_path: Path) -> None:
    """What a statement gives is replaced while the program runs; nothing of the text is changed."""
    wrong = changed(("dh = da @ U.T", "dh = da @ U"))
    one = examined(tmp_path, wrong)
    case = one.found.point.case
    statements, U = case.program.table.statements, case.run().names["U"]
    (number,) = [j for j, s in enumerate(statements) if s.tree.lineno == line(wrong, "dh =")]

    def put(j: int, value: np.ndarray) -> np.ndarray:
        return np.linalg.solve(U.T, value.T).T @ U.T if j == number else value

    assert min(goal(one).reached(case)) == 0.0
    assert goal(one).reached(case, Hooks(put=put)) == [1.0] * 4


def test_what_does_not_run_raises(tmp_path: Path) -> None:
    one = examined(tmp_path)
    with pytest.raises(Exception, match="ZeroDivisionError"):
        goal(one).reached(other(one, changed(("dh = da @ U.T", "dh = da @ U.T / (1 // 0)"))))


PARTS = changed(
    ("np.zeros_like(U), []", "np.zeros_like(U), []\n    parts = []"),
    ("dW += x.T @ da", "parts.append(x.T @ da)"),
    (RETURN, "W -= 0.1 * sum(parts)\n    return np.array(dxs), dh, dU"),
)


@pytest.mark.parametrize(
    ("rate", "met"), [("0.1 *", 1.0), ("0.003 *", 1.0), ("-0.1 *", 0.0), ("0 *", 0.0), ("0.1 * np.abs", 0.0)]
)
def test_an_update_is_met_at_any_rate_that_descends(rate: str, met: float, tmp_path: Path) -> None:
    updated = EXAMPLE.replace("dxs, dh, dW, dU =", "dxs, dh, dU =")
    one = examined(tmp_path, PARTS.replace("x.T @ da", "x.T @ dh"), updated)
    reached = goal(one).reached(other(one, PARTS.replace("0.1 * sum(parts)", f"{rate}(sum(parts))")))
    assert named(goal(one), reached) == {"xs": 1.0, "h": 1.0, "W": met, "U": 1.0}


BIAS = changed(
    ("forward(xs, h, W, U)", "forward(xs, h, W, U, b)"),
    ("h @ U)", "h @ U + b)"),
    ("np.zeros_like(U), []", "np.zeros_like(U), []\n    db = 0"),
    ("        dW +=", "        db = db + da\n        dW +="),
    (RETURN, f"{RETURN}, db"),
)


@pytest.mark.parametrize(
    ("new", "met"),
    [("da", 1.0), ("da.sum(0)", 1.0), ("-da", 0.0), ("da.mean(0)", 0.0), ("da[:1]", 0.0), ("da[0, :3]", 0.0)],
)
def test_an_axis_of_the_batch_may_still_be_summed(new: str, met: float, tmp_path: Path) -> None:
    example = "b = np.random.randn(4)\n" + EXAMPLE.replace("W, U)\n", "W, U, b)\n").replace(
        "dU =", "dU, db ="
    )
    one = examined(tmp_path, BIAS.replace("db + da", "db + dh.sum(0)"), example)
    reached = goal(one).reached(other(one, BIAS.replace("db + da", f"db + {new}")))
    assert named(goal(one), reached) == dict.fromkeys(NAMES, 1.0) | {"b": met}


ADDED = ["dW += x.T @ da", "dW = dW + x.T @ da"]
ANNOTATED = "dW: float = dW + x.T @ da"


@pytest.mark.parametrize("right", [*ADDED, ANNOTATED])
def test_a_local_variable_is_read_as_it_is_at_last(right: str, tmp_path: Path) -> None:
    inside = changed((RETURN, "return np.array(dxs), dh"), ("dW += x.T @ da", right))
    example = EXAMPLE.replace("dxs, dh, dW, dU =", "dxs, dh =")
    one = examined(tmp_path, inside.replace("x.T @ da", "x.T @ dh"), example)
    assert named(goal(one), goal(one).reached(one.found.point.case)) == {"xs": 1.0, "h": 1.0, "W": 0.0}
    assert goal(one).reached(other(one, inside)) == [1.0] * 3
