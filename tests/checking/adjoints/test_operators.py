"""An example whose objects have operators of their own calls the code, though nothing of it is named."""

from pathlib import Path

import pytest

from bptt.checking.examine import examine
from bptt.checking.example import given
from bptt.checking.file import read
from bptt.checking.telling import Examined

TEXT = """
import numpy as np

class Value:
    def __init__(self, held, back=None):
        self.held, self.grad, self.back = held, np.zeros_like(held), back
    def __matmul__(self, other):
        def back(d):
            self.take(d @ other.held.T)
            other.take(self.held.T @ d)
        return Value(self.held @ other.held, back)
    def tanh(self):
        out = np.tanh(self.held)
        return Value(out, lambda d: self.take(d * (1 - out**2)))
    def take(self, d):
        self.grad += d
        if self.back:
            self.back(d)
"""
EXAMPLE = "a, b = Value(np.random.randn(3, 4)), Value(np.random.randn(4, 2))\n"
EXAMPLE += "y = (a @ b).tanh()\ny.take(np.random.randn(3, 2))"


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("take(self.held.T", "take(-self.held.T", "wrong")]
)
def test_values_with_operators(tmp_path: Path, old: str, new: str, verdict: str) -> None:
    path = tmp_path / "values.py"
    path.write_text(TEXT.replace(old, new))
    one = examine(read(path), given(EXAMPLE))
    assert isinstance(one, Examined)
    assert one.judged.verdict == verdict
