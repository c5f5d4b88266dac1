"""Wrong code that may pass: updates, names, labels, what is lost or scaled; and right code that looks so."""

from pathlib import Path

import pytest

from bptt.checking.examine import _examined, check_source, examine
from bptt.checking.example import given
from bptt.checking.file import read
from bptt.checking.report import Report
from bptt.checking.telling import Examined

NET = """
import numpy as np

class Net:
    def __init__(self):
        self.W, self.U, self.V = np.random.randn(4, 3), np.random.randn(4, 4), np.random.randn(2, 4)
        self.b = np.random.randn(4)

    def forward(self, xs):
        self.xs, self.hs = xs, [np.zeros(4)]
        for x in xs:
            self.hs.append(np.tanh(self.W @ x + self.U @ self.hs[-1] + self.b))
        self.ys = [self.V @ h for h in self.hs[1:]]
        return np.array(self.ys)

    def backward(self, dys):
        W, U, V, b = 0, 0, 0, 0
        dh = np.zeros(4)
        for t in reversed(range(len(dys))):
            dh = dh + self.V.T @ dys[t]
            da = dh * (1 - self.hs[t + 1] ** 2)
            V = V + np.outer(dys[t], self.hs[t + 1])
            W = W + np.outer(da, self.xs[t])
            U = U + np.outer(da, self.hs[t])
            b = b + da
            dh = self.U.T @ da
        END
"""
EXAMPLE = "net = Net(); y = net.forward(np.random.randn(5, 3)); g = net.backward(np.random.randn(5, 2))"
SGD = "self.W -= 0.1 * W; self.U -= 0.1 * U; self.V -= 0.1 * V; self.b -= 0.1 * b"
EACH = "for p, g in zip((self.W, self.U, self.V, self.b), (W, U, V, b)): "


def judged(folder: Path, code: str, example: str) -> str:
    path = folder / "code.py"
    path.write_text(code, encoding="utf-8")
    found = examine(read(path), given(example))
    return found.verdict if isinstance(found, Report) else found.judged.verdict


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (SGD, "right"),
        (SGD + "; self.b -= 0.1 * b", "wrong"),  # made twice
        (SGD.replace("self.W -=", "self.W +="), "wrong"),
        (SGD.replace("0.1 * U", "0.1 * U * U"), "wrong"),
        ("dW, dU, dV, db = W, U, V, b; " + SGD.replace("; self.b -= 0.1 * b", ""), "wrong"),
        ("self.gb, self.gW = b, W; " + SGD.replace("; self.b -= 0.1 * b", ""), "wrong"),
        (SGD.replace("0.1 * U", "0.1 * (U + 0.01 * self.U)"), "right"),  # weights decay
        (SGD.replace("0.1 * U", "0.1 * np.clip(U, -1, 1)"), "right"),
        (EACH + "p -= 0.1 * g / np.sqrt(g**2 + 1e-8)", "right"),
        (EACH + "p -= (0.2 if p is self.U else 0.1) * g / np.sqrt(g**2 + 1e-8)", "wrong"),
        (EACH.replace("V, b))", "V[::-1], b))") + "p -= 0.1 * g / np.sqrt(g**2 + 1e-8)", "wrong"),
        (EACH + "p -= 0.1 * min(1, 0.5 / np.linalg.norm(g)) * g", "right"),  # each norm is clipped
        (SGD.replace("0.1 * V", "0.1 * min(1, 0.5 / np.linalg.norm(V)) * V"), "right"),
        ("self.W *= 0.99; self.U *= 0.99; self.V *= 0.99; " + SGD, "right"),
        ("self.W *= 0.99; self.U *= 0.99; self.V *= 0.99; " + SGD.replace("b -= ", "b += "), "wrong"),
    ],
)
def test_an_update_is_as_most_are(end: str, verdict: str, tmp_path: Path) -> None:
    assert judged(tmp_path, NET.replace("END", end), EXAMPLE) == verdict


@pytest.mark.parametrize(
    ("end", "example", "verdict"),
    [
        ("return -W, U, V, b", EXAMPLE, "wrong"),
        ("return W + self.W", EXAMPLE, "wrong"),  # it was right in a variable
        ("return dict(W=W, U=U, V=V, W2=b)", EXAMPLE, "right"),  # whatever it is called
        ("return dict(W=V, U=U, V=V, b=b)", EXAMPLE.replace("g =", "grads ="), "cannot tell"),  # it is lost
        ("self.W_kept, self.V_kept, self.U_kept = W, V, U * 2", EXAMPLE, "wrong"),  # as the others are called
        ("return V, W, U, b", EXAMPLE.replace("g =", "dW, dV, dU, db ="), "wrong"),
        ("self.gW, self.gb = W, b; return -W", EXAMPLE.replace("g =", "dW ="), "wrong"),
    ],
)
def test_what_is_kept_under_a_name(end: str, example: str, verdict: str, tmp_path: Path) -> None:
    assert judged(tmp_path, NET.replace("END", end), example) == verdict


PARTS = """
import numpy as np

class Linear:
    def __init__(self, n, m):
        self.weight = np.random.randn(n, m)
    def up(self, x):
        self.x = x
        return x @ self.weight
    def down(self, d):
        self.slope = self.x.T @ d
        return d @ self.weight.T

class Net:
    def __init__(self):
        self.one, self.two, self.top = Linear(3, 4), Linear(4, 5), np.random.randn(5, 2)
    def forward(self, x):
        self.h = np.tanh(self.one.up(x))
        self.y = self.two.up(self.h)
        return self.y @ self.top
    def backward(self, dy):
        self.top_slope = self.y.T @ dy
        dh = self.two.down(dy @ self.top.T)
        self.one.down(dh * (1 - self.h**2))
"""
PARTS_EXAMPLE = "net = Net(); y = net.forward(np.random.randn(6, 3)); net.backward(np.random.randn(6, 2))"


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("", "", "right"),
        ("self.h**2", "self.h", "wrong"),
        ("        self.one.down(dh * (1 - self.h**2))\n", "", "cannot tell"),
        ("        self.top_slope = self.y.T @ dy\n", "", "cannot tell"),
    ],
)
def test_what_parts_of_an_object_keep(old: str, new: str, verdict: str, tmp_path: Path) -> None:
    assert judged(tmp_path, PARTS.replace(old, new), PARTS_EXAMPLE) == verdict


LABELLED = """
import numpy as np

def forward(W, x):
    s = np.exp(x @ W)
    return s / s.sum(axis=1, keepdims=True)

def backward(x, p, t):
    dp = START
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return x.T @ ds
"""
LABELS = (
    "W, x, t = np.random.randn(3, 4), np.random.randn(5, 3), np.eye(4)[[0, 2, 1, 3, 2]]\n"
    "p = forward(W, x)\ndW = backward(x, p, t)"
)


@pytest.mark.parametrize(
    ("start", "verdict"), [("-t / p", "right"), ("-t", "cannot tell"), ("-t / p**2", "")]
)
def test_labels_are_no_gradient(start: str, verdict: str, tmp_path: Path) -> None:
    said = judged(tmp_path, LABELLED.replace("START", start), LABELS)
    assert said == verdict or (not verdict and said != "right")


@pytest.mark.parametrize(("sign", "verdict"), [("-", "right"), ("+", "wrong")])
def test_a_loss_is_descended(sign: str, verdict: str, tmp_path: Path) -> None:
    example = EXAMPLE.replace(
        "; g =", "; ts = np.random.randn(5, 2); loss = 0.5 * ((y - ts) ** 2).sum(); g ="
    )
    code = NET.replace("END", EACH + f"p {sign}= 0.1 * g")
    assert judged(tmp_path, code, example.replace("(np.random.randn(5, 2))", "(y - ts)")) == verdict


def test_an_update_that_is_made_twice_is_mended(tmp_path: Path) -> None:
    code = NET.replace("END", SGD.replace("; ", "\n        ") + "\n        self.b -= 0.1 * b")
    path = tmp_path / "code.py"
    path.write_text(code)
    report = check_source(read(path), EXAMPLE, seconds=20.0)
    assert report.verdict == "wrong"
    assert report.whole
    assert report.fixed[str(path)].count("self.b -= 0.1 * b") == 1


NORMALISED = """
import numpy as np

class Norm:
    def __init__(self, width):
        self.scale, self.shift = np.ones(width), np.zeros(width)

    def forward(self, x):
        self.std = np.sqrt(x.var(axis=0) + 1e-5)
        self.z = (x - x.mean(axis=0)) / self.std
        return self.scale * self.z + self.shift

    def backward(self, dy):
        self.dshift, self.dscale = dy.sum(axis=0), (dy * self.z).sum(axis=0)
        dz = dy * self.scale
        return (dz - dz.mean(axis=0) - self.z * (dz * self.z).mean(axis=0)) / self.std
"""


@pytest.mark.parametrize(
    ("text", "verdict"),
    [(NORMALISED, "right"), (NORMALISED.replace("(axis=0) - self.z", "(axis=0) + self.z"), "wrong")],
)
def test_what_two_rows_do_not_show_is_looked_at_with_three(text: str, verdict: str, tmp_path: Path) -> None:
    path = tmp_path / "norm.py"
    path.write_text(text)
    [one] = _examined(read(path), {"seconds": 60})
    assert isinstance(one, Examined)
    assert one.judged.verdict == verdict
