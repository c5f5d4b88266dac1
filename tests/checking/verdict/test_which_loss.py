"""The loss that is meant, and what is kept under it, where code says little of either."""

from pathlib import Path

import numpy as np
import pytest

from small_files import examined

SUMS = """
import numpy as np

class Adder:
    def __init__(self, inputs, units):
        self.A = np.random.rand(inputs, units)
        self.B = np.random.rand(units, units)
        self.C = np.random.rand(units, 1)

    def learn(self, xs, ts):
        old, keep, errors, shown = np.zeros((1, 3)), [], [], 0
        for x, t in zip(xs, ts):
            new = np.tanh(x @ self.A + old @ self.B)
            y = 1 / (1 + np.exp(-(new @ self.C)))
            error = t - y
            errors.append(error * y * (1 - y))
            shown += abs(error[0, 0])
            keep.append((x, old, new))
            old = new
        gA, gB, gC, later = 0 * self.A, 0 * self.B, 0 * self.C, np.zeros((1, 3))
        for (x, before, new), e in zip(keep[::-1], errors[::-1]):
            part = (e @ self.C.T + later @ self.B.T) * (1 - new**2)
            gA, gB, gC = gA + x.T @ part, gB + before.T @ part, gC + new.T @ e
            later = part
        self.A += 0.1 * gA
        self.B += 0.1 * gB
        self.C += 0.1 * gC
        print(shown)
"""
LEARN = "net, ts = Adder(2, 3), np.array([1.0, 0.0, 1.0, 1.0])\nnet.learn(np.random.randn(4, 1, 2), ts)"


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("later = part", "later = 0 * part", "wrong")]
)
def test_neither_an_error_nor_a_number_that_is_shown_is_the_loss(
    old: str, new: str, verdict: str, tmp_path: Path
) -> None:
    one = examined(tmp_path, SUMS.replace(old, new), LEARN)
    assert one.judged.verdict == verdict
    assert one.chosen.candidate.text.startswith("the half squares of `y`")


CLASSES = """
import numpy as np

class Scorer:
    def __init__(self, inputs, classes):
        self.V = np.random.randn(classes, inputs)
        self.start = np.zeros(classes)

    def forward(self, x, rounds):
        for _ in range(rounds):
            x = 0.99 * x + 0.01
        self.x, self.z = x, self.V @ x
        powers = np.exp(self.z)
        return powers / powers.sum()

    def backward(self, t):
        powers = np.exp(self.z)
        dz = self.start + t * ((powers * t).sum() / powers.sum() - 1) + powers * (1 - t) / powers.sum()
        self.dV = np.outer(dz, self.x)
"""


def test_labels_are_found_where_nothing_is_taken_from_them(tmp_path: Path) -> None:
    example = "net = Scorer(4, 4)\nnet.forward(np.random.rand(4), 120)\nnet.backward(np.eye(4)[2])"
    one = examined(tmp_path, CLASSES, example)
    assert one.judged.verdict == "right"
    assert one.chosen.candidate.text.startswith("the cross-entropy of `powers / powers.sum()`")


LAYER = """
import numpy as np

class Layer:
    def __init__(self, n, m):
        self.W, self.b, self.y = np.random.randn(n, m), np.zeros((1, m)), np.zeros(m)

    def up(self, x):
        self.x, self.y = x, np.tanh(x @ self.W + self.b)
        return self.y

    def down(self, way):
        da = way * (1 - self.y**2)
        self.slopes = (self.x.T @ da, da.sum(axis=0, keepdims=True))
        return da @ self.W.T
"""
USE = "layer = Layer(3, 4)\ny = layer.up(np.random.randn(5, 3))\nback = layer.down(np.random.randn(5, 4))"


@pytest.mark.parametrize(
    ("new", "verdict", "note"),
    [
        ("da.sum(axis=0, keepdims=True)", "right", ""),
        ("np.sum(da)", "wrong", "is summed over all entries"),
    ],
)
def test_an_output_that_replaces_an_array_and_a_bias_that_is_one_number(
    new: str, verdict: str, note: str, tmp_path: Path
) -> None:
    one = examined(tmp_path, LAYER.replace("da.sum(axis=0, keepdims=True)", new), USE)
    assert one.judged.verdict == verdict
    assert note in " ".join(g.note for g in one.judged.gradients if g.name == "layer.b")


PAIR = """
import numpy as np

def up(x, W):
    return np.tanh(x @ W), (x @ W) ** 2, (x, W)

def down(ways, kept):
    x, W = kept
    da = ways[0] * (1 - np.tanh(x @ W) ** 2) + 2 * ways[1] * (x @ W)
    return da @ W.T, x.T @ da
"""


def test_a_list_of_what_is_handed_over_is_handed_over_one_by_one(tmp_path: Path) -> None:
    example = (
        "x, W = np.random.randn(2, 3), np.random.randn(3, 4)\na, b, kept = up(x, W)\n"
        "dx, dW = down([np.random.randn(2, 4), np.random.randn(2, 4)], kept)"
    )
    one = examined(tmp_path, PAIR, example)
    assert one.judged.verdict == "right"
    assert one.chosen.candidate.text.count("sum(") == 2


CHAIN = """
import numpy as np

class Chain:
    def __init__(self, n):
        self.W, self.M = np.random.randn(n, n) / 2, np.random.randn(n, n) / 2

    def run(self, X):
        H = np.zeros((len(X) + 1, len(self.W)))
        for t in range(len(X)):
            H[t] = np.tanh(self.W @ X[t] + self.M @ H[t - 1])
        return H

    def loss(self, X, Y):
        logits = self.run(X)[:-1]
        P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        self.P = P
        return -(Y * np.log(P + 1e-4)).sum() / len(X)

    def slopes(self, X, grad_Y):
        H, dW, dM = self.run(X), 0 * self.W, 0 * self.M
        for t in range(len(X)):
            part = grad_Y[t] * (1 - H[t] ** 2)
            for s in range(t, -1, -1):
                dW, dM = dW + np.outer(part, X[s]), dM + np.outer(part, H[s - 1])
                part = self.M.T @ part * (1 - H[s - 1] ** 2)
        return dW, dM

net = Chain(12)
"""
STEPS = (
    "net, X, Y = Chain(3), np.random.randn(4, 3), np.eye(3)[[0, 2, 1, 2]]\n"
    "loss = net.loss(X, Y)\ndW, dM = net.slopes(X, (net.P - Y) / 4)"
)


def test_each_step_by_itself_a_guard_labels_of_an_outputs_name_and_a_net_of_the_files_own(
    tmp_path: Path,
) -> None:
    one = examined(tmp_path, CHAIN, STEPS)
    assert one.judged.verdict == "right"
    assert one.chosen.candidate.text == "loss"
    assert {g.name for g in one.judged.gradients if g.verdict == "right"} >= {"net.W", "net.M"}


NORMED = """
import numpy as np

class Normed:
    def __init__(self, n, m):
        self.W, self.b = np.random.randn(n, m), np.random.randn(m)

    def up(self, x):
        a = x @ self.W + self.b
        self.x, self.c = x, a - a.mean(axis=0)
        return self.c**3

    def down(self, dy):
        dc = 3 * dy * self.c**2
        da = dc - dc.mean(axis=0)
        self.grads = [self.x.T @ da, da.sum(axis=0)]
"""


def test_a_bias_that_a_mean_takes_away_has_no_gradient_and_rounding_is_none(tmp_path: Path) -> None:
    example = "net = Normed(3, 4)\ny = net.up(np.random.randn(5, 3))\nnet.down(np.random.randn(5, 4))"
    assert examined(tmp_path, NORMED, example).judged.verdict == "right"


def test_rounding_is_smaller_than_what_is_told_apart() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert 0 < np.abs((x - x.mean(axis=0)).sum(axis=0)).max() < 1e-9
