"""What a written example hands over, where errors and the file's own calls tell its shapes."""

from pathlib import Path

import numpy as np
import pytest

from bptt.checking.example import candidates
from bptt.checking.example.mismatch import mended, unlike
from bptt.checking.file import read

WINDOW = """
import numpy as np

class Sums:
    def __init__(self, units, features, window, cells):
        self.W, self.V = np.random.randn(units, features), np.random.randn(features, units)
        self.window, self.features = window, features

    def forward(self, data):
        assert data.shape[0] == self.window
        assert data.shape[1] == self.features
        self.data, self.h = data, np.zeros((self.W.shape[0], data.shape[2]))
        for x in data:
            self.h = np.tanh(self.W @ x + self.h)
        return self.V @ self.h

    def backward(self, dy):
        self.dV, dh = dy @ self.h.T, self.V.T @ dy
        self.dW = sum(dh @ x.T for x in self.data)
"""
CALLS = """
import numpy as np
units, words = 100, 7
to_ix = {c: k for k, c in enumerate("abcdefg")}
W, U, V = np.random.randn(units, words), np.random.randn(units, units), np.random.randn(words, units)

def both(p1, p2, p3):
    hs, loss, dV, dU, back = {-1: p3}, 0, 0 * V, 0 * U, 0
    for t in range(len(p1)):
        hs[t] = np.tanh(W[:, p1[t]] + U @ hs[t - 1])
        loss -= (V @ hs[t])[p2[t]]
    for t in reversed(range(len(p1))):
        dy = -np.eye(words)[p2[t]]
        dV += np.outer(dy, hs[t])
        da = (V.T @ dy + back) * (1 - hs[t] ** 2)
        dU += np.outer(da, hs[t - 1])
        back = U.T @ da
    return loss, dU, dV

def train(text):
    state = np.zeros(units)
    while True:
        given, wanted = [to_ix[c] for c in text[:-1]], [to_ix[c] for c in text[1:]]
        asked = [to_ix[c] for c in text]
        loss, dU, dV = both(asked, asked, state)
"""
BASE = """
import numpy as np
from layers import Layer
from tools import *

class Dense(Layer):
    def __init__(self, n_in, n_out, init=Gaussian(0, 1)):
        super().__init__(name="dense")
        self.W = np.random.randn(n_in, n_out)

    def forward(self, x):
        self.x = x
        return np.tanh(x @ self.W)

    def backward(self, dy):
        self.dW = self.x.T @ (dy * (1 - np.tanh(self.x @ self.W) ** 2))
        return self.dW
"""


def first_text(folder: Path, code: str) -> str:
    path = folder / "told.py"
    path.write_text(code)
    return next(candidates(read(path))).text


def test_sizes_that_an_assertion_compares_are_made_one(tmp_path: Path) -> None:
    text = first_text(tmp_path, WINDOW)
    assert "data = np.random.randn(" in text
    assert "backward(dy)" in text


def test_a_files_own_calls_say_what_is_handed_over(tmp_path: Path) -> None:
    text = first_text(tmp_path, CALLS)
    assert "state = np.zeros(units)\nasked = [0, 2, 1, 2]\nloss, dU, dV = both(asked, asked, state)" in text


def test_a_base_and_a_default_that_are_not_there(tmp_path: Path) -> None:
    assert "Dense(3, 7)" in first_text(tmp_path, BASE) or "Dense(3, 6)" in first_text(tmp_path, BASE)


@pytest.mark.parametrize(("a", "b"), [((2, 3), (6, 2)), ((4,), (3,)), ((2, 6), (2, 3)), ((5, 6, 2), (3, 2))])
def test_what_numpy_says_of_sizes_is_read(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    pairs = set[tuple[int, int]]()
    for work in (np.matmul, np.dot, np.add, lambda x, y: np.concatenate([x, y])):
        try:
            work(np.ones(a), np.ones(b))
        except ValueError as error:
            pairs |= {*unlike(error)}
    assert any({x, y} <= {*a, *b} for x, y in pairs)


def test_an_index_that_is_no_number_makes_labels_of_vectors() -> None:
    error = IndexError("arrays used as indices must be of integer (or boolean) type")
    trees = list(mended({"y": "«onehot T V»", "x": "«T D»"}, error, str, []))
    assert trees == [{"y": "«labels T»", "x": "«T D»"}]
