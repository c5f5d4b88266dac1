"""Several faults: the first is corrected, and then what it hid, wherever forward and backward stand."""

from pathlib import Path

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read
from small_files import changed

CARRIES = """
import numpy as np

def step(x, h, c, W, U):
    g = np.tanh(x @ W + h @ U)
    c_next = 0.5 * c + g
    return np.tanh(c_next), c_next, (x, h, c_next, g)

def step_back(dh, dc, cache, W, U):
    x, h, c, g = cache
    dc = dc + dh * (1 - np.tanh(c) ** 2)
    da = dc * (1 - g**2)
    return {"dW": x.T @ da, "dU": h.T @ da, "dh": da @ U.T, "dc": 0.5 * dc}

def run(xs, W, U):
    h, c, hs, caches = np.zeros((2, 4)), np.zeros((2, 4)), [], []
    for x in xs:
        h, c, cache = step(x, h, c, W, U)
        hs.append(h)
        caches.append(cache)
    return np.array(hs), caches

def back(dhs, caches, W, U):
    dW, dU, dh, dc = np.zeros_like(W), np.zeros_like(U), np.zeros((2, 4)), np.zeros((2, 4))
    for t in reversed(range(len(dhs))):
        grads = step_back(dhs[t] + dh, dc, caches[t], W, U)
        dW += grads["dW"]
        dU += grads["dU"]
        dh = grads["dh"]
        dc = grads["dc"]
    return dW, dU
"""
CALLED = """
xs, W, U = np.random.randn(4, 2, 3), np.random.randn(3, 4), np.random.randn(4, 4)
hs, caches = run(xs, W, U)
dW, dU = back(np.random.randn(4, 2, 4), caches, W, U)
"""
AT_ONCE = """
import numpy as np

def loss_and_gradients(xs, ys, W, U, V):
    hs, loss = {-1: np.zeros((4, 1))}, 0
    for t in range(len(xs)):
        hs[t] = np.tanh(W @ xs[t] + U @ hs[t - 1])
        loss += 0.5 * ((V @ hs[t] - ys[t]) ** 2).sum()
    dW, dU, dV, later = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), np.zeros((4, 1))
    for t in reversed(range(len(xs))):
        dy = V @ hs[t] - ys[t]
        dV += dy @ hs[t].T
        dh = V.T @ dy + later
        da = dh * (1 - hs[t] ** 2)
        dW += da @ xs[t].T
        dU += da @ hs[t - 1].T
        later = U.T @ da
    return loss, dW, dU, dV
"""
ONE_CALL = """
xs, ys = np.random.randn(4, 3, 1), np.random.randn(4, 2, 1)
W, U, V = np.random.randn(4, 3), np.random.randn(4, 4), np.random.randn(2, 4)
loss, dW, dU, dV = loss_and_gradients(xs, ys, W, U, V)
"""


@pytest.mark.parametrize(
    ("code", "example", "edits", "lines"),
    [
        (CARRIES, CALLED, [('        dh = grads["dh"]\n', ""), ('        dc = grads["dc"]\n', "")],
         ['dh = grads["dh"]', 'dc = grads["dc"]']),
        (AT_ONCE, ONE_CALL, [("(1 - hs[t] ** 2)", "(1 - hs[t])"), ("later = U.T @ da", "later = U @ da")],
         ["da = dh * (1 - hs[t] ** 2)", "later = U.T @ da"]),
    ],
)  # fmt: skip
def test_two_faults_are_mended(
    code: str, example: str, edits: list[tuple[str, str]], lines: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "code.py"
    path.write_text(changed(*edits, code=code), encoding="utf-8")
    report = check_source(read(path), example, seconds=60)
    assert (report.verdict, report.whole) == ("wrong", True)
    fixed = report.fixed[str(path)].replace("'", '"')
    assert all(line in fixed for line in lines)
