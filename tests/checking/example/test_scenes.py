"""Where a file itself calls a backward, what leads up to the call is the example; the rest is learned."""

from pathlib import Path

import pytest

from bptt.checking.examine import examine
from bptt.checking.example import Example, candidates
from bptt.checking.example.code import Code
from bptt.checking.example.names import namespace
from bptt.checking.example.pieces import pieces
from bptt.checking.file import Source, read
from bptt.checking.telling import Examined

WIRED = """
import numpy as np

class Recur:
    def __init__(self, n_in, n_hidden, n_out):
        self.A, self.B = np.random.randn(n_hidden, n_in), np.random.randn(n_hidden, n_hidden)
        self.C = np.random.randn(n_out, n_hidden)

    def ahead(self, seq):
        past = [np.zeros(len(self.B))]
        for item in seq:
            past.append(np.tanh(self.A @ item + self.B @ past[-1]))
        scores = [self.C @ one for one in past[1:]]
        powers = [np.exp(one) for one in scores]
        return scores, [one / one.sum() for one in powers], past

    def backprop(self, seq, wanted, first, second):
        dA, dB, dC, later = 0 * self.A, 0 * self.B, 0 * self.C, 0 * second[0]
        for t in reversed(range(len(seq))):
            d = first[t].copy()
            d[np.argmax(wanted[t])] -= 1
            dC += np.outer(d, second[t + 1])
            da = (self.C.T @ d + later) * (1 - second[t + 1] ** 2)
            dA, dB, later = dA + np.outer(da, seq[t]), dB + np.outer(da, second[t]), self.B.T @ da
        return dA, dB, dC

    def pairs(self, text, start):
        inputs, labels = np.eye(self.A.shape[1]), np.eye(len(self.C))
        return [inputs[k] for k in text[start:]], [labels[k] for k in text[start:]]

    def fit(self, text, rounds):
        for k in range(rounds):
            xs, labels = self.pairs(text, k)
            scores, probs, past = self.ahead(xs)
            dA, dB, dC = self.backprop(xs, labels, probs, past)
            self.A -= 0.1 * dA
            self.B -= 0.1 * dB
            self.C -= 0.1 * dC
"""
OBJECTS = """
import numpy as np

class Scan:
    def __init__(self, n_in, n_hidden):
        self.P, self.Q = np.random.randn(n_in, n_hidden), np.random.randn(n_hidden, n_hidden)

    def unroll(self, x):
        self.x, self.kept = x, [np.zeros((x.shape[1], len(self.Q)))]
        for one in x:
            self.kept.append(np.tanh(one @ self.P + self.kept[-1] @ self.Q))
        return np.array(self.kept[1:])

    def backward(self, g):
        self.gP, self.gQ, later = 0 * self.P, 0 * self.Q, 0 * g[0]
        for t in range(len(g) - 1, -1, -1):
            a = (g[t] + later) * (1 - self.kept[t + 1] ** 2)
            self.gP += self.x[t].T @ a
            self.gQ += self.kept[t].T @ a
            later = a @ self.Q.T

def improve(who, x, y, n=10):
    for k in range(n):
        out = who.unroll(x)
        loss = 0.5 * np.sum((out - y) ** 2)
        error = out - y
        who.backward(error)
        print(k, loss)
"""
SCRIPT = """
import numpy as np
text = open("nowhere.txt").read().lower()
letters = sorted(set(text))
number = {c: k for k, c in enumerate(letters)}
units, stretch = 100, 5
W, U = np.random.randn(units, len(letters)) / 10, np.random.randn(units, units) / 10
V = np.random.randn(len(letters), units) / 10

def both(given, wanted, h):
    hs, ps, loss, dW, dU, dV, back = {-1: h}, {}, 0, 0 * W, 0 * U, 0 * V, 0 * h
    for t in range(len(given)):
        hs[t] = np.tanh(W[:, given[t]][:, None] + U @ hs[t - 1])
        e = np.exp(V @ hs[t])
        ps[t] = e / e.sum()
        loss -= np.log(ps[t][wanted[t], 0])
    for t in reversed(range(len(given))):
        dy = ps[t].copy()
        dy[wanted[t]] -= 1
        dV += dy @ hs[t].T
        da = (V.T @ dy + back) * (1 - hs[t] ** 2) * damping
        dW[:, given[t]] += da[:, 0]
        dU += da @ hs[t - 1].T
        back = U.T @ da
    return loss, dW, dU, dV

damping = np.load("damping.npy")
p = 0
while True:
    if p + stretch + 1 > len(text) or p == 0:
        h, p = np.zeros((units, 1)), 0
    given = [number[c] for c in text[p : p + stretch]]
    wanted = [number[c] for c in text[p + 1 : p + stretch + 1]]
    loss, dW, dU, dV = both(given, wanted, h)
    p += stretch
"""


def first(folder: Path, code: str) -> tuple[Source, Example]:
    path = folder / "scene.py"
    path.write_text(code)
    source = read(path)
    return source, next(candidates(source))


def verdict(source: Source, example: Example) -> str:
    found = examine(source, example)
    assert isinstance(found, Examined)
    return found.judged.verdict


@pytest.mark.parametrize(
    ("old", "new", "wanted"), [("", "", "right"), ("second[t])", "second[t + 1])", "wrong")]
)
def test_what_a_method_hands_on_is_handed_on(old: str, new: str, wanted: str, tmp_path: Path) -> None:
    source, example = first(tmp_path, WIRED.replace(old, new, 1) if old else WIRED)
    assert "scores, probs, past = net.ahead(xs)" in example.text
    assert example.text.splitlines()[-1] == "dA, dB, dC = net.backprop(xs, labels, probs, past)"
    assert "labels = np.eye(7)[" in example.text
    assert verdict(source, example) == wanted


@pytest.mark.parametrize(("new", "wanted"), [("self.Q.T", "right"), ("self.Q", "wrong")])
def test_an_object_is_of_the_class_that_has_what_is_asked_of_it(
    new: str, wanted: str, tmp_path: Path
) -> None:
    source, example = first(tmp_path, OBJECTS.replace("a @ self.Q.T", f"a @ {new}"))
    assert "who = Scan(3, 6)" in example.text or "who, x = Scan(3, 6)" in example.text
    assert example.text.splitlines()[-2:] == ["error = out - y", "who.backward(error)"]
    assert verdict(source, example) == wanted


def test_what_a_script_sets_where_it_is_not_run_is_set(tmp_path: Path) -> None:
    _, example = first(tmp_path, SCRIPT)
    assert "damping = " in example.text
    assert "wanted = [number[c] for c in text[p + 1:p + stretch + 1]]" in example.text
    assert example.text.splitlines()[-1] == "loss, dW, dU, dV = both(given, wanted, h)"


STEPWISE = """
import numpy as np

class Step:
    def go(self, x):
        self.h = np.tanh(x @ self.W)

    def back_step(self, dh):
        da = dh * (1 - self.h**2)
        self.dW, dx, db = self.dW + da, da @ self.W.T, da
        return dx

def both(step, xs, dys):
    for epoch in range(100):
        for x in xs:
            step.go(x)
        dh, t = np.zeros(3), len(xs)
        while t > 0:
            t = t - 1
            dh = step.back_step(dys[t] + dh)
"""


def test_a_loop_that_goes_back_stays_and_one_that_trains_does_not(tmp_path: Path) -> None:
    path = tmp_path / "stepwise.py"
    path.write_text(STEPWISE)
    source = read(path)
    (shown,) = (one.scene for one in pieces(Code(source.tree, namespace(source, {}))) if one.scene)
    loops = [line.splitlines()[0] for line in shown.lines if line.endswith(")") and ":" in line]
    assert loops == ["for x in <xs>:", "while t > 0:"]
    assert shown.open == ("xs", "step", "dys")
