"""Examples come from the user, from the file, and from nothing but the file's code."""

from pathlib import Path
from typing import Any

import pytest

from bptt.checking.examine import work
from bptt.checking.example import Example, candidates, given, main_program, other_sizes, stated
from bptt.checking.example.names import namespace, small_constants
from bptt.checking.file import Source, read
from bptt.errors import ConfigError

STEP = """
import numpy as np

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)

def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    return da @ Wx.T, da @ Wh.T, x.T @ da, prev_h.T @ da, da.sum(0)
"""
CHARS = """
import numpy as np
data = open("input.txt").read()
vocab_size, hidden_size = len(set(data)), 100
Wxh, Whh = np.random.randn(hidden_size, vocab_size), np.random.randn(hidden_size, hidden_size)
Why = np.random.randn(vocab_size, hidden_size)

def lossFun(inputs, targets, hprev):
    xs, hs, ps, loss = {}, {-1: hprev}, {}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1])
        e = np.exp(Why @ hs[t])
        ps[t] = e / e.sum()
        loss -= np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy, back = 0 * Wxh, 0 * Whh, 0 * Why, 0
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWhy += dy @ hs[t].T
        da = (Why.T @ dy + back) * (1 - hs[t] ** 2)
        dWxh += da @ xs[t].T
        dWhh += da @ hs[t - 1].T
        back = Whh.T @ da
    return loss, dWxh, dWhh, dWhy, hs[len(inputs) - 1]
"""
COLUMNS = """
import numpy as np

class Net:
    def __init__(self, n_in, n_hid, n_out, rate):
        self.U, self.W = np.random.randn(n_hid, n_in), np.random.randn(n_hid, n_hid)
        self.V, self.b, self.rate = np.random.randn(n_out, n_hid), np.zeros((n_hid, 1)), rate

    def forward(self, columns):
        self.xs, self.h = columns, [np.zeros((len(self.W), columns[0].shape[1]))]
        for x in columns:
            self.h.append(np.tanh(self.U @ x + self.W @ self.h[-1] + self.b))
        return self.V @ self.h[-1]

    def rewind(self, dy):
        dV, dU, dW, db, dh = dy @ self.h[-1].T, 0 * self.U, 0 * self.W, 0 * self.b, self.V.T @ dy
        for t in reversed(range(len(self.xs))):
            da = dh * (1 - self.h[t + 1] ** 2)
            dU += da @ self.xs[t].T
            dW += da @ self.h[t].T
            db += da.sum(1, keepdims=True)
            dh = self.W.T @ da
        self.U -= self.rate * dU
        self.V -= self.rate * dV
        self.W -= self.rate * dW
        self.b -= self.rate * db
"""
GATES = """
import numpy as np

def lstm(x, h0, Wx, Wh, b):
    h, c, kept = h0, np.zeros_like(h0), []
    for t in range(x.shape[1]):
        i, f, o, g = np.split(x[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        c = np.tanh(f) * c + np.tanh(i) * np.tanh(g)
        h = np.tanh(o) * c
        kept.append(h)

    def back(dhs):
        return 0 * x, 0 * h0, 0 * Wx, 0 * Wh, 0 * b

    return np.stack(kept, 1), back
"""
PARTS = """
import numpy as np

def cell_forward(xt, a_prev, parameters):
    Wax, Waa, ba = parameters["Wax"], parameters["Waa"], parameters["ba"]
    a_next = np.tanh(Wax @ xt + Waa @ a_prev + ba)
    return a_next, (a_next, a_prev, xt, parameters)

def cell_backward(da_next, cache):
    a_next, a_prev, xt, parameters = cache
    da = da_next * (1 - a_next**2)
    return {"dWax": da @ xt.T, "dWaa": da @ a_prev.T, "dba": da.sum(1, keepdims=True)}
"""


def source(tmp_path: Path, text: str) -> Source:
    path = tmp_path / "code.py"
    path.write_text(text)
    return read(path)


def first(tmp_path: Path, text: str) -> Example:
    return next(candidates(source(tmp_path, text)))


def run(file: Source, example: Example) -> dict[str, Any]:
    names = namespace(file, small_constants(file))
    exec(example.text, names)
    return names


def test_a_step_is_shown_with_rows_and_gradients_of_its_own_shapes(tmp_path: Path) -> None:
    file = source(tmp_path, STEP)
    example = next(candidates(file))
    assert example.piece == ("rnn_step_forward", "rnn_step_backward")
    assert (
        "x, prev_h, Wx = np.random.randn(2, 3), np.random.randn(2, 6), np.random.randn(3, 6)" in example.text
    )
    assert "dnext_h = np.random.randn(*next_h.shape)" in example.text
    again = other_sizes(example)
    assert again is not None
    names = run(file, again)
    assert names["x"].shape == (3, 5)
    assert names["prev_h"].shape == (3, 8)


def test_weights_of_the_module_are_small_and_tokens_repeat(tmp_path: Path) -> None:
    example = first(tmp_path, CHARS)
    assert example.text.splitlines()[0] == "hidden_size = 6"
    assert "[0, 2, 1, 2], [2, 1, 2, 1], np.random.randn(6, 1)" in example.text
    assert run(source(tmp_path, CHARS), example)["dWxh"].shape == (6, 7)


def test_columns_and_a_backward_of_another_name(tmp_path: Path) -> None:
    example = first(tmp_path, COLUMNS)
    assert example.text.startswith("net = Net(3, 6, 7, 0.1)\ncolumns = np.random.randn(4, 3, 2)")
    assert example.piece == ("Net.forward", "Net.rewind")
    assert "net.rewind(dy)" in example.text


def test_four_gates_and_a_closure(tmp_path: Path) -> None:
    example = first(tmp_path, GATES)
    assert "np.random.randn(2, 4, 3), np.random.randn(2, 6), np.random.randn(3, 24)" in example.text
    assert example.text.splitlines()[-1].endswith("= back(dhs)")


def test_parameters_in_a_dict(tmp_path: Path) -> None:
    file = source(tmp_path, PARTS)
    example = next(candidates(file))
    assert "parameters = {'Wax': np.random.randn(6, 3), 'Waa'" in example.text
    names = run(file, example)
    assert [a.shape for a in (names["xt"], *names["parameters"].values())] == [(3, 2), (6, 3), (6, 6), (6, 1)]


def test_what_is_not_there_and_what_never_ends_yield_nothing(tmp_path: Path) -> None:
    text = "import gone\ndef forward(x, W): return gone.f(x)\ndef backward(dy):\n    dW = dy\n    return dW"
    assert not list(candidates(source(tmp_path, text)))
    endless = "def bptt(x, h):\n    dW = dU = db = dh = 0\n    while True: dW += 1\n"
    assert not list(candidates(source(tmp_path, endless)))


def test_only_the_piece_that_was_asked_for(tmp_path: Path) -> None:
    file = source(tmp_path, STEP + COLUMNS.replace("import numpy as np", ""))
    assert {e.piece[0].split(".")[0] for e in candidates(file, name="Net")} == {"Net"}


def test_the_files_own_examples(tmp_path: Path) -> None:
    text = '''
import unittest
def f(x):
    """Double.

    >>> y = f(2)
    >>> y
    4
    """
    return 2 * x
def test_f():
    """One."""
    assert f(1) == 2
def test_with(fixture): pass
class TestF(unittest.TestCase):
    def setUp(self): self.x = 3
    def test_it(self): self.assertEqual(f(self.x), 6)
def main():
    total, k = 0, 0
    hidden_size = 50
    for _ in range(1000):
        for _ in range(3): total += fit(1, epochs=30)
    for _ in range(5): k += f(1)
    while True:
        fit(0)
def fit(n, epochs=7): return n * epochs
if __name__ == "__main__":
    main()
'''
    file = source(tmp_path, text)
    found = [*stated(file), *main_program(file)]
    assert [e.text for e in found[:2]] == ["y = f(2)\ny\n", "assert f(1) == 2"]
    assert found[2].text.splitlines() == [
        'self = TestF("test_it")',
        "self.setUp()",
        "self.assertEqual(f(self.x), 6)",
    ]
    names = namespace(file, {})
    exec(found[3].text, names)
    assert (names["total"], names["k"], names["hidden_size"]) == (1, 10, 6)


def test_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "how.py"
    path.write_text("net = Net(3)\nnet.run()\n")
    assert given(str(path)) == Example("net = Net(3)\nnet.run()\n", str(path))
    assert given("a = 1; b = a").text == "a = 1\nb = a"
    assert other_sizes(given("a = 1")) is None
    with pytest.raises(ConfigError, match="there is no such file"):
        given("no/such-file.py")
    with pytest.raises(ConfigError, match="must be Python"):
        given("net = = 3; f()")


LOSS = """
import numpy as np

class Net:
    def __init__(self, n=100):
        self.U, self.W, self.V = np.random.randn(n, 4), np.random.randn(n, n), np.random.randn(4, n)

    def forward(self, xs, h0):
        assert h0.shape[1:] == (1,)
        self.xs, self.hs = xs, [h0]
        for x in xs:
            self.hs.append(np.tanh(self.U @ x + self.W @ self.hs[-1]))
        e = np.exp(self.V @ self.hs[-1])
        p = e / e.sum()
        return p

    def loss(self, p, k):
        return -float(np.log(p[k, 0]))

    def backward(self, p, k):
        d = p.copy()
        d[k] -= 1
        self.dV, self.dU, self.dW = d @ self.hs[-1].T, 0 * self.U, 0 * self.W
        dh = self.V.T @ d
        for t in reversed(range(len(self.xs))):
            da = dh * (1 - self.hs[t + 1] ** 2)
            self.dU += da @ self.xs[t].T
            self.dW += da @ (self.hs[t].T if t else 0 * self.hs[t].T)
            dh = self.W.T @ da
"""


def test_the_object_says_its_sizes(tmp_path: Path) -> None:
    file = source(tmp_path, LOSS)
    first, *_, last = candidates(file)
    *_, forward, loss, back = first.text.splitlines()
    assert [forward, loss, back] == ["p = net.forward(xs, h0)", "loss = net.loss(p, 2)", "net.backward(p, 2)"]
    assert run(file, first)["net"].W.shape == (6, 6)
    assert run(file, first)["net"].xs[0].shape == (4, 1)
    assert "np.zeros((6, 1))" in last.text


def test_what_goes_through_time_and_was_not_judged_is_named(tmp_path: Path) -> None:
    other = (
        "\ndef bptt(grid, dy):\n    for k in nothing:\n        dW = dy\n        dU = dW\n    return dW, dU\n"
    )
    reports: dict[int, dict[str, Any]] = {}
    path = tmp_path / "code.py"
    for text, verdicts in ((LOSS, {"right"}), (LOSS + other, {"right", "cannot tell"})):
        path.write_text(text)
        work({"path": path, "seconds": 60.0}, lambda _, report: reports.update({report["number"]: report}))
        assert {report["verdict"] for report in reports.values()} == verdicts
    assert reports[1]["piece"] == ("bptt",)
    assert reports[1]["reason"].startswith("bptt was not judged: no example")


FIRST_ONLY = """
import numpy as np

class Net:
    def __init__(self, n_in, n_hidden):
        self.W = np.random.randn(n_hidden, n_in)

    def forward(self, xs):
        for x in xs:
            self.x, self.h = x.reshape(-1, 1), np.tanh(self.W @ x.reshape(-1, 1))
            return self.h

    def backward(self, dh):
        for _ in range(1):
            self.dW = (dh * (1 - self.h**2)) @ self.x.T
"""


@pytest.mark.parametrize(("text", "verdict"), [(FIRST_ONLY, "cannot tell"), (LOSS, "right")])
def test_what_is_right_for_the_first_step_only_is_not_right(tmp_path: Path, text: str, verdict: str) -> None:
    path = tmp_path / "code.py"
    path.write_text(text)
    reports: list[dict[str, Any]] = []
    work({"path": path, "seconds": 60.0, "mend": False}, lambda _, report: reports.append(report))
    assert {report["verdict"] for report in reports} == {verdict}
    assert ("one step of time only" in reports[0]["reason"]) == (verdict != "right")


BATCH = """
import numpy as np

class Words:
    def __init__(self, n_words, n_hidden):
        self.U, self.W = np.random.randn(n_hidden, n_words), np.random.randn(n_hidden, n_hidden)

    def forward(self, batch, begin):
        states, count = [begin], len(batch)
        assert begin.shape[1] == count
        for t in range(len(batch[0])):
            x = np.zeros((self.U.shape[1], count))
            for n in range(count):
                x[batch[n][t], n] = 1
            states.append(np.tanh(self.U @ x + self.W @ states[-1]))
        return states

    def backward(self, dh, states):
        dW, dU = 0 * self.W, 0 * self.U
        return dW, dU
"""
HISTORY = """
import numpy as np

def forward(size, xs, begin, weights):
    assert begin.shape == (size, 1)
    Wx, Wh, b = weights
    h_s, a_s = [begin], []
    for x in xs:
        a_s.append(np.dot(Wx, np.vstack((h_s[-1], x))) + b)
        h_s.append(np.tanh(a_s[-1]) + np.dot(Wh, h_s[-1]))
    return a_s, h_s

def backward(h, a, weights):
    Wx, Wh, b = weights
    dWh = 0 * Wh
    for k in reversed(range(len(a))):
        dWh += h[k + 1] @ h[k].T
    return dWh
"""


def test_what_a_value_is_shows_in_its_use(tmp_path: Path) -> None:
    file = source(tmp_path, BATCH)
    example = next(candidates(file))
    names = run(file, example)
    assert "batch, begin = [[0, 2, 1, 2], [2, 1, 2, 1]], np.random.randn(6, 2)" in example.text
    assert len(names["states"]) == 5
    again = other_sizes(example)
    assert again is not None
    assert run(file, again)["begin"].shape == (8, 3)


def test_histories_go_by_their_names_and_weights_by_those_they_are_unpacked_into(tmp_path: Path) -> None:
    example = first(tmp_path, HISTORY)
    assert "weights = (np.random.randn(6, 9), np.random.randn(6, 6), np.random.randn(6, 1))" in example.text
    assert example.text.splitlines()[-1].endswith("backward(h_s, a_s, weights)")


def test_a_backward_is_handed_nothing_that_the_forward_has_not_seen(tmp_path: Path) -> None:
    text = STEP.replace("(dnext_h, cache):", "(dnext_h, cache, Emb):") + "    dEmb = 0 * Emb\n"
    for example in candidates(source(tmp_path, text)):
        assert not example.text.splitlines()[-2].startswith("dnext_h, Emb")


def test_a_layer_that_was_not_judged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(
        STEP + "\ndef pool_backward(dout, net):\n    dx = net.go(dout)\n    dw = dx\n    return dx, dw\n"
    )
    reports: dict[int, dict[str, Any]] = {}
    work({"path": path, "seconds": 60.0}, lambda _, report: reports.update({report["number"]: report}))
    assert [report["verdict"] for report in reports.values()] == ["right", "cannot tell"]
    assert reports[1]["piece"] == ("pool_backward",)
