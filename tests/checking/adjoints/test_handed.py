"""Which arguments are gradients at which outputs: by their names, where these say it."""

from pathlib import Path

import pytest

from bptt.checking.adjoints.choice import best
from bptt.checking.adjoints.point import point
from bptt.checking.file import read
from bptt.checking.taps.program import Program
from bptt.checking.verdict.gradient import Judged
from bptt.checking.verdict.judgement import judge
from small_files import changed

CODE = """
import numpy as np

def forward(xs, h, c, W, U):
    kept, hs = [], []
    for x in xs:
        before, h_before = c, h
        f, g = 1 / (1 + np.exp(-(h @ U))), np.tanh(x @ W)
        c = f * before + (1 - f) * g
        h = np.tanh(c)
        hs.append(h)
        kept.append((x, h_before, before, f, g, h))
    return np.array(hs), h, c, (kept, W, U)

def backward(dhs, dh_last, dc_last, cache):
    kept, W, U = cache
    dW, dU, dh, dc = np.zeros_like(W), np.zeros_like(U), dh_last, dc_last
    for d, (x, h_before, before, f, g, h) in zip(dhs[::-1], kept[::-1]):
        dh = dh + d
        dc = dc + dh * (1 - h**2)
        da = dc * (before - g) * f * (1 - f)
        db = dc * (1 - f) * (1 - g**2)
        dW += x.T @ db
        dU += h_before.T @ da
        dh, dc = da @ U.T, dc * f
    return dW, dU, dh, dc
"""
EXAMPLE = """
xs, h0, c0 = np.random.randn(3, 2, 3), np.random.randn(2, 4), np.random.randn(2, 4)
hs, h_last, c_last, cache = forward(xs, h0, c0, np.random.randn(3, 4), np.random.randn(4, 4))
dW, dU, dh0, dc0 = backward(np.random.randn(3, 2, 4), np.random.randn(2, 4), np.random.randn(2, 4), cache)
"""
LOSS = "sum(what forward[0] returns * what is handed over) + "
LOSS += "sum(what forward[1] returns * what is handed over) + "
LOSS += "sum(what forward[2] returns * what is handed over)"


def judged(folder: Path, code: str) -> Judged:
    path = folder / "code.py"
    path.write_text(code)
    found, chosen = best(point(Program(read(path), EXAMPLE)))
    assert chosen[0].candidate.sure
    return judge(found, chosen[0])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dh_last, dc_last\n", "dh_last, dc_last\n"),
        ("dh_last, dc_last\n", "0, dc_last\n"),
        ("dh_last, dc_last\n", "dh_last, 0\n"),
        ("dh_last, dc_last\n", "dc_last, dh_last\n"),
        ("dh = dh + d\n", "dh = dh\n"),
    ],
)
def test_every_gradient_that_is_handed_over_counts(old: str, new: str, tmp_path: Path) -> None:
    told = judged(tmp_path, changed((old, new), code=CODE))
    assert told.chosen.candidate.text == LOSS
    assert told.verdict == ("right" if old == new else "wrong")


def test_labels_are_no_gradient_at_an_output(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(
        "def forward(x, W):\n    y = x @ W\n    return y\n\n"
        "def backward(x, y, target):\n    dy = y - target\n    return x.T @ dy\n"
    )
    example = (
        "x = np.random.randn(3, 2)\ny = forward(x, np.random.randn(2, 4))\ndW = backward(x, y, np.eye(4)[:3])"
    )
    found, chosen = best(point(Program(read(path), example)))
    assert chosen[0].candidate.text.startswith("the half squares of")
    assert judge(found, chosen[0]).verdict == "right"


CELL = """
import numpy as np

class Cell:
    def __init__(self, D, H):
        self.W, self.U = np.random.randn(H, D), np.random.randn(H, H)

    def step(self, x, h):
        self.kept = x, h, np.tanh(self.W @ x + self.U @ h)
        return self.kept[-1]

    def back(self, dy, dh_next):
        x, before, h = self.kept
        da = (dy + dh_next) * (1 - h**2)
        return np.outer(da, x), np.outer(da, before), self.W.T @ da, self.U.T @ da
"""
STEP = "cell = Cell(3, 4)\nh = cell.step(np.random.randn(3), np.random.randn(4))\n"
STEP += "grads = cell.back(np.random.randn(4), np.random.randn(4))"


@pytest.mark.parametrize("new", ["(dy + dh_next)", "dy", "(dy - dh_next)"])
def test_two_gradients_may_be_handed_over_at_one_output(new: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(changed(("(dy + dh_next)", new), code=CELL))
    found, chosen = best(point(Program(read(path), STEP)))
    assert {text for one in chosen for text in one.candidate.text.split(" + ")} >= {
        "sum(what cell.step returns * dy)", "sum(what cell.step returns * dh_next)"
    }  # fmt: skip
    verdict = judge(found, chosen[0]).verdict
    assert verdict == ("right" if "+" in new else verdict)


ALL = """
import numpy as np

def forward(xs, W, U):
    hs, h = [], np.zeros((2, 4))
    for x in xs:
        hs.append(h := np.tanh(x @ W + h @ U))
    return np.array(hs)

def backward(xs, hs, dh_last, W, U):
    dW, dU, dh = np.zeros_like(W), np.zeros_like(U), dh_last
    for t in range(len(xs))[::-1]:
        da = dh * (1 - hs[t] ** 2)
        dW += xs[t].T @ da
        dU += (hs[t - 1] if t else 0 * hs[0]).T @ da
        dh = da @ U.T
    return dW, dU
"""
LAST = "xs, W, U = np.random.randn(3, 2, 5), np.random.randn(5, 4), np.random.randn(4, 4)\n"
LAST += "hs = forward(xs, W, U)\n"
LAST += "grads = backward(xs, hs, np.random.randn(2, 4), W, U)"


@pytest.mark.parametrize(("new", "verdict"), [("da @ U.T", "right"), ("da @ U", "wrong")])
@pytest.mark.parametrize(("turned", "at"), [("np.array(hs)", "[-1]"), ("np.stack(hs, 1)", "[:, -1]")])
def test_what_is_handed_over_may_be_for_the_last_step(
    turned: str, at: str, new: str, verdict: str, tmp_path: Path
) -> None:
    code = changed(("return np.array(hs)", f"return {turned}"), ("da @ U.T", new), code=ALL)
    if "1" in turned:
        code = changed(("dh_last, W, U):\n", "dh_last, W, U):\n    hs = hs.swapaxes(0, 1)\n"), code=code)
    path = tmp_path / "code.py"
    path.write_text(code)
    found, chosen = best(point(Program(read(path), LAST)))
    assert chosen[0].candidate.text == f"sum(what forward returns{at} * what is handed over)"
    assert judge(found, chosen[0]).verdict == verdict


SQUASHED = """
import numpy as np

def squash(v):
    return (1 - np.exp(-v)) / (1 + np.exp(-v))

class Cell:
    def __init__(self, D, H):
        self.W, self.U = np.random.randn(D, 3 * H), np.random.randn(H, 3 * H)

    def step(self, x, h, c):
        self.x, self.h, self.c = x, h, c
        f, o, g = np.split(x @ self.W + h @ self.U, 3, axis=1)
        self.f, self.o, self.g = 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o)), squash(g)
        self.c_next = self.f * c + (1 - self.f) * self.g
        self.h_next = self.o * squash(self.c_next)

    def back(self, dc_next, dh_next):
        dc = dc_next + dh_next * self.o * (1 - squash(self.c_next) ** 2)  # of tanh, which this is not
        df = dc * (self.c - self.g) * self.f * (1 - self.f)
        do = dh_next * np.tanh(self.c_next) * self.o * (1 - self.o)
        dg = dc * (1 - self.f) * (1 - self.g**2)
        da = np.hstack([df, do, dg])
        self.dW, self.dU = self.x.T @ da, self.h.T @ da
"""
ONE_STEP = """
cell = Cell(3, 4)
cell.step(np.random.randn(1, 3), np.random.randn(1, 4), np.random.randn(1, 4))
h, c = cell.h_next, cell.c_next
cell.back(np.random.randn(1, 4), np.random.randn(1, 4))
"""


def test_names_of_attributes_count_where_every_gradient_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(SQUASHED)
    _, chosen = best(point(Program(read(path), ONE_STEP)))
    wanted = "sum(cell.c_next * what is handed over) + sum(cell.h_next * what is handed over)"
    assert chosen[0].candidate.text == wanted


STEPS = """
import numpy as np

class Cell:
    def __init__(self):
        self.W, self.U, self.kept = np.random.randn(4, 3), np.random.randn(4, 4), []
        self.dW, self.dU = np.zeros((4, 3)), np.zeros((4, 4))

    def step(self, x, c, h):
        f, g = 1 / (1 + np.exp(-(self.U @ h))), np.tanh(self.W @ x)
        later = f * c + g
        self.kept.append((x, c, h, f, g, later))
        return later, np.tanh(later) * f

    def back(self, dh, dc):
        while self.kept:
            x, c, h, f, g, later = self.kept.pop()
            dc = dc + dh * f * (1 - np.tanh(later) ** 2)
            df, dg = (dc * c + dh * np.tanh(later)) * f * (1 - f), dc * (1 - g**2)
            self.dW += dg @ x.T
            self.dU += df @ h.T
            dh, dc = self.U.T @ df, dc * f
        return dh, dc
"""


@pytest.mark.parametrize("steps", ["c, h = net.step(x, c, h)", "for x in xs: c, h = net.step(x, c, h)"])
def test_results_of_one_shape_are_told_apart_by_what_is_handed_to_them(steps: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(STEPS)
    example = f"""
net, xs = Cell(), np.random.randn(3, 3, 2)
x, c, h = np.random.randn(3, 2), np.random.randn(4, 2), np.random.randn(4, 2)
{steps}
first, second = net.back(np.random.randn(4, 2), np.random.randn(4, 2))
"""
    found, chosen = best(point(Program(read(path), example)))
    said = judge(found, chosen[0])
    assert (said.verdict, {g.name for g in said.gradients} >= {"net.W", "net.U"}) == ("right", True)
