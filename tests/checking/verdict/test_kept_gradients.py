"""What is kept at the end is judged: right, wrong, or right up to what is said of it."""

from pathlib import Path

import pytest

from small_files import EXAMPLE, changed, examined

RETURN = "return np.array(dxs), dh, dW, dU"
NAMES = ("xs", "h", "W", "U")
TUPLE = EXAMPLE.replace("dxs, dh, dW, dU =", "all_of_it =")


def test_right_code_is_right_and_says_so_of_each_array(tmp_path: Path) -> None:
    judged = examined(tmp_path).judged
    assert judged.verdict == "right"
    assert {g.name: (g.verdict, g.note) for g in judged.gradients} == dict.fromkeys(NAMES, ("right", ""))


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("dW += x.T @ da", "dW = x.T @ da", {"W"}),  # each part of it is some use's gradient
        ("dU += before.T @ da", "dU += h.T @ da", {"U"}),
        ("dh = da @ U.T", "dh = da @ U", {"xs", "h", "W", "U"}),
        (RETURN, "return np.array(dxs), dh, 0 * dW, dU", {"W"}),
        (RETURN, "return np.array(dxs), dh, dW + 1e-4 * W, dU", {"W"}),
        (RETURN, "return np.array(dxs)[::-1], dh, dW, dU", {"xs"}),
        (RETURN, "return np.array(dxs), dh, dW, dU + before.T @ da", {"U"}),  # it was right, and went on
        (RETURN, "return np.array(dxs), dh, dW, dU / 3", {"U"}),  # the others are not
        (RETURN, "return np.array(dxs), -dh, dW, dU", {"h"}),
    ],
)
@pytest.mark.parametrize("example", [EXAMPLE, TUPLE])
def test_what_is_wrong_is_named(old: str, new: str, wrong: set[str], example: str, tmp_path: Path) -> None:
    judged = examined(tmp_path, changed((old, new)), example).judged
    assert judged.verdict == "wrong"
    assert {g.name for g in judged.wrong} >= wrong


def test_names_that_are_swapped_are_wrong(tmp_path: Path) -> None:
    square = EXAMPLE.replace("randn(5, 4)", "randn(4, 4)").replace("(3, 2, 5)", "(3, 2, 4)")
    judged = examined(tmp_path, changed((RETURN, "return np.array(dxs), dh, dU, dW")), square).judged
    assert {g.name for g in judged.wrong} == {"W", "U"}


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([(RETURN, "return np.array(dxs), dh, np.clip(dW, -0.1, 0.1), np.clip(dU, -0.1, 0.1)")], "clipped"),
        ([("dh * (1 - h**2)", "dh * (1 - h**2) / 7"), ("dh = da @ U.T", "dh = 7 * da @ U.T"),
          (RETURN, "return np.array(dxs), dh / 7, dW, dU")], ""),
    ],
)  # fmt: skip
def test_what_is_done_to_right_gradients_is_said(
    edits: list[tuple[str, str]], said: str, tmp_path: Path
) -> None:
    judged = examined(tmp_path, changed(*edits)).judged
    assert judged.verdict == "right"
    assert not said or said in " ".join(g.note for g in judged.gradients)
    assert said or judged.chosen.factor == pytest.approx(1 / 7)


MEAN = changed((RETURN, "n = len(h)\n    return np.array(dxs), dh, dW / n, dU / n"))


def test_an_average_over_the_batch_is_told(tmp_path: Path) -> None:
    judged = examined(tmp_path, MEAN).judged
    assert judged.verdict == "right"
    assert judged.chosen.factor == 0.5


def test_one_weight_alone_that_is_averaged_is_wrong(tmp_path: Path) -> None:
    judged = examined(tmp_path, MEAN.replace("dU / n", "dU")).judged
    assert {g.name for g in judged.wrong} == {"W"}


UPDATED = changed(
    (RETURN, "W -= 0.1 * dW\n    U -= RATE * dU\n    return np.array(dxs), dh"),
    ("kept, W, U = cache", "kept, W, U = cache[0], cache[1], cache[2]"),
)
STEP = EXAMPLE.replace("dxs, dh, dW, dU =", "dxs, dh =")


def test_a_learning_rate_is_told_from_an_update(tmp_path: Path) -> None:
    judged = examined(tmp_path, UPDATED.replace("RATE", "0.1"), STEP).judged
    assert judged.verdict == "right"
    assert all(g.verdict == "right" for g in judged.gradients)


GUARD = """
import numpy as np

def loss_and_gradients(x, t, W, b):
    e = np.exp(x @ W + b)
    p = e / e.sum(1, keepdims=True)
    loss = -np.sum(t * np.log(p + 1e-8))
    d = p - t
    return loss, x.T @ d, d.sum(0)
"""


def test_a_guard_in_a_logarithm_is_no_fault(tmp_path: Path) -> None:
    example = (
        "x, t, W, b = np.random.randn(2, 3), np.eye(4)[[1, 3]], np.random.randn(3, 4), np.random.randn(4)\n"
        "loss, dW, db = loss_and_gradients(x, t, W, b)"
    )
    judged = examined(tmp_path, GUARD, example).judged
    assert judged.verdict == "right"
    assert {g.name for g in judged.gradients if g.verdict == "right"} == {"W", "b"}
    wrong = examined(tmp_path, GUARD.replace("d = p - t", "d = p - 0.999 * t"), example).judged
    assert wrong.verdict == "wrong"


SATURATED = """
import numpy as np

def loss_and_gradients(x, t, W):
    p = 1 / (1 + np.exp(-3 * x @ W))
    loss = -np.sum(t * np.log(p + 1e-6) + (1 - t) * np.log(1 - p + 1e-6))
    return loss, 3 * x.T @ (p - t)
"""


def test_a_guard_that_is_felt_is_no_fault(tmp_path: Path) -> None:
    example = (
        "x, t, W = np.random.randn(4, 3), np.eye(4)[[1, 3, 0, 2]], np.random.randn(3, 4)\n"
        "loss, dW = loss_and_gradients(x, t, W)"
    )
    assert examined(tmp_path, SATURATED, example).judged.verdict == "right"
    faulty = SATURATED.replace("p - t", "p - 0.99 * t")
    assert examined(tmp_path, faulty, example).judged.verdict == "wrong"


SLICES = """
import numpy as np

class Layer:
    def __init__(self):
        self.W = np.random.randn(3, 4)

    def loss(self, xs):
        self.ys = np.tanh(xs @ self.W)
        return (self.ys**2).sum() / 2

    def step(self, xs):
        dxs, dW = np.zeros_like(xs), np.zeros_like(self.W)
        for t in range(len(xs)):
            da = self.ys[t] * (1 - self.ys[t] ** 2)
            dxs[t] = da @ self.W.T
            dW += np.outer(xs[t], da)
        self.W -= 0.1 * dW
"""


def test_an_array_that_is_filled_entry_by_entry_and_not_returned_is_read_at_the_end(tmp_path: Path) -> None:
    example = "net, xs = Layer(), np.random.randn(5, 3)\nloss = net.loss(xs)\nnet.step(xs)"
    right = examined(tmp_path, SLICES, example).judged
    assert {g.name: g.verdict for g in right.gradients} == {"net.W": "right", "xs": "right"}
    wrong = examined(tmp_path, SLICES.replace("self.W.T", "self.W.T / 2"), example).judged
    assert {g.name for g in wrong.wrong} == {"xs"}


FORWARD_MODE = """
import numpy as np

def trace(w, u, xs):
    h, p, q, loss, gw, gu = np.zeros(3), np.zeros((3, 3, 3)), np.zeros((3, 3)), 0.0, 0 * w, 0 * u
    for x in xs:
        z = np.tanh(w @ h + u * x)
        p = np.einsum("ij,jkl->ikl", w, p) + np.eye(3)[:, :, None] * h
        q = w @ q + np.eye(3) * x
        p, q = p * (1 - z**2)[:, None, None], q * (1 - z**2)[:, None]
        h = z
        loss += h @ h / 2
        gw += np.tensordot(h, p, 1)
        gu += h @ q
    return loss, gw, gu
"""


def test_gradients_that_are_carried_forward_are_right_where_all_that_is_kept_is(tmp_path: Path) -> None:
    example = (
        "w, u, xs = np.random.randn(3, 3), np.random.randn(3), np.random.randn(5)\n"
        "loss, gw, gu = trace(w, u, xs)"
    )
    assert examined(tmp_path, FORWARD_MODE, example).judged.verdict == "right"
    wrong = examined(tmp_path, FORWARD_MODE.replace("gu += h @ q", "gu += h @ q * 2"), example).judged
    assert wrong.verdict != "right"


SCALARS = """
import math, random

class Number:
    def __init__(self, value, made_of=()):
        self.value, self.made_of, self.grad = value, made_of, 0.0

    def __add__(self, other):
        return Number(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Number(self.value * other.value, ((self, other.value), (other, self.value)))

    def tanh(self):
        return Number(math.tanh(self.value), ((self, 1 - math.tanh(self.value) ** 2),))

    def back(self, grad=1.0):
        self.grad += grad
        for one, slope in self.made_of:
            one.back(grad * slope)

def net():
    return [Number(random.gauss(0, 1)) for _ in range(3)]

def run(w, xs):
    h = Number(0.5)
    for x in xs:
        h = (w[0] * h + w[1] * Number(x) + w[2]).tanh()
    return h * h
"""


def test_a_number_beside_its_gradient_is_a_parameter(tmp_path: Path) -> None:
    example = "w = net()\nloss = run(w, [0.3, -0.5, 0.9])\nloss.back()"
    right = examined(tmp_path, SCALARS, example).judged
    assert {g.name: g.verdict for g in right.gradients} == {f"w[{k}].value": "right" for k in range(3)}
    wrong = examined(tmp_path, SCALARS.replace("self.grad += grad", "self.grad = grad"), example).judged
    assert {g.name for g in wrong.wrong} == {f"w[{k}].value" for k in range(3)}


def test_a_weight_under_a_gradient_s_name_is_wrong(tmp_path: Path) -> None:
    judged = examined(tmp_path, changed((RETURN, "return np.array(dxs), dh, W, dU"))).judged
    assert {g.name for g in judged.wrong} == {"W"}


def test_code_that_changes_what_it_is_handed_is_judged_by_what_it_was(tmp_path: Path) -> None:
    code = changed(
        ("kept, W, U = cache", "kept, W, U = cache\n    dh *= 1 - kept[-1][2] ** 2"),
        ("da = dh * (1 - h**2)", "da = dh if h is kept[-1][2] else dh * (1 - h**2)"),
    )
    judged = examined(tmp_path, code).judged
    assert judged.verdict == "right"
    assert {g.verdict for g in judged.gradients} == {"right"}


UNUSED = """
import numpy as np

def run(x, t, W, U):
    h, before = np.tanh(x @ W), np.zeros((2, 4))
    d = np.tanh(h + before @ U) - t
    da = d * (1 - np.tanh(h) ** 2)
    return (d**2).sum() / 2, [x.T @ (da * (1 - h**2)), before.T @ da]
"""


def test_a_gradient_of_zeros_at_what_the_loss_does_not_depend_on_is_right(tmp_path: Path) -> None:
    example = (
        "x, t, W, U = [np.random.randn(*n) for n in ((2, 3), (2, 4), (3, 4), (4, 4))]\n"
        "loss, grads = run(x, t, W, U)"
    )
    assert examined(tmp_path, UNUSED, example).judged.verdict == "right"


LAYERS = """
import numpy as np

def net(ps, x):
    zs = [x]
    for p in ps:
        zs.append(np.tanh(zs[-1] @ p["W"] + p["b"]))
    d, gs = zs[-1], []
    for p, a, z in zip(ps[::-1], zs[-2::-1], zs[:0:-1]):
        d = d * (1 - z**2)
        gs.insert(0, {"W": a.T @ d, "b": d.sum(0)})
        d = d @ p["W"].T
    return (zs[-1] ** 2).sum() / 2, gs
"""


def test_the_gradients_of_layers_whose_arrays_have_the_same_names_are_told_apart(tmp_path: Path) -> None:
    example = (
        "ps = [{'W': np.random.randn(n, m), 'b': np.random.randn(m)} for n, m in ((3, 4), (4, 2), (2, 5))]\n"
        "loss, grads = net(ps, np.random.randn(2, 3))"
    )
    assert examined(tmp_path, LAYERS, example).judged.verdict == "right"
    faulty = LAYERS.replace('"W": a.T @ d', '"W": a.T @ (d if len(gs) != 1 else d**2)')
    assert {g.name for g in examined(tmp_path, faulty, example).judged.wrong} == {"ps[1]['W']"}


CELL = """
import numpy as np


class Cell:
    def __init__(self, D, H):
        self.W, self.b = np.random.randn(D, H), np.random.randn(H)
        self.dW, self.db = np.zeros((D, H)), np.zeros(H)

    def forward(self, x):
        self.x, self.y = x, np.tanh(x @ self.W + self.b)
        return self.y

    def backward(self, dy):
        da = dy * (1 - self.y**2)
        self.dW += self.x.T @ da
        self.db += da.sum(0)
"""
ONCE = "cell = Cell(3, 4)\ny = cell.forward(np.random.randn(2, 3))\ncell.backward(np.random.randn(2, 4))"


@pytest.mark.parametrize(
    ("old", "new", "verdict", "note"),
    [
        ("", "", "right", ""),
        ("        self.db += da.sum(0)\n", "", "wrong", "nothing is added"),
        ("self.db += da.sum(0)", "self.db = da.sum(1)", "wrong", "(2,), and not (4,)"),
        ("self.db += da.sum(0)", "self.db = 0", "cannot tell", ""),
        ("self.db += da.sum(0)", "self.other = da", "wrong", "nothing is added"),
    ],
)
def test_what_has_no_gradient_beside_others_is_not_passed_over(
    old: str, new: str, verdict: str, note: str, tmp_path: Path
) -> None:
    judged = examined(tmp_path, CELL.replace(old, new), ONCE).judged
    assert judged.verdict == verdict
    assert [g.name for g in judged.wrong] == ["cell.b"] * (verdict == "wrong")
    assert all(note in g.note for g in judged.wrong)
    assert verdict != "cannot tell" or "cell.b" in judged.reason


BIASES = """
import numpy as np

def forward(xs, W, b, c):
    return np.tanh(xs @ W + b + c)

def backward(xs, hs, W, dhs):
    dW, db, dc = np.zeros_like(W), np.zeros(4), np.zeros(4)
    for x, h, dh in zip(xs, hs, dhs):
        da = dh * (1 - h**2)
        dW += np.outer(x, da)
        db += da
        dc += da
    return dW, db, dc
"""


@pytest.mark.parametrize("name", ["b", "c"])
def test_of_two_arrays_with_one_gradient_each_has_its_own(name: str, tmp_path: Path) -> None:
    example = (
        "xs, W, b, c = (np.random.randn(*s) for s in [(3, 5), (5, 4), (4,), (4,)]); hs = forward(xs, W, b, c)"
    )
    example += "; grads = backward(xs, hs, W, np.random.randn(3, 4))"
    assert examined(tmp_path, BIASES, example).judged.verdict == "right"
    code = BIASES.replace(f"d{name} += da", f"d{name} = da")
    assert [g.name for g in examined(tmp_path, code, example).judged.wrong] == [name]


PAIRS = """
import numpy as np


class Net:
    def __init__(self):
        self.params = {k: (np.random.randn(4, 3), np.random.randn(4, 4)) for k in "fg"}
        self.grads = {k: (0 * W, 0 * U) for k, (W, U) in self.params.items()}

    def forward(self, xs):
        self.xs, self.hs, self.kept = xs, [np.zeros(4)], []
        for x in xs:
            f, g = (np.tanh(W @ x + U @ self.hs[-1]) for W, U in self.params.values())
            self.kept.append((f, g))
            self.hs.append(f * g)
        return self.hs[-1]

    def backward(self, dh):
        for x, h, (f, g) in zip(self.xs[::-1], self.hs[-2::-1], self.kept[::-1]):
            back = 0
            for name, da in (("f", dh * g * (1 - f**2)), ("g", dh * f * (1 - g**2))):
                (dW, dU), (W, U) = self.grads[name], self.params[name]
                self.grads[name] = dW + np.outer(da, x), dU + np.outer(da, h)
                back = back + U.T @ da
            dh = back
"""


def test_what_is_zero_where_others_lie_beside_their_gradients_is_wrong(tmp_path: Path) -> None:
    example = "net = Net(); h = net.forward(np.random.randn(4, 3)); net.backward(np.random.randn(4))"
    assert examined(tmp_path, PAIRS, example).judged.verdict == "right"
    judged = examined(tmp_path, PAIRS.replace("dU + np", "np"), example).judged  # that of the first step
    assert [g.name for g in judged.wrong] == ["net.params['f'][1]", "net.params['g'][1]"]
