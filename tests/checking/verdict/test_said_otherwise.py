"""Where code or example say what is meant: a loss of its own, names by their case, what begins at zero."""

from pathlib import Path

import pytest

from bptt.checking.examine import AT_ZERO, check_source, work
from bptt.checking.file import read
from small_files import examined

WORDS = """
import numpy as np

def forward(p, words, wanted):
    h, steps, cost = np.zeros(4), [], 0.0
    for word, want in zip(words, wanted):
        new = np.tanh(p["E"][word] + h @ p["U"])
        q = np.exp(new @ p["V"])
        q = q / q.sum()
        cost -= 1.5 * np.log(q[want])
        steps.append((word, want, h, new, q))
        h = new
    return cost, steps

def backward(p, steps):
    d, dh = {k: 0 * v for k, v in p.items()}, np.zeros(4)
    for word, want, h, new, q in steps[::-1]:
        dz = 1.5 * (q - np.eye(5)[want])
        d["V"] += np.outer(new, dz)
        da = (p["V"] @ dz + dh) * (1 - new**2)
        d["U"] += np.outer(h, da)
        d["E"][word] += da
        dh = p["U"] @ da
    return d
"""
SHOWN = """
r = np.random.randn
p = dict(E=r(5, 4), U=r(4, 4), V=r(4, 5))
cost, steps = forward(p, [3, 1, 0, 3], [1, 0, 3, 2])
d = backward(p, steps)
"""


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("", "", "right"),
        ("np.eye(5)[want]", "np.eye(5)[word]", "wrong"),  # the cross-entropy of the labels that it was fed
        ("dz = 1.5 * (q", "dz = (0.5 + len(d) * (word == 3)) * (q", "wrong"),  # other weights than the loss's
    ],
)
def test_a_cross_entropy_of_the_code_s_own_is_the_loss(
    old: str, new: str, verdict: str, tmp_path: Path
) -> None:
    one = examined(tmp_path, WORDS.replace(old, new), SHOWN)
    assert (one.judged.verdict, one.chosen.candidate.text) == (verdict, "cost")


CASED = """
import numpy as np

class Feedback:
    def __init__(self):
        self.A, self.C = np.random.randn(4, 3), np.random.randn(2, 4)
        self.a, self.c = np.random.randn(4), np.random.randn(2)

    def loss(self, x):
        self.x, self.h = x, np.tanh(self.A @ x + self.a)
        self.y = self.C @ self.h + self.c
        return 0.5 * (self.y**2).sum()

    def gradients(self):
        q = (self.C.T @ self.y) * (1 - self.h**2)
        gA, gC, ga, gc = np.outer(q, self.x), np.outer(self.y, self.h), q, self.y.copy()
        return gA, gC, ga, gc
"""


@pytest.mark.parametrize(("own", "wrong"), [("self.y.copy()", []), ("1 - self.y", ["net.c"])])
def test_names_that_differ_in_case_alone_are_two(own: str, wrong: list[str], tmp_path: Path) -> None:
    example = "net = Feedback()\nloss = net.loss(np.random.randn(3))\ngA, gC, ga, gc = net.gradients()"
    one = examined(tmp_path, CASED.replace("self.y.copy()", own), example)
    assert [g.name for g in one.judged.wrong] == wrong
    taken = {g.name: g.where for g in one.judged.gradients if g.where}
    assert taken == {"net.A": "gA", "net.C": "gC", "net.a": "ga", "net.c": "gc"}


RIDGE = """
import numpy as np

def ridge(W, X, Y):
    R = X @ W - Y
    return np.sum(R**2) + 0.1 * np.sum(W**2), 2 * X.T @ R + 0.2 * W
"""


@pytest.mark.parametrize(("rate", "verdict"), [("0.2", "right"), ("0.1", "cannot tell")])
def test_what_begins_at_zero_is_tried_elsewhere(rate: str, verdict: str, tmp_path: Path) -> None:
    example = "W = np.zeros((3, 2))\nloss, grad = ridge(W, np.random.randn(5, 3), np.random.randn(5, 2))"
    one = examined(tmp_path, RIDGE.replace("0.2 *", f"{rate} *"), example)
    assert one.judged.verdict == verdict
    assert one.judged.reason == ("" if verdict == "right" else AT_ZERO.format("W"))


LOGISTIC = """
import numpy as np

class Logistic:
    def __init__(self):
        self.w, self.b = np.random.randn(4), 0.1

    def step(self, X, y):
        p = 1 / (1 + np.exp(-(X @ self.w + self.b)))
        self.loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        self.gw, self.gb = X.T @ (p - y) / len(y), np.mean(p - y)
        self.w, self.b = self.w - 0.1 * self.gw, self.b - 0.1 * self.gb
"""


@pytest.mark.parametrize(("own", "wrong"), [("np.mean(p - y)", []), ("np.sum(p - y)", ["net.b"])])
def test_a_number_beside_which_its_gradient_is_kept(own: str, wrong: list[str], tmp_path: Path) -> None:
    example = "net = Logistic()\nnet.step(np.random.randn(6, 4), np.array([0, 1, 1, 0, 1, 1.0]))"
    one = examined(tmp_path, LOGISTIC.replace("np.mean(p - y)", own), example)
    assert [g.name for g in one.judged.wrong] == wrong


TIED = """
import numpy as np

class Tied:
    def __init__(self, words, units):
        self.E, self.U = np.random.randn(words, units), np.random.randn(units, units)

    def loss(self, tokens):
        self.tokens, self.hs, self.ps, out = tokens, [np.zeros(len(self.U))], [], 0.0
        for now, then in zip(tokens, tokens[1:]):
            self.hs.append(np.tanh(self.E[now] + self.hs[-1] @ self.U))
            p = np.exp(self.E @ self.hs[-1])
            self.ps.append(p / p.sum())
            out -= np.log(self.ps[-1][then])
        return out

    def grads(self):
        gE, gU, later = np.zeros_like(self.E), np.zeros_like(self.U), np.zeros(len(self.U))
        for t in reversed(range(len(self.ps))):
            d = self.ps[t].copy()
            d[self.tokens[t + 1]] -= 1
            gE += np.outer(d, self.hs[t + 1])
            da = (self.E.T @ d + later) * (1 - self.hs[t + 1] ** 2)
            gE[self.tokens[t]] += da
            gU += np.outer(self.hs[t], da)
            later = self.U @ da
        return gE, gU
"""


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("= self.U @ da", "= self.U.T @ da", "wrong")]
)
def test_a_written_example_in_which_a_weight_has_no_effect_settles_nothing(
    old: str, new: str, verdict: str, tmp_path: Path
) -> None:
    path, last = tmp_path / "tied.py", dict[int, str]()
    path.write_text(TIED.replace(old, new) if old else TIED)
    arguments = {"path": path, "seconds": 60.0, "mend": False}
    work(arguments, lambda _, report: last.__setitem__(report["number"], report["verdict"]))
    assert [*last.values()] == [verdict]


def test_what_an_example_of_one_step_does_not_show_is_told(tmp_path: Path) -> None:
    one = examined(tmp_path, TIED, "net = Tied(5, 3)\nloss = net.loss([1, 4])\ngE, gU = net.grads()")
    [idle] = [g for g in one.judged.gradients if g.name == "net.U"]
    assert (one.judged.verdict, idle.verdict) == ("right", "not given")
    assert "where gU is zero" in idle.note


SIDES = """
import numpy as np

class Side:
    def __init__(self, inputs, units, turned):
        self.W, self.U, self.turned = np.random.randn(inputs, units), np.random.randn(units, units), turned

    def order(self, T):
        return range(T - 1, -1, -1) if self.turned else range(T)

    def forward(self, xs):
        self.xs, self.before, h = xs, {}, np.zeros((xs.shape[1], len(self.U)))
        self.hs = np.zeros((*xs.shape[:2], len(self.U)))
        for t in self.order(len(xs)):
            self.before[t] = h
            h = self.hs[t] = np.tanh(xs[t] @ self.W + h @ self.U)
        return self.hs

    def backward(self, dhs):
        self.dW, self.dU, dxs, dh = 0 * self.W, 0 * self.U, 0 * self.xs, 0
        for t in reversed(self.order(len(dhs))):
            da = (dhs[t] + dh) * (1 - self.hs[t] ** 2)
            self.dW += self.xs[t].T @ da
            self.dU += self.before[t].T @ da
            dxs[t], dh = da @ self.W.T, da @ self.U.T
        return dxs
"""


@pytest.mark.parametrize(
    ("order", "verdict"), [("self.order(len(dhs))", "right"), ("range(len(dhs))", "cannot tell")]
)
def test_what_is_wrong_one_way_only_is_not_right(order: str, verdict: str, tmp_path: Path) -> None:
    path, last = tmp_path / "sides.py", dict[int, str]()
    path.write_text(SIDES.replace("self.order(len(dhs))", order))
    arguments = {"path": path, "seconds": 60.0, "mend": False}
    work(arguments, lambda _, report: last.__setitem__(report["number"], report["verdict"]))
    assert [*last.values()] == [verdict]


LOGS = """
import numpy as np

def forward(x, W):
    return np.log(x @ W)

def backward(dy, x, W):
    d = dy / (x @ W)
    return d @ W.T, x.T @ d
"""


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        ("np.full((3, 2), np.nan)", "x is not finite in the example"),
        ("np.ones((0, 2))", "x has no entries in the example"),
    ],
)
def test_numbers_of_which_nothing_can_be_told_are_named(x: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "logs.py"
    path.write_text(LOGS)
    example = (
        f"x, W = {x}, np.random.rand(2, 4)\ny = forward(x, W)\ndx, dW = backward(np.ones(y.shape), x, W)"
    )
    report = check_source(read(path), example)
    assert (report.verdict, report.reason.partition(":")[0]) == ("cannot tell", reason)


def test_a_name_that_is_not_there_is_told(tmp_path: Path) -> None:
    path, last = tmp_path / "logs.py", list[str]()
    path.write_text(LOGS)
    work({"path": path, "seconds": 9.0, "name": "backwards"}, lambda _, report: last.append(report["reason"]))
    assert last == ["no function or class in it is called 'backwards'"]
