"""Numbers by themselves, lists of columns, older NumPy and other precision: judged as arrays are."""

from pathlib import Path

import pytest

from small_files import CODE, EXAMPLE, changed, examined

NUMBERS = """
import numpy as np

def forward(xs, w, u):
    states = np.zeros(len(xs) + 1)
    for k, x in enumerate(xs):
        states[k + 1] = np.array([np.tanh(w * x + u * states[k])])
    return states

def backward(xs, states, w, u, d):
    dw = du = 0.0
    for k in range(len(xs), 0, -1):
        d = d * (1 - states[k] ** 2)
        dw += d * xs[k - 1]
        du += d * states[k - 1]
        d = d * u
    return dw, du
"""
TWO_NUMBERS = """
xs, w, u = np.random.randn(4), 0.7, -0.4
states = forward(xs, w, u)
loss = 1.3 * states[-1]
grads = backward(xs, states, w, u, 1.3)
"""
COLUMNS = """
import numpy as np

class Layer:
    def __init__(self):
        self.W, self.b = np.random.randn(3, 4), np.random.randn(4)
        self.rate = np.longdouble(0.1)

    def forward(self, x):
        self.x = np.asarray(x, dtype=np.longdouble)
        return self.x @ self.W + self.b

    def loss(self, ys, ts):
        return np.sum(((y - t) ** 2).sum() / 2 for y, t in zip(ys, ts))

    def backward(self, d):
        self.dW = [(self.x.T @ d[:, j]).reshape(-1, 1) for j in range(4)]
        self.db = d.sum(0)
"""
LAYER = """
net = Layer()
y, t = net.forward(np.random.randn(2, 3)), np.random.randn(2, 4)
loss = net.loss(y, t)
net.backward(y - t)
"""


@pytest.mark.parametrize(
    ("code", "example", "edit", "wrong"),
    [
        (NUMBERS, TWO_NUMBERS, ("dw += d", "dw -= d"), "w"),
        (NUMBERS, TWO_NUMBERS, ("d * states[k - 1]", "d * states[k]"), "u"),
        (COLUMNS, LAYER, ("d[:, j])", "d[:, j - 1])"), "net.W"),
        (COLUMNS, LAYER, ("d.sum(0)", "d.mean(0)"), "net.b"),
    ],
)
def test_right_and_wrong(code: str, example: str, edit: tuple[str, str], wrong: str, tmp_path: Path) -> None:
    judged = examined(tmp_path, code, example).judged
    assert judged.verdict == "right"
    assert {g.name: g.verdict for g in judged.gradients}[wrong] == "right"
    judged = examined(tmp_path, changed(edit, code=code), example).judged
    assert (judged.verdict, [g.name for g in judged.wrong]) == ("wrong", [wrong])


def test_a_rate_is_no_parameter(tmp_path: Path) -> None:
    """The loss depends on it, and no gradient of it is named."""
    code = changed(("d = d * u", "d = d * u * leak"), ("u * states[k]", "u * states[k] * leak"), code=NUMBERS)
    code = code.replace("w, u, d)", "w, u, d, leak)").replace("w, u):", "w, u, leak):")
    code = code.replace("d * states[k - 1]", "d * states[k - 1] * leak")
    example = TWO_NUMBERS.replace("-0.4", "-0.4\nleak = 0.9").replace("w, u)", "w, u, leak)")
    judged = examined(tmp_path, code, example.replace("u, 1.3)", "u, 1.3, leak)")).judged
    assert judged.verdict == "right"
    assert "leak" not in {g.name for g in judged.gradients}


def test_what_has_a_name_and_is_another_s_gradient_is_wrong(tmp_path: Path) -> None:
    """Its shape is another's, too: nothing else would be compared with it."""
    code = CODE.replace("dxs.insert(0, da @ W.T)", "dx = da @ W.T").replace("np.array(dxs)", "dx")
    example = EXAMPLE.replace("dxs, dh", "dx, dh").replace("xs, h,", "x, h,").replace("(x,", "(x[None],")
    example = example.replace("randn(3, 2, 5)", "randn(2, 5)")
    assert examined(tmp_path, code, example).judged.verdict == "right"
    judged = examined(tmp_path, changed(("dx = da @ W.T", "dx = da @ U.T"), code=code), example).judged
    assert (judged.verdict, [g.name for g in judged.wrong]) == ("wrong", ["x"])
    assert judged.wrong[0].note == "is the gradient at h"
