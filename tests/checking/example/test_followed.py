"""A file's own statements are its example: a loop at its top level, or what it hands over where it trains."""

from pathlib import Path

import pytest

from bptt.checking.examine import _examined
from bptt.checking.file import read
from bptt.checking.telling import Examined

TOP = """
import numpy as np
from there import words, LabelMaker

units, rate = 20, 0.1
label = LabelMaker().fit(words)
rows = np.array([label(word) for word in words])
A = np.random.randn(4, units) / 100
B = np.random.randn(units, units) / 100
C = np.random.randn(units, 2) / 100
a = np.zeros(units)
for epoch in range(9000):
    wanted = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    seq = rows[:3]
    if epoch % 100 == 0:
        print(epoch, rate)
    past, error = [np.zeros(units)], 0
    for item in seq:
        past.append(np.tanh(item @ A + past[-1] @ B + a))
    outs = [one @ C for one in past[1:]]
    A_grad, B_grad, C_grad, a_grad, later = 0 * A, 0 * B, 0 * C, 0 * a, 0
    for t in range(2, -1, -1):
        d_out = outs[t] - wanted[t]
        C_grad += np.outer(past[t + 1], d_out)
        d_pre = (C @ d_out + later) * (1 - past[t + 1] ** 2)
        A_grad += np.outer(seq[t], d_pre)
        B_grad += np.outer(past[t], d_pre)
        a_grad += d_pre
        later = B @ d_pre
    A -= rate * A_grad
"""
CALLED = """
import numpy as np
_own = np.random.RandomState(seed=None)

class Plan:
    def __init__(self, cells, seen): self.cells, self.seen = cells, seen

class Net:
    def __init__(self, plan, kind):
        assert sum(map(ord, kind)) == 676
        self.A = _own.randn(plan.cells, plan.seen)
        self.B = _own.randn(plan.cells, plan.cells)
    def ahead(self, seq):
        self.seq, self.past = seq, [np.zeros(len(self.B))]
        for item in seq:
            self.past.append(np.tanh(self.A @ item + self.B @ self.past[-1]))
        return np.array(self.past[1:])
    def back(self, d):
        self.dA, self.dB, later = 0 * self.A, 0 * self.B, 0
        for t in reversed(range(len(d))):
            s = (d[t] + later) * (1 - self.past[t + 1] ** 2)
            self.dA += np.outer(s, self.seq[t])
            self.dB += np.outer(s, self.past[t])
            later = self.B.T @ s
    def learn(self, many, goals, rounds):
        for k in range(rounds):
            for seq, goal in zip(many, goals):
                outs = self.ahead(seq)
                self.back(outs - goal)

if __name__ == "__main__":
    plan = Plan(30, 3)
    net = Net(plan, "thirty")
    net.learn(open("series.csv").read(), np.load("goals.npy"), 400)
"""


def first(folder: Path, text: str) -> Examined:
    path = folder / "code.py"
    path.write_text(text)
    return next(one for one in _examined(read(path), {"seconds": 10}) if isinstance(one, Examined))


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("later = B @ d_pre", "later = B.T @ d_pre", "wrong")]
)
def test_a_loop_at_the_top_level_is_judged(tmp_path: Path, old: str, new: str, verdict: str) -> None:
    one = first(tmp_path, TOP.replace(old, new))
    assert one.judged.verdict == verdict
    assert "epoch" not in one.example.text
    assert "print" not in one.example.text
    assert "units, rate = (6, 0.1)" in one.example.text


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("self.B.T @ s", "self.B @ s", "wrong")]
)
def test_a_call_is_followed_to_where_the_file_trains(
    tmp_path: Path, old: str, new: str, verdict: str
) -> None:
    """The object is made as the file makes it, its data are made up, and a module draws of its own."""
    one = first(tmp_path, CALLED.replace(old, new))
    assert one.judged.verdict == verdict
    assert "Net(plan, 'thirty')" in one.example.text
