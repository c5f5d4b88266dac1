"""An object that is made of its data: what it keeps of it is no output, and its weights are judged."""

from pathlib import Path

import pytest

from small_files import examined

CODE = """
import numpy as np


class Net:
    def __init__(self, xs):
        self.xs = xs.reshape(-1, 1)
        self.W, self.U, self.V = np.random.randn(4, 1), np.random.randn(4, 4), np.random.randn(1, 4)
        self.ys = np.zeros((len(xs), 1))

    def forward(self):
        self.hs = [np.zeros((4, 1))]
        for t, x in enumerate(self.xs):
            self.hs.append(np.tanh(self.W * x + self.U @ self.hs[-1]))
            self.ys[t] = (self.V @ self.hs[-1])[0]

    def backward(self, dys):
        self.dW, self.dU, self.dV, dh = 0 * self.W, 0 * self.U, 0 * self.V, np.zeros((4, 1))
        for t in reversed(range(len(dys))):
            self.dV += dys[t] * self.hs[t + 1].T
            da = (self.V.T * dys[t] + dh) * (1 - self.hs[t + 1] ** 2)
            self.dW += da * self.xs[t]
            self.dU += da @ self.hs[t].T
            dh = self.U.T @ da
"""
EXAMPLE = """net = Net(np.random.randn(5))
net.forward()
net.backward(np.random.randn(5, 1))"""


@pytest.mark.parametrize(
    ("old", "new", "wrong"), [("", "", []), ("self.dW += da", "self.dW = da", ["net.W"])]
)
def test_its_weights_are_judged(old: str, new: str, wrong: list[str], tmp_path: Path) -> None:
    one = examined(tmp_path, CODE.replace(old, new), EXAMPLE)
    assert one.chosen.candidate.text == "sum(net.ys * what is handed over)"
    assert [g.name for g in one.judged.wrong] == wrong
    assert {g.name for g in one.judged.gradients if g.verdict == "right"} == {"net.W", "net.U", "net.V"} - {
        *wrong
    }
