"""Faults in a whole program: what is offered makes every gradient right, or is not offered."""

from pathlib import Path

import pytest

from bptt.checking.adjoints.choice import Chosen, best
from bptt.checking.adjoints.point import point
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.file import read
from bptt.checking.mend.search import mend
from bptt.checking.taps.program import Program

RIGHT = """
import numpy as np


class Net:
    def __init__(self, D, H):
        self.Wx, self.Wh, self.V = np.random.randn(H, D), np.random.randn(H, H), np.random.randn(2, H)

    def forward(self, xs):
        h = np.zeros((len(self.Wh), xs[0].shape[1]))
        self.xs, self.hs, ys = xs, [h], []
        for x in xs:
            h = np.tanh(self.Wx @ x + self.Wh @ h)
            self.hs.append(h)
            ys.append(self.V @ h)
        return ys

    def backward(self, dys):
        dWx, dWh, dV = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros_like(self.V)
        later = np.zeros_like(self.hs[0])
        for t in reversed(range(len(dys))):
            h = self.hs[t + 1]
            dV += dys[t] @ h.T
            dh = self.V.T @ dys[t] + later
            da = dh * (1 - h**2)  # through tanh
            dWx += da @ self.xs[t].T
            dWh += da @ self.hs[t].T
            later = self.Wh.T @ da
        return dWx, dWh, dV
"""
EXAMPLE = """
net = Net(3, 4)
xs = list(np.random.randn(4, 3, 5))
ys = net.forward(xs)
dys = list(np.random.randn(4, 2, 5))
dWx, dWh, dV = net.backward(dys)
"""


def examined(folder: Path, text: str, example: str = EXAMPLE) -> tuple[Adjoints, Chosen]:
    file = folder / "net.py"
    file.write_text(text)
    found, chosen = best(point(Program(read(file), example)))
    return found, chosen[0]


FAULTS = {
    "slope": [("(1 - h**2)", "(1 - h)")],
    "transpose": [("self.Wh.T @ da", "self.Wh @ da")],
    "cache of another step": [("self.hs[t].T", "self.hs[t + 1].T")],
    "term": [("self.V.T @ dys[t] + later", "self.V.T @ dys[t]")],
    "assigned": [("dWx += da", "dWx = da")],
    "order": [("in reversed(range(len(dys)))", "in range(len(dys))")],
    "returned": [("return dWx, dWh, dV", "return dWh, dWx, dV")],
    "read too early": [
        ("            da = ", "            dWx += dh @ self.xs[t].T\n            da = "),
        ("            dWx += da @ self.xs[t].T\n", ""),
    ],
    "wraps": [
        ("self.hs = xs, [h]", "self.hs = xs, []"),
        ("self.hs[t + 1]", "self.hs[t]"),
        ("self.hs[t].T\n            later", "self.hs[t - 1].T\n            later"),
    ],
    "reset": [("            dV += dys", "            dV = np.zeros_like(self.V)\n            dV += dys")],
    "seeded": [("np.zeros_like(self.Wx)", "self.Wx.copy()")],
    "three": [("- h**2", "+ h**2"), ("self.Wh.T @ da", "self.Wh @ da"), ("dV += dys", "dV -= dys")],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_mended(tmp_path: Path, kind: str) -> None:
    text = RIGHT
    for right, wrong in FAULTS[kind]:
        text = text.replace(right, wrong)
    square = EXAMPLE.replace("3", "4") if kind == "returned" else EXAMPLE  # else it is told by the shape
    found, chosen = examined(tmp_path, text, square)
    mended = mend(found, chosen, seconds=60)
    assert mended.whole
    assert mended.right == mended.of
    (source,) = mended.sources.values()
    again, chosen = examined(tmp_path, source.text, square)
    assert mend(again, chosen).mends == []
    assert source.text.count("# through tanh") == 1
    for one in mended.mends:
        assert one.before.split("\n")[0] in text.split("\n")[one.line - 1]


def test_right_code_is_left_alone(tmp_path: Path) -> None:
    mended = mend(*examined(tmp_path, RIGHT))
    assert not mended.mends
    assert not mended.sources


def test_what_no_edit_makes_right_is_not_offered(tmp_path: Path) -> None:
    wrong = RIGHT.replace("dh = self.V.T @ dys[t] + later", "dh = np.cos(np.sin(dys[t].sum(0)) + later)")
    mended = mend(*examined(tmp_path, wrong), seconds=3)
    assert not mended.whole
    assert mended.right < mended.of


def test_another_example_must_be_right_too(tmp_path: Path) -> None:
    """With one example alone the edit would do; the other's size is none that the code can take."""
    found, chosen = examined(tmp_path, RIGHT.replace("(1 - h**2)", "(1 - h)"))
    assert not mend(found, chosen, seconds=4, examples=[EXAMPLE.replace("(4, 3, 5)", "(4, 2, 5)")]).whole
