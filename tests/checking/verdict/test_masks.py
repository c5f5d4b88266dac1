"""A mask that is right at most points."""

from pathlib import Path

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read

RELU = """
import numpy as np


class Relu:
    def __init__(self, D, H):
        self.W, self.b = np.random.randn(D, H), np.zeros(H)

    def forward(self, x):
        self.x, self.a = x, x @ self.W
        self.h = np.maximum(self.a + self.b, 0)
        return self.h

    def backward(self, dh):
        da = dh * (self.h > 0)
        self.dW, self.db = np.outer(self.x, da), da
        return self.W @ da
"""
EXAMPLE = "net = Relu(3, 5); h = net.forward(np.random.randn(3)); dx = net.backward(np.random.randn(5))"


@pytest.mark.parametrize(("kept", "verdict"), [("self.h", "right"), ("self.a", "wrong")])
def test_a_mask_is_tried_at_many_points(kept: str, verdict: str, tmp_path: Path) -> None:
    path = tmp_path / "relu.py"
    path.write_text(RELU.replace("(self.h > 0)", f"({kept} > 0)"))
    report = check_source(read(path), EXAMPLE)
    assert report.verdict == verdict
    assert [one["after"] if isinstance(one, dict) else one.after for one in report.mends] == (
        [] if verdict == "right" else ["        da = dh * (self.h > 0)"]
    )


CLIPS = """
import numpy as np


class Clips:
    def __init__(self, D, H):
        self.W, self.U = np.random.randn(H, D), np.random.randn(H, H)

    def forward(self, xs):
        self.xs, self.hs = xs, [np.zeros(len(self.U))]
        for x in xs:
            self.hs.append(np.tanh(self.W @ x + self.U @ self.hs[-1]))
        return np.array(self.hs[1:])

    def backward(self, dhs):
        dW, dU, back = 0 * self.W, 0 * self.U, 0 * self.hs[0]
        for t in reversed(range(len(dhs))):
            da = (dhs[t] + back) * (1 - self.hs[t + 1] ** 2)
            dW += np.outer(da, self.xs[t])
            dU += np.outer(da, self.hs[t])
            back = self.U.T @ da
            np.clip(back, -0.1, 0.1, back)
        return dW, dU
"""


@pytest.mark.parametrize(("old", "verdict"), [("", "right"), ("self.U.T @ da", "wrong")])
def test_what_is_clipped_on_its_way_is_judged_without(old: str, verdict: str, tmp_path: Path) -> None:
    path = tmp_path / "clips.py"
    path.write_text(CLIPS.replace(old, old.replace(".T", "")))
    example = "net = Clips(3, 4); hs = net.forward(np.random.randn(5, 3))"
    report = check_source(read(path), f"{example}; dW, dU = net.backward(np.random.randn(5, 4))", seconds=10)
    assert report.verdict == verdict
    assert any("none were clipped" in note for note in report.notes) == (verdict == "right")
