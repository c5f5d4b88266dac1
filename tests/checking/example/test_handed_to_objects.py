"""Objects whose constructors say little: sizes by key or in a list, other objects, what a script sets."""

from pathlib import Path

import pytest

from bptt.checking.examine import examine
from bptt.checking.example import candidates
from bptt.checking.file import read
from bptt.checking.telling import Examined

STEPS = """
    def forward(self, xs):
        self.xs, self.hs = xs, [np.zeros(len(self.U))]
        for x in xs:
            self.hs.append(self.act(x @ self.W + self.hs[-1] @ self.U))
        return np.array(self.hs[1:])

    def act(self, a):
        return np.tanh(a)

    def backward(self, dhs):
        dW, dU, later = np.zeros_like(self.W), np.zeros_like(self.U), 0
        for t in reversed(range(len(self.xs))):
            da = (dhs[t] + later) * (1 - self.hs[t + 1] ** 2)
            dW += np.outer(self.xs[t], da)
            dU += np.outer(self.hs[t], da)
            later = self.U @ da
        return dW, dU
"""
FILES = {
    "any keyword": """
class Net:
    def __init__(self, **given):
        d, h = given["n_seen"], given["n_kept"]
        self.W, self.U = np.random.randn(d, h), np.random.randn(h, h)
""",
    "a list of sizes": """
class Net:
    def __init__(self, layers):
        self.W, self.U = (np.random.randn(m, layers[1]) for m in layers[:2])
""",
    "sizes whose names say nothing": """
class Net:
    def __init__(self, seen, kept):
        self.W, self.U = np.random.randn(seen, kept), np.random.randn(kept, kept)
""",
    "a data class": """
from dataclasses import dataclass

@dataclass
class Settings:
    seen: int = 3
    kept: int = 5

class Net:
    def __init__(self, settings: Settings):
        self.W = np.random.randn(settings.seen, settings.kept)
        self.U = np.random.randn(settings.kept, settings.kept)
""",
    "an object that is used later": """
class Squash:
    def value_of(self, a):
        return np.tanh(a)

class Net:
    def __init__(self, input_size, hidden_size, thing):
        self.W, self.U = np.random.randn(input_size, hidden_size), np.random.randn(hidden_size, hidden_size)
        self.act = lambda a: thing.value_of(a)
""",
}
SCRIPT = """
import numpy as np

def ahead(X):
    h = np.zeros((len(X) + 1, kept))
    for t in range(len(X)):
        h[t + 1] = np.tanh(X[t] @ inward + h[t] @ around)
    return h

def back(X, Y, h):
    g_inward, g_around, later = np.zeros_like(inward), np.zeros_like(around), 0
    for t in reversed(range(len(X))):
        d = (h[t + 1] - Y[t] + later) * (1 - h[t + 1] ** 2)
        g_inward += np.outer(X[t], d)
        g_around += np.outer(h[t], d)
        later = around @ d
    return g_inward, g_around

if __name__ == "__main__":
    kept = 3
    inward, around = np.random.randn(2, kept), np.random.randn(kept, kept)
    X, Y = np.random.rand(5, 2), np.random.rand(5, kept)
    for epoch in range(100):
        h = ahead(X)
        loss = 0.5 * np.sum((h[1:] - Y) ** 2)
        g_inward, g_around = back(X, Y, h)
        inward -= 0.1 * g_inward
        around -= 0.1 * g_around
"""
BINARY = """
import numpy as np

def make_weights(input_size, hidden_size):
    return {"W": np.random.randn(input_size, hidden_size), "v": np.random.randn(hidden_size)}

class Net:
    def __init__(self, params):
        self.params = params

    def forward(self, xs):
        self.h = np.tanh(xs @ self.params["W"]).sum(axis=0)
        self.p = 1 / (1 + np.exp(-self.h @ self.params["v"]))
        self.xs = xs
        return self.p

    def loss(self, label):
        return -(label * np.log(self.p) + (1 - label) * np.log(1 - self.p))

    def backward(self, label):
        d = self.p - label
        da = d * self.params["v"] * (1 - np.tanh(self.xs @ self.params["W"]) ** 2)
        return {"W": self.xs.T @ da, "v": d * self.h}
"""

NO_DATA = """
import numpy as np
from somewhere import corpora

words = corpora.words()
vocab_size, hidden_size = len(words), 64
W, U = np.random.randn(hidden_size, vocab_size) / 8, np.random.randn(hidden_size, hidden_size) / 8
V = np.random.randn(vocab_size, hidden_size) / 8

def loss_and_grads(seen, wanted, h):
    xs, hs, ps, loss = {}, {-1: np.copy(h)}, {}, 0
    for t in range(len(seen)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][seen[t]] = 1
        hs[t] = np.tanh(W @ xs[t] + U @ hs[t - 1])
        y = np.exp(V @ hs[t])
        ps[t] = y / y.sum()
        loss -= np.log(ps[t][wanted[t], 0])
    dW, dU, dV, later = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), np.zeros_like(h)
    for t in reversed(range(len(seen))):
        dy = np.copy(ps[t])
        dy[wanted[t]] -= 1
        dV += dy @ hs[t].T
        da = (V.T @ dy + later) * (1 - hs[t] ** 2)
        dW += da @ xs[t].T
        dU += da @ hs[t - 1].T
        later = U.T @ da
    return loss, dW, dU, dV
"""
GIVEN_BY_A_FUNCTION = """
import numpy as np

class Cell:
    def __init__(self, seen, kept):
        self.W, self.U = np.random.randn(seen, kept), np.random.randn(kept, kept)

    def forward(self, x, h):
        return np.tanh(x @ self.W + h @ self.U)

    def backprop(self, x, h, dloss):
        out = self.forward(x, h)
        da = dloss(out) * (1 - out**2)
        return x.T @ da, h.T @ da, da @ self.U.T
"""


def verdicts(folder: Path, text: str) -> tuple[str, str]:
    """Return the verdict on the first example that is written, and the example."""
    path = folder / "code.py"
    path.write_text(text)
    source = read(path)
    example = next(candidates(source))
    found = examine(source, example)
    assert isinstance(found, Examined), found.reason
    assert any(g.verdict != "not given" for g in found.judged.gradients)
    return found.judged.verdict, example.text


@pytest.mark.parametrize("kind", FILES)
def test_a_constructor(kind: str, tmp_path: Path) -> None:
    text = f"import numpy as np\n{FILES[kind]}{STEPS}"
    assert verdicts(tmp_path, text)[0] == "right"
    if kind == "any keyword":
        assert verdicts(tmp_path, text.replace("later = self.U @", "later = self.U.T @"))[0] == "wrong"


def test_what_a_script_sets(tmp_path: Path) -> None:
    verdict, example = verdicts(tmp_path, SCRIPT)
    assert verdict == "right"
    assert "kept = 3" in example
    assert "loss = " in example
    assert verdicts(tmp_path, SCRIPT.replace("later = around @ d", "later = around.T @ d"))[0] == "wrong"


def test_the_loss_is_called(tmp_path: Path) -> None:
    verdict, example = verdicts(tmp_path, BINARY)
    assert verdict == "right"
    assert "make_weights(3, 6)" in example
    assert "loss = net.loss(" in example
    assert verdicts(tmp_path, BINARY.replace("d * self.h", "self.h"))[0] == "wrong"


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("later = U.T @ da", "later = U @ da", "wrong")]
)
def test_a_file_whose_data_are_not_there(old: str, new: str, verdict: str, tmp_path: Path) -> None:
    found, example = verdicts(tmp_path, NO_DATA.replace(old, new))
    assert found == verdict
    assert "vocab_size = 7" in example


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("@ self.U.T", "@ self.U", "cannot tell")]
)
def test_a_gradient_that_a_function_gives(old: str, new: str, verdict: str, tmp_path: Path) -> None:
    found, example = verdicts(tmp_path, GIVEN_BY_A_FUNCTION.replace(old, new))
    assert found == verdict
    assert "lambda" in example


def test_a_default_that_makes_nothing(tmp_path: Path) -> None:
    text = STEPS.replace("def forward", 'def __init__(self, given=""):\n        if not given:\n'
        "            return\n        self.W, self.U = np.random.randn(3, 5), np.random.randn(5, 5)\n\n"
        "    def forward")  # fmt: skip
    verdict, example = verdicts(tmp_path, f"import numpy as np\nclass Net:{text}")
    assert verdict == "right"
    assert "Net(given=" in example
