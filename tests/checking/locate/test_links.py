"""What goes back in another order than loops do: through a tree, and through units within steps."""

import ast
from pathlib import Path

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read

TREE = """
import numpy as np

class Leaf:
    def __init__(self, word):
        self.word = word

class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right

class Net:
    def __init__(self, words, units):
        r = np.random.RandomState(0)
        self.E, self.W, self.b = r.randn(words, units), r.randn(units, 2 * units) / 2, r.randn(units) / 3
        self.v = r.randn(units)

    def up(self, node):
        if isinstance(node, Leaf):
            node.h = self.E[node.word]
            return 0.0
        loss = self.up(node.left) + self.up(node.right)
        node.z = np.concatenate([node.left.h, node.right.h])
        node.h = np.tanh(self.W @ node.z + self.b)
        node.y = self.v @ node.h
        return loss + 0.5 * node.y ** 2

    def down(self, node, dh):
        if isinstance(node, Leaf):
            self.dE[node.word] += dh
            return
        self.dv += node.y * node.h
        dh = dh + node.y * self.v
        da = dh * (1 - node.h ** 2)
        self.dW += np.outer(da, node.z)
        self.db += da
        dz = self.W.T @ da
        self.down(node.left, dz[:len(da)])
        self.down(node.right, dz[len(da):])

    def both(self, tree):
        self.dE, self.dW, self.db, self.dv = 0 * self.E, 0 * self.W, 0 * self.b, 0 * self.v
        loss = self.up(tree)
        self.down(tree, 0 * self.b)
        return loss
"""
ASKED = """
net = Net(5, 3)
tree = Pair(Pair(Leaf(1), Pair(Leaf(4), Leaf(0))), Pair(Leaf(2), Leaf(1)))
loss = net.both(tree)
"""
UNITS = """
import math

def forward(w, b, xs):
    hs, h = [], [0.0] * len(b)
    for x in xs:
        now = []
        for i in range(len(b)):
            a = b[i] + x
            for j in range(len(b)):
                a += w[i][j] * h[j]
            now.append(math.tanh(a))
        hs.append(h)
        h = now
    hs.append(h)
    return sum(y * y for y in h) / 2, hs

def backward(w, b, xs, hs):
    n = len(b)
    gw, gb, back = [[0.0] * n for _ in b], [0.0] * n, hs[-1]
    for t in reversed(range(len(xs))):
        da = []
        for i in range(n):
            da.append(back[i] * (1 - hs[t + 1][i] ** 2))
            gb[i] += da[i]
        for i in range(n):
            for j in range(n):
                gw[i][j] += da[i] * hs[t][j]
        back = [sum(w[i][j] * da[i] for i in range(n)) for j in range(n)]
    return gw, gb
"""
ROWS = """
w, b = [[0.3, -0.5], [0.7, 0.2]], [0.1, -0.3]
loss, hs = forward(w, b, [0.5, -1.0, 1.5])
gw, gb = backward(w, b, [0.5, -1.0, 1.5], hs)
"""


@pytest.mark.parametrize(
    ("code", "asked", "right", "wrong"),
    [
        (TREE, ASKED, "dh * (1 - node.h ** 2)", "dh * (1 - node.h)"),
        (TREE, ASKED, "self.down(node.right, dz[len(da):])", "self.down(node.right, dz[:len(da)])"),
        (UNITS, ROWS, "back[i] * (1 - hs[t + 1][i] ** 2)", "back[i] * (1 - hs[t + 1][i]) ** 2"),
    ],
    ids=["a node's derivative", "what a branch is handed", "a unit's derivative"],
)
def test_the_statement_is_found_and_mended(
    tmp_path: Path, code: str, asked: str, right: str, wrong: str
) -> None:
    file = tmp_path / "it.py"
    file.write_text(code)
    assert check_source(read(file), asked).verdict == "right"
    assert code.count(right) == 1
    file.write_text(code.replace(right, wrong))
    report = check_source(read(file), asked, seconds=40)
    line = code[: code.index(right)].count("\n") + 1
    assert report.verdict == "wrong"
    assert [one["line"] for one in report.located] == [line]
    assert report.whole
    (mend,) = report.mends
    assert ast.unparse(ast.parse(mend["after"].strip())) == ast.unparse(
        ast.parse(code.split("\n")[line - 1].strip())
    )
