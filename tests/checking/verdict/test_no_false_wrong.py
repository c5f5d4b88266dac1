"""Right code whose loss, clip or labels may mislead, and wrong code that may pass."""

from pathlib import Path

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read
from bptt.checking.taps.example import ExampleError
from small_files import changed

WORDS = """
import numpy as np

def hot(words, count):
    return [np.eye(count)[:, [k]] for k in words]

def forward(W, V, xs):
    hs = [np.tanh(W @ x) for x in xs]
    ys = [np.clip(V @ h, -50, 50) for h in hs]
    return hs, [np.exp(y) / np.exp(y).sum() for y in ys]

def loss_of(ps, ts):
    return np.sum([-np.log(t.T @ p) for p, t in zip(ps, ts)])

def backward(W, V, xs, hs, ps, ts):
    dW, dV = np.zeros_like(W), np.zeros_like(V)
    for x, h, p, t in zip(xs, hs, ps, ts):
        dy = p - t
        dV += dy @ h.T
        dW += (V.T @ dy * (1 - h**2)) @ x.T
    return dW, dV
"""
EXAMPLE = """
W, V = np.random.randn(4, 5), {scale} * np.random.randn(5, 4)
xs, ts = hot([0, 3, 1, 3], 5), hot([3, 1, 3, 4], 5)
hs, ps = forward(W, V, xs)
loss = loss_of(ps, ts)
dW, dV = backward(W, V, xs, hs, ps, ts)
"""
CELL = """
import numpy as np

def forward(c, f, i, g):
    return np.tanh(f * c + i * g)

def backward(c, f, i, g, dh, h):
    d = dh * (1 - h**2)
    return d * f, d * c, d * g, d * i
"""
CELL_EXAMPLE = """
c, f, i, g = np.random.randn(4, 2, 3)
h = forward(c, f, i, g)
dc, df, di, dg = backward(c, f, i, g, np.random.randn(2, 3), h)
"""
LEAKY = """
import numpy as np

def forward(x, W, V):
    h, f = np.zeros((len(x) + 1, 4)), np.zeros((len(x), 4))
    for t in range(len(x)):
        f[t] = np.tanh(V @ x[t])
        h[t + 1] = f[t] * h[t] + np.sin(W @ x[t])
    return h, f

def backward(x, h, f, W, dh):
    grads = {"W": np.zeros((4, 3)), "V": np.zeros((4, 3)), "f": np.zeros((len(x), 4))}
    for t in reversed(range(len(x))):
        grads["W"] += np.outer(dh * np.cos(W @ x[t]), x[t])
        grads["f"][t] = dh * h[t]
        grads["V"] += np.outer(grads["f"][t] * (1 - f[t] ** 2), x[t])
        dh = dh * f[t]
    return grads
"""
LEAKY_EXAMPLE = """
x, W, V = np.random.randn(5, 3), np.random.randn(4, 3), np.random.randn(4, 3)
h, f = forward(x, W, V)
grads = backward(x, h, f, W, np.random.randn(4))
"""


def verdict(folder: Path, code: str, example: str) -> str:
    path = folder / "code.py"
    path.write_text(code)
    return check_source(read(path), example, seconds=1.0).verdict


@pytest.mark.parametrize(("scale", "wanted"), [(1.0, "right"), (60.0, "cannot tell")])
def test_labels_that_the_code_makes_stand_and_a_wide_clip_is_no_fault(
    tmp_path: Path, scale: float, wanted: str
) -> None:
    assert verdict(tmp_path, WORDS, EXAMPLE.format(scale=scale)) == wanted


def test_a_states_gradient_that_is_that_of_another_value_is_wrong(tmp_path: Path) -> None:
    assert verdict(tmp_path, CELL, CELL_EXAMPLE) == "right"
    assert verdict(tmp_path, changed(("return d * f,", "return d * i,"), code=CELL), CELL_EXAMPLE) == "wrong"


def test_a_run_of_too_many_values_is_told_at_once(tmp_path: Path) -> None:
    code = "def back(x):\n    for k in range(10**9):\n        x = x + k * x\n    return x\n"
    with pytest.raises(ExampleError, match="too much to be followed"):
        verdict(tmp_path, code, "g = back(np.random.randn(3))")


STATE = """
import numpy as np

class Cell:
    def __init__(self):
        self.W, self.U = np.random.randn(4, 3), np.random.randn(4, 4)

    def step(self, x):
        self.before, self.h = self.h, np.tanh(self.W @ x + self.U @ self.h)
        return self.h

    def back(self, x, dy):
        da = dy * (1 - self.h**2)
        return np.outer(da, x), np.outer(da, self.before)
"""
STATE_EXAMPLE = """
cell, x = Cell(), np.random.randn(3)
cell.h = np.random.randn(4)
y = cell.step(x)
grads = cell.back(x, np.random.randn(4))
"""


def test_a_state_that_the_forward_changes_is_no_update(tmp_path: Path) -> None:
    assert verdict(tmp_path, STATE, STATE_EXAMPLE) == "right"
    assert (
        verdict(tmp_path, changed(("(1 - self.h**2)", "(1 - self.h)"), code=STATE), STATE_EXAMPLE) == "wrong"
    )


ADDED_UP = """
import numpy as np

class Taps:
    def __init__(self):
        self.W, self.b = np.random.randn(4, 3, 2), np.zeros(4)
        self.dLdW, self.dLdb = np.zeros((4, 3, 2)), np.zeros(4)

    def forward(self, A):
        self.A, Z = A, np.zeros((len(A), 4, A.shape[2] - 1))
        for n, i, k in np.ndindex(Z.shape):
            Z[n][i][k] = (A[n][:, k : k + 2] * self.W[i]).sum() + self.b[i]
        return Z

    def backward(self, dLdZ):
        for n, i, k in np.ndindex(dLdZ.shape):
            self.dLdb[i] += dLdZ[n][i][k]
            self.dLdW[i] += dLdZ[n][i][k] * self.A[n][:, k : k + 2]
"""
ADDED_UP_EXAMPLE = """
net = Taps()
Z = net.forward(np.random.randn(2, 3, 5))
net.backward(np.random.randn(*Z.shape))
"""


def test_what_gradients_are_added_to_begins_at_zero(tmp_path: Path) -> None:
    assert verdict(tmp_path, ADDED_UP, ADDED_UP_EXAMPLE) == "right"
    assert (
        verdict(
            tmp_path,
            changed(("self.A[n][:, k : k + 2]\n", "self.A[n][:, :2]\n"), code=ADDED_UP),
            ADDED_UP_EXAMPLE,
        )
        == "wrong"
    )


SLOPES = """
import numpy as np

class Pair:
    def __init__(self):
        self.W = [1.5, 0.5]

    def state(self, x, s):
        return x * self.W[0] + s * self.W[1]

    def back(self, X, S, slope):
        w_grad = 0
        for k in range(X.shape[1]):
            w_grad += np.sum(slope * S[:, k])
        return (w_grad, w_grad), slope * self.W[1] * X
"""


def test_a_gradient_is_no_loss(tmp_path: Path) -> None:
    example = "net = Pair()\nx, s = np.random.randn(3, 2), np.random.randn(3, 2)\n"
    example += "out = net.state(x, s)\ngrads, back = net.back(out, x, 0.1)"
    assert verdict(tmp_path, SLOPES, example) != "right"


def test_what_is_kept_of_each_step_beside_weights_gradients_is_a_gradient(tmp_path: Path) -> None:
    assert verdict(tmp_path, LEAKY, LEAKY_EXAMPLE) == "right"
    assert verdict(tmp_path, changed(("dh * h[t]", "dh * h[t + 1]"), code=LEAKY), LEAKY_EXAMPLE) == "wrong"
