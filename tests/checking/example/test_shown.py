"""What examples show: several steps of time, the same numbers to both passes, the file's own main program."""

from pathlib import Path

import pytest

from bptt.checking.examine import _examined
from bptt.checking.example import candidates
from bptt.checking.file import Source, read
from bptt.checking.telling import Examined


def source(tmp_path: Path, text: str) -> Source:
    path = tmp_path / "shown.py"
    path.write_text(text)
    return read(path)


def examined(file: Source, *, run: bool = False) -> list[Examined]:
    return [one for one in _examined(file, {"seconds": 60, "run": run}) if isinstance(one, Examined)]


KEEPS = """
import numpy as np

class Leaky:
    def __init__(self, n_in, n_units):
        self.P, self.Q = np.random.randn(n_units, n_in), np.random.randn(n_units, n_units)
        self.past, self.given, self.later = [np.zeros(n_units)], [], np.zeros(n_units)
        self.dP, self.dQ = 0 * self.P, 0 * self.Q

    def feed(self, u):
        self.given.append(u)
        self.past.append(np.tanh(self.P @ u + self.Q @ self.past[-1]))
        return self.past[-1]

    def backward(self, dz):
        z = self.past.pop()
        ds = (dz + self.later) * (1 - z**2)
        self.dP += np.outer(ds, self.given.pop())
        self.dQ += np.outer(ds, self.past[-1])
        self.later = self.Q.T @ ds
"""


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [("", "", "right"), ("self.Q.T @ ds", "self.Q @ ds", "wrong")]
)
def test_an_object_that_keeps_its_state_is_shown_for_several_steps(
    tmp_path: Path, old: str, new: str, verdict: str
) -> None:
    file = source(tmp_path, KEEPS.replace(old, new))
    assert [one.judged.verdict for one in examined(file)] == [verdict]


def test_a_dict_grows_as_it_is_read_and_a_backward_gets_what_the_forward_got(tmp_path: Path) -> None:
    text = """
import numpy as np
xs = None
def one(x, h, params): return np.tanh(params["Wx"] @ x + params["Wh"] @ h)
def run_forward(xs, h0, params):
    units, _ = params["Wh"].shape
    hs = np.zeros((len(xs) + 1, units, h0.shape[1]))
    hs[0] = h0
    for t, x in enumerate(xs): hs[t + 1] = one(x, hs[t], params)
    return hs
def run_backward(xs, hs, dh, params):
    dWx, dWh = 0 * params["Wx"], 0 * params["Wh"]
    for t in reversed(range(len(xs))):
        ds = dh * (1 - hs[t + 1] ** 2)
        dWx += ds @ xs[t].T
        dWh += ds @ hs[t].T
        dh = params["Wh"].T @ ds
    return {"dWx": dWx, "dWh": dWh}
"""
    example = next(candidates(source(tmp_path, text)))
    assert "run_backward(xs_, hs, " in example.text
    assert "'Wh': np.random.randn(6, 6), 'Wx': np.random.randn(6, 3)" in example.text


def test_a_main_program_that_trains_is_an_example(tmp_path: Path) -> None:
    text = """
import numpy as np
class Odd:
    def __init__(self, plan):
        self.M = np.random.randn(*plan["shape"])
    def forward(self, u):
        self.u, self.z = u, np.tanh(self.M @ u)
        return self.z
    def backward(self, dz):
        self.dM = np.outer(dz * (1 - self.z**2), self.u)
        self.du = self.M.T @ (dz * (1 - self.z**2))
if __name__ == "__main__":
    net = Odd({"shape": (4, 3)})
    for epoch in range(500):
        z = net.forward(np.random.randn(3))
        net.backward(np.random.randn(4))
    raise ValueError("no picture")
"""
    [one] = examined(source(tmp_path, text))  # what leads up to its call, and no more
    assert one.judged.verdict == "right"
    assert one.example.text.splitlines()[0] == "net = Odd({'shape': (4, 3)})"
    assert "raise" not in one.example.text
    assert "epoch" not in one.example.text
    [one, *_] = examined(source(tmp_path, text), run=True)
    assert (one.judged.verdict, one.example.origin[:18]) == ("right", "the __main__ block")
    assert "[:1]" in one.example.text
    assert "raise" not in one.example.text
