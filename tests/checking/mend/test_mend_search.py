"""Faults in a whole program: what is offered makes every gradient right, or is not offered."""

from pathlib import Path

import pytest

from bptt.checking.adjoints.choice import Chosen, best
from bptt.checking.adjoints.point import point
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.file import read
from bptt.checking.mend.search import mend
from bptt.checking.taps.program import Program
from bptt.checking.verdict.gradient import Judged
from bptt.checking.verdict.judgement import judge
from small_files import changed, line

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


def examined(folder: Path, text: str, example: str = EXAMPLE) -> tuple[Adjoints, Chosen, Judged]:
    file = folder / "net.py"
    file.write_text(text)
    found, chosen = best(point(Program(read(file), example)))
    return found, chosen[0], judge(found, chosen[0])


FAULTS = {
    "slope": [("(1 - h**2)", "(1 - h)")],
    "transpose": [("self.Wh.T @ da", "self.Wh @ da")],
    "cache of another step": [("self.hs[t].T", "self.hs[t + 1].T")],
    "term": [("self.V.T @ dys[t] + later", "self.V.T @ dys[t]")],
    "other term": [("self.V.T @ dys[t] + later", "later")],
    "sum": [("            dWh += da @ self.hs[t].T\n", "")],
    "cut": [("later = self.Wh.T @ da", "later = np.zeros_like(later)")],
    "carry": [("            later = self.Wh.T @ da\n", "")],
    "assigned": [("dWx += da", "dWx = da")],
    "order": [("in reversed(range(len(dys)))", "in range(len(dys))")],
    "returned": [("return dWx, dWh, dV", "return dWh, dWx, dV")],
    "turned": [("return dWx, dWh, dV", "return dWx, dWh.T, dV")],
    "handed": [
        ("self.Wh.T @ da\n", "self.back(dh)\n"),
        ("    def backward", "    def back(self, d):\n        return self.Wh.T @ d\n\n    def backward"),
    ],
    "read too early": [
        ("            da = ", "            dWx += dh @ self.xs[t].T\n            da = "),
        ("            dWx += da @ self.xs[t].T\n", ""),
    ],
    "wraps": [
        ("ys = xs, [h]", "ys = xs, []"),
        ("self.hs[t + 1]", "self.hs[t]"),
        ("da @ self.hs[t].T", "da @ self.hs[t - 1].T"),
        ("self.hs[0]", "self.hs[-1]"),
    ],
    "reset": [("            dV += dys", "            dV = np.zeros_like(self.V)\n            dV += dys")],
    "seeded": [("np.zeros_like(self.Wx)", "self.Wx.copy()")],
    "two": [("- h**2", "+ h**2"), ("self.hs[t].T", "self.hs[t + 1].T")],
    "two caches": [("self.hs[t + 1]", "self.hs[t]"), ("da @ self.hs[t].T", "da @ self.hs[t - 1].T")],
    "two that meet": [("- h**2", "+ h**2"), ("self.Wh.T @ da", "self.Wh @ da")],
    "sums too": [
        ("dys[t] + later", "dys[t] - later"),
        ("dV += ", "dV = "),
        ("+= da @ self.xs", "= da @ self.xs"),
    ],
    "three": [("- h**2", "+ h**2"), ("self.Wh.T @ da", "self.Wh @ da"), ("dV += dys", "dV -= dys")],
}

LINES = {
    "slope": "            da = dh * (1 - h ** 2)  # through tanh",
    "term": "            dh = self.V.T @ dys[t] + later",
    "assigned": "            dWx += da @ self.xs[t].T",
    "handed": "            later = self.back(da)",
    "turned": "        return dWx, dWh, dV",
}
"""What is offered, where the author's own line was right."""


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_mended(tmp_path: Path, kind: str) -> None:
    text = changed(*FAULTS[kind], code=RIGHT)
    square = EXAMPLE.replace("3", "4") if kind == "returned" else EXAMPLE  # else the shape tells
    mended = mend(*examined(tmp_path, text, square), seconds=30)
    assert mended.whole
    (source,) = mended.sources.values()
    again = examined(tmp_path, source.text, square)
    assert again[2].verdict == "right"
    assert mend(*again).mends == []
    assert source.text.count("# through tanh") == 1
    for one in mended.mends:
        assert one.before in text
        assert one.reason
    old, new = text.split("\n"), source.text.split("\n")
    first = next(n for n, (a, b) in enumerate(zip(old, new, strict=False), 1) if a != b)
    assert min(one.line for one in mended.mends) == first - (
        kind in ("carry", "sum")
    )  # told with the line before it
    if kind in LINES:
        assert [one.after for one in mended.mends] == [LINES[kind]]


def test_right_code_is_left_alone(tmp_path: Path) -> None:
    mended = mend(*examined(tmp_path, RIGHT))
    assert not mended.mends
    assert not mended.sources


def test_what_no_edit_makes_right_is_not_offered(tmp_path: Path) -> None:
    """What came in is kept nowhere."""
    wrong = changed(("ys = xs, [h], []", "ys = [np.cos(3 + np.sin(x)) for x in xs], [h], []"), code=RIGHT)
    mended = mend(*examined(tmp_path, wrong), seconds=30)
    assert not mended.whole
    assert not mended.mends
    assert not mended.sources
    assert [place.unit.statement.tree.lineno for place in mended.places] == [line(wrong, "dWx +=")]


def test_another_example_must_be_right_too(tmp_path: Path) -> None:
    """With one example alone the edit would do; the other's size is none that the code can take."""
    one = examined(tmp_path, RIGHT.replace("(1 - h**2)", "(1 - h)"))
    assert mend(*one, seconds=60, examples=[EXAMPLE.replace(", 5)", ", 7)")]).whole
    assert not mend(*one, seconds=3, examples=[EXAMPLE.replace("(4, 3, 5)", "(4, 2, 5)")]).whole


HELPED = """
import numpy as np


def slope(y):
    return 1 - y * y


class Step:
    def __init__(self, D, H):
        self.W, self.V, self.U = np.random.randn(H, D), np.random.randn(5, H), np.random.randn(3, 5)

    def forward(self, x, target):
        self.x, self.y, self.target = x, np.tanh(self.W @ x), target
        self.z = np.tanh(self.V @ self.y)
        e = np.exp(self.U @ self.z)
        self.p = e / e.sum()
        return -np.log(self.p[target, 0])

    def backward(self):
        d = self.p.copy()
        d[self.target] -= 1
        dU, dz = d @ self.z.T, self.U.T @ d * slope(self.z)
        dV, dy = dz @ self.y.T, self.V.T @ dz * slope(self.y)
        return dy @ self.x.T, dV, dU
"""
STEP = "step = Step(3, 4)\nloss = step.forward(np.random.randn(3, 1), 1)\ndW, dV, dU = step.backward()"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return 1 - y * y", "return 1 - y + y"),  # what a helper gives is no gradient of anything
        ("d = self.p.copy()", "d = -self.p.copy()"),  # it becomes one when it is changed in place
        ("d[self.target] -= 1", "d[self.target] -= 2"),
    ],
)
def test_what_is_no_gradient_is_mended_by_trial(old: str, new: str, tmp_path: Path) -> None:
    wrong = HELPED.replace(old, new)
    mended = mend(*examined(tmp_path, wrong, STEP), seconds=60)
    assert mended.whole
    assert [one.line for one in mended.mends] == [line(wrong, new)]


def test_a_sum_that_starts_elsewhere_is_mended_at_its_start(tmp_path: Path) -> None:
    wrong = changed(("dWx, dWh, dV = np.zeros_like(self.Wx)", "dWx, dWh, dV = np.array(self.Wx)"), code=RIGHT)
    mended = mend(*examined(tmp_path, wrong), seconds=60)
    assert [one.line for one in mended.mends] == [line(wrong, "dWx, dWh, dV = ")]


KEEPS = """
import numpy as np


class Keeps:
    def __init__(self, D, H):
        self.W, self.U = np.random.randn(H, D), np.random.randn(H, H)

    def forward(self, xs, h0):
        self.hs = np.zeros((len(xs), len(self.U)))
        h = self.hs[0]
        h[:] = h0
        self.xs, self.start = xs, h
        for t, x in enumerate(xs):
            self.hs[t] = np.tanh(self.W @ x + self.U @ (self.hs[t - 1] if t else h))
        return self.hs

    def backward(self, dhs):
        dW, dU, back = 0 * self.W, 0 * self.U, 0 * self.start
        for t in reversed(range(len(dhs))):
            da = (dhs[t] + back) * (1 - self.hs[t] ** 2)
            dW += np.outer(da, self.xs[t])
            dU += np.outer(da, self.hs[t - 1] if t else self.start)
            back = self.U.T @ da
        return dW, dU
"""


def test_what_is_changed_later_is_mended_by_a_copy(tmp_path: Path) -> None:
    example = "net = Keeps(3, 4)\nhs = net.forward(np.random.randn(5, 3), np.random.randn(4))\n"
    example += "dW, dU = net.backward(np.random.randn(5, 4))"
    mended = mend(*examined(tmp_path, KEEPS, example), seconds=60)
    assert [one.after.strip() for one in mended.mends] == ["h = self.hs[0].copy()"]


LAYERS = """
import numpy as np


class Layers:
    def __init__(self, D, H, n):
        self.W = [np.random.randn(H, D) for _ in range(n)]

    def forward(self, x):
        self.x, self.hs = x, [0, 0]
        for k in range(2):
            self.hs[k] = np.tanh(self.W[k] @ x)
        return self.hs[1]

    def backward(self, dh):
        return [np.outer(dh * (1 - h**2), self.x) for h in self.hs]
"""


def test_no_mend_divides_by_zero(tmp_path: Path) -> None:
    """The first layer feeds nothing: where its output is infinite before the tanh, its gradient is none."""
    example = (
        "net = Layers(3, 4, 2)\nh = net.forward(np.random.randn(3))\ndWs = net.backward(np.random.randn(4))"
    )
    mended = mend(*examined(tmp_path, LAYERS, example), seconds=20)
    assert not any("/" in one.after for one in mended.mends)


LAST = """
import numpy as np


def forward(xs, W, U):
    hs, h = [], np.zeros((2, 4))
    for x in xs:
        hs.append(h := np.tanh(x @ W + h @ U))
    return np.array(hs)


def backward(xs, hs, dh_last, W, U):
    dW, dU, later = np.zeros_like(W), np.zeros_like(U), np.zeros_like(dh_last)
    for t in range(len(xs))[::-1]:
        da = (dh_last + later) * (1 - hs[t] ** 2)
        dW += xs[t].T @ da
        dU += (hs[t - 1] if t else 0 * hs[0]).T @ da
        later = da @ U.T
    return dW, dU
"""
LAST_EXAMPLE = """
xs, W, U = np.random.randn(3, 2, 5), np.random.randn(5, 4), np.random.randn(4, 4)
hs = forward(xs, W, U)
dW, dU = backward(xs, hs, np.random.randn(2, 4), W, U)
"""


def test_what_belongs_to_the_last_step_is_added_once(tmp_path: Path) -> None:
    mended = mend(*examined(tmp_path, LAST, LAST_EXAMPLE), seconds=30)
    assert mended.whole
    assert [one.reason for one in mended.mends] == [
        "`dh_last` belongs to the first step that the loop takes alone"
    ]
