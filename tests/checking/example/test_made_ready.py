"""What is made before the calls: objects of files beside, settings, what a method sets first; scripts."""

import textwrap
from pathlib import Path

import pytest

from bptt.checking.examine import _examined
from bptt.checking.file import read
from bptt.checking.report import Report
from bptt.checking.telling import Examined

STEPS = """
        for t in range(T):
            hs[t + 1] = np.tanh(x[t] @ self.P + hs[t] @ self.Q)
        self.x, self.hs = x, hs
        return hs[1:]

    def backward(self, dy):
        self.dP, self.dQ, back = 0 * self.P, 0 * self.Q, 0 * dy[0]
        for t in reversed(range(len(dy))):
            ds = (dy[t] + back) * (1 - self.hs[t + 1] ** 2)
            self.dP += self.x[t].T @ ds
            self.dQ += self.hs[t].T @ ds
            back = ds @ self.Q.T
"""

BUILT = (
    """
import numpy as np

class Layer:
    def __init__(self, units):
        self.units, self.P, self.Q = units, None, None

    def build(self, size):
        self.P, self.Q = np.random.randn(size, self.units), np.random.randn(self.units, self.units)

    def forward(self, x):
        T = len(x)
        hs = np.zeros((T + 1, x.shape[1], self.units))
"""
    + STEPS
)

SETTINGS = (
    """
import numpy as np

class Net:
    def __init__(self, hp):
        assert hp.name.startswith("n")
        self.P = np.random.randn(hp.wide, hp.deep)
        self.Q = np.random.randn(hp.deep, hp.deep)

    def forward(self, x):
        T = len(x)
        hs = np.zeros((T + 1, x.shape[1], len(self.Q)))
"""
    + STEPS
)

SCRIPT = """
import numpy as np
words = [0, 2, 1, 2]
P, Q, V = np.random.randn(8, 3), np.random.randn(8, 8), np.random.randn(3, 8)
for epoch in range(100):
    hs, ps, loss = [np.zeros(8)], [], 0.0
    for a, b in zip(words, words[1:]):
        hs.append(np.tanh(P[:, a] + Q @ hs[-1]))
        e = np.exp(V @ hs[-1])
        ps.append(e / e.sum())
        loss -= np.log(ps[-1][b])
    dP, dQ, dV, dh = 0 * P, 0 * Q, 0 * V, np.zeros(8)
    for t in reversed(range(3)):
        dy = ps[t].copy()
        dy[words[t + 1]] -= 1
        dV += np.outer(dy, hs[t + 1])
        ds = (V.T @ dy + dh) * (1 - hs[t + 1] ** 2)
        dP[:, words[t]] += ds
        dQ += np.outer(ds, hs[t])
        dh = Q.T @ ds
    P = P - 0.1 * dP
    Q -= 0.1 * dQ
    V = V - 0.1 * dV
"""

SHAPED = f"""
import numpy as np

class Layer:
    def __init__(self, wide):
        self.wide, self.shape = wide, None

    def set_input_shape(self, input_shape):
        self.shape = tuple(input_shape)
        T, d = self.shape
        self.params = {{"P": np.random.randn(d, self.wide), "Q": np.random.randn(self.wide, self.wide)}}
        self.P, self.Q = self.params["P"], self.params["Q"]

    def forward(self, x):
        if self.shape is None:
            raise ValueError("no shape")
        if x.ndim != 3 or x.shape[2] != self.shape[1]:
            raise ValueError("another shape")
        T = len(x) if "P" in self.params else 0
        hs = np.zeros((T + 1, x.shape[1], self.wide))
{STEPS}"""

FILLED = """
import numpy as np

class Layer:
    def __init__(self, wide, rows=2):
        self.wide, self.rows, self.weights = wide, rows, {}

    def init_weights(self, x):
        self.weights["P"] = np.random.randn(x.shape[2], self.wide)
        self.weights["Q"] = np.random.randn(self.wide, self.wide)

    def forward(self, x):
        hs = np.zeros((len(x) + 1, x.shape[1], self.wide))
        for t in range(x.shape[0]):
            hs[t + 1] = np.tanh(x[t] @ self.weights["P"] + hs[t] @ self.weights["Q"])
        return hs

    def backward(self, x, hs, dy):
        grads, back = {k: 0 * w for k, w in self.weights.items()}, 0
        for t in reversed(range(x.shape[0])):
            ds = (dy[t] + back) * (1 - hs[t + 1] ** 2)
            grads["P"] += x[t].T @ ds
            grads["Q"] += hs[t].T @ ds
            back = ds @ self.weights["Q"].T
        return grads

    def fit(self, data, wanted):
        self.init_weights(data)
        for k in range(len(data) // self.rows):
            start = k * self.rows
            end = start + self.rows
            hs = self.forward(data[start:end])
            grads = self.backward(data[start:end], hs, hs[1:] - wanted[start:end])
            for k in grads:
                self.weights[k] -= 0.1 * grads[k]
"""

IN_PARTS = """
import numpy as np

def forward(xs, W, U, V):
    hs = [np.zeros(len(U))]
    for x in xs:
        hs.append(np.tanh(W @ x + U @ hs[-1]))
    return np.array([V @ h for h in hs[1:]]), (xs, hs, W, U, V)

def loss_of(ys, wanted):
    return 0.5 * np.sum((ys - wanted) ** 2)

def output_backward(ys, wanted, cache):
    xs, hs, W, U, V = cache
    dys, dV, dhs = ys - wanted, np.zeros_like(V), np.zeros((len(ys), len(U)))
    for t in range(len(ys)):
        dV += np.outer(dys[t], hs[t + 1])
        dhs[t] = V.T @ dys[t]
    return dhs, dV

def state_backward(dhs, cache):
    xs, hs, W, U, V = cache
    dW, dU, later = np.zeros_like(W), np.zeros_like(U), 0
    for t in reversed(range(len(xs))):
        da = (dhs[t] + later) * (1 - hs[t + 1] ** 2)
        dW += np.outer(da, xs[t])
        dU += np.outer(da, hs[t])
        later = U.T @ da
    return dW, dU

W, U, V = np.random.randn(5, 3), np.random.randn(5, 5), np.random.randn(2, 5)
xs, wanted = np.random.randn(4, 3), np.random.randn(4, 2)
for epoch in range(100):
    ys, cache = forward(xs, W, U, V)
    loss = loss_of(ys, wanted)
    dhs, dV = output_backward(ys, wanted, cache)
    dW, dU = state_backward(dhs, cache)
"""


def told(tmp_path: Path, text: str, **beside: str) -> list[Examined | Report]:
    for name, more in beside.items():
        (tmp_path / f"{name}.py").write_text(more)
    (tmp_path / "judged.py").write_text(text)
    return list(_examined(read(tmp_path / "judged.py"), {"seconds": 60}))


def verdicts(found: list[Examined | Report]) -> list[str]:
    return [one.judged.verdict if isinstance(one, Examined) else one.verdict for one in found]


@pytest.mark.parametrize(
    ("text", "shown"), [(BUILT, ".build("), (SETTINGS, "'deep': "), (SHAPED, "input_shape = [")]
)
def test_an_object_is_made_ready(tmp_path: Path, text: str, shown: str) -> None:
    [one] = found = told(tmp_path, text)
    assert verdicts(found) == ["right"]
    assert isinstance(one, Examined)
    assert shown in one.example.text
    [wrong] = verdicts(told(tmp_path, text.replace("self.hs[t].T", "self.hs[t + 1].T")))
    assert wrong == "wrong"


def test_entries_are_filled_first_and_a_part_of_the_data_is_of_its_kind(tmp_path: Path) -> None:
    for text, verdict in ((FILLED, "right"), (FILLED.replace("+= hs[t].T", "+= hs[t + 1].T"), "wrong")):
        [one, *_] = found = told(tmp_path, text)
        assert isinstance(one, Examined)
        assert ".init_weights(" in one.example.text
        assert verdict in verdicts(found)


def test_what_a_part_of_a_right_backward_hands_on_is_not_called_wrong(tmp_path: Path) -> None:
    assert {*verdicts(told(tmp_path, IN_PARTS))} == {"right"}
    assert "wrong" in verdicts(told(tmp_path, IN_PARTS.replace("(da, hs[t])", "(da, hs[t + 1])")))


def test_settings_are_an_object_of_a_file_beside(tmp_path: Path) -> None:
    settings = "class Settings:\n    def __init__(self, d, h): self.wide, self.deep, self.name = d, h, 'n'\n"
    [one] = told(tmp_path, f"from plan import *\n{SETTINGS}", plan=settings)
    assert isinstance(one, Examined)
    assert one.judged.verdict == "right"
    assert "Settings(" in one.example.text


def test_a_script_that_goes_back_at_its_top_level_is_judged(tmp_path: Path) -> None:
    assert verdicts(told(tmp_path, SCRIPT)) == ["right"]
    assert verdicts(told(tmp_path, SCRIPT.replace("dh = Q.T @ ds", "dh = Q @ ds"))) == ["wrong"]


def test_a_file_that_imports_the_backward_shows_it(tmp_path: Path) -> None:
    class_, backward = BUILT.split("    def backward(self, dy):\n")
    body = textwrap.indent(textwrap.dedent(backward), "    ").replace("self.", "net.")
    back = f"import numpy as np\ndef run_back(net, dy):\n{body}"
    uses = f"from judged import run_back\n{class_}    def backward(self, dy):\n        run_back(self, dy)\n"
    assert verdicts(told(tmp_path, back, uses=uses)) == ["right"]
    assert verdicts(told(tmp_path, back.replace("net.Q.T", "net.Q"), uses=uses)) == ["wrong"]


def test_what_came_furthest_is_the_beginning_of_an_example(tmp_path: Path) -> None:
    text = BUILT.replace("return hs[1:]", "return nothing(hs)")
    [one] = told(tmp_path, text)
    assert isinstance(one, Report)
    assert one.verdict == "cannot tell"
    assert one.example.startswith("layer = Layer(")
    assert "came furthest" in one.origin


def test_equations_are_derived(tmp_path: Path) -> None:
    text = "import bptt\n@bptt.cell\ndef leaky(x, h, W, U): h = tanh(W @ x + U @ h)\n"
    [one] = told(tmp_path, text)
    assert isinstance(one, Report)
    assert "bptt derive" in one.reason
