"""Faults of kinds that people make: a helper's, an update too early, carries that are never fed."""

from pathlib import Path

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read
from bptt.checking.locate.classes import helpers
from bptt.checking.mend.search import mend
from bptt.checking.report import Report
from small_files import changed, examined

SIGMOIDS = """
import numpy as np


def slope(y):
    return y * (1 + y)


class Net:
    def __init__(self):
        self.U, self.V, self.W = np.random.randn(4, 3), np.random.randn(2, 4), np.random.randn(4, 4)

    def forward(self, xs):
        self.hs, self.ys = [np.zeros(4)], []
        for x in xs:
            self.hs.append(1 / (1 + np.exp(-self.U @ x - self.W @ self.hs[-1])))
            self.ys.append(1 / (1 + np.exp(-self.V @ self.hs[-1])))
        return np.array(self.ys)

    def backward(self, xs, dys):
        dU, dV, dW, dh = 0 * self.U, 0 * self.V, 0 * self.W, np.zeros(4)
        for t in reversed(range(len(xs))):
            dz = dys[t] * slope(self.ys[t])
            dV += np.outer(dz, self.hs[t + 1])
            da = (self.V.T @ dz + dh) * slope(self.hs[t + 1])
            dU += np.outer(da, xs[t])
            dW += np.outer(da, self.hs[t])
            dh = self.W.T @ da
        return dU, dV, dW
"""
USE = "net, xs = Net(), np.random.randn(4, 3); ys = net.forward(xs); net.backward(xs, np.random.randn(4, 2))"

UPDATED = """
import numpy as np


class Net:
    def __init__(self):
        self.E, self.W = np.random.randn(5, 3), np.random.randn(4, 3)
        self.b, self.c = np.random.randn(4), np.random.randn(4)

    def loss(self, word, y):
        self.h = np.tanh(self.W @ self.E[word] + self.b)
        return 0.5 * np.sum((self.h + self.c - y) ** 2)

    def learn(self, word, y, rate):
        dc = self.h + self.c - y
        da = dc * (1 - self.h**2)
        dW = np.outer(da, self.E[word])
        self.W -= rate * dW
        self.b -= rate * da
        self.c -= rate * dc
        dE = self.W.T @ da
        self.E[word] -= rate * dE
"""
LEARN = "net, y = Net(), np.random.randn(4); loss = net.loss(2, y); net.learn(2, y, 0.3)"

CELL = """
import numpy as np


def forward(xs, h, W, U):
    caches, hs = [], []
    for x in xs:
        before, h = h, np.tanh(x @ W + h @ U)
        hs.append(h)
        caches.append((x, before, h))
    return np.array(hs), caches


def step_back(dh, cache, W, U):
    x, before, h = cache
    da = dh * (1 - h**2)
    return {"x": da @ W.T, "h": da @ U.T, "W": x.T @ da, "U": before.T @ da}


def backward(dhs, caches, W, U):
    dW, dU, dh, dxs = np.zeros_like(W), np.zeros_like(U), np.zeros_like(dhs[0]), []
    for t in reversed(range(len(dhs))):
        grads = step_back(dhs[t], caches[t], W, U)
        dxs.insert(0, grads["x"])
        dW += grads["W"]
        dU += grads["U"]
    return np.array(dxs), dW, dU
"""
CALL = """from cell import forward
W, U, h0, xs = np.random.randn(3, 4), np.random.randn(4, 4), np.random.randn(2, 4), np.random.randn(4, 2, 3)
hs, caches = forward(xs, h0, W, U)
grads = backward(np.random.randn(4, 2, 4), caches, W, U)"""


def checked(path: Path, text: str, example: str) -> Report:
    path.write_text(text)
    return check_source(read(path), example.replace("; ", "\n"))


def test_a_helper_that_several_statements_call_is_mended_where_it_stands(tmp_path: Path) -> None:
    one = examined(tmp_path, SIGMOIDS, USE.replace("; ", "\n"))
    assert {getattr(one, "name", "") for one in helpers(one.found, one.steps)} == {"slope"}
    mended = mend(one.found, one.chosen, one.judged, seconds=60)
    assert [m.after.strip() for m in mended.mends] == ["return y * (1 - y)"]


def test_no_mend_takes_away_the_update_of_a_weight(tmp_path: Path) -> None:
    report = checked(tmp_path / "net.py", UPDATED, LEARN)
    assert report.verdict == "wrong"
    assert report.whole
    [fixed] = report.fixed.values()
    assert fixed.count("self.W -= rate * dW") == 1
    assert fixed.index("dE = self.W.T @ da") < fixed.index("self.W -= rate * dW")


def test_a_carry_that_is_neither_read_nor_fed(tmp_path: Path) -> None:
    (tmp_path / "cell.py").write_text(CELL[: CELL.index("def backward")])  # which the example imports
    report = checked(
        tmp_path / "back.py", CELL[: CELL.index("def forward")] + CELL[CELL.index("def step") :], CALL
    )
    assert (report.verdict, report.whole) == ("wrong", True)
    [fixed] = report.fixed.values()
    assert "step_back(dhs[t] + dh, caches[t], W, U)" in fixed
    assert report.located[0]["text"].startswith("grads = step_back(dhs[t]")


GATED = """
import numpy as np


class Gated:
    def __init__(self):
        self.W, self.U, self.s = np.random.randn(3, 4), np.random.randn(4, 4), np.random.randn(4)
        self.dW, self.dU, self.ds = np.zeros((3, 4)), np.zeros((4, 4)), np.zeros(4)

    def forward(self, xs):
        self.xs, self.hs = xs, [np.zeros((2, 4))]
        for x in xs:
            self.hs.append(np.tanh(x @ self.W + (self.hs[-1] * self.s) @ self.U))
        return np.array(self.hs[1:])

    def backward(self, dhs):
        later = {"h": np.zeros((2, 4))}
        for t in reversed(range(len(dhs))):
            h, before = self.hs[t + 1], self.hs[t]
            da = dhs[t] + later["h"]
            da *= 1 - h**2
            dm = da @ self.U.T
            self.dW += self.xs[t].T @ da
            self.dU += (before * self.s).T @ da
            self.ds += (dm * before).sum(axis=0)
            later["h"] = dm * self.s
        return self.dW, self.dU, self.ds
"""
GATE = "net = Gated(); hs = net.forward(np.random.randn(4, 2, 3)); net.backward(np.random.randn(4, 2, 4))"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("da *= 1 - h**2", "da *= 1 + h**2"),
        ("dm * self.s", "dm"),
        ('            later["h"] = dm * self.s\n', ""),
        ("            self.ds += (dm * before).sum(axis=0)\n", ""),
    ],
    ids=["scaled in place", "a factor that is broadcast", "a carry in a dict", "an attribute stays zero"],
)
def test_what_a_statement_must_give_is_found_in_scope(old: str, new: str, tmp_path: Path) -> None:
    report = checked(tmp_path / "net.py", changed((old, new), code=GATED), GATE)
    assert (report.verdict, report.whole) == ("wrong", True)
    [fixed] = report.fixed.values()
    assert "".join(old.split()).replace("axis=", "") in "".join(fixed.split())


def test_the_first_fault_of_many_is_found_before_those_that_it_hides(tmp_path: Path) -> None:
    wrong = changed(
        ("da *= 1 - h**2", "da *= h**2"),
        ("dm = da @ self.U.T", "dm = da @ self.U"),
        ("self.dW += ", "self.dW -= "),
        ("dm * self.s", "dm"),
        code=GATED,
    )
    report = checked(tmp_path / "net.py", wrong, GATE)
    assert report.whole
    assert len(report.mends) == 4


FILLED = """
import numpy as np


def forward(xs, W):
    row, rows, hs = np.zeros(7), [], []
    for x in xs:
        row[:3] = x
        rows.append(row)
        hs.append(np.tanh(row @ W))
        row[3:] = hs[-1]
    return np.array(hs), rows


def backward(dhs, hs, rows, W):
    dW, dh = np.zeros_like(W), np.zeros(4)
    for t in reversed(range(len(hs))):
        da = (dhs[t] + dh) * (1 - hs[t] ** 2)
        dW += np.outer(rows[t], da)
        dh = W[3:] @ da
    return dW
"""


def test_what_is_kept_and_filled_again_is_copied(tmp_path: Path) -> None:
    example = "xs, W = np.random.randn(4, 3), np.random.randn(7, 4); hs, rows = forward(xs, W)"
    report = checked(
        tmp_path / "net.py", FILLED, example + "; dW = backward(np.random.randn(4, 4), hs, rows, W)"
    )
    assert [m["after"].strip() for m in report.mends] == ["rows.append(row.copy())"]
    assert report.whole


ENTRIES = """
import math


def forward(xs, W, U):
    hs = [[0.0, 0.0]]
    for x in xs:
        h = [0.0, 0.0]
        for i in range(2):
            into = sum(W[i][k] * x[k] for k in range(3))
            h[i] = math.tanh(into + sum(U[i][j] * hs[-1][j] for j in range(2)))
        hs.append(h)
    return hs


def backward(dhs, xs, hs, U):
    dW, dU = [[0.0] * 3 for _ in range(2)], [[0.0] * 2 for _ in range(2)]
    back = [0.0, 0.0]
    for t in reversed(range(len(xs))):
        da = [0.0, 0.0]
        for i in range(2):
            da[i] = (dhs[t][i] + back[i]) * (1 - hs[t + 1][i] ** 2)
            for k in range(3):
                dW[i][k] += da[i] * xs[t][k]
            for j in range(2):
                dU[i][j] += da[i] * hs[t][j]
        back = [sum(U[i][j] * da[i] for i in range(2)) for j in range(2)]
    return dW, dU
"""


def test_a_carry_of_entries_in_a_loop_within_that_through_time(tmp_path: Path) -> None:
    example = """xs, W, U, dhs = (np.random.randn(*s).tolist() for s in [(4, 3), (2, 3), (2, 2), (4, 2)])
    hs = forward(xs, W, U)
    loss = sum(d * e for a, b in zip(dhs, hs[1:]) for d, e in zip(a, b))
    dW, dU = backward(dhs, xs, hs, U)"""
    code = changed(("(dhs[t][i] + back[i])", "dhs[t][i]"), code=ENTRIES)
    report = checked(tmp_path / "net.py", code, example.replace("\n    ", "\n"))
    assert (report.verdict, report.whole) == ("wrong", True)
    assert "dhs[t][i] + back[i]" in next(iter(report.fixed.values()))
