"""Gradients that are set to zero after an update are judged as they were before it."""

from pathlib import Path

import pytest

from bptt.checking.examine import examine
from bptt.checking.example import given
from bptt.checking.file import read
from bptt.checking.telling import Examined

TEXT = """
import numpy as np

class Layer:
    def __init__(self, seen, kept):
        self.W, self.b = np.random.randn(kept, seen), np.zeros((kept, 1))
        self.m, self.v, self.n = np.zeros_like(self.W), np.zeros_like(self.W), np.zeros_like(self.b)
        self.t = 0
    def forward(self, x):
        self.x = x
        return self.W @ x + self.b
    def backward(self, dy):
        self.dW = dy @ self.x.T
        self.db = dy.sum(axis=1, keepdims=True)
        return self.W.T @ dy
    def adam(self):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * self.dW
        self.v = 0.999 * self.v + 0.001 * self.dW**2
        self.n = 0.9 * self.n + 0.1 * self.db
        self.W -= 0.01 * self.m / (1 - 0.9**self.t) / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)
        self.b -= 0.01 * self.n
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

class Net:
    def __init__(self):
        self.one, self.two = Layer(3, 5), Layer(5, 2)
    def forward(self, x):
        self.h = np.tanh(self.one.forward(x))
        self.y = self.two.forward(self.h)
        return self.y
    def backward(self, goal):
        dh = self.two.backward(self.y - goal)
        self.one.backward(dh * (1 - self.h**2))
        self.one.adam()
        self.two.adam()
"""
EXAMPLE = "net = Net(); y = net.forward(np.random.randn(3, 4)); net.backward(np.random.randn(2, 4))"


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("", "", "right"),
        ("self.h**2", "self.h", "wrong"),  # it is wrong before it is set to zero
        ("        self.one.adam()\n", "        self.one.dW[:] = 0\n", "wrong"),  # nothing has read it
    ],
)
def test_what_is_set_to_zero(tmp_path: Path, old: str, new: str, verdict: str) -> None:
    path = tmp_path / "layers.py"
    path.write_text(TEXT.replace(old, new))
    one = examine(read(path), given(EXAMPLE))
    assert isinstance(one, Examined)
    assert one.judged.verdict == verdict
