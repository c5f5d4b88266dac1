"""What is kept at the end is judged: right, wrong, or right up to what is said of it."""

from pathlib import Path

import pytest

from small_files import EXAMPLE, changed, examined

RETURN = "return np.array(dxs), dh, dW, dU"
NAMES = ("xs", "h", "W", "U")
TUPLE = EXAMPLE.replace("dxs, dh, dW, dU =", "all_of_it =")


def test_right_code_is_right_and_says_so_of_each_array(tmp_path: Path) -> None:
    judged = examined(tmp_path).judged
    assert judged.verdict == "right"
    assert {g.name: (g.verdict, g.note) for g in judged.gradients} == dict.fromkeys(NAMES, ("right", ""))


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("dW += x.T @ da", "dW = x.T @ da", {"W"}),  # each part of it is some use's gradient
        ("dU += before.T @ da", "dU += h.T @ da", {"U"}),
        ("dh = da @ U.T", "dh = da @ U", {"xs", "h", "W", "U"}),
        (RETURN, "return np.array(dxs), dh, 0 * dW, dU", {"W"}),
        (RETURN, "return np.array(dxs), dh, dW + 1e-4 * W, dU", {"W"}),
        (RETURN, "return np.array(dxs)[::-1], dh, dW, dU", {"xs"}),
        (RETURN, "return np.array(dxs), dh, dW, dU + before.T @ da", {"U"}),  # it was right, and went on
        (RETURN, "return np.array(dxs), dh, dW, dU / 3", {"U"}),  # the others are not
        (RETURN, "return np.array(dxs), -dh, dW, dU", {"h"}),
    ],
)
@pytest.mark.parametrize("example", [EXAMPLE, TUPLE])
def test_what_is_wrong_is_named(old: str, new: str, wrong: set[str], example: str, tmp_path: Path) -> None:
    judged = examined(tmp_path, changed((old, new)), example).judged
    assert judged.verdict == "wrong"
    assert {g.name for g in judged.wrong} >= wrong


def test_names_that_are_swapped_are_wrong(tmp_path: Path) -> None:
    square = EXAMPLE.replace("randn(5, 4)", "randn(4, 4)").replace("(3, 2, 5)", "(3, 2, 4)")
    judged = examined(tmp_path, changed((RETURN, "return np.array(dxs), dh, dU, dW")), square).judged
    assert {g.name for g in judged.wrong} == {"W", "U"}


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([(RETURN, "return np.array(dxs), dh, np.clip(dW, -0.1, 0.1), np.clip(dU, -0.1, 0.1)")], "clipped"),
        ([("dh * (1 - h**2)", "dh * (1 - h**2) / 7"), ("dh = da @ U.T", "dh = 7 * da @ U.T"),
          (RETURN, "return np.array(dxs), dh / 7, dW, dU")], ""),
    ],
)  # fmt: skip
def test_what_is_done_to_right_gradients_is_said(
    edits: list[tuple[str, str]], said: str, tmp_path: Path
) -> None:
    judged = examined(tmp_path, changed(*edits)).judged
    assert judged.verdict == "right"
    assert not said or said in " ".join(g.note for g in judged.gradients)
    assert said or judged.chosen.factor == pytest.approx(1 / 7)


MEAN = changed((RETURN, "n = len(h)\n    return np.array(dxs), dh, dW / n, dU / n"))


def test_an_average_over_the_batch_is_told(tmp_path: Path) -> None:
    judged = examined(tmp_path, MEAN).judged
    assert judged.verdict == "right"
    assert judged.chosen.factor == 0.5


def test_one_weight_alone_that_is_averaged_is_wrong(tmp_path: Path) -> None:
    judged = examined(tmp_path, MEAN.replace("dU / n", "dU")).judged
    assert {g.name for g in judged.wrong} == {"W"}


UPDATED = changed(
    (RETURN, "W -= 0.1 * dW\n    U -= RATE * dU\n    return np.array(dxs), dh"),
    ("kept, W, U = cache", "kept, W, U = cache[0], cache[1], cache[2]"),
)
STEP = EXAMPLE.replace("dxs, dh, dW, dU =", "dxs, dh =")


def test_a_learning_rate_is_told_from_an_update(tmp_path: Path) -> None:
    judged = examined(tmp_path, UPDATED.replace("RATE", "0.1"), STEP).judged
    assert judged.verdict == "right"
    assert all(g.verdict == "right" for g in judged.gradients)


GUARD = """
import numpy as np

def loss_and_gradients(x, t, W, b):
    e = np.exp(x @ W + b)
    p = e / e.sum(1, keepdims=True)
    loss = -np.sum(t * np.log(p + 1e-8))
    d = p - t
    return loss, x.T @ d, d.sum(0)
"""


def test_a_guard_in_a_logarithm_is_no_fault(tmp_path: Path) -> None:
    example = (
        "x, t, W, b = np.random.randn(2, 3), np.eye(4)[[1, 3]], np.random.randn(3, 4), np.random.randn(4)\n"
        "loss, dW, db = loss_and_gradients(x, t, W, b)"
    )
    judged = examined(tmp_path, GUARD, example).judged
    assert judged.verdict == "right"
    assert {g.name for g in judged.gradients if g.verdict == "right"} == {"W", "b"}
    wrong = examined(tmp_path, GUARD.replace("d = p - t", "d = p - 0.999 * t"), example).judged
    assert wrong.verdict == "wrong"


def test_a_weight_under_a_gradient_s_name_is_wrong(tmp_path: Path) -> None:
    judged = examined(tmp_path, changed((RETURN, "return np.array(dxs), dh, W, dU"))).judged
    assert {g.name for g in judged.wrong} == {"W"}


def test_code_that_changes_what_it_is_handed_is_judged_by_what_it_was(tmp_path: Path) -> None:
    code = changed(
        ("kept, W, U = cache", "kept, W, U = cache\n    dh *= 1 - kept[-1][2] ** 2"),
        ("da = dh * (1 - h**2)", "da = dh if h is kept[-1][2] else dh * (1 - h**2)"),
    )
    judged = examined(tmp_path, code).judged
    assert judged.verdict == "right"
    assert {g.verdict for g in judged.gradients} == {"right"}
