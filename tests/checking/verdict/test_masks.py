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
