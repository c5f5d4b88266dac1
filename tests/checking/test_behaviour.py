"""What code does besides returning numbers: reported where a caller would be hurt, and only there."""

from pathlib import Path

import pytest

from bptt.checking import Judgement
from source_files import check_text

RIGHT = """
import numpy as np

calls = 0
kept = None

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    global kept
    h = np.tanh(x @ Wx + prev_h @ Wh + b)
    cache = (x, prev_h, Wx, Wh, h.copy())
    return h, cache

def rnn_step_backward(dh, cache):
    global calls
    x, prev_h, Wx, Wh, own = cache
    da = dh * (1 - own * own)
    return da @ Wx.T, da @ Wh.T, x.T @ da, prev_h.T @ da, da.sum(axis=0)
"""


def judged(tmp_path: Path, *changes: tuple[str, str]) -> Judgement:
    text = RIGHT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return check_text(tmp_path, text)


def test_nothing_is_said_of_code_that_minds_its_own(tmp_path: Path) -> None:
    judgement = judged(tmp_path)
    assert (judgement.verdict, judgement.side_effects, judgement.notes) == ("right", (), ())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("da = dh * (1", "dh *= 1 - own * own\n    da = dh\n    0 * (1", "changes its argument dh in place"),
        ("(1 - own * own)", "(1 - own * own)\n    own += 1", "a second backward from the same cache"),
        ("h = np.tanh(", "prev_h *= 0.5\n    h = np.tanh(", "the forward changes its argument prev_h"),
        ("(1 - own * own)", "(1 - own * own) + 1e-3", "is not zero"),
    ],
)
def test_changes_in_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    effects = judged(tmp_path, (old, new)).side_effects
    assert any(says in effect for effect in effects), effects


def test_a_backward_of_the_last_forward(tmp_path: Path) -> None:
    """Right at every call, and wrong in a loop of forwards with the backwards behind it."""
    judgement = judged(
        tmp_path, ("cache = (", "kept = h.copy()\n    cache = ("), ("(1 - own * own)", "(1 - kept * kept)")
    )
    assert judgement.verdict == "right"
    assert any("after another forward" in effect for effect in judgement.side_effects)


def test_a_global_that_calls_change(tmp_path: Path) -> None:
    judgement = judged(tmp_path, ("da = dh * ", "calls += 1\n    da = (1 + calls) * dh * "))
    assert any(
        "a second call gives other gradients" in effect and "calls change the global calls" in effect
        for effect in judgement.side_effects
    )


def test_a_global_that_changes_nothing_is_not_told(tmp_path: Path) -> None:
    judgement = judged(tmp_path, ("da = dh * ", "calls += 1\n    da = dh * "))
    assert (judgement.verdict, judgement.side_effects) == ("right", ())


def test_an_output_that_the_backward_reads_is_information(tmp_path: Path) -> None:
    judgement = judged(tmp_path, ("h.copy())", "h)"))
    assert (judgement.verdict, judgement.side_effects) == ("right", ())
    assert judgement.notes == (
        "the output h is memory that the backward reads: it must not be changed in place before",
    )
